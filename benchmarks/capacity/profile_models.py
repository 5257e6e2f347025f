"""A profile's models as they are served, for measuring: the diffusion family, and the edit around it."""

from __future__ import annotations

import dataclasses
import itertools
import os
import statistics
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager

import numpy as np
import torch

from benchmarks.bench_requests import CONTROL_TYPES, image, make_request, seconds
from benchmarks.bench_service import DirectEdits, fresh
from benchmarks.capacity.cards import SHAPES
from benchmarks.demo_cases import photo_cases, world_cases
from composition.config import load_config
from composition.controls import CONTROLS
from composition.diffusion import ControlInput, DiffusionProgress, DiffusionRequest, DiffusionResult, ReferenceInput
from models_store.plan.decided import decide, resolve
from models_store.store import ModelSet
from runners.compilers import reason_not_to_compile
from runners.device import choose_device, choose_dtype
from runners.diffusion.engine.counters import Counters
from runners.diffusion.families.sd15.build import SD15
from runners.diffusion.families.sdxl.build import SDXL
from runners.diffusion.families.stable_diffusion.build import build_family, compiler_for
from runners.diffusion.families.stable_diffusion.components import load_components
from runners.diffusion.families.stable_diffusion.paths import profile_paths
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from runners.diffusion.torch_device import TorchDevice

KINDS = {"sd15": SD15, "sdxl": SDXL}
"""By the family that serves a profile."""
SD15_CELLS = 64
"""Latent cells of a native image's side, that the shapes of `cards.SHAPES` are given in."""


class InstantDiffuser:
    """`composition.ports.Diffuser` that paints nothing: what is left of an edit's time is everything around it."""

    async def diffuse(self, request: DiffusionRequest) -> AsyncGenerator[DiffusionProgress | DiffusionResult, None]:
        """The photo as it came."""
        yield DiffusionResult(image=request.image, models_used=())


class ProfileModels:
    """Sets the environment's `COMPOSITION_MODELS__PROFILE`, and keeps nothing of one request for the next."""

    def __init__(self, profile: str) -> None:
        os.environ["COMPOSITION_MODELS__PROFILE"] = profile
        config = load_config()
        config = resolve(config, decide(config))
        models = ModelSet(config.models)
        self._device = choose_device(config.models.device)
        dtype = choose_dtype(config.models.dtype, self._device)
        settings = StableDiffusionSettings.from_config(
            config, on_cuda=self._device.type == "cuda", no_compiler=reason_not_to_compile()
        )
        # What earlier starts learnt is not compiled: only what is measured is.
        settings = dataclasses.replace(settings, cache_max_bytes=0, compiled_folder=None)
        paths = profile_paths(KINDS[models.family], models)
        self._profile, self._native_px, self._numbers = profile, models.native_size, itertools.count(1)
        components = load_components(paths, settings, self._device, dtype)
        self.compiler = compiler_for(components, settings)
        self.family = build_family(components, settings, Counters(), compiler=self.compiler)
        self.has_controls = CONTROL_TYPES[0] in paths.controlnets
        self.has_references = paths.ip_adapter is not None
        name = (
            torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else f"{os.cpu_count()} CPU cores"
        )
        self._measured = f"measured on {name}, profile {profile}, {str(dtype).removeprefix('torch.')}"
        self.shapes = {
            shape: (height // models.latent_cell_px, width // models.latent_cell_px)
            for shape in SHAPES
            for height, width in [self._size_px(shape)]
        }

    @property
    def about(self) -> str:
        """What is measured, by now compiled or not."""
        return f"{self._measured}, {'compiled' if self.compiler.stats()['blocks'] else 'eager'}"

    def inference(self) -> AbstractContextManager[None]:
        """Held while the family is called."""
        return TorchDevice(self._device).inference()

    def ask(
        self, shape: str, *, steps: int, controlled: bool = False, reference: bool = False, guided: bool = True
    ) -> DiffusionRequest:
        """A request like those of the service, on another image each time."""
        height, width = self._size_px(shape)
        number = next(self._numbers)
        whole = make_request(number, self._native_px)
        kind = CONTROL_TYPES[0]
        photo = image(number, self._native_px)
        control = ControlInput(image=photo[:height, :width], scale=CONTROLS[kind].together)
        return dataclasses.replace(
            whole,
            image=np.ascontiguousarray(whole.image[:height, :width]),
            mask=np.ascontiguousarray(whole.mask[:height, :width]),
            num_inference_steps=steps,
            guidance_scale=7.5 if guided else 1.0,
            controls={kind: control} if controlled else {},
            references=(ReferenceInput(images=(photo,), scale=0.6),) if reference else (),
        )

    def around_s(self, rounds: int) -> float:
        """Seconds of an edit of a photo that no cache has seen, but for its diffusion: the median of `rounds`."""
        cases = world_cases() if self._profile == "demo" else photo_cases()
        edits = DirectEdits(InstantDiffuser())
        photos = [fresh(cases[2], number) for number in range(rounds + 1)]
        times = [seconds(lambda photo=photo: edits.run(photo, "around")) for photo in photos]  # type: ignore[misc]
        return statistics.median(times[1:])  # the first one warms up

    def _size_px(self, shape: str) -> tuple[int, int]:
        height, width = SHAPES[shape]
        return height * self._native_px // SD15_CELLS, width * self._native_px // SD15_CELLS

    def wait(self) -> None:
        """Until the card has done what it was given."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
