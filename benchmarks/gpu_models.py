"""What a report of a card is about: a profile's models, or random ones of Stable Diffusion 1.5's published widths."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.bench_models import FULL, SMALL, build_models
from benchmarks.bench_requests import IP_VARIANT
from composition.config import Config
from models_store.manifest import profiles
from models_store.plan.decided import decide, resolve
from models_store.plan.words import summary
from models_store.store import ModelSet
from runners.device import choose_device, choose_dtype
from runners.diffusion.families.sd15.build import SD15
from runners.diffusion.families.sdxl.build import SDXL
from runners.diffusion.families.stable_diffusion.paths import StableDiffusionPaths, profile_paths

KINDS = {"sd15": SD15, "sdxl": SDXL}
RANDOM_FOLDER = Path("var/bench/full")
"""Where `benchmarks.bench --size full` keeps the same ones."""
RANDOM_SIZES = {size.name: size for size in (SMALL, FULL)}


@dataclass(frozen=True, kw_only=True)
class MeasuredModels:
    """What is measured, ready to be loaded.

    Attributes:
        name: of the profile, or which random ones.
        family: a key of `KINDS`.
        native_size: px.
        variant: of the IP-Adapter.
        config: with the plan's choices.
        plan: of a profile, in words; None for random ones, which no plan is made for.
    """

    name: str
    family: str
    native_size: int
    variant: str | None
    paths: StableDiffusionPaths
    config: Config
    plan: Any
    device: torch.device
    dtype: torch.dtype


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those that `measured_models` reads."""
    parser.add_argument("--profile", choices=profiles(), default="sd15")
    parser.add_argument(
        "--random-weights",
        nargs="?",
        type=Path,
        const=RANDOM_FOLDER,
        metavar="FOLDER",
        help="of SD 1.5's published widths instead of a profile's; built in the folder, %(const)s by default",
    )
    parser.add_argument("--random-size", choices=RANDOM_SIZES, default=FULL.name, help="small: to see that it works")
    parser.add_argument("--max-rows", type=int, help="rows of a forward instead of the plan's")


def measured_models(options: argparse.Namespace) -> MeasuredModels:
    """Raises: as `ModelSet.require_served`."""
    values: dict[str, Any] = {"models": {"profile": options.profile}}
    if options.max_rows is not None:
        values["generation"] = {"max_rows": options.max_rows}
    config = Config.model_validate(values)
    return _profiles(config) if options.random_weights is None else _random(config, options)


def _profiles(config: Config) -> MeasuredModels:
    plan = decide(config)
    config = resolve(config, plan)
    models = ModelSet(config.models)
    return MeasuredModels(
        name=config.models.profile,
        family=models.family,
        native_size=models.native_size,
        variant=models.ip_adapter_variant,
        paths=profile_paths(KINDS[models.family], models),
        config=config,
        plan=summary(plan),
        **_device(config),
    )


def _random(config: Config, options: argparse.Namespace) -> MeasuredModels:
    size, on = RANDOM_SIZES[options.random_size], _device(config)
    return MeasuredModels(
        name=f"random weights of Stable Diffusion 1.5's {'published' if size is FULL else size.name} widths",
        family="sd15",
        native_size=size.image_px,
        variant=IP_VARIANT,
        paths=build_models(size, options.random_weights.resolve(), torch.bfloat16, on["device"]),
        config=config,
        plan=None,
        **on,
    )


def _device(config: Config) -> Mapping[str, Any]:
    device = choose_device(config.models.device)
    return {"device": device, "dtype": choose_dtype(config.models.dtype, device)}
