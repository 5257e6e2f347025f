"""What is committed is what the page's sources build, byte by byte."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NO_NETWORK = re.compile("ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|ENOTCACHED")


def test_the_built_page_is_what_its_sources_build(tmp_path):
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm: Node.js 20 or newer has it")
    page = tmp_path / "another" / "place"
    shutil.copytree(ROOT / "page", page, ignore=shutil.ignore_patterns("node_modules", "built"))
    run = {"cwd": page, "capture_output": True, "text": True, "check": False, "timeout": 600}
    installed = subprocess.run([npm, "ci", "--prefer-offline"], **run)
    if installed.returncode != 0 and NO_NETWORK.search(installed.stderr):
        pytest.skip("npm cannot reach its registry")
    assert installed.returncode == 0, installed.stderr
    made = subprocess.run([npm, "run", "build"], **run)
    assert made.returncode == 0, made.stdout + made.stderr

    def files(folder):
        return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    assert files(page / "built") == files(ROOT / "page" / "built"), "make page builds it again"
