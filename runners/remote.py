"""How a call crosses from the front to a runner: one parcel out, one answer back, errors as values.

front: port -> adapter (`client.py`) -> **wire** -> runner (`service.py`) -> model

BentoML batches a runner's calls, and one exception fails the whole batch and loses its text on the way back. So a
runner never raises for an item: it answers each one with a value or a `Failure`, and the adapter raises it again.
Between processes the transport is pickle (BentoML refuses it on a public port), so domain values travel as they are.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

import aiohttp
import bentoml
from bentoml.exceptions import BentoMLException, ServiceUnavailable
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from composition.errors import CompositionError, ModelError, NotReady, Timeout, from_code
from observability.tracing import current_traceparent

T = TypeVar("T")
Method = TypeVar("Method", bound=Callable[..., Any])

CALL_TIMEOUT_S = 600
"""Of a call to a runner, waiting in its batch queue included. Requests have their own, shorter deadline."""
MAX_LATENCY_MS = 600_000
"""BentoML's adaptive batching sheds the oldest call beyond this estimate; admission is bounded at the front instead."""
RETRY_AFTER_S = 5
_CONNECTION_REQUESTS = 2**62
_CONNECTION_AGE_S = 1e9

SERVICE_OPTIONS: Mapping[str, Any] = {
    "workers": 1,
    "threads": 1,
    "traffic": {"timeout": CALL_TIMEOUT_S},
    "metrics": {"enabled": False},
    "logging": {"access": {"enabled": False}},
    # BentoML's proxy renews its HTTP session every 100 calls and closes the old one under the calls still in flight.
    "runner_connection": {"max_requests": _CONNECTION_REQUESTS, "max_age": _CONNECTION_AGE_S},
}
"""What every batching runner is declared with: `@bentoml.service(name=..., **SERVICE_OPTIONS)`."""


def batched(max_batch_size: int) -> Callable[[Method], Method]:
    """A runner's method from `list[Parcel]` to `list[Answer]`, fed by BentoML's adaptive batching."""
    decorate = bentoml.api(batchable=True, max_batch_size=max_batch_size, max_latency_ms=MAX_LATENCY_MS)
    return cast(Callable[[Method], Method], decorate)


def unbatched(method: Method) -> Method:
    """A runner's method that is called as it is. A coroutine answers beside a running batch, a function after it."""
    return cast(Method, bentoml.api(method))


class Parcel(Generic[T]):
    """One item of a batch. A plain class, because BentoML turns dataclasses and pydantic models into dicts."""

    __slots__ = ("content", "traceparent")

    def __init__(self, content: T, *, traceparent: str = "") -> None:
        """`traceparent`: the trace that a question is asked in; empty for none."""
        self.content = content
        self.traceparent = traceparent

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.any_schema()


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A `CompositionError` as a value."""

    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, error: CompositionError) -> Failure:
        return cls(code=error.code, message=error.message, details=error.details)

    def to_error(self) -> CompositionError:
        return from_code(self.code, self.message, self.details)


class Answer(Parcel[T | Failure]):
    """A runner's answer to one item: its content is the value, or the failure of this item alone."""

    __slots__ = ()

    def unwrap(self) -> T:
        """The value. Raises: the CompositionError that the failure stands for."""
        if isinstance(self.content, Failure):
            raise self.content.to_error()
        return self.content


def transport_error(error: Exception, name: str) -> CompositionError:
    """What a failure on the way to the runner or back means; one that died, before or in mid-stream, is not ready.

    The error is from aiohttp, BentoML or the frames; one of ours passes through.
    """
    if isinstance(error, CompositionError):
        return error
    late = isinstance(error, BentoMLException) and error.error_code == Timeout.status
    if late or isinstance(error, TimeoutError):
        return Timeout(f"the {name} did not answer in time")
    if isinstance(error, aiohttp.ClientError | OSError | ServiceUnavailable):
        return NotReady(f"the {name} is not available", retry_after_s=RETRY_AFTER_S)
    return ModelError(f"the {name} failed")


class RunnerClient:
    """Calls one runner, remote or in this process. Make one per runner: in process it takes the calls in turn.

    Args:
        handle: what a `bentoml.depends` attribute gives: a remote proxy (behind `bentoml serve`), else the runner
            itself (in a worker, or with the application mounted in a test).
        name: for messages.
    """

    def __init__(self, handle: Any, *, name: str) -> None:
        self._handle = handle
        self._remote = getattr(handle, "to_async", None)
        self._name = name
        self._turn = None if self._remote else ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def ask(self, method: str, content: Any) -> Any:
        """Send one item to a batching method and wait for its answer.

        Raises:
            NotReady: the runner is away or sheds load.
            Timeout: it did not answer in time.
            ModelError: it failed as a whole.
            CompositionError: this item's own failure.
        """
        answers = await self.call(method, [Parcel(content, traceparent=current_traceparent())])
        if len(answers) != 1:
            raise ModelError(f"the {self._name} gave {len(answers)} answers to one question")
        answer: Answer[Any] = answers[0]
        return answer.unwrap()

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call any method of the runner. Raises: as `ask`, but for an item's own failure."""
        if self._remote is None:
            return await self._call_here(getattr(self._handle, method), arguments)
        try:
            return await getattr(self._remote, method)(*arguments)
        except (aiohttp.ClientError, OSError, BentoMLException) as error:
            raise transport_error(error, self._name) from error

    async def state(self) -> Mapping[str, Any]:
        """The runner's models and batch counters. Raises: as `call`."""
        state: Mapping[str, Any] = await self.call("state")
        return state

    async def _call_here(self, method: Any, arguments: Sequence[Any]) -> Any:
        if inspect.iscoroutinefunction(getattr(method, "func", method)):  # BentoML wraps it in a plain function
            return await method(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self._turn, method, *arguments)
