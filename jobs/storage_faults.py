"""What goes wrong in a storage, as a job or a caller is told of it: not there, or away."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from composition.errors import CompositionError, NotFound, StorageAway

logger = logging.getLogger(__name__)


@contextmanager
def told_of(storage: str, thing: str) -> Iterator[None]:
    """Whatever a file system, ours or one of fsspec's, raises: each has errors of its own.

    Args:
        storage: in words, "image storage".
        thing: what is kept there, "blob".
    """
    try:
        yield
    except CompositionError:
        raise
    except FileNotFoundError:
        raise NotFound(f"there is no such {thing}") from None
    except Exception as error:
        logger.warning("%s: %r", storage, error)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise StorageAway(f"the {storage} cannot be used: {reason}", details={"reason": reason}) from error
