"""Real photographs under the demo models: is an edit routed right, and is it about the right part of the photograph?

Usage: python -m benchmarks.demo_photographs [--photographs FOLDER] [--profile demo] [--out out/demo_photographs]

What is true was drawn by hand (`demo_photographs.json`), before anything was run. The photographs are in packages:
those of installed ones are read from there, the others from FOLDER, into which their packages were unpacked; what is in
neither place is named and not counted. Of a garment the region is right when it overlaps the drawn one by 0.6 and the
edit changes nothing of the face and the hands; of a thing, when the box that was found overlaps the drawn one by 0.6.
Writes a sheet of all regions and prints last `router A/N garment B/M thing C/K`.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PilImage
from PIL import ImageDraw

from composition.decision import Pipeline
from composition.images import Image, Mask
from composition.request import EditOptions, EditRequest, RefineMask

if TYPE_CHECKING:
    from composition.editor import Editor

TRUTH = Path(__file__).with_suffix(".json")
SAME_REGION = 0.6
UNTOUCHED = 0.02
"""Of a face or of hands, drawn by hand, no more than this may change: their outlines are no better than that."""
THUMBNAIL_PX = 300
CAPTION_PX = 26

Polygon = Sequence[Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class Photograph:
    """Where one is: a file of a package, of a video the frame with that number."""

    name: str
    package: str
    file: str
    frame: int | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """One prompt for one photograph, and what is right, in its pixels.

    Attributes:
        pipeline: which one the edit calls for.
        region: what a garment covers, as polygons; empty of a thing.
        without: what stands before it.
        face: one polygon; `hands`, one each.
        box: of a thing: left, top, right, bottom.
    """

    photograph: str
    prompt: str
    pipeline: Pipeline = Pipeline.COMPLEX
    region: Sequence[Polygon] = ()
    without: Sequence[Polygon] = ()
    face: Polygon = ()
    hands: Sequence[Polygon] = ()
    box: Sequence[float] = ()

    @property
    def worn(self) -> bool:
        """Whether it is about a garment."""
        return not self.box


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How one case came out.

    Attributes:
        routed: whether the router took the pipeline that the edit calls for.
        rule: by which the router decided.
        overlap: of the region, or the box, with the drawn one (intersection over union).
        face: which share of the face the edit changes; `hands`, of all hands.
    """

    case: Case
    routed: bool
    rule: str
    overlap: float
    face: float = 0.0
    hands: float = 0.0

    @property
    def region_right(self) -> bool:
        """All at once."""
        return self.overlap >= SAME_REGION and max(self.face, self.hands) <= UNTOUCHED


def load_truth(path: Path = TRUTH) -> tuple[dict[str, Photograph], list[Case]]:
    """The photographs by their names, and all cases."""
    tree = json.loads(path.read_text())
    photographs = {name: Photograph(name=name, **facts) for name, facts in tree["photographs"].items()}
    things = [Case(**{**facts, "pipeline": Pipeline(facts["pipeline"])}) for facts in tree["things"]]
    return photographs, [*(Case(**facts) for facts in tree["worn"]), *things]


def read(photograph: Photograph, folder: Path | None) -> Image | None:
    """A photograph, RGB uint8 (H, W, 3); None where it is not here."""
    package, _, inside = photograph.file.partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    places = [Path(spec.origin).parent / inside] if spec is not None and spec.origin else []
    places += [folder / photograph.file] if folder is not None else []
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return None
    if photograph.frame is None:
        return np.asarray(PilImage.open(path).convert("RGB"))
    video = cv2.VideoCapture(str(path))
    video.set(cv2.CAP_PROP_POS_FRAMES, photograph.frame)
    there, frame = video.read()
    return np.ascontiguousarray(frame[:, :, ::-1], np.uint8) if there else None


def filled(polygons: Sequence[Polygon], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """The pixels of all polygons, bool of `size` (height, width)."""
    canvas = np.zeros(size, np.uint8)
    for polygon in filter(len, polygons):
        cv2.fillPoly(canvas, [np.rint(np.array(polygon)).astype(np.int32)], 255)
    return canvas > 0


def true_region(case: Case, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """What is right, bool of `size` (height, width)."""
    if not case.worn:
        left, top, right, bottom = (round(side) for side in case.box)
        canvas = np.zeros(size, bool)
        canvas[top:bottom, left:right] = True
        return canvas
    return filled(case.region, size) & ~filled([*case.without, *case.hands, case.face], size)


def overlap(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    """Intersection over union; 0 where both are empty."""
    return float((one & other).sum() / max((one | other).sum(), 1))


def judge(case: Case, thing: Mask, changed: Mask, pipeline: Pipeline, rule: str) -> Verdict:
    """Compare what an edit is about (H, W; > 0) and all that it changes with what was drawn."""
    size = (thing.shape[0], thing.shape[1])
    shares = [
        float((part & (changed > 0)).sum() / max(part.sum(), 1))
        for part in (filled([case.face], size), filled(case.hands, size))
    ]
    return Verdict(
        case=case,
        routed=pipeline is case.pipeline,
        rule=rule,
        overlap=overlap(thing > 0, true_region(case, size)),
        face=shares[0],
        hands=shares[1],
    )


def summary(verdicts: Sequence[Verdict]) -> str:
    """The last line."""
    worn = [verdict for verdict in verdicts if verdict.case.worn]
    things = [verdict for verdict in verdicts if not verdict.case.worn]
    return (
        f"router {sum(verdict.routed for verdict in verdicts)}/{len(verdicts)} "
        f"garment {sum(verdict.region_right for verdict in worn)}/{len(worn)} "
        f"thing {sum(verdict.region_right for verdict in things)}/{len(things)}"
    )


def line_of(verdict: Verdict) -> str:
    """One row of the report."""
    touched = f", face {verdict.face:.0%} hands {verdict.hands:.0%}" if verdict.case.worn else ""
    return (
        f"{'right' if verdict.region_right else 'WRONG'} {verdict.overlap:.2f}{touched}; "
        f"{'right' if verdict.routed else 'WRONG'} pipeline by {verdict.rule}: "
        f"{verdict.case.photograph}: {verdict.case.prompt}"
    )


def drawn(image: Image, verdict: Verdict, thing: Mask, changed: Mask) -> PilImage.Image:
    """The photograph with what is changed in red, over it what the edit is about in green, and the truth's edge."""
    size = (image.shape[0], image.shape[1])
    shown = image.astype(np.float32)
    for mask, colour in ((changed > 0, (255, 0, 0)), (thing > 0, (0, 255, 0))):
        shown[mask] = 0.6 * image[mask] + 0.4 * np.array(colour)
    outlines, _ = cv2.findContours(
        true_region(verdict.case, size).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
    )
    marked = np.ascontiguousarray(np.clip(shown, 0, 255).astype(np.uint8))
    cv2.drawContours(marked, outlines, -1, (255, 255, 255), max(1, max(size) // 250))
    word = "right" if verdict.region_right else "WRONG"
    words = (f"{word} {verdict.overlap:.2f}, {verdict.rule}", verdict.case.prompt[:48])
    return tile_of(marked, *words, side_px=THUMBNAIL_PX)


def tile_of(image: Image, *lines: str, side_px: int) -> PilImage.Image:
    """An image (H, W, 3), made no larger than `side_px` on a side, with up to two lines of words above."""
    small = PilImage.fromarray(image)
    small.thumbnail((side_px, side_px))
    tile = PilImage.new("RGB", (side_px + 4, side_px + CAPTION_PX), "white")
    tile.paste(small, (0, CAPTION_PX))
    pen = ImageDraw.Draw(tile)
    for number, line in enumerate(lines):
        pen.text((2, 1 + 12 * number), line, fill="black")
    return tile


def sheet_of(tiles: Sequence[PilImage.Image], columns: int = 4) -> PilImage.Image:
    """All tiles, row by row."""
    width, height = tiles[0].size
    sheet = PilImage.new("RGB", (columns * width, -(-len(tiles) // columns) * height), "white")
    for place, tile in enumerate(tiles):
        sheet.paste(tile, (place % columns * width, place // columns * height))
    return sheet


async def look(editor: Editor, case: Case, image: Image) -> tuple[Mask, Mask, Pipeline, Mapping[str, Any]]:
    """What an edit is about, all that it changes, its pipeline and how it was routed."""
    request = EditRequest(base=image, prompt=case.prompt, options=EditOptions())
    outcome = await editor.analyze(request, request_id="photograph")
    refine = RefineMask.AUTO if case.worn else RefineMask.OFF
    bare = EditOptions(mask_dilation_px=0, mask_blur_px=0, refine_mask=refine)
    thing = await editor.analyze(replace(request, options=bare), request_id="photograph")
    return thing.mask, outcome.mask, outcome.pipeline, outcome.metadata["routing"]


async def _measure(options: argparse.Namespace) -> list[Verdict]:
    from benchmarks.demo_world import local_editor

    photographs, cases = load_truth()
    verdicts: list[Verdict] = []
    tiles: list[PilImage.Image] = []
    with local_editor() as local:
        for case in cases:
            image = read(photographs[case.photograph], options.photographs)
            if image is None:
                print(f"not here: {case.photograph} of {photographs[case.photograph].package}")
                continue
            thing, changed, pipeline, routing = await look(local.editor, case, image)
            verdict = judge(case, thing, changed, pipeline, routing["rule"])
            verdicts.append(verdict)
            tiles.append(drawn(image, verdict, thing, changed))
            print(line_of(verdict), flush=True)
    if tiles:
        sheet_of(tiles).save(options.out / "regions.png")
    return verdicts


def parser_of(program: str, description: str | None) -> argparse.ArgumentParser:
    """Of a benchmark on photographs: where they are, under which models, where the sheet goes."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--photographs", type=Path, help="where packages that are not installed were unpacked")
    parser.add_argument("--profile", default="demo", help="model profile; it must be imported")
    parser.add_argument("--out", type=Path, default=Path("out/demo_photographs"))
    return parser


def prepare(options: argparse.Namespace) -> None:
    """Before the first runner is imported, as they read the configuration then."""
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ["COMPOSITION_MODELS__PROFILE"] = options.profile


def main() -> None:
    """Measure and print the summary last."""
    options = parser_of("benchmarks.demo_photographs", __doc__).parse_args()
    prepare(options)
    print(summary(asyncio.run(_measure(options))))


if __name__ == "__main__":
    main()
