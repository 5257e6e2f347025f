"""Random models of a given size in the real repositories' layout: big enough that the model is timed, not Python."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.bench_requests import CONTROL_TYPES
from composition.controls import CONTROLS
from composition.few_steps import FEW_STEPS
from models_store.tiny.dimensions import CLIP_PREPROCESSOR
from models_store.tiny.saving import prefix_names, save_tensors
from models_store.tiny.vocabulary import write_clip_tokenizer, write_json
from runners.diffusion.families.sd15.build import SD15
from runners.diffusion.families.stable_diffusion.paths import StableDiffusionPaths


@dataclass(frozen=True, kw_only=True)
class ModelSize:
    """Widths of a Stable Diffusion 1.5 shaped model; everything that is not here is as in the original.

    Attributes:
        unet: channels per level of the UNet and the ControlNets (320, 640, 1280, 1280 in the original).
        vae: channels per level of the autoencoder (128, 256, 512, 512).
        text: width of the text encoder, and so of the conditioning (768).
        text_layers: layers of the text encoder (12).
        vocabulary: rows of its token embedding (49408); 0: as many as the tokenizer here has, which is a small one.
        image: width of the IP-Adapter's image encoder (1280).
        image_layers: its layers (32).
        image_px: the side of the images that are painted.
    """

    name: str
    unet: tuple[int, int, int, int]
    vae: tuple[int, int, int, int]
    text: int
    text_layers: int
    vocabulary: int
    image: int
    image_layers: int
    image_px: int


SMALL = ModelSize(
    name="small",
    unet=(32, 64, 64, 64),
    vae=(32, 32, 64, 64),
    text=64,
    text_layers=2,
    vocabulary=0,
    image=80,
    image_layers=2,
    image_px=256,
)
"""For trying the programs out: it times Python as much as the model."""
MIDDLE = ModelSize(
    name="middle",
    unet=(64, 128, 256, 256),
    vae=(32, 64, 128, 128),
    text=256,
    text_layers=6,
    vocabulary=0,
    image=320,
    image_layers=8,
    image_px=256,
)
FULL = ModelSize(
    name="full",
    unet=(320, 640, 1280, 1280),
    vae=(128, 256, 512, 512),
    text=768,
    text_layers=12,
    vocabulary=49408,
    image=1280,
    image_layers=32,
    image_px=512,
)
_DOWN = ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D")
_UP = ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D")
_LORA_LAYERS = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "conv1", "conv2")
_LORA_RANK = 64
_IMAGE_TOKENS = 4


def build_models(
    size: ModelSize, folder: Path, dtype: torch.dtype, device: torch.device | str = "cpu"
) -> StableDiffusionPaths:
    """Build and save the models of `size` unless `folder` has them already.

    Args:
        size: the widths.
        folder: gets one folder per repository.
        dtype: of the files.
        device: where the numbers are drawn: seconds on a GPU, and others than a CPU's.
    """
    paths = StableDiffusionPaths(
        kind=SD15,
        base=folder / "sd-inpainting",
        ip_adapter=folder / "ip-adapter",
        ip_adapter_variant="sd15",
        controlnets={kind: folder / CONTROLS[kind].role for kind in CONTROL_TYPES},
        speed_loras={speed: folder / few.role for speed, few in FEW_STEPS.items()},
    )
    identity = {**asdict(size), "dtype": str(dtype), "speeds": list(FEW_STEPS)}
    with _built_once(folder, identity, dtype, device) as missing:
        if not missing:
            return paths
        unet = _unet(size)
        _save_pipeline(size, unet, paths.base)
        _save_ip_adapter(size, unet, folder / "ip-adapter")
        for lora_folder in paths.speed_loras.values():
            _save_lora(unet, lora_folder)
        for control_folder in paths.controlnets.values():
            _controlnet(size).save_pretrained(control_folder)
    return paths


def build_base(size: ModelSize, folder: Path, dtype: torch.dtype, device: torch.device | str = "cpu") -> Path:
    """The base model of `build_models` alone, with the same weights; its folder, `folder` / "sd-inpainting"."""
    base = folder / "sd-inpainting"
    with _built_once(folder, {**asdict(size), "dtype": str(dtype), "only": base.name}, dtype, device) as missing:
        if missing:
            _save_pipeline(size, _unet(size), base)
    return base


@contextlib.contextmanager
def _built_once(
    folder: Path, identity: Mapping[str, Any], dtype: torch.dtype, device: torch.device | str
) -> Iterator[bool]:
    """Whether there is something to build in `folder`; if so it is seeded, of `dtype`, and noted when it is done.

    What is made without a device named is made on `device`.
    """
    stamp, text = folder / "size.json", json.dumps(identity)
    if stamp.is_file() and stamp.read_text() == text:
        yield False
        return
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            yield True
    finally:
        torch.set_default_dtype(before)
    stamp.write_text(text)


def _unet(size: ModelSize) -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=64,
        in_channels=9,
        out_channels=4,
        block_out_channels=size.unet,
        attention_head_dim=8,
        cross_attention_dim=size.text,
        down_block_types=_DOWN,
        up_block_types=_UP,
    )


def _controlnet(size: ModelSize) -> Any:
    from diffusers import ControlNetModel

    network = ControlNetModel(
        block_out_channels=size.unet,
        attention_head_dim=8,
        cross_attention_dim=size.text,
        down_block_types=_DOWN,
    )
    for name, parameter in network.named_parameters():
        if name.startswith(("controlnet_down_blocks", "controlnet_mid_block")):
            torch.nn.init.normal_(parameter, std=0.02)
    return network


def _save_pipeline(size: ModelSize, unet: Any, folder: Path) -> None:
    from diffusers import AutoencoderKL, PNDMScheduler
    from transformers import CLIPTextConfig, CLIPTextModel

    vocabulary = write_clip_tokenizer(folder / "tokenizer")
    text = CLIPTextConfig(
        vocab_size=size.vocabulary or vocabulary,
        hidden_size=size.text,
        intermediate_size=4 * size.text,
        num_hidden_layers=size.text_layers,
        num_attention_heads=max(1, size.text // 64),
        projection_dim=size.text,
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
        pad_token_id=vocabulary - 1,
    )
    CLIPTextModel(text).save_pretrained(folder / "text_encoder")
    prefix_names(folder / "text_encoder", "text_model.")
    unet.save_pretrained(folder / "unet")
    AutoencoderKL(
        block_out_channels=size.vae,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
        sample_size=512,
    ).save_pretrained(folder / "vae")
    PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1
    ).save_pretrained(folder / "scheduler")
    write_json(folder / "feature_extractor" / "preprocessor_config.json", CLIP_PREPROCESSOR)
    write_json(
        folder / "model_index.json",
        {
            "_class_name": "StableDiffusionInpaintPipeline",
            "_diffusers_version": "0.6.0",
            "feature_extractor": ["transformers", "CLIPImageProcessor"],
            "safety_checker": [None, None],
            "scheduler": ["diffusers", "PNDMScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
    )


def _save_ip_adapter(size: ModelSize, unet: Any, folder: Path) -> None:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    encoder = CLIPVisionConfig(
        hidden_size=size.image,
        intermediate_size=4 * size.image,
        num_hidden_layers=size.image_layers,
        num_attention_heads=size.image // 80,
        image_size=224,
        patch_size=14,
        projection_dim=size.image,
    )
    CLIPVisionModelWithProjection(encoder).save_pretrained(folder / "models" / "image_encoder")
    tensors = {
        "image_proj.proj.weight": torch.randn(_IMAGE_TOKENS * size.text, size.image) * 0.02,
        "image_proj.proj.bias": torch.zeros(_IMAGE_TOKENS * size.text),
        "image_proj.norm.weight": torch.ones(size.text),
        "image_proj.norm.bias": torch.zeros(size.text),
    }
    crossing = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    for number, name in enumerate(crossing):
        width = unet.get_submodule(name.removesuffix(".processor")).to_q.out_features
        for part in ("k", "v"):
            tensors[f"ip_adapter.{2 * number + 1}.to_{part}_ip.weight"] = torch.randn(width, size.text) * 0.02
    save_tensors(tensors, folder / "models" / "ip-adapter_sd15.safetensors")


def _save_lora(unet: Any, folder: Path) -> None:
    tensors: dict[str, torch.Tensor] = {}
    for name, module in unet.named_modules():
        if not name.endswith(_LORA_LAYERS):
            continue
        key, shape = "lora_unet_" + name.replace(".", "_"), module.weight.shape
        tensors[f"{key}.lora_down.weight"] = torch.randn(_LORA_RANK, *shape[1:]) * 0.01
        tensors[f"{key}.lora_up.weight"] = torch.randn(shape[0], _LORA_RANK, *(1 for _ in shape[2:])) * 0.01
        tensors[f"{key}.alpha"] = torch.tensor(float(_LORA_RANK))
    save_tensors(tensors, folder / "pytorch_lora_weights.safetensors")
