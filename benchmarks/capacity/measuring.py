"""Step costs of a model family on this machine: the pieces that the simulation puts together, each timed by itself."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from benchmarks.capacity.costs import Costs, ShapeCosts
from composition.diffusion import DiffusionRequest
from runners.diffusion.engine.family import Family

ROWS = (1, 2, 4, 8, 16)


class Asking(Protocol):
    """Makes a request of at least `steps` steps; each is another image."""

    def __call__(
        self, shape: str, *, steps: int, controlled: bool = False, reference: bool = False, guided: bool = True
    ) -> DiffusionRequest: ...


@dataclass(frozen=True, kw_only=True)
class FamilyBench:
    """Times a family's calls as the engine makes them; medians of `rounds`.

    Attributes:
        family: keeps nothing of one request for the next.
        ask: makes its requests.
        rounds: how often each piece is timed, at least 1.
        wait: until the device has done what it was given.
        clock: seconds.
    """

    family: Family[Any]
    ask: Asking
    rounds: int
    wait: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.perf_counter

    def costs(
        self,
        shapes: Mapping[str, tuple[int, int]],
        *,
        about: str,
        around_s: float,
        with_controls: bool,
        with_references: bool,
    ) -> Costs:
        """Of the shapes given as name -> latent size; with ControlNets and references where the models have them."""
        some = next(iter(shapes))
        measured = {name: self._shape(name, size, with_controls=with_controls) for name, size in shapes.items()}
        reference_s = 0.0
        if with_references:
            both_s = self._median(lambda: self.family.encode(self.ask(some, steps=1, reference=True)))
            reference_s = max(0.0, both_s - measured[some].encode_s)
        return Costs(about=about, shapes=measured, around_s=around_s, reference_s=reference_s)

    def _shape(self, name: str, latent_size: tuple[int, int], *, with_controls: bool) -> ShapeCosts:
        plain = {rows: self._step_s(name, rows) for rows in ROWS}
        controlled: dict[int, float] = {}
        if with_controls:
            controlled = {
                rows: max(0.0, self._step_s(name, rows, controlled=True) - plain[rows]) for rows in ROWS if rows > 1
            }
        finished = self.family.encode(self.ask(name, steps=1))
        self._step([finished])
        return ShapeCosts(
            latent_size=latent_size,
            encode_s=self._median(lambda: self.family.encode(self.ask(name, steps=1))),
            decode_s=self._median(lambda: self.family.decode(finished)),
            unet_s=plain,
            controlnet_s=controlled,
        )

    def _step_s(self, shape: str, rows: int, *, controlled: bool = False) -> float:
        guided = rows > 1
        states = [
            self.family.encode(self.ask(shape, steps=self.rounds + 2, controlled=controlled, guided=guided))
            for _ in range(rows // 2 if guided else 1)
        ]
        self._step(states)
        return self._median(lambda: self._step(states))

    def _step(self, states: Sequence[Any]) -> None:
        self.family.activate(states[0].bucket)
        self.family.advance(states, self.family.predict(states))

    def _median(self, work: Callable[[], Any]) -> float:
        times = []
        for _ in range(self.rounds):
            begun = self.clock()
            work()
            self.wait()
            times.append(self.clock() - begun)
        return statistics.median(times)


def measure_profile(profile: str, *, rounds: int) -> Costs:
    """Of a profile's models on this machine, with its perception models' part of an edit.

    The models must be in the store. Reads the configuration as the service does, with `models.profile` set. Where the
    service would compile, what is measured is compiled first.
    """
    # Only who measures pays for these imports; some of them read the configuration.
    from benchmarks.capacity.profile_models import ProfileModels
    from runners.diffusion.families.stable_diffusion.compilation.compiler import LEAST_ANSWERS

    models = ProfileModels(profile)
    around_s = models.around_s(rounds)
    bench = FamilyBench(family=models.family, ask=models.ask, rounds=rounds, wait=models.wait)

    def costs(bench: FamilyBench) -> Costs:
        return bench.costs(
            models.shapes,
            about=models.about,
            around_s=around_s,
            with_controls=models.has_controls,
            with_references=models.has_references,
        )

    with models.inference():
        for _ in range(LEAST_ANSWERS if models.compiler.on else 0):
            costs(replace(bench, rounds=1))
        while models.compiler.run_next():
            pass
        return costs(bench)
