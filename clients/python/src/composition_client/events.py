"""Server-sent events, line by line, as https://html.spec.whatwg.org/multipage/server-sent-events.html defines them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event of a job's stream: `type` is status, progress, preview or error."""

    id: int | None
    type: str
    data: dict[str, Any]


@dataclass
class EventReader:
    """Takes the stream's lines, without their ends, and gives an event at the blank line that closes it."""

    _fields: dict[str, list[str]] = field(default_factory=dict)

    def feed(self, line: str) -> Event | None:
        """One line. An event whose data is not a JSON object is passed over."""
        if line:
            name, _, value = line.partition(":")
            if name:
                self._fields.setdefault(name, []).append(value.removeprefix(" "))
            return None
        fields, self._fields = self._fields, {}
        try:
            data = json.loads("\n".join(fields["data"]))
        except (KeyError, ValueError):
            return None
        number = fields.get("id", [""])[-1]
        kind = fields.get("event", ["message"])[-1]
        return Event(
            id=int(number) if number.isdecimal() else None, type=kind, data=data if isinstance(data, dict) else {}
        )
