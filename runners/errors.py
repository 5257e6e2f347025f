"""The one place where a model framework's exceptions become errors that a caller can be told about.

| foreign | ours |
| --- | --- |
| torch.OutOfMemoryError, "out of memory", a failed CPU allocation, MemoryError | OutOfMemory |
| CUBLAS_STATUS_ALLOC_FAILED and its like, a failed allocation of onnxruntime | OutOfMemory |
| TimeoutError | Timeout |
| any other exception | ModelError |

The text of a foreign exception never reaches the caller: it goes to the log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from composition.errors import CompositionError, ModelError, OutOfMemory, Timeout

logger = logging.getLogger(__name__)

_ALLOCATION_FAILURES = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "failed to allocate",
    "bad_alloc",
    "_status_alloc_failed",  # cuBLAS, cuDNN, cuSPARSE, cuSOLVER: their workspaces, when torch's cache has the rest
    "available memory of",  # onnxruntime's arena at its limit
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that an allocation failed, on whichever device.

    torch raises a RuntimeError, onnxruntime a class of its own, recognised by its module: this one does without both.
    """
    if isinstance(error, OutOfMemory | MemoryError):
        return True
    foreign = isinstance(error, RuntimeError) or type(error).__module__.startswith("onnxruntime")
    return foreign and any(text in str(error).lower() for text in _ALLOCATION_FAILURES)


def is_device_lost(error: BaseException) -> bool:
    """Whether `error` says that the device is unusable until this process ends (an illegal access, a hardware fault).

    Recognised by name (torch.AcceleratorError), so that this module does without torch.
    """
    named = any(kind.__name__ == "AcceleratorError" for kind in type(error).__mro__)
    return named and not is_out_of_memory(error)


def translate(error: Exception, doing: str) -> CompositionError:
    """What the caller is told about an error; one of ours passes through. `doing` is the step in plain words."""
    if isinstance(error, CompositionError):
        return error
    if is_out_of_memory(error):
        return OutOfMemory(f"not enough memory while {doing}")
    if isinstance(error, TimeoutError):
        return Timeout(f"took too long while {doing}")
    return ModelError(f"the model failed while {doing}")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn every foreign exception of the block into a `CompositionError` by this module's table, and log it."""
    try:
        yield
    except CompositionError:
        raise
    except Exception as error:
        logger.exception("failed while %s", doing)
        raise translate(error, doing) from error
