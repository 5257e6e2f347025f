"""What was asked for acts, is refused, or is named in `warnings`: an edit where it does, one where it cannot."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from composition.images import Box
from composition.lora import LoraKind, LoraUse
from composition.marks import Point
from composition.pipelines.effects import ACTS_ALWAYS, WITHOUT_EFFECT
from composition.request import (
    OPTIONS,
    Crop,
    EditOptions,
    EditRequest,
    Keep,
    MaskFeather,
    MaskMode,
    OnNoDetection,
    OutputFormat,
    Oversize,
    PipelineChoice,
    Quality,
    Reference,
    RefineMask,
    Scheduler,
    Speed,
)
from tests.fakes.fake_analyzer import FakeAnalyzer
from tests.fakes.fake_detector import FakeDetector, detection

MUG, HANDLE = detection("mug", 120, 80, 220, 200), detection("handle", 190, 100, 220, 160)
REPLACE, REMOVE, RECOLOUR = "replace the mug with a teapot", "remove the mug", "make the mug blue"
EVERYWHERE = "in the style of Monet"
INSERT = "put a vase on the table"
SHAPE = (300, 400)


def spot():
    mask = np.zeros(SHAPE, np.uint8)
    mask[100:200, 100:200] = 255
    return mask


def corner():
    mask = np.zeros(SHAPE, np.uint8)
    mask[-20:, -20:] = 255
    return mask


def full():
    return np.full(SHAPE, 255, np.uint8)


CLICKS = (Point(170.0, 140.0),)
BOX = Box(x0=120.0, y0=80.0, x1=220.0, y1=200.0)
REFERENCE = (Reference(image=np.full((64, 64, 3), 90, np.uint8)),)


def case(options=None, prompt=REPLACE, **request):
    return {"prompt": prompt, "options": options or {}, **request}


def lora(name, weight, token=None):
    kind = LoraKind.LORA if token is None else LoraKind.EMBEDDING
    return LoraUse(name=name, weight=weight, path=f"/loras/{name}", sha256="0" * 64, kind=kind, token=token)


FAST = {"speed": Speed.FAST}
TURBO = {"speed": Speed.TURBO}
IDLE = {
    "pipeline": (
        case({"pipeline": PipelineChoice.SIMPLE, "force_controlnet": True}),
        "pipeline simple is overridden",
    ),
    "pipeline at scale 0": (
        case({"pipeline": PipelineChoice.COMPLEX, "controlnet_conditioning_scale": 0.0}),
        "switches off the structure control",
    ),
    "force_controlnet": (
        case({"force_controlnet": True, "controlnet_conditioning_scale": 0.0}),
        "switches off the structure control",
    ),
    "control_types": (
        case({"control_types": ("depth",), "controlnet_conditioning_scale": 0.0}),
        "switches off the structure control",
    ),
    "controlnet_conditioning_scale": (
        case({"controlnet_conditioning_scale": 0.7, "pipeline": PipelineChoice.SIMPLE}),
        "controlnet_conditioning_scale has no effect: this edit runs no ControlNet",
    ),
    "num_inference_steps above": (
        case({**FAST, "num_inference_steps": 30}),
        "speed fast takes 4 to 8 steps: num_inference_steps 30 is taken as 8",
    ),
    "num_inference_steps below": (
        case({**FAST, "num_inference_steps": 2}),
        "speed fast takes 4 to 8 steps: num_inference_steps 2 is taken as 4",
    ),
    "guidance_scale": (
        case({**FAST, "guidance_scale": 9.0}),
        "speed fast takes guidance up to 2: guidance_scale 9 is taken as 2",
    ),
    "num_inference_steps, turbo": (
        case({**TURBO, "num_inference_steps": 8}),
        "speed turbo takes 1 to 4 steps: num_inference_steps 8 is taken as 4",
    ),
    "guidance_scale, turbo": (
        case({**TURBO, "guidance_scale": 3.0}),
        "speed turbo takes guidance up to 1: guidance_scale 3 is taken as 1",
    ),
    "negative_prompt, turbo": (
        case(TURBO, negative_prompt="rust"),
        "negative_prompt has no effect at guidance_scale 1",
    ),
    "negative_prompt": (
        case({"guidance_scale": 1.0}, negative_prompt="rust"),
        "negative_prompt has no effect at guidance_scale 1",
    ),
    "negative_prompt, fast": (
        case(FAST, negative_prompt="rust"),
        "negative_prompt has no effect at guidance_scale 1",
    ),
    "prompt": (
        case({"guidance_scale": 1.0}, REMOVE),
        "at guidance_scale 1 nothing keeps 'mug' from being painted again",
    ),
    "blend": (case({"blend": 0.0}), "blend 0: nothing of what was painted is laid over the photo"),
    "references": (
        case({"ip_adapter_scale": 0.0}, references=REFERENCE),
        "reference_image is not painted from: ip_adapter_scale is 0",
    ),
    "ip_adapter_scale": (case({"ip_adapter_scale": 0.9}), "ip_adapter_scale has no effect without reference_image"),
    "ip_adapter_start": (
        case({"ip_adapter_start": 0.5}),
        "ip_adapter_start without effect: no reference image is painted from",
    ),
    "ip_adapter_end": (
        case({"ip_adapter_end": 0.5, "ip_adapter_mask": True}),
        "ip_adapter_end, ip_adapter_mask without effect: no reference image is painted from",
    ),
    "references, weight 0": (
        case({}, references=(*REFERENCE, replace(*REFERENCE, weight=0.0))),
        "a reference of weight 0 is not painted from: reference_images.1",
    ),
    "references, no such part": (
        case({}, references=(*REFERENCE, replace(*REFERENCE, part="sleeves"))),
        "reference_images.1 is left out: nothing like 'sleeves' was found in what is repainted",
    ),
    "references, a mask elsewhere": (
        case({}, references=(replace(*REFERENCE, part_mask=corner()),)),
        "reference_images.0 is left out: its mask has nothing of what is repainted",
    ),
    "references, all of it another's": (
        case({}, references=(*REFERENCE, replace(*REFERENCE, part_mask=full()))),
        "reference_images.0 is left out: others are for all of what is repainted",
    ),
    "ip_adapter_start, no reference of any weight": (
        case({"ip_adapter_start": 0.5}, references=(replace(*REFERENCE, weight=0.0),)),
        "ip_adapter_start without effect: no reference image is painted from",
    ),
    "ip_adapter_mask": (
        case({"ip_adapter_mask": True, "ip_adapter_scale": 0.0}, references=REFERENCE),
        "ip_adapter_mask without effect: no reference image is painted from",
    ),
    "ip_adapter_mask, all": (
        case({"ip_adapter_mask": True}, EVERYWHERE, references=REFERENCE),
        "ip_adapter_mask has no effect: all of the image is repainted",
    ),
    "control_guidance_start": (
        case({"control_guidance_start": 0.2, "pipeline": PipelineChoice.SIMPLE}),
        "control_guidance_start without effect: this edit runs no ControlNet",
    ),
    "control_guidance_end": (
        case({"control_guidance_end": 0.8, "pipeline": PipelineChoice.SIMPLE}),
        "control_guidance_end without effect: this edit runs no ControlNet",
    ),
    "guidance_rescale": (
        case({"guidance_rescale": 0.7, "guidance_scale": 1.0}),
        "guidance_rescale has no effect at guidance_scale 1",
    ),
    "scheduler": (
        case({**FAST, "scheduler": Scheduler.UNIPC}),
        "scheduler has no effect: speed fast steps with its own",
    ),
    "quality": (
        case({**FAST, "quality": Quality.BALANCED}),
        "quality has no effect: speed fast takes few steps, and computes all of each",
    ),
    "scheduler, turbo": (
        case({**TURBO, "scheduler": Scheduler.UNIPC}),
        "scheduler has no effect: speed turbo steps with its own",
    ),
    "quality, turbo": (
        case({**TURBO, "quality": Quality.DRAFT}),
        "quality has no effect: speed turbo takes few steps, and computes all of each",
    ),
    "quality, one step": (
        case({"quality": Quality.DRAFT, "num_inference_steps": 2, "strength": 0.6}),
        "quality has no effect: of a single step nothing can be reused",
    ),
    "crop_context": (
        case({"crop_context": 3.0, "crop": Crop.OFF}),
        "crop_context has no effect: the whole image is painted, not a crop of it",
    ),
    "loras": (
        case({"loras": {"pixel-art": 0.0, "ink": 0.8}}, loras=(lora("pixel-art", 0.0), lora("ink", 0.8))),
        "a LoRA of weight 0 has no effect: pixel-art",
    ),
    "loras, a token that nobody says": (
        case({"loras": {"toy": 1.0}}, loras=(lora("toy", 1.0, "<cat-toy>"),)),
        "an embedding acts where its token stands in prompt or negative_prompt, and these do not: <cat-toy>",
    ),
    "loras, half an embedding": (
        case({"loras": {"toy": 0.5}}, "replace the mug with a <cat-toy>", loras=(lora("toy", 0.5, "<cat-toy>"),)),
        "an embedding acts fully or, at weight 0, not: the weight has no effect of toy",
    ),
    "target": (case({"target": "rims"}, mask=spot()), "mask_image is repainted, not what target names"),
    "target, nothing in it": (case({"target": "???"}), "target '???' names nothing that can be looked for"),
    "target beside a box": (
        case({"target": "rims", "box": BOX}),
        "what is pointed at is repainted, not what target names",
    ),
    "points": (case({"points": CLICKS}, mask=spot()), "points and box have no effect: mask_image is repainted"),
    "box": (case({"box": BOX}, mask=spot()), "points and box have no effect: mask_image is repainted"),
    "points beside a box": (
        case({"points": CLICKS, "box": BOX, "refine_mask": RefineMask.OFF}),
        "points have no effect: the box itself is repainted",
    ),
    "points beside the box of what is added": (
        case({"points": CLICKS, "box": BOX}, INSERT),
        "points have no effect: the box itself is repainted",
    ),
    "on_no_detection, points": (
        case({"on_no_detection": OnNoDetection.ERROR, "points": CLICKS}),
        "on_no_detection has no effect: what is pointed at is repainted",
    ),
    "mask_dilation_px, a box": (
        case({"mask_dilation_px": 40, "box": BOX, "refine_mask": RefineMask.OFF}),
        "mask_dilation_px has no effect: the box itself is not dilated",
    ),
    "mask_mode": (case({"mask_mode": MaskMode.ALPHA}), "mask_mode has no effect without mask_image"),
    "on_no_detection": (
        case({"on_no_detection": OnNoDetection.ERROR}, mask=spot()),
        "on_no_detection has no effect: mask_image is repainted",
    ),
    "on_no_detection, nothing named": (
        case({"on_no_detection": OnNoDetection.ERROR}, EVERYWHERE),
        "on_no_detection has no effect: nothing has to be detected",
    ),
    "on_no_detection, a side": (
        case({"on_no_detection": OnNoDetection.ERROR}, "add a lamp on the left"),
        "on_no_detection has no effect: nothing has to be detected",
    ),
    "refine_mask": (
        case({"refine_mask": RefineMask.ON}, mask=spot()),
        "refine_mask has no effect: mask_image is taken as it is",
    ),
    "refine_mask, nothing found": (
        case({"refine_mask": RefineMask.ON}, EVERYWHERE),
        "refine_mask has no effect: the mask comes from no detected thing",
    ),
    "refine_mask, a place": (
        case({"refine_mask": RefineMask.ON}, INSERT),
        "refine_mask has no effect: the mask comes from no detected thing",
    ),
    "mask_dilation_px": (
        case({"mask_dilation_px": 40}, mask=spot()),
        "mask_dilation_px has no effect: mask_image is not dilated",
    ),
    "mask_dilation_px, all": (
        case({"mask_dilation_px": 40}, EVERYWHERE),
        "mask_dilation_px has no effect: all of the image is repainted",
    ),
    "mask_blur_px, all": (
        case({"mask_blur_px": 40}, EVERYWHERE),
        "mask_blur_px has no effect: all of the image is repainted",
    ),
    "mask_blur_px, all by hand": (
        case({"mask_blur_px": 40}, mask=full()),
        "mask_blur_px has no effect: all of the image is repainted",
    ),
    "mask_blur_px": (case({"mask_blur_px": 40}, RECOLOUR), "mask_blur_px acts up to 10 here"),
    "mask_feather, all": (
        case({"mask_feather": MaskFeather.OUT}, EVERYWHERE),
        "mask_feather has no effect: all of the image is repainted",
    ),
    "mask_feather, a look": (
        case({"mask_feather": MaskFeather.OUT}, RECOLOUR),
        "mask_feather has no effect: a thing that keeps its shape is blended in along its outline",
    ),
    "mask_feather, hard": (
        case({"mask_feather": MaskFeather.OUT, "mask_blur_px": 0}, mask=spot()),
        "mask_feather has no effect: mask_blur_px leaves no soft rim",
    ),
    "output_quality": (case({"output_quality": 60}), "output_quality has no effect: png is lossless"),
}
ACTING = {
    "pipeline": case({"pipeline": PipelineChoice.SIMPLE}),
    "pipeline, at another scale": case({"pipeline": PipelineChoice.COMPLEX, "controlnet_conditioning_scale": 0.5}),
    "force_controlnet": case({"force_controlnet": True}),
    "control_types": case({"control_types": ("depth",)}),
    "controlnet_conditioning_scale": case({"control_types": ("depth",), "controlnet_conditioning_scale": 0.7}),
    "controlnet_conditioning_scale 0, switched off": case({"controlnet_conditioning_scale": 0.0}),
    "num_inference_steps": case({"num_inference_steps": 30}),
    "num_inference_steps, fast": case({**FAST, "num_inference_steps": 5}),
    "num_inference_steps, the default": case({**FAST, "num_inference_steps": 25}),
    "num_inference_steps, turbo": case({**TURBO, "num_inference_steps": 1}),
    "turbo alone": case(TURBO),
    "guidance_scale": case({"guidance_scale": 9.0}),
    "guidance_scale, fast": case({**FAST, "guidance_scale": 1.2}),
    "negative_prompt": case({"guidance_scale": 1.1}, negative_prompt="rust"),
    "negative_prompt, fast": case({**FAST, "guidance_scale": 1.5}, negative_prompt="rust"),
    "guidance_scale 1 without a negative prompt": case({"guidance_scale": 1.0}),
    "prompt": case({}, REMOVE),
    "blend": case({"blend": 0.1}),
    "references": case({"ip_adapter_scale": 0.9}, references=REFERENCE),
    "references, weights": case({}, references=(*REFERENCE, replace(*REFERENCE, weight=0.5))),
    "references, a part": case({}, references=(*REFERENCE, replace(*REFERENCE, part="handle"))),
    "references, a drawn part": case({}, references=(*REFERENCE, replace(*REFERENCE, part_mask=spot()))),
    "mask_mode, of a part": case(
        {"mask_mode": MaskMode.LUMINANCE}, references=(*REFERENCE, replace(*REFERENCE, part_mask=spot()))
    ),
    "ip_adapter_scale 0 without a reference": case({"ip_adapter_scale": 0.0}),
    "ip_adapter_start": case({"ip_adapter_start": 0.2}, references=REFERENCE),
    "ip_adapter_end": case({"ip_adapter_end": 0.8}, references=REFERENCE),
    "ip_adapter_mask": case({"ip_adapter_mask": True}, references=REFERENCE),
    "control_guidance_start": case({"control_guidance_start": 0.2, "control_types": ("depth",)}),
    "control_guidance_end": case({"control_guidance_end": 0.8, "control_types": ("depth",)}),
    "guidance_rescale": case({"guidance_rescale": 0.7}),
    "scheduler": case({"scheduler": Scheduler.DPM_SOLVER_KARRAS}),
    "quality": case({"quality": Quality.BALANCED}),
    "quality, two steps": case({"quality": Quality.DRAFT, "num_inference_steps": 2}),
    "quality exact, fast": case({**FAST, "quality": Quality.EXACT}),
    "crop_context": case({"crop_context": 1.5}),
    "loras": case({"loras": {"ink": 0.8}}, loras=(lora("ink", 0.8),)),
    "loras, an embedding": case(
        {"loras": {"toy": 1.0}}, "replace the mug with a <cat-toy>", loras=(lora("toy", 1.0, "<cat-toy>"),)
    ),
    "loras, a negative embedding": case(
        {"loras": {"bad": 1.0}}, negative_prompt="bad-hands", loras=(lora("bad", 1.0, "bad-hands"),)
    ),
    "target": case({"target": "rims"}),
    "target, a side": case({"target": "the left one"}),
    "points": case({"points": CLICKS, "mask_dilation_px": 40}),
    "points, refined as asked": case({"points": CLICKS, "refine_mask": RefineMask.ON}),
    "box": case({"box": BOX, "mask_dilation_px": 40}),
    "box itself": case({"box": BOX, "refine_mask": RefineMask.OFF}),
    "points and box": case({"points": CLICKS, "box": BOX}),
    "mask_mode": case({"mask_mode": MaskMode.ALPHA}, mask=spot()),
    "on_no_detection": case({"on_no_detection": OnNoDetection.ERROR}),
    "refine_mask": case({"refine_mask": RefineMask.ON}),
    "refine_mask off, nothing to refine": case({"refine_mask": RefineMask.OFF}, mask=spot()),
    "mask_dilation_px": case({"mask_dilation_px": 40}),
    "mask_dilation_px 0, nothing dilated": case({"mask_dilation_px": 0}, mask=spot()),
    "mask_blur_px": case({"mask_blur_px": 40}, mask=spot()),
    "mask_blur_px, a look": case({"mask_blur_px": 8}, RECOLOUR),
    "mask_feather": case({"mask_feather": MaskFeather.OUT}),
    "mask_feather, by hand": case({"mask_feather": MaskFeather.OUT}, mask=spot()),
    "keep_parts off, nothing recoloured": case({"keep_parts": Keep.OFF}),
    "keep_surroundings off, nothing replaced": case({"keep_surroundings": Keep.OFF}, RECOLOUR),
    "output_quality": case({"output_quality": 60, "output_format": OutputFormat.WEBP}),
    "all that acts always": case(
        {
            "seed": 5,
            "strength": 0.6,
            "crop": Crop.OFF,
            "color_match": False,
            "sharpen": True,
            "return_mask": True,
            "embed_metadata": True,
            "oversize": Oversize.DOWNSCALE,
            **FAST,
        },
        n=2,
    ),
}


def asked(photo, prompt, options, **request):
    return EditRequest(base=photo, prompt=prompt, options=EditOptions(**{"seed": 7, **options}), **request)


@pytest.fixture
def b(bench):
    return bench(analyzer=FakeAnalyzer(), detector=FakeDetector({"*": [MUG], "handle": [HANDLE], "sleeves": []}))


@pytest.mark.parametrize("name", IDLE)
async def test_what_cannot_act_is_named_by_edit_and_analysis(b, photo, name):
    known, expected = IDLE[name]
    request = asked(photo, **known)
    warnings = (await b.edit(request)).metadata["warnings"]
    assert any(warning.startswith(expected) or expected in warning for warning in warnings)
    assert (await b.editor.analyze(request, request_id="test")).metadata["warnings"] == warnings


@pytest.mark.parametrize("name", ACTING)
async def test_what_acts_or_only_switches_off_what_is_not_done_needs_no_words(b, photo, name):
    assert (await b.edit(asked(photo, **ACTING[name]))).metadata["warnings"] == []


async def test_a_reference_at_scale_zero_is_not_sent_to_the_diffusion_model(b, photo):
    await b.edit(asked(photo, REPLACE, {"ip_adapter_scale": 0.0}, references=REFERENCE))
    assert b.diffuser.requests[0].references == ()


def test_every_option_and_field_has_its_row_or_acts_always():
    rows = {name for row in WITHOUT_EFFECT for name in row.of}
    request = {item.name for item in fields(EditRequest)} - {"notes", "options", "sent_size"}
    assert rows | ACTS_ALWAYS == request | set(OPTIONS)
    assert not rows & ACTS_ALWAYS


def test_every_row_has_an_edit_in_which_it_speaks_and_one_in_which_it_does_not():
    named = {name.replace(" ", ",").split(",")[0] for name in IDLE}
    assert named == {name for row in WITHOUT_EFFECT for name in row.of}
    assert named <= {name.replace(" ", ",").split(",")[0] for name in ACTING}
