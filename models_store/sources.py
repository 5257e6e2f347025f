"""Where a model's files come from: **build**, **copy** or **download** into a folder, for the importer to publish.

The hub download is the only place of the whole product that fetches weights.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from models_store.archive import Unusable, take
from models_store.entries import files_of, record, working_folder
from models_store.manifest import Manifest, Model, Source
from models_store.pipelines import pipeline_class
from models_store.progress import watched
from models_store.soundness import find_fault, missing_shards

SHIPPED = Path(__file__).parents[1] / "demo_models" / "weights"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_GIGABYTE = 1_000_000_000


class ImportRefused(Exception):
    """A profile cannot be imported; the message says why and what to do."""


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
            raise ImportRefused(f"{model.repository}: {path} has SHA-256 {actual}, the manifest says {expected}")
        if not expected and (fault := find_fault(folder / path)):
            raise ImportRefused(f"{model.repository}: {path} {fault}")
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
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    folder = working_folder() / "downloads" / f"{model.repository.replace('/', '--')}-{model.digest}"
    folder.mkdir(parents=True, exist_ok=True)
    _require_room(model, folder)
    try:
        commit = model.revision
        if not _COMMIT.fullmatch(commit):
            commit = HfApi().model_info(model.repository, revision=model.revision).sha or model.revision
        if model.pipeline_class:
            snapshot_download(model.repository, revision=commit, allow_patterns=["model_index.json"], local_dir=folder)
            _require_pipeline(model, folder)
        disable_progress_bars()  # one line with rate and time left instead of one bar per file
        with watched(model.repository, folder, model.size_bytes):
            snapshot_download(model.repository, revision=commit, allow_patterns=list(model.files), local_dir=folder)
        digests = _hub_digests(model, commit)
    except ImportRefused:
        raise
    except RepositoryNotFoundError as error:
        raise ImportRefused(f"the model hub has no repository {model.repository} for you: {error}") from error
    except Exception as error:  # its own, the system's and those of its HTTP library
        raise ImportRefused(
            f"{model.repository} cannot be downloaded ({type(error).__name__}: {error}). Importing it needs "
            f"the model hub (is HF_HUB_OFFLINE set?); profile tiny is built without it."
        ) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    try:
        require_sound(model.model_copy(update={"sha256": {**digests, **model.sha256}}), folder)
    except ImportRefused:
        shutil.rmtree(folder)  # what is broken now would be taken for downloaded the next time
        raise
    return Content(folder=folder, revision=commit)


def _hub_digests(model: Model, commit: str) -> dict[str, str]:
    """SHA-256 by path of what the hub keeps as large files: it is their name there. Mirrors may know none."""
    from huggingface_hub import HfApi

    siblings = HfApi().model_info(model.repository, revision=commit, files_metadata=True).siblings or ()
    return {one.rfilename: one.lfs.sha256 for one in siblings if one.lfs is not None}


def _require_room(model: Model, folder: Path) -> None:
    held = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    free = shutil.disk_usage(folder).free
    if free < model.size_bytes - held:
        need = (model.size_bytes - held) / _GIGABYTE
        raise ImportRefused(f"{model.repository} needs {need:.1f} GB in {folder}, {free / _GIGABYTE:.1f} GB are free")
