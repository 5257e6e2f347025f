"""What the exit status says."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

import typer

from composition_client.command.report import complain
from composition_client.errors import (
    ComposeError,
    Forbidden,
    InvalidInput,
    NotAnImage,
    OutOfTime,
    TryLater,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)

P = ParamSpec("P")

DONE = 0
FAILED = 1
USAGE = 2
UNREACHABLE = 3
NO_KEY = 4
OUT_OF_TIME = 5
INTERRUPTED = 130
TERMINATED = 143

_STATUS: tuple[tuple[type[ComposeError], int], ...] = (
    (InvalidInput, USAGE),
    (NotAnImage, USAGE),
    (Unauthorized, NO_KEY),
    (Forbidden, NO_KEY),
    (TryLater, UNREACHABLE),
    (Unreachable, UNREACHABLE),
    (UnexpectedAnswer, UNREACHABLE),
    (OutOfTime, OUT_OF_TIME),
)


def exit_status(error: ComposeError) -> int:
    return next((status for cls, status in _STATUS if isinstance(error, cls)), FAILED)


def concerns_all(error: ComposeError) -> bool:
    """Whether the next photo would meet the same: the service is away, or the options are wrong."""
    return exit_status(error) not in (FAILED, OUT_OF_TIME) and not isinstance(error, NotAnImage)


def exits(command: Callable[P, None]) -> Callable[P, None]:
    """What a command raises becomes a line on stderr and an exit status."""

    @functools.wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except ComposeError as error:
            complain(str(error))
            raise typer.Exit(exit_status(error)) from None
        except OSError as error:  # a full disk, a folder that may not be written to
            complain(str(error))
            raise typer.Exit(FAILED) from None
        except KeyboardInterrupt:
            complain("interrupted")
            raise typer.Exit(INTERRUPTED) from None

    return told
