"""No input, however bad, gives a 500 or an answer outside the envelope."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from urllib.parse import quote

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.fetcher import GuardedFetcher
from composition.config import FetchConfig
from composition.errors import UnprocessableUrl
from tests.unit.api.conftest import open_edge
from tests.unit.api.images import base64_of, encoded, gradient, mask, photo

PATHS = ("/api/v1/generate", "/api/v1/generate/async", "/api/v1/analyze")
EXPECTED = {200, 400, 413, 422}
QUICK = settings(max_examples=30, suppress_health_check=list(HealthCheck))

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=6,
)
images = st.sampled_from(
    [
        photo(),
        "data:image/png;base64," + photo(),
        base64_of(encoded(mask())),
        base64_of(encoded(mask(filled=False))),
        base64_of(encoded(gradient(100, 100))),
        "http://127.0.0.1:1/x.png",
        "data:,",
        "aGk=",
    ]
) | st.text(max_size=30)
CONFIG_FIELDS = (
    "pipeline", "force_controlnet", "control_types", "num_inference_steps", "guidance_scale", "seed", "strength",
    "ip_adapter_scale", "controlnet_conditioning_scale", "target", "on_no_detection", "refine_mask", "loras", "crop",
    "mask_dilation_px", "mask_blur_px", "speed", "color_match", "sharpen", "output_format", "return_mask", "x",
)  # fmt: skip
bodies = st.fixed_dictionaries(
    {},
    optional={
        "base_image": images | anything,
        "prompt": st.text(max_size=20) | anything,
        "reference_image": images,
        "mask_image": images,
        "negative_prompt": anything,
        "callback_url": st.text(max_size=20) | anything,
        "session": st.text(max_size=20) | anything,
        "config": st.dictionaries(st.sampled_from(CONFIG_FIELDS), anything, max_size=4) | anything,
        "extra": anything,
    },
)


async def post(path: str, content: bytes, headers: Mapping[str, str] | None = None) -> httpx.Response:
    async with open_edge() as edge:
        sent = {"Content-Type": "application/json", **(headers or {})}
        return await edge.client.post(path, content=content, headers=sent)


def check(response: httpx.Response, expected: set[int] = EXPECTED) -> None:
    assert response.status_code in expected, response.text
    body = response.json()
    assert body["success"] is (response.status_code == 200)
    if not body["success"]:
        assert set(body["error"]) == {"code", "message", "details"}


@QUICK
@given(path=st.sampled_from(PATHS), body=bodies)
def test_bodies_that_nearly_fit_are_answered(path: str, body: dict[str, object]):
    check(asyncio.run(post(path, json.dumps(body).encode())))


@QUICK
@given(path=st.sampled_from(PATHS), content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_bodies_that_are_no_json_are_answered(path: str, content: bytes):
    check(asyncio.run(post(path, content)), {400})


form_pieces = st.sampled_from(
    [
        b"--x\r\n",
        b"\r\n--x",
        b"--",
        b"\r\n",
        b'Content-Disposition: form-data; name="prompt"\r\n',
        b"a: b\r\n",
        b'"; filename="',
    ]
)


@QUICK
@given(path=st.sampled_from(PATHS), pieces=st.lists(form_pieces | st.binary(max_size=10), max_size=12))
def test_bodies_that_are_nearly_forms_are_answered(path: str, pieces: list[bytes]):
    check(asyncio.run(post(path, b"".join(pieces), {"Content-Type": "multipart/form-data; boundary=x"})), {400})


@QUICK
@given(path=st.sampled_from(PATHS), body=anything)
def test_any_json_is_answered(path: str, body: object):
    check(asyncio.run(post(path, json.dumps(body).encode())), {400})


header_text = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


@QUICK
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"]),
    path=st.text(max_size=30),
    prefix=st.sampled_from(["/", "/api/v1/", "/api/v1/status/", "/api/v1/jobs/", "/api/v1/jobs?cursor="]),
    key=header_text,
)
def test_any_path_and_header_is_answered(method: str, path: str, prefix: str, key: str):
    async def ask() -> httpx.Response:
        async with open_edge() as edge:
            headers = {"Idempotency-Key": key, "Last-Event-ID": key, "X-API-Key": key, "X-Request-ID": key}
            return await edge.client.request(method, prefix + quote(path, safe="/."), headers=headers)

    response = asyncio.run(ask())
    assert response.status_code in {200, 400, 404, 405}, response.text
    if response.status_code != 200 and method != "HEAD":
        assert set(response.json()) == {"success", "error"}


@QUICK
@given(
    url=st.text(max_size=40)
    | st.text(max_size=30).map("http://".__add__)
    | st.text(max_size=20).map("https://[".__add__)
)
def test_any_url_is_refused_or_unreachable(url: str):
    async def nowhere(host: str, port: int) -> list[str]:
        raise OSError("no network here")

    async def fetch() -> None:
        try:
            await GuardedFetcher(FetchConfig(timeout_s=1), resolve=nowhere).fetch(url)
        except UnprocessableUrl:
            return
        raise AssertionError("something was fetched")

    asyncio.run(fetch())
