"""The step engine: one thread that gives every request its next denoising step, in batches that change at each step.

admit (encode) -> **denoise, step by step, together with others** -> finish (decode, safety check). Requests of any
length, guidance, seed, ControlNet, reference and scale share a forward as long as their latents have one shape.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TypeAlias, TypeVar

import torch

from composition.diffusion import DiffusionProgress, DiffusionRequest, DiffusionResult
from composition.images import Image
from runners.diffusion.engine.batcher import Candidate, next_batch
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.requests import Listener, Phase, RequestRegistry, Ticket
from runners.diffusion.engine.row_budget import RowBudget
from runners.diffusion.engine.side_work import SideWork, Urgency
from runners.diffusion.engine.stepping import Stepper
from runners.diffusion.families.sd15.controlnets import ControlNetPool
from runners.diffusion.families.sd15.decoding import Decoder
from runners.diffusion.families.sd15.loras import LoraSwitch
from runners.diffusion.families.sd15.preprocess import Preprocessor
from runners.diffusion.families.sd15.state import RequestState
from runners.errors import is_device_lost, is_out_of_memory, translate, translated

logger = logging.getLogger(__name__)

_Ticket: TypeAlias = Ticket[RequestState]
_Result = TypeVar("_Result")
_PREVIEWS_PER_REQUEST = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class EngineParts:
    """What `assembly.build_engine` puts together; `release_memory` drops every cache and idle ControlNet."""

    preprocessor: Preprocessor
    stepper: Stepper
    decoder: Decoder
    registry: RequestRegistry[RequestState]
    side_work: SideWork
    budget: RowBudget
    controlnets: ControlNetPool
    loras: LoraSwitch
    counters: Counters
    names: tuple[str, ...]
    release_memory: Callable[[], None]


class StepEngine:
    """`submit`, `cancel` and `renew` may be called from any thread.

    Args:
        parts: see `EngineParts`.
        on_device_lost: called once, after every request has ended, when the device is unusable until the process ends.
    """

    def __init__(self, parts: EngineParts, on_device_lost: Callable[[], None] = lambda: None) -> None:
        self._parts, self._registry, self._side = parts, parts.registry, parts.side_work
        self._on_device_lost, self._device_lost = on_device_lost, False
        self._turn = 0
        self._stopping = False
        self._wake = threading.Condition()
        self._woken = False
        self._thread = threading.Thread(target=self._run, name="diffusion-engine", daemon=True)
        self._thread.start()

    @property
    def lease_s(self) -> float:
        return self._registry.lease_s

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and not self._stopping and not self._device_lost

    def submit(self, request: DiffusionRequest, listener: Listener) -> None:
        """Take a request: `listener` hears `Accepted`, progress and exactly one result or error.

        Raises:
            InvalidInput: it can never be served here.
            Cancelled: it was cancelled before it came.
            NotReady: the engine is shutting down.
        """
        self._parts.preprocessor.check(request)
        ticket = self._registry.open(request, listener)
        self._side.submit(Urgency.ENCODE, lambda: self._encode(ticket))
        self._notify()

    def cancel(self, request_id: str) -> bool:
        """End a request: no forward for it starts from now on. False when it is not running."""
        ended = self._registry.cancel(request_id)
        self._notify()
        return ended

    def renew(self, request_id: str) -> bool:
        """Keep a request for another lease; False when it is not running."""
        return self._registry.renew(request_id)

    def stop(self) -> None:
        """End every request with NotReady and the threads with them."""
        self._registry.close()
        self._stopping = True
        self._notify()
        self._thread.join()
        self._side.stop()

    def stats(self) -> Mapping[str, object]:
        """JSON-serialisable counts: see `Counters`; "requests" and "cache" are what is held now."""
        phases = {phase.name.lower(): len(self._registry.running(phase)) for phase in Phase}
        return {
            "counters": dict(self._parts.counters.snapshot()),
            "requests": phases,
            "cache": asdict(self._parts.preprocessor.cache_counts()),
            "controlnet_loads": self._parts.controlnets.loads,
            "models_loaded": [*self._parts.names, *self._parts.controlnets.names, *sorted(self._parts.loras.loaded)],
        }

    def _notify(self) -> None:
        with self._wake:
            self._woken = True
            self._wake.notify()

    def _run(self) -> None:
        with torch.inference_mode():
            while not self._stopping and not self._device_lost:
                self._registry.end_overdue()
                try:
                    worked = self._side.run_one()
                    worked = self._denoise() or worked
                except Exception as error:
                    logger.exception("the engine's turn failed")
                    self._note_device(error)
                    self._end_all(error)
                    worked = True
                if not worked:
                    self._sleep()
        if self._device_lost:
            self._registry.close()
            self._on_device_lost()

    def _sleep(self) -> None:
        """Until something comes, or a lease or deadline runs out."""
        with self._wake:
            if not self._woken:
                self._wake.wait(self._registry.seconds_to_next_expiry())
            self._woken = False

    def _note_device(self, error: Exception) -> None:
        if is_device_lost(error):
            logger.critical("the device is lost: this process can serve no more")
            self._device_lost = True
            self._notify()

    def _end_all(self, error: Exception) -> None:
        for ticket in self._registry.running(Phase.DENOISING):
            self._registry.end(ticket, translate(error, "denoising"))

    def _denoise(self) -> bool:
        """Give one batch its next step; False when nobody waits for one."""
        tickets = {t.arrival: (t, t.state) for t in self._registry.running(Phase.DENOISING)}
        candidates = [
            Candidate(
                key=ticket.arrival,
                bucket=state.bucket,
                rows=state.rows,
                last_served=ticket.last_served,
                arrival=ticket.arrival,
            )
            for ticket, state in tickets.values()
            if state is not None
        ]
        batch = [tickets[key] for key in next_batch(candidates, lambda bucket: self._parts.budget.limit(bucket[0]))]
        if not batch:
            return False
        self._turn += 1
        for ticket, _ in batch:
            ticket.last_served = self._turn
        outcomes = self._parts.stepper.step([state for _, state in batch if state is not None])
        for (ticket, _), outcome in zip(batch, outcomes, strict=True):
            if outcome.error is not None:
                self._registry.end(ticket, outcome.error)
            else:
                self._after_step(ticket, outcome.state)
        return True

    def _after_step(self, ticket: _Ticket, state: RequestState) -> None:
        preview = self._preview(ticket, state)
        self._registry.tell(ticket, DiffusionProgress(step=state.step, total=state.steps, preview=preview))
        if state.done:
            ticket.phase = Phase.FINISHING
            self._side.submit(Urgency.DECODE, lambda: self._decode(ticket, state))

    def _preview(self, ticket: _Ticket, state: RequestState) -> Image | None:
        interval = -(-state.steps // _PREVIEWS_PER_REQUEST)
        if not ticket.request.previews or ticket.ended or state.done or state.step % interval:
            return None
        try:
            return self._parts.decoder.preview(state)
        except Exception:
            logger.exception("a preview failed")
            return None

    def _encode(self, ticket: _Ticket) -> None:
        if ticket.ended:
            return
        try:
            state = self._with_retry("encoding the request", lambda: self._parts.preprocessor.encode(ticket.request))
        except Exception as error:
            self._registry.end(ticket, translate(error, "encoding the request"))
            return
        ticket.state = state
        ticket.last_served = self._turn
        ticket.phase = Phase.DENOISING
        self._registry.tell(ticket, DiffusionProgress(step=0, total=state.steps))
        self._notify()

    def _decode(self, ticket: _Ticket, state: RequestState) -> None:
        if ticket.ended:
            return
        try:
            picture = self._with_retry("decoding the picture", lambda: self._parts.decoder.decode(state))
        except Exception as error:
            self._registry.end(ticket, translate(error, "decoding the picture"))
            return
        checked = ("safety-checker",) if "safety-checker" in self._parts.names else ()
        self._registry.end(
            ticket, DiffusionResult(image=picture, models_used=(*state.models_used, *checked), cache=state.cache)
        )

    def _with_retry(self, doing: str, work: Callable[[], _Result]) -> _Result:
        """Once more, with all that can be freed freed, when memory runs out."""
        try:
            return work()
        except Exception as error:
            self._note_device(error)
            if not is_out_of_memory(error):
                with translated(doing):
                    raise
        self._parts.counters.add("out_of_memory_retries")
        self._parts.release_memory()
        with translated(doing):
            return work()
