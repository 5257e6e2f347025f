"""Stable Diffusion 1.5 inpainting as the engine sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import cast

import torch

from composition.diffusion import DiffusionRequest
from composition.images import Image
from runners.diffusion.engine.state import Bucket
from runners.diffusion.families.sd15.compilation import RowRunner
from runners.diffusion.families.sd15.components import Components
from runners.diffusion.families.sd15.controlnets import ControlNetPool
from runners.diffusion.families.sd15.decoding import Decoder
from runners.diffusion.families.sd15.forward import BatchForward
from runners.diffusion.families.sd15.loras import LoraSet, LoraSwitch
from runners.diffusion.families.sd15.preprocess import Preprocessor
from runners.diffusion.families.sd15.state import Sd15State
from runners.errors import translated


@dataclass(frozen=True, kw_only=True, eq=False)
class Sd15Family:
    """`engine.family.Family` over one set of weights; put together by `build_family`."""

    components: Components
    controlnets: ControlNetPool
    loras: LoraSwitch
    preprocessor: Preprocessor
    unet: RowRunner
    forward: BatchForward
    decoder: Decoder

    @property
    def models_loaded(self) -> Sequence[str]:
        return (*self.components.names, *self.controlnets.names, *sorted(self.loras.loaded))

    def check(self, request: DiffusionRequest) -> None:
        self.preprocessor.check(request)

    def encode(self, request: DiffusionRequest) -> Sd15State:
        return self.preprocessor.encode(request)

    def activate(self, bucket: Bucket) -> None:
        """Switch to the batch's LoRAs; the compiled UNet serves the plain weights only."""
        loras = cast(LoraSet, bucket.shared)
        with translated("applying the LoRA"):
            self.loras.activate(loras)
        self.unet.plain_weights = not loras

    def predict(self, states: Sequence[Sd15State]) -> list[torch.Tensor]:
        return self.forward.predict(states)

    def preview(self, state: Sd15State) -> Image | None:
        return self.decoder.preview(state)

    def decode(self, state: Sd15State) -> Image:
        return self.decoder.decode(state)

    def release_memory(self) -> None:
        """Drop every cached encoding and every ControlNet."""
        self.preprocessor.drop_caches()
        self.controlnets.drop_all()

    def stats(self) -> Mapping[str, object]:
        """Of the cache of encodings what is held now; ControlNet loads; compiled (rows, channels, h, w) as lists."""
        return {
            "cache": asdict(self.preprocessor.cache_counts()),
            "controlnet_loads": self.controlnets.loads,
            "compiled": sorted({shape for shape, _ in self.unet.warm_shapes}),
        }
