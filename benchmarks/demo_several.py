"""Several edits in one pass beside the same edits one after the other, judged by ground truth on the demo world.

Usage: python -m benchmarks.demo_several --first-seed N --scenes M [--things 2] [--out out/demo_several]

A photo is several scenes of the demo world side by side, of unequal things, each of which is to become another colour.
Each thing's true outline with some room is sent as its mask: the demo segmenter knows no photo of several scenes.
It is edited in one pass (`edits`) and edit by edit, with the same seed; every scene of a result is judged by
`benchmarks.demo_judge`, so what one edit does to another's scene fails the other. Doing nothing and flat paint of the
true colour are judged as well, and must fail. Prints what the diffusion model did in either way (forwards of the UNet,
their rows, decodings), writes a contact sheet (before, mask, one pass, one after the other, truth) and
prints last `several A/N sequential B/N flat C/N noop D/N`, counted in edits.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image as PilImage

from benchmarks.demo_judge import Pixels, flat_paint, judge
from benchmarks.demo_world import STEPS, LocalEditor, local_editor
from composition.imaging.masks import dilate
from composition.request import EditOptions, EditRequest, OneOfSeveral
from demo_models.world.edits import RECOLOUR, EditPair, sample_edit

SCENE_PX: Final = 256
SEEDS_PER_PHOTO: Final = 64
COUNTED: Final = ("unet_forwards", "unet_rows", "vae_decodes")
ROOM_PX: Final = 8
"""Around a thing's outline; half of it is the mask's soft rim."""
CLOSE: Final = 1.25
"""`crop_context` that shows a thing as large as its scene does; with the usual context it would be the whole photo."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Photo:
    """Scenes side by side, each with its edit."""

    pairs: tuple[EditPair, ...]
    seed: int

    def beside(self, image: Callable[[EditPair], Pixels]) -> Pixels:
        """An image of all scenes (256, 256 x scenes, 3)."""
        return np.concatenate([image(pair) for pair in self.pairs], axis=1)

    def outline(self, number: int) -> Pixels:
        """Of the thing of one scene, with room around, in an image of all of them (256, 256 x scenes; 0/255)."""
        outlines = [np.zeros_like(pair.silhouette) for pair in self.pairs]
        outlines[number] = dilate(self.pairs[number].silhouette, ROOM_PX)
        return np.concatenate(outlines, axis=1)

    def successes(self, result: Pixels) -> int:
        """How many of the edits have succeeded in an image of all scenes."""
        scenes = np.split(result, len(self.pairs), axis=1)
        return sum(judge(pair, self.seed, scene).success for pair, scene in zip(self.pairs, scenes, strict=True))


def sample_photo(seed: int, things: int) -> Photo:
    """Draws a photo of so many unequal things; deterministic, and photos of unequal seeds share no scene."""
    pairs: dict[str, EditPair] = {}
    for number in count(SEEDS_PER_PHOTO * seed):
        pair = sample_edit(number, RECOLOUR)
        pairs.setdefault(pair.noun, pair)
        if len(pairs) == things:
            return Photo(pairs=tuple(pairs.values()), seed=seed)
    raise AssertionError("the world has fewer things")


class Bench:
    """Edits photos both ways, and counts what the diffusion model does meanwhile."""

    def __init__(self, local: LocalEditor) -> None:
        self._local = local
        self.counted: dict[str, Counter[str]] = {"several": Counter(), "sequential": Counter()}

    async def several(self, photo: Photo) -> tuple[Pixels, Pixels]:
        """Image and mask after one pass."""
        edits = tuple(
            OneOfSeveral(prompt=pair.prompt, mask=photo.outline(number)) for number, pair in enumerate(photo.pairs)
        )
        before = await self._counters()
        result = await self._edit(photo, photo.beside(_before), "several", edits=edits)
        self.counted["several"].update(_difference(before, await self._counters()))
        return result.image, result.mask

    async def sequential(self, photo: Photo) -> Pixels:
        """The image after each edit by itself, from what the one before has left."""
        before = await self._counters()
        image = photo.beside(_before)
        for number, pair in enumerate(photo.pairs):
            result = await self._edit(photo, image, f"step{number}", prompt=pair.prompt, mask=photo.outline(number))
            image = result.image
        self.counted["sequential"].update(_difference(before, await self._counters()))
        return image

    async def _edit(self, photo: Photo, image: Pixels, name: str, **asked: Any) -> Any:
        options = EditOptions(seed=photo.seed, num_inference_steps=STEPS, crop_context=CLOSE, mask_blur_px=ROOM_PX)
        request = EditRequest(base=image, options=options, **asked)
        return await self._local.editor.edit(request, request_id=f"{name}-{photo.seed}", listener=lambda progress: None)

    async def _counters(self) -> Mapping[str, int]:
        diffuser: Any = self._local.models.diffuser
        counters: Mapping[str, int] = (await diffuser.stats())["counters"]
        return counters


def _before(pair: EditPair) -> Pixels:
    return pair.before.image


def _difference(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    return {name: after.get(name, 0) - before.get(name, 0) for name in COUNTED}


async def run(local: LocalEditor, first_seed: int, photos: int, things: int, out: Path) -> str:
    """Edit and judge; writes the sheet to the folder `out`. Gives the last line."""
    bench, successes = Bench(local), Counter[str]()
    rows = []
    for seed in range(first_seed, first_seed + photos):
        photo = sample_photo(seed, things)
        together, mask = await bench.several(photo)
        images = {
            "several": together,
            "sequential": await bench.sequential(photo),
            "flat": photo.beside(lambda pair: flat_paint(pair, pair.region)),
            "noop": photo.beside(_before),
        }
        for name, image in images.items():
            successes[name] += photo.successes(image)
        print(f"{seed}: {'; '.join(pair.prompt for pair in photo.pairs)}", dict(successes), flush=True)
        grey = np.repeat(mask[..., None], 3, axis=2)
        truth = photo.beside(lambda pair: pair.after.image)
        rows.append([images["noop"], grey, images["several"], images["sequential"], truth])
    _sheet(rows).save(out / "several.png")
    for name, counted in bench.counted.items():
        print(f"{name}: " + ", ".join(f"{counted[one]} {one}" for one in COUNTED))
    edits = photos * things
    return " ".join(f"{name} {successes[name]}/{edits}" for name in ("several", "sequential", "flat", "noop"))


def _sheet(rows: Sequence[Sequence[Pixels]]) -> PilImage.Image:
    return PilImage.fromarray(np.concatenate([np.concatenate(images, axis=0) for images in rows], axis=1))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the summary last. `arguments` are those of the command line unless given."""
    parser = argparse.ArgumentParser(prog="benchmarks.demo_several", description=__doc__)
    parser.add_argument("--first-seed", type=int, required=True)
    parser.add_argument("--scenes", type=int, required=True, help="photos")
    parser.add_argument("--things", type=int, choices=(2, 3), default=2, help="edits of each photo")
    parser.add_argument("--profile", default="demo", help="model profile; it must be imported")
    parser.add_argument("--out", type=Path, default=Path("out/demo_several"))
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    # The runners read the configuration when they are imported.
    os.environ["COMPOSITION_MODELS__PROFILE"] = options.profile

    async def measure() -> str:
        with local_editor() as local:
            return await run(local, options.first_seed, options.scenes, options.things, options.out)

    print(asyncio.run(measure()))


if __name__ == "__main__":
    main()
