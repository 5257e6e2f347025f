"""Builds one model of a tiny profile: the same weights on every call.

manifest -> **build** -> importer -> store.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when huggingface_hub is imported: building needs no network

import diffusers
import torch
import transformers

from composition.controls import CONTROLS
from composition.few_steps import FEW_STEPS
from models_store.tiny.clip import build_clip
from models_store.tiny.conditioning import (
    build_controlnet,
    build_ip_adapter,
    build_sdxl_controlnet,
    build_sdxl_ip_adapter,
    build_sdxl_speed_lora,
    build_speed_lora,
)
from models_store.tiny.depth import build_depth_anything
from models_store.tiny.dwpose import build_dwpose
from models_store.tiny.grounding_dino import build_grounding_dino
from models_store.tiny.sam import build_sam
from models_store.tiny.sdxl import build_sdxl_inpainting
from models_store.tiny.stable_diffusion import build_safety_checker, build_sd_inpainting, build_taesd
from models_store.tiny.yolox import build_yolox

Builder = Callable[[Path], None]

_WHATEVER_THE_BASE: Mapping[str, Builder] = {
    "grounding-dino": build_grounding_dino,
    "sam": build_sam,
    "dwpose": build_dwpose,
    "yolox": build_yolox,
    "depth-anything": build_depth_anything,
    "clip": build_clip,
    "taesd": build_taesd,
}
BUILDERS: Mapping[str, Mapping[str, Builder]] = {
    "tiny": {
        "sd-inpainting": build_sd_inpainting,
        "ip-adapter": build_ip_adapter,
        **{few.role: build_speed_lora for few in FEW_STEPS.values()},
        **{control.role: build_controlnet for control in CONTROLS.values()},
        **_WHATEVER_THE_BASE,
    },
    "tiny-sdxl": {
        "sdxl-inpainting": build_sdxl_inpainting,
        "safety-checker": build_safety_checker,
        "ip-adapter": build_sdxl_ip_adapter,
        **{few.role: build_sdxl_speed_lora for few in FEW_STEPS.values()},
        **{control.role: build_sdxl_controlnet for control in CONTROLS.values()},
        **_WHATEVER_THE_BASE,
    },
}
"""By profile and role."""


def build_role(profile: str, role: str, folder: Path) -> None:
    """Write the model of a profile's role into a folder, in its repository's layout.

    Raises:
        KeyError: there is no recipe for the role.
    """
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(zlib.crc32(role.encode()))
        BUILDERS[profile][role](folder)
