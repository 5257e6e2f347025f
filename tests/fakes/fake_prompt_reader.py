"""A reader that understands every prompt the same way."""

from __future__ import annotations

from collections.abc import Sequence

from composition.decision import Target
from composition.reading import Reading


class FakePromptReader:
    """Answers one reading, whatever the prompt."""

    def __init__(self, reading: Reading | None = None, *, known: Sequence[str] = ()) -> None:
        self._reading = reading or Reading(target=Target(phrase="mug"), generation_prompt="a teapot")
        self._known = known
        self.asked: list[tuple[str, str | None, tuple[str, ...]]] = []
        """Prompt, target and keywords of every call."""

    def read(self, prompt: str, *, target: str | None = None, keywords: Sequence[str] = ()) -> Reading:
        self.asked.append((prompt, target, tuple(keywords)))
        return self._reading

    def knows(self, keyword: str) -> bool:
        return keyword in self._known
