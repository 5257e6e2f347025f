"""An object store that speaks S3, through `obstore`: no framework of its own, asynchronous as it is.

Where it is and who asks comes from the usual variables (AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID ...), or, in a
cloud, from the machine's or the pod's own role.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store

from composition.errors import NotFound, StorageAway

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 3.0
RETRIES, RETRY_LIMIT_S = 2, 10.0
"""Of one call. A worker that has an image to keep goes on for longer: `RetryingBlobStore`."""


def open_s3(url: str, *, answer_timeout_s: float) -> S3Store:
    """`url` is s3://bucket or s3://bucket/prefix.

    Raises: ValueError when it, or a variable, cannot be used.
    """
    try:
        return S3Store.from_url(
            url,
            client_options={
                "allow_http": True,  # where the address that is configured says so
                "timeout": timedelta(seconds=answer_timeout_s),
                "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_S),
            },
            retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_LIMIT_S)},
        )
    except BaseError as error:
        raise ValueError("the object store's address or its variables cannot be used") from error


@contextmanager
def told_of_s3(storage: str, thing: str) -> Iterator[None]:
    """As `jobs.storage_faults.told_of`; but what the library says may hold an address with a token: only its class is
    told, and the log has no more.
    """  # noqa: D205
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        if "NoSuchBucket" not in str(error):
            raise NotFound(f"there is no such {thing}") from None
        raise _away(storage, "NoSuchBucket") from error
    except (BaseError, OSError) as error:
        raise _away(storage, type(error).__name__) from error


def _away(storage: str, reason: str) -> StorageAway:
    logger.warning("%s: %s", storage, reason)
    return StorageAway(f"the {storage} cannot be used: {reason}", details={"reason": reason})
