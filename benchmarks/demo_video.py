"""Clips of the moving world, edited as clips and frame by frame, judged by the world's ground truth.

Usage: python -m benchmarks.demo_video --first-seed N --scenes M [--frames 48] [--people-move] [--profile demo]
       [--out out/demo_video]

A clip is a recolour of a car that drives or of something else that the camera pans over; with `--people-move` people
stand before a camera that does not move, and do. It is edited

- `video`: as POST /api/v1/video does it;
- `frames`: every frame by itself, with the same seed.

The warp error is the mean difference (0..255) between a frame and the one before moved by the world's own motion,
inside the true region of both; a person who moves has none, as no one motion is that of all parts. `truth` is that of
what should have been painted, `noop` of the clip as it was, and `flicker` of a cheat: the truth with a brightness of
its own in every frame. A recolour succeeds by `benchmarks.demo_judge`, frame by frame; `frozen`, the truth of the first
frame in every one, must fail where something moves in the picture.

Writes a strip of each clip (every way a row) and prints last, of each way, its warp error, that as a share of `frames`,
the successes, in how many frames the surroundings have changed, and how long it took.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image as PilImage
from scipy import ndimage

from benchmarks.demo_judge import Pixels, Verdict, judge
from benchmarks.demo_world import STEPS, LocalEditor, local_editor
from composition.request import EditOptions, EditRequest
from demo_models.world.clips import ClipEdit, sample_clip

WAYS: Final = ("video", "frames", "truth", "noop", "flicker", "frozen")
SHOWN: Final = 8
_FLICKER: Final = 12


@dataclass(kw_only=True)
class Tally:
    """What one way has come to so far."""

    errors: list[float] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, clip: ClipEdit, seed: int, images: Sequence[Pixels]) -> None:
        """Judge the frames of one clip."""
        error = warp_error(clip, images)
        if error is not None:
            self.errors.append(error)
        for number, image in enumerate(images):
            self.verdicts.append(judge(clip.pairs[number], seed, clip.as_seen_standing(number, image)))

    def latest(self, frames: int) -> tuple[int, float | None]:
        """Of the last clip, of so many frames, the successes and the warp error."""
        done = sum(verdict.success for verdict in self.verdicts[-frames:])
        return done, None if self.errors == [] else round(self.errors[-1], 2)

    def line(self, name: str, frames: Tally) -> str:
        """Its figures, beside those of what is edited frame by frame."""
        error = float(np.mean(self.errors)) if self.errors else float("nan")
        share = error / max(float(np.mean(frames.errors)), 1e-6) if self.errors else float("nan")
        done = sum(verdict.success for verdict in self.verdicts)
        strayed = sum(verdict.strayed_px > 0 for verdict in self.verdicts)
        return (
            f"{name:8} warp error {error:5.2f} ({share:4.2f} of frames), success {done}/{len(self.verdicts)}, "
            f"surroundings changed in {strayed}, {self.seconds:.0f} s"
        )


def warp_error(clip: ClipEdit, images: Sequence[Pixels]) -> float | None:
    """How much neighbouring frames differ where they show the same, on average; None where its parts move apart."""
    if clip.moved is None:
        return None
    errors = []
    for number in range(1, len(images)):
        step = clip.moved[number] - clip.moved[number - 1]
        inside = _inner(clip, number) & (_moved(_inner(clip, number - 1).astype(np.float32), step) > 0.99)
        before = _moved(images[number - 1].astype(np.float32), step)
        if inside.any():
            errors.append(float(np.abs(before - images[number])[inside].mean()))
    return float(np.mean(errors))


def _inner(clip: ClipEdit, number: int) -> np.ndarray:
    """The region that is to be repainted without its soft edge."""
    return np.asarray(ndimage.binary_erosion(clip.region(number) > 200, iterations=2))


def _moved(picture: np.ndarray, right_px: float) -> np.ndarray:
    shift = (0.0, right_px, *(0.0,) * (picture.ndim - 2))
    return np.asarray(ndimage.shift(picture, shift, order=1, mode="nearest"))


class Bench:
    """Edits clips in every way."""

    def __init__(self, local: LocalEditor) -> None:
        self._local = local

    async def edited(self, clip: ClipEdit, seed: int, tallies: dict[str, Tally]) -> dict[str, list[Pixels]]:
        """Of each way the frames, in order."""
        truth = [clip.truth(number) for number in range(len(clip.frames))]
        rng = np.random.default_rng(seed)
        shades = rng.integers(-_FLICKER, _FLICKER + 1, len(truth))
        began = time.perf_counter()
        video = await self._as_clip(clip, seed)
        tallies["video"].seconds += time.perf_counter() - began
        began = time.perf_counter()
        frames = [await self._alone(clip, seed, number) for number in range(len(truth))]
        tallies["frames"].seconds += time.perf_counter() - began
        return {
            "video": video,
            "frames": frames,
            "truth": truth,
            "noop": list(clip.frames),
            "flicker": [
                np.where(clip.region(number)[..., None] > 200, np.clip(one.astype(int) + shade, 0, 255), one).astype(
                    np.uint8
                )
                for number, (one, shade) in enumerate(zip(truth, shades, strict=True))
            ],
            "frozen": [truth[0]] * len(truth),
        }

    async def _as_clip(self, clip: ClipEdit, seed: int) -> list[Pixels]:
        request = EditRequest(base=clip.frames[0], prompt=clip.prompt, options=_options(seed))
        painter = await self._local.editor.open_clip(
            request, request_id=f"video-{seed}", frames=len(clip.frames), listener=lambda progress: None
        )

        async def frames() -> AsyncIterator[Pixels]:
            for frame in clip.frames:
                yield frame

        done: list[Pixels] = []
        async for window in painter.paint(frames()):
            done += window.images
        return done

    async def _alone(self, clip: ClipEdit, seed: int, number: int) -> Pixels:
        request = EditRequest(base=clip.frames[number], prompt=clip.prompt, options=_options(seed))
        result = await self._local.editor.edit(
            request, request_id=f"frame-{seed}-{number}", listener=lambda progress: None
        )
        return result.image


def _options(seed: int) -> EditOptions:
    return EditOptions(seed=seed, num_inference_steps=STEPS)


async def run(local: LocalEditor, options: argparse.Namespace) -> list[str]:
    """Edit and judge; writes the strips. Gives the last lines."""
    bench, tallies = Bench(local), {name: Tally() for name in WAYS}
    for seed in range(options.first_seed, options.first_seed + options.scenes):
        clip = sample_clip(seed, options.frames, people_move=options.people_move)
        images = await bench.edited(clip, seed, tallies)
        for name, tally in tallies.items():
            tally.add(clip, seed, images[name])
        shown = np.linspace(0, options.frames - 1, min(SHOWN, options.frames)).astype(int)
        rows = [
            np.concatenate([images[name][number] for number in shown], axis=1)
            for name in ("noop", "video", "frames", "truth")
        ]
        PilImage.fromarray(np.concatenate(rows)).save(options.out / f"{seed}.png")
        latest = {name: tally.latest(options.frames) for name, tally in tallies.items()}
        print(f"{seed}: {clip.motion}, {clip.prompt}, successes and warp error {latest}", flush=True)
    return [tally.line(name, tallies["frames"]) for name, tally in tallies.items()]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the figures last. `arguments` are those of the command line unless given."""
    parser = argparse.ArgumentParser(prog="benchmarks.demo_video", description=__doc__)
    parser.add_argument("--first-seed", type=int, required=True)
    parser.add_argument("--scenes", type=int, required=True, help="clips")
    parser.add_argument("--frames", type=int, default=48, help="of each clip")
    parser.add_argument("--people-move", action="store_true", help="instead of the camera before them")
    parser.add_argument("--profile", default="demo", help="model profile; it must be imported")
    parser.add_argument("--out", type=Path, default=Path("out/demo_video"))
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
