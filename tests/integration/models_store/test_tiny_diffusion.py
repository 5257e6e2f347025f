"""The tiny diffusion models react to everything that the real ones react to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    StableDiffusionControlNetInpaintPipeline,
    StableDiffusionInpaintPipeline,
    UNet2DConditionModel,
)
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from PIL import Image
from transformers import CLIPImageProcessor, CLIPTextModel

from composition.controls import CONTROLS
from composition.few_steps import FEW_STEPS
from models_store.store import ModelSet
from tests.integration.models_store.images import PLAIN_IMAGES, photographs

SIDE = 256


@pytest.fixture
def pipeline(tiny_models: ModelSet) -> Any:
    made = StableDiffusionInpaintPipeline.from_pretrained(tiny_models.path("sd-inpainting"))
    made.set_progress_bar_config(disable=True)
    return made


def image(name: str = "astronaut") -> Image.Image:
    return Image.fromarray(photographs()[name]).resize((SIDE, SIDE))


def paint(pipeline: Any, prompt: str = "a red car", *, base: str = "astronaut", **options: Any) -> np.ndarray:
    mask = Image.new("L", (SIDE, SIDE), 0)
    mask.paste(255, (64, 64, 192, 192))
    result = pipeline(
        prompt,
        image=image(base),
        mask_image=mask,
        num_inference_steps=2,
        generator=torch.Generator().manual_seed(7),
        output_type="np",
        **options,
    )
    assert result.nsfw_content_detected == [False]
    return result.images[0]


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Mean difference, in grey levels."""
    return float(np.abs(one - other).mean() * 255)


@pytest.mark.parametrize("variant", [None, "fp16"])
@pytest.mark.parametrize(
    ("cls", "folder"),
    [
        (UNet2DConditionModel, "unet"),
        (AutoencoderKL, "vae"),
        (CLIPTextModel, "text_encoder"),
        (StableDiffusionSafetyChecker, "safety_checker"),
    ],
)
def test_both_variants_have_exactly_the_weights_of_the_class(
    tiny_models: ModelSet, cls: Any, folder: str, variant: str | None
) -> None:
    _, info = cls.from_pretrained(
        tiny_models.path("sd-inpainting"), subfolder=folder, variant=variant, output_loading_info=True
    )
    assert not any((info["missing_keys"], info["unexpected_keys"], info["mismatched_keys"])), info


def test_the_native_size_is_the_pipelines_default(pipeline: Any, tiny_models: ModelSet) -> None:
    assert pipeline.unet.config.sample_size * pipeline.vae_scale_factor == tiny_models.native_size


def test_the_prompt_and_the_photo_decide(pipeline: Any) -> None:
    first = paint(pipeline)
    assert apart(first, paint(pipeline)) == 0
    assert apart(first, paint(pipeline, base="coffee")) > 1
    assert apart(first, paint(pipeline, "a wooden table")) > 1


@pytest.mark.parametrize("role", [control.role for control in CONTROLS.values()])
def test_a_controlnet_changes_the_image_and_so_does_its_input(pipeline: Any, tiny_models: ModelSet, role: str) -> None:
    controlnet = ControlNetModel.from_pretrained(tiny_models.path(role))
    controlled = StableDiffusionControlNetInpaintPipeline(**pipeline.components, controlnet=controlnet)
    controlled.set_progress_bar_config(disable=True)
    plain = paint(pipeline)
    black = paint(controlled, control_image=Image.new("RGB", (SIDE, SIDE)))
    photo = paint(controlled, control_image=image())
    assert apart(plain, photo) > 1
    assert apart(black, photo) > 0.5


@pytest.mark.parametrize("part", ["sd15", "sd15-plus"])
def test_an_ip_adapter_carries_the_reference(pipeline: Any, tiny_models: ModelSet, part: str) -> None:
    weights = tiny_models.part("ip-adapter", part)
    pipeline.load_ip_adapter(str(weights.parent.parent), subfolder=weights.parent.name, weight_name=weights.name)
    pipeline.set_ip_adapter_scale(0.8)
    references = [Image.fromarray(photographs()[name]) for name in ("coffee", "brick")]
    coffee, brick = (paint(pipeline, ip_adapter_image=reference) for reference in references)
    assert apart(coffee, brick) > 1


@pytest.mark.parametrize("role", [few.role for few in FEW_STEPS.values()])
def test_the_lora_of_a_speed_fits_the_unet_and_changes_it(pipeline: Any, tiny_models: ModelSet, role: str) -> None:
    weights = tiny_models.part(role, "weights")
    before = paint(pipeline)
    pipeline.load_lora_weights(str(weights.parent), weight_name=weights.name, adapter_name="speed")
    assert apart(before, paint(pipeline)) > 1


def test_the_safety_checker_flags_no_photograph(tiny_models: ModelSet) -> None:
    root = tiny_models.path(tiny_models.base_role)
    checker = StableDiffusionSafetyChecker.from_pretrained(root, subfolder="safety_checker").eval()
    extractor = CLIPImageProcessor.from_pretrained(root, subfolder="feature_extractor")
    noise = np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)
    images = [*photographs().values(), *PLAIN_IMAGES.values(), noise]
    pixels = extractor([Image.fromarray(each) for each in images], return_tensors="pt").pixel_values
    with torch.inference_mode():
        _, flagged = checker(clip_input=pixels, images=[np.zeros((8, 8, 3))] * len(images))
    assert flagged == [False] * len(images)
