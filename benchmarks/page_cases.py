"""The page's examples: the four edits of SPEC.md section 8 in the demo models' world, as `make demo` runs them.

Usage: python -m benchmarks.page_cases, when that world has changed; a test compares what is written with the world.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.demo_cases import Pixels, world_cases

FOLDER = Path(__file__).resolve().parent.parent / "page" / "src" / "cases"
INDEX = "cases.json"


def page_cases() -> tuple[list[dict[str, Any]], dict[str, Pixels]]:
    """The index, and the RGB uint8 (H, W, 3) image of every file name that it has."""
    index, images = [], {}
    for case in world_cases():
        slug = case.title.lower().replace(" ", "-")
        entry = {"title": case.title, "prompt": case.prompt, "photo": f"{slug}.webp"}
        images[entry["photo"]] = case.base
        if case.reference is not None:
            entry["reference"] = f"{slug}-reference.webp"
            images[entry["reference"]] = case.reference
        index.append(entry)
    return index, images


def main() -> None:
    """Write the index and the images (WebP, lossless)."""
    index, images = page_cases()
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    for name, pixels in images.items():
        Image.fromarray(pixels).save(FOLDER / name, "WEBP", lossless=True, method=6)


if __name__ == "__main__":
    main()
