"""The IP-Adapter's parts: what a reference image looks like, told to the UNet.

"Plus" style: a perceiver reads the patches of the reference, so that patterns get through and not the mean colour only
(Ye et al. 2023, arXiv:2308.06721). Trained together with the UNet, see inpainting.py.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.embeddings import IPAdapterPlusImageProjection
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from demo_models.recipes.shards import SceneSet
from demo_models.world.cars import Car
from demo_models.world.people import Person, garment_image
from demo_models.world.scenes import sample_spec
from demo_models.world.wheels import Rim, rim_reference

ADAPTER_FILE: Final = "ip-adapter-plus_sd15.safetensors"
_QUERIES: Final = 16
_WIDTH: Final = 96
_ENCODED_PX: Final = 224
_PATCH_PX: Final = 16
_GARMENT_IMAGES: Final = 0.3
"""Share of people whose reference shows the whole garment; the others' shows a piece of cloth."""
_MEAN: Final = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
_STD: Final = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)


def new_image_encoder(projection: int) -> CLIPVisionModelWithProjection:
    """Returns a small CLIP vision model with patches of 16 pixels."""
    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=_WIDTH,
            intermediate_size=3 * _WIDTH,
            num_hidden_layers=4,
            num_attention_heads=4,
            image_size=_ENCODED_PX,
            patch_size=_PATCH_PX,
            projection_dim=projection,
        )
    )


def patches_of(encoder: CLIPVisionModelWithProjection, images: Tensor) -> Tensor:
    """Returns the last but one layer of the image encoder, (N, 1, 197, 96), as pipelines pass it."""
    hidden: Tensor = encoder(images, output_hidden_states=True).hidden_states[-2]
    return hidden[:, None]


def no_patches(count: int) -> Tensor:
    """Returns what stands for the patches while the adapter's scale is 0, (N, 1, 197, 96)."""
    return torch.zeros(count, 1, (_ENCODED_PX // _PATCH_PX) ** 2 + 1, _WIDTH)


def published_name(name: str) -> str:
    """Returns the first publication's name of a tensor of diffusers' perceiver."""
    name = re.sub(r"layers\.(\d+)\.ln0", r"layers.\1.0.norm1", name)
    name = re.sub(r"layers\.(\d+)\.ln1", r"layers.\1.0.norm2", name)
    name = re.sub(r"layers\.(\d+)\.attn\.to_out\.0", r"layers.\1.0.to_out", name)
    name = re.sub(r"layers\.(\d+)\.attn\.", r"layers.\1.0.", name)
    name = re.sub(r"layers\.(\d+)\.ff\.1\.net\.0\.proj", r"layers.\1.1.1", name)
    name = re.sub(r"layers\.(\d+)\.ff\.1\.net\.2", r"layers.\1.1.3", name)
    return re.sub(r"layers\.(\d+)\.ff\.0", r"layers.\1.1.0", name)


def published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns a perceiver's tensors as the published files have them: renamed, keys and values in one matrix."""
    renamed = {published_name(name): tensor.detach().clone() for name, tensor in tensors.items()}
    for name in [name for name in renamed if name.endswith("to_k.weight")]:
        stem = name.removesuffix("to_k.weight")
        renamed[f"{stem}to_kv.weight"] = torch.cat([renamed.pop(name), renamed.pop(f"{stem}to_v.weight")])
    return renamed


def install(unet: UNet2DConditionModel, start: Path | None) -> None:
    """Gives a UNet an adapter: an earlier one, or an untrained one whose keys and values are copies of the text's."""
    state = _untrained(unet) if start is None else _read(start / ADAPTER_FILE)
    unet._load_ip_adapter_weights([state], low_cpu_mem_usage=False)


def _untrained(unet: UNet2DConditionModel) -> dict[str, dict[str, Tensor]]:
    attention = {}
    crossing = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    for index, name in enumerate(crossing):
        layer = unet.get_submodule(name.removesuffix(".processor"))
        attention[f"{2 * index + 1}.to_k_ip.weight"] = layer.to_k.weight.detach().clone()
        attention[f"{2 * index + 1}.to_v_ip.weight"] = layer.to_v.weight.detach().clone()
    perceiver = IPAdapterPlusImageProjection(
        embed_dims=_WIDTH,
        output_dims=unet.config.cross_attention_dim,
        hidden_dims=_WIDTH,
        depth=4,
        heads=1,
        num_queries=_QUERIES,
    )
    return {"ip_adapter": attention, "image_proj": published(perceiver.state_dict())}


def _read(file: Path) -> dict[str, dict[str, Tensor]]:
    parts: dict[str, dict[str, Tensor]] = {"ip_adapter": {}, "image_proj": {}}
    for name, tensor in load_file(file).items():
        part, _, rest = name.partition(".")
        parts[part][rest] = tensor.float()
    return parts


def belongs_to_adapter(name: str) -> bool:
    """Tells a tensor of an installed adapter from the UNet's own by its name."""
    return ".processor." in name or name.startswith("encoder_hid_proj")


def save_adapter(unet: UNet2DConditionModel, encoder: CLIPVisionModelWithProjection, models: Path) -> None:
    """Writes encoder and adapter under the names of the published repository, into its folder ``models``."""
    encoder.save_pretrained(models / "image_encoder")
    perceiver = unet.encoder_hid_proj.image_projection_layers[0]
    tensors = {f"image_proj.{name}": tensor for name, tensor in published(perceiver.state_dict()).items()}
    crossing = [p for name, p in unet.attn_processors.items() if name.endswith("attn2.processor")]
    for index, processor in enumerate(crossing):
        for kind, layer in (("k", processor.to_k_ip[0]), ("v", processor.to_v_ip[0])):
            tensors[f"ip_adapter.{2 * index + 1}.to_{kind}_ip.weight"] = layer.weight.detach()
    halves = {name: tensor.half().contiguous() for name, tensor in tensors.items()}
    save_file(halves, models / ADAPTER_FILE, metadata={"format": "pt"})


def set_scale(unet: UNet2DConditionModel, scale: float) -> None:
    """Sets the weight of the adapter; at 0 it is skipped."""
    processors: Iterable[object] = unet.attn_processors.values()
    for processor in processors:
        if hasattr(processor, "scale"):
            processor.scale = [scale]


def encoder_input(images: Sequence[NDArray[np.uint8]]) -> Tensor:
    """Returns RGB uint8 squares as float32 (N, 3, 224, 224), standardised as CLIP expects."""
    side = (_ENCODED_PX, _ENCODED_PX)
    resized = [np.asarray(Image.fromarray(p).resize(side, Image.Resampling.BICUBIC)) for p in images]
    return (torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).float() / 255 - _MEAN) / _STD


@cache
def _rim_image(style: str, colour: str, turn: int) -> NDArray[np.uint8]:
    return rim_reference(Rim(style=style, colour=colour, turn_rad=turn / 10))


@cache
def _garment(seed: int) -> NDArray[np.uint8]:
    subject = sample_spec(seed).subject
    assert isinstance(subject, Person)
    return garment_image(subject)


def reference_for(scenes: SceneSet, seed: int, label: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draws a reference image of the look of a scene's masked thing, RGB uint8 (side, side, 3)."""
    subject = sample_spec(seed).subject
    if isinstance(subject, Car) and label in ("rims", "wheels"):
        return _rim_image(subject.rim.style, subject.rim.colour, int(rng.integers(0, 20)))
    if isinstance(subject, Person) and rng.random() < _GARMENT_IMAGES:
        return _garment(seed)
    sample = scenes.take("swatches", np.array([scenes.index_of(seed)]))[0].astype(np.uint8)
    side = int(rng.integers(80, len(sample) + 1))
    top, left = rng.integers(0, len(sample) - side + 1, 2)
    return np.ascontiguousarray(sample[top : top + side, left : left + side])


def bare_prompt(label: str, rng: np.random.Generator) -> str:
    """Returns words that name a thing and not its look; sometimes nothing."""
    if rng.random() < 0.1:
        return ""
    if label in ("rims", "wheels"):
        return str(rng.choice(["sport rims", "car with sport rims", "car with rims", "wheels"]))
    return str(rng.choice([f"a {label}", label, f"person wearing {label}", f"this {label}"]))
