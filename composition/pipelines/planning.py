"""route -> **plan**: every default of SPEC.md 5.3 resolved, nothing left to guess for the stages."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from composition.config import Config
from composition.controls import CONTROLS
from composition.decision import Decision, EditPlan, RegionSource, Window
from composition.few_steps import FEW_STEPS
from composition.imaging.geometry import CONTEXT
from composition.lora import LoraUse
from composition.request import MAX_SEED, ControlType, EditOptions, EditRequest, Keep, OnNoDetection, RefineMask

T = TypeVar("T")


def make_plan(request: EditRequest, decision: Decision, config: Config) -> EditPlan:
    """Resolve what the user left open.

    Args:
        request: the edit as asked for.
        decision: what the router made of it.
        config: the service's defaults.
    """
    options, generation = request.options, config.generation
    steps, guidance_scale = pace(options, config)
    prompt, negative_prompt = _prompt(request, decision), _negative_prompt(request, decision, config)
    keep_light = decision.recolour and generation.appearance_keep_detail
    drawn = keep_light and request.mask is not None  # only the colour is taken of what is painted: it may all be new
    return EditPlan(
        decision=decision,
        prompt=prompt,
        negative_prompt=negative_prompt,
        num_inference_steps=steps,
        guidance_scale=guidance_scale,
        guidance_rescale=options.guidance_rescale,
        scheduler=_given(options.scheduler, generation.scheduler),
        seeds=_seeds(options.seed, request.n),
        strength=_given(options.strength, 1.0 if drawn or not decision.keeps_shape else generation.appearance_strength),
        blend=options.blend,
        ip_adapter_scale=options.ip_adapter_scale,
        ip_adapter_window=Window(options.ip_adapter_start, options.ip_adapter_end),
        ip_adapter_mask=options.ip_adapter_mask,
        control_window=Window(options.control_guidance_start, options.control_guidance_end),
        controls=_controls(options, decision),
        refine_mask=_refine(options, decision),
        mask_dilation_px=options.mask_dilation_px,
        mask_blur_px=options.mask_blur_px,
        mask_feather=options.mask_feather,
        on_no_detection=options.on_no_detection,
        crop=options.crop,
        crop_context=_given(options.crop_context, CONTEXT),
        speed=options.speed,
        quality=options.quality,
        color_match=options.color_match,
        sharpen=options.sharpen,
        keep_light=keep_light,
        keep_parts=_keeps_parts(options, decision) and generation.appearance_keep_detail,
        drawn=drawn,
        keep_surroundings=_keeps_surroundings(options, decision),
        spares_front=_spares_front(options, decision),
        model=options.model or "",
        loras=tuple(lora for lora in request.loras if _acts(lora, prompt, negative_prompt)),
    )


def minds_kind(plan: EditPlan) -> bool:
    """Whether it matters that the models know the image: a thing keeps its shape, and the painter says its look."""
    return plan.keep_light or plan.keep_parts


def for_unknown(plan: EditPlan, options: EditOptions) -> EditPlan:
    """The plan for a thing in an image of a kind that the profile's models were not made for.

    Of a new look the painter is believed in the colour only, as inside a mask by hand; it may all be new then.
    """
    return replace(plan, keep_light=True, drawn=True, strength=_given(options.strength, 1.0))


def alike(plans: Sequence[EditPlan]) -> list[EditPlan]:
    """The plans of a request's edits, which share a denoising: with the first one's seeds and the LoRAs of all.

    Where there are several, one that finds nothing is not taken for the whole image: that would paint over the others.
    """
    loras = tuple(dict.fromkeys(lora for plan in plans for lora in plan.loras))
    missing = OnNoDetection.ERROR if len(plans) > 1 else plans[0].on_no_detection
    return [replace(plan, seeds=plans[0].seeds, loras=loras, on_no_detection=missing) for plan in plans]


def region_source(request: EditRequest, plan: EditPlan) -> RegionSource:
    """What says where to repaint, of everything that was sent: the first that is there."""
    mark = request.options.mark
    if request.mask is not None:
        return RegionSource.MASK_IMAGE
    if mark is not None:
        if mark.box is None:
            return RegionSource.POINTS
        return RegionSource.POINTS_AND_BOX if mark.points and plan.refine_mask else RegionSource.BOX
    return RegionSource.PROMPT if request.options.target is None else RegionSource.TARGET


def _controls(options: EditOptions, decision: Decision) -> dict[ControlType, float]:
    """The effective scales of the controls that act.

    A control that shows the things which are there would forbid to add one (docs/adr/0006); it acts then only where the
    user asks for structure control.
    """
    scale = options.controlnet_conditioning_scale
    if scale == 0.0:
        return {}
    held = options.asks_for_structure or not decision.inserts
    return {name: weight * scale for name, weight in decision.controls.items() if held or not CONTROLS[name].of_things}


def _keeps_parts(options: EditOptions, decision: Decision) -> bool:
    """Parts are those of one thing: a background or a whole image in another style has none."""
    target = decision.target
    named = (target.phrase is not None or target.region is not None) and not (target.complement or target.rest)
    return options.keep_parts is Keep.AUTO and decision.keeps_shape and named


def _keeps_surroundings(options: EditOptions, decision: Decision) -> bool:
    """Where one thing takes another's place in its box; what is added or taken away has one silhouette only."""
    target = decision.target
    one_thing = target.phrase is not None and target.region is None and not target.complement
    replaced = not (decision.keeps_shape or decision.inserts or decision.removes)
    boxed = not _refine(options, decision)
    return options.keep_surroundings is Keep.AUTO and one_thing and replaced and boxed


def _spares_front(options: EditOptions, decision: Decision) -> bool:
    """Where a thing stands that others may hide; what is worn is told from hands and face, a place is empty."""
    target = decision.target
    a_thing = target.region is None and not (target.complement or target.rest or decision.inserts)
    return options.occlusion is Keep.AUTO and a_thing


def pace(options: EditOptions, config: Config) -> tuple[int, float]:
    """Steps and guidance scale; a speed of few steps stays within what its weights are trained for."""
    generation = config.generation
    if options.speed in FEW_STEPS:
        return FEW_STEPS[options.speed].pace(options.num_inference_steps, options.guidance_scale)
    return (
        _given(options.num_inference_steps, generation.default_steps),
        _given(options.guidance_scale, generation.default_guidance_scale),
    )


def _given(value: T | None, default: T) -> T:
    return default if value is None else value


def _seeds(seed: int | None, count: int) -> tuple[int, ...]:
    """One after the other, from a random one on where the user names none."""
    first = secrets.randbelow(MAX_SEED + 2 - count) if seed is None or seed < 0 else seed
    return tuple(range(first, first + count))


def _prompt(request: EditRequest, decision: Decision) -> str:
    """What is painted, with the tokens of embeddings that reading the user's sentence has left out."""
    painted = decision.generation_prompt
    tokens = [lora.token for lora in request.loras if lora.token and lora.token in request.prompt]
    return ", ".join([painted, *(token for token in tokens if token not in painted)])


def _acts(lora: LoraUse, prompt: str, negative_prompt: str) -> bool:
    """Not at weight 0; an embedding acts where its token stands."""
    return lora.weight != 0.0 and (lora.token is None or lora.token in prompt or lora.token in negative_prompt)


def _negative_prompt(request: EditRequest, decision: Decision, config: Config) -> str:
    """What the user refuses, what the edit itself excludes, and the service's default where the user says nothing."""
    stated = request.negative_prompt if request.negative_prompt else config.generation.default_negative_prompt
    return ", ".join(part for part in (stated, *decision.negative_terms) if part)


def _refine(options: EditOptions, decision: Decision) -> bool:
    """Silhouettes where the shape must survive; boxes where another shape may take its place.

    What a person points at is a thing with a silhouette; but a box for something that is added is its place.
    """
    if options.refine_mask is not RefineMask.AUTO:
        return options.refine_mask is RefineMask.ON
    if options.mark is not None:
        return options.box is None or not decision.inserts
    target = decision.target
    return decision.keeps_shape or target.complement or target.region is not None
