"""The importer as a user runs it: from nothing, twice, several at once, killed."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from composition.config import ModelsConfig
from models_store.manifest import load_manifest
from models_store.store import ModelSet

REPOSITORY = Path(__file__).parents[3]
ROLES = tuple(load_manifest("tiny").models)
BUILD_LIMIT_S = 60.0
REPEAT_LIMIT_S = 1.0
SIZE_LIMIT_BYTES = 15_000_000
TIMEOUT_S = 240.0


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "models_store", *arguments]


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "BENTOML_HOME": str(home), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command(*arguments), cwd=REPOSITORY, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def run(home: Path, *arguments: str) -> tuple[int, str]:
    """Exit status, and what it said."""
    process = start(home, *arguments)
    out, err = process.communicate(timeout=TIMEOUT_S)
    return process.returncode, out + err


def processor_time_s() -> float:
    """What the processes that have ended took of a processor; unlike the time on the wall it knows no neighbours."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def imported_entries(home: Path) -> list[Path]:
    """Entries that a reader would take for imported."""
    return sorted(path.parent for path in home.glob("models/*/*/model.yaml"))


@pytest.fixture(scope="module")
def fresh_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model store into which this module has imported tiny, within the promised time."""
    home = tmp_path_factory.mktemp("fresh")
    began_s = processor_time_s()
    status, said = run(home, "import", "tiny")
    assert (status, said.strip().splitlines()[-1]) == (0, f"tiny: {len(ROLES)} models imported, 0 were there")
    assert processor_time_s() - began_s < BUILD_LIMIT_S
    return home


def test_every_model_is_imported_and_small(fresh_home: Path) -> None:
    entries = imported_entries(fresh_home)
    assert len(entries) == len(ROLES)
    assert sum(path.stat().st_size for path in fresh_home.rglob("*") if path.is_file()) < SIZE_LIMIT_BYTES


def test_the_second_import_does_nothing_at_once(fresh_home: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in fresh_home.rglob("*") if path.is_file()}
    began_s = processor_time_s()
    status, said = run(fresh_home, "import", "tiny")
    assert processor_time_s() - began_s < REPEAT_LIMIT_S
    assert (status, said.strip()) == (0, f"tiny: 0 models imported, {len(ROLES)} were there")
    assert {path: path.stat().st_mtime_ns for path in fresh_home.rglob("*") if path.is_file()} == before


def test_every_model_verifies_loads_and_runs(fresh_home: Path) -> None:
    status, said = run(fresh_home, "verify", "tiny")
    lines = [line for line in said.splitlines() if line.startswith(("ok", "FAILED"))]
    assert [line.split()[:2] for line in lines] == [["ok", role] for role in ROLES]
    assert status == 0


def test_a_damaged_file_fails_verification(fresh_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    subprocess.run(["cp", "-r", str(fresh_home), str(home)], check=True)
    (network,) = home.glob("models/composition-tiny-yolox/*/yolox_l.onnx")
    content = bytearray(network.read_bytes())
    content[len(content) // 2] ^= 1
    network.write_bytes(content)
    status, said = run(home, "verify", "tiny", "--files")
    failed = [line for line in said.splitlines() if line.startswith("FAILED")]
    assert status == 1
    assert [line.split(maxsplit=2)[1:] for line in failed] == [["yolox", "yolox_l.onnx is not what was imported"]]


def test_a_killed_importer_leaves_whole_entries_and_a_waiting_one_finishes(tmp_path: Path, fresh_home: Path) -> None:
    first = start(tmp_path, "import", "tiny")
    wait_for_entries(tmp_path, 1, first)
    waiting = [start(tmp_path, "import", "tiny") for _ in range(2)]
    wait_for_entries(tmp_path, 3, first)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    said = [process.communicate(timeout=TIMEOUT_S) for process in waiting]
    assert [process.returncode for process in waiting] == [0, 0], said
    imported = sorted(int(out.splitlines()[-1].split()[1]) for out, _ in said)
    assert imported[0] == 0, "the second one of those that waited finds all done"
    assert 0 < imported[1] <= len(ROLES) - 3, "what the killed one had finished is kept"
    entries = imported_entries(tmp_path)
    assert len(entries) == len(ROLES)
    for entry in entries:
        assert contents(entry) == contents(fresh_home / entry.relative_to(tmp_path))


def wait_for_entries(home: Path, count: int, importer: subprocess.Popen[str]) -> None:
    """Until an importer, which must not end before, has published so many models."""
    deadline = time.monotonic() + TIMEOUT_S
    while len(imported_entries(home)) < count:
        assert time.monotonic() < deadline
        with pytest.raises(subprocess.TimeoutExpired):
            importer.wait(timeout=0.02)


def contents(entry: Path) -> dict[str, bytes]:
    """Every weight and settings file; BentoML's metadata has the time of creation in it."""
    files = (path for path in entry.rglob("*") if path.is_file() and path.name != "model.yaml")
    return {path.relative_to(entry).as_posix(): path.read_bytes() for path in files}


KILLED_AT_RENAME = """
import os, pathlib, signal, sys
from models_store.entries import exclusive, publish
countdown = int(sys.argv[1])
rename = pathlib.Path.rename
def dying_rename(self, target):
    global countdown
    countdown -= 1
    if countdown < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)
pathlib.Path.rename = dying_rename
with exclusive() as staging:
    content = staging / "content"
    content.mkdir()
    for name in ("a", "b"):
        (content / name).write_text(name)
    publish("composition-test:v1", content, staging, {})
"""


@pytest.mark.parametrize("renames", range(4))
def test_a_writer_killed_at_any_rename_leaves_all_or_nothing(tmp_path: Path, renames: int) -> None:
    environment = {**os.environ, "BENTOML_HOME": str(tmp_path), "BENTOML_DO_NOT_TRACK": "True"}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_AT_RENAME, str(renames)], cwd=REPOSITORY, env=environment, check=False
    )
    entries = imported_entries(tmp_path)
    if renames < 3:  # two files, then the entry itself
        assert killed.returncode == -signal.SIGKILL
        assert entries == []
    else:
        assert killed.returncode == 0
        (entry,) = entries
        assert contents(entry) == {"a": b"a", "b": b"b"}


def test_a_hub_profile_without_the_hub_is_refused_at_once(tmp_path: Path) -> None:
    status, said = run(tmp_path, "import", "sd15")
    assert status == 1
    assert "stable-diffusion-v1-5/stable-diffusion-inpainting cannot be downloaded" in said
    assert "HF_HUB_OFFLINE" in said
    assert imported_entries(tmp_path) == []


def test_the_fixture_gives_the_models_that_the_manifest_names(tiny_models: ModelSet) -> None:
    assert tiny_models.roles == ROLES
    assert tiny_models.missing == ()
    assert tiny_models.native_size == 256
    assert ModelSet(ModelsConfig(profile="tiny")).path("clip") == tiny_models.path("clip")
