"""Card + needs + wishes -> **plan**: the first of a list of ways, fastest first, whose parts fit into the card.

Pure arithmetic: nothing of this machine is looked at here. What the configuration sets by hand is taken as it is, and
the plan says what that does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from composition.config.tree import MOST_ROWS
from models_store.plan.machine import GIB, MIB, Card, Machine
from models_store.plan.needs import FULL_BYTES, HALF_BYTES, Component, Needs, Process

CONTEXT_BYTES = 450 * MIB
"""Of a process that uses CUDA: its context and loaded kernels. Expected (0.3 to 0.5 GB), not counted."""
HEADROOM_SHARE, HEADROOM_LEAST_BYTES = 0.05, 400 * MIB
"""Of the card, for the kernels' workspaces and what the allocator cannot use of its blocks."""
MOST_IMAGES = 4
"""Of a detector's batch (`runners.detector.service`)."""
GOOD_ROWS, FEW_ROWS, LEAST_ROWS = 8, 4, 2
INT8_BYTES = 1.02
"""Of a weight held as int8, with its share of its row's scale."""
EMBEDDINGS_BYTES = 64 * MIB
"""SAM's, which stay on the card (`runners.detector.loading`)."""
SMALLER_SIZES = {1024: 768}
FUSIBLE = ("unet", "text_encoder", "text_encoder_2")
"""What LoRAs change."""
PERCEPTION_PROCESSES = (Process.ANALYZER, Process.DETECTOR, Process.STRUCTURE)
FLAWED_HALF = ("GTX 16",)
"""Names of cards whose half precision is known to give black images."""

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Int8 = Literal["controlnets", "image_encoder", "unet"]
SPARED_BY_INT8: tuple[Int8, ...] = ("controlnets", "image_encoder")
"""What SPEC.md 6.2 names."""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the configuration sets by hand; None leaves it to the planner.

    Attributes:
        device: auto, cpu or cuda.
        max_controlnets: how many stay loaded.
        max_checkpoints: how many stay loaded at most beside the base model, of those that a request may name.
        int8: keys of `optimization.int8`; none leaves it to the planner, which takes it as the last way but one.
        fused_loras_bytes: of the copies of weights that sets of LoRAs may hold; 0: they are not fused.
        one_perception_process: whether all perception models share one process.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Dtype | None = None
    offload: bool | None = None
    max_rows: int | None = None
    native_size: int | None = None
    max_controlnets: int = 2
    max_checkpoints: int = 1
    fused_loras_bytes: int = 0
    one_perception_process: bool | None = None
    int8: tuple[Int8, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Part:
    """Something that takes memory of the card."""

    name: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Every setting that decides about memory.

    Attributes:
        max_checkpoints: beside the base model; fewer are the way out where the perception models visit already.
        offload: what a denoising step does not need waits in the computer's memory.
        one_perception_process: one instead of three; each costs its libraries, a CUDA context and a cache of its own.
        perception_visits: a perception model is on the card only while it works.
            Visitors of all processes take turns, so that at most one of them is there.
        images_together: how many images a perception model looks at in one forward.
        perception_on_cpu: the last resort, many times slower.
    """

    dtype: Dtype = "float16"
    offload: bool = False
    max_rows: int = MOST_ROWS
    native_size: int = 512
    max_controlnets: int = 2
    max_checkpoints: int = 0
    fused_loras_bytes: int = 0
    one_perception_process: bool = False
    perception_visits: bool = False
    perception_on_cpu: bool = False
    images_together: int = MOST_IMAGES
    int8: tuple[Int8, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A choice and what it takes.

    Attributes:
        card: the card that it is for; None runs everything on the CPU.
        cards: how many there are; on those after the first only a diffusion runner.
        parts: what adds up on the card when everything is in use at once; empty on a CPU.
        fits: the parts are less than what is free. When not, the most frugal choice is taken all the same.
        by_hand: configuration keys that were set by hand.
        remarks: what a person should know, in sentences.
    """

    choice: Choice
    parts: tuple[Part, ...] = ()
    card: Card | None = None
    cards: int = 0
    fits: bool = True
    by_hand: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def total_bytes(self) -> int:
        return sum(part.size_bytes for part in self.parts)


def make_plan(machine: Machine, needs: Needs, wishes: Wishes) -> Plan:
    """The plan for the machine's first usable card, or for its CPU."""
    by_hand = _by_hand(wishes)
    native_size = wishes.native_size or needs.native_size
    if wishes.device == "cpu" or not machine.usable_cards:
        choice = Choice(
            dtype=wishes.dtype or "auto",
            max_rows=wishes.max_rows or MOST_ROWS,
            native_size=native_size,
            max_controlnets=wishes.max_controlnets,
            max_checkpoints=most_checkpoints(needs, wishes),
            # Its cores are the same for one process or three, whose libraries alone take 0.5 GB and 5 s of a core each.
            one_perception_process=wishes.one_perception_process is not False,
            int8=wishes.int8,
        )
        fault = (
            () if wishes.device == "cpu" or not machine.cuda_fault else (f"the GPU is not used: {machine.cuda_fault}",)
        )
        return Plan(choice=choice, by_hand=by_hand, remarks=fault)
    card = machine.usable_cards[0]
    for choice in _ladder(card, needs, wishes):
        parts = parts_of(choice, card, needs)
        if sum(part.size_bytes for part in parts) < card.free_bytes:
            choice = _with_most_rows(choice, card, needs, wishes)
            parts, fits = parts_of(choice, card, needs), True
            break
    else:
        fits = False
    return Plan(
        choice=choice,
        parts=parts,
        card=card,
        cards=len(machine.usable_cards),
        fits=fits,
        by_hand=by_hand,
        remarks=tuple(_remarks(choice, card, needs, wishes, fits=fits)),
    )


def most_checkpoints(needs: Needs, wishes: Wishes) -> int:
    """How many may be loaded at once beside the base model."""
    return min(wishes.max_checkpoints, len(needs.checkpoints))


def _ladder(card: Card, needs: Needs, wishes: Wishes) -> Iterator[Choice]:
    """Ways from the fastest to the most frugal; what is wished for stays as it is."""
    dtype = wishes.dtype or ("float32" if any(name in card.name for name in FLAWED_HALF) else "float16")
    size = wishes.native_size or needs.native_size
    most = most_checkpoints(needs, wishes)
    steps: list[dict[str, Any]] = [
        {"max_rows": GOOD_ROWS},
        {"images_together": 1},
        {"one_perception_process": True},
        {"max_rows": FEW_ROWS},
        {"offload": True},
        {"perception_visits": True},
        {"max_rows": LEAST_ROWS},
        *({"max_checkpoints": count} for count in range(most - 1, 0, -1)),
        {"perception_on_cpu": True, "perception_visits": False, "max_rows": FEW_ROWS},
        {"max_rows": LEAST_ROWS},
        {"int8": SPARED_BY_INT8},
    ]
    if size in SMALLER_SIZES:
        steps.append({"native_size": SMALLER_SIZES[size]})
    fixed: dict[str, Any] = {
        name: value
        for name in ("offload", "max_rows", "native_size", "one_perception_process")
        if (value := getattr(wishes, name)) is not None
    }
    if wishes.int8:
        fixed["int8"] = wishes.int8
    start = Choice(
        dtype=dtype,
        native_size=size,
        max_controlnets=wishes.max_controlnets,
        max_checkpoints=most,
        fused_loras_bytes=wishes.fused_loras_bytes,
    )
    choice = replace(start, **fixed)
    seen = None
    for step in steps:
        choice = replace(choice, **{name: value for name, value in step.items() if name not in fixed})
        if choice != seen:
            yield choice
        seen = choice


def _with_most_rows(choice: Choice, card: Card, needs: Needs, wishes: Wishes) -> Choice:
    """As many row pairs as fit on top."""
    if wishes.max_rows is not None:
        return choice
    best = choice
    for rows in range(choice.max_rows + 2, MOST_ROWS + 1, 2):
        more = replace(choice, max_rows=rows)
        if sum(part.size_bytes for part in parts_of(more, card, needs)) >= card.free_bytes:
            break
        best = more
    return best


def parts_of(choice: Choice, card: Card, needs: Needs) -> tuple[Part, ...]:
    """Everything that a choice puts on the card at the same moment, at worst."""
    width = FULL_BYTES if choice.dtype == "float32" else HALF_BYTES
    scale = width / HALF_BYTES

    def size(component: Component) -> int:
        if component.convertible in choice.int8:
            return int(component.parameters * INT8_BYTES)
        return component.bytes_at(width)

    diffusion = needs.of(Process.DIFFUSION)
    controlnets = sorted((size(part) for part in diffusion if part.name.startswith("controlnet-")), reverse=True)
    resident = [part for part in diffusion if part.every_step and not part.name.startswith("controlnet-")]
    visitors = [part for part in diffusion if not part.every_step]
    # A request may want two ControlNets at once, so two stay whatever the limit is.
    kept = controlnets[: max(choice.max_controlnets, 2)]
    decode = int(needs.activations.decode(choice.native_size, needs.cell_px) * scale)
    parts = [Part(name=part.name, size_bytes=size(part)) for part in resident]
    parts.append(Part(name=f"{len(kept)} ControlNets", size_bytes=sum(kept)))
    others = needs.of_checkpoints(choice.max_checkpoints)
    staying = [part for part in others if part.every_step or not choice.offload]
    parts.append(Part(name=f"other checkpoints, {choice.max_checkpoints} at once", size_bytes=sum(map(size, staying))))
    if choice.fused_loras_bytes:
        # The set that was used last is kept however large it is; at worst it changes every layer.
        whole = sum(size(part) for part in diffusion if part.name in FUSIBLE)
        parts.append(Part(name="fused LoRAs", size_bytes=max(choice.fused_loras_bytes, whole)))
    visits = []
    if choice.offload:
        # One at a time is there: the autoencoder with its work, or a larger one whose own work is small.
        visitors += [part for part in others if not part.every_step]
        visits = [size(part) + (decode if part.name == "vae" else 0) for part in visitors]
    else:
        parts += [Part(name=part.name, size_bytes=size(part)) for part in visitors]
        parts.append(Part(name="decoding an image", size_bytes=decode))
    steps = needs.activations.unet(choice.max_rows, choice.native_size, needs.cell_px)
    parts.append(Part(name=f"a step of {choice.max_rows} rows", size_bytes=int(steps * scale)))
    perception = () if choice.perception_on_cpu else tuple(p for q in PERCEPTION_PROCESSES for p in needs.of(q))
    work = needs.activations.perception_per_image * choice.images_together if perception else 0
    if choice.perception_visits:
        visits += [part.bytes_at(width) + work for part in perception]
    else:
        parts += [Part(name=part.name, size_bytes=part.bytes_at(width)) for part in perception]
        # Each process looks at one batch at a time; only the detector's and the structure runner's take much.
        looking = 1 if choice.one_perception_process else 2
        parts.append(Part(name=f"{looking} perception models at work", size_bytes=looking * work))
    parts.append(Part(name="the largest visitor and its work", size_bytes=max(visits, default=0)))
    parts.append(Part(name="kept embeddings", size_bytes=EMBEDDINGS_BYTES if perception else 0))
    processes = 1 + (0 if choice.perception_on_cpu else 1 if choice.one_perception_process else 3)
    parts.append(Part(name=f"{processes} CUDA contexts", size_bytes=processes * CONTEXT_BYTES))
    parts.append(Part(name="headroom", size_bytes=max(HEADROOM_LEAST_BYTES, int(card.total_bytes * HEADROOM_SHARE))))
    return tuple(part for part in parts if part.size_bytes)


def _by_hand(wishes: Wishes) -> tuple[str, ...]:
    told = {
        "models.device": None if wishes.device == "auto" else wishes.device,
        "models.dtype": wishes.dtype,
        "optimization.enable_model_offload": wishes.offload,
        "optimization.one_perception_process": wishes.one_perception_process,
        "optimization.int8": ", ".join(wishes.int8) or None,
        "generation.max_rows": wishes.max_rows,
        "generation.native_size": wishes.native_size,
    }
    return tuple(f"{key}: {_as_yaml(value)}" for key, value in told.items() if value is not None)


def _as_yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _remarks(choice: Choice, card: Card, needs: Needs, wishes: Wishes, *, fits: bool) -> Iterator[str]:
    short = sum(part.size_bytes for part in parts_of(choice, card, needs)) - card.free_bytes
    if not fits:
        fewer = ", leave models.checkpoints empty" if choice.max_checkpoints else ""
        yield (
            f"this does not fit: {short / GIB:.1f} GiB more are wanted than are free; requests may fail with "
            f"OUT_OF_MEMORY. Free the card, take a smaller profile{fewer}, or set models.device: cpu"
        )
    if choice.perception_on_cpu:
        yield "the detectors run on the CPU, seconds more per new photograph: the card has no room for them"
    elif choice.perception_visits:
        yield "each detector is copied to the card when it is needed"
    if choice.max_checkpoints < (most := most_checkpoints(needs, wishes)):
        yield (
            f"checkpoints beside the base model: {choice.max_checkpoints} at once, not {most}, as the card has no room;"
            " going from one to another loads it from the disk"
        )
    if choice.int8 == SPARED_BY_INT8 and not wishes.int8:
        yield "ControlNets and image encoder are held as int8, which costs a little quality and time"
    if choice.native_size < needs.native_size:
        yield f"images are painted at {choice.native_size} px, not the model's {needs.native_size}: less detail"
    if choice.dtype == "float32" and any(name in card.name for name in FLAWED_HALF):
        yield f"float32, because half precision on a {card.name} gives black images"
    frugal = replace(choice, int8=SPARED_BY_INT8)
    saved = sum(p.size_bytes for p in parts_of(choice, card, needs)) - sum(
        p.size_bytes for p in parts_of(frugal, card, needs)
    )
    if (choice.offload or not fits) and not choice.int8 and saved > MIB:
        yield f"optimization.int8: [controlnets, image_encoder] would free {saved / GIB:.1f} GiB more"
