"""What a tool is, apart from the protocol: a caller's arguments -> **answer**."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from api.context import ApiContext, Charge

Schema = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Whose jobs they are, and who pays for them; `client` is who shares limits, as the guards know it."""

    owner: str
    client: str
    charge: Charge


@dataclass(frozen=True, kw_only=True)
class ToolFile:
    """A file that is no image; `url` is where this service has it, as a path."""

    data: bytes
    media_type: str
    url: str


@dataclass(frozen=True, kw_only=True)
class ToolAnswer:
    """What a tool answers: JSON-serialisable facts, images, each with its media type, and a file."""

    facts: Mapping[str, Any]
    images: tuple[tuple[bytes, str], ...] = ()
    file: ToolFile | None = None


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One tool.

    Attributes:
        description: for the model that chooses among tools.
        schema: of its arguments.
        reads_only: whether it changes nothing.
        run: does it, for a caller. Raises CompositionError.
    """

    description: str
    schema: Schema
    reads_only: bool
    run: Callable[[ApiContext, Caller, Mapping[str, Any]], Awaitable[ToolAnswer]]
