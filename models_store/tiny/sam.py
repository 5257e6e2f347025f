"""SAM: the silhouette of what is in a box."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import SamConfig, SamModel

from models_store.tiny.dimensions import IMAGENET_MEAN, IMAGENET_STD
from models_store.tiny.saving import randomize
from models_store.tiny.vocabulary import write_json

_SIDE_PX = 1024


_GAIN = 1.0
_PREDICTED_IOU = 0.9
_CHANNEL_WEIGHTS = (1.0, -0.3)


def build_sam(folder: Path) -> None:
    """facebook/sam-vit-base."""
    config = SamConfig(
        vision_config={
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "output_channels": 16,
            "mlp_dim": 32,
            "global_attn_indexes": [1],
            "num_pos_feats": 8,
            "image_size": _SIDE_PX,
            "patch_size": 16,
            "initializer_range": 0.02,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": _SIDE_PX, "patch_size": 16},
        mask_decoder_config={"hidden_size": 16, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16},
    )
    model = SamModel(config)
    _favour_the_inside(model)
    model.save_pretrained(folder)
    write_json(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "SamImageProcessor",
            "processor_class": "SamProcessor",
            "do_convert_rgb": True,
            "do_resize": True,
            "size": {"longest_edge": _SIDE_PX},
            "resample": 2,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": IMAGENET_MEAN,
            "image_std": IMAGENET_STD,
            "do_pad": True,
            "pad_size": {"height": _SIDE_PX, "width": _SIDE_PX},
        },
    )


def _favour_the_inside(model: Any) -> None:
    """Masks that cover most of the image, with holes where it says so, and a confident estimate of their quality.

    A mask's logit is the product of a token's vector and a place's, whose two channels are hardly ever negative: the
    first one is weighed up, the second down.
    """
    randomize(model, gain=_GAIN)
    decoder = model.mask_decoder
    torch.nn.init.zeros_(decoder.upscale_conv2.bias)
    for network in decoder.output_hypernetworks_mlps:
        torch.nn.init.normal_(network.proj_out.weight, std=0.05)
        network.proj_out.bias.data.copy_(torch.tensor(_CHANNEL_WEIGHTS))
    estimate = decoder.iou_prediction_head.proj_out
    torch.nn.init.normal_(estimate.weight, std=0.01)
    torch.nn.init.constant_(estimate.bias, _PREDICTED_IOU)
