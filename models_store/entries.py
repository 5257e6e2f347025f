"""Entries of the BentoML model store, published whole or not at all.

source -> **publish** -> store. BentoML's own `create` copies file by file into the place that readers look at, which a
kill leaves half done; here an entry is put together in a staging folder on the same file system and renamed into
place. This is the one module that knows BentoML's folders.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bentoml
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.models.model import ModelStore
from filelock import FileLock, Timeout

from composition.config.bento import packed_models

LOCK_TIMEOUT_S = 3600.0
"""A download may hold the lock for long; a builder takes seconds."""
_CHUNK_BYTES = 1 << 20
_METADATA_FILE = "model.yaml"


class StoreLocked(Exception):
    """Another process has been writing to the model store for longer than the time limit."""


@dataclass(frozen=True, kw_only=True)
class FileRecord:
    """What was imported at a path, for verification: size and SHA-256 (hexadecimal)."""

    size_bytes: int
    sha256: str


def model_store_folder() -> Path:
    """Where the models are: `<BENTOML_HOME>/models`, or in the Bento that this code runs from when it holds them.

    An image's Bento does, and a worker there is not started by BentoML, which would have seen to it.
    """
    return packed_models() or Path(BentoMLContainer.model_store.get()._path)


def entry_folder(tag: str) -> Path:
    """Where the entry of `tag` (`name:version`) is or would be."""
    name, version = tag.split(":")
    return model_store_folder() / name / version


def stored_folder(tag: str) -> Path:
    """The files of an entry, of the latest one for `name:latest`. Raises: bentoml.exceptions.NotFound."""
    return Path(ModelStore(model_store_folder()).get(tag).path)


def is_imported(tag: str) -> bool:
    """Whether the entry is there; entries appear by one rename, so one that is there is whole."""
    return (entry_folder(tag) / _METADATA_FILE).is_file()


def files_of(folder: Path) -> tuple[str, ...]:
    """Relative POSIX paths of an entry's files, without BentoML's own metadata file."""
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return tuple(sorted(path for path in paths if path != _METADATA_FILE))


def record(path: Path) -> FileRecord:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return FileRecord(size_bytes=path.stat().st_size, sha256=digest.hexdigest())


def recorded_files(tag: str) -> dict[str, FileRecord]:
    """What the import recorded for each path of an entry. Raises: bentoml.exceptions.NotFound."""
    raw = ModelStore(model_store_folder()).get(tag).info.metadata["files"]
    return {path: FileRecord(size_bytes=item["size_bytes"], sha256=item["sha256"]) for path, item in raw.items()}


def working_folder() -> Path:
    """Beside the models, on the same file system: the lock, staging and unfinished downloads."""
    folder = model_store_folder().parent / ".models_store"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def exclusive() -> Iterator[Path]:
    """Hold the store's writer lock and give an empty staging folder, removed at the end.

    Files that a killed writer left in staging are removed first. The lock is the kernel's: it ends with its process.

    Raises:
        StoreLocked: another writer did not finish in time.
    """
    work = working_folder()
    staging = work / "staging"
    try:
        with FileLock(work / "lock", timeout=LOCK_TIMEOUT_S):
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir()
            try:
                yield staging
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    except Timeout as error:
        raise StoreLocked(f"another process has held {work / 'lock'} for over {LOCK_TIMEOUT_S:.0f} s") from error


def publish(tag: str, content: Path, staging: Path, metadata: Mapping[str, Any]) -> None:
    """Make the files of `content` (moved, not copied) the store entry `tag`, which is not in the store yet.

    The caller holds `exclusive()`, which gave `staging`; `content` is on the store's file system too. The metadata is
    JSON-serialisable; checksums are added under `files`.
    """
    name, version = tag.split(":")
    records = {path: vars(record(content / path)) for path in files_of(content)}
    staged_store = ModelStore(staging / "store")
    with bentoml.models.create(tag, metadata={**metadata, "files": records}, _model_store=staged_store):
        pass  # only the metadata goes through BentoML's copy: the weights are renamed
    staged = staging / "store" / name / version
    for item in content.iterdir():
        item.rename(staged / item.name)
    target = entry_folder(tag)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        shutil.rmtree(target)
    staged.rename(target)
    pointer = staging / "latest"
    pointer.write_text(version, encoding="utf-8")
    pointer.replace(target.parent / "latest")
