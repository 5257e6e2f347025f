"""The folders that the quality report reads, as their authors publish them -> samples.

- VITON-HD (Choi et al. 2021): `test/image`, `test/cloth`, `test/agnostic-mask` and `test_pairs.txt`.
- BrushBench (Ju et al. 2024): `mapping_file.json` with caption and run-length coded mask per image.
- edits: `edits.json`, a list of {"image", "prompt", "mask", "reference" (optional)}: of your own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PilImage

from composition.images import Image, Mask

TRY_ON_PROMPT = "a person wearing this garment"


class BadFolder(Exception):
    """A folder is not laid out as its kind; the message says what is missing."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One edit to make. `truth` is what it should look like, where that is known (a paired try-on)."""

    name: str
    image: Path
    prompt: str
    mask: Mask
    reference: Path | None = None
    truth: Path | None = None


def read_image(path: Path) -> Image:
    with PilImage.open(path) as opened:
        return np.asarray(opened.convert("RGB"))


def viton_hd(folder: Path, *, paired: bool) -> Iterator[Sample]:
    """Paired: each person in their own garment, whose photograph is the truth; unpaired: the garment of the list."""
    pairs, test = folder / "test_pairs.txt", folder / "test"
    _require(pairs, test / "image", test / "cloth", test / "agnostic-mask")
    for line in pairs.read_text(encoding="utf-8").split("\n"):
        if not line.strip():
            continue
        person, garment = line.split()
        image = test / "image" / person
        masks = [test / "agnostic-mask" / f"{Path(person).stem}_mask{kind}" for kind in (".png", ".jpg")]
        mask = next((path for path in masks if path.is_file()), masks[0])
        _require(image, mask)
        cloth = test / "cloth" / (person if paired else garment)
        _require(cloth)
        yield Sample(
            name=f"{Path(person).stem}-{Path(cloth).stem}",
            image=image,
            prompt=TRY_ON_PROMPT,
            mask=_binary(read_image(mask).max(axis=2)),
            reference=cloth,
            truth=image if paired else None,
        )


def brushbench(folder: Path) -> Iterator[Sample]:
    """Every image with its caption; what its mask covers is repainted."""
    mapping = folder / "mapping_file.json"
    _require(mapping)
    for name, entry in json.loads(mapping.read_text(encoding="utf-8")).items():
        image = folder / entry["image"]
        _require(image)
        with PilImage.open(image) as opened:
            width, height = opened.size
        yield Sample(
            name=name,
            image=image,
            prompt=entry["caption"],
            mask=from_runs([int(number) for number in _numbers(entry["inpainting_mask"])], (height, width)),
        )


def edits(folder: Path) -> Iterator[Sample]:
    """Those of `edits.json`; masks are images of the photograph's size, white is repainted."""
    listed = folder / "edits.json"
    _require(listed)
    for number, entry in enumerate(json.loads(listed.read_text(encoding="utf-8"))):
        image, mask = folder / entry["image"], folder / entry["mask"]
        reference = folder / entry["reference"] if entry.get("reference") else None
        _require(image, mask, *([reference] if reference else []))
        yield Sample(
            name=f"{number:04d}-{image.stem}",
            image=image,
            prompt=entry["prompt"],
            mask=_binary(read_image(mask).max(axis=2)),
            reference=reference,
        )


def from_runs(runs: list[int], size: tuple[int, int]) -> Mask:
    """A mask (height, width) from pairs of start and length, row by row, as BrushBench writes them."""
    flat = np.zeros(size[0] * size[1], np.uint8)
    for start, length in zip(runs[::2], runs[1::2], strict=True):
        flat[start : start + length] = 255
    return flat.reshape(size)


def _numbers(value: Any) -> list[Any]:
    return value.split() if isinstance(value, str) else list(value)


def _binary(values: Any) -> Mask:
    return np.where(np.asarray(values) >= 128, 255, 0).astype(np.uint8)


def _require(*paths: Path) -> None:
    for path in paths:
        if not path.exists():
            raise BadFolder(f"there is no {path}")
