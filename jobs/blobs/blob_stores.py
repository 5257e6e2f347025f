"""Which image storage a configuration's `storage.blobs` names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from composition.config import ConfigError
from composition.ports.queue import BlobStore
from jobs.blobs.file_blobs import FolderBlobStore, FsspecBlobStore
from jobs.blobs.memory_blobs import MemoryBlobStore


def open_blob_store(location: str, *, key: str = "storage.blobs") -> BlobStore:
    """`memory`, a folder, a redis:// or s3://bucket/prefix URL, or any fsspec URL (gs://bucket/prefix).

    Raises: ConfigError says what is missing, of the `key` that the location is the value of. Of a URL it shows the
    scheme alone, and of what a library says about one nothing: there may be a password in both.
    """
    if location == "memory":
        return MemoryBlobStore()
    scheme, has_scheme, rest = location.partition("://")
    with refused_as(key, location):
        if not has_scheme or scheme == "file":
            return FolderBlobStore(Path(rest if has_scheme else location))
        if scheme in ("redis", "rediss", "unix"):
            from jobs.blobs.redis_blobs import RedisBlobStore  # an optional dependency
            from jobs.redis_connection import connect

            return RedisBlobStore(connect(location))
        if scheme == "s3":
            from jobs.blobs.s3_blobs import S3BlobStore  # an optional dependency

            return S3BlobStore(location)
        return FsspecBlobStore(location)


@contextmanager
def refused_as(key: str, location: str) -> Iterator[None]:
    """A location that cannot be used is a fault of the configuration's `key`. Raises: ConfigError."""
    scheme, has_scheme, _ = location.partition("://")
    try:
        yield
    except ImportError as error:
        raise ConfigError(f"{key}: {scheme}:// cannot be used: {error}") from error
    except (ValueError, OSError) as error:
        if has_scheme and scheme != "file":
            raise ConfigError(f"{key}: this {scheme}:// URL cannot be used ({type(error).__name__})") from None
        raise ConfigError(f"{key}: {location} cannot be used: {error}") from error
