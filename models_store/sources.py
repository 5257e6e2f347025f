"""Where a model's files come from: **build**, **copy** or **download** into a folder, for the importer to publish.

The hub is the only place that the product fetches weights from.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from models_store.archive import Unusable, take
from models_store.entries import files_of, record, working_folder
from models_store.hub import fetch, find_commit, list_files
from models_store.manifest import Manifest, Model, Source
from models_store.pipelines import pipeline_class
from models_store.progress import watched
from models_store.soundness import find_fault, missing_shards

SHIPPED = Path(__file__).parents[1] / "demo_models" / "weights"
_GIGABYTE = 1_000_000_000


class ImportRefused(Exception):
    """A profile cannot be imported; the message says why and what to do."""


class BrokenFile(ImportRefused):
    """One file is not what it should be.

    Attributes:
        path: of it, in its repository.
    """

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True, kw_only=True)
class Content:
    """A model's files, complete and checked: all that is in `folder`. `revision` is a commit where there is one."""

    folder: Path
    revision: str


def obtain(
    manifest: Manifest, role: str, folder: Path, *, shipped: Path = SHIPPED, origin: Path | None = None
) -> Content:
    """Get a role's files; those that are made here go into `folder`, which is empty and on the store's file system.

    `origin` is an archive or a folder (`models_store.archive`) to take them from, wherever the profile's come from.

    Raises:
        ImportRefused: the files cannot be had, or are not what the manifest says.
    """
    model = manifest.models[role]
    if origin is not None:
        try:
            take(origin, model, folder)
        except Unusable as error:
            raise ImportRefused(str(error)) from error
        require_sound(model, folder)
        return Content(folder=folder, revision=model.revision)
    if manifest.source is Source.HUB:
        return download(model)
    if manifest.source is Source.BUILD:
        from models_store.tiny.build import build_role

        build_role(manifest.profile, role, folder)
    else:
        _copy_shipped(manifest.profile, model, shipped, folder)
    require_sound(model, folder)
    return Content(folder=folder, revision=model.revision)


def require_sound(model: Model, folder: Path) -> None:
    """Raises: ImportRefused when a required file is missing, or any file is not what it should be."""
    present = files_of(folder)
    if absent := [path for path in model.required if path not in present]:
        raise ImportRefused(f"{model.repository} ({model.revision}) lacks {', '.join(absent)}")
    for path in present:
        expected = model.sha256.get(path)
        if expected and (actual := record(folder / path).sha256) != expected:
            raise BrokenFile(f"{model.repository}: {path} has SHA-256 {actual}, {expected} is expected", path)
        if not expected and (fault := find_fault(folder / path)):
            raise BrokenFile(f"{model.repository}: {path} {fault}", path)
    if absent := missing_shards(folder):
        raise ImportRefused(f"{model.repository} ({model.revision}) lacks {', '.join(absent)}, which its index names")
    _require_pipeline(model, folder)


def _require_pipeline(model: Model, folder: Path) -> None:
    """Raises: ImportRefused when a diffusion pipeline is of another class than its role's."""
    if model.pipeline_class and (found := pipeline_class(folder)) != model.pipeline_class:
        kind = f"a {found}" if found else "no diffusion pipeline"
        raise ImportRefused(f"{model.repository} ({model.revision}) is {kind}; {model.pipeline_class} is wanted here")


def _copy_shipped(profile: str, model: Model, shipped: Path, folder: Path) -> None:
    origin = shipped / model.repository
    if not origin.is_dir():
        raise ImportRefused(
            f"the weights of profile {profile} are not here: there is no {origin}. They come with the source code, and "
            f"a Bento has only the models of the profile that it was built for: import {profile} where the source code "
            f"is, or use profile tiny (random weights), or sd15 (from the model hub)."
        )
    for path in files_of(origin):
        if not any(fnmatch(path, pattern) for pattern in model.files):
            continue
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(origin / path, target)


def download(model: Model) -> Content:
    """Fetch a repository's files from the hub, a pipeline's class first; an interrupted download goes on where it was.

    Raises:
        ImportRefused: the hub cannot be reached or does not have them, the disk is too small, a file is broken, or a
            pipeline is of another class.
    """
    from huggingface_hub.errors import RepositoryNotFoundError
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    disable_progress_bars()  # one line with rate and time left instead of one bar per file
    try:
        commit = find_commit(model.repository, model.revision)
        folder = _download_folder(model, commit)
        _require_room(model, folder)
        digests = list_files(model.repository, commit)
        wanted = [path for path in digests if any(fnmatch(path, pattern) for pattern in model.files)]
        if model.pipeline_class:
            fetch(model.repository, commit, [path for path in wanted if path == "model_index.json"], folder)
            _require_pipeline(model, folder)
        with watched(model.repository, folder, model.size_bytes):
            fetch(model.repository, commit, wanted, folder)
    except ImportRefused:
        raise
    except RepositoryNotFoundError as error:
        raise ImportRefused(f"the model hub has no repository {model.repository} for you: {error}") from error
    except Exception as error:  # its own, the system's and those of its HTTP library
        raise ImportRefused(
            f"{model.repository} cannot be downloaded ({type(error).__name__}: {error}). Importing it needs "
            f"the model hub (is HF_HUB_OFFLINE set?); profile tiny is built without it."
        ) from error
    known = {path: digest for path, digest in digests.items() if digest is not None}
    try:
        require_sound(model.model_copy(update={"sha256": {**known, **model.sha256}}), folder)
    except BrokenFile as error:
        (folder / error.path).unlink()  # it would be taken for downloaded the next time
        raise
    return Content(folder=folder, revision=commit)


def _download_folder(model: Model, commit: str) -> Path:
    """Where this commit's files gather; what an earlier import left of another one is removed, not continued."""
    downloads = working_folder() / "downloads"
    name = f"{model.repository.replace('/', '--')}-{model.digest}"
    folder = downloads / f"{name}-{commit[:12]}"
    for other in downloads.glob(f"{name}*"):
        if other != folder:
            shutil.rmtree(other)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _require_room(model: Model, folder: Path) -> None:
    held = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    free = shutil.disk_usage(folder).free
    if free < model.size_bytes - held:
        need = (model.size_bytes - held) / _GIGABYTE
        raise ImportRefused(f"{model.repository} needs {need:.1f} GB in {folder}, {free / _GIGABYTE:.1f} GB are free")
