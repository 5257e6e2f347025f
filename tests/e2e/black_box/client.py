"""A client that knows the published contract and nothing of the service's insides."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from PIL import Image

STATUSES = frozenset({"pending", "processing", "completed", "failed", "cancelled"})
MODEL_NAMES = frozenset(
    {
        "sd-inpainting", "sdxl-inpainting", "grounding-dino", "sam", "ip-adapter", "controlnet-pose",
        "controlnet-depth", "controlnet-canny", "controlnet-tile",
        "dwpose", "depth-anything", "clip", "yolox", "safety-checker", "lcm-lora", "tcd-lora",
    }
)  # fmt: skip
RULES = frozenset(
    {
        "forced", "requested", "try_on", "human", "clothing_reference", "appearance", "structural_object",
        "structural_clip", "default",
    }
)  # fmt: skip
CODES_BY_STATUS = {
    400: {"INVALID_INPUT"},
    401: {"UNAUTHORIZED"},
    404: {"NOT_FOUND"},
    405: {"METHOD_NOT_ALLOWED"},
    409: {"CANCELLED", "SUPERSEDED"},
    413: {"PAYLOAD_TOO_LARGE"},
    422: {
        "UNPROCESSABLE_IMAGE", "UNPROCESSABLE_URL", "EMPTY_MASK", "NO_DETECTION", "CONTENT_POLICY", "INVALID_INPUT",
    },
    429: {"RATE_LIMITED"},
    500: {"MODEL_ERROR", "OUT_OF_MEMORY", "INTERNAL"},
    503: {"NOT_READY", "QUEUE_FULL"},
    504: {"TIMEOUT"},
}  # fmt: skip


class Refused(AssertionError):
    """The service answered with an error; `status`, `code` and `details` of its envelope."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(f"{answer.status_code}: {answer.text[:300]}")
        self.status = answer.status_code
        self.code, self.message, self.details = check_envelope(answer)

    @property
    def is_not_available_yet(self) -> bool:
        return self.status == 400 and "not available yet" in self.message


@dataclass(frozen=True)
class Event:
    id: int
    type: str
    data: dict[str, Any]


class Client:
    """The REST API as the contract describes it; every answer's shape is checked on its way."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=600)

    def close(self) -> None:
        self.http.close()

    def generate(self, **body: Any) -> dict[str, Any]:
        answer = self._ok(self.http.post("/api/v1/generate", json=body))
        assert set(answer) == {"success", "result"}
        return check_result(answer["result"])

    def submit(self, *, headers: dict[str, str] | None = None, **body: Any) -> str:
        answer = self._ok(self.http.post("/api/v1/generate/async", json=body, headers=headers))
        assert answer["status_url"] == f"/api/v1/status/{answer['job_id']}"
        return str(answer["job_id"])

    def analyze(self, **body: Any) -> dict[str, Any]:
        result = self._ok(self.http.post("/api/v1/analyze", json=body))["result"]
        assert "image" not in result
        check_routing(result["metadata"]["routing"])
        return dict(result)

    def status(self, job_id: str) -> dict[str, Any]:
        answer = self._ok(self.http.get(f"/api/v1/status/{job_id}"))
        assert answer["job_id"] == job_id
        assert answer["status"] in STATUSES
        assert 0.0 <= answer["progress"] <= 1.0
        return answer

    def wait(self, job_id: str, *, timeout_s: float = 600) -> dict[str, Any]:
        """Follow a job's events to its end, then ask for its status."""
        with self.http.stream("GET", f"/api/v1/jobs/{job_id}/events", timeout=timeout_s) as answer:
            assert answer.status_code == 200
            for _ in answer.iter_lines():
                pass
        return self.status(job_id)

    def events(self, job_id: str, *, after: int | None = None) -> list[Event]:
        headers = {} if after is None else {"Last-Event-ID": str(after)}
        with self.http.stream("GET", f"/api/v1/jobs/{job_id}/events", headers=headers) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            return list(parse_events(answer.iter_lines()))

    def cancel(self, job_id: str) -> dict[str, Any]:
        return self._ok(self.http.delete(f"/api/v1/jobs/{job_id}"))

    def jobs(self, **query: Any) -> dict[str, Any]:
        return self._ok(self.http.get("/api/v1/jobs", params=query))

    def image(self, job_id: str) -> httpx.Response:
        answer = self.http.get(f"/api/v1/jobs/{job_id}/image")
        if answer.status_code != 200:
            raise Refused(answer)
        return answer

    def health(self) -> dict[str, Any]:
        return self._ok(self.http.get("/api/v1/health"))

    def _ok(self, answer: httpx.Response) -> dict[str, Any]:
        if answer.status_code != 200:
            raise Refused(answer)
        body = answer.json()
        assert body.get("success", True) is True
        return dict(body)


def check_envelope(answer: httpx.Response) -> tuple[str, str, dict[str, Any]]:
    """Every non-2xx body has exactly this shape; its code fits its status."""
    body = answer.json()
    assert set(body) == {"success", "error"}
    assert body["success"] is False
    error = body["error"]
    assert set(error) == {"code", "message", "details"}
    assert error["code"] in CODES_BY_STATUS[answer.status_code]
    assert isinstance(error["message"], str)
    assert error["message"]
    assert isinstance(error["details"], dict)
    if answer.status_code in (429, 503):
        assert int(answer.headers["retry-after"]) >= 1
    return error["code"], error["message"], error["details"]


def check_result(result: dict[str, Any]) -> dict[str, Any]:
    """The result object of an edit."""
    assert set(result) >= {"image", "pipeline_used", "models_used", "processing_time_ms", "metadata"}
    assert result["pipeline_used"] in ("simple", "complex")
    assert set(result["models_used"]) <= MODEL_NAMES
    assert result["processing_time_ms"] > 0
    metadata = result["metadata"]
    assert set(metadata) >= {
        "input_resolution", "output_resolution", "seed_used", "routing", "detections", "mask_area", "timings_ms",
        "cache", "kept", "warnings",
    }  # fmt: skip
    check_routing(metadata["routing"])
    assert 0.0 <= metadata["mask_area"] <= 1.0
    height, width = pixels(result["image"]).shape[:2]
    assert metadata["output_resolution"] == f"{width}x{height}" == metadata["input_resolution"]
    return result


def check_routing(routing: dict[str, Any]) -> None:
    assert set(routing) >= {"rule", "reason", "signals", "controls", "target", "generation_prompt"}
    assert routing["rule"] in RULES
    assert routing["reason"]


def parse_events(lines: Iterator[str]) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield Event(id=int(fields["id"]), type=fields["event"], data=json.loads(fields["data"]))
            fields = {}


def pixels(encoded: str | bytes) -> np.ndarray:
    """The decoded image of a base64 text or a file."""
    data = base64.b64decode(encoded, validate=True) if isinstance(encoded, str) else encoded
    return np.asarray(Image.open(io.BytesIO(data)))


def eventually(condition: Any, *, timeout_s: float = 600) -> Any:
    """The first truthy value that `condition` gives."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {timeout_s} s")
