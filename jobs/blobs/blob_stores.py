"""Which image storage a configuration's `storage.blobs` names."""

from __future__ import annotations

from pathlib import Path

from composition.config import ConfigError
from composition.ports.queue import BlobStore
from jobs.blobs.file_blobs import FolderBlobStore, FsspecBlobStore
from jobs.blobs.memory_blobs import MemoryBlobStore


def open_blob_store(location: str) -> BlobStore:
    """`memory`, a folder, a redis:// URL, or any other fsspec URL (s3://bucket/prefix).

    Raises: ConfigError says what is missing.
    """
    if location == "memory":
        return MemoryBlobStore()
    scheme, has_scheme, rest = location.partition("://")
    try:
        if not has_scheme or scheme == "file":
            return FolderBlobStore(Path(rest if has_scheme else location))
        if scheme in ("redis", "rediss", "unix"):
            from jobs.blobs.redis_blobs import RedisBlobStore  # an optional dependency
            from jobs.redis_connection import connect

            return RedisBlobStore(connect(location))
        return FsspecBlobStore(location)
    except (ImportError, ValueError, OSError) as error:
        raise ConfigError(f"storage.blobs: {location} cannot be used: {error}") from error
