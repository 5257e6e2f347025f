"""The source as it is cloned, in a folder of its own, with the environment that `make setup` would install."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tests.e2e.documents import ROOT

LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "var", "out", "weights")
OF_THIS_RUN = ("BENTOML_HOME", "HF_HUB_OFFLINE", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PYTHONPATH")


def make_clone(folder: Path) -> Path:
    """`folder` with the source in it, but for the weights of the demo models; the environment is this run's, linked."""
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
    (folder / ".venv").mkdir()
    for part in ("bin", "lib", "pyvenv.cfg"):
        (folder / ".venv" / part).symlink_to(Path(sys.prefix) / part)
    (folder / ".venv" / ".ready").touch()
    return folder


def newcomers_environment() -> dict[str, str]:
    """This process's variables without those that configure the service or come from the test run."""
    ours = {name for name in os.environ if name.startswith("COMPOSITION_") or name in OF_THIS_RUN}
    return {name: value for name, value in os.environ.items() if name not in ours}
