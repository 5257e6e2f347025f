"""GET / and what it loads: the page for people. It is a client of the public API like any other."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.bundle import ENTRY, BundledFile
from api.security.answers import PAGE_PREFIX
from composition.errors import NotFound

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
METHODS = ["GET", "HEAD"]


def page_router(files: Mapping[str, BundledFile]) -> APIRouter:
    """The routes of a build of the page: its entry at /, its other files under /page/."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/", methods=METHODS)
    def entry(request: Request) -> Response:
        return _answer(request, files[ENTRY])

    @router.api_route(PAGE_PREFIX + "{name:path}", methods=METHODS)
    def file(name: str, request: Request) -> Response:
        if name == ENTRY or name not in files:
            raise NotFound("the page has no such file")
        return _answer(request, files[name])

    return router


def _answer(request: Request, file: BundledFile) -> Response:
    takes_gzip = "gzip" in request.headers.get("accept-encoding", "") and file.compressed is not None
    etag = f'"{file.etag}-gzip"' if takes_gzip else f'"{file.etag}"'
    headers = {
        **_HEADERS,
        "Cache-Control": "public, max-age=31536000, immutable" if file.lasts else "no-cache",
        "ETag": etag,
        "Vary": "Accept-Encoding",
    }
    if etag in [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    if takes_gzip:
        headers["Content-Encoding"] = "gzip"
    body = file.compressed if takes_gzip and file.compressed else file.content
    return Response(body, media_type=file.media_type, headers=headers)
