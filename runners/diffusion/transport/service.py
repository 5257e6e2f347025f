"""The diffusion runner's process: framed request in, framed events out, all requests through one step engine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, TypeVar, cast

import bentoml

from composition.config import load_config
from composition.controls import CONTROLS
from composition.errors import CompositionError, InvalidInput
from composition.few_steps import FEW_STEPS
from models_store.plan.decided import decide, planned, without_card
from models_store.store import ModelSet
from runners.diffusion.counting import MeasuredCounters
from runners.diffusion.phases import PhaseSpans
from runners.diffusion.transport.events import Alive, Event, event_to_frame, request_from_frame
from runners.diffusion.transport.frames import FrameError, decode_single, encode_frame
from runners.packing import packed
from runners.refusal import refusing_to_start
from runners.remote import CALL_TIMEOUT_S, SERVICE_OPTIONS
from runners.staying import StaysForFront
from runners.watching import diffusion_metrics, watch_runner

logger = logging.getLogger(__name__)

_CONFIG = planned(load_config())
_MODELS = ModelSet(_CONFIG.models)
_MODELS.require_served()
_ALIVE_INTERVAL_S = 10.0
_TIMEOUT_MARGIN_S = 60.0
# The proxy's timeout covers the whole stream, from the queue in front of the engine to the last frame.
_TIMEOUT_S = max(CALL_TIMEOUT_S, _CONFIG.limits.request_timeout_seconds + _TIMEOUT_MARGIN_S)

Method = TypeVar("Method", bound=Callable[..., Any])


def _api(method: Method) -> Method:
    return cast(Method, bentoml.api(method))


def _on_shutdown(method: Method) -> Method:
    return cast(Method, bentoml.on_shutdown(method))


def _packed(role: str) -> Any:
    return packed(_MODELS, role) if role in _MODELS.roles else None


_OPTIONS = {**SERVICE_OPTIONS, "traffic": {"timeout": _TIMEOUT_S}}


@bentoml.service(name="diffusion-runner", **_OPTIONS)
class DiffusionRunner(StaysForFront):
    """The step engine behind three methods.

    BentoML does not tell a runner that its consumer went away: a consumer says so with `cancel`, and renews a lease
    as long as it is there.
    """

    base_model = _packed(_MODELS.base_role)
    ip_adapter_model = _packed("ip-adapter")
    taesd_model = _packed("taesd")
    card = 0

    def __init__(self) -> None:
        # Imports torch: in the runner's own process only, as the front imports this module too.
        with refusing_to_start():
            from runners.device import choose_device, gpu_memory
            from runners.diffusion.start import start_engine

            self._device = choose_device(_CONFIG.models.device, card=self.card)
            seen, there = decide(load_config()).card is not None, self._device.type == "cuda"
            if there and not seen:
                logger.warning("nvidia-smi tells of no GPU, torch uses one: nothing was planned for its memory")
            config = without_card(load_config()) if seen and not there else _CONFIG
            metrics = diffusion_metrics()
            self._engine = start_engine(config, _MODELS, self._device, MeasuredCounters(metrics))
            self._watch = watch_runner(
                config, "diffusion", lambda: metrics.sample(self._engine.stats()), device=self._device
            )
        self._gpu_memory = gpu_memory

    @_api
    async def generate(self, request: bytes) -> AsyncGenerator[bytes, None]:
        """Frames of one request's events: ACCEPTED at once, then PROGRESS, in the end exactly one RESULT or ERROR.

        Args:
            request: a REQUEST frame.
        """
        events: asyncio.Queue[Event] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        request_id, ended = "", False
        phases = PhaseSpans()

        def listen(event: Event) -> None:
            loop.call_soon_threadsafe(events.put_nowait, event)

        try:
            try:
                decoded = request_from_frame(decode_single(request))
                phases.begin(decoded)
                self._engine.submit(decoded, listen)
                request_id = decoded.request_id
            except FrameError as error:
                events.put_nowait(InvalidInput(f"the request cannot be read: {error}"))
            except CompositionError as error:
                events.put_nowait(error)
            while not ended:
                event = await _next_event(events)
                phases.note(event)
                frame = event_to_frame(event)
                ended = frame.kind.terminal
                yield encode_frame(frame)
        finally:
            if request_id and not ended:
                self._engine.cancel(request_id)

    @_api
    async def cancel(self, request_id: str) -> bool:
        """End a request at its next step; False when it is not running (it is then refused should it still come)."""
        return self._engine.cancel(request_id)

    @_api
    async def renew(self, request_id: str) -> bool:
        """Extend a request's lease; False when it is not running."""
        return self._engine.renew(request_id)

    @_api
    async def state(self) -> Mapping[str, Any]:
        """`StepEngine.stats`, and ready, gpu_available and gpu_memory_free_mb."""
        memory = self._gpu_memory(self._device)
        return {
            **self._engine.stats(),
            "ready": self._engine.alive,
            "gpu_available": memory.available,
            "gpu_memory_free_mb": memory.free_mb,
        }

    @property
    def can_serve(self) -> bool:
        """Not when the device is lost: only a new process gets it back."""
        return self._engine.alive

    @_on_shutdown
    def stop(self) -> None:
        """End every request with NOT_READY."""
        self._watch.set()
        self._engine.stop()


_ROLES = [control.role for control in CONTROLS.values()] + [few.role for few in FEW_STEPS.values()]
_service: Any = DiffusionRunner
_service.models.extend(model for role in _ROLES if (model := _packed(role)))


def runner_on(card: int) -> Any:
    """The runner of another GPU, a service of its own: BentoML's workers share one socket, and a request's `renew`
    or `cancel` would reach whichever is free.
    """  # noqa: D205  one sentence
    inner = type(f"DiffusionRunner{card}", (_service.inner,), {"card": card, "__module__": __name__})
    return bentoml.service(name=f"diffusion-{card}-runner", **_OPTIONS)(inner)


async def _next_event(events: asyncio.Queue[Event]) -> Event:
    """The next event, or `Alive` when nothing has happened for a while, so that a silent stream means a dead runner."""
    try:
        async with asyncio.timeout(_ALIVE_INTERVAL_S):  # wait_for can swallow a cancellation that comes with an event
            return await events.get()
    except TimeoutError:
        return Alive()
