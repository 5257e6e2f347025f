"""A model hub on the loopback interface: the few requests that downloading a repository makes."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "1234567890abcdef1234567890abcdef12345678"


class Hub:
    """Serves `files` by repository and path; `requested` lists the paths of files that were sent.

    Attributes:
        commit: the one that every revision is.
        continued: first bytes that were asked for, by path, of files that were not asked for from their beginning.
        ignores_ranges: it sends whole files all the same, as some mirrors do.
        large: SHA-256 by path of what it says it keeps as large files.
        stalls: the path of a file of which only the first half is sent; `stalled` is set then, and `go_on` waited for.
    """

    def __init__(self, files: Mapping[str, Mapping[str, bytes]]) -> None:
        self.files = {repository: dict(content) for repository, content in files.items()}
        self.requested: list[str] = []
        self.endpoint = ""
        self.large: dict[str, str] = {}
        self.commit = COMMIT
        self.continued: dict[str, int] = {}
        self.ignores_ranges = False
        self.stalls: str | None = None
        self.stalled, self.go_on = threading.Event(), threading.Event()


@contextmanager
def serve(files: Mapping[str, Mapping[str, bytes]]) -> Iterator[Hub]:
    hub = Hub(files)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def log_message(self, format: str, *args: object) -> None:
            pass

        def _answer(self, *, with_body: bool) -> None:
            parts = unquote(urlsplit(self.path).path).strip("/").split("/")
            if parts[:2] == ["api", "models"]:
                content = hub.files.get("/".join(parts[2:4]))
                reply = None if content is None else self._about("/".join(parts[2:4]), content)
                self._send(
                    200 if reply is not None else 404,
                    json.dumps(reply or {"error": "Repository not found"}).encode(),
                    {},
                    with_body=with_body,
                )
                return
            path = "/".join(parts[4:])
            data = hub.files.get("/".join(parts[:2]), {}).get(path)
            if data is not None and with_body:
                hub.requested.append(path)
            facts = {"ETag": f'"{digest(data)}"', "X-Repo-Commit": hub.commit} if data is not None else {}
            if with_body and data is not None and path == hub.stalls:
                self._stall(data, facts)
                return
            first = self._first_byte() if with_body else 0
            if data is not None and first:
                hub.continued[path] = first
                if not hub.ignores_ranges:
                    facts["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
                    self._send(206, data[first:], facts, with_body=True)
                    return
            self._send(200 if data is not None else 404, data or b"", facts, with_body=with_body)

        def _first_byte(self) -> int:
            asked = self.headers.get("Range")
            return int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0

        def _about(self, repository: str, content: Mapping[str, bytes]) -> object:
            siblings = [{"rfilename": path, **self._large(path, data)} for path, data in content.items()]
            return {"id": repository, "sha": hub.commit, "siblings": siblings}

        def _large(self, path: str, data: bytes) -> dict[str, object]:
            if path not in hub.large:
                return {}
            return {"size": len(data), "lfs": {"sha256": hub.large[path], "size": len(data), "pointerSize": 130}}

        def _stall(self, body: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(200)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            hub.stalled.set()
            hub.go_on.wait(60)
            self.close_connection = True

        def _send(self, status: int, body: bytes, headers: Mapping[str, str], *, with_body: bool) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            if status == 404:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def digest(data: bytes | None) -> str:
    """Forty hexadecimal digits, as the hub's identifiers have."""
    return hashlib.sha256(data or b"").hexdigest()[:40]
