"""Stable Diffusion 1.5 inpainting and its preview decoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import CLIPConfig, CLIPTextModel

from models_store.tiny.clip import text_config, vision_config
from models_store.tiny.dimensions import (
    CHANNELS,
    CLIP_PREPROCESSOR,
    CROSS_DIM,
    GROUPS,
    LATENT,
    LATENT_CHANNELS,
    NATIVE_PX,
)
from models_store.tiny.saving import add_half_variant, prefix_names, randomize, save_with_half
from models_store.tiny.vocabulary import write_clip_tokenizer, write_json

_CONCEPT_THRESHOLD = 0.99
"""Cosine above which an image is flagged. Random concepts are nearly orthogonal to any image (|cos| < 0.8)."""


_VAE_GAIN = 1.2
_LATENT_GAIN = 4.0
_LATENT_LOG_VARIANCE = -12.0
"""As of a trained autoencoder: what it samples is hardly noisy."""


def make_unet() -> Any:
    """The nine-channel UNet: latents, mask, masked image."""
    return UNet2DConditionModel(
        sample_size=LATENT,
        in_channels=2 * LATENT_CHANNELS + 1,
        out_channels=LATENT_CHANNELS,
        layers_per_block=1,
        block_out_channels=CHANNELS,
        norm_num_groups=GROUPS,
        attention_head_dim=2,
        cross_attention_dim=CROSS_DIM,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    )


def make_vae(*, scaling_factor: float, **settings: Any) -> Any:
    """An autoencoder with the real one's stride of 8, whose latents follow the image and have the real ones' size."""
    model = AutoencoderKL(
        block_out_channels=(4, 4, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=LATENT_CHANNELS,
        layers_per_block=1,
        norm_num_groups=GROUPS,
        sample_size=NATIVE_PX,
        scaling_factor=scaling_factor,
        **settings,
    )
    randomize(model, gain=_VAE_GAIN)
    mean, log_variance = slice(0, LATENT_CHANNELS), slice(LATENT_CHANNELS, None)
    moments = model.quant_conv
    with torch.no_grad():
        moments.weight[mean] *= _LATENT_GAIN
        moments.weight[log_variance] = 0.0
        moments.bias[log_variance] = _LATENT_LOG_VARIANCE
    return model


def save_text_encoder(model: Any, folder: Path) -> None:
    """Save a CLIP text encoder with the nested weight names of the published ones, in both variants."""
    model.save_pretrained(folder)
    prefix_names(folder, "text_model.")
    add_half_variant(folder)


def build_sd_inpainting(folder: Path) -> None:
    """stable-diffusion-v1-5/stable-diffusion-inpainting."""
    size = write_clip_tokenizer(folder / "tokenizer")
    save_text_encoder(CLIPTextModel(text_config(size)), folder / "text_encoder")
    save_with_half(make_unet(), folder / "unet")
    save_with_half(make_vae(scaling_factor=0.18215), folder / "vae")
    build_safety_checker(folder)
    write_json(
        folder / "scheduler" / "scheduler_config.json",
        {
            "_class_name": "PNDMScheduler",
            "_diffusers_version": "0.6.0",
            "beta_start": 0.00085,
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "num_train_timesteps": 1000,
            "set_alpha_to_one": False,
            "skip_prk_steps": True,
            "steps_offset": 1,
            "trained_betas": None,
            "clip_sample": False,
        },
    )
    write_json(
        folder / "model_index.json",
        {
            "_class_name": "StableDiffusionInpaintPipeline",
            "_diffusers_version": "0.6.0",
            "feature_extractor": ["transformers", "CLIPImageProcessor"],
            "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
            "scheduler": ["diffusers", "PNDMScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
    )


def build_safety_checker(folder: Path) -> None:
    """The two folders of stable-diffusion-v1-5/stable-diffusion-inpainting that SDXL's repository lacks."""
    write_json(folder / "feature_extractor" / "preprocessor_config.json", CLIP_PREPROCESSOR)
    _save_safety_checker(folder / "safety_checker")


def _save_safety_checker(folder: Path) -> None:
    config = CLIPConfig(
        text_config=text_config(64).to_dict(), vision_config=vision_config().to_dict(), projection_dim=32
    )
    checker = StableDiffusionSafetyChecker(config)
    randomize(checker, gain=1.0)
    torch.nn.init.normal_(checker.concept_embeds)
    torch.nn.init.normal_(checker.special_care_embeds)
    torch.nn.init.constant_(checker.concept_embeds_weights, _CONCEPT_THRESHOLD)
    torch.nn.init.constant_(checker.special_care_embeds_weights, _CONCEPT_THRESHOLD)
    checker.save_pretrained(folder)
    prefix_names(folder, "vision_model.", only="vision_model.")
    add_half_variant(folder)


def build_taesd(folder: Path) -> None:
    """madebyollin/taesd."""
    model = AutoencoderTiny(
        encoder_block_out_channels=(4, 4, 4, 4),
        decoder_block_out_channels=(4, 4, 4, 4),
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
        latent_channels=4,
        scaling_factor=1.0,
    )
    model.save_pretrained(folder)
