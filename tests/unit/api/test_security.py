"""The guards as plain ASGI middlewares around an app that knows nothing of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import Receive, Scope, Send

from api.app import create_app
from api.security import guards
from api.security.answers import refuse
from api.security.api_keys import ApiKeyGuard
from api.security.body_limit import BODIES_AT_ONCE, BodyLimitGuard
from api.security.buckets import MAX_CLIENTS, TokenBuckets
from api.security.failures import FailureGuard, UnknownPathGuard
from api.security.rate_limit import RateLimitGuard
from api.security.wrong_keys import WRONG_KEYS_PER_MINUTE
from composition.config import ApiConfig, Config
from composition.errors import QueueFull
from tests.fakes.loop_time import frozen_loop_time
from tests.unit.api.conftest import open_edge
from tests.unit.api.images import photo

LIMIT = 1000


async def whole_body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ConnectionError("the client has left")
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return body


async def reading_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the whole body and answers its length and who sent it."""
    body = await whole_body(receive)
    owner = scope.get("state", {}).get("owner")
    await JSONResponse({"length": len(body), "owner": owner})(scope, receive, send)


def client_of(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://service")


async def chunks(count: int, size: int = 100) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield bytes(size)


async def test_a_body_at_the_limit_passes():
    async with client_of(BodyLimitGuard(reading_app, max_body_bytes=LIMIT)) as client:
        assert (await client.post("/", content=bytes(LIMIT))).json()["length"] == LIMIT
        assert (await client.post("/", content=chunks(10))).json()["length"] == LIMIT


@pytest.mark.parametrize("content", ["declared", "chunked"])
async def test_a_body_over_the_limit_answers_413_and_closes(content: str):
    async with client_of(BodyLimitGuard(reading_app, max_body_bytes=LIMIT)) as client:
        response = await client.post("/", content=bytes(LIMIT + 1) if content == "declared" else chunks(11))
    assert response.status_code == 413
    assert response.json()["error"] == {
        "code": "PAYLOAD_TOO_LARGE",
        "message": "the request body is larger than 0.000953674 MB",
        "details": {"max_bytes": LIMIT},
    }
    assert response.headers["connection"] == "close"


async def test_an_app_that_answers_whatever_it_got_cannot_hide_a_body_over_the_limit():
    async def careless(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] == "http.request":
            pass
        await PlainTextResponse("fine")(scope, receive, send)

    async with client_of(BodyLimitGuard(careless, max_body_bytes=LIMIT)) as client:
        assert (await client.post("/", content=chunks(11))).status_code == 413


async def test_an_app_that_answers_without_reading_is_left_alone():
    async def early(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("no thanks")(scope, receive, send)

    async with client_of(BodyLimitGuard(early, max_body_bytes=LIMIT)) as client:
        assert (await client.post("/", content=chunks(11))).text == "no thanks"


async def test_bodies_share_a_budget_that_is_given_back():
    reading = asyncio.Semaphore(0)
    go_on = asyncio.Event()

    async def holding(scope: Scope, receive: Receive, send: Send) -> None:
        await whole_body(receive)
        reading.release()
        await go_on.wait()
        await PlainTextResponse("fine")(scope, receive, send)

    guard = BodyLimitGuard(holding, max_body_bytes=LIMIT)
    async with AsyncExitStack() as stack:
        ann, bob, eve = [
            await stack.enter_async_context(client_of(owned(guard, name))) for name in ("ann", "bob", "eve")
        ]
        held = []
        for client in (ann, bob):
            held += [asyncio.create_task(client.post("/", content=bytes(LIMIT))) for _ in range(BODIES_AT_ONCE // 2)]
            for _ in range(BODIES_AT_ONCE // 2):
                await reading.acquire()
            refused = await client.post("/", content=b"one too many of this client's")
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "QUEUE_FULL")
            assert refused.headers["retry-after"] == "5"
        assert (await eve.post("/", content=b"one too many of all")).status_code == 503
        go_on.set()
        assert [answer.status_code for answer in await asyncio.gather(*held)] == [200] * BODIES_AT_ONCE
        assert (await ann.post("/", content=bytes(LIMIT))).status_code == 200


def owned(app: Any, owner: str) -> Any:
    """As the guard of API keys hands requests on."""

    async def of_owner(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {"owner": owner}}, receive, send)

    return of_owner


async def test_a_body_that_stalls_is_given_up():
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-length", b"10")]}
    guard = BodyLimitGuard(reading_app, max_body_bytes=LIMIT, stall_timeout_s=0.02)
    await guard(scope, asyncio.Event().wait, send)
    assert sent[0]["status"] == 504
    assert b'"TIMEOUT"' in sent[1]["body"]


@pytest.mark.parametrize(("piece_bytes", "given_up_after_s"), [(1, 25), (4 * 1024, 30), (10 * 1024, None)])
async def test_a_body_that_drips_is_given_up(piece_bytes: int, given_up_after_s: int | None):
    """A piece every ten seconds: none stalls, but of a byte or 4 KB each they are too slow."""
    statuses: list[int] = []

    async def dripping() -> dict[str, Any]:
        await asyncio.sleep(10)
        return {"type": "http.request", "body": bytes(piece_bytes), "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        statuses.append(message.get("status", 0))

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"transfer-encoding", b"chunked")]}
    guard = BodyLimitGuard(reading_app, max_body_bytes=1 << 20, stall_timeout_s=20)
    with frozen_loop_time() as time:
        answering = asyncio.create_task(guard(scope, dripping, send))
        for passed_s in range(0, 200, 5):
            assert statuses[:1] == ([504] if given_up_after_s and passed_s >= given_up_after_s else []), passed_s
            await time.advance(5)
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)


async def test_what_an_app_takes_for_a_body_does_not_make_its_sender_slow():
    async def sending() -> dict[str, Any]:
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(10):
            assert (await receive())["type"] == "http.request"
            await asyncio.sleep(30)
        await PlainTextResponse("fine")(scope, receive, send)

    statuses: list[int] = []

    async def send(message: dict[str, Any]) -> None:
        statuses.append(message.get("status", 0))

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"transfer-encoding", b"chunked")]}
    with frozen_loop_time() as time:
        guard = BodyLimitGuard(slow, max_body_bytes=1 << 20, stall_timeout_s=20)
        answering = asyncio.create_task(guard(scope, sending, send))
        while not answering.done():
            await time.advance(30)
    await answering
    assert statuses[0] == 200


async def test_an_app_is_told_that_a_body_that_stalls_will_not_come():
    got: list[dict[str, Any]] = []

    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        got.append(dict(await receive()))

    async def send(message: dict[str, Any]) -> None:
        pass

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-length", b"10")]}
    guard = BodyLimitGuard(reading, max_body_bytes=LIMIT, stall_timeout_s=0.02)
    await guard(scope, asyncio.Event().wait, send)
    assert got == [{"type": "http.disconnect"}]


async def test_a_client_may_wait_for_its_answer_longer_than_a_body_may_stall():
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await whole_body(receive)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.06):
                await receive()
        await PlainTextResponse("fine")(scope, receive, send)

    async with client_of(BodyLimitGuard(slow, max_body_bytes=LIMIT, stall_timeout_s=0.02)) as client:
        assert (await client.post("/", content=b"x")).text == "fine"


async def test_an_endless_body_is_given_up():
    received = 0

    async def endless() -> dict[str, Any]:
        nonlocal received
        received += 100
        return {"type": "http.request", "body": bytes(100), "more_body": True}

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"transfer-encoding", b"chunked")]}
    await BodyLimitGuard(reading_app, max_body_bytes=LIMIT)(scope, endless, send)
    assert sent[0]["status"] == 413
    assert LIMIT < received < 10 * LIMIT


@pytest.mark.parametrize("declared", [b"\xb2", b"-1", b"1e9", b""])
async def test_a_length_that_is_no_number_is_left_to_the_server(declared: bytes):
    async def nothing() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-length", declared)]}
    await BodyLimitGuard(reading_app, max_body_bytes=LIMIT)(scope, nothing, send)
    assert sent[0]["status"] == 200


async def test_who_waits_for_leave_to_send_is_answered_without_it():
    async def never() -> dict[str, Any]:
        raise AssertionError("the body was asked for")

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"content-length", b"5000"), (b"expect", b"100-continue")]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    await BodyLimitGuard(reading_app, max_body_bytes=LIMIT)(scope, never, send)
    assert sent[0]["status"] == 413


async def test_an_error_of_the_app_within_the_limit_is_not_taken_for_ours():
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("bug")

    with pytest.raises(ValueError, match="bug"):
        async with client_of(BodyLimitGuard(failing, max_body_bytes=LIMIT)) as client:
            await client.post("/", content=b"x")


KEYS = {"ann": SecretStr("key-of-ann"), "bob": SecretStr("key-of-bob")}


def guarded() -> httpx.AsyncClient:
    return client_of(ApiKeyGuard(reading_app, api_keys=KEYS, max_body_bytes=LIMIT))


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer key-of-bob"},
        {"Authorization": "bearer  key-of-bob"},
        {"X-API-Key": "key-of-bob"},
    ],
)
async def test_a_known_key_makes_its_name_the_owner(headers: dict[str, str]):
    async with guarded() as client:
        assert (await client.post("/compose", headers=headers)).json()["owner"] == "bob"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer nobody"},
        {"Authorization": "Basic key-of-bob"},
        {"Authorization": "key-of-bob"},
        {"X-API-Key": ""},
        {"X-API-Key": "key-of-bo"},
        {"X-API-Key": "key-of-bobb"},
        {"X-API-Key": "bob"},
        {"X-API-Key": b"\xff\xfe"},
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/jobs", "/compose", "/metrics", "/nope", "/api/v1/healthy"])
async def test_no_known_key_answers_401(headers: dict[str, str], path: str):
    async with guarded() as client:
        response = await client.post(path, headers=headers, content=b"some body")
    assert (response.status_code, response.json()["error"]["code"]) == (401, "UNAUTHORIZED")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/api/v1/health", "/livez", "/readyz", "/docs", "/docs.json", "/openapi.json"])
async def test_probes_and_documentation_need_no_key(path: str):
    async with guarded() as client:
        assert (await client.get(path)).status_code == 200


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


async def post_from(client_address: str, guard: RateLimitGuard, *, method: str = "POST", path: str = "/compose") -> int:
    transport = httpx.ASGITransport(app=guard, client=(client_address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        return (await client.request(method, path)).status_code


async def test_a_client_may_burst_up_to_its_minute_and_then_waits_for_the_refill():
    clock = Clock()
    guard = RateLimitGuard(reading_app, per_minute=6, max_body_bytes=LIMIT, clock=clock)
    assert [await post_from("10.0.0.1", guard) for _ in range(7)] == [200] * 6 + [429]
    clock.now_s += 10
    assert [await post_from("10.0.0.1", guard) for _ in range(2)] == [200, 429]
    clock.now_s += 3600
    assert [await post_from("10.0.0.1", guard) for _ in range(7)] == [200] * 6 + [429]


async def test_a_limited_answer_says_when_to_come_back():
    guard = RateLimitGuard(reading_app, per_minute=6, max_body_bytes=LIMIT, clock=Clock())
    async with client_of(guard) as client:
        responses = [await client.post("/compose") for _ in range(7)]
    assert responses[-1].json()["error"]["code"] == "RATE_LIMITED"
    assert responses[-1].headers["retry-after"] == "10"


async def test_one_client_s_burst_does_not_limit_another():
    guard = RateLimitGuard(reading_app, per_minute=1, max_body_bytes=LIMIT, clock=Clock())
    assert [await post_from(address, guard) for address in ("10.0.0.1", "10.0.0.1", "10.0.0.2")] == [200, 429, 200]


async def test_keys_behind_one_address_are_counted_apart():
    limited = RateLimitGuard(reading_app, per_minute=1, max_body_bytes=LIMIT, clock=Clock())
    async with client_of(ApiKeyGuard(limited, api_keys=KEYS, max_body_bytes=LIMIT)) as client:
        statuses = [
            (await client.post("/compose", headers={"X-API-Key": key})).status_code
            for key in ("key-of-ann", "key-of-ann", "key-of-bob")
        ]
    assert statuses == [200, 429, 200]


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD"])
async def test_reading_and_cancelling_are_not_counted(method: str):
    guard = RateLimitGuard(reading_app, per_minute=1, max_body_bytes=LIMIT, clock=Clock())
    assert [await post_from("10.0.0.1", guard, method=method, path="/api/v1/jobs") for _ in range(5)] == [200] * 5


def test_buckets_are_bounded():
    buckets = TokenBuckets(1, clock=Clock())
    for number in range(MAX_CLIENTS + 10):
        buckets.take(f"address:{number}")
    assert len(buckets) == MAX_CLIENTS


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:0:aaaa:bbbb:cccc:dddd", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("10.0.0.1", "10.0.0.2", False),
        ("somewhere", "somewhere", True),
    ],
)
async def test_an_ipv6_network_counts_as_one_client(one: str, other: str, same: bool):
    guard = RateLimitGuard(reading_app, per_minute=1, max_body_bytes=LIMIT, clock=Clock())
    assert [await post_from(address, guard) for address in (one, other)] == [200, 429 if same else 200]


async def ask(guard: ApiKeyGuard, key: str, address: str = "10.0.0.1") -> httpx.Response:
    transport = httpx.ASGITransport(app=guard, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        return await client.get("/api/v1/jobs", headers={"X-API-Key": key})


async def test_an_address_that_guesses_keys_is_slowed_down_and_told_nothing():
    clock = Clock()
    guard = ApiKeyGuard(reading_app, api_keys=KEYS, max_body_bytes=LIMIT, clock=clock)
    statuses = [(await ask(guard, f"guess-{number}")).status_code for number in range(WRONG_KEYS_PER_MINUTE + 1)]
    assert statuses == [401] * WRONG_KEYS_PER_MINUTE + [429]
    right = await ask(guard, "key-of-ann")
    wrong = await ask(guard, "guess")
    assert (right.status_code, right.json()) == (wrong.status_code, wrong.json())
    assert right.json()["error"]["code"] == "RATE_LIMITED"
    assert int(right.headers["retry-after"]) >= 1
    assert (await ask(guard, "key-of-ann", address="10.0.0.2")).status_code == 200
    clock.now_s += 60
    assert (await ask(guard, "key-of-ann")).status_code == 200


async def test_who_has_been_let_in_is_not_locked_out_by_another_at_the_same_address():
    guard = ApiKeyGuard(reading_app, api_keys=KEYS, max_body_bytes=LIMIT, clock=Clock())
    assert (await ask(guard, "key-of-ann")).status_code == 200
    for _ in range(WRONG_KEYS_PER_MINUTE):
        await ask(guard, "guess")
    assert (await ask(guard, "key-of-ann")).status_code == 200
    assert (await ask(guard, "key-of-bob")).status_code == 429


async def test_an_exception_becomes_an_opaque_500():
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("secret")

    async with client_of(FailureGuard(failing)) as client:
        response = await client.get("/")
    assert (response.status_code, response.json()["error"]["code"]) == (500, "INTERNAL")
    assert "secret" not in response.text


async def test_an_exception_after_the_start_ends_the_answer_without_a_second_one():
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("secret")

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await FailureGuard(failing)({"type": "http"}, asyncio.Event().wait, send)
    assert [message["type"] for message in sent] == ["http.response.start"]


@pytest.mark.parametrize(
    ("inner", "status", "code"),
    [
        (PlainTextResponse("Not Found", 404), 404, "NOT_FOUND"),
        (PlainTextResponse("Method Not Allowed", 405, {"Allow": "POST"}), 405, "METHOD_NOT_ALLOWED"),
        (PlainTextResponse("", 307, {"Location": "/x"}), 404, "NOT_FOUND"),
    ],
)
async def test_a_bare_refusal_of_an_outer_router_is_put_into_the_envelope(
    inner: PlainTextResponse, status: int, code: str
):
    async with client_of(UnknownPathGuard(inner)) as client:
        response = await client.get("/x")
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert response.headers.get("allow") == inner.headers.get("allow")


@pytest.mark.parametrize(
    "inner", [JSONResponse({"a": 1}, 404), PlainTextResponse("fine"), PlainTextResponse("no", 503)]
)
async def test_other_answers_pass_untouched(inner: PlainTextResponse):
    async with client_of(UnknownPathGuard(inner)) as client:
        response = await client.get("/x")
    assert (response.status_code, response.content) == (inner.status_code, inner.body)


def test_only_what_is_configured_stands_guard():
    names = [cls.__name__ for cls, _ in guards(ApiConfig(), create_app())]
    assert names[:3] == ["ObservationGuard", "FailureGuard", "UnknownPathGuard"]
    assert names[3:] == ["ForeignPageGuard", "AnswerBudgetGuard", "BodyLimitGuard", "AdmissionGuard"]
    everything = ApiConfig(api_keys=KEYS, rate_limit_per_minute=5, cors_origins=("https://shop.example",))
    names = [cls.__name__ for cls, _ in guards(everything, create_app())]
    assert names[3:] == [
        "CORSMiddleware",
        "ApiKeyGuard",
        "AnswerBudgetGuard",
        "RateLimitGuard",
        "BodyLimitGuard",
        "AdmissionGuard",
    ]


async def test_a_browser_s_preflight_needs_no_key():
    config = Config(api=ApiConfig(api_keys=KEYS, cors_origins=("https://shop.example",)))
    headers = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    async with open_edge(config) as edge:
        response = await edge.client.options("/api/v1/generate", headers=headers)
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == "https://shop.example"
        refused = await edge.client.post(
            "/api/v1/generate", json={"base_image": photo(), "prompt": "x"}, headers={"Origin": "https://shop.example"}
        )
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == "https://shop.example"


async def test_start_and_end_of_the_server_pass_the_guards():
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    stacked: Any = app
    everything = ApiConfig(api_keys=KEYS, rate_limit_per_minute=5)
    for cls, options in reversed(guards(everything, create_app())):
        stacked = cls(stacked, **options)
    await stacked({"type": "lifespan"}, None, None)
    assert seen == ["lifespan"]


async def test_only_a_request_with_a_body_costs_its_connection():
    """A refused request's body may not be taken for the next request; without one the connection stays."""

    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        await refuse(QueueFull("busy"), scope, receive, send, max_body_bytes=LIMIT)

    async with client_of(refusing) as client:
        for content, closes in ((None, False), (b"", False), (b"x", True), (chunks(2), True)):
            response = await client.post("/", content=content)
            assert (response.status_code, response.headers.get("connection") == "close") == (503, closes)
