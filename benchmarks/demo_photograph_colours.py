"""Real photographs recoloured under the demo models: does a thing take the colour that was asked for, and stay itself?

Usage: python -m benchmarks.demo_photograph_colours [--photographs FOLDER] [--only coffee,cat] [--colours red,blue]
       [--found]

One thing on each of ten photographs (benchmarks.demo_photographs says where they are), inside its hand-drawn outline,
takes each of the twelve colours of the painted world's palette in turn: "red saucer", with the outline as `mask_image`
and every option as a user finds it. An edit is right when

- the thing's mean colour is at most half as far from the asked one as before, in L*a*b*. All three axes count, as a
  black coat that was asked to be yellow has to become light as well. A thing that has the colour already (nearer than
  14, the painted world's least visible change) is not asked for it;
- light and shade are the photograph's: L* before and after correlate by 0.9 inside the outline, without 8 pixels of a
  512-pixel image along it, where a hand's line is no better and the mask's soft rim is;
- nothing outside has changed, not by one level of one pixel.

`--found` sends no outline but a sentence ("make the jacket red"), of things that a sentence without one can be about
here: what is changed has to be found, too. Of the thing's surroundings, 25 pixels of a 512-pixel image around its
outline and farther, as many pixels may have changed then as a twentieth of the thing has.

Writes a sheet (each photograph, then its colours) and prints last `colour A/N light B/N outside C/N all D/N`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PilImage

from benchmarks.demo_photograph_things import Thing, load_things, with_photographs
from benchmarks.demo_photographs import parser_of, prepare, sheet_of, tile_of
from composition.errors import ContentPolicy
from composition.images import Image
from composition.imaging.lab import distance, to_lab
from composition.imaging.masks import dilate, scale_px
from composition.request import EditOptions, EditRequest
from demo_models.world.palette import COLOURS

if TYPE_CHECKING:
    from composition.editor import Editor

LEAST_CHANGE = 14.0
HALFWAY = 0.5
SAME_LIGHT = 0.9
RIM_PX = 8.0
ROOM_PX, ALLOWED_SHARE = 25.0, 0.05
THUMBNAIL_PX = 200
SEED = 1


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How one recolouring came out.

    Attributes:
        before: how far the thing's mean colour was from the asked one, in L*a*b*; `after`, how far it is.
        light: correlation of L* before and after, well inside the outline.
        strayed_px: pixels outside that are not what they were.
        allowed_px: so many of them may be.
    """

    photograph: str
    thing: str
    colour: str
    before: float
    after: float
    light: float
    strayed_px: int
    allowed_px: int = 0

    @property
    def coloured(self) -> bool:
        """At least halfway to the colour."""
        return self.after <= HALFWAY * self.before

    @property
    def lit(self) -> bool:
        """Under the photograph's light."""
        return self.light >= SAME_LIGHT

    @property
    def clean(self) -> bool:
        """The rest as it was."""
        return self.strayed_px <= self.allowed_px

    @property
    def right(self) -> bool:
        """All at once."""
        return self.coloured and self.lit and self.clean


def mean_lab(image: Image, inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """The mean colour of a part of an image, L*a*b* (3,)."""
    return np.asarray(to_lab(image[inside]).mean(axis=0), dtype=np.float32)


def away(image: Image, inside: npt.NDArray[np.bool_], colour: str) -> float:
    """How far the mean colour of a part of an image is from one of the palette, in L*a*b*."""
    asked = to_lab(np.array(COLOURS[colour], np.float32)[None])[0]
    return float(distance(mean_lab(image, inside), asked))


def well_inside(inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """A part (H, W) of an image without its rim; all of it where it is no wider than that."""
    deep = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    core = np.asarray(deep > scale_px(RIM_PX, (inside.shape[0], inside.shape[1])))
    return core if core.any() else inside


def judge(thing: Thing, colour: str, photo: Image, result: Image, *, found: bool = False) -> Verdict:
    """Compare a result with the photograph, both (H, W, 3); `found`: no outline was given."""
    size = (photo.shape[0], photo.shape[1])
    inside = thing.silhouette(size)
    outside = ~(dilate(thing.extent(size).astype(np.uint8), scale_px(ROOM_PX, size)) > 0) if found else ~inside
    was, became = (to_lab(image[well_inside(inside)])[:, 0] for image in (photo, result))
    flat = min(was.std(), became.std()) < 1e-3
    return Verdict(
        photograph=thing.photograph,
        thing=thing.thing,
        colour=colour,
        before=away(photo, inside, colour),
        after=away(result, inside, colour),
        light=0.0 if flat else float(np.corrcoef(was, became)[0, 1]),
        strayed_px=int(((photo != result).any(axis=2) & outside).sum()),
        allowed_px=int(ALLOWED_SHARE * inside.sum()) if found else 0,
    )


def asked_colours(thing: Thing, photo: Image, colours: Sequence[str]) -> list[str]:
    """Those that the thing does not have already."""
    inside = thing.silhouette((photo.shape[0], photo.shape[1]))
    return [colour for colour in colours if away(photo, inside, colour) >= LEAST_CHANGE]


def summary(verdicts: Sequence[Verdict]) -> str:
    """The last line."""
    counts = {
        "colour": sum(verdict.coloured for verdict in verdicts),
        "light": sum(verdict.lit for verdict in verdicts),
        "outside": sum(verdict.clean for verdict in verdicts),
        "all": sum(verdict.right for verdict in verdicts),
    }
    return " ".join(f"{name} {count}/{len(verdicts)}" for name, count in counts.items())


def per_photograph(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """A line each."""
    for name in dict.fromkeys(verdict.photograph for verdict in verdicts):
        of_it = [verdict for verdict in verdicts if verdict.photograph == name]
        progress = np.mean([1 - verdict.after / verdict.before for verdict in of_it])
        light = np.mean([verdict.light for verdict in of_it])
        missed = ", ".join(verdict.colour for verdict in of_it if not verdict.coloured)
        yield (
            f"{name} ({of_it[0].thing}): {summary(of_it)}; {progress:.2f} of the way, light {light:.2f} on average"
            + (f"; not halfway: {missed}" if missed else "")
        )


def tile(image: Image, thing: Thing, words: str) -> PilImage.Image:
    """The thing with some of its surroundings, and words above."""
    inside = thing.silhouette((image.shape[0], image.shape[1]))
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    room = max(rows[-1] - rows[0], columns[-1] - columns[0]) // 8
    cut = image[max(0, rows[0] - room) : rows[-1] + room, max(0, columns[0] - room) : columns[-1] + room]
    return tile_of(np.ascontiguousarray(cut), words, side_px=THUMBNAIL_PX)


async def recolour(editor: Editor, thing: Thing, colour: str, photo: Image, *, found: bool = False) -> Image:
    """The photograph with the thing of another colour, inside its outline or `found`; itself where that is refused."""
    options = EditOptions(seed=SEED)
    if found:
        request = EditRequest(base=photo, prompt=f"make the {thing.said} {colour}", options=options)
    else:
        mask = thing.silhouette((photo.shape[0], photo.shape[1])).astype(np.uint8) * np.uint8(255)
        request = EditRequest(base=photo, prompt=f"{colour} {thing.thing}", mask=mask, options=options)
    try:
        return (await editor.edit(request, request_id=colour, listener=lambda progress: None)).image
    except ContentPolicy as refusal:
        print(f"{thing.photograph}: {colour} {thing.thing}: {refusal}")
        return photo


async def _measure(options: argparse.Namespace) -> list[Verdict]:
    from benchmarks.demo_world import local_editor

    verdicts: list[Verdict] = []
    tiles: list[PilImage.Image] = []
    with local_editor() as local:
        recoloured = [thing for thing in load_things() if thing.recoloured and (thing.said or not options.found)]
        for thing, photo in with_photographs(recoloured, options.photographs, options.only):
            row = [tile(photo, thing, thing.photograph)]
            for colour in asked_colours(thing, photo, options.colours):
                result = await recolour(local.editor, thing, colour, photo, found=options.found)
                verdict = judge(thing, colour, photo, result, found=options.found)
                verdicts.append(verdict)
                word = "right" if verdict.right else "WRONG"
                words = f"{word}: {colour}, {verdict.before:.0f} to {verdict.after:.0f}, light {verdict.light:.2f}"
                print(f"{thing.photograph}: {words}, {verdict.strayed_px} px outside", flush=True)
                row.append(tile(result, thing, words))
            columns = 1 + len(options.colours)
            tiles += row + [PilImage.new("RGB", row[0].size, "white")] * (columns - len(row))
    if tiles:
        sheet_of(tiles, columns=1 + len(options.colours)).save(options.out / "colours.png")
    rows = [asdict(verdict) | {"right": verdict.right} for verdict in verdicts]
    (options.out / "colours.json").write_text(json.dumps(rows, indent=1))
    return verdicts


def main() -> None:
    """Measure, print a line for each photograph and the summary last."""
    parser = parser_of("benchmarks.demo_photograph_colours", __doc__)
    parser.add_argument("--only", type=lambda text: text.split(","), help="names of photographs")
    parser.add_argument("--found", action="store_true", help="a sentence alone says what is recoloured")
    parser.add_argument("--colours", type=lambda text: text.split(","), default=[*COLOURS])
    options = parser.parse_args()
    prepare(options)
    verdicts = asyncio.run(_measure(options))
    print(*per_photograph(verdicts), summary(verdicts), sep="\n")


if __name__ == "__main__":
    main()
