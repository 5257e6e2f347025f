"""What the routes work with: built by the wiring once the runners exist, put on `app.state.context`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, cast

import anyio
from fastapi import Depends
from starlette.requests import Request

from api.budgets import STREAMS_AT_ONCE, SharedBudget
from api.drain import DrainSwitch
from api.sessions import Sessions
from composition.config import Config
from composition.errors import NotReady
from composition.loras.library import LoraLibrary
from composition.ports.codec import ImageCodec
from composition.ports.diffuser import ModelHealth
from composition.ports.network import Fetcher
from composition.ports.queue import BlobStore, JobQueue
from composition.ports.video import VideoCodec
from composition.served import ServedModel

ANONYMOUS = "anonymous"
STARTING_RETRY_AFTER_S = 5
DELIVERIES_AT_ONCE = 8
"""Of large images each takes a hundred megabytes for a moment: the files, their base64, the body."""


def _decode_slots() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(max(2, os.cpu_count() or 1))


@dataclass(frozen=True, kw_only=True)
class ApiContext:
    """Ready objects behind the ports.

    Attributes:
        served: the models, for GET /models.
        drain: refuses new work while it is on.
        decode_slots: bounds how many images are decoded or encoded at once, and with them the memory that takes.
        sessions: the order of those requests of a session that are being read.
        delivery_slots: bounds how many results are read and made into an answer at once.
        lora_downloads: bounds how many LoRAs are fetched at once.
    """

    config: Config
    queue: JobQueue
    blobs: BlobStore
    codec: ImageCodec
    videos: VideoCodec
    fetcher: Fetcher
    health: ModelHealth
    loras: LoraLibrary
    served: Sequence[ServedModel] = ()
    drain: DrainSwitch = field(default_factory=DrainSwitch)
    decode_slots: anyio.CapacityLimiter = field(default_factory=_decode_slots)
    sessions: Sessions = field(default_factory=Sessions)
    delivery_slots: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(DELIVERIES_AT_ONCE))
    lora_downloads: SharedBudget = field(default_factory=lambda: SharedBudget(STREAMS_AT_ONCE))


def require_context(context: ApiContext | None) -> ApiContext:
    """Raises: NotReady before the wiring has set the context, and after it has taken it away to shut down."""
    if context is None:
        raise NotReady("the service is starting or shutting down", retry_after_s=STARTING_RETRY_AFTER_S)
    return context


def current_context(request: Request) -> ApiContext:
    """Raises: NotReady."""
    return require_context(cast(ApiContext | None, getattr(request.app.state, "context", None)))


def current_owner(request: Request) -> str:
    """The API key's name that the guard found, or "anonymous"."""
    return str(getattr(request.state, "owner", ANONYMOUS))


Charge = Callable[[int], None]
"""Takes what so many edits cost from the caller's rate; raises RateLimited or InvalidInput where it does not reach."""


def current_charge(request: Request) -> Charge:
    """The rate limit's, or nothing to pay where there is none."""
    charge: Charge = getattr(request.state, "charge", lambda edits: None)
    return charge


Context = Annotated[ApiContext, Depends(current_context)]
Owner = Annotated[str, Depends(current_owner)]
Charging = Annotated[Charge, Depends(current_charge)]
