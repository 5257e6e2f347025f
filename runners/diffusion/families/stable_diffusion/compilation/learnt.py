"""Which calls of which blocks came, kept in a file between starts: the next start compiles those first.

What the file says is trusted as far as it can be checked: one that is not as this module writes it, or was made for
other versions, weights or another device, is ignored with a line in the log, and written anew.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

from runners.diffusion.families.stable_diffusion.compilation.calls import Form, OddCall, read_form
from runners.errors import is_device_lost

logger = logging.getLogger(__name__)

BlockCall: TypeAlias = tuple[str, Form]
"""A kind of block and the form of a call."""

MOST_KEPT = 1000
MOST_ANSWERS = 100
"""Beyond this a call is not remembered as more frequent, so that a new habit is soon ahead of an old one."""
_LARGEST_BYTES = 8 << 20
_KIND = re.compile(r"[0-9a-f]{32}")


class LearntCalls:
    """The file `learnt-NAME.json` of a folder; `made_for` is what it holds for, by name.

    Beside it lies a mark, `trying-NAME-...`, while a new block runs for the first time: one that nobody holds tells of
    a process that did not survive that.
    """

    def __init__(self, folder: Path, name: str, made_for: Mapping[str, str]) -> None:
        self._folder, self._mark = folder, f"trying-{name}-"
        self.path = folder / f"learnt-{name}.json"
        self._made_for = dict(made_for)
        self._trying: Path | None = None
        self._ended = False

    def read(self) -> dict[BlockCall, int]:
        """Answers that each call had a part in, 1 to `MOST_ANSWERS`; empty where nothing fitting is there."""
        try:
            if self.path.stat().st_size > _LARGEST_BYTES:
                raise ValueError("it is too large")
            held = json.loads(self.path.read_bytes())
            if not isinstance(held, dict):
                raise ValueError("it is no object")
            if held.get("made_for") != self._made_for:
                logger.info("compilation: %s is of %s and is not used", self.path, _told(held.get("made_for")))
                return {}
            return dict(_entry(one) for one in held["blocks"][:MOST_KEPT])
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            logger.warning("compilation: %s is not used: %s", self.path, error)
            return {}

    def write(self, answers: Mapping[BlockCall, int]) -> None:
        """Keep the most frequent calls, with those that another process has written. Raises: OSError."""
        together = {**self.read(), **{call: min(count, MOST_ANSWERS) for call, count in answers.items()}}
        often = sorted(together.items(), key=lambda item: -item[1])[:MOST_KEPT]
        blocks = [{"kind": kind, "call": form, "answers": count} for (kind, form), count in often]
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=self._folder, prefix=self.path.name)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"made_for": self._made_for, "blocks": blocks}, file)
        Path(temporary).replace(self.path)

    @contextmanager
    def trying(self, what: str) -> Iterator[None]:
        """While a new block runs for the first time: what the device does not survive leaves the mark.

        Where the folder cannot be written to there is none, nor after `end`.
        """
        if self._ended:
            yield
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=self._mark)
        except OSError:
            yield
            return
        survived, self._trying = True, Path(name)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.write(descriptor, json.dumps({"made_for": self._made_for, "what": what}).encode())
            yield
        except Exception as error:
            survived = not is_device_lost(error)
            raise
        finally:
            self._trying = None
            if survived:
                Path(name).unlink(missing_ok=True)
            os.close(descriptor)

    def end(self) -> None:
        """The process ends as it was told to: that it did so while it tried a block is no sign of anything."""
        self._ended, mark = True, self._trying
        if mark is not None:
            mark.unlink(missing_ok=True)

    def not_survived(self) -> Path | None:
        """The mark of a process that ended while it tried a block; None where all went well.

        Marks of other versions, weights or devices tell nothing and are taken away.
        """
        for mark in sorted(self._folder.glob(f"{self._mark}*")):
            try:
                with mark.open("r+b") as file:  # as network file systems lock only what may be written
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held by a process that is trying right now
                    held = json.load(file)
            except BlockingIOError:
                continue
            except (OSError, ValueError, RecursionError):
                held = None
            if isinstance(held, dict) and held.get("made_for") == self._made_for:
                return mark
            with suppress(OSError):
                mark.unlink(missing_ok=True)
        return None


def _entry(written: Any) -> tuple[BlockCall, int]:
    kind, answers = written["kind"], written["answers"]
    if not isinstance(kind, str) or not _KIND.fullmatch(kind) or type(answers) is not int or answers < 1:
        raise OddCall("no entry of a block")
    return (kind, read_form(written["call"])), min(answers, MOST_ANSWERS)


def _told(made_for: object) -> str:
    if not isinstance(made_for, dict):
        return "nobody knows what"
    return ", ".join(str(value)[:100] for value in list(made_for.values())[:10])
