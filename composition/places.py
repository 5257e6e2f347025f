"""Where on this machine the service keeps what it is given: outside of any Bento, as a Bento is copied and shipped."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from composition.config.bento import bento_around
from composition.config.loading import ConfigError
from composition.config.tree import StorageConfig

APPLICATION = "image-composition"
OWNER_ONLY = 0o700


def storage_folder(storage: StorageConfig, environment: Mapping[str, str] | None = None) -> Path:
    """`storage.folder`, else the application's own in the user's state folder (XDG); absolute."""
    if storage.folder is not None:
        return Path(storage.folder).expanduser().absolute()
    env = os.environ if environment is None else environment
    state = Path(env.get("XDG_STATE_HOME") or "")
    # A relative one is to be ignored, says the XDG base directory specification.
    return (state if state.is_absolute() else Path.home() / ".local" / "state") / APPLICATION


def jobs_location(storage: StorageConfig) -> str:
    """What `storage.jobs` means. Raises: ConfigError: it lies in a Bento."""
    return _outside_bentos("storage.jobs", storage.jobs or str(storage_folder(storage) / "jobs.sqlite3"))


def blobs_location(storage: StorageConfig) -> str:
    """What `storage.blobs` means to a single machine. Raises: ConfigError: it lies in a Bento."""
    blobs = storage.blobs.get_secret_value() if storage.blobs else None
    return _outside_bentos("storage.blobs", blobs or str(storage_folder(storage) / "blobs"))


def make_folder(storage: StorageConfig) -> Path:
    """The storage folder, for its owner's eyes only.

    Raises:
        ConfigError: it cannot be made, or lies in a Bento.
    """
    folder = storage_folder(storage)
    _outside_bentos("storage.folder", str(folder))
    try:
        folder.mkdir(mode=OWNER_ONLY, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"storage.folder: {folder} cannot be made: {error}") from error
    return folder


def _outside_bentos(key: str, location: str) -> str:
    path = location.removeprefix("file://")
    if path == "memory" or "://" in path:
        return location
    if (bento := bento_around(Path(path).expanduser())) is not None:
        raise ConfigError(f"{key}: {path} lies in the Bento {bento}, which is copied and shipped; name a place outside")
    return location
