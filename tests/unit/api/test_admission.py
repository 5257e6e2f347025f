"""What is refused anyway is refused before its body is read, and the answer does not wait for the body either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.types import Message

from api.app import edit_paths
from composition.config import ApiConfig, Config
from composition.errors import NotReady, QueueFull
from tests.unit.api.conftest import Edge, open_edge
from tests.unit.api.images import photo

EDIT = {"base_image": photo(), "prompt": "blue car"}
FULL = QueueFull("too many jobs are waiting", retry_after_s=7)
KEYS = Config(api=ApiConfig(api_keys={"ann": "key-of-ann"}, rate_limit_per_minute=1))
ANN = {"X-API-Key": "key-of-ann"}


class Exchange:
    """One request whose body never ends, and what happened in which order.

    Attributes:
        answered: the response's messages that were sent before the first look at the body.
        looks: how often the body was looked at.
    """

    def __init__(self, path: str, headers: dict[str, str]) -> None:
        self.answered: list[Message] = []
        self.looks = 0
        sent = {"content-length": "40000000", "content-type": "application/json", **headers}
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
            "client": ("10.0.0.1", 1),
        }

    async def receive(self) -> Message:
        self.looks += 1
        return {"type": "http.request", "body": bytes(2**20), "more_body": self.looks < 3}

    async def send(self, message: Message) -> None:
        if self.looks == 0:
            self.answered.append(message)


async def exchange(edge: Edge, path: str, headers: dict[str, str] | None = None) -> Exchange:
    made = Exchange(path, headers or {})
    app: Callable[..., Any] = edge.client._transport.app
    await app(made.scope, made.receive, made.send)
    return made


def assert_answered_at_once(made: Exchange, status: int, code: bytes) -> None:
    start, *pieces = made.answered
    headers = dict(start["headers"])
    body = b"".join(piece["body"] for piece in pieces)
    assert (start["status"], int(headers[b"content-length"])) == (status, len(body))
    assert code in body.upper()
    assert headers[b"connection"] == b"close"
    assert made.looks == 3, "the body is read off before the connection is closed"


@pytest.mark.parametrize("path", sorted(edit_paths()))
async def test_a_full_queue_answers_before_the_body_is_read(edge: Edge, path: str):
    edge.queue.full = FULL
    assert_answered_at_once(await exchange(edge, path), 503, b"QUEUE_FULL")


@pytest.mark.parametrize("path", sorted(edit_paths()))
async def test_a_service_that_is_not_ready_answers_before_the_body_is_read(edge: Edge, path: str):
    edge.queue.full = NotReady("the job store is closed")
    assert_answered_at_once(await exchange(edge, path), 503, b"NOT_READY")


def test_every_route_that_takes_an_edit_is_looked_after():
    rest = {f"/api/v1/{name}" for name in ("generate", "generate/async", "analyze", "views", "views/async", "video")}
    assert edit_paths() == rest | {"/compose", "/compose_task", "/compose_task/submit", "/v1/images/edits"}


async def test_an_exhausted_rate_answers_before_the_body_is_read():
    async with open_edge(KEYS) as edge:
        await edge.client.post("/api/v1/generate", json=EDIT, headers=ANN)
        assert_answered_at_once(await exchange(edge, "/api/v1/generate", ANN), 429, b"RATE_LIMITED")


async def test_a_wrong_key_answers_before_the_body_is_read():
    async with open_edge(KEYS) as edge:
        assert_answered_at_once(await exchange(edge, "/api/v1/generate"), 401, b"UNAUTHORIZED")


async def test_a_body_that_declares_too_much_is_answered_before_it_is_read():
    async with open_edge(Config(api=ApiConfig(max_request_size_mb=1))) as edge:
        assert_answered_at_once(await exchange(edge, "/api/v1/generate"), 413, b"PAYLOAD_TOO_LARGE")


async def test_a_refusal_says_when_to_come_back(edge: Edge):
    edge.queue.full = FULL
    answer = await edge.client.post("/api/v1/generate", json=EDIT)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


async def test_a_repeated_submission_finds_its_job_though_the_queue_is_full(edge: Edge):
    headers = {"Idempotency-Key": "k"}
    first = await edge.client.post("/api/v1/generate/async", json=EDIT, headers=headers)
    edge.queue.full = FULL
    again = await edge.client.post("/api/v1/generate/async", json=EDIT, headers=headers)
    assert (again.status_code, again.json()) == (200, first.json())


async def test_reading_goes_on_while_the_queue_is_full(edge: Edge):
    edge.queue.full = FULL
    assert (await edge.client.get("/api/v1/jobs")).status_code == 200
    assert (await edge.client.post("/nope")).status_code == 404
