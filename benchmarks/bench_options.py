"""What the cheaper ways of painting do to the image and to the time, with the weights of a model profile.

Usage: python -m benchmarks.bench_options [--profile sd15] [--prompt "a glass teapot"] [--steps 25] [--out out/options]

One photograph, one seed, one region: painted as usual, then with each option. Prints seconds and how far each image
is from the usual one inside the region (mean absolute difference in grey levels; structural similarity, 1 = the same),
and writes the images side by side for the eye, which decides. Another seed is shown too: a difference below that one
is no larger than what chance makes. All of it runs eager, as each way is painted once.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from PIL import Image as PilImage
from skimage.metrics import structural_similarity

from benchmarks.bench_requests import Arrival
from composition.config import Config
from composition.diffusion import DiffusionRequest, DiffusionResult
from composition.few_steps import FEW_STEPS
from composition.images import Image, Mask
from composition.imaging import geometry
from composition.request import Quality
from models_store.store import ModelSet
from runners.device import choose_device, choose_dtype
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.settings import EngineSettings
from runners.diffusion.engine.step_engine import StepEngine
from runners.diffusion.families.sd15.build import SD15
from runners.diffusion.families.stable_diffusion.build import build_family
from runners.diffusion.families.stable_diffusion.components import load_components
from runners.diffusion.families.stable_diffusion.paths import profile_paths
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from runners.diffusion.torch_device import TorchDevice

MULTIPLE_PX = 64
REGION = (0.35, 0.35, 0.65, 0.65)
"""Of the photograph: left, top, right, bottom."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Rendering:
    """One way of painting: `image` is the whole photograph at model size with the region repainted."""

    name: str
    image: Image
    seconds: float
    difference: float
    similarity: float


class Renderer:
    """Paints the same region in different ways."""

    def __init__(self, config: Config, prompt: str, steps: int) -> None:
        models = ModelSet(config.models)
        device = choose_device(config.models.device)
        dtype = choose_dtype(config.models.dtype, device)
        self._settings = dataclasses.replace(
            StableDiffusionSettings.from_config(config, on_cuda=device.type == "cuda"), compile_blocks=False
        )
        self._components = load_components(profile_paths(SD15, models), self._settings, device, dtype)
        self._side = models.native_size
        photo = PilImage.fromarray(skimage.data.coffee()[:400, 100:500])
        self._photo: Image = np.asarray(photo.resize((self._side, self._side), PilImage.Resampling.LANCZOS))
        self._mask = region_mask(self._side)
        self._request = DiffusionRequest(
            request_id="usual",
            image=self._photo,
            mask=self._mask,
            prompt=prompt,
            negative_prompt="",
            num_inference_steps=steps,
            guidance_scale=7.5,
            seed=7,
        )

    def render(self) -> list[Rendering]:
        """The usual way first."""
        usual, seconds = self._paint(self._request)
        renderings = [self._compare("usual", usual, seconds, usual)]
        variants: list[tuple[str, DiffusionRequest, dict[str, Any]]] = [
            ("another seed", dataclasses.replace(self._request, seed=8), {}),
            ("quality balanced", dataclasses.replace(self._request, quality=Quality.BALANCED), {}),
            ("quality draft", dataclasses.replace(self._request, quality=Quality.DRAFT), {}),
            ("guidance_start 0.1", self._request, {"guidance_start": 0.1}),
            ("guidance_end 0.7", self._request, {"guidance_end": 0.7}),
            ("guidance_end 0.5", self._request, {"guidance_end": 0.5}),
            ("half the steps", self._with_steps(self._request.num_inference_steps // 2), {}),
        ]
        for speed in self._components.paths.speed_loras:
            steps, guidance_scale = FEW_STEPS[speed].pace(None, None)
            few = dataclasses.replace(self._with_steps(steps), speed=speed, guidance_scale=guidance_scale)
            variants.append((f"speed {speed}, {steps} steps", few, {}))
        for name, request, settings in variants:
            image, seconds = self._paint(request, **settings)
            renderings.append(self._compare(name, image, seconds, usual))
        image, seconds = self._paint_crop()
        renderings.append(self._compare("crop", image, seconds, usual))
        return renderings

    def _with_steps(self, steps: int) -> DiffusionRequest:
        return dataclasses.replace(self._request, num_inference_steps=max(1, steps))

    def _paint(self, request: DiffusionRequest, **settings: Any) -> tuple[Image, float]:
        """The photograph with the region from the model's image, and the seconds that took, encodings included."""
        chosen, counters = dataclasses.replace(self._settings, cache_max_bytes=0, **settings), Counters()
        family = build_family(self._components, chosen, counters)
        device = TorchDevice(self._components.device)
        engine = StepEngine(family, device, EngineSettings(timeout_s=1e6, lease_s=1e6), counters)
        try:
            arrival = Arrival(engine, request)
            seconds = arrival.wait()
        finally:
            engine.stop()
        result = arrival.outcome
        assert isinstance(result, DiffusionResult)
        return np.where(request.mask[:, :, None] > 0, result.image, request.image), seconds

    def _paint_crop(self) -> tuple[Image, float]:
        size = self._mask.shape
        box = geometry.crop_box(self._mask, native_size=self._side, size=(size[0], size[1]))
        if box is None:
            return self._paint(self._request)
        native = geometry.crop_native_size(box, size=(size[0], size[1]), native_size=self._side, multiple=MULTIPLE_PX)
        view = geometry.crop(self._photo, box)
        fit = geometry.fit((view.shape[0], view.shape[1]), native_size=native, multiple=MULTIPLE_PX)
        request = dataclasses.replace(
            self._request, image=fit.to_model(view), mask=fit.mask_to_model(geometry.crop(self._mask, box))
        )
        painted, seconds = self._paint(request)
        whole = geometry.paste(self._photo, fit.from_model(painted), box)
        return np.where(self._mask[:, :, None] > 0, whole, self._photo), seconds

    def _compare(self, name: str, image: Image, seconds: float, usual: Image) -> Rendering:
        rows, columns = np.flatnonzero(self._mask.any(axis=1)), np.flatnonzero(self._mask.any(axis=0))
        window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        ours, reference = image[window], usual[window]
        return Rendering(
            name=name,
            image=image,
            seconds=seconds,
            difference=float(np.abs(ours.astype(int) - reference.astype(int)).mean()),
            similarity=float(structural_similarity(ours, reference, channel_axis=2)),
        )


def region_mask(side: int) -> Mask:
    """The region as a mask (side, side) on the latent grid."""
    left, top, right, bottom = (round(share * side / 8) * 8 for share in REGION)
    mask = np.zeros((side, side), dtype=np.uint8)
    mask[top:bottom, left:right] = 255
    return mask


def main(arguments: list[str] | None = None) -> int:
    """Render, print, write; the process's exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--profile", choices=["tiny", "demo", "sd15"], default="sd15")
    parser.add_argument("--prompt", default="a glass teapot")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--out", type=Path, default=Path("out/options"))
    options = parser.parse_args(arguments)
    config = Config.model_validate({"models": {"profile": options.profile, "safety_checker": False}})
    renderings = Renderer(config, options.prompt, options.steps).render()
    options.out.mkdir(parents=True, exist_ok=True)
    PilImage.fromarray(np.concatenate([r.image for r in renderings], axis=1)).save(options.out / "options.png")
    print(f"profile {options.profile}, {options.steps} steps, eager, {options.prompt!r}; images in {options.out}")
    print(f"{'way':<22} {'seconds':>8} {'of usual':>9} {'difference':>11} {'similarity':>11}")
    for r in renderings:
        share = r.seconds / renderings[0].seconds
        print(f"{r.name:<22} {r.seconds:>8.2f} {share:>9.2f} {r.difference:>11.2f} {r.similarity:>11.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
