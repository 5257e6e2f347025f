"""`python -m models_store doctor`: what this machine has, what would be used, what is missing, and what mends it.

machine + needs + plan + the store -> **diagnosis**. `diagnose` is pure; `examine` asks this machine.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from composition.config import Config, ConfigError
from models_store.plan.decided import wishes_of
from models_store.plan.machine import GIB, Machine
from models_store.plan.needs import FULL_BYTES, Needs, needs_of
from models_store.plan.planner import Plan, make_plan
from models_store.plan.probe import find_machine
from models_store.plan.words import summary, table
from models_store.store import ModelSet

_TORCH_TIMEOUT_S = 120.0
_TRY_TORCH = "import torch; (torch.ones(1, device='cuda') + 1).item()"
FRONT_BYTES = 3 * GIB
"""What the processes take beside the weights (imports of torch in each, decoded images): 2.7 GB were measured."""

Ask = Callable[[], str | None]


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What the store has of a profile.

    Attributes:
        missing: roles that are not imported.
        import_bytes: how much an import would still fetch.
        refusal: why no runner serves the profile's base model; None when one does.
    """

    roles: tuple[str, ...]
    missing: tuple[str, ...] = ()
    import_bytes: int = 0
    refusal: str | None = None


@dataclass(kw_only=True)
class Diagnosis:
    """`faults` keep the profile from being served here; `drawbacks` do not. Each is a sentence with what mends it."""

    machine: list[str] = field(default_factory=list)
    plan: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    drawbacks: list[str] = field(default_factory=list)

    @property
    def servable(self) -> bool:
        return not self.faults

    def lines(self, profile: str) -> list[str]:
        lines = ["this machine", *_indented(self.machine), "what would be used", *_indented(self.plan)]
        if self.parts:
            lines += ["what adds up on the card", *_indented(self.parts)]
        if self.drawbacks:
            lines += ["slow or missing", *_indented(self.drawbacks)]
        if self.faults:
            return [*lines, f"profile {profile} cannot be served here", *_indented(self.faults)]
        return [*lines, f"profile {profile} can be served here"]


def examine(config: Config) -> Diagnosis:
    """Ask this machine about the configured profile."""
    from models_store.entries import model_store_folder

    models = ModelSet(config.models)
    machine = find_machine(model_store_folder())
    needs, wishes = needs_of(models), wishes_of(config)
    plan = make_plan(machine, needs, wishes)
    return diagnose(machine, needs, plan, stored_of(models), wished_device=wishes.device, ask_torch=try_torch)


def stored_of(models: ModelSet) -> Stored:
    """What is imported of a profile, and what is not."""
    try:
        models.require_served()
        refusal = None
    except ConfigError as error:
        refusal = str(error)
    missing = models.missing
    return Stored(
        roles=models.roles,
        missing=missing,
        import_bytes=sum(models.model(role).size_bytes for role in missing),
        refusal=refusal,
    )


def try_torch() -> str | None:
    """Why torch cannot use the card after all, by a real calculation in a process of its own; None when it can."""
    try:
        done = subprocess.run(  # noqa: S603  this interpreter
            [sys.executable, "-c", _TRY_TORCH], capture_output=True, text=True, timeout=_TORCH_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return "it does not answer"
    lines = done.stderr.strip().splitlines()
    return None if done.returncode == 0 else (lines[-1] if lines else f"it ended with status {done.returncode}")


def diagnose(
    machine: Machine, needs: Needs, plan: Plan, stored: Stored, *, wished_device: str = "auto", ask_torch: Ask
) -> Diagnosis:
    """Put everything into words; `ask_torch` is called only when the plan uses a card."""
    found = Diagnosis(machine=_about(machine), plan=summary(plan), parts=table(plan))
    _judge_store(found, machine, needs, stored)
    _judge_device(found, machine, plan, wished_device, ask_torch)
    _judge_memory(found, machine, needs, plan)
    if plan.card is not None and machine.compiler is None:
        found.drawbacks.append(
            "no C compiler with Python's headers: nothing is compiled, steps are slower;"
            " apt-get install gcc python3-dev"
        )
    return found


def _about(machine: Machine) -> list[str]:
    lines = [
        f"card          {card.name}, {card.free_bytes / GIB:.1f} of {card.total_bytes / GIB:.1f} GiB free,"
        f" compute capability {card.capability[0]}.{card.capability[1]}"
        for card in machine.cards
    ] or ["card          none"]
    return [
        f"driver        {machine.driver or 'none'}",
        *lines,
        f"torch         built for {'CUDA ' + machine.torch_cuda if machine.torch_cuda else 'the CPU only'}",
        f"processor     {machine.cores} cores, {machine.memory_bytes / GIB:.1f} GiB of memory",
        f"disk          {machine.disk_free_bytes / GIB:.1f} GiB free for the model store",
        f"C compiler    {machine.compiler or 'none that can build Python extensions'}",
        f"onnxruntime   {', '.join(machine.onnx_providers) or 'not installed'}",
    ]


def _judge_store(found: Diagnosis, machine: Machine, needs: Needs, stored: Stored) -> None:
    if stored.refusal:
        found.faults.append(f"{stored.refusal}; python -m models_store list says which profiles are served")
        return
    if not stored.missing:
        return
    size = stored.import_bytes / GIB
    found.faults.append(
        f"{len(stored.missing)} of {len(stored.roles)} models are not imported ({size:.1f} GiB):"
        f" python -m models_store import {needs.profile}"
    )
    if stored.import_bytes > machine.disk_free_bytes:
        found.faults.append(
            f"the disk has {machine.disk_free_bytes / GIB:.1f} GiB for these {size:.1f} GiB: free some,"
            " or set BENTOML_HOME to a folder on another disk"
        )


def _judge_device(found: Diagnosis, machine: Machine, plan: Plan, wished: str, ask_torch: Ask) -> None:
    if plan.card is not None:
        if fault := ask_torch():
            found.faults.append(
                f"torch cannot calculate on {plan.card.name}: {fault}. models.device: cpu does without it"
            )
        elif not plan.fits:
            found.faults.append("the profile does not fit on the card: see above, or set models.device: cpu")
        return
    if wished == "cuda":
        why = machine.cuda_fault or "there is no NVIDIA card that this process may use"
        found.faults.append(f"models.device is cuda, but {why}")
    elif machine.cuda_fault and wished == "auto":
        found.drawbacks.append(f"everything runs on the CPU, many times slower: {machine.cuda_fault}")
    elif not machine.cards and needs_a_card(plan):
        found.drawbacks.append("there is no GPU: an edit takes minutes at this size")


def needs_a_card(plan: Plan) -> bool:
    """Sizes at which a CPU takes minutes; the small profiles are made for one."""
    return plan.choice.native_size >= 512


def _judge_memory(found: Diagnosis, machine: Machine, needs: Needs, plan: Plan) -> None:
    """On a CPU all weights are in memory, in float32 at worst; with offloading, in half precision, beside the card."""
    weights = (*needs.components, *needs.of_checkpoints(plan.choice.max_checkpoints))
    if plan.card is None:
        wanted = sum(part.bytes_at(FULL_BYTES) for part in weights) + FRONT_BYTES
        where = "all weights in float32"
    else:
        held = [part for part in weights if not part.every_step] if plan.choice.offload else []
        wanted = sum(part.bytes_at(2) for part in held) + FRONT_BYTES
        where = "the processes and what waits for its visit to the card"
    if machine.memory_bytes and wanted > machine.memory_bytes:
        found.drawbacks.append(
            f"{wanted / GIB:.1f} GiB of memory are wanted ({where}), {machine.memory_bytes / GIB:.1f} are there:"
            " it may swap or be killed"
        )


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]
