"""The fenced commands of README and the pages under docs/, as a reader finds them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md")))
SERVICE = "http://127.0.0.1:8000"
"""Where the commands expect the service."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One thing to type: a line, or several that belong together, without trailing comments."""

    page: str
    section: str
    text: str

    @property
    def first_words(self) -> str:
        return f"{self.page}: {self.text.splitlines()[0]}"


def commands(page: str) -> list[Command]:
    """Every command of a page's bash blocks, in order."""
    found, section = [], ""
    fence, lines = None, []
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        if fence is None and line.startswith("```"):
            fence, lines = line[3:].strip(), []
        elif fence is not None and line.startswith("```"):
            if fence in ("bash", "sh", "shell", "console"):
                found += [Command(page=page, section=section, text=text) for text in split("\n".join(lines))]
            fence = None
        elif fence is not None:
            lines.append(line)
        elif line.startswith("#"):
            section = line.lstrip("# ")
    return found


def split(block: str) -> list[str]:
    """A block's commands: a line ends one unless a bracket, a quote or a backslash is open."""
    pieces, held = [], []
    for line in block.splitlines():
        held.append(line if held else re.sub(r"(^|\s+)#\s.*$", "", line))
        text = "\n".join(held)
        if not _is_open(text):
            pieces += [text] if text.strip() else []
            held = []
    assert not held, f"an unfinished command: {held}"
    return pieces


def _is_open(text: str) -> bool:
    outside = re.sub(r"'[^']*'", "", text)
    return "'" in outside or outside.count("(") > outside.count(")") or text.endswith("\\")
