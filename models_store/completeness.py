"""Whether a model's files have every weight that it needs and no other, where its loader does not tell.

diffusers fills a network that lacks weights with random ones and passes over what is left in the file: images would be
noise, or a reference without effect, and nothing would say so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from models_store.safetensors_header import read_shapes

_ATTENTION, _PROJECTION = "ip_adapter.", "image_proj."
_FUSED = ".to_kv."
"""One tensor of the file that becomes two in the model."""


def networks_of(folder: Path) -> Mapping[str, Any]:
    """The classes of a pipeline's networks by their subfolder, as its model_index.json names them."""
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    networks = {}
    for name, entry in index.items():
        if isinstance(entry, list) and entry[0] and _has_weights(folder / name):
            library, class_name = entry
            module = library if library in ("diffusers", "transformers") else f"diffusers.pipelines.{library}"
            networks[name] = getattr(import_module(module), class_name)
    return networks


def _has_weights(folder: Path) -> bool:
    return any(folder.glob("*.safetensors")) or any(folder.glob("*.bin"))


def adapter_faults(unet: Any, weights: Path) -> list[str]:
    """What an IP-Adapter's file has too much or too little for the UNet that it was loaded into, in words."""
    names = list(read_shapes(weights))
    attention = {name.removeprefix(_ATTENTION) for name in names if name.startswith(_ATTENTION)}
    projection = [name for name in names if name.startswith(_PROJECTION)]
    # The plus adapters' projection, by now a part of the UNet, has attention of its own.
    crossed = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    # Every second processor is a cross-attention; the file numbers them all.
    wanted = {f"{2 * i + 1}.{key}.weight" for i in range(len(crossed)) for key in ("to_k_ip", "to_v_ip")}
    needed = sum(len(layer.state_dict()) for layer in unet.encoder_hid_proj.image_projection_layers)
    had = len(projection) + sum(_FUSED in name for name in projection)
    faults = []
    if missing := sorted(wanted - attention):
        faults.append(f"missing keys: {missing[:3]} ... ({len(missing)})")
    if left := sorted(attention - wanted):
        faults.append(f"unexpected keys: {left[:3]} ... ({len(left)})")
    if had != needed:
        faults.append(f"the projection of the reference needs {needed} tensors, the file has {had}")
    if other := [name for name in names if not name.startswith((_ATTENTION, _PROJECTION))]:
        faults.append(f"unexpected keys: {other[:3]} ... ({len(other)})")
    return faults
