"""Stable Diffusion XL inpainting: two text encoders and size conditioning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import EulerDiscreteScheduler, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from models_store.tiny.clip import text_config
from models_store.tiny.dimensions import CHANNELS_XL, CROSS_DIM_XL, GROUPS, LATENT, POOLED_DIM_XL, TEXT_DIMS_XL
from models_store.tiny.saving import add_half_variant, save_with_half
from models_store.tiny.stable_diffusion import make_vae, save_text_encoder
from models_store.tiny.vocabulary import write_clip_tokenizer, write_json

_TIME_IDS = 6
"""Original size, crop corner, target size: two numbers each."""
_TIME_DIM = 8
ADDED_CONDITIONS: dict[str, Any] = {
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": _TIME_DIM,
    "projection_class_embeddings_input_dim": POOLED_DIM_XL + _TIME_IDS * _TIME_DIM,
}
"""Of the UNet and of its ControlNets."""


def make_sdxl_unet() -> Any:
    """The nine-channel SDXL UNet, conditioned on pooled text and sizes."""
    return UNet2DConditionModel(
        sample_size=LATENT,
        in_channels=9,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=CHANNELS_XL,
        norm_num_groups=GROUPS,
        attention_head_dim=[1, 2, 2],
        cross_attention_dim=CROSS_DIM_XL,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=[1, 1, 2],
        **ADDED_CONDITIONS,
    )


def build_sdxl_inpainting(folder: Path) -> None:
    """diffusers/stable-diffusion-xl-1.0-inpainting-0.1."""
    size = write_clip_tokenizer(folder / "tokenizer")
    write_clip_tokenizer(folder / "tokenizer_2", pad_token="!")  # noqa: S106  a token, no password
    first_width, second_width = TEXT_DIMS_XL
    save_text_encoder(CLIPTextModel(text_config(size, hidden=first_width)), folder / "text_encoder")
    second = CLIPTextModelWithProjection(text_config(size, hidden=second_width, projection=POOLED_DIM_XL))
    second.save_pretrained(folder / "text_encoder_2")
    add_half_variant(folder / "text_encoder_2")
    save_with_half(make_sdxl_unet(), folder / "unet")
    save_with_half(make_vae(scaling_factor=0.13025, force_upcast=False), folder / "vae")
    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, timestep_spacing="leading"
    )
    scheduler.save_pretrained(folder / "scheduler")
    write_json(
        folder / "model_index.json",
        {
            "_class_name": "StableDiffusionXLInpaintPipeline",
            "_diffusers_version": "0.21.0",
            "force_zeros_for_empty_prompt": True,
            "requires_aesthetics_score": False,
            "scheduler": ["diffusers", "EulerDiscreteScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "tokenizer_2": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
    )
