"""Every status that a caller can bring about, against a running service, always in the envelope."""

from __future__ import annotations

import json
import socket
import struct
import zlib

import pytest
from PIL import Image

from tests.e2e.black_box.client import Client, Refused, check_envelope
from tests.e2e.images import b64, encoded, photo

GENERATE = "/api/v1/generate"
ROUTES = (GENERATE, "/api/v1/generate/async", "/api/v1/analyze")
JSON = {"Content-Type": "application/json"}
UNKNOWN_ID = "2f4c7b0e-8d3a-4a58-9a2e-5d0c6f2b1e77"


def one_bit_png(side: int) -> bytes:
    """A black PNG of one bit per pixel."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    body = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def plain(side: int, kind: str = "png") -> bytes:
    return encoded(photo(side, side), kind)


def refused(client: Client, path: str, **body: object) -> Refused:
    answer = client.http.post(path, json=body)
    assert answer.status_code != 200
    return Refused(answer)


BODIES = {
    "no body": b"",
    "not JSON": b"{",
    "a list": b"[]",
    "null": b"null",
    "a number": b"1",
    "not UTF-8": b'{"prompt": "\xff"}',
    "deeply nested": b"[" * 20_000,
    "very many parts": b"[" + b"0," * 1_000_000 + b"0]",
    "half a character": b'{"\\ud800": "\\udfff"}',
}


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_no_request_is_a_400(client: Client, path, name):
    answer = client.http.post(path, content=BODIES[name], headers=JSON)
    assert answer.status_code == 400
    check_envelope(answer)


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    ("image", "status", "code"),
    [
        ("@@@", 400, "INVALID_INPUT"),
        ("data:image/png;base64,@@@", 400, "INVALID_INPUT"),
        ("", 400, "INVALID_INPUT"),
        (b64(b"a sentence"), 422, "UNPROCESSABLE_IMAGE"),
        (b64(plain(256)[:3000]), 422, "UNPROCESSABLE_IMAGE"),
        (b64(plain(100)), 422, "UNPROCESSABLE_IMAGE"),
        (b64(one_bit_png(4000)), 413, "PAYLOAD_TOO_LARGE"),
        (b64(one_bit_png(30_000)), 413, "PAYLOAD_TOO_LARGE"),
    ],
    ids=["bad", "bad data URL", "empty", "text", "truncated", "100x100", "4000x4000", "30000x30000 of one bit"],
)
def test_a_image_that_cannot_be_used_gets_its_status(client: Client, path, image, status, code):
    error = refused(client, path, base_image=image, prompt="a red hat")
    assert (error.status, error.code) == (status, code)


@pytest.mark.parametrize("file_format", ["GIF", "BMP", "TIFF"])
def test_an_unsupported_format_is_a_422(client: Client, tmp_path, file_format):
    path = tmp_path / "image"
    Image.new("RGB", (256, 256), "red").save(path, file_format)
    error = refused(client, GENERATE, base_image=b64(path.read_bytes()), prompt="a red hat")
    assert (error.status, error.code) == (422, "UNPROCESSABLE_IMAGE")


@pytest.mark.parametrize("field", ["base_image", "reference_image", "mask_image"])
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x.png",
        "http://localhost:22/x.png",
        "http://[::1]/x.png",
        "http://[::ffff:127.0.0.1]/x.png",
        "http://0.0.0.0/x.png",
        "http://10.0.0.1/x.png",
        "http://100.64.0.1/x.png",
        "http://169.254.169.254/latest/meta-data/",
        "http://2130706433/x.png",
        "http://user:secret@example.com/x.png",
        "http://no-such-host.invalid/x.png",
        "ftp://example.com/x.png",
        "file:///etc/passwd",
    ],
)
def test_a_url_that_must_not_or_cannot_be_fetched_is_a_422(client: Client, edit, field, url):
    error = refused(client, GENERATE, **{**edit, field: url})
    assert (error.status, error.code) == (422, "UNPROCESSABLE_URL")


def test_no_connection_is_made_to_a_private_address(client: Client, edit):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(1.0)
        port = listening.getsockname()[1]
        assert refused(client, GENERATE, **{**edit, "base_image": f"http://127.0.0.1:{port}/x.png"}).status == 422
        with pytest.raises(TimeoutError):
            listening.accept()


def megabytes(count: int):
    for _ in range(count):
        yield b"x" * 1_000_000


@pytest.mark.parametrize("path", [*ROUTES, "/compose"])
@pytest.mark.parametrize("way", ["declared", "chunked"])
def test_a_body_of_60_megabytes_is_a_413(client: Client, path, way):
    content = b"x" * 60_000_000 if way == "declared" else megabytes(60)
    answer = client.http.post(path, content=content, headers=JSON)
    assert answer.status_code == 413
    assert check_envelope(answer)[0] == "PAYLOAD_TOO_LARGE"


def test_a_body_of_one_field_below_the_limit_is_read(client: Client, edit):
    answer = client.http.post(GENERATE, json={**edit, "base_image": "A" * 40_000_000})
    assert (answer.status_code, check_envelope(answer)[0]) == (422, "UNPROCESSABLE_IMAGE")


@pytest.mark.parametrize("path", ["/nope", "/api", "/api/v1", "/api/v1/", "/api/v1/nope", "/api/v2/generate", "/%00"])
def test_an_unknown_path_is_a_404(client: Client, path):
    answer = client.http.get(path)
    assert (answer.status_code, check_envelope(answer)[0]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", GENERATE),
        ("GET", "/api/v1/generate/async"),
        ("GET", "/api/v1/analyze"),
        ("PUT", GENERATE),
        ("POST", "/api/v1/health"),
        ("POST", "/api/v1/jobs"),
        ("DELETE", f"/api/v1/status/{UNKNOWN_ID}"),
    ],
)
def test_a_wrong_method_is_a_405(client: Client, method, path):
    answer = client.http.request(method, path)
    assert (answer.status_code, check_envelope(answer)[0]) == (405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize("job_id", [UNKNOWN_ID, "1", "not-an-id", "..%2F..%2Fetc"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/status/{}"),
        ("DELETE", "/api/v1/jobs/{}"),
        ("GET", "/api/v1/jobs/{}/image"),
        ("GET", "/api/v1/jobs/{}/events"),
    ],
)
def test_an_unknown_job_is_a_404(client: Client, method, path, job_id):
    answer = client.http.request(method, path.format(job_id))
    assert (answer.status_code, check_envelope(answer)[0]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("query", ["status=done", "limit=0", "limit=x", "cursor=%00"])
def test_a_bad_query_is_a_400(client: Client, query):
    answer = client.http.get(f"/api/v1/jobs?{query}")
    assert (answer.status_code, check_envelope(answer)[0]) == (400, "INVALID_INPUT")


def test_health_is_as_specified(client: Client):
    health = client.health()
    assert health["status"] == "healthy"
    assert {"sd-inpainting", "grounding-dino"} <= set(health["models_loaded"])
    assert isinstance(health["gpu_available"], bool)
    assert isinstance(health["gpu_memory_free_mb"], int)


def test_the_documentation_shows_all_routes_with_examples_and_errors(client: Client):
    for path in ("/docs.json", "/openapi.json"):
        document = client.http.get(path).json()
        for route in (*ROUTES, "/api/v1/status/{job_id}", "/api/v1/jobs", "/api/v1/jobs/{job_id}", "/api/v1/health"):
            assert route in document["paths"], (path, route)
        operation = document["paths"][GENERATE]["post"]
        assert {"200", "400", "401", "409", "413", "422", "429", "500", "503", "504"} <= set(operation["responses"])
        for status in ("400", "413", "422", "503"):
            for example in operation["responses"][status]["content"]["application/json"]["examples"].values():
                assert example["value"]["success"] is False
        assert document["components"]["schemas"]["GenerateRequest"]["example"]["prompt"]


def test_metrics_name_routes_and_not_ids(client: Client):
    client.http.get(f"/api/v1/status/{UNKNOWN_ID}")
    text = client.http.get("/metrics").text
    assert 'route="/api/v1/status/{job_id}"' in text
    assert UNKNOWN_ID not in text


def test_the_native_route_answers_the_same_error(client: Client, edit):
    body = {**edit, "prompt": ""}
    rest = client.http.post(GENERATE, json=body)
    native = client.http.post("/compose", json={"request": body})
    assert (native.status_code, json.loads(native.text)) == (rest.status_code, rest.json())
