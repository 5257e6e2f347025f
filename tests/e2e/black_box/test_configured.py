"""A service with keys, a rate limit and leave to reach private addresses: images by URL and webhooks for real."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests.e2e.black_box.client import Client, Refused, check_envelope, eventually
from tests.e2e.conftest import KEYS, PER_MINUTE, WEBHOOK_SECRET
from tests.e2e.images import b64, encoded, photo

QUICK = {"num_inference_steps": 2, "seed": 7, "pipeline": "simple"}
WRONG_KEYS_PER_MINUTE = 60
MOST_REQUESTS = 1000
"""The rate gives a request back every second: any machine sends them faster than that."""


def client_with(url: str, name: str) -> Client:
    client = Client(url)
    client.http.headers["Authorization"] = f"Bearer {KEYS[name]}"
    return client


@pytest.fixture(scope="module")
def ann(keyed_url) -> Iterator[Client]:
    client = client_with(keyed_url, "ann")
    yield client
    client.close()


@pytest.fixture(scope="module")
def bob(keyed_url) -> Iterator[Client]:
    client = client_with(keyed_url, "bob")
    yield client
    client.close()


@dataclass
class Site:
    """A shop's web server: images, and a hook that refuses the first call."""

    url: str = ""
    hooks: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    shop = Site()
    image = encoded(photo(256, 300), "jpeg")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = {"/car.jpg": image, "/huge.jpg": bytes(2_000_000), "/page.html": b"<html>"}.get(self.path)
            if self.path == "/moved.jpg":
                self.send_response(302)
                self.send_header("Location", "/car.jpg")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            shop.hooks.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(503 if len(shop.hooks) == 1 else 204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    shop.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield shop
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("path", ["/car.jpg", "/moved.jpg"])
def test_a_image_is_fetched_from_its_url(ann: Client, site: Site, path: str):
    result = ann.generate(base_image=site.url + path, prompt="a red hat", config=QUICK)
    assert result["metadata"]["input_resolution"] == "300x256"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/huge.jpg", 413, "PAYLOAD_TOO_LARGE"),
        ("/gone.jpg", 422, "UNPROCESSABLE_URL"),
        ("/page.html", 422, "UNPROCESSABLE_IMAGE"),
    ],
)
def test_a_url_without_a_usable_image_gets_its_status(ann: Client, site: Site, path: str, status: int, code: str):
    with pytest.raises(Refused) as caught:
        ann.analyze(base_image=site.url + path, prompt="a red hat")
    assert (caught.value.status, caught.value.code) == (status, code)


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/v1/generate"), ("GET", "/api/v1/jobs"), ("POST", "/compose"), ("GET", "/nope")]
)
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"X-API-Key": "wrong"}])
def test_without_a_valid_key_everything_is_a_401(keyed_url: str, method: str, path: str, headers: dict[str, str]):
    answer = httpx.request(method, keyed_url + path, headers=headers, timeout=600)
    assert answer.status_code == 401
    assert check_envelope(answer)[0] == "UNAUTHORIZED"


def test_health_needs_no_key(keyed_url: str):
    assert httpx.get(f"{keyed_url}/api/v1/health", timeout=600).status_code == 200


def test_a_job_is_known_only_to_its_owner(ann: Client, bob: Client, edit):
    job_id = ann.submit(**edit, config=QUICK)
    assert ann.wait(job_id)["status"] == "completed"
    for ask in (bob.status, bob.cancel, bob.image):
        with pytest.raises(Refused) as caught:
            ask(job_id)
        assert caught.value.status == 404
    assert job_id not in {job["job_id"] for job in bob.jobs(limit=100)["jobs"]}
    assert job_id in {job["job_id"] for job in ann.jobs(limit=100)["jobs"]}


def test_a_webhook_is_signed_and_repeated_under_one_id_until_it_arrives(ann: Client, site: Site, edit):
    job_id = ann.submit(**edit, config=QUICK, callback_url=f"{site.url}/hook")
    eventually(lambda: len(site.hooks) >= 2)
    assert len({headers["webhook-id"] for headers, _ in site.hooks}) == 1
    headers, body = site.hooks[-1]
    told = json.loads(body)
    assert (told["data"]["job_id"], told["data"]["status"]) == (job_id, "completed")
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(WEBHOOK_SECRET.encode(), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"


def test_a_burst_over_the_rate_is_a_429_for_its_client_alone(keyed_url: str, ann: Client, edit):
    eve, statuses = client_with(keyed_url, "eve"), []
    while 429 not in statuses and len(statuses) < MOST_REQUESTS:
        answer = eve.http.post("/api/v1/generate", json={})
        statuses.append(answer.status_code)
    eve.close()
    assert check_envelope(answer)[0] == "RATE_LIMITED"
    assert len(statuses) > PER_MINUTE
    assert set(statuses[:-1]) == {400}
    assert ann.analyze(**edit)


def test_callers_behind_a_trusted_proxy_are_told_apart(keyed_url: str):
    def refused(address: str) -> int:
        headers = {"X-Forwarded-For": address, "X-API-Key": "guess"}
        return httpx.get(f"{keyed_url}/api/v1/jobs", headers=headers, timeout=600).status_code

    def guesses_until_the_429(address: str) -> int:
        return next(guesses for guesses in range(MOST_REQUESTS) if refused(address) == 429)

    assert guesses_until_the_429("198.51.100.7") >= WRONG_KEYS_PER_MINUTE
    assert refused("198.51.100.8") == 401
    claimed = "203.0.113.9, 198.51.100.7"  # what a client wrote stands before the proxy's own entry
    assert guesses_until_the_429(claimed) < WRONG_KEYS_PER_MINUTE


def test_a_browser_of_an_allowed_origin_may_ask(keyed_url: str):
    headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    answer = httpx.options(f"{keyed_url}/api/v1/generate", headers=headers, timeout=600)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"


def test_a_image_over_base64_needs_no_url(ann: Client):
    body = {"base_image": b64(encoded(photo(256, 256), "webp")), "prompt": "a red hat"}
    assert ann.analyze(**body)["metadata"]["routing"]["rule"]
