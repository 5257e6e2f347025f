"""Plan -> **words**, for the log at start and for `doctor`."""

from __future__ import annotations

from models_store.plan.machine import GIB
from models_store.plan.planner import Plan

SMALLEST_BYTES = GIB // 100
"""Parts below are told in one line."""


def summary(plan: Plan) -> list[str]:
    """The plan in sentences, a line each, the first one the gist."""
    choice = plan.choice
    if plan.card is None:
        lines = [f"everything runs on the CPU, {_format(plan)}at {choice.native_size} px"]
    else:
        others = f" and {plan.cards - 1} more, with a diffusion runner each" if plan.cards > 1 else ""
        lines = [
            f"{plan.card.name}{others}: {plan.total_bytes / GIB:.1f} GiB of {plan.card.free_bytes / GIB:.1f} GiB free",
            f"{_format(plan)}at {choice.native_size} px, up to {choice.max_rows} rows in a step "
            f"({choice.max_rows // 2} guided requests)",
            _residence(plan),
        ]
    if choice.int8:
        lines.append(f"weights in int8: {', '.join(choice.int8)}")
    if plan.by_hand:
        lines.append(f"set by hand: {'; '.join(plan.by_hand)}")
    return [*lines, *plan.remarks]


def table(plan: Plan) -> list[str]:
    """What adds up on the card, largest first, with the sum."""
    parts = sorted(plan.parts, key=lambda part: -part.size_bytes)
    large = [part for part in parts if part.size_bytes >= SMALLEST_BYTES]
    lines = [f"{part.size_bytes / GIB:7.2f} GiB  {part.name}" for part in large]
    if rest := sum(part.size_bytes for part in parts[len(large) :]):
        lines.append(f"{rest / GIB:7.2f} GiB  smaller parts")
    return [*lines, f"{plan.total_bytes / GIB:7.2f} GiB  together"] if parts else []


def _format(plan: Plan) -> str:
    return "" if plan.choice.dtype == "auto" else f"{plan.choice.dtype}, "


def _residence(plan: Plan) -> str:
    choice = plan.choice
    diffusion = (
        "only what every step needs stays on the card, the rest visits it"
        if choice.offload
        else "all parts stay on the card"
    )
    processes = "share one process" if choice.one_perception_process else "have a process each"
    where = "on the CPU" if choice.perception_on_cpu else "on the card"
    return f"diffusion: {diffusion}; perception models {processes} {where}"
