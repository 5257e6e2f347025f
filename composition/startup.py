"""What stops a process at start-up says so in plain words."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from composition.config import ConfigError

EXIT_STATUS = 2


def end_the_process(error: Exception) -> NoReturn:
    """The error's message to stderr, without a traceback. Raises: SystemExit: status 2."""
    print(f"error: {error}", file=sys.stderr, flush=True)
    raise SystemExit(EXIT_STATUS) from None


@contextmanager
def config_errors_end_the_process() -> Iterator[None]:
    """For the modules that a server imports: what is unusable in the configuration goes to stderr, without a traceback.

    In place of a ConfigError comes SystemExit with status 2: BentoML and Celery let it pass, before they start a
    single worker.
    """
    try:
        yield
    except ConfigError as error:
        end_the_process(error)
