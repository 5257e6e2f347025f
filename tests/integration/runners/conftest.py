"""The models that the configuration names by default, for runners that are made without one of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from composition.config import load_config
from models_store.store import ModelSet

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def configured_models(bentoml_home: Path) -> ModelSet:
    models = load_config().models
    if ModelSet(models).missing:
        subprocess.run([sys.executable, "-m", "models_store", "import", models.profile], cwd=REPOSITORY, check=True)
    return ModelSet(models)
