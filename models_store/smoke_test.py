"""The smoke test: loads one model with the class that serves it and, if asked, runs it once on a small image.

Loading is strict: a weight that the file lacks would be filled in at random, which nobody would notice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # everything is in the store: a loader that asks the hub is wrong

import numpy as np
import onnxruntime
import torch
from diffusers import (
    AutoencoderTiny,
    ControlNetModel,
    DiffusionPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionXLInpaintPipeline,
)
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from diffusers.utils import logging as diffusers_logging
from PIL import Image
from safetensors.torch import load_file
from transformers import (
    AutoImageProcessor,
    AutoModelForDepthEstimation,
    AutoModelForZeroShotObjectDetection,
    AutoProcessor,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPVisionModelWithProjection,
    SamModel,
    SamProcessor,
)
from transformers.utils import logging as transformers_logging

from composition.controls import CONTROLS
from composition.few_steps import FEW_STEPS
from models_store.completeness import adapter_faults, networks_of
from models_store.manifest import ELSEWHERE, HOME
from models_store.store import ModelSet

SmokeTest = Callable[[ModelSet, str], Iterator[str]]
"""Says what it has loaded, then, if it is asked on, what came out when that ran."""
_WEIGHTLESS_NAMES = ("position_ids", "num_batches_tracked")


class WeightsDiffer(Exception):
    """The file's weights are not those of the model's class."""


def smoke_test(models: ModelSet, role: str, *, run: bool) -> str:
    """Load a role's model, run it if `run`, and say in a few words what came out.

    Raises: whatever its loader raises.
    """
    for library in (diffusers_logging, transformers_logging):
        library.set_verbosity_error()
        library.disable_progress_bar()
    with torch.inference_mode():
        said = _SMOKE_TESTS[role](models, role)
        loaded = next(said)
        return f"{loaded}: {next(said)}" if run else loaded


def _image(side_px: int) -> Image.Image:
    ramp = np.linspace(0, 255, side_px).astype(np.uint8)
    red, green = np.meshgrid(ramp, ramp)
    return Image.fromarray(np.stack([red, green, 255 - red], axis=2))


def _load(cls: Any, models: ModelSet, role: str, **options: Any) -> Any:
    """`from_pretrained`, refusing a file with missing or unknown weights."""
    model, info = cls.from_pretrained(
        models.path(role), variant=models.variant(role), output_loading_info=True, **options
    )
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if names := [name for name in info[kind] if not str(name).endswith(_WEIGHTLESS_NAMES)]:
            raise WeightsDiffer(f"{kind.replace('_', ' ')}: {names[:3]} ... ({len(names)})")
    return model.eval()


def _pipeline(models: ModelSet, role: str) -> Any:
    """Every network of it strictly: the pipeline's own loading passes over what is missing or left over."""
    cls = StableDiffusionInpaintPipeline if role == "sd-inpainting" else StableDiffusionXLInpaintPipeline
    networks = networks_of(models.path(role))
    parts = {name: _load(network, models, role, subfolder=name) for name, network in networks.items()}
    pipeline = cls.from_pretrained(models.path(role), variant=models.variant(role), **parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _inpaint(models: ModelSet, role: str) -> Iterator[str]:
    pipeline = _pipeline(models, role)
    yield type(pipeline).__name__
    side = models.native_size
    image, mask = _image(side), Image.new("L", (side, side), 255)
    result = pipeline(
        "a red car", image=image, mask_image=mask, height=side, width=side, num_inference_steps=2, strength=1.0
    )
    yield f"{result.images[0].size[0]} px in 2 steps"


def _ip_adapter(models: ModelSet, role: str) -> Iterator[str]:
    pipeline: DiffusionPipeline = _pipeline(models, models.base_role)
    weights = models.part(role, models.ip_adapter_variant)
    encoder = models.part(role, "image_encoder")
    root = models.path(role)
    pipeline.load_ip_adapter(
        str(root),
        subfolder=str(weights.parent.relative_to(root)),
        weight_name=weights.name,
        image_encoder_folder=encoder.relative_to(root).as_posix(),
    )
    if faults := adapter_faults(pipeline.unet, weights):
        raise WeightsDiffer("; ".join(faults))
    _load(CLIPVisionModelWithProjection, models, role, subfolder=encoder.relative_to(root).as_posix())
    yield type(pipeline.image_encoder).__name__
    embeds = pipeline.prepare_ip_adapter_image_embeds([_image(224)], None, torch.device("cpu"), 1, True)
    yield f"embeds {tuple(embeds[0].shape)}"


def _controlnet(models: ModelSet, role: str) -> Iterator[str]:
    model = _load(ControlNetModel, models, role)
    yield type(model).__name__
    side = models.native_size
    down, mid = model(
        torch.randn(1, 4, side // 8, side // 8),
        torch.tensor(500),
        encoder_hidden_states=torch.randn(1, 77, model.config.cross_attention_dim),
        controlnet_cond=torch.rand(1, 3, side, side),
        added_cond_kwargs=_added_conditions(model.config),
        return_dict=False,
    )
    yield f"{len(down) + 1} residuals, the last of size {float(mid.abs().mean()):.2f}"


def _added_conditions(config: Any) -> dict[str, torch.Tensor] | None:
    """SDXL's: a pooled prompt and six sizes; None of other models."""
    if config.addition_embed_type != "text_time":
        return None
    pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
    return {"text_embeds": torch.randn(1, pooled), "time_ids": torch.zeros(1, 6)}


def _grounding_dino(models: ModelSet, role: str) -> Iterator[str]:
    model = _load(AutoModelForZeroShotObjectDetection, models, role)
    processor = AutoProcessor.from_pretrained(models.path(role))
    yield type(model).__name__
    inputs = processor(images=_image(256), text="a red car .", return_tensors="pt")
    best = float(model(**inputs).logits.sigmoid().max())
    yield f"best score {best:.2f}"


def _sam(models: ModelSet, role: str) -> Iterator[str]:
    model = _load(SamModel, models, role)
    processor = SamProcessor.from_pretrained(models.path(role))
    yield type(model).__name__
    inputs = processor(_image(256), input_boxes=[[[40.0, 40.0, 200.0, 200.0]]], return_tensors="pt")
    masks = model(**inputs).pred_masks
    yield f"masks {tuple(masks.shape[2:])}"


def _depth(models: ModelSet, role: str) -> Iterator[str]:
    model = _load(AutoModelForDepthEstimation, models, role)
    processor = AutoImageProcessor.from_pretrained(models.path(role))
    yield type(model).__name__
    depth = model(**processor(images=_image(256), return_tensors="pt")).predicted_depth
    yield f"depth {float(depth.min()):.2f}..{float(depth.max()):.2f}"


def _clip(models: ModelSet, role: str) -> Iterator[str]:
    model = _load(CLIPModel, models, role)
    processor = CLIPProcessor.from_pretrained(models.path(role))
    yield type(model).__name__
    inputs = processor(text=["a car", "a dress"], images=_image(224), return_tensors="pt", padding=True)
    share = model(**inputs).logits_per_image.softmax(dim=1)[0, 0]
    yield f"{float(share):.2f} of two texts"


def _onnx(models: ModelSet, role: str) -> Iterator[str]:
    parts = ["model", *(name for name in (ELSEWHERE, HOME) if models.has_part(role, name))]
    files = [models.part(role, name) for name in parts]
    sessions = [onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]) for file in files]
    yield f"{sum(len(session.get_outputs()) for session in sessions)} outputs"
    shapes = []
    for session in sessions:
        shape = [size if isinstance(size, int) else 1 for size in session.get_inputs()[0].shape]
        image = np.zeros(shape, dtype=np.float32)
        shapes += [str(output.shape) for output in session.run(None, {session.get_inputs()[0].name: image})]
    yield ", ".join(shapes)


def _safety_checker(models: ModelSet, role: str) -> Iterator[str]:
    checker = _load(StableDiffusionSafetyChecker, models, role, subfolder="safety_checker")
    extractor = CLIPImageProcessor.from_pretrained(models.path(role), subfolder="feature_extractor")
    yield type(checker).__name__
    pixels = extractor(_image(224), return_tensors="pt").pixel_values
    _, flagged = checker(clip_input=pixels, images=np.zeros((1, 8, 8, 3), dtype=np.float32))
    yield f"flagged {flagged}"


def _taesd(models: ModelSet, role: str) -> Iterator[str]:
    model = _load(AutoencoderTiny, models, role)
    yield type(model).__name__
    yield str(tuple(model.decode(torch.randn(1, 4, 32, 32)).sample.shape))


def _lora(models: ModelSet, role: str) -> Iterator[str]:
    yield f"{len(load_file(models.part(role, 'weights')))} tensors"
    pipeline = _pipeline(models, models.base_role)
    weights = models.part(role, "weights")
    pipeline.load_lora_weights(str(weights.parent), weight_name=weights.name, adapter_name="speed")
    layers = sum(name.endswith("lora_A.speed") for name, _ in pipeline.unet.named_modules())
    yield f"{layers} layers adapted"


_SMOKE_TESTS: Mapping[str, SmokeTest] = {
    "sd-inpainting": _inpaint,
    "sdxl-inpainting": _inpaint,
    "ip-adapter": _ip_adapter,
    **{control.role: _controlnet for control in CONTROLS.values()},
    "safety-checker": _safety_checker,
    "grounding-dino": _grounding_dino,
    "sam": _sam,
    "dwpose": _onnx,
    "yolox": _onnx,
    "depth-anything": _depth,
    "clip": _clip,
    "taesd": _taesd,
    **{few.role: _lora for few in FEW_STEPS.values()},
}
