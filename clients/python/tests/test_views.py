"""One edit of several photographs of a thing: what is sent, by both clients, and what comes back."""

from __future__ import annotations

import base64

import pytest
from composition_client import AsyncClient, Client, NotAnImage

from clients.python.tests.service import PIXEL, body_of

URL = "https://example.com/side.jpg"


def sent(service) -> tuple[str, dict]:
    (request,) = service.called("POST")
    return request.url.path, body_of(request)


def test_photographs_go_in_their_order_as_files_and_urls(service):
    with Client("http://service", transport=service.transport) as client:
        edit = client.edit_views([PIXEL, URL], "make the car red", reference=PIXEL, negative_prompt="rust", seed=3)
    pixel = base64.b64encode(PIXEL).decode()
    path, body = sent(service)
    assert path == "/api/v1/views/async"
    assert body == {
        "base_images": [pixel, URL],
        "prompt": "make the car red",
        "reference_images": [pixel],
        "negative_prompt": "rust",
        "config": {"seed": 3},
    }
    assert edit.image == PIXEL


async def test_the_awaiting_client_sends_the_same_and_nothing_that_was_not_asked_for(service):
    async with AsyncClient("http://service", transport=service.transport) as client:
        await client.edit_views([URL, PIXEL], "make the car red")
    path, body = sent(service)
    assert (path, set(body)) == ("/api/v1/views/async", {"base_images", "prompt"})


def test_what_is_no_image_is_refused_before_anything_is_sent(service):
    with Client("http://service", transport=service.transport) as client, pytest.raises(NotAnImage):
        client.edit_views([PIXEL, "no-such-file.png"], "make the car red")
    assert service.requests == []
