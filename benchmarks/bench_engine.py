"""The step engine beside the stock pipelines: same weights, same machine, same run."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.bench_requests import (
    CONTROL_TYPES,
    IP_VARIANT,
    Arrival,
    controls,
    make_request,
    mixed_requests,
    reference,
    run_all,
    seconds,
)
from benchmarks.stock import StockPipelines
from composition.diffusion import DiffusionRequest
from composition.imaging import geometry
from composition.request import ControlType, Speed
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.settings import EngineSettings
from runners.diffusion.engine.step_engine import StepEngine
from runners.diffusion.families.stable_diffusion.build import build_family
from runners.diffusion.families.stable_diffusion.components import Components
from runners.diffusion.families.stable_diffusion.paths import StableDiffusionPaths
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from runners.diffusion.torch_device import TorchDevice

USUAL_STEPS = 20
FLOP_STEPS = 4


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Denoising steps of the timed requests."""

    solo: int = 10
    concurrent: int = 10
    short: int = 4
    long: int = 50


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`ratio` is ours over the stock pipelines' (or over what `details` says).

    `kept` says whether the promise is kept where that is not about the ratio.
    """

    ratio: float
    details: dict[str, Any]
    kept: bool | None = None


class EngineBench:
    """Measures one set of models.

    Args:
        components: loaded once, for every engine that is measured.
        stock: the pipelines to compare with.
        side_px: of the images.
        rounds: how often each time is taken, the short ones of `solo` twice as often; medians are compared.
        lengths: of the requests.
    """

    def __init__(
        self, components: Components, stock: StockPipelines, *, side_px: int, rounds: int, lengths: Lengths
    ) -> None:
        self._components, self._stock, self._lengths = components, stock, lengths
        self._side, self._rounds = side_px, rounds
        self._seed = 1000

    def solo(self) -> Outcome:
        """One simple request alone, nothing cached."""
        engine = self._engine()
        self._warm_up(engine, make_request(1, self._side, num_inference_steps=2))
        ours, theirs = self._compare(
            lambda: [make_request(self._next_seed(), self._side, num_inference_steps=self._lengths.solo)],
            engine,
            rounds=2 * self._rounds + 1,
        )
        engine.stop()
        return _times(ours, theirs, steps=self._lengths.solo)

    def concurrent(self) -> Outcome:
        """Eight mixed requests at once, against the same eight one after the other; nothing cached."""
        engine = self._engine()
        self._warm_up(engine, mixed_requests(1, self._side, 2)[2])
        ours, theirs = self._compare(
            lambda: mixed_requests(self._next_seed(), self._side, self._lengths.concurrent),
            engine,
            rounds=self._rounds,
        )
        counters = engine.stats()["counters"]
        engine.stop()
        return _times(ours, theirs, requests=8, mean_steps=self._lengths.concurrent, counters=counters)

    def short_during_long(self) -> Outcome:
        """A short request that arrives during a long one, over the same short one alone."""
        engine = self._engine()
        self._warm_up(engine, make_request(1, self._side, num_inference_steps=2))
        alone, shared = [], []
        for _ in range(self._rounds):
            alone.append(run_all(engine, [self._short()]))
            long = make_request(self._next_seed(), self._side, num_inference_steps=self._lengths.long)
            Arrival(engine, long).wait_for_step(3)
            shared.append(Arrival(engine, self._short()).wait())
            engine.cancel(long.request_id)
        engine.stop()
        outcome = _times(shared, alone, short_steps=self._lengths.short, long_steps=self._lengths.long)
        outcome.details["compared"] = "ours during a long request over ours alone"
        return outcome

    def flops(self) -> Outcome:
        """Counted floating point operations per request, ours over stock's; and what each option saves."""
        cases = {
            "simple": make_request(1, self._side, num_inference_steps=FLOP_STEPS),
            "pose": self._controlled("pose"),
            "pose+depth+reference": self._controlled(*CONTROL_TYPES, **reference(1, self._side)),
        }
        counts = {
            name: {"ours": self._count_ours(request), "stock": self._count(partial(self._stock_images, [request]))}
            for name, request in cases.items()
        }
        ratios = {name: count["ours"] / count["stock"] for name, count in counts.items()}
        details = {"steps": FLOP_STEPS, "flops": counts, "ratios": ratios, "options": self._savings()}
        return Outcome(ratio=max(ratios.values()), details=details)

    def weights(self, paths: StableDiffusionPaths) -> Outcome:
        """Bytes of all distinct weight storages in use over the bytes of the files' tensors."""
        family = build_family(self._components, StableDiffusionSettings(), Counters())
        loaded = [family.controlnets.get(kind, needed=len(paths.controlnets)) for kind in paths.controlnets]
        held = _storage_bytes([*self._components.modules().values(), *loaded])
        expected = sum(_tensor_bytes(file, self._components.dtype) for file in _weight_files(paths))
        return Outcome(ratio=held / expected, details={"held_bytes": held, "manifest_bytes": expected})

    def _engine(self) -> StepEngine:
        counters = Counters()
        family = build_family(self._components, StableDiffusionSettings(cache_max_bytes=0), counters)
        device = TorchDevice(self._components.device)
        return StepEngine(family, device, EngineSettings(timeout_s=1e6, lease_s=1e6), counters)

    def _compare(
        self, draw: Callable[[], list[DiffusionRequest]], engine: StepEngine, rounds: int
    ) -> tuple[list[float], list[float]]:
        """Seconds for the drawn requests in our engine and in the stock pipelines, per round."""
        ours: list[float] = []
        theirs: list[float] = []
        for number in range(rounds):
            requests = draw()
            # Taking turns at being first keeps a slow drift of the machine out of the ratio.
            for engines_turn in (True, False) if number % 2 == 0 else (False, True):
                if engines_turn:
                    ours.append(run_all(engine, requests))
                else:
                    theirs.append(seconds(partial(self._stock_images, requests)))
        return ours, theirs

    def _warm_up(self, engine: StepEngine, request: DiffusionRequest) -> None:
        run_all(engine, [request])
        self._stock_images([request])

    def _next_seed(self) -> int:
        self._seed += 10
        return self._seed

    def _short(self) -> DiffusionRequest:
        return make_request(self._next_seed(), self._side, num_inference_steps=self._lengths.short)

    def _controlled(self, *kinds: ControlType, **changes: Any) -> DiffusionRequest:
        given = controls(self._side, *kinds)
        return make_request(2, self._side, num_inference_steps=FLOP_STEPS, controls=given, **changes)

    def _stock_images(self, requests: Sequence[DiffusionRequest]) -> None:
        for request in requests:
            self._stock.image(request, IP_VARIANT if request.references else None)

    def _count(self, work: Callable[[], Any]) -> int:
        # The counter does not see into the CPU's fused attention: the plain one has the same products.
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            work()
        return int(counter.get_total_flops())

    def _count_ours(self, request: DiffusionRequest, **settings: Any) -> int:
        family = build_family(self._components, StableDiffusionSettings(cache_max_bytes=0, **settings), Counters())

        def work() -> None:
            with torch.inference_mode():
                state = family.encode(request)
                while not state.done:
                    family.activate(state.bucket)
                    family.advance([state], family.predict([state]))
                family.decoder.pixels(state.latents)

        return self._count(work)

    def _savings(self) -> dict[str, float]:
        """FLOPs of a 20-step request with an option over the same without; steps cost the same, so two counts do."""
        side = self._side
        few, more = (self._count_ours(make_request(3, side, num_inference_steps=n)) for n in (2, 4))
        step = (more - few) / 2
        fixed = few - 2 * step
        normal = fixed + USUAL_STEPS * step
        fast = self._count_ours(make_request(3, side, num_inference_steps=4, guidance_scale=1.5, speed=Speed.FAST))
        turbo = self._count_ours(make_request(3, side, num_inference_steps=4, guidance_scale=1.0, speed=Speed.TURBO))
        window = self._count_ours(make_request(3, side, num_inference_steps=4), guidance_end=0.5)
        small = crop_side(side)
        cropped = self._count_ours(make_request(3, small, num_inference_steps=4))
        cropped_step = (cropped - self._count_ours(make_request(3, small, num_inference_steps=2))) / 2
        return {
            "fast (4 LCM steps)": fast / normal,
            "turbo (4 TCD steps)": turbo / normal,
            "guidance_end 0.5": (fixed + USUAL_STEPS * (window - fixed) / 4) / normal,
            f"crop (region 1/8 as wide, painted at {small} px)": (cropped + 16 * cropped_step) / normal,
        }


def crop_side(native_px: int) -> int:
    """Side at which a region an eighth as wide as a photo of the model's size is painted when the crop is on."""
    size = (native_px, native_px)
    alpha = np.zeros(size, dtype=np.uint8)
    alpha[native_px // 2 : native_px * 5 // 8, native_px // 2 : native_px * 5 // 8] = 255
    box = geometry.crop_box(alpha, native_size=native_px, size=size)
    if box is None:
        return native_px
    return geometry.crop_native_size(box, size=size, native_size=native_px, multiple=64)


def _times(ours: list[float], theirs: list[float], **details: Any) -> Outcome:
    ratio = statistics.median(ours) / statistics.median(theirs)
    return Outcome(ratio=ratio, details={"ours_s": ours, "stock_s": theirs, **details})


def _storage_bytes(modules: list[torch.nn.Module]) -> int:
    sizes = {p.untyped_storage().data_ptr(): p.numel() * p.element_size() for m in modules for p in m.parameters()}
    return sum(sizes.values())


def _weight_files(paths: StableDiffusionPaths) -> list[Any]:
    folders = [paths.base, *paths.controlnets.values()]
    files = [file for folder in folders for file in folder.rglob("*.safetensors") if ".fp16." not in file.name]
    assert paths.ip_adapter is not None
    files.append(paths.ip_adapter / "models" / "ip-adapter_sd15.safetensors")
    return [*files, *(paths.ip_adapter / "models" / "image_encoder").glob("*.safetensors")]


def _tensor_bytes(file: Any, dtype: torch.dtype) -> int:
    """Size of a file's tensors once they are in `dtype`."""
    with safe_open(file, framework="pt") as opened:
        shapes = [opened.get_slice(key).get_shape() for key in opened.keys()]  # noqa: SIM118  no mapping
    elements = sum(int(torch.Size(shape).numel()) for shape in shapes)
    return elements * torch.empty(0, dtype=dtype).element_size()
