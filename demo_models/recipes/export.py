"""Trained components -> **export** -> folders laid out as the real repositories, in half precision; and back."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file, save_file

from demo_models.recipes.diffusion import SCHEDULE
from demo_models.recipes.fine_inpainting import AUTOENCODER, COARSE, COARSE_AUTOENCODER, finest
from demo_models.recipes.fine_inpainting import NAME as FINE
from demo_models.recipes.fine_vae import COARSE as DECODER
from demo_models.recipes.workdir import ORIGIN, origin_of, weights_folder, workdir

_TEXT_PREFIX: Final = "text_model."
_PIPELINE: Final[Mapping[str, list[str | None]]] = {
    "feature_extractor": ["transformers", "CLIPImageProcessor"],
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
_PIPELINE_REPOSITORY: Final = "stable-diffusion-v1-5/stable-diffusion-inpainting"
_OPTIONAL: Final = ("feature_extractor", "safety_checker")
_SINGLE: Final[Mapping[str, str]] = {
    "grounding-dino": "IDEA-Research/grounding-dino-base",
    "sam": "facebook/sam-vit-base",
    "clip": "openai/clip-vit-base-patch32",
    "depth-anything": "depth-anything/Depth-Anything-V2-Small-hf",
    "yolox": "yzd-v/DWPose",
    "dwpose": "yzd-v/DWPose",
    "home": "yzd-v/DWPose",
}
"""Components that are a repository of their own, or a file in one."""
_PAINTERS_PARTS: Final[Mapping[str, str]] = {
    "ip-adapter": "h94/IP-Adapter",
    "controlnet-pose": "lllyasviel/control_v11p_sd15_openpose",
    "controlnet-depth": "lllyasviel/control_v11f1p_sd15_depth",
}
"""Parts of what paints that are repositories of their own."""
_MADE_FROM_THESE: Final[Mapping[str, str]] = {
    "lcm-lora": "latent-consistency/lcm-lora-sdv1-5",
    "taesd": "madebyollin/taesd",
}
"""What is made from one painter or autoencoder and fits no other."""
_KEPT_HERE: Final = ("training.json", ORIGIN)
_RESUMABLE: Final = ("grounding-dino", "sam")
_COARSE_LEVELS: Final = 4
"""Of an autoencoder with cells of 8 pixels."""


def export_all(folder: Path) -> list[str]:
    """Writes every component that has been trained. Returns the names of those that have not."""
    missing = [] if export_pipeline(folder) else ["an autoencoder or what paints on its latents"]
    autoencoder, painter = finest()
    parts = {f"{painter}/{part}": repository for part, repository in _PAINTERS_PARTS.items()}
    for component, repository in {**_SINGLE, **parts, **_MADE_FROM_THESE}.items():
        source = weights_folder(component)
        fits = component not in _MADE_FROM_THESE or origin_of(source) in (autoencoder, painter)
        if source.exists() and fits:
            copy_half(source, folder / repository)
        else:
            missing.append(component)
    for name in missing:
        print(f"not trained yet: {name}")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{size / 1e6:.1f} MB in {folder}")
    return missing


def export_pipeline(folder: Path) -> bool:
    """Writes the inpainting repository. Returns False when its parts are not all trained."""
    latents, painter = finest()
    wider = weights_folder(DECODER)
    autoencoder = wider if latents == COARSE_AUTOENCODER and wider.exists() else weights_folder(latents)
    inpainting = weights_folder(painter)
    if not (autoencoder.exists() and inpainting.exists()):
        return False
    target = folder / _PIPELINE_REPOSITORY
    copy_half(autoencoder, target / "vae")
    for part in ("unet", "tokenizer"):
        copy_half(inpainting / part, target / part)
    copy_half(inpainting / "text_encoder", target / "text_encoder", _with_text_prefix)
    checker = weights_folder("safety-checker")
    for part in _OPTIONAL:
        if checker.exists():
            copy_half(checker / part, target / part, _with_nested_vision)
    scheduler = {"_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0", **SCHEDULE}
    scheduler |= {"set_alpha_to_one": False, "skip_prk_steps": True, "trained_betas": None, "clip_sample": False}
    _write_json(target / "scheduler" / "scheduler_config.json", scheduler)
    parts = {name: [None, None] if name in _OPTIONAL and not checker.exists() else of for name, of in _PIPELINE.items()}
    index = {"_class_name": "StableDiffusionInpaintPipeline", "_diffusers_version": "0.6.0", **parts}
    _write_json(target / "model_index.json", index)
    return True


def start_from(folder: Path) -> list[str]:
    """Makes exported weights the start of further training. Returns the components that will start from them.

    The ONNX networks and the small classifiers are trained anew in minutes; their export is not read back.
    """
    pipeline = folder / _PIPELINE_REPOSITORY
    levels = json.loads((pipeline / "vae" / "config.json").read_text())["block_out_channels"]
    coarse = len(levels) == _COARSE_LEVELS
    autoencoder, painter = ("vae", COARSE) if coarse else (AUTOENCODER, FINE)
    shutil.copytree(pipeline / "vae", weights_folder(autoencoder), dirs_exist_ok=True)
    shutil.copytree(pipeline / "tokenizer", workdir() / "tokenizers" / "clip", dirs_exist_ok=True)
    start = workdir() / "start"
    shutil.copytree(pipeline / "vae", start / (DECODER if coarse else AUTOENCODER), dirs_exist_ok=True)
    for part in ("unet", "text_encoder"):
        shutil.copytree(pipeline / part, start / painter / part, dirs_exist_ok=True)
    for part, repository in _PAINTERS_PARTS.items():
        shutil.copytree(folder / repository, start / painter / part, dirs_exist_ok=True)
    for component in _RESUMABLE:
        shutil.copytree(folder / _SINGLE[component], start / component, dirs_exist_ok=True)
    return sorted(path.name for path in start.iterdir())


def copy_half(source: Path, target: Path, rename: Callable[[str], str] = lambda key: key) -> None:
    """Copies a folder; floating point tensors of its safetensors files become float16, their keys renamed.

    Configurations forget the path that they were loaded from.
    """
    for path in sorted(source.rglob("*")):
        if path.is_dir() or path.name in _KEPT_HERE:
            continue
        copied = target / path.relative_to(source)
        copied.parent.mkdir(parents=True, exist_ok=True)
        if path.name == "config.json":
            values = json.loads(path.read_text())
            values.pop("_name_or_path", None)
            _write_json(copied, values)
            continue
        if path.suffix != ".safetensors":
            shutil.copyfile(path, copied)
            continue
        tensors = {rename(key): _halved(tensor) for key, tensor in load_file(path).items()}
        save_file(tensors, copied, metadata={"format": "pt"})


def _halved(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.half().contiguous() if tensor.is_floating_point() else tensor.contiguous()


def _with_text_prefix(key: str) -> str:
    return key if key.startswith(_TEXT_PREFIX) else _TEXT_PREFIX + key


def _with_nested_vision(key: str) -> str:
    return f"vision_model.{key}" if key.startswith("vision_model.") else key


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=2) + "\n")
