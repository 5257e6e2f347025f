"""The log of a process: one line a record, whatever is in it, and no line of a library that tells secrets."""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

TALKATIVE = ("httpx", "httpcore", "bentoml.access", "uvicorn.access", "mcp")
"""The first two write whole URLs, with whoever's tokens; the others each write lines for every request."""
FAULT_FINDING = ("python_multipart",)
"""Warns of every malformed body, which is answered to the caller and nothing for the log."""
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Ends a line, moves a terminal's cursor, or turns the direction of what follows."""
_TRACEBACK_MARGIN = "  | "
_ids: ContextVar[Mapping[str, str]] = ContextVar("ids", default={})  # noqa: B039  replaced, never changed
Format = Literal["text", "json"]


@contextmanager
def logged_with(**ids: str) -> Iterator[None]:
    """What is logged in the block, and in the tasks that it starts, has these ids (request_id, job_id, trace_id)."""
    token = _ids.set({**_ids.get(), **{name: value for name, value in ids.items() if value}})
    try:
        yield
    finally:
        _ids.reset(token)


def current_ids() -> Mapping[str, str]:
    """Of what is done now, as `logged_with` has them."""
    return _ids.get()


class OneLineRecord(logging.LogRecord):
    """A record whose message cannot look like another record: what the caller sent may be in it.

    The lines of a traceback have a margin, since an exception's text may hold what the caller sent as well.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ids = _ids.get()
        if self.exc_info and self.exc_info[0] is not None:
            lines = "".join(traceback.format_exception(*self.exc_info)).rstrip().split("\n")
            self.exc_text = "\n".join(_TRACEBACK_MARGIN + escaped(line) for line in lines)

    def getMessage(self) -> str:  # noqa: N802  the standard library's name
        """The message with control characters as escapes."""
        return escaped(super().getMessage())


class JsonFormatter(logging.Formatter):
    """One JSON object a record: time (UTC), level, logger, process, message, and the ids of what it was done for.

    `process`: which of the service's processes writes.
    """

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """The record; its traceback is the value of `exception`."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "process": self._process,
            "pid": record.process,
            "message": record.getMessage(),
            **getattr(record, "ids", {}),
        }
        if record.exc_text:
            line["exception"] = record.exc_text
        return json.dumps(line)


def escaped(text: str) -> str:
    r"""A text with its control characters as in Python's literals: a line feed becomes `\n`."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def set_up_logging(level: str) -> None:
    """Make this process log from a level on, safely; where the lines go is the server's business.

    Args:
        level: DEBUG, INFO, WARNING or ERROR; the talkative libraries stay at WARNING, the fault-finding ones at ERROR.
    """
    logging.setLogRecordFactory(OneLineRecord)
    logging.getLogger().setLevel(level)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in FAULT_FINDING:
        logging.getLogger(name).setLevel(logging.ERROR)


def format_logs(format: Format, process: str) -> None:
    """Have every handler that this process has by now write in a format; `text` leaves them as their server made them.

    Args:
        format: of the lines.
        process: what this one is called in them.
    """
    if format == "text":
        return
    formatter = JsonFormatter(process)
    loggers = [logging.getLogger(), *(item for item in logging.Logger.manager.loggerDict.values())]
    for logger in loggers:
        for handler in getattr(logger, "handlers", ()):
            handler.setFormatter(formatter)
