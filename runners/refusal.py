"""A process of a server that cannot start as it is configured says so in one line, and ends the server with it."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import bentoml

from composition.config import ConfigError
from models_store.store import ModelsNotImported
from runners.failures import note_failure

logger = logging.getLogger(__name__)


@contextmanager
def refusing_to_start() -> Iterator[None]:
    """Around what a runner, or the front, does when it starts.

    Behind `bentoml serve` the supervisor would start the process again for ever, with three tracebacks each time; so
    it is ended too. Elsewhere (a Celery worker, a test) the error is the caller's.
    """
    try:
        yield
    except (ConfigError, ModelsNotImported) as error:
        if bentoml.server_context.worker_index is None:
            raise
        logger.critical("%s", error)
        os.kill(os.getppid(), signal.SIGTERM)
        sys.stderr.flush()
        os._exit(os.EX_CONFIG)
    except Exception as error:
        note_failure(error)
        raise
