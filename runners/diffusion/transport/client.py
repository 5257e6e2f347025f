"""The `Diffuser` port over the diffusion runner: frames back into events, and the consumer's end of the agreement.

The consumer's end: renew the lease while somebody listens, cancel when nobody does, and take a stream that stops
without a terminal frame for the failure that it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping
from dataclasses import replace
from typing import Any

from composition.diffusion import DiffusionProgress, DiffusionRequest, DiffusionResult
from composition.errors import CompositionError
from observability.tracing import current_traceparent
from runners.diffusion.transport.events import Accepted, Alive, Event, event_from_frame, request_to_frame
from runners.diffusion.transport.frames import FrameDecoder, FrameError, encode_frame
from runners.remote import transport_error

logger = logging.getLogger(__name__)

_NAME = "diffusion runner"
_RENEWALS_PER_LEASE = 3
_DRAIN_S = 2.0


class DiffusionClient:
    """`composition.ports.Diffuser` over a runner's handle, as `bentoml.depends` gives it: a proxy, or the runner."""

    def __init__(self, handle: Any) -> None:
        self._runner = getattr(handle, "to_async", handle)
        self._tasks: set[asyncio.Task[Any]] = set()

    async def diffuse(self, request: DiffusionRequest) -> AsyncGenerator[DiffusionProgress | DiffusionResult, None]:
        """Raises: InvalidInput, ContentPolicy, Cancelled, Timeout, OutOfMemory, ModelError, NotReady."""
        events: asyncio.Queue[Event] = asyncio.Queue()
        request = replace(request, traceparent=current_traceparent())
        # Read by a task of its own: a consumer that is cancelled would otherwise break the stream off in the middle,
        # and the runner's connection with it.
        reader = self._spawn(self._read(request, events))
        renewer: asyncio.Task[None] | None = None
        ended = False
        try:
            while not ended:
                event = await events.get()
                if isinstance(event, Accepted):
                    renewer = self._spawn(self._renew(request.request_id, event.lease_s / _RENEWALS_PER_LEASE))
                elif isinstance(event, CompositionError):
                    ended = True
                    raise event
                elif not isinstance(event, Alive):
                    ended = isinstance(event, DiffusionResult)
                    yield event
        finally:
            if renewer is not None:
                renewer.cancel()
            if not ended:
                await asyncio.shield(self._spawn(self._abandon(request.request_id, reader)))

    async def health(self) -> Mapping[str, object]:
        """Keys ready, models_loaded, gpu_available, gpu_memory_free_mb. Raises: NotReady, Timeout, ModelError."""
        state = await self.stats()
        return {key: state[key] for key in ("ready", "models_loaded", "gpu_available", "gpu_memory_free_mb")}

    async def stats(self) -> Mapping[str, Any]:
        """The runner's counters (`StepEngine.stats`) and health. Raises: NotReady, Timeout, ModelError."""
        try:
            state: Mapping[str, Any] = await self._runner.state()
        except Exception as error:
            raise transport_error(error, _NAME) from error
        return state

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _read(self, request: DiffusionRequest, events: asyncio.Queue[Event]) -> None:
        """Put every event of the stream in the queue, the last one terminal whatever happens."""
        decoder, ended = FrameDecoder(), False
        try:
            stream: AsyncIterator[bytes] = self._runner.generate(encode_frame(request_to_frame(request)))
            async for chunk in stream:
                for frame in decoder.feed(bytes(chunk)):
                    ended = frame.kind.terminal
                    events.put_nowait(event_from_frame(frame))
            decoder.close()
            if not ended:
                raise FrameError("the stream ended without a result")
        except Exception as error:
            if not ended:
                logger.warning("the diffusion runner's stream broke: %r", error)
                events.put_nowait(transport_error(error, _NAME))

    async def _renew(self, request_id: str, interval_s: float) -> None:
        while True:
            await asyncio.sleep(interval_s)
            try:
                await self._runner.renew(request_id)
            except Exception as error:
                logger.warning("a lease could not be renewed: %r", error)

    async def _abandon(self, request_id: str, reader: asyncio.Task[None]) -> None:
        """Have the runner stop, then let the stream run out, so that its connection stays usable.

        A runner that is away takes the call and does not answer; its lease ends the request where it was never told.
        """
        try:
            async with asyncio.timeout(_DRAIN_S):
                await self._runner.cancel(request_id)
        except Exception as error:
            logger.warning("a request could not be cancelled: %r", error)
        _, pending = await asyncio.wait({reader}, timeout=_DRAIN_S)
        for task in pending:
            task.cancel()
