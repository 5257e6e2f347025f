"""The service's OpenAPI documents: `/openapi.json` of our routes, `/docs.json` with BentoML's probes too."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from starlette.responses import JSONResponse

from api import forms
from api.openai import edits
from api.routes.loras import FORM_SCHEMA as LORA_FORM
from api.security.answers import is_open

Document = dict[str, Any]

KEY_SCHEMES: Mapping[str, Mapping[str, str]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "`X-API-Key: KEY`"},
}
"""The two ways to present a key, as `security.api_keys` reads them; either will do."""


FORMS: Sequence[Document] = (
    forms.GENERATE_FORM.schema, forms.VIEWS_FORM.schema, forms.VIDEO_FORM.schema, edits.FORM_SCHEMA, LORA_FORM,
)  # fmt: skip
"""The framework knows only the schemas of bodies that it reads itself."""


class DocumentedApp(FastAPI):
    """A FastAPI application whose document says how callers show who they are.

    Without configured keys (`keys_needed` false) showing it is optional.
    """

    def __init__(self, *, keys_needed: bool, **options: Any) -> None:
        super().__init__(**options)
        self._keys_needed = keys_needed

    def openapi(self) -> Document:
        document = super().openapi()
        document["components"]["schemas"] |= {form["title"]: form for form in FORMS}
        return secured(document, keys_needed=self._keys_needed)


def secured(document: Document, *, keys_needed: bool) -> Document:
    """Add the ways to present a key to a document, in place; open paths take none."""
    document.setdefault("components", {})["securitySchemes"] = {name: dict(way) for name, way in KEY_SCHEMES.items()}
    ways: list[dict[str, list[str]]] = [{name: []} for name in KEY_SCHEMES]
    document["security"] = ways if keys_needed else [{}, *ways]
    for path, operation in _operations(document):
        if is_open(path):
            operation["security"] = []
    return document


def serve_whole_document(app: DocumentedApp, native: Callable[[], Document]) -> None:
    """Answer `/docs.json` in BentoML's place, whose own document names a version of OpenAPI that it does not keep to.

    The app must be mounted on the service at "/", so that its routes come first; `native` gives BentoML's document.
    """

    @app.get("/docs.json", include_in_schema=False)
    def whole_document() -> JSONResponse:
        return JSONResponse(joined(app.openapi(), native()))


def joined(ours: Document, native: Document) -> Document:
    """Our document with the paths and schemas that only BentoML's has."""
    document = copy.deepcopy(ours)
    own = {path: item for path, item in copy.deepcopy(native["paths"]).items() if path not in document["paths"]}
    for path, operation in _operations({"paths": own}):
        operation["operationId"] = path.strip("/").replace("/", "_")  # BentoML gives one id to two routes
        if is_open(path):
            operation["security"] = []
    document["paths"].update(own)
    text = json.dumps(own)
    used = {name: schema for name, schema in native["components"]["schemas"].items() if f'/{name}"' in text}
    document["components"]["schemas"] = {**used, **document["components"]["schemas"]}
    document["tags"] = [*document.get("tags", []), *native.get("tags", [])]
    return document


def _operations(document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for operation in item.values():
            yield path, operation
