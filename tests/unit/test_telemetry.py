"""No library reports on its use: each is told before it is imported, by whichever of our modules imports it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "composition", "jobs", "models_store", "observability", "prompt_reading", "runners")
SWITCHES = {"onnxruntime": "ORT_DISABLE_TELEMETRY", "huggingface_hub": "HF_HUB_DISABLE_TELEMETRY"}
WATCHED_IMPORT = """
import importlib, importlib.abc, os, sys

library, switch, module = sys.argv[1:]

class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == library:
            print(os.environ.get(switch))
            sys.stdout.flush()
            os._exit(0)

sys.meta_path.insert(0, Watch())
importlib.import_module(module)
"""


def importing(library: str) -> list[str]:
    """Our modules that import a library at their top."""
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    line = re.compile(rf"^(import|from) {library}\b", re.MULTILINE)
    return [
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in sorted(files)
        if line.search(file.read_text(encoding="utf-8"))
    ]


CASES = [(library, module) for library in SWITCHES for module in importing(library)]


def test_the_modules_are_found():
    assert {"runners.onnx_session", "models_store.smoke_test"} <= {module for _, module in CASES}


@pytest.mark.parametrize(("library", "module"), CASES)
def test_a_fresh_process_switches_telemetry_off_before_the_import(library: str, module: str):
    watched = [sys.executable, "-c", WATCHED_IMPORT, library, SWITCHES[library], module]
    ran = subprocess.run(watched, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout) == (0, "1\n"), ran.stderr
