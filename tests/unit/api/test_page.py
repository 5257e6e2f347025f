"""The page for people: open where the API is not, cached by content, nothing but its own files, no other host."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from api.bundle import BUILT, MEDIA_TYPES, read_bundle
from composition.config import ApiConfig, Config
from tests.unit.api.conftest import Edge, open_edge

ASSETS = sorted(f"/page/{path}" for path in read_bundle() if path != "index.html")
SCRIPT = next(path for path in ASSETS if path.endswith(".js"))
HOST = re.compile(rb"""https?://[\w.-]+""")
NAMES_OF_STANDARDS = {b"http://www.w3.org"}
"""XML namespaces: names, which nothing loads."""


async def test_the_entry_loads_only_what_is_served_beside_it(edge: Edge):
    answer = await edge.client.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert SCRIPT in loaded
    for path in loaded:
        assert (await edge.client.get(path)).status_code == 200, path
    assert "<style" not in answer.text
    assert re.findall(r"<script(?![^>]*\bsrc=)", answer.text) == []


@pytest.mark.parametrize("path", ["/", *ASSETS])
async def test_every_file_has_its_type_and_the_policy_that_allows_no_other_host(edge: Edge, path: str):
    answer = await edge.client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == MEDIA_TYPES[Path(path).suffix or ".html"]
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert set(HOST.findall(answer.content)) <= NAMES_OF_STANDARDS


async def test_a_named_file_is_kept_for_good_and_the_entry_is_asked_for_again(edge: Edge):
    assert "immutable" in (await edge.client.get(SCRIPT)).headers["cache-control"]
    entry = await edge.client.get("/")
    assert entry.headers["cache-control"] == "no-cache"
    known = {"If-None-Match": f'"other", W/{entry.headers["etag"]}'}
    again = await edge.client.get("/", headers=known)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", entry.headers["etag"])
    assert (await edge.client.get("/", headers={"If-None-Match": '"other"'})).status_code == 200


async def test_a_compressed_answer_holds_the_same_and_has_its_own_tag(edge: Edge):
    async def raw(encoding: str) -> tuple[bytes, str | None, str]:
        request = edge.client.build_request("GET", SCRIPT, headers={"Accept-Encoding": encoding})
        answer = await edge.client.send(request, stream=True)
        body = b"".join([chunk async for chunk in answer.aiter_raw()])
        assert answer.headers["vary"] == "Accept-Encoding"
        return body, answer.headers.get("content-encoding"), answer.headers["etag"]

    plain, plain_encoding, plain_tag = await raw("identity")
    packed, packed_encoding, packed_tag = await raw("br, gzip")
    assert (plain_encoding, packed_encoding) == (None, "gzip")
    assert gzip.decompress(packed) == plain
    assert len(packed) < len(plain) / 2
    assert plain_tag != packed_tag


@pytest.mark.parametrize("path", ["/", SCRIPT])
async def test_head_answers_what_get_does_without_the_body(edge: Edge, path: str):
    got, headed = await edge.client.get(path), await edge.client.head(path)
    assert (headed.status_code, headed.content) == (200, b"")
    for name in ("content-type", "content-length", "etag", "cache-control"):
        assert headed.headers[name] == got.headers[name], name


@pytest.mark.parametrize(
    "path",
    [
        "/page/",
        "/page/index.html",
        "/page/gallery.html",
        "/page/../config.yaml",
        "/page/%2e%2e/%2e%2e/config.yaml",
        "/page/..%2f..%2fservice.py",
        "/page//etc/passwd",
        "/page/assets/../../src/main.tsx",
        "/page/assets",
        f"{SCRIPT}/",
        f"{SCRIPT}%00.css",
    ],
)
async def test_there_is_nothing_but_the_files_of_the_build(edge: Edge, path: str):
    answer = await edge.client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_the_page_is_only_read(edge: Edge, method: str):
    answer = await edge.client.request(method, "/")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "METHOD_NOT_ALLOWED")


async def test_the_page_needs_no_key_and_the_api_does():
    async with open_edge(Config(api=ApiConfig(api_keys={"ann": "secret"}))) as edge:
        for path in ("/", SCRIPT, "/openapi.json"):
            assert (await edge.client.get(path)).status_code == 200, path
        for path in ("/api/v1/jobs", "/pages", "/page"):
            assert (await edge.client.get(path)).status_code == 401, path


@pytest.mark.parametrize("closed", [{"page": False}, {"docs": False}])
async def test_the_page_can_be_closed_by_itself_and_with_the_documentation(closed: dict[str, bool]):
    async with open_edge(Config(api=ApiConfig(**closed))) as edge:
        assert (await edge.client.get(SCRIPT)).status_code == 404
        entry = await edge.client.get("/")
        assert SCRIPT not in entry.text
        assert entry.status_code == (404 if "docs" in closed else 200)


def test_a_folder_without_a_page_says_how_to_build_one(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="make page"):
        read_bundle(tmp_path)


def test_nothing_of_the_machine_that_built_it_is_in_the_page():
    for path in (*BUILT.rglob("*.js"), *BUILT.rglob("*.css"), *BUILT.rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"/(?:home|root|work|tmp|Users)/|node_modules|localhost|127\.0\.0\.1", text) == [], path
        assert "sourceMappingURL" not in text


def test_the_lock_file_names_no_registry():
    lock = (BUILT.parent / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
    assert '"integrity": "sha512-' in lock
