"""The step engine: one thread that gives every request its next denoising step, in batches that change at each step.

encode -> **denoise, step by step, together with others** -> decode. What is computed is the model family's business:
requests share a forward when its buckets say that they can.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

from composition.diffusion import DiffusionProgress, DiffusionRequest, DiffusionResult, rows_of
from composition.errors import InvalidInput
from composition.images import Image
from runners.diffusion.engine.batcher import Candidate, next_batch
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.device import Device
from runners.diffusion.engine.family import Family, StartOver
from runners.diffusion.engine.joined import joined
from runners.diffusion.engine.requests import Listener, Phase, RequestRegistry, Ticket
from runners.diffusion.engine.row_budget import RowBudget
from runners.diffusion.engine.settings import EngineSettings
from runners.diffusion.engine.side_work import InlineSideWork, SideWork, ThreadSideWork, Urgency
from runners.diffusion.engine.state import Bucket, RequestState
from runners.diffusion.engine.stepping import Stepper
from runners.diffusion.engine.views import side_by_side
from runners.errors import is_device_lost, is_out_of_memory, translate, translated

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")
_PREVIEWS_PER_REQUEST = 8


class StepEngine:
    """`submit`, `cancel` and `renew` may be called from any thread.

    The engine adds to the family's own counters. `on_device_lost` is called once, after every request has ended, when
    the device is unusable until the process ends. Without `own_thread` nothing moves by itself: whoever calls `turn` is
    the engine's thread, and a simulation's clock may be any.
    """

    def __init__(
        self,
        family: Family[Any],
        device: Device,
        settings: EngineSettings,
        counters: Counters,
        *,
        clock: Callable[[], float] = time.monotonic,
        on_device_lost: Callable[[], None] = lambda: None,
        own_thread: bool = True,
    ) -> None:
        self._family, self._device, self._counters = family, device, counters
        self._max_rows = settings.max_rows
        self._budget = RowBudget(settings.max_rows, device.free_bytes)
        self._registry = RequestRegistry(
            lease_s=settings.lease_s, timeout_s=settings.timeout_s, clock=clock, counters=counters
        )
        self._side: SideWork = ThreadSideWork(device.inference) if device.asynchronous else InlineSideWork()
        self._stepper = Stepper(family, device, self._budget, counters, work_beside=lambda: self._side.beside)
        self._on_device_lost, self._device_lost = on_device_lost, False
        self._turn = 0
        self._waiting: Hashable = ()
        self._stopping = False
        self._wake = threading.Condition()
        self._woken = False
        self._thread = threading.Thread(target=self._run, name="diffusion-engine", daemon=True)
        if own_thread:
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
            InvalidInput: it can never be served here, or its views are more than a forward may have rows for.
            Cancelled: it was cancelled before it came.
            NotReady: the engine is shutting down.
        """
        self._check_room(request)
        for region in request.regions:
            self._family.check(region)
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
        if self._thread.is_alive():
            self._thread.join()
        self._side.stop()
        self._family.stop()

    def stats(self) -> Mapping[str, object]:
        """JSON-serialisable: `Counters`, requests by phase, the models in memory, and what the family adds."""
        phases = {phase.name.lower(): len(self._registry.running(phase)) for phase in Phase}
        return {
            "counters": dict(self._counters.snapshot()),
            "requests": phases,
            "models_loaded": list(self._family.models_loaded),
            **self._family.stats(),
        }

    def _notify(self) -> None:
        with self._wake:
            self._woken = True
            self._wake.notify()

    def turn(self) -> bool:
        """End what is overdue, encode or decode one request, give one batch its next step; False: nothing to do.

        For the engine's own thread, or for the only one that calls it.
        """
        self._registry.end_overdue()
        try:
            worked = self._side.run_one()
            return self._denoise() or worked
        except Exception as error:
            logger.exception("the engine's turn failed")
            self._note_device(error)
            self._end_all(error)
            return True

    def _run(self) -> None:
        with self._device.inference():
            while not self._stopping and not self._device_lost:
                if not self.turn():
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

    def _check_room(self, request: DiffusionRequest) -> None:
        """Raises: InvalidInput: its views cannot be in one forward."""
        views = len(request.regions)
        rows = rows_of(views, request.guidance_scale)
        if request.views and rows > self._max_rows:
            raise InvalidInput(f"{views} views take {rows} rows of a forward, {self._max_rows} are allowed here")

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
                ready=self._family.ready(state.bucket),
            )
            for ticket, state in tickets.values()
            if state is not None
        ]
        self._note_change([state for _, state in tickets.values() if state is not None], candidates)
        chosen = next_batch(candidates, lambda bucket: self._budget.limit(bucket.latent_size), turn=self._turn + 1)
        batch = [tickets[key] for key in chosen]
        if not batch:
            return False
        self._turn += 1
        for ticket, _ in batch:
            ticket.last_served = self._turn
        states = [state for _, state in batch if state is not None]
        rows, began = sum(state.rows for state in states), time.perf_counter()
        outcomes = self._stepper.step(states)
        self._device.keep_pace()
        self._counters.stepped(requests=len(states), rows=rows, seconds=time.perf_counter() - began)
        for (ticket, _), outcome in zip(batch, outcomes, strict=True):
            if outcome.error is not None:
                self._registry.end(ticket, outcome.error)
            else:
                self._after_step(ticket, outcome.state)
        return True

    def _note_change(self, states: Sequence[RequestState], candidates: Sequence[Candidate[int, Bucket]]) -> None:
        """Who waits, what works for them and what is computed beside them decide about memory: it is asked for anew."""
        waiting = (
            self._side.beside,
            *((one.key, one.bucket, state.workload) for one, state in zip(candidates, states, strict=True)),
        )
        if waiting != self._waiting:
            self._waiting = waiting
            self._budget.look_again()

    def _after_step(self, ticket: Ticket, state: RequestState) -> None:
        preview, ticket.preview = ticket.preview, None
        self._registry.tell(ticket, DiffusionProgress(step=state.step, total=state.steps, preview=preview))
        if state.done:
            ticket.phase = Phase.FINISHING
            self._side.submit(Urgency.DECODE, lambda: self._decode(ticket, state))
        elif self._wants_preview(ticket, state):
            ticket.preview_due = True
            self._side.submit(Urgency.PREVIEW, lambda: self._preview(ticket, state))

    def _wants_preview(self, ticket: Ticket, state: RequestState) -> bool:
        interval = -(-state.steps // _PREVIEWS_PER_REQUEST)
        return ticket.request.previews and not ticket.preview_due and state.step % interval == 0

    def _preview(self, ticket: Ticket, state: RequestState) -> None:
        """Of the latents as they are by then, beside the steps; it is told with the next one that ends."""
        try:
            if not ticket.ended and not state.done:
                ticket.preview = self._family.preview(state.canvas)
        except Exception:
            logger.exception("a preview failed")
        finally:
            ticket.preview_due = False

    def _encode(self, ticket: Ticket) -> None:
        if ticket.ended:
            return
        try:
            state = _together(ticket.request, [self._encoded(region) for region in ticket.request.regions])
        except Exception as error:
            self._registry.end(ticket, translate(error, "encoding the request"))
            return
        ticket.state = state
        ticket.last_served = self._turn
        self._registry.tell(ticket, DiffusionProgress(step=0, total=state.steps))
        ticket.phase = Phase.DENOISING  # from here on the engine's thread may take it
        self._notify()

    def _encoded(self, region: DiffusionRequest) -> RequestState:
        state: RequestState = self._with_retry("encoding the request", lambda: self._family.encode(region))
        return state

    def _decode(self, ticket: Ticket, state: RequestState) -> None:
        if ticket.ended:
            return
        try:
            images = [self._decoded(canvas) for canvas in state.canvases]
        except StartOver as again:
            logger.warning("a request is computed once more: %s", again)
            self._counters.add("starts_over")
            ticket.state = _together(ticket.request, [again.anew(region) for region in state.regions])
            ticket.last_served = self._turn
            ticket.phase = Phase.DENOISING  # from here on the engine's thread may take it
            self._notify()
            return
        except Exception as error:
            self._registry.end(ticket, translate(error, "decoding the image"))
            return
        self._registry.end(
            ticket,
            DiffusionResult(
                image=images[0],
                others=tuple(images[1:]),
                models_used=state.models_used,
                cache=state.cache,
                notes=state.notes,
            ),
        )

    def _decoded(self, canvas: RequestState) -> Image:
        return self._with_retry("decoding the image", lambda: self._family.decode(canvas))

    def _with_retry(self, doing: str, work: Callable[[], _Result]) -> _Result:
        """Once more, with all that can be freed freed, when memory runs out."""
        try:
            return work()
        except StartOver:
            raise
        except Exception as error:
            self._note_device(error)
            if not is_out_of_memory(error):
                with translated(doing):
                    raise
        self._counters.add("out_of_memory_retries")
        self._family.release_memory()
        with translated(doing):
            return work()


def _together(request: DiffusionRequest, states: Sequence[RequestState]) -> RequestState:
    """The state of a request whose regions or views have these."""
    return side_by_side(states) if request.views else joined(states)
