"""The tiny models, imported once into the repository's own model store (or BENTOML_HOME, where that is set)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from composition.config import ModelsConfig
from composition.config.tree import Profile

REPOSITORY = Path(__file__).parents[2]
os.environ.setdefault("BENTOML_HOME", str(REPOSITORY / ".bentoml"))
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from models_store.entries import model_store_folder  # noqa: E402  bentoml reads the environment when first used
from models_store.store import ModelSet  # noqa: E402


@pytest.fixture(scope="session")
def bentoml_home() -> Path:
    """BentoML's home with the tiny profile in it."""
    _imported("tiny")
    return model_store_folder().parent


@pytest.fixture(scope="session")
def tiny_models(bentoml_home: Path) -> ModelSet:
    return ModelSet(ModelsConfig(profile="tiny"))


@pytest.fixture(scope="session")
def tiny_sdxl_models(bentoml_home: Path) -> ModelSet:
    return _imported("tiny-sdxl")


def _imported(profile: Profile) -> ModelSet:
    """Of parallel test workers the importer's lock makes all wait for one."""
    models = ModelSet(ModelsConfig(profile=profile))
    if models.missing:
        subprocess.run([sys.executable, "-m", "models_store", "import", profile], cwd=REPOSITORY, check=True)
    return models
