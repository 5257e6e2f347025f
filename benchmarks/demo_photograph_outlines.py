"""Boxes and clicks on real photographs: how well is the thing outlined that a person points at?

Usage: python -m benchmarks.demo_photograph_outlines [--photographs FOLDER] [--only coffee,cat] [--profile demo]

Three to five things on each of ten photographs, outlined by hand (benchmarks.demo_photographs says where they are).
Each is marked twice, as a person would: by the box around it, and by one click where it is thickest. The service's own
segmenter draws; its outline is compared with the hand-drawn one (intersection over union). Beside it stand two
cheats: the box itself, filled, and the ellipse in it. Writes a sheet and prints the means last.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PilImage

from benchmarks.demo_photograph_things import Thing, load_things, with_photographs
from benchmarks.demo_photographs import SAME_REGION, overlap, parser_of, prepare, sheet_of, tile_of
from composition.images import Box, Image, Mask
from composition.imaging.masks import boxes_to_mask
from composition.marks import Mark, Point

THUMBNAIL_PX = 220
COLUMNS = 10


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How one mark came out.

    Attributes:
        way: `box` or `click`.
        overlap: of the outline with the hand-drawn one; `bare` and `ellipse`, of the box that is marked.
        drawn_by: as the segmenter says.
    """

    photograph: str
    thing: str
    way: str
    overlap: float
    bare: float
    ellipse: float
    drawn_by: str


def marks_of(silhouette: npt.NDArray[np.bool_]) -> dict[str, Mark]:
    """What a person would mark of a thing (H, W): the box around it, and a click where it is thickest."""
    rows, columns = np.flatnonzero(silhouette.any(axis=1)), np.flatnonzero(silhouette.any(axis=0))
    box = Box(x0=float(columns[0]), y0=float(rows[0]), x1=float(columns[-1] + 1), y1=float(rows[-1] + 1))
    depth = cv2.distanceTransform(np.pad(silhouette, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[
        1:-1, 1:-1
    ]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return {"box": Mark(box=box), "click": Mark(points=(Point(float(column), float(row)),))}


def ellipse_in(box: Box, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """The ellipse that fills a box, of `size` (height, width)."""
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    across = (columns - (box.x0 + box.x1) / 2) / ((box.x1 - box.x0) / 2)
    down = (rows - (box.y0 + box.y1) / 2) / ((box.y1 - box.y0) / 2)
    return np.asarray(across**2 + down**2 <= 1.0)


def judge(thing: Thing, way: str, drawn: Mask, drawn_by: str) -> Verdict:
    """Compare an outline (H, W; > 0) with the hand-drawn one."""
    size = (drawn.shape[0], drawn.shape[1])
    truth = thing.silhouette(size)
    box = marks_of(truth)["box"].box
    assert box is not None
    return Verdict(
        photograph=thing.photograph,
        thing=thing.thing,
        way=way,
        overlap=overlap(drawn > 0, truth),
        bare=overlap(boxes_to_mask([box], size) > 0, truth),
        ellipse=overlap(ellipse_in(box, size), truth),
        drawn_by=drawn_by,
    )


def _mean(values: Iterator[float]) -> str:
    listed = list(values)
    return f"{np.mean(listed):.2f}" if listed else "none"


def summary(verdicts: Sequence[Verdict]) -> str:
    """The last line."""
    boxes, clicks = ([one for one in verdicts if one.way == way] for way in ("box", "click"))
    good = [sum(one.overlap >= SAME_REGION for one in some) for some in (boxes, clicks)]
    return (
        f"box {_mean(one.overlap for one in boxes)} click {_mean(one.overlap for one in clicks)} "
        f"bare box {_mean(one.bare for one in boxes)} ellipse {_mean(one.ellipse for one in boxes)} "
        f"of {len(boxes)} things; {SAME_REGION} and better: box {good[0]} click {good[1]}"
    )


def tile(image: Image, drawn: Mask, verdict: Verdict, mark: Mark) -> PilImage.Image:
    """The photograph with what was drawn in green, and what was marked in white."""
    mixed = image.astype(np.float32)
    mixed[drawn > 0] = 0.5 * mixed[drawn > 0] + 0.5 * np.array((0, 255, 0))
    shown = np.ascontiguousarray(mixed.astype(np.uint8))
    width = max(2, max(image.shape) // 150)
    for point in mark.points:
        cv2.circle(shown, (int(point.x), int(point.y)), 2 * width, (255, 255, 255), -1)
    if mark.box is not None:
        corners = [(int(mark.box.x0), int(mark.box.y0)), (int(mark.box.x1), int(mark.box.y1))]
        cv2.rectangle(shown, corners[0], corners[1], (255, 255, 255), width)
    return tile_of(shown, f"{verdict.thing}, {verdict.way}: {verdict.overlap:.2f}", side_px=THUMBNAIL_PX)


async def _measure(options: argparse.Namespace) -> list[Verdict]:
    from benchmarks.demo_world import local_editor

    verdicts: list[Verdict] = []
    tiles: list[PilImage.Image] = []
    with local_editor() as local:
        for thing, image in with_photographs(load_things(), options.photographs, options.only):
            for way, mark in marks_of(thing.silhouette((image.shape[0], image.shape[1]))).items():
                outlines = await local.models.segmenter.segment_marked(image, mark)
                (drawn,) = outlines
                verdict = judge(thing, way, drawn, outlines.drawn_by)
                verdicts.append(verdict)
                tiles.append(tile(image, drawn, verdict, mark))
                print(
                    f"{thing.photograph}: {thing.thing}, {way}: {verdict.overlap:.2f} by {verdict.drawn_by}", flush=True
                )
    if tiles:
        sheet_of(tiles, columns=COLUMNS).save(options.out / "outlines.png")
    return verdicts


def main() -> None:
    """Measure and print the summary last."""
    parser = parser_of("benchmarks.demo_photograph_outlines", __doc__)
    parser.add_argument("--only", type=lambda text: text.split(","), help="names of photographs")
    options = parser.parse_args()
    prepare(options)
    print(summary(asyncio.run(_measure(options))))


if __name__ == "__main__":
    main()
