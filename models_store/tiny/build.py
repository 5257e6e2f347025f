"""Builds one model of the tiny profile: the same weights on every call.

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
from models_store.tiny.clip import build_clip
from models_store.tiny.conditioning import build_controlnet, build_ip_adapter, build_lcm_lora
from models_store.tiny.depth import build_depth_anything
from models_store.tiny.dwpose import build_dwpose
from models_store.tiny.grounding_dino import build_grounding_dino
from models_store.tiny.sam import build_sam
from models_store.tiny.sdxl import build_sdxl_inpainting
from models_store.tiny.stable_diffusion import build_sd_inpainting, build_taesd
from models_store.tiny.yolox import build_yolox

BUILDERS: Mapping[str, Callable[[Path], None]] = {
    "sd-inpainting": build_sd_inpainting,
    "sdxl-inpainting": build_sdxl_inpainting,
    "ip-adapter": build_ip_adapter,
    **{control.role: build_controlnet for control in CONTROLS.values()},
    "grounding-dino": build_grounding_dino,
    "sam": build_sam,
    "dwpose": build_dwpose,
    "yolox": build_yolox,
    "depth-anything": build_depth_anything,
    "clip": build_clip,
    "lcm-lora": build_lcm_lora,
    "taesd": build_taesd,
}


def build_role(role: str, folder: Path) -> None:
    """Write a role's model into a folder, in its repository's layout.

    Raises:
        KeyError: there is no recipe for the role.
    """
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(zlib.crc32(role.encode()))
        BUILDERS[role](folder)
