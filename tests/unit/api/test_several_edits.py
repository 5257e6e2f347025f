"""Several edits over REST: what is taken, what is refused and in which words, and what it costs."""

from __future__ import annotations

import pytest

from api.forms import GENERATE_FORM
from composition.config import ApiConfig, Config
from composition.errors import InvalidInput
from tests.unit.api.conftest import Edge, open_edge
from tests.unit.api.images import base64_of, encoded, mask, photo

GENERATE, ASYNC, ANALYZE = "/api/v1/generate", "/api/v1/generate/async", "/api/v1/analyze"
CAR, TREE = {"prompt": "make the car red"}, {"prompt": "replace the lamp with a tree", "target": "lamp"}


def text_of(pixels):
    return base64_of(encoded(pixels))


def body(*edits, **fields):
    return {"base_image": photo(), "edits": list(edits or (CAR, TREE)), **fields}


@pytest.mark.parametrize("path", [GENERATE, ASYNC, ANALYZE])
async def test_several_edits_become_one_job_with_each_ones_own(edge: Edge, path: str):
    first = {**CAR, "mask_image": text_of(mask()), "blend": 0.5, "strength": 0.7, "control_types": ["pose", "pose"]}
    second = {**TREE, "reference_images": [photo(), photo()], "negative_prompt": "leaves", "ip_adapter_scale": 0.2}
    answer = await edge.client.post(path, json=body(first, second, config={"strength": 0.9}))
    assert answer.status_code == 200, answer.text
    payload = edge.only_job.payload
    one, other = payload.edits
    assert (payload.prompt, payload.mask_key, payload.reference_keys) == ("", None, ())
    assert (one.prompt, one.options) == (
        "make the car red",
        {"blend": 0.5, "strength": 0.7, "control_types": ("pose",)},
    )
    assert (other.negative_prompt, other.options) == ("leaves", {"target": "lamp", "ip_adapter_scale": 0.2})
    assert (one.mask_key is None, len(one.reference_keys)) == (False, 0)
    assert (other.mask_key, len(other.reference_keys)) == (None, 2)
    assert payload.options.strength == 0.9


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"prompt": "blue car"}, "prompt is of one edit"),
        ({"negative_prompt": "rust"}, "negative_prompt is of one edit"),
        ({"mask_image": text_of(mask())}, "mask_image is of one edit"),
        ({"reference_image": photo()}, "reference_image is of one edit"),
        ({"reference_images": [photo()]}, "reference_images is of one edit"),
        ({"config": {"target": "car"}}, "config.target says where one edit is"),
        ({"config": {"box": [0, 0, 9, 9]}}, "config.box says where one edit is"),
        ({"config": {"points": [[1, 1]]}}, "config.points says where one edit is"),
    ],
)
async def test_what_is_of_one_edit_is_refused_beside_several(edge: Edge, fields: dict, message: str):
    answer = await edge.client.post(GENERATE, json=body(**fields))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_INPUT")
    assert message in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        ({}, "edits.0.prompt"),
        ({"prompt": " "}, "edits.0.prompt"),
        ({**CAR, "blend": 1.5}, "edits.0.blend"),
        ({**CAR, "strength": 0.0}, "edits.0.strength"),
        ({**CAR, "control_types": ["sketch"]}, "edits.0.control_types.0"),
        ({**CAR, "seed": 3}, "edits.0.seed"),
        ({**CAR, "reference_images": [photo()] * 5}, "edits.0.reference_images"),
        ({**CAR, "mask_image": "no base64!"}, "edits.0.mask_image"),
        ("make the car red", "edits.0"),
    ],
)
async def test_what_is_wrong_with_an_edit_is_named(edge: Edge, edit: object, field: str):
    answer = await edge.client.post(GENERATE, json=body(edit, TREE))
    assert answer.status_code == 400, answer.text
    assert field in str(answer.json()["error"])
    assert edge.queue.jobs == {}


async def test_a_mask_of_another_size_is_named(edge: Edge):
    wrong = {**TREE, "mask_image": text_of(mask(300, 300))}
    answer = await edge.client.post(GENERATE, json=body(CAR, wrong))
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "UNPROCESSABLE_IMAGE")
    assert "edits.1.mask_image" in answer.json()["error"]["message"]


async def test_no_edits_are_as_good_as_none(edge: Edge):
    answer = await edge.client.post(GENERATE, json={"base_image": photo(), "edits": [], "prompt": "blue car"})
    assert answer.status_code == 200
    answer = await edge.client.post(GENERATE, json={"base_image": photo(), "edits": []})
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "prompt: Field required")


async def test_more_than_the_operator_allows_are_refused():
    config = Config.model_validate({"generation": {"max_edits": 1}})
    async with open_edge(config=config) as edge:
        answer = await edge.client.post(GENERATE, json=body())
    assert answer.status_code == 400
    assert (
        "edits: 2 are more than the 1 that are allowed here (generation.max_edits)" in answer.json()["error"]["message"]
    )


async def test_every_edit_of_every_candidate_costs_one_and_takes_a_place_and_time(edge: Edge):
    answer = await edge.client.post(ASYNC, json=body(CAR, TREE, n=3))
    assert answer.status_code == 200
    job = edge.only_job
    assert (job.places, job.schema_version) == (6, 2)
    assert job.time_limit_s == 6 * edge.context.config.limits.request_timeout_seconds


async def test_the_rate_limit_counts_every_edit():
    async with open_edge(config=Config(api=ApiConfig(rate_limit_per_minute=3))) as edge:
        assert (await edge.client.post(GENERATE, json=body())).status_code == 200
        assert (await edge.client.post(GENERATE, json=body())).status_code == 429


async def test_a_list_of_jobs_shows_the_words_of_all_edits(edge: Edge):
    await edge.client.post(ASYNC, json=body())
    (job,) = (await edge.client.get("/api/v1/jobs")).json()["jobs"]
    assert job["prompt"] == "make the car red; replace the lamp with a tree"


def test_in_a_form_edits_are_json():
    assert GENERATE_FORM.to_body({"edits": ['[{"prompt": "a"}]']}) == {"edits": [{"prompt": "a"}]}
    with pytest.raises(InvalidInput, match="edits"):
        GENERATE_FORM.to_body({"edits": ["make the car red"]})
