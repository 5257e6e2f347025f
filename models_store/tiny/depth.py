"""Depth-Anything V2 Small: relative depth."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

from models_store.tiny.dimensions import IMAGENET_MEAN, IMAGENET_STD
from models_store.tiny.saving import randomize
from models_store.tiny.vocabulary import write_json

_SIDE_PX = 518
_PATCH_PX = 14
_GAIN = 0.6
"""Higher gains give a few spikes on an otherwise flat map."""


def build_depth_anything(folder: Path) -> None:
    """depth-anything/Depth-Anything-V2-Small-hf."""
    backbone = Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=_SIDE_PX,
        patch_size=_PATCH_PX,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        apply_layernorm=True,
        reshape_hidden_states=False,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=_PATCH_PX,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[4, 8, 8, 16],
        fusion_hidden_size=8,
        head_hidden_size=4,
    )
    model = DepthAnythingForDepthEstimation(config)
    randomize(model, gain=_GAIN)
    torch.nn.init.zeros_(model.backbone.embeddings.position_embeddings)
    torch.nn.init.constant_(model.head.conv3.bias, 1.0)  # above zero, or the final ReLU gives a flat map
    model.save_pretrained(folder)
    write_json(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "DPTImageProcessor",
            "do_resize": True,
            "size": {"height": _SIDE_PX, "width": _SIDE_PX},
            "keep_aspect_ratio": True,
            "ensure_multiple_of": _PATCH_PX,
            "resample": 3,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": IMAGENET_MEAN,
            "image_std": IMAGENET_STD,
            "do_pad": False,
            "size_divisor": None,
        },
    )
