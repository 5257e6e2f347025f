"""What the depth of a scene is worth where something is added or removed, measured on the demo world.

Usage: python -m benchmarks.demo_insertion --first-seed N --scenes M [--kinds add] [--settings depth,off]
       [--out out/demo_insertion]

Insertions start from the scene without its subject, with a mask where the thing could stand, and ask for
"add a red car"; removals start from the scene and ask for "remove the car". The same scenes and seeds are painted with
the depth control altered in several ways before it reaches the diffusion model. Prints a table of successes, writes one
contact sheet per kind. The truth is the renderer's:

- an insertion succeeds when the demo detector finds the thing in the mask, the mean colour where it would be has come
  at least halfway to the truth (CIEDE2000), and some of the scene is left around it in the mask;
- a removal succeeds when the detector does not find the thing where it was and the image there has come at least
  halfway to the empty scene (mean absolute difference).

Doing nothing and flat paint of the true mean colour are judged as well, and must fail.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PilImage
from PIL import ImageDraw

from benchmarks.demo_world import LocalEditor, local_editor
from composition.controls import ControlSource
from composition.controls.depth import DEPTH
from composition.diffusion import ControlInput, DiffusionProgress, DiffusionRequest, DiffusionResult
from composition.images import Box
from composition.ports.diffuser import Diffuser
from composition.ports.vision import DepthEstimator, Detector
from composition.request import EditOptions, EditRequest
from demo_models.world.cars import Car
from demo_models.world.edits import roomy_box, with_look
from demo_models.world.furniture import Furniture
from demo_models.world.palette import COLOURS, PLAIN
from demo_models.world.scenes import Scene, render, render_empty, sample_spec
from demo_models.world.scoring import colour_difference, colour_progress, mean_colour, object_mask
from demo_models.world.textures import Appearance

Pixels = npt.NDArray[np.uint8]

ADD: Final = "add"
REMOVE: Final = "remove"
HALFWAY: Final = 0.5
SAME_PLACE: Final = 0.5
"""Share of a found box that lies in the mask, or overlap with where the thing was."""
LEAST_CHANGE: Final = 14.0
ALL_OF_IT: Final = 0.9
"""A thing that fills more of its roomy mask than this is a block of paint."""
STEPS: Final = 20
THUMBNAIL_PX, CAPTION_PX = 128, 14


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """One edit: `truth` and `before` are RGB (256, 256, 3), `mask` (256, 256) is the user's, None = detected."""

    kind: str
    seed: int
    prompt: str
    scene: Scene
    before: Pixels
    truth: Pixels
    mask: Pixels | None

    @property
    def noun(self) -> str:
        return str(self.scene.spec.subject.noun)


Alteration = Callable[[ControlInput, Pixels], ControlInput | None]
"""The depth control and the mask, both at model size -> the control that is sent; None sends none."""


def _filled(control: ControlInput, mask: Pixels) -> ControlInput:
    """The depth around carried on into the mask."""
    return dataclasses.replace(control, image=cv2.inpaint(control.image, mask, 5, cv2.INPAINT_TELEA))


def _blank(control: ControlInput, mask: Pixels) -> ControlInput:
    """Nothing near in the mask."""
    return dataclasses.replace(control, image=np.where(mask[..., None] > 0, np.uint8(0), control.image))


def _both(control: ControlInput, mask: Pixels) -> ControlInput:
    return dataclasses.replace(_filled(control, mask), scale=control.scale / 2)


ALTERATIONS: Final[Mapping[str, Alteration]] = {
    "depth": lambda control, mask: control,
    "off": lambda control, mask: None,
    "half": lambda control, mask: dataclasses.replace(control, scale=control.scale / 2),
    "early": lambda control, mask: dataclasses.replace(control, end=0.3),
    "late": lambda control, mask: dataclasses.replace(control, start=0.3),
    "filled": _filled,
    "blank": _blank,
    "filled half": _both,
}
SERVICE: Final = "service"
"""The service's own choice, unaltered."""


class Altered:
    """A `Diffuser` that gives every request the depth of what the model sees, altered, as its one control."""

    def __init__(self, diffuser: Diffuser, depth: DepthEstimator, alter: Alteration) -> None:
        self._diffuser, self._depth, self._alter = diffuser, depth, alter

    async def diffuse(self, request: DiffusionRequest) -> AsyncGenerator[DiffusionProgress | DiffusionResult, None]:
        """See the port."""
        depth = await self._depth.estimate_depth(request.image)
        image = DEPTH.draw(ControlSource(image=request.image, depth=depth))
        altered = self._alter(ControlInput(image=image, scale=DEPTH.alone), request.mask)
        controls = {} if altered is None else {DEPTH.name: altered}
        async for event in self._diffuser.diffuse(dataclasses.replace(request, controls=controls)):
            yield event


def sample_trial(kind: str, seed: int) -> Trial:
    """Draw an edit; deterministic."""
    rng = np.random.default_rng(seed)
    while True:
        number = int(rng.integers(10**7, 10**8))
        spec = sample_spec(number, str(rng.choice([Car.FAMILY, Furniture.FAMILY])))
        colour = str(rng.choice(list(COLOURS)))
        scene = render(with_look(spec, Appearance.sample(rng, (PLAIN,), colour)))
        empty = render_empty(scene.spec)
        there, gone = (mean_colour(image, scene.named_mask) for image in (scene.image, empty))
        if colour_difference(there, gone) >= LEAST_CHANGE:
            break
    if kind == REMOVE:
        prompt = f"remove the {spec.subject.noun}"
        return Trial(kind=kind, seed=seed, prompt=prompt, scene=scene, before=scene.image, truth=empty, mask=None)
    mask = roomy_box(scene.silhouette > 127, rng).astype(np.uint8) * np.uint8(255)
    prompt = f"add a {colour} {spec.subject.noun}"
    return Trial(kind=kind, seed=seed, prompt=prompt, scene=scene, before=empty, truth=scene.image, mask=mask)


async def succeeded(trial: Trial, image: Pixels, detector: Detector) -> bool:
    """Judge an edited image (256, 256, 3)."""
    found = await detector.detect(image, trial.noun)
    if trial.kind == ADD:
        assert trial.mask is not None
        there = any(_share_inside(item.box, trial.mask > 0) >= SAME_PLACE for item in found)
        coloured = colour_progress(trial.before, image, trial.truth, trial.scene.named_mask) >= HALFWAY
        block = float(object_mask(image, trial.before)[trial.mask > 0].mean()) > ALL_OF_IT
        return there and coloured and not block
    where = trial.scene.silhouette > 127
    still_there = any(_overlap(item.box, where) >= SAME_PLACE for item in found)
    left, whole = (np.abs(one.astype(int) - trial.truth)[where].mean() for one in (image, trial.before))
    return not still_there and float(left / whole) <= 1 - HALFWAY


def _share_inside(box: Box, mask: npt.NDArray[np.bool_]) -> float:
    inside = mask[max(0, int(box.y0)) : int(box.y1) + 1, max(0, int(box.x0)) : int(box.x1) + 1]
    return float(inside.mean()) if inside.size else 0.0


def _overlap(box: Box, shape: npt.NDArray[np.bool_]) -> float:
    """Intersection over union of a box and the bounding box of a shape."""
    rows, columns = (np.flatnonzero(shape.any(axis=axis)) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    width = max(0.0, min(box.x1, right) - max(box.x0, left))
    height = max(0.0, min(box.y1, bottom) - max(box.y0, top))
    both = width * height
    return float(both / (box.area + (right - left) * (bottom - top) - both))


def cheats(trial: Trial) -> dict[str, Pixels]:
    """What must fail: nothing done, and the true mean colour painted flat over the thing's box."""
    region = trial.mask if trial.mask is not None else trial.scene.silhouette
    flat = np.where(region[..., None] > 127, mean_colour(trial.truth, trial.scene.named_mask), trial.before)
    return {"nothing done": trial.before, "flat paint": np.rint(flat).astype(np.uint8)}


async def edited(local: LocalEditor, trial: Trial, setting: str) -> Pixels:
    """The image that a setting makes of a trial."""
    from composition.config import load_config
    from composition.editor import Editor
    from prompt_reading.reader import GrammarPromptReader

    options: dict[str, Any] = {"seed": trial.seed, "num_inference_steps": STEPS}
    models = local.models
    if setting != SERVICE:
        diffuser = Altered(models.diffuser, models.depth, ALTERATIONS[setting])
        models = dataclasses.replace(models, diffuser=diffuser)
    editor = Editor(config=load_config(), models=models, native_size=local.native_size, reader=GrammarPromptReader())
    request = EditRequest(base=trial.before, prompt=trial.prompt, mask=trial.mask, options=EditOptions(**options))
    result = await editor.edit(request, request_id=f"{setting}-{trial.seed}", listener=lambda progress: None)
    return np.asarray(result.image)


def contact_sheet(trials: Sequence[Trial], columns: Mapping[str, Sequence[tuple[Pixels, bool]]]) -> PilImage.Image:
    """A row per trial: before, truth, then a column per setting."""
    height = THUMBNAIL_PX + CAPTION_PX
    sheet = PilImage.new("RGB", ((2 + len(columns)) * THUMBNAIL_PX, height * len(trials)), "white")
    pen = ImageDraw.Draw(sheet)
    for row, trial in enumerate(trials):
        before = trial.before.copy()
        if trial.mask is not None:
            edge = cv2.dilate(trial.mask, np.ones((3, 3), np.uint8)) != trial.mask
            before[edge] = (255, 0, 255)
        cells = [(f"{trial.seed} {trial.prompt}", before), ("", trial.truth)]
        cells += [(f"{name}: {'yes' if good[row][1] else 'no'}", good[row][0]) for name, good in columns.items()]
        for column, (caption, image) in enumerate(cells):
            small = PilImage.fromarray(image).resize((THUMBNAIL_PX, THUMBNAIL_PX), PilImage.Resampling.LANCZOS)
            sheet.paste(small, (column * THUMBNAIL_PX, row * height + CAPTION_PX))
            pen.text((column * THUMBNAIL_PX + 2, row * height + 1), caption, fill="black")
    return sheet


async def _measure(options: argparse.Namespace) -> None:
    with local_editor() as local:
        detector = local.models.detector
        for kind in options.kinds:
            trials = [
                sample_trial(kind, seed) for seed in range(options.first_seed, options.first_seed + options.scenes)
            ]
            columns: dict[str, list[tuple[Pixels, bool]]] = {}
            for trial in trials:
                for name, image in cheats(trial).items():
                    columns.setdefault(name, []).append((image, await succeeded(trial, image, detector)))
            _report(kind, columns)
            for setting in options.settings:
                images = [await edited(local, trial, setting) for trial in trials]
                judged = [
                    (image, await succeeded(trial, image, detector))
                    for image, trial in zip(images, trials, strict=True)
                ]
                columns[setting] = judged
                _report(kind, {setting: judged})
                contact_sheet(trials, columns).save(options.out / f"{kind}.png")


def _report(kind: str, columns: Mapping[str, Sequence[tuple[Pixels, bool]]]) -> None:
    for name, judged in columns.items():
        print(f"{kind:8}{name:14}{sum(good for _, good in judged)}/{len(judged)}", flush=True)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.demo_insertion", description=__doc__)
    parser.add_argument("--first-seed", type=int, required=True)
    parser.add_argument("--scenes", type=int, required=True, help="scenes of each kind")
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=[ADD, REMOVE])
    parser.add_argument("--settings", type=lambda text: text.split(","), default=[*ALTERATIONS, SERVICE])
    parser.add_argument("--out", type=Path, default=Path("out/demo_insertion"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    # The runners read the configuration when they are imported.
    os.environ["COMPOSITION_MODELS__PROFILE"] = "demo"
    asyncio.run(_measure(options))


if __name__ == "__main__":
    main()
