"""What an edit's answer tells of it: blend -> **account** -> encode. All of it is JSON-serialisable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from composition.decision import ReferenceKind
from composition.images import Detection, Mask
from composition.imaging import masks
from composition.journal import Journal
from composition.lora import LoraUse
from composition.masking.edit_mask import EditMask
from composition.pipelines.context import EditContext
from composition.pipelines.effects import Edit, without_effect
from composition.pipelines.locating import Located, Undone
from composition.pipelines.painting import Scene
from composition.pipelines.planning import region_source
from composition.pipelines.referring import References


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


def _describe_references(together: References) -> dict[str, Any]:
    """Those that are taken together, by their numbers; `area` is the share of the image that they are for."""
    place = together.place
    return {
        "images": list(together.numbers),
        "scale": round(together.scale, 4),
        "area": None if place is None else round(masks.area_fraction(place), 4),
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


def describe_edits(edits: Sequence[Located | Undone], scene: Scene) -> list[dict[str, Any]]:
    """`metadata.edits`: of each edit, as it was asked for, what was made of it and where; None and 0 where it was not.

    Args:
        edits: all of the request, in order.
        scene: those that could be done.
    """
    numbers = [number for number, edit in enumerate(edits) if isinstance(edit, Located)]
    made: dict[int, dict[str, Any]] = {}
    for place, (number, edit) in enumerate(zip(numbers, scene.edits, strict=True)):
        covered = scene.arrangement.covered[place]
        made[number] = {
            "region": _bounds(edit.mask.thing),
            "crop": next((n for n, members in enumerate(scene.arrangement.canvases) if place in members), None),
            "covered_by": [{"edit": numbers[other], "share": round(share, 3)} for other, share in covered.items()],
            "detections": [describe_detection(item) for item in edit.mask.detections],
            "mask_area": masks.area_fraction(edit.mask.weights),
            "kept": edit.ctx.journal.kept,
            "references": [_describe_references(one) for one in edit.references],
            "warnings": warnings_of(edit.ctx, edit.mask),
        }
    return [
        {
            "prompt": edit.ctx.request.prompt,
            "routing": describe_routing(edit.ctx),
            "strength": edit.ctx.plan.strength,
            "blend": edit.ctx.plan.blend,
            "models_used": list(edit.ctx.journal.models_used),
            **(made[number] if number in made else _not_made(edit.ctx)),
        }
        for number, edit in enumerate(edits)
    ]


def _not_made(ctx: EditContext) -> dict[str, Any]:
    warnings = [*ctx.plan.decision.warnings, *ctx.journal.warnings]
    nothing: dict[str, Any] = {"region": None, "crop": None, "covered_by": [], "detections": [], "mask_area": 0.0}
    return {**nothing, "kept": {}, "references": [], "warnings": warnings}


def _bounds(thing: Mask) -> list[int] | None:
    """[x0, y0, x1, y1] around what is masked; None where nothing is."""
    around = masks.window(thing, -1.0)  # it adds a pixel of its own
    return None if around is None else [around[1].start, around[0].start, around[1].stop, around[0].stop]


def warnings_of(ctx: EditContext, mask: EditMask) -> list[str]:
    """Everything that the caller should know."""
    idle = without_effect(Edit(request=ctx.request, plan=ctx.plan, mask=mask))
    return [*ctx.plan.decision.warnings, *idle, *ctx.journal.warnings]


def metadata_of(edits: Sequence[Located | Undone], scene: Scene, journal: Journal) -> dict[str, Any]:
    """What the metadata of an analysis and of an edit have in common; `routing` is of the first edit that is done."""
    described = describe_edits(edits, scene)
    detections = {id(item): item for edit in scene.edits for item in edit.mask.detections}
    return {
        "routing": describe_routing(scene.edits[0].ctx),
        "detections": [describe_detection(item) for item in detections.values()],
        "mask_area": masks.area_fraction(scene.arrangement.weights),
        "edits": described,
        "timings_ms": journal.timings_ms,
        "warnings": _all_warnings(journal, [edit["warnings"] for edit in described]),
    }


def describe_view(view: Located | Undone, scene: Scene | None) -> dict[str, Any]:
    """Of one photograph of several what was made of it and where, and how the edit was routed."""
    ctx = view.ctx
    height, width = ctx.request.base.shape[:2]
    if scene is None:
        own: dict[str, Any] = {"region": None, "detections": [], "mask_area": 0.0, "kept": {}}
        own["warnings"] = [*ctx.plan.decision.warnings, *ctx.journal.warnings]
    else:
        mask = scene.edits[0].mask
        own = {
            "region": _bounds(mask.thing),
            "detections": [describe_detection(item) for item in mask.detections],
            "mask_area": masks.area_fraction(scene.arrangement.weights),
            "kept": ctx.journal.kept,
            "warnings": warnings_of(ctx, mask),
        }
    return {
        "routing": describe_routing(ctx),
        "input_resolution": resolution(ctx.request.sent_size or (width, height)),
        "output_resolution": resolution((width, height)),
        **own,
    }


def painting_of(scene: Scene, journal: Journal) -> dict[str, Any]:
    """What the metadata of an edit has beside `metadata_of`."""
    ctx = scene.edits[0].ctx
    height, width = ctx.request.base.shape[:2]
    return {
        "input_resolution": resolution(ctx.request.sent_size or (width, height)),
        "output_resolution": resolution((width, height)),
        "seed_used": ctx.plan.seeds[0],
        "seeds": list(ctx.plan.seeds),
        "loras": [_describe_lora(lora) for lora in ctx.plan.loras],
        "kept": journal.kept,
        "cache": journal.cache,
    }


def _all_warnings(journal: Journal, each: Sequence[Sequence[str]]) -> list[str]:
    """Of one edit its own; of several as `warnings_of_several`."""
    return list(each[0]) if len(each) == 1 else warnings_of_several(journal, each, "edits")


def warnings_of_several(journal: Journal, each: Sequence[Sequence[str]], name: str) -> list[str]:
    """What holds for all of them once, and what holds for one with its number, as in "edits.1: not done"."""
    first, *others = each
    common = [text for text in first if all(text in own for own in others)]
    numbered = [f"{name}.{number}: {text}" for number, own in enumerate(each) for text in own if text not in common]
    return [*journal.warnings, *common, *numbered]
