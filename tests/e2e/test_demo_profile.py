"""What `make demo` shows: the four cases of the specification over REST, with the models that come with the source."""

from __future__ import annotations

import base64
import io
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from benchmarks.demo import run_case, to_base64
from benchmarks.demo_cases import Case, photo_recolours, world_cases
from demo_models.world.edits import REFERENCE, sample_edit


@pytest.fixture(scope="module")
def edits(demo_url):
    with httpx.Client(base_url=demo_url, timeout=300) as client:
        return [(case, run_case(client, case)) for case in world_cases() + photo_recolours()]


def photo(encoded: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))


def mean_inside(case: Case, result: dict[str, Any]) -> np.ndarray:
    return photo(result["image"])[photo(result["mask"]) == 255].mean(axis=0)


def test_each_case_takes_the_pipeline_and_rule_that_the_specification_names(edits):
    found = [(result["pipeline_used"], result["metadata"]["routing"]["rule"]) for _, result in edits[:4]]
    assert found == [
        ("complex", "try_on"),
        ("complex", "structural_object"),
        ("simple", "appearance"),
        ("simple", "appearance"),
    ]


def test_everything_outside_the_mask_is_the_original_bit_for_bit(edits):
    for case, result in edits:
        outside = photo(result["mask"]) == 0
        assert outside.mean() > 0.4, case.name
        assert np.array_equal(photo(result["image"])[outside], case.base[outside]), case.name


def test_the_red_car_turns_blue(edits):
    case, result = edits[2]
    red, _, blue = mean_inside(case, result)
    red_before, _, blue_before = case.base[photo(result["mask"]) == 255].mean(axis=0)
    assert red_before > blue_before + 40
    assert blue > red + 15


def test_the_red_car_turns_blue_in_few_steps_as_well(edits, demo_url):
    case, result = edits[2]
    body = {"base_image": to_base64(case.base), "prompt": case.prompt, "config": {"seed": 1, "speed": "fast"}}
    with httpx.Client(base_url=demo_url, timeout=300) as client:
        fast = client.post("/api/v1/generate", json=body).raise_for_status().json()["result"]
    assert "lcm-lora" in fast["models_used"]
    assert "lcm-lora" not in result["models_used"]
    inside = photo(result["mask"]) == 255
    before, slow, quick = (
        image[inside].mean(axis=0) for image in (case.base, photo(result["image"]), photo(fast["image"]))
    )
    assert np.linalg.norm(quick - slow) < 0.25 * np.linalg.norm(slow - before)
    outside = photo(result["mask"]) == 0
    assert np.array_equal(photo(fast["image"])[outside], case.base[outside])


@pytest.mark.parametrize(("place", "channel"), [(4, 1), (5, 2)])
def test_what_is_asked_to_be_green_and_blue_on_a_photograph_is(edits, place, channel):
    case, result = edits[place]
    before, after = case.base[photo(result["mask"]) == 255].mean(axis=0), mean_inside(case, result)
    others = [other for other in range(3) if other != channel]
    assert before[channel] < before[0] - 40, "both were red"
    assert (after[channel] > after[others] + 15).all()


def test_the_oak_table_turns_to_pale_stone(edits):
    case, result = edits[3]
    inside = photo(result["mask"]) == 255
    before, after = case.base[inside].mean(axis=0), mean_inside(case, result)
    assert np.ptp(after) < 0.6 * np.ptp(before), "marble is greyer than oak"


def test_the_car_keeps_its_lines_in_the_new_colour(edits):
    case, result = edits[2]
    inside = photo(result["mask"]) == 255
    lines = [
        np.diff(image.astype(float).mean(axis=2), axis=1)[inside[:, 1:]]
        for image in (case.base, photo(result["image"]))
    ]
    assert np.corrcoef(*lines)[0, 1] > 0.5


def test_the_gold_rims_of_the_reference_are_on_the_car(edits):
    case, result = edits[1]
    red, _, blue = mean_inside(case, result)
    assert red > blue + 20


def test_each_half_of_a_jacket_takes_the_look_of_the_reference_that_is_for_it(demo_url):
    pairs = [sample_edit(seed, REFERENCE) for seed in range(9000, 9020)]
    pair, other = [one for one in pairs if one.prompt == "person wearing this jacket"][:2]
    jacket = pair.region > 127
    columns = np.flatnonzero(jacket.any(axis=0))
    left = np.zeros(jacket.shape, np.uint8)
    left[:, : (columns[0] + columns[-1]) // 2] = 255
    halves = (left, 255 - left)
    looks = [to_base64(one.reference) for one in (pair, other)]
    parts = [{"image": look, "for": {"mask_image": to_base64(half)}} for look, half in zip(looks, halves, strict=True)]
    edit = {"base_image": to_base64(pair.before.image), "prompt": pair.prompt}
    config = {"seed": 5, "num_inference_steps": 10}
    means = []
    with httpx.Client(base_url=demo_url, timeout=300) as client:
        for references in ([looks[0]], [looks[1]], parts):
            body = {**edit, "reference_images": references, "config": config}
            answer = client.post("/api/v1/generate", json=body).raise_for_status().json()["result"]
            image = photo(answer["image"]).astype(float)
            means.append([image[jacket & (half > 0)].mean(axis=0) for half in halves])
        assert [one["images"] for one in answer["metadata"]["edits"][0]["references"]] == [[0], [1]]
    first, second, both = means
    for half, (own, others) in enumerate(((first, second), (second, first))):
        near, far = (np.abs(both[half] - look[half]).mean() for look in (own, others))
        assert near < far / 2
