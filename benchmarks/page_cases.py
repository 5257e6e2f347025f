"""The page's examples, as `make demo` runs them: SPEC.md section 8 in the demo models' world, and one on a photograph.

Usage: python -m benchmarks.page_cases, when that world has changed; a test compares what is written with the world.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.demo_cases import Case, Pixels, photo_recolours, world_cases

FOLDER = Path(__file__).resolve().parent.parent / "page" / "src" / "cases"
INDEX = "cases.json"
PHOTOGRAPH, PHOTOGRAPH_QUALITY = "-photograph.webp", 85
"""A photograph is four times as large without loss."""


def examples() -> list[Case]:
    """What needs no mask by hand."""
    return world_cases() + [case for case in photo_recolours() if case.mask is None]


def page_cases() -> tuple[list[dict[str, Any]], dict[str, Pixels]]:
    """The index, and the RGB uint8 (H, W, 3) image of every file name that it has."""
    index, images = [], {}
    for case in examples():
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
        how = {"quality": PHOTOGRAPH_QUALITY} if name.endswith(PHOTOGRAPH) else {"lossless": True}
        Image.fromarray(pixels).save(FOLDER / name, "WEBP", method=6, **how)


if __name__ == "__main__":
    main()
