"""Candidates at the engine: requests that differ in their seeds alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.integration.runners.diffusion.requests import both_controls, photo, request, run

pytestmark = pytest.mark.integration


def candidates(count: int, **changes):
    one = request(1, references=(photo(9),), ip_adapter_scale=0.6, controls=both_controls(), **changes)
    return [replace(one, request_id=f"candidate-{seed}", seed=seed) for seed in range(7, 7 + count)]


@pytest.mark.parametrize(("strength", "images"), [(1.0, 1), (0.6, 2)])
def test_texts_photo_and_reference_are_encoded_once_for_all_of_them(make_engine, strength, images):
    engine = make_engine()
    run(engine, *candidates(5, strength=strength))
    counts = engine.stats()["counters"]
    assert (counts["text_encodes"], counts["reference_encodes"], counts["vae_encodes"]) == (2, 1, images)
    assert counts["vae_decodes"] == 5


def test_each_is_what_its_seed_gives_alone(make_engine):
    asked = candidates(3)
    together = [result.image.astype(int) for result in run(make_engine(), *asked)]
    engine = make_engine()
    alone = [run(engine, one)[0].image.astype(int) for one in asked]
    for candidate, single in zip(together, alone, strict=True):
        assert np.abs(candidate - single).mean() < 1
    assert np.abs(together[0] - together[1]).mean() > 1


def test_one_after_the_other_each_is_bit_for_bit_what_its_seed_gives_alone(make_engine):
    asked = candidates(3)
    engine = make_engine()
    in_turn = [run(engine, one)[0].image for one in asked]
    for image, one in zip(in_turn, asked, strict=True):
        assert np.array_equal(image, run(make_engine(), one)[0].image)
