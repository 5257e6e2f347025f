"""What was asked for and did not act: request, plan and mask -> **warnings** -> response.

Adding an option is adding it to `ACTS_ALWAYS` or giving it a row in `WITHOUT_EFFECT`. A value equal to the default was
not asked for, and a switch that is off where nothing is done anyway did what it says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from composition.decision import EditPlan, Pipeline, Target
from composition.few_steps import FEW_STEPS, FewSteps
from composition.lora import LoraUse
from composition.masking.edit_mask import EditMask
from composition.masking.find import names_nothing, side_of
from composition.masking.grow import LEAST_BLUR_PX, SEAM_BLUR_PX
from composition.request import (
    OPTIONS,
    EditRequest,
    MaskMode,
    OnNoDetection,
    OutputFormat,
    PipelineChoice,
    RefineMask,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Edit:
    """One edit as far as it has to be known: what was asked for, what was made of it, and where."""

    request: EditRequest
    plan: EditPlan
    mask: EditMask

    def asked(self, option: str) -> bool:
        """Whether the user gave an option a value of its own."""
        value = getattr(self.request.options, option)
        return value is not None and value != OPTIONS[option].default

    @property
    def target(self) -> Target:
        return self.plan.decision.target

    @property
    def own_region(self) -> str | None:
        """What the user says is repainted, in words for a warning; None where it has to be found."""
        if self.request.mask is not None:
            return "mask_image"
        return None if self.request.options.mark is None else "what is pointed at"

    @property
    def everywhere(self) -> bool:
        """Whether all of the image is repainted."""
        return bool(self.mask.thing.all())


@dataclass(frozen=True, kw_only=True)
class WithoutEffect:
    """One row: of which options or fields of the request, when they do not act, and the words for it."""

    of: tuple[str, ...]
    holds: Callable[[Edit], bool]
    text: Callable[[Edit], str]


def without_effect(edit: Edit) -> list[str]:
    """A warning for everything that was asked for and did not act."""
    return [row.text(edit) for row in WITHOUT_EFFECT if row.holds(edit)]


CONTROLS_OFF: Final = "controlnet_conditioning_scale 0 switches off the structure control that was asked for"
NO_CONTROLNET: Final = "controlnet_conditioning_scale has no effect: this edit runs no ControlNet"
SIMPLE_OVERRIDDEN: Final = "pipeline simple is overridden by force_controlnet or control_types"

REFERENCE_OPTIONS: Final = ("ip_adapter_start", "ip_adapter_end", "ip_adapter_mask")
CONTROL_OPTIONS: Final = ("control_guidance_start", "control_guidance_end")
LEAST_STEPS_TO_REUSE: Final = 2
ACTS_ALWAYS: Final = frozenset(
    {
        "base",
        "edits",
        "views",
        "mask",
        "n",
        "model",
        "seed",
        "strength",
        "crop",
        "speed",
        "color_match",
        "keep_parts",
        "keep_surroundings",
        "occlusion",
        "sharpen",
        "output_format",
        "return_mask",
        "embed_metadata",
        "oversize",
    }
)
"""Whatever the rest of the request says, they act or, where they only switch something off, are obeyed."""


def _out_of_pace(edit: Edit, option: str) -> bool:
    """Whether a speed of few steps takes another value than was asked for."""
    few = edit.plan.speed in FEW_STEPS
    return few and edit.asked(option) and _given(edit, option) != getattr(edit.plan, option)


def _few(edit: Edit) -> FewSteps:
    return FEW_STEPS[edit.plan.speed]


def _steps(edit: Edit) -> int:
    """Those that run, of the steps that the plan has: `strength` leaves out the first."""
    return max(1, int(edit.plan.num_inference_steps * edit.plan.strength))


def _given(edit: Edit, option: str) -> float:
    value: float = getattr(edit.request.options, option)
    return value


def _no_rim(edit: Edit) -> str | None:
    """Why the mask has no rim that could lie on either side; None where it has one."""
    if edit.everywhere:
        return "all of the image is repainted"
    if edit.mask.outlined:
        return "a thing that keeps its shape is blended in along its outline"
    return "mask_blur_px leaves no soft rim" if edit.plan.mask_blur_px < LEAST_BLUR_PX else None


def _drawn(edit: Edit) -> str:
    return "the box itself" if edit.request.mask is None else "mask_image"


def _asked_of(edit: Edit, options: tuple[str, ...]) -> list[str]:
    """Those of some options that the user gave a value of their own."""
    return [option for option in options if edit.asked(option)]


def _paints_from_reference(edit: Edit) -> bool:
    return any(one.weight > 0.0 for one in edit.request.references) and edit.plan.ip_adapter_scale > 0.0


def _weightless(edit: Edit) -> list[str]:
    """References of weight 0, as the request names them."""
    return [f"reference_images.{number}" for number, one in enumerate(edit.request.references) if one.weight == 0.0]


def _masks_sent(edit: Edit) -> bool:
    return edit.request.mask is not None or any(one.part_mask is not None for one in edit.request.references)


def _unspoken(edit: Edit) -> list[LoraUse]:
    """Embeddings whose token stands nowhere."""
    return [lora for lora in edit.request.loras if lora.token and lora.weight != 0.0 and lora not in edit.plan.loras]


def _weighted_embeddings(edit: Edit) -> list[LoraUse]:
    return [lora for lora in edit.plan.loras if lora.token is not None and lora.weight != 1.0]


def _in_boxes(target: Target) -> bool:
    """Whether the mask is made of boxes on purpose: something is put on a place."""
    return target.phrase is None and target.region is None and not target.complement


WITHOUT_EFFECT: Final[tuple[WithoutEffect, ...]] = (
    WithoutEffect(
        of=("pipeline",),
        holds=lambda e: (
            e.request.options.pipeline is PipelineChoice.SIMPLE and e.plan.decision.pipeline is Pipeline.COMPLEX
        ),
        text=lambda e: SIMPLE_OVERRIDDEN,
    ),
    WithoutEffect(
        of=("control_types", "force_controlnet", "pipeline"),
        holds=lambda e: e.request.options.asks_for_structure and _given(e, "controlnet_conditioning_scale") == 0.0,
        text=lambda e: CONTROLS_OFF,
    ),
    WithoutEffect(
        of=("controlnet_conditioning_scale",),
        holds=lambda e: (
            e.asked("controlnet_conditioning_scale")
            and _given(e, "controlnet_conditioning_scale") > 0.0
            and not e.plan.controls
        ),
        text=lambda e: NO_CONTROLNET,
    ),
    WithoutEffect(
        of=("num_inference_steps",),
        holds=lambda e: _out_of_pace(e, "num_inference_steps"),
        text=lambda e: (
            f"speed {e.plan.speed} takes {_few(e).least_steps} to {_few(e).most_steps} steps: num_inference_steps "
            f"{_given(e, 'num_inference_steps')} is taken as {e.plan.num_inference_steps}"
        ),
    ),
    WithoutEffect(
        of=("guidance_scale",),
        holds=lambda e: _out_of_pace(e, "guidance_scale"),
        text=lambda e: (
            f"speed {e.plan.speed} takes guidance up to {_few(e).most_guidance_scale:g}: guidance_scale "
            f"{_given(e, 'guidance_scale'):g} is taken as {e.plan.guidance_scale:g}"
        ),
    ),
    WithoutEffect(
        of=("negative_prompt",),
        holds=lambda e: bool(e.request.negative_prompt) and e.plan.guidance_scale <= 1.0,
        text=lambda e: "negative_prompt has no effect at guidance_scale 1",
    ),
    WithoutEffect(
        of=("prompt",),
        holds=lambda e: bool(e.plan.decision.negative_terms) and e.plan.guidance_scale <= 1.0,
        text=lambda e: (
            f"at guidance_scale 1 nothing keeps '{', '.join(e.plan.decision.negative_terms)}' from being painted again"
        ),
    ),
    WithoutEffect(
        of=("blend",),
        holds=lambda e: e.plan.blend == 0.0,
        text=lambda e: "blend 0: nothing of what was painted is laid over the photo",
    ),
    WithoutEffect(
        of=("references",),
        holds=lambda e: bool(e.request.references) and e.plan.ip_adapter_scale == 0.0,
        text=lambda e: "reference_image is not painted from: ip_adapter_scale is 0",
    ),
    WithoutEffect(
        of=("references",),
        holds=lambda e: e.plan.ip_adapter_scale > 0.0 and _weightless(e) != [],
        text=lambda e: f"a reference of weight 0 is not painted from: {', '.join(_weightless(e))}",
    ),
    WithoutEffect(
        of=("ip_adapter_scale",),
        holds=lambda e: e.asked("ip_adapter_scale") and e.plan.ip_adapter_scale > 0.0 and not e.request.references,
        text=lambda e: "ip_adapter_scale has no effect without reference_image",
    ),
    WithoutEffect(
        of=("ip_adapter_start", "ip_adapter_end", "ip_adapter_mask"),
        holds=lambda e: _asked_of(e, REFERENCE_OPTIONS) != [] and not _paints_from_reference(e),
        text=lambda e: (
            f"{', '.join(_asked_of(e, REFERENCE_OPTIONS))} without effect: no reference image is painted from"
        ),
    ),
    WithoutEffect(
        of=("ip_adapter_mask",),
        holds=lambda e: e.plan.ip_adapter_mask and _paints_from_reference(e) and e.everywhere,
        text=lambda e: "ip_adapter_mask has no effect: all of the image is repainted",
    ),
    WithoutEffect(
        of=("control_guidance_start", "control_guidance_end"),
        holds=lambda e: _asked_of(e, CONTROL_OPTIONS) != [] and not e.plan.controls,
        text=lambda e: f"{', '.join(_asked_of(e, CONTROL_OPTIONS))} without effect: this edit runs no ControlNet",
    ),
    WithoutEffect(
        of=("guidance_rescale",),
        holds=lambda e: e.plan.guidance_rescale > 0.0 and e.plan.guidance_scale <= 1.0,
        text=lambda e: "guidance_rescale has no effect at guidance_scale 1",
    ),
    WithoutEffect(
        of=("scheduler",),
        holds=lambda e: e.plan.speed in FEW_STEPS and e.request.options.scheduler is not None,
        text=lambda e: f"scheduler has no effect: speed {e.plan.speed} steps with its own",
    ),
    WithoutEffect(
        of=("quality",),
        holds=lambda e: e.asked("quality") and e.plan.speed in FEW_STEPS,
        text=lambda e: f"quality has no effect: speed {e.plan.speed} takes few steps, and computes all of each",
    ),
    WithoutEffect(
        of=("quality",),
        holds=lambda e: e.asked("quality") and e.plan.speed not in FEW_STEPS and _steps(e) < LEAST_STEPS_TO_REUSE,
        text=lambda e: "quality has no effect: of a single step nothing can be reused",
    ),
    WithoutEffect(
        of=("crop_context",),
        holds=lambda e: e.request.options.crop_context is not None and e.mask.crop is None,
        text=lambda e: "crop_context has no effect: the whole image is painted, not a crop of it",
    ),
    WithoutEffect(
        of=("loras",),
        holds=lambda e: 0.0 in e.request.options.loras.values(),
        text=lambda e: (
            "a LoRA of weight 0 has no effect: "
            + ", ".join(name for name, weight in e.request.options.loras.items() if weight == 0.0)
        ),
    ),
    WithoutEffect(
        of=("loras",),
        holds=lambda e: bool(_unspoken(e)),
        text=lambda e: (
            "an embedding acts where its token stands in prompt or negative_prompt, and these do not: "
            + ", ".join(str(lora.token) for lora in _unspoken(e))
        ),
    ),
    WithoutEffect(
        of=("loras",),
        holds=lambda e: bool(_weighted_embeddings(e)),
        text=lambda e: (
            "an embedding acts fully or, at weight 0, not: the weight has no effect of "
            + ", ".join(lora.name for lora in _weighted_embeddings(e))
        ),
    ),
    WithoutEffect(
        of=("target",),
        holds=lambda e: e.own_region is not None and e.asked("target"),
        text=lambda e: f"{e.own_region} is repainted, not what target names; it only helps to read the prompt",
    ),
    WithoutEffect(
        of=("target",),
        holds=lambda e: e.own_region is None and e.asked("target") and names_nothing(e.target),
        text=lambda e: f"target '{e.request.options.target}' names nothing that can be looked for",
    ),
    WithoutEffect(
        of=("points", "box"),
        holds=lambda e: e.request.mask is not None and e.request.options.mark is not None,
        text=lambda e: "points and box have no effect: mask_image is repainted",
    ),
    WithoutEffect(
        of=("points",),
        holds=lambda e: bool(e.request.options.points) and e.mask.exact and e.request.mask is None,
        text=lambda e: "points have no effect: the box itself is repainted",
    ),
    WithoutEffect(
        of=("mask_mode",),
        holds=lambda e: not _masks_sent(e) and e.request.options.mask_mode is not MaskMode.AUTO,
        text=lambda e: "mask_mode has no effect without mask_image",
    ),
    WithoutEffect(
        of=("on_no_detection",),
        holds=lambda e: (
            e.request.options.on_no_detection is OnNoDetection.ERROR
            and (e.own_region is not None or side_of(e.target) is not None or names_nothing(e.target))
        ),
        text=lambda e: (
            "on_no_detection has no effect: "
            + ("nothing has to be detected" if e.own_region is None else f"{e.own_region} is repainted")
        ),
    ),
    WithoutEffect(
        of=("refine_mask",),
        holds=lambda e: (
            e.request.options.refine_mask is RefineMask.ON
            and (
                e.request.mask is not None or (e.own_region is None and (not e.mask.detections or _in_boxes(e.target)))
            )
        ),
        text=lambda e: (
            "refine_mask has no effect: "
            + ("mask_image is taken as it is" if e.mask.exact else "the mask comes from no detected thing")
        ),
    ),
    WithoutEffect(
        of=("mask_dilation_px",),
        holds=lambda e: e.asked("mask_dilation_px") and e.plan.mask_dilation_px > 0 and (e.mask.exact or e.everywhere),
        text=lambda e: (
            "mask_dilation_px has no effect: "
            + (f"{_drawn(e)} is not dilated" if e.mask.exact else "all of the image is repainted")
        ),
    ),
    WithoutEffect(
        of=("mask_feather",),
        holds=lambda e: e.asked("mask_feather") and _no_rim(e) is not None,
        text=lambda e: f"mask_feather has no effect: {_no_rim(e)}",
    ),
    WithoutEffect(
        of=("output_quality",),
        holds=lambda e: e.asked("output_quality") and e.request.options.output_format is OutputFormat.PNG,
        text=lambda e: "output_quality has no effect: png is lossless",
    ),
    WithoutEffect(
        of=("mask_blur_px",),
        holds=lambda e: e.asked("mask_blur_px") and e.plan.mask_blur_px > 0 and e.everywhere,
        text=lambda e: "mask_blur_px has no effect: all of the image is repainted",
    ),
    WithoutEffect(
        of=("mask_blur_px",),
        holds=lambda e: (
            e.asked("mask_blur_px") and e.plan.mask_blur_px > SEAM_BLUR_PX and e.mask.outlined and not e.everywhere
        ),
        text=lambda e: (
            f"mask_blur_px acts up to {SEAM_BLUR_PX} here: a thing that keeps its shape is blended in along its outline"
        ),
    ),
)
