"""Loaded by schemathesis: half of the edits that it makes up get a real photograph, so that they reach the models."""

from __future__ import annotations

import zlib
from typing import Any

import schemathesis

from benchmarks.attack_outcome import smallest_edit

_EDIT = smallest_edit()


@schemathesis.hook  # type: ignore[untyped-decorator]
def map_body(context: Any, body: Any) -> Any:
    """The same for the same body, so that what fails can be repeated; few steps, as models are not what is attacked."""
    edit = body.get("request") if isinstance(body, dict) and "request" in body else body
    if not isinstance(edit, dict) or "base_image" not in edit or zlib.crc32(repr(body).encode()) % 2:
        return body
    edit["base_image"] = _EDIT["base_image"]
    if isinstance(config := edit.get("config"), dict) and isinstance(config.get("num_inference_steps"), int):
        config["num_inference_steps"] = min(config["num_inference_steps"], 2)
    return body
