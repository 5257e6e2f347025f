"""Compiles blocks beside the requests: what came most often first, one after the other, never in a request's way.

A call runs compiled when its kind of block was compiled for its form, and eager otherwise. What came is counted by
answers, and compiled when it had a part in `LEAST_ANSWERS` of them: so nothing is compiled before the first answer but
what earlier starts have learnt. A compiled block is tried beside the eager one before it is used. Whatever fails, a
call or a compilation, ends all of it: one warning, and everything runs eager until the next start.
"""

from __future__ import annotations

import copy
import logging
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Final, TypeAlias

import torch
from torch import nn

from runners.diffusion.families.stable_diffusion.compilation.calls import LEAST_ROWS, Form, example_of, holds_for_many
from runners.diffusion.families.stable_diffusion.compilation.learnt import MOST_KEPT, BlockCall, LearntCalls
from runners.diffusion.families.stable_diffusion.compilation.turns import Turns
from runners.errors import is_device_lost, is_out_of_memory

logger = logging.getLogger(__name__)

Compiled: TypeAlias = Callable[..., Any]
Backend: TypeAlias = Callable[[Any, list[Any]], Callable[..., Any]]
"""As torch.compile takes one: a graph and its example inputs -> what runs it."""

LEAST_ANSWERS: Final = 2
MOST_MISFITS: Final = 4
MOST_COMPILED: Final = 400
"""Blocks of about seven image sizes, each for one row and for more."""
REST: Final = 4.0
"""While requests run, so many times as long as a compilation took nothing is compiled: it slows Python down."""
PATIENCE_S: Final = 20.0
"""So long requests must have run on end before something is compiled beside them: who meets it waits for seconds."""
_IDLE_S = 2.0
_SAVE_EVERY_S = 30.0
_LOOK_EVERY_S = 0.2
_END_S: Final = 5.0
_TOLERANCE: Final = {torch.float32: 1e-3}
_TOLERANCE_OF_HALF: Final = 3e-2


class CompilationFailed(Exception):
    """What was compiled gives other numbers."""


class DoesNotFit(Exception):
    """A call looks like those that a block was compiled for, and torch takes it for another."""


class BlockCompiler:
    """What is compiled, of which kind of block, for which form of a call; shared by all networks of a process.

    Args:
        backend: what torch.compile hands its graphs to; None: nothing is compiled.
        learnt: what earlier starts saw, and where it is kept; None: from nothing, and it is forgotten.
        max_rows: of a batch.
        most: so many compiled blocks are held at most.
        clock: seconds, rising.

    `run_next` compiles one; `start` has a thread do it.
    """

    def __init__(
        self,
        backend: Backend | None = None,
        *,
        learnt: LearntCalls | None = None,
        max_rows: int = 16,
        most: int = MOST_COMPILED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backend, self._learnt, self._clock = backend, learnt, clock
        self._max_rows, self._most = max_rows, most
        self._compiled: dict[BlockCall, Compiled] = {}
        self._answers: Counter[BlockCall] = Counter()
        self._touched: set[BlockCall] = set()
        self._examples: dict[str, weakref.ref[nn.Module]] = {}
        self._put_aside: set[BlockCall] = set()
        self._misfits: set[int] = set()
        self._blocks: dict[str, Counter[str]] = {}
        self._reason: str | None = None
        self._compiling: int | None = None
        self._eager = threading.local()
        self._called_at = self._saved_at = -float("inf")
        self._unsaved = False
        self._wake, self._stopping = threading.Event(), False
        self._thread: threading.Thread | None = None
        self.turns = Turns()
        self.graphs, self.seconds = 0, 0.0
        self.forwards = Counter({"compiled": 0, "partly": 0, "eager": 0})
        if learnt is not None and backend is not None:
            self._recall(learnt)

    @property
    def on(self) -> bool:
        """Whether calls may run compiled, or be counted so that they will."""
        return self._backend is not None and self._reason is None

    def knows(self, kind: str, block: nn.Module) -> None:
        """A block of a kind is there, to compile with."""
        known = self._examples.get(kind)
        if known is None or known() is None:
            self._examples[kind] = weakref.ref(block)
            self._wake.set()

    def compiled(self, call: BlockCall, rows: int) -> Compiled | None:
        """What runs this call in the place of the block's own `forward`, None: nothing yet. Takes note of the call."""
        self._called_at = self._clock()
        self._touched.add(call)
        eager = rows in self._misfits or getattr(self._eager, "on", False)
        return None if eager else self._compiled.get(call)

    def counted(self, network: str, mode: str) -> None:
        """A block of a network ran "compiled" or "eager"."""
        self._blocks.setdefault(network, Counter())[mode] += 1

    @contextmanager
    def forward(self, network: str) -> Iterator[None]:
        """A forward, counted "compiled" when all blocks of the network that it took ran so, "partly" when some did."""
        before = Counter(self._blocks.get(network))
        yield
        ran = Counter(self._blocks.get(network)) - before
        mode = "eager" if not ran["compiled"] else "partly" if ran["eager"] else "compiled"
        self.forwards[mode] += 1

    @contextmanager
    def eager(self) -> Iterator[None]:
        """In this thread nothing runs compiled inside of the block."""
        self._eager.on = True
        try:
            yield
        finally:
            self._eager.on = False

    def answered(self) -> None:
        """An image is ready: what was called since the last one had a part in it."""
        if not self.on:
            return
        touched, self._touched = self._touched, set()
        self._answers.update(touched)
        if len(self._answers) > 2 * MOST_KEPT:
            self._answers = Counter(dict(self._answers.most_common(MOST_KEPT)))
        self._unsaved = True
        self._wake.set()

    def failed(self, error: Exception, rows: int) -> None:
        """A compiled block failed with so many rows, where the eager one did not.

        What does not fit costs a request about a second, as torch is half way to compiling anew: so batches of as many
        rows run eager from now on, and everything when that does not help.
        """
        if not isinstance(_cause(error), DoesNotFit) or len(self._misfits) == MOST_MISFITS:
            self.give_up(error)
            return
        self._misfits.add(rows)
        logger.warning("what torch compiled does not hold for batches of %d rows: they run eager", rows)

    def give_up(self, error: Exception) -> None:
        """Everything runs eager from now on."""
        if not self.on:
            return
        cause = _cause(error)
        self._reason = f"{type(cause).__name__}: {str(cause).strip().partition(chr(10))[0]}"
        self._compiled = {}
        logger.warning(
            "torch.compile does not work here, everything runs eager until the next start (%s)", self._reason
        )

    def stats(self) -> Mapping[str, Any]:
        """JSON-serialisable: compiled blocks, those that wait for it, seconds spent, blocks run by network and mode."""
        return {
            "on": self.on,
            "given_up": self._reason,
            "blocks": len(self._compiled),
            "waiting": len(self._waiting()) if self.on else 0,
            "seconds": round(self.seconds, 3),
            "run": {network: dict(counts) for network, counts in dict(self._blocks).items()},
        }

    def run_next(self) -> bool:
        """Compile what came most often and is not compiled; False when there is nothing to do."""
        waiting = self._waiting() if self.on else []
        for call in waiting:
            block = self._example(call[0])
            if block is not None:
                began = self._clock()
                self._compile(call, block)
                self.seconds += self._clock() - began
                return True
        return False

    def save(self) -> None:
        """Keep what was learnt; a folder that cannot be written to is told once, and nothing is kept."""
        if self._learnt is None or not self._unsaved:
            return
        self._unsaved, self._saved_at = False, self._clock()
        try:
            self._learnt.write(dict(self._answers))
        except OSError as error:
            logger.warning("compilation: what was learnt cannot be kept: %s", error)
            self._learnt = None

    def start(self) -> None:
        """Compile in a thread of its own, at rest while requests run."""
        self._thread = threading.Thread(target=self._run, name="diffusion-compiler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Keep what was learnt, and end the thread: after what it is compiling now, for which nobody waits long."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_END_S)
        self.save()
        if self._learnt is not None:
            self._learnt.end()

    def _recall(self, learnt: LearntCalls) -> None:
        mark = learnt.not_survived()
        if mark is not None:
            self._reason = "a process ended while it tried what it had compiled"
            logger.warning(
                "torch.compile is off, as %s: everything runs eager. To try again, delete %s", self._reason, mark
            )
            return
        self._answers.update(learnt.read())
        waiting = len(self._waiting())
        logger.info("compilation: %d calls of blocks are known from earlier starts, from %s", waiting, learnt.path)

    def _waiting(self) -> list[BlockCall]:
        room = self._most - len(self._compiled)
        often = Counter(dict(self._answers)).most_common()  # of a copy, as answers come from another thread
        return [
            call
            for call, answers in often
            if answers >= LEAST_ANSWERS and call not in self._compiled and call not in self._put_aside
        ][: max(0, room)]

    def _example(self, kind: str) -> nn.Module | None:
        known = self._examples.get(kind)
        return None if known is None else known()

    @torch.inference_mode()
    def _compile(self, call: BlockCall, block: nn.Module) -> None:
        _, form = call
        try:
            # A copy: requests may change the number format of the block's own weights meanwhile.
            with torch.inference_mode(mode=False):
                own = copy.deepcopy(block)
            compile_anew: Any = torch.compile  # its stubs lack an option
            compiled = compile_anew(type(own).forward, fullgraph=True, isolate_recompiles=True, backend=self._hand_over)
            # The most rows of a batch, too: where torch has a limit in between, it gets a second graph.
            for rows in (LEAST_ROWS, self._max_rows) if holds_for_many(form) else (1,):
                if not self._try(own, compiled, form, rows):
                    self._put_aside.add(call)
                    return
        except Exception as error:
            if is_out_of_memory(error):
                logger.info("compilation: no memory to try a %s now; it stays eager", type(block).__name__)
                self._put_aside.add(call)
            else:
                self.give_up(error)
            return
        if self.on:
            self._compiled[call] = compiled

    def _try(self, block: Any, compiled: Compiled, form: Form, rows: int) -> bool:
        """False: no block can be called so. Raises: whatever compiling does, and CompilationFailed."""
        arguments, named = example_of(form, next(block.parameters()).device, rows)
        try:
            expected = type(block).forward(block, *arguments, **named)
        except Exception as error:
            if is_out_of_memory(error) or is_device_lost(error):
                raise
            logger.info("compilation: a call of a %s that was learnt is none: %s", type(block).__name__, error)
            return False
        self._compiling = threading.get_ident()
        try:
            with self.turns.alone():
                got = compiled(block, *arguments, **named)
        finally:
            self._compiling = None
        _require_close(got, expected, type(block).__name__)
        return True

    def _hand_over(self, graph: Any, inputs: list[Any]) -> Compiled:
        """The backend of torch.compile. A call that does not fit what was compiled for it ends up here as well."""
        if self._compiling != threading.get_ident():
            raise DoesNotFit("a call that looks like those that a block was compiled for is another one to torch")
        assert self._backend is not None
        self.graphs += 1
        with self.turns.calls_beside():
            made, tried = self._backend(graph, inputs), False

        def run(*given: Any) -> Any:
            nonlocal tried
            if tried:
                return made(*given)
            with nullcontext() if self._learnt is None else self._learnt.trying(str(graph.graph)[:200]):
                result = made(*given)
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
            tried = True
            return result

        return run

    def _run(self) -> None:
        took = 0.0
        while not self._stopping:
            self._wake.clear()
            if self._waiting():
                self._rest(max(PATIENCE_S, REST * took))
            began = self._clock()
            if not self._stopping and self.run_next():
                took = self._clock() - began
            elif self._unsaved and self._clock() - self._saved_at < _SAVE_EVERY_S:
                self._wake.wait(_SAVE_EVERY_S)
            else:
                self.save()
                self._wake.wait()

    def _rest(self, seconds: float) -> None:
        """Return when no requests run, or have run so long."""
        until = self._clock() + seconds
        while not self._stopping and self._clock() < until and self._clock() - self._called_at < _IDLE_S:
            time.sleep(_LOOK_EVERY_S)


def _cause(error: Exception) -> BaseException:
    """Torch wraps what its backend raises."""
    inner: BaseException = getattr(error, "inner_exception", error)
    return inner


def _require_close(got: Any, expected: torch.Tensor, name: str) -> None:
    tolerance = _TOLERANCE.get(expected.dtype, _TOLERANCE_OF_HALF)
    apart = float((got.float() - expected.float()).abs().max())
    if not apart <= tolerance * max(1.0, float(expected.float().abs().max())):
        raise CompilationFailed(f"a compiled {name} gives other numbers than the eager one: {apart:.3g} apart")
