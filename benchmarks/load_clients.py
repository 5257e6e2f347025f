"""The crowd of `make load`: clients that edit, ask, follow and send rubbish, and the account of what they were told."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from PIL import Image, ImageDraw

PHOTOS = 12
SIDE_PX = 256
STEPS = 2
FOLLOW_LIMIT_S = 20.0
ANSWER_LIMIT_S = 150.0
"""Longer than the service's own limit: who waits longer was forgotten."""
MAX_PAUSE_S = 1.0
BUSY = 503
BEAT_S = 0.25
STALL_S = 1.0
"""A crowd that the machine keeps waiting for so long lets its own connections lapse."""
GARBAGE = range(400, 500)


@dataclass
class Account:
    """What the crowd was told; `wrong` must stay empty.

    Attributes:
        answers: how often which status, by kind of request.
        times_s: of the answers, by kind of request.
        accepted: the ids of the jobs that were accepted in the background.
        lapsed: connections that broke while the crowd itself stood still.
        stalls: when it did, from and to, by the monotonic clock.
    """

    answers: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    times_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    accepted: list[str] = field(default_factory=list)
    wrong: Counter[str] = field(default_factory=Counter)
    lapsed: int = 0
    stalls: list[tuple[float, float]] = field(default_factory=list)

    def note_broken(self, kind: str, error: Exception, *, since: float, until: float) -> None:
        """A connection that broke, by the monotonic clock; the service's fault unless the crowd itself stood still."""
        if any(begin < until and end > since for begin, end in self.stalls):
            self.lapsed += 1
        else:
            self.wrong[f"{kind}: {type(error).__name__}: {error}"] += 1

    def note(self, kind: str, answer: httpx.Response, seconds: float, *, expected: range | tuple[int, ...]) -> None:
        """An answer: one of those expected, or 503 that says when to come again."""
        status = answer.status_code
        self.answers[kind][status] += 1
        self.times_s[kind].append(seconds)
        if status == BUSY and "Retry-After" not in answer.headers:
            self.wrong[f"{kind}: 503 without Retry-After"] += 1
        elif status != BUSY and status not in expected:
            self.wrong[f"{kind}: {status} {answer.text[:200]}"] += 1


class Crowd:
    """So many clients for so long, each doing one thing after another as the dice fall.

    Args:
        url: of the service.
        account: is filled.
        seed: of the dice.
    """

    def __init__(self, url: str, account: Account, *, seed: int) -> None:
        self._url = url
        self._account = account
        self._rng = random.Random(seed)
        self._photos = [photo(number) for number in range(PHOTOS)]
        self._until = 0.0
        self._actions: Mapping[Callable[[httpx.AsyncClient], Awaitable[None]], int] = {
            self._generate: 20, self._submit: 20, self._analyze: 10, self._status: 20, self._follow: 10,
            self._list: 5, self._health: 5, self._send_garbage: 9, self._break_off: 1,
        }  # fmt: skip

    async def run(self, *, clients: int, seconds: float) -> None:
        """Returns when the last client has had its last answer."""
        self._until = time.monotonic() + seconds
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=clients, keepalive_expiry=2)
        async with httpx.AsyncClient(base_url=self._url, timeout=ANSWER_LIMIT_S, limits=limits) as client:
            watching = asyncio.create_task(self._watch_itself())
            await asyncio.gather(*(self._visit(client) for _ in range(clients)))
            watching.cancel()

    async def _watch_itself(self) -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(BEAT_S)
            now = time.monotonic()
            if now - last - BEAT_S > STALL_S:
                self._account.stalls.append((last, now))
            last = now

    async def _visit(self, client: httpx.AsyncClient) -> None:
        actions, weights = list(self._actions), list(self._actions.values())
        await asyncio.sleep(self._rng.uniform(0, 1))
        while time.monotonic() < self._until:
            (action,) = self._rng.choices(actions, weights)
            began_at = time.monotonic()
            try:
                await action(client)
            except (httpx.TransportError, OSError) as error:
                await asyncio.sleep(2 * BEAT_S)  # a stall that is just over has been seen then
                until = time.monotonic()
                self._account.note_broken(action.__name__, error, since=began_at, until=until)
            await asyncio.sleep(self._rng.uniform(0.1, MAX_PAUSE_S))

    async def _generate(self, client: httpx.AsyncClient) -> None:
        await self._ask(client, "generate", "POST", "/api/v1/generate", expected=(200,), json=self._edit())

    async def _submit(self, client: httpx.AsyncClient) -> None:
        answer = await self._ask(client, "async", "POST", "/api/v1/generate/async", expected=(200,), json=self._edit())
        if answer.status_code == 200:
            self._account.accepted.append(answer.json()["job_id"])

    async def _analyze(self, client: httpx.AsyncClient) -> None:
        await self._ask(client, "analyze", "POST", "/api/v1/analyze", expected=(200,), json=self._edit())

    async def _status(self, client: httpx.AsyncClient) -> None:
        if self._account.accepted:
            path = f"/api/v1/status/{self._rng.choice(self._account.accepted)}"
            await self._ask(client, "status", "GET", path, expected=(200,))

    async def _list(self, client: httpx.AsyncClient) -> None:
        await self._ask(client, "jobs", "GET", "/api/v1/jobs", expected=(200,))

    async def _health(self, client: httpx.AsyncClient) -> None:
        await self._ask(client, "health", "GET", "/api/v1/health", expected=(200,))

    async def _follow(self, client: httpx.AsyncClient) -> None:
        """To the stream's end, or until it gets boring."""
        if not self._account.accepted:
            return
        path = f"/api/v1/jobs/{self._rng.choice(self._account.accepted)}/events"
        began_at = time.perf_counter()
        try:
            async with asyncio.timeout(FOLLOW_LIMIT_S), client.stream("GET", path) as answer:
                self._account.note("events", answer, time.perf_counter() - began_at, expected=(200,))
                async for _ in answer.aiter_bytes():
                    pass
        except TimeoutError:
            return

    async def _send_garbage(self, client: httpx.AsyncClient) -> None:
        method, path, request = self._rng.choice(_garbage(self._edit()))
        await self._ask(client, "garbage", method, path, expected=GARBAGE, **request)

    async def _break_off(self, client: httpx.AsyncClient) -> None:
        """In the middle of a body."""
        url = client.base_url
        _, writer = await asyncio.open_connection(url.host, url.port)
        headers = b"Host: x\r\nContent-Type: application/json\r\nContent-Length: 999999\r\n\r\n"
        writer.write(
            b"POST /api/v1/generate HTTP/1.1\r\n" + headers + b'{"base_image": "' + b"A" * self._rng.randrange(200_000)
        )
        await writer.drain()
        writer.transport.abort()

    async def _ask(
        self,
        client: httpx.AsyncClient,
        kind: str,
        method: str,
        path: str,
        *,
        expected: range | tuple[int, ...],
        **request: Any,
    ) -> httpx.Response:
        began_at = time.perf_counter()
        answer = await client.request(method, path, **request)
        self._account.note(kind, answer, time.perf_counter() - began_at, expected=expected)
        return answer

    def _edit(self) -> dict[str, Any]:
        return edit(self._rng.choice(self._photos), seed=self._rng.randrange(2**32))


def edit(base_image: str, *, seed: int) -> dict[str, Any]:
    """The shortest there is."""
    return {
        "base_image": base_image,
        "prompt": "a red hat",
        "config": {"num_inference_steps": STEPS, "seed": seed},
    }


def photo(number: int) -> str:
    """A JPEG in base64, another one for every number."""
    rng = random.Random(number)
    image = Image.new("RGB", (SIDE_PX, SIDE_PX), tuple(rng.randbytes(3)))
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = rng.randrange(SIDE_PX), rng.randrange(SIDE_PX)
        draw.ellipse((x, y, x + rng.randrange(20, 120), y + rng.randrange(20, 120)), fill=tuple(rng.randbytes(3)))
    file = io.BytesIO()
    image.save(file, "JPEG")
    return base64.b64encode(file.getvalue()).decode()


def _garbage(good: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Requests that must be refused, each for what it is."""
    generate, typed = "/api/v1/generate", {"Content-Type": "application/json"}
    cut = json.dumps(good)[:-30]
    return [
        ("POST", generate, {"content": b"\x80\x04N.", "headers": typed}),
        ("POST", generate, {"content": cut, "headers": typed}),
        ("POST", generate, {"content": b"[" + b"{}," * 100_000 + b"{}]", "headers": typed}),
        ("POST", generate, {"content": json.dumps(good), "headers": {"Content-Type": "text/plain"}}),
        ("POST", generate, {"json": {**good, "surprise": 1}}),
        ("POST", generate, {"json": {**good, "base_image": good["base_image"][:-400]}}),
        ("POST", generate, {"json": {**good, "base_image": base64.b64encode(b"GIF89a" * 5000).decode()}}),
        ("POST", generate, {"json": {**good, "base_image": "http://127.0.0.1:1/x.png"}}),
        ("POST", "/api/v1/generate/async", {"json": {**good, "callback_url": "http://127.0.0.1:1/"}}),
        ("POST", "/compose", {"files": {"request": ("request", "{}", "application/json")}}),
        ("GET", "/api/v1/status/not-a-job", {}),
        ("GET", "/api/v1/jobs?limit=0", {}),
        ("PUT", generate, {}),
        ("GET", "/nope", {}),
    ]
