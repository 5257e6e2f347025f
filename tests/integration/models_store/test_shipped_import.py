"""A profile that is shipped with the source: its folder has the hub's layout, and the loaders take it as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from models_store.manifest import load_manifest
from models_store.store import ModelSet

REPOSITORY = Path(__file__).parents[3]
SHIPPED = REPOSITORY / "demo_models" / "weights"
IMPORT = "import sys, pathlib; from models_store.importer import import_profile; "
IMPORT += "print(len(import_profile('demo', shipped=pathlib.Path(sys.argv[1])).imported))"


def test_what_has_the_hubs_layout_can_be_shipped(tiny_models: ModelSet, tmp_path: Path) -> None:
    models = load_manifest("demo").models
    for role, model in models.items():
        skip_metadata = shutil.ignore_patterns("model.yaml")
        target = tmp_path / "weights" / model.repository
        shutil.copytree(tiny_models.path(role), target, dirs_exist_ok=True, ignore=skip_metadata)
        for name in model.required:  # tiny has no networks for photographs
            if not (target / name).exists():
                shutil.copy(SHIPPED / model.repository / name, target / name)
    environment = {**os.environ, "BENTOML_HOME": str(tmp_path / "bentoml"), "OMP_NUM_THREADS": "1"}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=REPOSITORY, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    assert int(run("-c", IMPORT, str(tmp_path / "weights"))) == len(models)
    shutil.rmtree(tmp_path / "weights")
    assert int(run("-c", IMPORT, str(tmp_path / "weights"))) == 0
    verdicts = [line.split()[:2] for line in run("-m", "models_store", "verify", "demo").splitlines()]
    assert verdicts == [["ok", role] for role in models]
