"""What make runs: which profile, which model store, and where the network may be used. Programs are stand-ins."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WATCHED = ("COMPOSITION_MODELS__PROFILE", "HF_HUB_OFFLINE", "BENTOML_HOME")
OUTER = (*WATCHED, "PROFILE", "PORT", "MAKEFLAGS", "MFLAGS", "MAKELEVEL")
PROGRAM = """#!/bin/sh
for name in {watched}; do
  eval "value=\\${{$name-unset}}"
  printf '%s=%s ' "$name" "$value" >> run.log
done
echo "$(basename "$0") $*" >> run.log
""".format(watched=" ".join(WATCHED))


@pytest.fixture
def checkout(tmp_path):
    """The Makefile beside programs that only write down how they were called."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.lock").touch()
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "bentoml"):
        (programs / name).write_text(PROGRAM)
        (programs / name).chmod(0o755)
    (tmp_path / ".venv" / ".ready").touch()
    return tmp_path


def make(checkout: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in OUTER}
    command, environment = ["make", *arguments], {**environment, **variables}
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)


def runs(checkout: Path) -> list[tuple[dict[str, str], str]]:
    """Of each program that make started: the watched variables, and the command."""
    found = []
    for line in (checkout / "run.log").read_text().splitlines():
        words = line.split(" ", len(WATCHED))
        found.append((dict(word.split("=", 1) for word in words[:-1]), words[-1]))
    return found


@pytest.mark.parametrize(
    ("arguments", "variables", "profile"),
    [
        (["PROFILE=sd15"], {}, "sd15"),
        ([], {"PROFILE": "sd15"}, "sd15"),
        ([], {"COMPOSITION_MODELS__PROFILE": "sd15"}, "sd15"),
        (["PROFILE=sd15"], {"COMPOSITION_MODELS__PROFILE": "sd15"}, "sd15"),
        ([], {}, "unset"),
    ],
    ids=["argument", "exported PROFILE", "exported setting", "both alike", "the configuration's"],
)
def test_the_profile_that_is_asked_for_is_imported_and_served(checkout, arguments, variables, profile):
    done = make(checkout, "serve", *arguments, **variables)
    assert done.returncode == 0, done.stderr
    (importing, imported), (serving, served) = runs(checkout)
    assert imported == "python -m models_store import"
    assert served.startswith("bentoml serve service:ImageComposition ")
    assert importing["COMPOSITION_MODELS__PROFILE"] == serving["COMPOSITION_MODELS__PROFILE"] == profile


@pytest.mark.parametrize("target", ["serve", "models", "demo", "build", "footprint"])
def test_two_profiles_at_once_are_refused_in_one_line(checkout, target):
    done = make(checkout, target, "PROFILE=sdxl", COMPOSITION_MODELS__PROFILE="sd15")
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert "PROFILE=sdxl contradicts COMPOSITION_MODELS__PROFILE=sd15" in line
    assert not (checkout / "run.log").exists()


@pytest.mark.parametrize("target", ["serve", "demo", "build", "footprint", "test"])
def test_only_imports_may_use_the_network(checkout, target):
    assert make(checkout, target).returncode == 0
    *imports, (used, command) = runs(checkout)
    assert all(" import" in command for _, command in imports)
    assert {variables["HF_HUB_OFFLINE"] for variables, _ in imports} == {"unset"}
    assert used["HF_HUB_OFFLINE"] == "1", command


def test_who_forbids_the_network_forbids_it_to_imports_too(checkout):
    make(checkout, "models", HF_HUB_OFFLINE="1")
    assert [variables["HF_HUB_OFFLINE"] for variables, _ in runs(checkout)] == ["1"]


@pytest.mark.parametrize("home", [None, "/srv/models"])
def test_every_step_uses_one_model_store_and_never_the_users_own_unasked(checkout, home):
    make(checkout, "serve", **({"BENTOML_HOME": home} if home else {}))
    assert {variables["BENTOML_HOME"] for variables, _ in runs(checkout)} == {home or str(checkout / ".bentoml")}


def test_the_port_can_be_chosen(checkout):
    done = make(checkout, "serve", PORT="9000")
    assert "http://127.0.0.1:9000/," in done.stdout
    assert runs(checkout)[-1][1].endswith("--host 127.0.0.1 --port 9000")


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ([], "train --all"),
        (["MINUTES=2"], "train --all --minutes 2"),
        (["MINUTES=2", "SCENES=500"], "train --all --minutes 2 --scenes 500"),
    ],
    ids=["what the recipes ask for", "a time", "a time and a number of scenes"],
)
def test_the_demo_models_are_trained_as_long_and_on_as_much_as_is_said(checkout, arguments, command):
    done = make(checkout, "train-demo", *arguments)
    assert done.returncode == 0, done.stderr
    ((_, started),) = runs(checkout)
    assert started.split() == ["python", "-m", "demo_models.recipes", *command.split()]
