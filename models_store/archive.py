"""Models for a machine without a network: a profile as one file, or a folder in the hub's layout.

store -> **export** -> archive -> import. Inside, as on the hub, a folder `org/name` per repository, and
`revisions.json` with the revision that each came from.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path

from models_store.entries import files_of
from models_store.manifest import Model

REVISIONS = "revisions.json"


class Unusable(Exception):
    """A folder or an archive does not have what is asked of it; the message says what."""


def export(models: Mapping[str, tuple[Model, Path]], target: Path) -> int:
    """Write roles' files into a new archive (tar); how many files that are.

    Raises: OSError. What is written until then is removed.
    """
    unfinished = target.with_name(target.name + ".unfinished")
    written: set[str] = set()
    try:
        with tarfile.open(unfinished, "w") as archive:
            for model, folder in models.values():
                for path in files_of(folder):
                    name = f"{model.repository}/{path}"
                    if name not in written:
                        archive.add(folder / path, arcname=name)
                        written.add(name)
            revisions = {model.repository: model.revision for model, _ in models.values()}
            content = json.dumps(revisions, indent=2).encode()
            about = tarfile.TarInfo(REVISIONS)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return len(written)


def take(origin: Path, model: Model, folder: Path) -> None:
    """Copy a model's files from an archive or a folder into `folder`.

    Raises: Unusable: they are not there, or of another revision.
    """
    if origin.is_dir():
        _take_from_folder(origin, model, folder)
    elif origin.is_file():
        _take_from_archive(origin, model, folder)
    else:
        raise Unusable(f"there is no {origin}")


def _take_from_folder(origin: Path, model: Model, folder: Path) -> None:
    repository = origin / model.repository
    if not repository.is_dir():
        raise Unusable(f"{origin} has no {model.repository}")
    told = origin / REVISIONS
    if told.is_file():
        _require_revision(told.read_bytes(), origin, model)
    for path in files_of(repository):
        if _wanted(path, model):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(repository / path, target)


def _take_from_archive(origin: Path, model: Model, folder: Path) -> None:
    found = False
    try:
        with tarfile.open(origin) as archive:
            for member in archive:
                if member.name == REVISIONS and (told := archive.extractfile(member)):
                    _require_revision(told.read(), origin, model)
                path = member.name.removeprefix(f"{model.repository}/")
                if path == member.name or not member.isfile() or not _wanted(path, model):
                    continue
                found = True
                # The filter refuses paths that lead out of the folder, links and devices.
                archive.extract(member.replace(name=path), folder, filter="data")
    except (tarfile.TarError, EOFError) as error:
        raise Unusable(f"{origin} is no archive of models, or a broken one: {error}") from error
    if not found:
        raise Unusable(f"{origin} has no {model.repository}")


def _wanted(path: str, model: Model) -> bool:
    return any(fnmatch(path, pattern) for pattern in model.files)


def _require_revision(told: bytes, origin: Path, model: Model) -> None:
    try:
        revision = json.loads(told).get(model.repository, model.revision)
    except (ValueError, AttributeError) as error:
        raise Unusable(f"{origin}: {REVISIONS} cannot be read") from error
    if revision != model.revision:
        raise Unusable(f"{origin} has {model.repository} at revision {revision}; {model.revision} is wanted")
