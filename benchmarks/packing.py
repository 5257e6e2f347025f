"""Bentos for the tests and the commands that show how one is shipped: built, exported, imported, unpacked, served."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import yaml

from benchmarks.chaos_targets import wait_until_it_answers
from benchmarks.server import ROOT, family_of, free_port, kill_all

BENTOML = (sys.executable, "-m", "bentoml")
NAME = "image-composition"
NEVER_PACKED = (
    "benchmarks",
    "demo_models",
    "release",
    "tests",
    "docs",
    "clients",
    "examples",
    "page/src",
    "page/tests",
)
"""What trains, measures, checks or explains the service, as paths in a Bento's source."""
OF_THE_SOURCE = ("PYTHONPATH", "BENTOML_HOME", "VIRTUAL_ENV")
STOP_LIMIT_S = 600.0
IMAGE_UID = 1034
"""BentoML's user in an image."""


def build_bento(profile: str, version: str) -> str:
    """Build one of the source with a profile's models, in the model store that is configured; its tag."""
    environment = {**os.environ, "COMPOSITION_MODELS__PROFILE": profile}
    _bentoml("build", "--version", version, environment=environment, cwd=ROOT)
    return f"{NAME}:{version}"


def export_bento(tag: str, archive: Path) -> None:
    """With its models, to one file."""
    _bentoml("export", tag, str(archive))


def import_bento(archive: Path, home: Path) -> None:
    """Into another store, which is made."""
    _bentoml("import", str(archive), environment={**os.environ, "BENTOML_HOME": str(home)})


def delete_bento(tag: str) -> None:
    """Out of the store that is configured; its models stay."""
    _bentoml("delete", "-y", tag)


def unpack_bento(archive: Path, folder: Path) -> Path:
    """As an image has it; the folder."""
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return folder


def packed_development_files(bento: Path) -> list[str]:
    """Files of a Bento's source that serve no request."""
    source = bento / "src"
    found = (str(path.relative_to(source)) for path in source.rglob("*") if path.is_file())
    return sorted(path for path in found if path.startswith(tuple(f"{folder}/" for folder in NEVER_PACKED)))


def files_that_hold(folder: Path, secrets: Sequence[bytes]) -> list[str]:
    """Files with any of the byte strings in them."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and any(secret in path.read_bytes() for secret in secrets)
    )


def profile_of(bento: Path) -> str | None:
    """The model profile that a Bento says it was built with."""
    facts = yaml.safe_load((bento / "bento.yaml").read_text(encoding="utf-8"))
    values: Iterator[str] = (e["value"] for e in facts["envs"] if e["name"] == "COMPOSITION_MODELS__PROFILE")
    return next(values, None)


def environment_of_an_image(bento: Path, *, home: Path) -> dict[str, str]:
    """The variables of the image, without anything of ours; `home` is the user's.

    But for the number of threads, which the last bit of a painted image hangs on.
    """
    return {
        **{name: os.environ[name] for name in ("OMP_NUM_THREADS",) if name in os.environ},
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "BENTO_PATH": str(bento),
        "BENTOML_HOME": f"{home}/",
        "BENTOML_CONTAINERIZED": "true",
        "BENTOML_DO_NOT_TRACK": "True",
        "HF_HUB_OFFLINE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def environment_of_a_store(home: Path, *, state: Path) -> dict[str, str]:
    """Who serves by tag from the store `home`, keeping jobs in `state`; nothing of a checkout is to be found."""
    kept = {name: value for name, value in os.environ.items() if name not in OF_THE_SOURCE}
    without = {name: value for name, value in kept.items() if not name.startswith("COMPOSITION_")}
    return {
        **without,
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        "HF_HUB_OFFLINE": "1",
        "COMPOSITION_STORAGE__FOLDER": str(state),
    }


class ServedBento:
    """`bentoml serve` of a tag or of a folder, on 127.0.0.1, from a working folder that has no source."""

    def __init__(self, bento: str, *, environment: Mapping[str, str], cwd: Path, log: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.healthy_after_s = 0.0
        self._command = [*BENTOML, "serve", bento, "--host", "127.0.0.1", "--port", str(port)]
        self._environment = dict(environment)
        self._cwd = cwd
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ServedBento:
        began = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._cwd, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        try:
            wait_until_it_answers(self.url)
        except BaseException:
            self._kill()
            raise
        self.healthy_after_s = time.monotonic() - began
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_LIMIT_S)
        finally:
            self._kill()

    def _kill(self) -> None:
        if self._process is not None:
            kill_all(family_of(self._process))
            self._process.wait()


def _bentoml(*arguments: str, environment: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
    done = subprocess.run([*BENTOML, *arguments], env=environment, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"bentoml {' '.join(arguments)}: status {done.returncode}\n{done.stdout}{done.stderr}")
