"""The drain switch: a server that is to be stopped or upgraded takes no new work and finishes what it has."""

from __future__ import annotations

from pathlib import Path

from composition.errors import NotReady

RETRY_AFTER_S = 30


class DrainSwitch:
    """On for all processes of one server, and off again with its next start.

    `file` stands for "on" by being there; None keeps it in this process.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._on = False

    @property
    def on(self) -> bool:
        return self._on if self._file is None else self._file.exists()

    def turn(self, *, on: bool) -> None:
        """Idempotent. Raises: OSError."""
        self._on = on
        if self._file is not None and on:
            self._file.touch(mode=0o600)
        elif self._file is not None:
            self._file.unlink(missing_ok=True)

    def check(self) -> None:
        """Raises: NotReady while it is on."""
        if self.on:
            raise NotReady("the service is draining: it takes no new work", retry_after_s=RETRY_AFTER_S)
