"""A family's tiny models, and the stock pipelines over the same folders: each combination loaded once."""

from __future__ import annotations

import dataclasses
import functools

import torch

from benchmarks.stock import StockPipelines
from runners.diffusion.families.stable_diffusion.components import Components, load_components
from runners.diffusion.families.stable_diffusion.paths import StableDiffusionPaths
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings

CPU = torch.device("cpu")


class Served:
    """`plain` and `plus` are its kind's variants of the IP-Adapter."""

    def __init__(self, paths: StableDiffusionPaths) -> None:
        self.paths = paths
        self.plain, self.plus = paths.kind.adapters
        self.stock = functools.cache(functools.partial(StockPipelines, paths))
        self._load = functools.cache(self._load_once)

    def load(self, dtype: torch.dtype = torch.float32, variant: str | None = "plain") -> Components:
        """With the adapter of a variant, "plain" or "plus" of whatever kind; a variant of None leaves it out."""
        return self._load(dtype, self.variant(variant))

    def fresh(self, dtype: torch.dtype = torch.float32, variant: str | None = "plain") -> Components:
        """Loaded for one test, which may change them."""
        return self._load_once(dtype, self.variant(variant))

    def variant(self, name: str | None) -> str | None:
        return {"plain": self.plain, "plus": self.plus}.get(name, name) if name else None

    def _load_once(self, dtype: torch.dtype, variant: str | None) -> Components:
        adapter = self.paths.ip_adapter if variant else None
        chosen = dataclasses.replace(self.paths, ip_adapter=adapter, ip_adapter_variant=variant)
        return load_components(chosen, StableDiffusionSettings(), CPU, dtype)
