"""Who comes, and when: kinds of requests with their shares, and arrival processes. The same seed is the same crowd."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HOUR_S = 3600.0
ALL = "all"
"""What all kinds together are called."""
BURST = 5
"""Requests that come at once in `bursts`: what one user sends who has five photos."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Requests that cost the same.

    Attributes:
        share: of all requests, in proportion to the other kinds' shares.
        shape: a name among the shapes of the costs.
        steps: denoising steps.
        controls: names of the ControlNets, active in every step.
        reference: whether there is a reference image.
        guided: takes two rows instead of one.
        loras: the set of LoRAs that it wears; only requests with the same one share a forward.
    """

    name: str
    share: float
    shape: str = "square"
    steps: int = 20
    controls: tuple[str, ...] = ()
    reference: bool = False
    guided: bool = True
    loras: str = ""

    @property
    def rows(self) -> int:
        return 2 if self.guided else 1


@dataclass(frozen=True, kw_only=True)
class Request:
    """One that arrives at `at_s` seconds."""

    number: int
    kind: Kind
    at_s: float


Mix = Sequence[Kind]
SIMPLE: Mix = (Kind(name="colour change", share=1.0),)
SHOP: Mix = (
    Kind(name="colour change", share=0.35),
    Kind(name="colour change, landscape", share=0.2, shape="landscape"),
    Kind(name="texture transfer", share=0.1, shape="portrait", reference=True),
    Kind(name="object swap", share=0.15, shape="landscape", steps=25),
    Kind(name="clothing try-on", share=0.15, shape="portrait", steps=25, controls=("pose",), reference=True),
    Kind(name="rim replacement", share=0.05, shape="landscape", steps=25, controls=("depth",), reference=True),
)
"""SPEC.md's five uses in shares that are a guess; with `Kind` as JSON objects, a file has yours."""
DRAFTS: Mix = (
    Kind(name="draft", share=0.8, steps=4, guided=False, loras="lcm"),
    Kind(name="fine", share=0.2, steps=50, controls=("pose", "depth"), reference=True),
)
"""Many try things out with `speed: fast`, some want the last bit: a guess too."""
MIXES: Mapping[str, Mix] = {"simple": SIMPLE, "shop": SHOP, "drafts": DRAFTS}


def load_mix(name: str) -> Mix:
    """A mix by its name, or from a JSON file: a list of objects with the fields of `Kind`.

    Raises:
        ValueError: there is none of this name, or the file holds something else.
    """
    if name in MIXES:
        return MIXES[name]
    if not Path(name).is_file():
        raise ValueError(f"no mix is called {name!r} ({', '.join(MIXES)}), and no such file is there")
    try:
        given = json.loads(Path(name).read_text(encoding="utf-8"))
        mix = tuple(Kind(**{**one, "controls": tuple(one.get("controls", ()))}) for one in given)
    except (TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"{name} holds no mix: {error}") from error
    if not mix or any(kind.share <= 0 or kind.steps < 1 for kind in mix):
        raise ValueError(f"{name}: at least one kind, each with a share above 0 and at least one step")
    if len({kind.name for kind in mix} | {ALL}) <= len(mix):
        raise ValueError(f"{name}: two kinds have one name, or one is called {ALL!r}")
    return mix


def poisson(per_hour: float, randomness: random.Random) -> Iterator[float]:
    """Users who know nothing of one another."""
    now = 0.0
    while True:
        now += randomness.expovariate(per_hour / HOUR_S)
        yield now


def even(per_hour: float, _: random.Random) -> Iterator[float]:
    """One after the other at the same distance: a machine's requests."""
    now = 0.0
    while True:
        now += HOUR_S / per_hour
        yield now


def bursts(per_hour: float, randomness: random.Random) -> Iterator[float]:
    """Independent users who send `BURST` requests at once."""
    for now in poisson(per_hour / BURST, randomness):
        for _ in range(BURST):
            yield now


ARRIVALS: Mapping[str, Callable[[float, random.Random], Iterator[float]]] = {
    "poisson": poisson,
    "even": even,
    "bursts": bursts,
}


def draw(mix: Mix, *, per_hour: float, count: int, seed: int, arrivals: str = "poisson") -> list[Request]:
    """The first `count` requests, in order of arrival."""
    randomness = random.Random(seed)
    moments = ARRIVALS[arrivals](per_hour, random.Random(seed + 1))
    kinds = randomness.choices(mix, weights=[kind.share for kind in mix], k=count)
    return [Request(number=number, kind=kind, at_s=next(moments)) for number, kind in enumerate(kinds)]
