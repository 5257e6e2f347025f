"""Loaded by schemathesis, so that what it makes up gets further than to the first refusal.

Half of the edits get a real photograph, half of the uploads are a LoRA, and a service that was drained is let go on.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

import httpx
import schemathesis

from benchmarks.attack_outcome import smallest_edit, smallest_lora

_PHOTO = smallest_edit()["base_image"]
_LORAS, _DRAIN, _IMAGE_EDITS = "/api/v1/loras", "/api/v1/admin/drain", "/v1/images/edits"
_FILES: dict[str, dict[str, Any]] = {
    _IMAGE_EDITS: {"image": base64.b64decode(_PHOTO)},
    _LORAS: {"file": smallest_lora()},
}
"""What forms of files have in which field, by their path; every other body has a photograph as text."""


@schemathesis.hook  # type: ignore[untyped-decorator]
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """An upload has the name of one."""
    form = raw_schema["paths"][_LORAS]["post"]["requestBody"]["content"]["multipart/form-data"]
    name = 'form-data; name="file"; filename="pixel-art.safetensors"'
    form["encoding"] = {"file": {"headers": {"Content-Disposition": {"schema": {"type": "string", "example": name}}}}}


@schemathesis.hook  # type: ignore[untyped-decorator]
def map_body(context: Any, body: Any) -> Any:
    """The same for the same body, so that what fails can be repeated; few steps, as models are not what is attacked."""
    edit = body.get("request") if isinstance(body, dict) and "request" in body else body
    if not isinstance(edit, dict) or zlib.crc32(repr(body).encode()) % 2:
        return body
    files = _FILES.get(context.operation.path, {"base_image": _PHOTO})
    for field in files.keys() & edit.keys():
        edit[field] = files[field]
    if isinstance(config := edit.get("config"), dict) and isinstance(config.get("num_inference_steps"), int):
        config["num_inference_steps"] = min(config["num_inference_steps"], 2)
    return body


@schemathesis.hook  # type: ignore[untyped-decorator]
def after_call(context: Any, case: Any, response: Any) -> None:
    """What a service that drains refuses says nothing more."""
    request = response.request
    if case.path == _DRAIN and request.method == "POST" and response.status_code == 200:
        httpx.delete(request.url, headers={"X-API-Key": request.headers["X-API-Key"]}).raise_for_status()
