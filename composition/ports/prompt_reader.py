"""Understanding of prompts: prompt -> **reader** -> `Reading` -> router."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from composition.reading import Reading


class PromptReader(Protocol):
    """Reads prompts. Quick, without I/O, and the same text gives the same reading."""

    def read(self, prompt: str, *, target: str | None = None, keywords: Sequence[str] = ()) -> Reading:
        """Read a prompt. Any text gives a reading; nothing is raised.

        Args:
            prompt: as the user wrote it, any language and length.
            target: `config.target`, which overrides what the prompt names.
            keywords: words and phrases to look for beside the reader's own; those found are the reading's `keywords`.
        """
        ...

    def knows(self, keyword: str) -> bool:
        """Whether looking for the keyword adds nothing, because the reader's own words hold it already."""
        ...
