"""Checkpoints behind one family: what is loaded, what goes, and that steps go on while one is loaded."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest

from composition.diffusion import DiffusionRequest
from composition.errors import InvalidInput
from runners.diffusion.families.checkpoint_switch import CheckpointSwitch
from tests.unit.runners.diffusion.engine.drifting import DriftFamily

NAMES = ("film", "ink", "photo")


def request(model=None):
    return DiffusionRequest(
        request_id="r",
        image=np.zeros((32, 32, 3), np.uint8),
        mask=np.zeros((32, 32), np.uint8),
        prompt="p",
        negative_prompt="",
        num_inference_steps=2,
        guidance_scale=1.0,
        seed=1,
        model=model,
    )


class Loader:
    """Families by name; `gate` holds a load while it is closed."""

    def __init__(self):
        self.loads, self.released = [], 0
        self.gate, self.inside = threading.Event(), threading.Event()
        self.gate.set()
        self.families = {}

    def __call__(self, name):
        self.inside.set()
        assert self.gate.wait(60)
        self.loads.append(name)
        self.families[name] = DriftFamily()
        self.families[name].loaded |= {name}
        return self.families[name]

    def release(self):
        self.released += 1


@pytest.fixture
def loader():
    return Loader()


def switch_over(loader, max_loaded=1):
    base = DriftFamily()
    return CheckpointSwitch(base, NAMES, loader, max_loaded=max_loaded, release_device=loader.release)


def step(switch, model):
    state = switch.encode(request(model))
    switch.activate(state.bucket)
    switch.predict([state])
    return state


def test_nothing_is_loaded_before_it_is_asked_for(loader):
    switch = switch_over(loader)
    assert step(switch, None).bucket.checkpoint == ""
    assert loader.loads == []
    assert switch.models_loaded == ("drift",)


def test_the_least_recently_used_one_makes_room(loader):
    switch = switch_over(loader, max_loaded=2)
    for name in ("film", "ink", "film", "photo"):
        step(switch, name)
    assert loader.loads == ["film", "ink", "photo"]
    assert switch.models_loaded == ("drift", "film", "photo")
    assert loader.released == 1
    step(switch, "ink")
    assert loader.loads == ["film", "ink", "photo", "ink"]
    assert switch.stats()["checkpoints"] == {"loaded": ["photo", "ink"], "loads": 4}


def test_each_request_is_computed_by_its_own_checkpoint(loader):
    switch = switch_over(loader, max_loaded=2)
    film, ink = step(switch, "film"), step(switch, "ink")
    assert film.bucket != ink.bucket
    assert [len(loader.families[name].batches) for name in ("film", "ink")] == [1, 1]


def test_a_name_that_is_not_listed_is_refused_and_the_base_models_own_refusals_hold(loader):
    switch = switch_over(loader)
    with pytest.raises(InvalidInput, match="model other is not available") as caught:
        switch.check(request("other"))
    assert caught.value.details == {"model": "other", "available": list(NAMES)}
    with pytest.raises(InvalidInput, match="no controls"):
        switch.check(dataclasses.replace(request("film"), controls={"pose": object()}))
    assert loader.loads == []


def test_only_what_is_in_memory_is_ready(loader):
    switch = switch_over(loader)
    film, base = step(switch, "film").bucket, switch.encode(request()).bucket
    assert switch.ready(film)
    assert switch.ready(base)
    step(switch, "ink")
    assert not switch.ready(film)
    assert switch.ready(base)


def test_steps_of_others_go_on_while_a_checkpoint_is_loaded(loader):
    switch = switch_over(loader)
    loader.gate.clear()
    encoding = threading.Thread(target=lambda: switch.encode(request("film")))
    encoding.start()
    assert loader.inside.wait(60)
    step(switch, None)
    assert switch.models_loaded == ("drift",)
    loader.gate.set()
    encoding.join()
    assert switch.models_loaded == ("drift", "film")


def test_one_is_not_dropped_while_it_computes(loader):
    switch = switch_over(loader)
    state = switch.encode(request("film"))
    switch.activate(state.bucket)
    film = loader.families["film"]
    film.gate.clear()
    computing = threading.Thread(target=lambda: switch.predict([state]))
    computing.start()
    assert film.inside.wait(60)
    loading = threading.Thread(target=lambda: switch.encode(request("ink")))
    loading.start()
    assert "film" in switch.models_loaded
    assert loader.loads == ["film"]
    film.gate.set()
    computing.join()
    loading.join()
    assert switch.models_loaded == ("drift", "ink")


def test_when_memory_is_short_the_idle_ones_go_and_the_one_at_work_stays(loader):
    switch = switch_over(loader, max_loaded=3)
    for name in ("film", "photo", "ink"):
        step(switch, name)
    switch.release_memory()
    assert switch.models_loaded == ("drift", "ink")
    assert loader.families["ink"].releases == 1


def test_all_that_are_in_memory_stop(loader):
    base = DriftFamily()
    switch = CheckpointSwitch(base, NAMES, loader, max_loaded=1)
    step(switch, "film")
    switch.stop()
    assert (base.stops, loader.families["film"].stops) == (1, 1)
