"""An object store that speaks as much S3 as job images need, on loopback; it knows one bucket and one access key."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

BUCKET, ACCESS_KEY, SECRET_KEY = "images", "composition", "hush"
PAGE = 2
"""Objects a listing has at most: a store of three needs two."""


class FakeS3Server:
    """`objects` maps keys to bytes and the time of the last change; `away` true answers 503."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, datetime]] = {}
        self.away = False
        self.refused = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._server.server_port}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }

    def __enter__(self) -> FakeS3Server:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(store: FakeS3Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_PUT(self) -> None:
            data = self._body()
            if key := self._key():
                if key in store.objects and self.headers.get("If-None-Match") == "*":
                    self._refuse(412, "PreconditionFailed")
                    return
                store.objects[key] = (data, datetime.now(UTC))
                self._answer(200, headers={"ETag": '"x"'})

        def do_GET(self) -> None:
            if key := self._key(listing=True):
                if key not in store.objects:
                    self._refuse(404, "NoSuchKey")
                    return
                data, at = store.objects[key]
                modified = at.strftime("%a, %d %b %Y %H:%M:%S GMT")
                self._answer(200, data, headers={"Last-Modified": modified, "ETag": '"x"'})

        def do_DELETE(self) -> None:
            if key := self._key():
                store.objects.pop(key, None)
                self._answer(204)

        def do_POST(self) -> None:
            data = self._body()
            if self._key(listing=True, answer=False) is None:
                return
            keys = re.findall(r"<Key>([^<]+)</Key>", data.decode())
            for key in keys:
                store.objects.pop(key, None)
            deleted = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
            self._answer(200, f"<DeleteResult>{deleted}</DeleteResult>".encode())

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _key(self, *, listing: bool = False, answer: bool = True) -> str | None:
            """The object's key; None when the request was answered."""
            parts = urlsplit(self.path)
            bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
            if store.away:
                self._refuse(503, "SlowDown")
            elif f"Credential={ACCESS_KEY}/" not in self.headers.get("Authorization", ""):
                store.refused += 1
                self._refuse(403, "AccessDenied")
            elif bucket != BUCKET:
                self._refuse(404, "NoSuchBucket")
            elif key:
                return key
            elif listing and answer:
                self._list(parse_qs(parts.query))
            else:
                return ""
            return None

        def _list(self, query: dict[str, list[str]]) -> None:
            prefix, after = query.get("prefix", [""])[0], query.get("continuation-token", [""])[0]
            keys = sorted(key for key in store.objects if key.startswith(prefix) and key > after)
            root = ElementTree.Element("ListBucketResult")
            for name, text in (("IsTruncated", str(len(keys) > PAGE).lower()), ("KeyCount", str(len(keys[:PAGE])))):
                ElementTree.SubElement(root, name).text = text
            if len(keys) > PAGE:
                ElementTree.SubElement(root, "NextContinuationToken").text = keys[PAGE - 1]
            for key in keys[:PAGE]:
                data, at = store.objects[key]
                item = ElementTree.SubElement(root, "Contents")
                fields = {"Key": key, "Size": str(len(data)), "ETag": '"x"', "LastModified": at.isoformat()}
                for name, text in fields.items():
                    ElementTree.SubElement(item, name).text = text
            self._answer(200, ElementTree.tostring(root))

        def _refuse(self, status: int, code: str) -> None:
            self._answer(status, f"<Error><Code>{code}</Code></Error>".encode())

        def _answer(self, status: int, data: bytes = b"", *, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler
