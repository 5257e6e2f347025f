from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from composition.config import Config, ConfigError, load_config
from composition.config.bento import bento_around, bento_of, packed_models, packed_profile

ROOT = Path(__file__).resolve().parents[4]
BENTO_YAML = """
service: service:ImageComposition
envs:
- name: OTHER
  value: demo
- name: COMPOSITION_MODELS__PROFILE
  value: tiny
"""


@pytest.fixture
def bento(tmp_path: Path) -> Path:
    """Laid out as in an image."""
    folder = tmp_path / "home" / "bentoml" / "bento"
    (folder / "src").mkdir(parents=True)
    (folder / "bento.yaml").write_text(BENTO_YAML)
    return folder


def test_code_knows_the_bento_that_it_is_packed_in(bento: Path) -> None:
    assert bento_of(bento / "src") == bento
    assert bento_of(bento) is None
    (bento / "bento.yaml").unlink()
    assert bento_of(bento / "src") is None


def test_this_checkout_is_no_bento() -> None:
    assert (bento_of(), packed_models(), packed_profile()) == (None, None, None)


def test_the_models_in_the_bento_count_when_there_are_any(bento: Path) -> None:
    assert packed_models(bento / "src") is None
    (bento / "models").mkdir()
    assert packed_models(bento / "src") is None
    (bento / "models" / "composition-tiny-clip").mkdir()
    assert packed_models(bento / "src") == bento / "models"


def test_the_profile_is_the_one_that_the_bento_was_built_with(bento: Path) -> None:
    assert packed_profile(bento / "src") == "tiny"
    (bento / "bento.yaml").write_text("service: service:ImageComposition\n")
    assert packed_profile(bento / "src") is None


def test_a_place_inside_a_bento_is_known_before_anything_is_there(bento: Path) -> None:
    assert bento_around(bento / "src" / "var" / "blobs") == bento
    assert bento_around(bento.parent / "state") is None


def test_the_packed_profile_takes_the_place_of_the_packed_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.yaml").write_text("models: {profile: demo, safety_checker: false}")
    monkeypatch.chdir(tmp_path)
    models = load_config(environment={}, packed="tiny").models
    assert (models.profile, models.safety_checker) == ("tiny", False)
    assert load_config(environment={}, packed=None).models.profile == "demo"


@pytest.mark.parametrize("how", ["variable", "file"])
def test_another_profile_than_the_packed_one_is_refused(tmp_path: Path, how: str) -> None:
    named = tmp_path / "mine.yaml"
    named.write_text("models: {profile: demo}")
    environment = {"variable": {"COMPOSITION_MODELS__PROFILE": "demo"}, "file": {"COMPOSITION_CONFIG": str(named)}}
    with pytest.raises(ConfigError, match=r"models\.profile: this Bento holds the models of tiny, got 'demo'"):
        load_config(environment=environment[how], packed="tiny")


def test_naming_the_packed_profile_is_no_contradiction() -> None:
    config: Config = load_config(environment={"COMPOSITION_MODELS__PROFILE": "tiny"}, packed="tiny")
    assert config.models.profile == "tiny"


def test_a_worker_in_an_image_finds_the_bentos_models(bento: Path) -> None:
    """With the variables of BentoML's Dockerfile, and nobody who redirects BentoML's own store."""
    for package in ("composition", "models_store"):
        shutil.copytree(ROOT / package, bento / "src" / package, ignore=shutil.ignore_patterns("__pycache__"))
    program = """
from composition.config import load_config
from models_store.store import ModelSet
models = ModelSet(load_config().models)
print(models.profile, models.tag("clip"))
print(models.path("clip"))
"""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(bento.parent),
        "BENTO_PATH": str(bento),
        "BENTOML_HOME": f"{bento.parent}/",
        "BENTOML_CONTAINERIZED": "true",
        "BENTOML_DO_NOT_TRACK": "True",
    }
    command = [sys.executable, "-c", program]
    first = subprocess.run(command, cwd=bento / "src", env=environment, capture_output=True, text=True, check=False)
    profile, tag = first.stdout.split()
    assert (profile, "ModelsNotImported" in first.stderr) == ("tiny", True)
    entry = bento / "models" / tag.replace(":", "/")
    entry.mkdir(parents=True)
    (entry / "model.yaml").write_text(
        f"name: {entry.parent.name}\nversion: {entry.name}\nmodule: ''\nlabels: {{}}\noptions: {{}}\nmetadata: {{}}\n"
        "context: {framework_name: '', framework_versions: {}, bentoml_version: 1.4.39, python_version: '3.11'}\n"
        "signatures: {}\napi_version: v1\ncreation_time: '2026-01-01T00:00:00+00:00'\n"
    )
    then = subprocess.run(command, cwd=bento / "src", env=environment, capture_output=True, text=True, check=True)
    assert then.stdout.splitlines()[-1] == str(entry)
