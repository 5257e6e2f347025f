"""What the client knows of the API is what the service's own document says."""

from __future__ import annotations

import json
from typing import Any, get_type_hints

import pytest
from composition_client import answers
from composition_client.body import body_of, video_body_of, views_body_of
from composition_client.errors import BY_CODE
from composition_client.options import Config, DrawnPart, OneEdit, OneReference
from pydantic import BaseModel, create_model

from api.app import create_app
from composition.errors import CompositionError

MODELS = {
    "Edit": "GenerateResult",
    "Analysis": "AnalyzeResult",
    "Submission": "SubmitResponse",
    "Job": "StatusResponse",
    "JobSummary": "JobSummary",
    "JobPage": "JobListResponse",
    "Lora": "LoraInfo",
    "LoraUploads": "LoraUploads",
    "LoraList": "LoraListResponse",
    "RunnerHealth": "RunnerHealth",
    "Health": "HealthResponse",
}
OURS = {"Edit": {"job_id"}}
"""What the client itself adds."""
DELIVERY = {"Edit": {"image_url", "image_urls"}}
"""What this client does not ask for, `response_format` being json."""
ENVELOPE = {"success"}
"""Says what the status code says."""
SHOWN_ONLY = {"title", "description", "examples", "default", "minimum", "maximum"}
"""Of an answer: a client does not check its bounds."""


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    return create_app().openapi()["components"]["schemas"]


def meaning(node: Any, schemas: dict[str, Any], *, without: set[str] = SHOWN_ONLY) -> Any:
    """A schema with its references resolved, without what only people read, and without null."""
    if isinstance(node, list):
        return [meaning(part, schemas, without=without) for part in node]
    if not isinstance(node, dict):
        return node
    parts = [part for part in node.get("anyOf", []) if part != {"type": "null"}]
    if parts:
        node = {key: value for key, value in node.items() if key != "anyOf"}
        node |= parts[0] if len(parts) == 1 else {"anyOf": parts}
    if "$ref" in node:
        target = schemas[node["$ref"].rpartition("/")[2]]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    node = {key: value for key, value in node.items() if key not in without}
    if "properties" in node:  # an object of our own: its own test compares it
        return {"type": "object"}
    return {key: meaning(value, schemas, without=without) for key, value in node.items() if key != "const"} | (
        {"enum": [node["const"]]} if "const" in node else {}
    )


def test_every_option_is_what_the_service_says_it_is(schemas):
    known = create_model(
        "Config", **{name: (hint, ...) for name, hint in get_type_hints(Config, include_extras=True).items()}
    )
    ours = known.model_json_schema()["properties"]
    theirs = schemas["GenerateConfig"]["properties"]
    assert list(ours) == list(theirs)
    for name in theirs:
        assert meaning(ours[name], {}, without={"title"}) == meaning(theirs[name], schemas, without={"title"}), name


OTHERS = {"negative_prompt": "n", "callback_url": "https://a.example", "session": "s", "n": 2, "config": {"seed": 1}}


def test_the_request_has_every_field_of_the_service_s(schemas):
    everything, several = (
        json.loads(body_of(b"a", "p", reference=reference, mask=b"c", **OTHERS).content) for reference in (b"b", [b"b"])
    )
    edits = json.loads(body_of(b"a", [{"prompt": "p"}]).content)
    assert {*everything, *several, *edits, "response_format"} == schemas["GenerateRequest"]["properties"].keys()


def test_the_request_of_views_has_every_field_of_the_service_s(schemas):
    body = json.loads(
        views_body_of([b"a", b"b"], "p", reference=b"c", **{k: v for k, v in OTHERS.items() if k != "n"}).content
    )
    assert {*body, "reference_image", "response_format"} == schemas["ViewsRequest"]["properties"].keys()


def test_the_request_of_a_clip_has_every_field_of_the_service_s(schemas):
    given = {k: v for k, v in OTHERS.items() if k not in ("n", "session")}
    body = json.loads(video_body_of(b"a", "p", reference=b"c", output="gif", **given).content)
    assert {*body, "reference_image", "response_format"} == schemas["VideoRequest"]["properties"].keys()


def test_one_of_several_edits_has_every_field_of_the_service_s(schemas):
    assert get_type_hints(OneEdit).keys() == schemas["RegionEdit"]["properties"].keys()


@pytest.mark.parametrize(("ours", "theirs"), [(OneReference, "ReferenceImage"), (DrawnPart, "DrawnPart")])
def test_a_reference_has_every_field_of_the_service_s(ours, theirs, schemas):
    assert get_type_hints(ours).keys() == schemas[theirs]["properties"].keys()


@pytest.mark.parametrize("name", MODELS)
def test_an_answer_has_the_fields_and_types_of_the_service_s(name, schemas):
    model: type[BaseModel] = getattr(answers, name)
    schema = model.model_json_schema()
    ours = {key: value for key, value in schema["properties"].items() if key not in OURS.get(name, ())}
    theirs = {
        key: value
        for key, value in schemas[MODELS[name]]["properties"].items()
        if key not in ENVELOPE | DELIVERY.get(name, set())
    }
    assert ours.keys() == theirs.keys()
    for key, node in theirs.items():
        assert meaning(ours[key], schema.get("$defs", {})) == meaning(node, schemas), key
    always = set(schemas[MODELS[name]]["required"]) | ({"image"} if name == "Edit" else set())
    assert set(schema["required"]) - OURS.get(name, set()) <= always


def test_every_code_of_the_service_has_a_class():
    def codes(cls: type[CompositionError]) -> set[str]:
        return {cls.code}.union(*map(codes, cls.__subclasses__()))

    assert codes(CompositionError) == BY_CODE.keys()
