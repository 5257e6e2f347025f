"""A BentoML model store of the test's own."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.models.model import ModelStore

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # bentoml's use of pydantic, at the first import only
    from bentoml.models import BentoModel  # noqa: F401

from models_store import manifest


@pytest.fixture(autouse=True)
def no_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """BentoML reports the creation of models to its makers unless told not to."""
    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "True")


@pytest.fixture
def store_folder(tmp_path: Path) -> Iterator[Path]:
    """An empty model store, in use until the test ends."""
    folder = tmp_path / "bentoml" / "models"
    folder.mkdir(parents=True)
    BentoMLContainer.model_store_dir.set(str(folder))
    BentoMLContainer.model_store.set(ModelStore(folder))
    yield folder
    BentoMLContainer.model_store_dir.reset()
    BentoMLContainer.model_store.reset()


@pytest.fixture
def unserved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The profile sdxl as if its base model were of a class that no family serves, FluxInpaintPipeline."""
    folder = tmp_path / "manifests"
    shutil.copytree(manifest.MANIFESTS, folder)
    text = (folder / "sdxl.yaml").read_text()
    (folder / "sdxl.yaml").write_text(text.replace("StableDiffusionXLInpaint", "FluxInpaint"))
    monkeypatch.setattr(manifest, "MANIFESTS", folder)
    manifest.load_manifest.cache_clear()
    yield
    manifest.load_manifest.cache_clear()
