"""Whether a model goes with a base model, by the widths that their files say; nothing is loaded.

An IP-Adapter, a ControlNet or a LoRA is made for one width of text conditioning and of the UNet's levels. Beside a base
of another width it could only fail, in the middle of somebody's request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from composition.controls import CONTROLS
from composition.few_steps import FEW_STEPS
from models_store.checkpoints import Widths, widths_of
from models_store.safetensors_header import NotSafetensors, Shapes, read_shapes

LORA_FILE = "pytorch_lora_weights.safetensors"


def reason_controlnet_misfits(folder: Path, base: Widths) -> str | None:
    """Why a ControlNet's folder does not go with the base; None when it does, or does not say what it is."""
    own = widths_of(folder / "config.json")
    return None if own is None or own == base else f"is made for {own}, the base model has {base}"


def reason_ip_adapter_misfits(file: Path, base: Widths) -> str | None:
    """The same of an IP-Adapter's weights."""
    shapes = _shapes(file)
    keys = [shape for name, shape in shapes.items() if name.endswith(".to_k_ip.weight")]
    dims, levels = {shape[1] for shape in keys}, {shape[0] for shape in keys}
    if dims <= {base.cross_attention_dim} and levels <= set(base.block_out_channels):
        return None
    text, wide = "/".join(map(str, sorted(dims))), "/".join(map(str, sorted(levels)))
    return f"is made for {text} text channels, levels {wide}, the base model has {base}"


def reason_lora_misfits(folder: Path, base: Widths) -> str | None:
    """The same of a LoRA's folder."""
    dims = {
        shape[1]
        for name, shape in _shapes(folder / LORA_FILE).items()
        if "attn2" in name and "to_k" in name and len(shape) == 2 and ("lora_down" in name or "lora_A" in name)
    }
    if dims <= {base.cross_attention_dim}:
        return None
    text = "/".join(map(str, sorted(dims)))
    return f"is made for {text} text channels, the base model has {base.cross_attention_dim}"


CHECKS: Mapping[str, Callable[[Path, Widths], str | None]] = {
    **{control.role: reason_controlnet_misfits for control in CONTROLS.values()},
    "ip-adapter": reason_ip_adapter_misfits,
    **{few.role: reason_lora_misfits for few in FEW_STEPS.values()},
}
"""By role: of which its path, of the IP-Adapter the weights' file, is asked."""


def _shapes(path: Path) -> Shapes:
    """None of a file that says nothing: its loader will."""
    try:
        return read_shapes(path)
    except (NotSafetensors, OSError):
        return {}
