"""Makes the storage of LoRAs, as the configuration says: in the state folder, or where nodes share their images."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from composition.config import Config
from composition.places import blobs_location, storage_folder
from jobs.blobs.blob_stores import refused_as
from jobs.loras.folder_lora_files import FolderLoraFiles
from jobs.loras.fsspec_lora_files import FsspecLoraFiles
from jobs.loras.kept_loras import KeptLoras
from jobs.loras.lora_files import LoraFiles

SHARED_ORPHAN_AGE_S: Final = 3600.0
MEGABYTE: Final = 1 << 20


def open_lora_store(config: Config) -> KeptLoras:
    """Open it before use. The embedded queue's is the state folder's, whatever `storage.blobs` says.

    Raises: ConfigError, as `jobs.blobs.blob_stores.open_blob_store`.
    """
    folder = storage_folder(config.storage) / "loras"
    shared = config.queue.backend == "celery"
    return KeptLoras(
        _shared_files(config) if shared else FolderLoraFiles(folder),
        folder,
        max_cached_bytes=config.loras.max_cached_mb * MEGABYTE,
        orphan_age_s=SHARED_ORPHAN_AGE_S if shared else 0.0,
    )


def _shared_files(config: Config) -> LoraFiles:
    location = blobs_location(config.storage) if config.storage.blobs else config.queue.redis_url.get_secret_value()
    scheme, has_scheme, rest = location.partition("://")
    with refused_as("storage.blobs" if config.storage.blobs else "queue.redis_url", location):
        if not has_scheme or scheme == "file":
            return FolderLoraFiles(Path(rest if has_scheme else location) / "loras")
        if scheme in ("redis", "rediss", "unix"):
            from jobs.loras.redis_lora_files import RedisLoraFiles  # an optional dependency
            from jobs.redis_connection import connect

            return RedisLoraFiles(connect(location))
        if scheme == "s3":
            from jobs.loras.s3_lora_files import S3LoraFiles  # an optional dependency

            return S3LoraFiles(location)
        return FsspecLoraFiles(location)
