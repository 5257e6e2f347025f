"""The sizes that the parts of a pipeline must agree on, and the settings that several models share."""

from __future__ import annotations

from typing import Any, Final

NATIVE_PX: Final = 256
LATENT: Final = NATIVE_PX // 8
LATENT_CHANNELS: Final = 4
CROSS_DIM: Final = 32
"""Width of the text conditioning of the SD 1.5 shape (768 in the real one)."""
TEXT_DIMS_XL: Final = (16, 24)
"""Widths of SDXL's two text encoders (768 and 1280 in the real one)."""
CROSS_DIM_XL: Final = sum(TEXT_DIMS_XL)
"""Both side by side."""
POOLED_DIM_XL: Final = 20
"""What the second one projects its pooled state to (1280 in the real one)."""
CHANNELS: Final = (8, 16, 16, 16)
CHANNELS_XL: Final = (8, 16, 16)
GROUPS: Final = 4
IMAGE_EMBED_DIM: Final = 24
"""What the IP-Adapter's image encoder projects to (1024 in the real one)."""
IMAGE_HIDDEN_DIM: Final = 32

CLIP_MEAN: Final = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD: Final = [0.26862954, 0.26130258, 0.27577711]
IMAGENET_MEAN: Final = [0.485, 0.456, 0.406]
IMAGENET_STD: Final = [0.229, 0.224, 0.225]

CLIP_PREPROCESSOR: Final[dict[str, Any]] = {
    "feature_extractor_type": "CLIPFeatureExtractor",
    "do_convert_rgb": True,
    "do_resize": True,
    "size": 224,
    "resample": 3,
    "do_center_crop": True,
    "crop_size": 224,
    "do_normalize": True,
    "image_mean": CLIP_MEAN,
    "image_std": CLIP_STD,
}
"""preprocessor_config.json as openai/clip-vit-base-patch32 and Stable Diffusion's feature extractor have it."""
