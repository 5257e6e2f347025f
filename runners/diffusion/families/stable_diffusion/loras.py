"""LoRA adapters: they change the weights for a whole batch, so requests with different ones never share a forward."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from composition.errors import InvalidInput
from runners.diffusion.families.stable_diffusion.components import Components, ordinary_tensors

LoraSet: TypeAlias = tuple[tuple[str, float], ...]
"""Names and weights, sorted by name; empty for the plain model."""

LCM = "lcm-lora"
_LCM_FILE = "pytorch_lora_weights.safetensors"


class LoraSwitch:
    """Loads adapters at first use and switches between sets of them on one model; used by one thread."""

    def __init__(self, components: Components) -> None:
        self._pipe, paths = components.pipe, components.paths
        self._paths: dict[str, Path] = dict(paths.loras)
        if paths.lcm_lora is not None:
            self._paths[LCM] = paths.lcm_lora
        self._active: LoraSet | None = None
        self.loads = 0

    @property
    def loaded(self) -> frozenset[str]:
        """Adapters whose weights the UNet carries, active or not."""
        return frozenset(getattr(self._pipe.unet, "peft_config", {}))

    def select(self, loras: Mapping[str, float], *, fast: bool) -> LoraSet:
        """The set that a request asks for.

        Raises:
            InvalidInput: a name is not allow-listed, or this profile has no LCM-LoRA for a fast request.
        """
        wanted = dict(loras)
        if fast:
            if LCM not in self._paths:
                raise InvalidInput("speed fast is not available with this model profile")
            wanted[LCM] = 1.0
        elif LCM in wanted:
            raise InvalidInput("the LCM-LoRA belongs to speed fast")
        for name in wanted:
            if name not in self._paths:
                raise InvalidInput(f"LoRA {name} is not available", details={"lora": name})
        return tuple(sorted(wanted.items()))

    def load(self, name: str) -> None:
        """Read an adapter's weights into the UNet, inactive."""
        from diffusers.utils import set_adapter_layers

        path = self._paths[name]
        folder, file = (path.parent, path.name) if path.is_file() else (path, _LCM_FILE)
        with ordinary_tensors():
            state, alphas = self._pipe.lora_state_dict(
                str(folder), weight_name=file, local_files_only=True, unet_config=self._pipe.unet.config
            )
            unet_state = {key: value for key, value in state.items() if key.startswith("unet.")}
            self._pipe.load_lora_into_unet(unet_state, network_alphas=alphas, unet=self._pipe.unet, adapter_name=name)
        set_adapter_layers(self._pipe.unet, enabled=False)
        _freeze(self._pipe.unet, frozen=False)
        self._active = ()
        self.loads += 1

    def load_all(self) -> None:
        """Load every allow-listed adapter, so that the UNet's structure never changes afterwards."""
        for name in sorted(self._paths.keys() - self.loaded):
            self.load(name)

    def activate(self, loras: LoraSet) -> None:
        """Make the UNet compute with exactly these adapters; nothing to do when it already does."""
        from diffusers.utils import set_adapter_layers

        if loras == self._active:
            return
        for name, _ in loras:
            if name not in self.loaded:
                self.load(name)
        unet: Any = self._pipe.unet
        if loras:
            set_adapter_layers(unet, enabled=True)
            unet.set_adapters([name for name, _ in loras], [weight for _, weight in loras])
        elif self.loaded:
            set_adapter_layers(unet, enabled=False)
        _freeze(unet, frozen=bool(loras))
        self._active = loras


def _freeze(unet: Any, *, frozen: bool) -> None:
    """Base weights need a gradient as they were loaded, and none under an adapter, as PEFT leaves them.

    Nothing is trained here: torch chooses by it how it multiplies (`ordinary_tensors`), and so the last bits.
    """
    for name, parameter in unet.named_parameters():
        if "lora_" not in name:
            parameter.requires_grad_(not frozen)
