"""A finished job in OpenAI's shape: our job -> **their answer**, whole or as the events of a stream."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from api.conversion import in_base64
from api.openai.edits import MODEL, ImageEdit
from composition.jobs import Job

PARTIAL: Final = "image_edit.partial_image"
COMPLETED: Final = "image_edit.completed"

_NO_TOKENS: Final[Mapping[str, Any]] = {
    "total_tokens": 0,
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
}
"""Clients expect the account; nothing here is counted in tokens."""

MODEL_CARD: Final[Mapping[str, Any]] = {
    "id": MODEL,
    "object": "model",
    "created": 1764115200,  # of the first version
    "owned_by": "self-hosted",
}


def whole_answer(job: Job, images: Sequence[bytes], edit: ImageEdit) -> dict[str, Any]:
    """The body of POST /v1/images/edits; base64 is made here, so call it in a thread."""
    return {
        "created": int(time.time()),
        "data": [{"b64_json": in_base64(image)} for image in images],
        **_account(job, edit),
        "metadata": _metadata(job),
    }


def completed_events(job: Job, images: Sequence[bytes], edit: ImageEdit, notes: Sequence[str]) -> list[dict[str, Any]]:
    """The last events of a stream, one for each candidate. Args: `notes` are more warnings. Call it in a thread."""
    metadata = _metadata(job)
    metadata["warnings"] = [*metadata.get("warnings", ()), *notes]
    told = {"created_at": int(time.time()), **_account(job, edit), "metadata": metadata}
    echo = {"safety_identifier": edit.safety_identifier} if edit.safety_identifier else {}
    return [{"type": COMPLETED, "b64_json": in_base64(image), **told, **echo} for image in images]


def partial_event(preview: Mapping[str, Any], index: int, edit: ImageEdit) -> dict[str, Any]:
    """An event of a stream for a job's preview: a small JPEG."""
    return {
        "type": PARTIAL,
        "partial_image_index": index,
        "b64_json": preview["image"],
        "created_at": int(time.time()),
        "background": "opaque",
        "output_format": str(preview["media_type"]).removeprefix("image/"),
        "quality": _quality(edit),
        "size": "auto",
    }


def _account(job: Job, edit: ImageEdit) -> dict[str, Any]:
    return {
        "background": "opaque",
        "output_format": edit.output_format.value,
        "quality": _quality(edit),
        "size": _metadata(job)["output_resolution"],
        "usage": _NO_TOKENS,
    }


def _metadata(job: Job) -> dict[str, Any]:
    """Ours, as in /api/v1/generate: seed, routing, warnings."""
    assert job.result is not None
    return dict(job.result.account["metadata"])


def _quality(edit: ImageEdit) -> str:
    return edit.quality if edit.quality in ("low", "high") else "medium"
