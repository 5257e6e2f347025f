from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from api.probe import why_not


@pytest.fixture
def url() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            ready = self.path == "/ready"
            self.send_response(200 if ready else 503)
            self.end_headers()
            self.wfile.write(b"" if ready else b"the models are not loaded")

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_node_that_is_ready_passes(url):
    assert why_not(f"{url}/ready") is None


def test_a_node_that_is_not_ready_says_why(url):
    assert why_not(f"{url}/not") == f"{url}/not: 503 the models are not loaded"


def test_a_node_that_is_not_there_does_not_pass():
    assert "refused" in why_not("http://127.0.0.1:9/readyz")
