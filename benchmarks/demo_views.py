"""Several photographs of one thing, edited together and each by itself, judged by the painted world's ground truth.

Usage: python -m benchmarks.demo_views --first-seed N --scenes M [--views 4] [--kind recolour] [--profile demo]
       [--out out/demo_views]

A scene is one car, person or piece of furniture seen by so many photographs, and one edit of it. It is edited

- `views`: all photographs in one request (`POST /api/v1/views`);
- `alike`: each by itself, with the same seed;
- `apart`: each by itself, with seeds of their own, as callers who name none get them.

The spread of a scene is the mean CIEDE2000 between the mean colours of the thing in each two of its photographs, that
of the texture the mean `texture_distance`; `truth` is that of what should have been painted, and `noop` of the
photographs. `flat` is a bucket of the true paint: the least spread there can be, and no success.

Writes views.png (of each scene a row of photographs, then of each way a row) and prints last, of each way, its spreads
on average, as a share of `apart` too, the successes by `benchmarks.demo_judge`, and how many photographs have changed
where nothing had to be.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image as PilImage
from scipy import ndimage

from benchmarks.demo_judge import Pixels, Verdict, flat_paint, judge
from benchmarks.demo_world import STEPS, LocalEditor, local_editor
from composition.request import EditOptions, EditRequest, View
from demo_models.world.edits import MATERIAL, RECOLOUR, EditPair
from demo_models.world.scoring import colour_difference, mean_colour, texture_distance
from demo_models.world.views import ViewsEdit, sample_views

WAYS: Final = ("views", "alike", "apart", "flat", "noop", "truth")
SEEDS_APART: Final = 7919


@dataclass(kw_only=True)
class Tally:
    """What one way has come to so far."""

    colours: list[float] = field(default_factory=list)
    textures: list[float] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    def add(self, scene: ViewsEdit, seed: int, images: Sequence[Pixels]) -> None:
        """Judge the photographs of one scene."""
        self.colours.append(spread(scene.pairs, images, _colours_apart))
        self.textures.append(spread(scene.pairs, images, _textures_apart))
        self.verdicts += [judge(pair, seed, image) for pair, image in zip(scene.pairs, images, strict=True)]

    def line(self, name: str, apart: Tally) -> str:
        """Its figures, beside those of what is edited apart."""
        colour, texture = float(np.mean(self.colours)), float(np.mean(self.textures))
        of_colour, of_texture = colour / float(np.mean(apart.colours)), texture / float(np.mean(apart.textures))
        done = sum(verdict.success for verdict in self.verdicts)
        strayed = sum(verdict.strayed_px > 0 for verdict in self.verdicts)
        return (
            f"{name:6} colour spread {colour:5.2f} ({of_colour:4.2f} of apart), texture spread {texture:5.2f} "
            f"({of_texture:4.2f}), success {done}/{len(self.verdicts)}, surroundings changed in {strayed}"
        )


def spread(
    pairs: Sequence[EditPair],
    images: Sequence[Pixels],
    apart: Callable[[tuple[EditPair, Pixels], tuple[EditPair, Pixels]], float],
) -> float:
    """How unlike one another the thing is in each two of its photographs, on average."""
    shown = list(zip(pairs, images, strict=True))
    return float(np.mean([apart(one, other) for one, other in combinations(shown, 2)]))


def _colours_apart(one: tuple[EditPair, Pixels], other: tuple[EditPair, Pixels]) -> float:
    first, second = (mean_colour(image, pair.region) for pair, image in (one, other))
    return colour_difference(first, second)


def _textures_apart(one: tuple[EditPair, Pixels], other: tuple[EditPair, Pixels]) -> float:
    (first, inside), (second, also) = (
        (image, ndimage.binary_erosion(pair.region > 200)) for pair, image in (one, other)
    )
    return texture_distance(first, inside, second, also)


class Bench:
    """Edits scenes in every way."""

    def __init__(self, local: LocalEditor) -> None:
        self._local = local

    async def edited(self, scene: ViewsEdit, seed: int) -> dict[str, list[Pixels]]:
        """Of each way the photographs, in order."""
        first, *others = photographs = [pair.before.image for pair in scene.pairs]
        together = await self._edit(
            f"views-{seed}",
            EditRequest(
                base=first, views=tuple(View(image=one) for one in others), prompt=scene.prompt, options=_options(seed)
            ),
        )
        images = {"views": together}
        for name, step in (("alike", 0), ("apart", SEEDS_APART)):
            images[name] = [
                (
                    await self._edit(
                        f"{name}-{seed}-{number}",
                        EditRequest(base=one, prompt=scene.prompt, options=_options(seed + number * step)),
                    )
                )[0]
                for number, one in enumerate(photographs)
            ]
        return {
            **images,
            "flat": [flat_paint(pair, pair.region) for pair in scene.pairs],
            "noop": photographs,
            "truth": [pair.after.image for pair in scene.pairs],
        }

    async def _edit(self, name: str, request: EditRequest) -> list[Pixels]:
        result = await self._local.editor.edit(request, request_id=name, listener=lambda progress: None)
        return list(result.images)


def _options(seed: int) -> EditOptions:
    return EditOptions(seed=seed, num_inference_steps=STEPS)


async def run(local: LocalEditor, options: argparse.Namespace) -> list[str]:
    """Edit and judge; writes the sheet. Gives the last lines."""
    bench, tallies, rows = Bench(local), {name: Tally() for name in WAYS}, []
    for seed in range(options.first_seed, options.first_seed + options.scenes):
        scene = sample_views(seed, options.kind, options.views)
        images = await bench.edited(scene, seed)
        for name, tally in tallies.items():
            tally.add(scene, seed, images[name])
        rows += [np.concatenate(images[name], axis=1) for name in ("noop", "views", "alike", "apart", "truth")]
        latest = {name: round(tally.colours[-1], 2) for name, tally in tallies.items()}
        print(f"{seed}: {scene.prompt}, colour spread {latest}", flush=True)
    PilImage.fromarray(np.concatenate(rows)).save(options.out / "views.png")
    return [tally.line(name, tallies["apart"]) for name, tally in tallies.items()]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the figures last. `arguments` are those of the command line unless given."""
    parser = argparse.ArgumentParser(prog="benchmarks.demo_views", description=__doc__)
    parser.add_argument("--first-seed", type=int, required=True)
    parser.add_argument("--scenes", type=int, required=True)
    parser.add_argument("--views", type=int, choices=range(2, 9), default=4, help="photographs of each thing")
    parser.add_argument("--kind", choices=(RECOLOUR, MATERIAL), default=RECOLOUR)
    parser.add_argument("--profile", default="demo", help="model profile; it must be imported")
    parser.add_argument("--out", type=Path, default=Path("out/demo_views"))
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    # The runners read the configuration when they are imported.
    os.environ["COMPOSITION_MODELS__PROFILE"] = options.profile

    async def measure() -> list[str]:
        with local_editor() as local:
            return await run(local, options)

    print(*asyncio.run(measure()), sep="\n")


if __name__ == "__main__":
    main()
