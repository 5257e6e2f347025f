"""What an edit's answer tells of it: blend -> **account** -> encode. All of it is JSON-serialisable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from composition.decision import ReferenceKind
from composition.images import Detection
from composition.imaging import masks
from composition.lora import LoraUse
from composition.masking.edit_mask import EditMask
from composition.pipelines.context import EditContext
from composition.pipelines.effects import Edit, without_effect
from composition.pipelines.planning import region_source


def resolution(size: tuple[int, int]) -> str:
    """(width, height) as the response shows it."""
    return f"{size[0]}x{size[1]}"


def describe_detection(detection: Detection) -> dict[str, Any]:
    """A detection as the response's metadata shows it: the box as [x0, y0, x1, y1] in pixels."""
    box = detection.box
    return {
        "label": detection.label,
        "score": round(detection.score, 4),
        "box": [round(value, 1) for value in (box.x0, box.y0, box.x1, box.y1)],
    }


def _describe_lora(lora: LoraUse) -> dict[str, Any]:
    """One that acted: the digest tells which file it was."""
    return {
        "name": lora.name,
        "kind": lora.kind.value,
        "weight": lora.weight,
        "sha256": lora.sha256,
        "trigger_words": list(lora.trigger_words),
    }


def describe_routing(ctx: EditContext) -> dict[str, Any]:
    """`metadata.routing`; of the controls it lists the weights of those that act."""
    plan, source = ctx.plan, region_source(ctx.request, ctx.plan)
    decision = plan.decision
    target = {name: value for name, value in asdict(decision.target).items() if value}
    return {
        "pipeline": decision.pipeline.value,
        "rule": decision.rule,
        "reason": decision.reason,
        "signals": _plain(decision.signals),
        "controls": {name: decision.controls[name] for name in plan.controls},
        "target": None if source.pointed_at else target,
        "region_from": source.value,
        "generation_prompt": decision.generation_prompt,
    }


def _plain(signals: Mapping[str, Any]) -> dict[str, Any]:
    return {key.value if isinstance(key, ReferenceKind) else str(key): value for key, value in signals.items()}


def warnings_of(ctx: EditContext, mask: EditMask) -> list[str]:
    """Everything that the caller should know."""
    idle = without_effect(Edit(request=ctx.request, plan=ctx.plan, mask=mask))
    return [*ctx.plan.decision.warnings, *idle, *ctx.journal.warnings]


def metadata_of(ctx: EditContext, mask: EditMask) -> dict[str, Any]:
    """The result's `metadata`."""
    height, width = ctx.request.base.shape[:2]
    return {
        "input_resolution": resolution(ctx.request.sent_size or (width, height)),
        "output_resolution": resolution((width, height)),
        "seed_used": ctx.plan.seeds[0],
        "seeds": list(ctx.plan.seeds),
        "routing": describe_routing(ctx),
        "detections": [describe_detection(item) for item in mask.detections],
        "mask_area": masks.area_fraction(mask.alpha),
        "loras": [_describe_lora(lora) for lora in ctx.plan.loras],
        "kept": ctx.journal.kept,
        "timings_ms": ctx.journal.timings_ms,
        "cache": ctx.journal.cache,
        "warnings": warnings_of(ctx, mask),
    }
