"""Where the models that look at an image work: on the GPU, as its visitors, or on the CPU, as the plan has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from composition.config import Config
from composition.places import storage_folder
from models_store.plan.planner import MOST_IMAGES, Plan
from runners.batching import BatchDesk
from runners.device import choose_device, perception_dtype
from runners.visits import VISITS_LOCK, ModelVisits

PRESSURE_SHARE = 0.15
"""Of the card: when less is free, a process gives back what its allocator holds unused."""


@dataclass(frozen=True, kw_only=True)
class PerceptionPlace:
    """For one runner.

    Attributes:
        device: where they work.
        home: where they are loaded to; a visitor's is the CPU.
        dtype: of those whose format is free.
    """

    device: torch.device
    home: torch.device
    dtype: torch.dtype
    desk: BatchDesk


def choose_place(config: Config, plan: Plan, *, heavy: bool = True) -> PerceptionPlace:
    """As the plan says, on the device that is there; `heavy` models look at few images at once on a small card.

    Raises: DeviceUnavailable.
    """
    choice = plan.choice
    device = torch.device("cpu") if choice.perception_on_cpu else choose_device(config.models.device)
    on_gpu = device.type == "cuda"
    visits = choice.perception_visits and on_gpu
    return PerceptionPlace(
        device=device,
        home=torch.device("cpu") if visits else device,
        # The plan's format is for the card, which may turn out not to work.
        dtype=perception_dtype("auto" if plan.card is not None and not on_gpu else config.models.dtype, device),
        desk=BatchDesk(
            ModelVisits(device, offload=visits, turn=storage_folder(config.storage) / VISITS_LOCK),
            most_together=choice.images_together if heavy and choice.images_together < MOST_IMAGES else None,
            give_back=_give_back_under_pressure(device) if on_gpu else lambda: None,
        ),
    )


def _give_back_under_pressure(device: torch.device) -> Callable[[], None]:
    def give_back() -> None:
        free, total = torch.cuda.mem_get_info(device)
        if is_short(free, total):
            torch.cuda.empty_cache()

    return give_back


def is_short(free_bytes: int, total_bytes: int) -> bool:
    """Whether the diffusion model beside us needs what we hold unused."""
    return free_bytes < PRESSURE_SHARE * total_bytes
