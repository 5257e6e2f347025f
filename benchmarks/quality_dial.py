"""What `config.quality` saves and what it costs: counted operations beside the picture, in the demo world.

Usage: python -m benchmarks.quality_dial --first-seed N --scenes M [--profile demo] [--kinds recolour,material]
       [--settings exact,balanced,draft,fast] [--out out/quality_dial]

Each scene of `benchmarks.demo_world` is painted once per setting with one seed, the settings taking turns. Prints a
table with a line per setting: floating point operations of encoding, denoising and decoding over those of `exact`
(median over the scenes), the PSNR in decibels of what the model painted inside the mask against what it paints with
`exact` (median and least), and how many edits succeed by the judge of `benchmarks.demo_judge`. A setting that the
profile has no weights for is said to be missing.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
from collections.abc import AsyncGenerator, Hashable, Sequence
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass, replace

import numpy as np

from benchmarks.demo_judge import judge
from benchmarks.demo_painters import PAINTERS
from benchmarks.demo_settings import Settings, parsed, with_options
from benchmarks.demo_world import LocalEditor, local_editor, request_for
from composition.diffusion import DiffusionProgress, DiffusionRequest, DiffusionResult
from composition.errors import ContentPolicy, InvalidInput
from composition.images import Image, Mask
from composition.ports.diffuser import Diffuser
from composition.request import Quality, Speed
from demo_models.world.edits import EditPair, sample_edit
from prompt_reading.reader import GrammarPromptReader

SETTINGS: Settings = {
    "exact": {},
    "balanced": {"quality": Quality.BALANCED},
    "draft": {"quality": Quality.DRAFT},
    "fast": {"speed": Speed.FAST, "num_inference_steps": None},
}
PEAK = 255.0


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One scene with one setting; `psnr_db` against `exact`, infinite where nothing differs."""

    kind: str
    seed: int
    flops: int
    share: float
    psnr_db: float
    success: bool


class RecordingDiffuser:
    """Another diffuser, with the last request that it was given and what became of it."""

    def __init__(self, diffuser: Diffuser) -> None:
        self._diffuser = diffuser
        self.request: DiffusionRequest | None = None
        self.image: Image | None = None

    async def diffuse(self, request: DiffusionRequest) -> AsyncGenerator[DiffusionProgress | DiffusionResult, None]:
        """As the port has it."""
        self.request = request
        async with aclosing(self._diffuser.diffuse(request)) as events:
            async for event in events:
                if isinstance(event, DiffusionResult):
                    self.image = event.image
                yield event


class FlopCount:
    """Operations of a request, counted once for all that take the same."""

    def __init__(self) -> None:
        import torch

        from composition.config import load_config
        from models_store.store import ModelSet
        from runners.diffusion.engine.counters import Counters
        from runners.diffusion.families.registry import load_family

        config = load_config()
        self._family = load_family(config, ModelSet(config.models), torch.device("cpu"), Counters())
        self._counted: dict[Hashable, int] = {}

    def of(self, request: DiffusionRequest) -> int:
        """Of one that is encoded anew: text, images, reference, all steps, decoding."""
        key = (
            request.image.shape,
            request.num_inference_steps,
            request.strength,
            request.guidance_scale > 1.0,
            tuple((len(one.images), one.scale == 0.0, one.mask is None) for one in request.references),
            tuple((kind, one.scale == 0.0, one.start, one.end) for kind, one in request.controls.items()),
            (request.ip_adapter_start, request.ip_adapter_end),
            (request.speed, request.quality),
        )
        if key not in self._counted:
            self._counted[key] = self._count(request)
        return self._counted[key]

    def _count(self, request: DiffusionRequest) -> int:
        import torch
        from torch.nn.attention import SDPBackend, sdpa_kernel
        from torch.utils.flop_counter import FlopCounterMode

        self._family.release_memory()
        # The counter does not see into the CPU's fused attention: the plain one has the same products.
        with torch.inference_mode(), FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            state = self._family.encode(request)
            while not state.done:
                self._family.activate(state.bucket)
                self._family.advance([state], self._family.predict([state]))
            with suppress(ContentPolicy):
                self._family.decode(state)
        return int(counter.get_total_flops())


def psnr_db(one: Image, other: Image, mask: Mask) -> float:
    """Peak signal-to-noise ratio of two images (H, W, 3) where the mask is white; infinite where they are equal."""
    inside = mask == 255
    error = float(np.mean((one[inside].astype(float) - other[inside].astype(float)) ** 2))
    return float("inf") if error == 0.0 else 10.0 * float(np.log10(PEAK**2 / error))


def line(setting: str, shots: Sequence[Shot]) -> str:
    """A setting's line of the table."""
    psnr = [shot.psnr_db for shot in shots]
    return (
        f"| {setting} | {statistics.median(shot.share for shot in shots):.2f} | {statistics.median(psnr):.1f} "
        f"({min(psnr):.1f}) | {sum(shot.success for shot in shots)} of {len(shots)} |"
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Painting:
    """What was sent to the model and what it made of it; None where the safety checker refused it."""

    request: DiffusionRequest
    image: Image | None
    success: bool


class Studio:
    """The editor, with an eye on what goes to the diffusion model."""

    def __init__(self, local: LocalEditor) -> None:
        from composition.config import load_config
        from composition.editor import Editor

        self._recorder = RecordingDiffuser(local.models.diffuser)
        models = replace(local.models, diffuser=self._recorder)
        self._editor = Editor(
            config=load_config(), models=models, native_size=local.native_size, reader=GrammarPromptReader()
        )

    async def paint(self, pair: EditPair, seed: int, setting: str) -> Painting:
        """One scene with one setting. Raises: InvalidInput: the profile cannot."""
        self._recorder.image = None
        try:
            painted = await PAINTERS["model"](
                self._editor, pair, with_options(request_for(pair, seed), SETTINGS[setting])
            )
            success = judge(pair, seed, painted.image, routed=True).success
        except ContentPolicy:
            success = False
        assert self._recorder.request is not None
        return Painting(request=self._recorder.request, image=self._recorder.image, success=success)


async def measure(
    local: LocalEditor, settings: Sequence[str], seeds: Sequence[int], kinds: Sequence[str]
) -> dict[str, list[Shot]]:
    """Shots by setting, `exact` first; none of a setting that the profile cannot do, nor of a scene refused at once.

    A painting that the safety checker refuses has 0 dB.
    """
    studio, flops = Studio(local), FlopCount()
    shots: dict[str, list[Shot]] = {setting: [] for setting in settings}
    for kind, seed in itertools.product(kinds, seeds):
        pair = sample_edit(seed, kind)
        exact: Painting | None = None
        for setting in settings:
            try:
                painting = await studio.paint(pair, seed, setting)
            except InvalidInput as missing:
                print(f"{kind} {seed} {setting}: {missing.message}", flush=True)
                continue
            exact = exact or painting
            if exact.image is None:
                print(f"{kind} {seed}: refused by the safety checker", flush=True)
                break
            image, count = painting.image, flops.of(painting.request)
            shot = Shot(
                kind=kind,
                seed=seed,
                flops=count,
                share=count / flops.of(exact.request),
                psnr_db=0.0 if image is None else psnr_db(image, exact.image, exact.request.mask),
                success=painting.success,
            )
            shots[setting].append(shot)
            print(f"{kind} {seed} {setting}: {shot.share:.2f}, {shot.psnr_db:.1f} dB, {shot.success}", flush=True)
    return {setting: taken for setting, taken in shots.items() if taken}


async def run(options: argparse.Namespace) -> None:
    """Print the table, and write every shot to quality_dial.json in the folder `out`."""
    seeds = range(options.first_seed, options.first_seed + options.scenes)
    with local_editor() as local:
        shots = await measure(local, list(dict.fromkeys(("exact", *options.settings))), seeds, options.kinds)
    options.out.mkdir(parents=True, exist_ok=True)
    written = {setting: [asdict(shot) for shot in taken] for setting, taken in shots.items()}
    (options.out / "quality_dial.json").write_text(json.dumps(written, indent=1))
    print("\n| quality | operations | PSNR inside, dB: median (least) | succeed |\n| --- | --- | --- | --- |")
    print("\n".join(line(setting, taken) for setting, taken in shots.items()))
    for setting in options.settings:
        if setting not in shots:
            print(f"{setting}: not with profile {options.profile}")


def main() -> None:
    """Measure and print."""
    asyncio.run(run(parsed("quality_dial", __doc__, SETTINGS)))


if __name__ == "__main__":
    main()
