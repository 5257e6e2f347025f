"""A refusal names the field that it is about; limits are met exactly."""

from __future__ import annotations

import pytest

from api.app import create_app
from tests.unit.api.images import base64_of, encoded, mask, photo

EDIT = {"base_image": photo(), "prompt": "blue car"}
TEXT = base64_of(b"this is a sentence, not an image")


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"base_image": TEXT}, "base_image"),
        ({"base_image": photo(256, 255)}, "base_image"),
        ({"base_image": "@@not base64@@"}, "base_image"),
        ({"reference_image": TEXT}, "reference_image"),
        ({"reference_images": [photo(), TEXT]}, "reference_images.1"),
        ({"reference_images": [photo(), "@@"]}, "reference_images.1"),
        ({"reference_images": [photo(), {"image": TEXT}]}, "reference_images.1"),
        ({"reference_images": [{"image": photo(), "for": {"mask_image": "@@"}}]}, "reference_images.0.for.mask_image"),
        (
            {"reference_images": [{"image": photo(), "for": {"mask_image": base64_of(encoded(mask(300, 300)))}}]},
            "reference_images.0.for.mask_image",
        ),
        ({"mask_image": TEXT}, "mask_image"),
        ({"mask_image": base64_of(encoded(mask(300, 300)))}, "mask_image"),
    ],
)
async def test_an_image_that_cannot_be_used_is_named(edge, fields, name):
    answer = await edge.client.post("/api/v1/generate", json=EDIT | fields)
    assert answer.json()["error"]["details"]["field"] == name


@pytest.mark.parametrize(("length", "known_form"), [(100, True), (101, False)])
async def test_a_loras_name_has_at_most_a_hundred_characters(edge, length, known_form):
    request = EDIT | {"config": {"loras": {"a" * length: 0.5}}}
    answer = await edge.client.post("/api/v1/generate", json=request)
    assert ("there is no LoRA" in answer.text) == known_form


@pytest.mark.parametrize(("weight", "in_range"), [(-2.0, True), (2.0, True), (-2.01, False), (2.01, False)])
async def test_a_loras_weight_is_from_minus_two_to_two(edge, weight, in_range):
    request = EDIT | {"config": {"loras": {"pixel-art": weight}}}
    answer = await edge.client.post("/api/v1/generate", json=request)
    assert ("there is no LoRA" in answer.text) == in_range


def test_every_route_documents_the_envelope_of_any_other_error():
    document = create_app().openapi()
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            if not path.startswith("/api/v1/health"):
                schema = route["responses"]["default"]["content"]["application/json"]["schema"]
                name = "OpenAiErrorResponse" if path.startswith("/v1/") else "ErrorResponse"
                assert schema == {"$ref": f"#/components/schemas/{name}"}, f"{method} {path}"
