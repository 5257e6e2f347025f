"""The service as its documentation describes it, in memory, behind httpx's MockTransport."""

from __future__ import annotations

import base64
import email
import hashlib
import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

API = "/api/v1"
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC")
METADATA = {"seed_used": 7, "warnings": ["mask_mode is without effect"], "routing": {"rule": "appearance"}}


def refusal(status: int, code: str, message: str = "no", headers: dict[str, str] | None = None, **details):
    body = {"success": False, "error": {"code": code, "message": message, "details": details}}
    return httpx.Response(status, json=body, headers={"X-Request-ID": "r-1", **(headers or {})})


def body_of(request: httpx.Request) -> dict:
    """What a request asks for, sent as JSON or as a form: an image of a form is its bytes."""
    kind = request.headers["Content-Type"]
    if not kind.startswith("multipart/form-data"):
        return json.loads(request.content)
    message = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + request.content)
    body: dict = {}
    for part in message.get_payload():
        name, data = part.get_param("name", header="Content-Disposition"), part.get_payload(decode=True)
        if part.get_filename() is None:
            value = json.loads(data) if name in ("config", "n", "edits") else data.decode()
        else:
            value = data
        if name == "reference_images":
            said = isinstance(value, str) and value.startswith("{")
            body.setdefault(name, []).append(json.loads(value) if said else value)
        else:
            body[name] = value
    return body


def filename_of(request: httpx.Request) -> str:
    """Of a form's file."""
    found = re.search(rb'filename="([^"]*)"', request.content)
    assert found is not None
    return found[1].decode()


def frame(number: int, kind: str, data: dict) -> str:
    return f"id: {number}\r\nevent: {kind}\r\ndata: {json.dumps(data)}\r\n\r\n"


@dataclass
class Life:
    """How a job goes on, one stream of events after the other; the last one ends it."""

    streams: list[str] = field(
        default_factory=lambda: [
            frame(1, "status", {"status": "pending", "progress": 0.0, "attempt": 0})
            + ": ping\r\n\r\n"
            + frame(2, "progress", {"stage": "diffuse", "progress": 0.5, "step": 3, "total_steps": 6, "attempt": 1})
            + frame(3, "status", {"status": "completed", "progress": 1.0, "attempt": 1})
        ]
    )
    end: str = "completed"
    error: tuple[str, str] | None = None


def lora(name: str, file: bytes, *, source: str = "upload", words: tuple[str, ...] = ()) -> dict:
    """As the service lists one."""
    return {
        "name": name,
        "kind": "lora",
        "source": source,
        "family": "sd15",
        "fits": True,
        "layout": "kohya",
        "ranks": [4],
        "parts": ["unet"],
        "trigger_words": list(words),
        "size_bytes": len(file),
        "sha256": hashlib.sha256(file).hexdigest(),
        "created_at": 1.0,
    }


@dataclass
class Service:
    """Answers one request after the other; `before` may answer instead, or raise.

    `result` is that of every job, and `clip` its file.
    """

    life: Life = field(default_factory=Life)
    before: Callable[[httpx.Request], httpx.Response | None] = lambda request: None
    result: dict | None = None
    clip: bytes = b""
    requests: list[httpx.Request] = field(default_factory=list)
    jobs: dict[str, dict] = field(default_factory=dict)
    keys: dict[str, tuple[str, str]] = field(default_factory=dict)
    loras: dict[str, dict] = field(default_factory=lambda: {"film": lora("film", b"the operator's", source="operator")})

    uploads: dict[str, int] | None = None

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.answer)

    def called(self, method: str, path: str = "") -> list[httpx.Request]:
        return [r for r in self.requests if r.method == method and r.url.path.startswith(API + path)]

    def answer(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        return self.before(request) or self._route(request)

    def _route(self, request: httpx.Request) -> httpx.Response:
        first, _, rest = request.url.path.removeprefix(API + "/").partition("/")
        if first == "loras":
            return self._loras(request, rest)
        if request.method == "POST":
            if first == "analyze":
                result = {
                    "mask": base64.b64encode(PIXEL).decode(),
                    "pipeline": "simple",
                    "models_used": ["clip"],
                    "metadata": METADATA,
                }
                return httpx.Response(200, json={"success": True, "result": result})
            return self._accept(request)
        if first == "health":
            loaded = {
                "profile": "tiny",
                "models_loaded": ["clip"],
                "gpu_available": False,
                "gpu_memory_free_mb": 0,
                "runners": {},
            }
            return httpx.Response(200, json={"status": "healthy", **loaded})
        if first == "jobs" and not rest:
            return httpx.Response(200, json={"success": True, "jobs": [], "cursor": None})
        job_id, _, part = rest.partition("/")
        if job_id not in self.jobs:
            return refusal(404, "NOT_FOUND", "there is no such job")
        if request.method == "DELETE":
            self.jobs[job_id]["status"] = "cancelled"
        if part == "events":
            return self._events(job_id)
        if part == "video":
            return httpx.Response(200, content=self.clip)
        if part == "image":
            return httpx.Response(200, content=PIXEL)
        return httpx.Response(200, json=self._status(job_id))

    def _loras(self, request: httpx.Request, name: str) -> httpx.Response:
        if request.method == "GET":
            listed = [self.loras[key] for key in sorted(self.loras)]
            return httpx.Response(200, json={"success": True, "loras": listed, "uploads": self.uploads})
        if request.method == "POST":
            form = body_of(request)
            name = form.get("name", filename_of(request).removesuffix(".safetensors"))
            if name in self.loras:
                return refusal(422, "INVALID_INPUT", f"there is a LoRA {name} already")
            words = form.get("trigger_words", "").split(",")
            self.loras[name] = lora(name, form["file"], words=tuple(word.strip() for word in words if word))
            return httpx.Response(200, json={"success": True, "lora": self.loras[name]})
        found = self.loras.get(name)
        if found is None:
            return refusal(404, "NOT_FOUND", "there is no such LoRA")
        if found["source"] == "operator":
            return refusal(400, "INVALID_INPUT", f"LoRA {name} is the operator's: it cannot be deleted here")
        return httpx.Response(200, json={"success": True, "lora": self.loras.pop(name)})

    def _accept(self, request: httpx.Request) -> httpx.Response:
        key, digest = request.headers["Idempotency-Key"], hashlib.sha256(request.content).hexdigest()
        if key in self.keys and self.keys[key][1] != digest:
            return refusal(422, "INVALID_INPUT", "this Idempotency-Key was used with another body")
        job_id = self.keys.setdefault(key, (str(uuid.uuid4()), digest))[0]
        self.jobs.setdefault(job_id, {"status": "pending", "body": body_of(request)})
        return httpx.Response(200, json={"success": True, "job_id": job_id, "status_url": f"{API}/status/{job_id}"})

    def _events(self, job_id: str) -> httpx.Response:
        text = self.life.streams.pop(0)
        if not self.life.streams:
            self.jobs[job_id]["status"] = self.life.end
            self.life.streams = [text]
        return httpx.Response(200, text=text, headers={"Content-Type": "text/event-stream"})

    def _status(self, job_id: str) -> dict:
        status = self.jobs[job_id]["status"]
        code, message = self.life.error or (None, None)
        result = self.result or {
            "image": base64.b64encode(PIXEL).decode(),
            "pipeline_used": "simple",
            "models_used": ["clip"],
            "processing_time_ms": 12,
            "metadata": METADATA,
        }
        return {
            "job_id": job_id,
            "status": status,
            "progress": 1.0 if status == "completed" else 0.0,
            "stage": "",
            "attempt": 1,
            "created_at": 1.0,
            "finished_at": None,
            "result": result if status == "completed" else None,
            "error": message if status in ("failed", "cancelled") else None,
            "error_code": code if status in ("failed", "cancelled") else None,
        }
