"""GET / and GET /docs: the routes as a page that loads nothing, from this host or any other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

router = APIRouter()

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>body {{ font-family: sans-serif; max-width: 60em; margin: 2em auto }} td {{ padding: 0.2em 1em }}</style>
</head>
<body>
<h1>{title}</h1>
<p>{description}</p>
<p><a href="/openapi.json">OpenAPI document</a></p>
<table>
{rows}
</table>
</body>
</html>
"""


@router.get("/", include_in_schema=False)
@router.get("/docs", include_in_schema=False)
def page(request: Request) -> HTMLResponse:
    """Every documented route with its summary."""
    document = request.app.openapi()
    info = document["info"]
    content = _PAGE.format(
        title=escape(info["title"]), description=escape(info["description"]), rows="\n".join(_rows(document))
    )
    return HTMLResponse(content, headers=_HEADERS)


def _rows(document: Mapping[str, Any]) -> Iterator[str]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            route, summary = f"{method.upper()} {path}", operation["summary"]
            yield f"<tr><td><code>{escape(route)}</code></td><td>{escape(summary)}</td></tr>"
