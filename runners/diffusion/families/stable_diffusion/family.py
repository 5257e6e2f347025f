"""A family of Stable Diffusion as the engine sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from composition.diffusion import DiffusionRequest
from composition.images import Image
from runners.diffusion.engine.state import Bucket
from runners.diffusion.families.stable_diffusion.advance import advance
from runners.diffusion.families.stable_diffusion.compilation.compiler import BlockCompiler
from runners.diffusion.families.stable_diffusion.components import Components
from runners.diffusion.families.stable_diffusion.controlnets import ControlNetPool
from runners.diffusion.families.stable_diffusion.decoding import Decoder
from runners.diffusion.families.stable_diffusion.forward import BatchForward
from runners.diffusion.families.stable_diffusion.loras import LoraSets
from runners.diffusion.families.stable_diffusion.preprocess import Preprocessor
from runners.diffusion.families.stable_diffusion.row_runner import RowRunner
from runners.diffusion.families.stable_diffusion.state import Prediction, StableDiffusionState


@dataclass(frozen=True, kw_only=True, eq=False)
class StableDiffusionFamily:
    """`engine.family.Family` over one set of weights; put together by `build_family`."""

    components: Components
    controlnets: ControlNetPool
    loras: LoraSets
    preprocessor: Preprocessor
    unet: RowRunner
    forward: BatchForward
    decoder: Decoder
    compiler: BlockCompiler

    @property
    def models_loaded(self) -> Sequence[str]:
        return (*self.components.names, *self.controlnets.names, *self.loras.loaded)

    def check(self, request: DiffusionRequest) -> None:
        self.preprocessor.check(request)

    def encode(self, request: DiffusionRequest) -> StableDiffusionState:
        return self.preprocessor.encode(request)

    def ready(self, bucket: Bucket) -> bool:
        return True

    def activate(self, bucket: Bucket) -> None:
        """Nothing to do: a set of LoRAs is a model of its own, which its requests have with them."""

    def predict(self, states: Sequence[StableDiffusionState]) -> list[Prediction]:
        return self.forward.predict(states)

    def advance(self, states: Sequence[StableDiffusionState], predictions: Sequence[Prediction]) -> None:
        advance(states, predictions)

    def preview(self, state: StableDiffusionState) -> Image | None:
        return self.decoder.preview(state)

    def decode(self, state: StableDiffusionState) -> Image:
        image = self.decoder.decode(state)
        self.compiler.answered()
        return image

    def release_memory(self) -> None:
        """Drop every cached encoding, what batches had in common, every ControlNet and every set of LoRAs."""
        self.forward.layouts.drop()
        self.preprocessor.drop_caches()
        self.controlnets.drop_all()
        self.loras.drop_all()

    def stop(self) -> None:
        self.compiler.stop()

    def stats(self) -> Mapping[str, object]:
        """Of the cache of encodings what is held now; loads of ControlNets and LoRAs; forwards of the UNet by how it
        ran; see `BlockCompiler.stats`.
        """  # noqa: D205
        return {
            "cache": asdict(self.preprocessor.cache_counts()),
            "controlnet_loads": self.controlnets.loads,
            "loras": self.loras.stats(),
            "lora_loads": self.loras.loads,
            "forwards": dict(self.compiler.forwards),
            "compilation": self.compiler.stats(),
        }
