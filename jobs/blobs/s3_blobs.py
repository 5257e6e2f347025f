"""Job images in an object store that speaks S3, through `obstore`: no framework of its own, asynchronous as it is.

Where it is and who asks comes from the usual variables (AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID ...), or, in a
cloud, from the machine's or the pod's own role.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store

from composition.errors import NotFound, StorageAway

logger = logging.getLogger(__name__)

ANSWER_TIMEOUT_S = 30.0
"""For an image of many megabytes over a slow network."""
CONNECT_TIMEOUT_S = 3.0
RETRIES, RETRY_LIMIT_S = 2, 10.0
"""Of one call. A worker that has an image to keep goes on for longer: `RetryingBlobStore`."""

_KEY = re.compile(r"[0-9a-f]{32}")


class S3BlobStore:
    """Blobs as objects below a prefix; an object appears whole or not at all."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.time) -> None:
        """`url` is s3://bucket or s3://bucket/prefix.

        Raises: ValueError when it, or a variable, cannot be used.
        """
        try:
            self._store = S3Store.from_url(
                url,
                client_options={
                    "allow_http": True,  # where the address that is configured says so
                    "timeout": timedelta(seconds=ANSWER_TIMEOUT_S),
                    "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_S),
                },
                retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_LIMIT_S)},
            )
        except BaseError as error:
            raise ValueError("the object store's address or its variables cannot be used") from error
        self._clock = clock

    async def open(self) -> None:
        """Nothing to do: what is far away may also come later."""

    async def put(self, data: bytes) -> str:
        key = uuid.uuid4().hex
        with _translated():
            await obstore.put_async(self._store, key, data, use_multipart=False)
        return key

    async def get(self, key: str) -> bytes:
        if not _KEY.fullmatch(key):
            raise NotFound("there is no such blob")
        with _translated():
            return bytes(await (await obstore.get_async(self._store, key)).bytes_async())

    async def delete(self, keys: Sequence[str]) -> None:
        ours = [key for key in dict.fromkeys(keys) if _KEY.fullmatch(key)]
        if ours:
            with _translated():
                await obstore.delete_async(self._store, ours)

    async def older_than(self, age_s: float) -> tuple[str, ...]:
        oldest = self._clock() - age_s
        found: list[str] = []
        with _translated():
            async for objects in obstore.list(self._store):
                found += [o["path"] for o in objects if o["last_modified"].timestamp() <= oldest]
        return tuple(name for name in found if _KEY.fullmatch(name))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        if "NoSuchBucket" not in str(error):
            raise NotFound("there is no such blob") from None
        raise _away("NoSuchBucket") from error
    except (BaseError, OSError) as error:
        raise _away(type(error).__name__) from error


def _away(reason: str) -> StorageAway:
    """What the library says may hold an address with a token: only its class is told, the log has no more."""
    logger.warning("image storage: %s", reason)
    return StorageAway(f"the image storage cannot be used: {reason}", details={"reason": reason})
