"""The Dockerfile as BentoML makes it from bentofile.yaml: who runs what, where, and what is left behind."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
from pathlib import Path

import pytest
import yaml
from bentoml._internal.bento.build_config import CondaOptions, DockerOptions
from bentoml._internal.container import generate
from packaging.requirements import Requirement

from composition.config import Config
from tests.unit.deploy.documents import DEPLOY, ROOT

BENTO = "/home/bentoml/bento"


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, list[tuple[str, str]]]:
    """Instructions by stage, continued lines joined."""
    monkeypatch.chdir(ROOT)  # BentoML looks for templates nowhere else
    bentofile = yaml.safe_load((ROOT / "bentofile.yaml").read_text(encoding="utf-8"))
    docker = DockerOptions(**bentofile["docker"])
    text = generate.generate_containerfile(docker, str(ROOT), conda=CondaOptions(), bento_fs=tmp_path)
    found: dict[str, list[tuple[str, str]]] = {"": []}
    lines = re.sub(r"\\\n", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    for line in filter(str.strip, lines):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            found[rest.rpartition(" ")[2]] = []
        found[list(found)[-1]].append((name, " ".join(rest.split())))
    return found


def the(stages, name, stage="service"):
    (value,) = [rest for instruction, rest in stages[stage] if instruction == name]
    return value


def test_the_base_can_be_chosen_and_has_the_python_of_the_lock(stages):
    assert stages[""] == [("ARG", "BASE_IMAGE=python:3.11-slim-bookworm")]
    assert stages["service"][0] == ("FROM", "${BASE_IMAGE} AS service")
    assert sys.version_info[:2] == (3, 11)


def test_nothing_is_installed_in_what_is_shipped_but_a_compiler_that_was_asked_for(stages):
    (command,) = [rest for name, rest in stages["service"] if name == "RUN"]
    installing, rest = command.split("fi;")
    assert installing.startswith('if [ -n "${COMPILE}" ]; then apt-get update')
    assert not re.search(r"apt|pip|uv |curl|wget", rest)
    assert all(rest.startswith("--from=") for name, rest in stages["service"] if name == "COPY")
    assert list(stages)[-1] == "service"


def test_it_runs_as_bentomls_user_from_the_last_word_on(stages):
    names = [name for name, _ in stages["service"]]
    assert the(stages, "USER") == generate.BENTO_USER
    assert names.index("USER") > max(n for n, name in enumerate(names) if name in ("RUN", "COPY"))
    (command,) = [rest for name, rest in stages["service"] if name == "RUN"]
    assert f"bentoml:x:{generate.BENTO_UID_GID}:{generate.BENTO_UID_GID}::/home/bentoml/:/usr/sbin/nologin" in command
    assert "install -d -m 700 -o 1034 -g 1034 /var/lib/image-composition" in command


def test_it_starts_what_bentoml_would(stages):
    assert the(stages, "ENTRYPOINT") == f'["{BENTO}/env/docker/entrypoint.sh"]'
    assert the(stages, "CMD") == '["serve"]'
    assert the(stages, "WORKDIR") == f"{BENTO}/src"
    assert the(stages, "STOPSIGNAL") == "SIGTERM"


def test_it_says_where_it_listens_and_what_it_keeps(stages):
    assert the(stages, "EXPOSE") == str(Config().api.port)
    assert the(stages, "VOLUME") == "/var/lib/image-composition"
    assert "COMPOSITION_STORAGE__FOLDER=/var/lib/image-composition" in the(stages, "ENV")
    assert "BENTOML_HOME=/home/bentoml/" in the(stages, "ENV")


def test_it_asks_itself_how_it_is(stages):
    options, _, command = the(stages, "HEALTHCHECK").partition(" CMD ")
    assert "--start-period=300s" in options
    assert command == '["python", "-m", "api.probe"]'
    assert all(importlib.util.find_spec(name) for name in ("api.probe", "jobs.probe"))


def test_it_is_labelled(stages):
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', the(stages, "LABEL")))
    assert labels["title"] == "image-composition"
    assert labels["licenses"] == "Apache-2.0"
    assert (labels["version"], labels["revision"]) == ("${VERSION}", "${REVISION}")


def test_torch_is_a_layer_of_its_own_and_the_source_is_the_last(stages):
    copied = [rest for name, rest in stages["service"] if name == "COPY"]
    assert copied == [
        "--from=packages /heavy/ /app/.venv/",
        "--from=packages /app/ /app/",
        f"--from=bento /models/ {BENTO}/",
        f"--from=bento {BENTO} {BENTO}",
    ]


def test_what_builds_the_image_is_not_in_it(stages):
    command = the(stages, "RUN", "bento")
    assert f"rm -rf {BENTO}/src/deploy" in command
    assert "chmod -R a+rX,go-w" in command


def test_what_a_cpu_image_leaves_out_is_what_only_torchs_cuda_build_needs():
    script = (DEPLOY / "install_packages.sh").read_text(encoding="utf-8")
    pattern = re.compile(re.search(r"^only_cuda='(.+)'$", script, re.MULTILINE)[1])
    pins = re.findall(r"^([a-z0-9._-]+)==", (DEPLOY / "requirements.txt").read_text(), re.MULTILINE)
    left_out = {name for name in pins if pattern.match(f"{name}==1")}
    with_torch = needed_by([name for name in pins if name not in left_out], set(pins), without={"torch", "torchvision"})
    linux_only = {r.name for r in requirements("torch") if r.marker and "Linux" in str(r.marker)}
    assert linux_only & set(pins) <= left_out
    assert left_out & with_torch == set()


def needed_by(names: list[str], pins: set[str], *, without: set[str]) -> set[str]:
    """What the packages ask for, themselves not counted."""
    return {r.name for name in names if name not in without for r in requirements(name) if r.name in pins}


def requirements(name: str) -> list[Requirement]:
    try:
        texts = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    found = [Requirement(text) for text in texts]
    return [r for r in found if "extra" not in str(r.marker or "")]
