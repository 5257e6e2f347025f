"""What `make demo` writes: a gallery made of the page's own parts (page/src/gallery.tsx), and one image of all cases.

The gallery is a file that opens without a server: page/built/gallery.html with the cases as JSON in it.
"""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont, ImageOps

from benchmarks.demo_cases import Case

EMPTY_GALLERY = Path(__file__).resolve().parent.parent / "page" / "built" / "gallery.html"
NOTHING_SHOWN = '{"notice": "", "cases": []}'
"""What stands in the empty gallery."""
IMAGES = ("image", "images", "mask")
"""What the gallery has as files, or apart, of a result."""


def write_gallery(out: Path, rows: list[tuple[Case, dict[str, Any]]], *, notice: str) -> Path:
    """Write <case>-{before,reference,mask,after}.png and index.html; the latter's path."""
    out.mkdir(parents=True, exist_ok=True)
    shown = {"notice": notice, "cases": [_write_case(out, case, result) for case, result in rows]}
    page = out / "index.html"
    page.write_text(filled(EMPTY_GALLERY.read_text(encoding="utf-8"), shown), encoding="utf-8")
    return page


def filled(empty: str, shown: dict[str, Any]) -> str:
    """The gallery with what it shows. No text of a case can end the script that holds it."""
    before, found, after = empty.partition(NOTHING_SHOWN)
    assert found
    return before + json.dumps(shown).replace("<", "\\u003c") + after


def _write_case(out: Path, case: Case, result: dict[str, Any]) -> dict[str, Any]:
    slug = case.name.split()[0].replace(".", "-")
    names = {part: f"{slug}-{part}.png" for part in ("before", "after", "mask", "reference")}
    Image.fromarray(case.base).save(out / names["before"])
    for part, key in (("mask", "mask"), ("after", "image")):
        (out / names[part]).write_bytes(base64.b64decode(result[key]))
    if case.reference is not None:
        Image.fromarray(case.reference).save(out / names["reference"])
    return {
        "title": case.title,
        "prompt": case.prompt,
        "height": case.base.shape[0],
        "width": case.base.shape[1],
        "before": names["before"],
        "after": names["after"],
        "reference": None if case.reference is None else names["reference"],
        "masked": case.mask is not None,
        "mask": result["mask"],
        "result": {key: value for key, value in result.items() if key not in IMAGES},
    }


TILE_PX, CAPTION_PX, INSET_PX, GAP_PX = 200, 26, 64, 10


def write_sheet(path: Path, rows: list[tuple[Case, dict[str, Any]]]) -> None:
    """Write an image of cases: before (with the reference as an inset), mask and after."""
    width, height = 3 * TILE_PX + GAP_PX, TILE_PX + CAPTION_PX + GAP_PX
    sheet = Image.new("RGB", (2 * width - GAP_PX, height * -(-len(rows) // 2)), "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=17)
    for number, (case, result) in enumerate(rows):
        left, top = number % 2 * width, number // 2 * height
        pen.text((left, top + 2), f"“{case.prompt}”", fill="black", font=font)
        images = [Image.fromarray(case.base)]
        images += [Image.open(io.BytesIO(base64.b64decode(result[key]))).convert("RGB") for key in ("mask", "image")]
        for column, image in enumerate(images):
            tile = ImageOps.fit(image, (TILE_PX, TILE_PX), Image.Resampling.LANCZOS)
            sheet.paste(tile, (left + column * TILE_PX, top + CAPTION_PX))
        if case.reference is not None:
            inset = ImageOps.fit(Image.fromarray(case.reference), (INSET_PX, INSET_PX), Image.Resampling.LANCZOS)
            sheet.paste(ImageOps.expand(inset, 2, "white"), (left, top + CAPTION_PX))
    sheet.save(path, optimize=True)
