"""SAM: the silhouette of what is in a box."""

from __future__ import annotations

from pathlib import Path

from transformers import SamConfig, SamModel

from models_store.tiny.dimensions import IMAGENET_MEAN, IMAGENET_STD
from models_store.tiny.vocabulary import write_json

_SIDE_PX = 1024


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
    SamModel(config).save_pretrained(folder)
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
