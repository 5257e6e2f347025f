"""Where a model's files come from: **build**, **copy** or **download** into a folder, for the importer to publish.

The hub download is the only place of the whole product that fetches weights.
"""

from __future__ import annotations

import shutil
from fnmatch import fnmatch
from pathlib import Path

from models_store.entries import files_of, working_folder
from models_store.manifest import Manifest, Model, Source

SHIPPED = Path(__file__).parent / "demo" / "weights"


class ImportRefused(Exception):
    """A profile cannot be imported; the message says why and what to do."""


def obtain(manifest: Manifest, role: str, folder: Path, *, shipped: Path = SHIPPED) -> Path:
    """Put a role's files below a folder.

    Args:
        manifest: the profile's manifest.
        role: one of its models.
        folder: an empty folder for files that are made here.
        shipped: where a shipped profile's repositories are, as `org/name/...`.

    Returns:
        The folder that holds exactly the files to publish; on the same file system as `folder`.

    Raises:
        ImportRefused: the files cannot be had, or are not what the manifest says.
    """
    model = manifest.models[role]
    if manifest.source is Source.BUILD:
        from models_store.tiny.build import build_role

        build_role(role, folder)
    elif manifest.source is Source.SHIPPED:
        _copy_shipped(manifest.profile, model, shipped, folder)
    else:
        folder = download(model)
    require_complete(model, folder)
    return folder


def require_complete(model: Model, folder: Path) -> None:
    """Raises: ImportRefused when a required file is not below `folder`."""
    present = set(files_of(folder))
    if absent := [path for path in model.required if path not in present]:
        raise ImportRefused(f"{model.repository} ({model.revision}) lacks {', '.join(absent)}")


def _copy_shipped(profile: str, model: Model, shipped: Path, folder: Path) -> None:
    origin = shipped / model.repository
    if not origin.is_dir():
        raise ImportRefused(
            f"the weights of profile {profile!r} are not shipped yet: {origin} does not exist. "
            f"Use profile tiny (random weights), or sd15 or sdxl (from the model hub)."
        )
    for path in files_of(origin):
        if not any(fnmatch(path, pattern) for pattern in model.files):
            continue
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(origin / path, target)


def download(model: Model) -> Path:
    """Fetch a repository's files from the hub; an interrupted download resumes where it stopped.

    Raises:
        ImportRefused: the hub cannot be reached, or does not have them.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    folder = working_folder() / "downloads" / f"{model.repository.replace('/', '--')}-{model.digest}"
    try:
        snapshot_download(model.repository, revision=model.revision, allow_patterns=list(model.files), local_dir=folder)
    except RepositoryNotFoundError as error:
        raise ImportRefused(f"the model hub has no repository {model.repository} for you: {error}") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ImportRefused(
            f"{model.repository} cannot be downloaded ({type(error).__name__}: {error}). Importing this profile needs "
            f"the model hub (is HF_HUB_OFFLINE set?); profile tiny is built without it."
        ) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    return folder
