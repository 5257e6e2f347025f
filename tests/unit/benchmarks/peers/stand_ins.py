"""The documented HTTP APIs of IOPaint and ComfyUI in a few lines: both paint the mask grey.

As a program (`python stand_ins.py PORT SECONDS_PER_STEP`): a server that paints one request after the other, finishes
what its clients have left, and forgets everything when it is killed.
"""

from __future__ import annotations

import base64
import contextlib
import io
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import uvicorn
from fastapi import FastAPI, Request, Response
from PIL import Image

from benchmarks.server import free_port


def pixels(data: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).copy()


def png(image: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def paint(photo: bytes, mask: bytes) -> bytes:
    image, where = pixels(photo), pixels(mask)[:, :, 0] > 127
    image[where] = 128
    return png(image)


def iopaint() -> FastAPI:
    app = FastAPI()
    app.state.asked = []

    @app.get("/api/v1/model")
    def model() -> dict[str, str]:
        return {"name": "sd-inpainting"}

    @app.post("/api/v1/inpaint")
    async def inpaint(request: Request) -> Response:
        asked = await request.json()
        app.state.asked.append(asked)
        if asked["prompt"] == "fail":
            return Response('{"error": "IndexError"}', status_code=500)
        return Response(paint(base64.b64decode(asked["image"]), base64.b64decode(asked["mask"])))

    return app


def comfyui(*, asked_before_done: int = 2) -> FastAPI:
    """A prompt is in the queue until its history was asked for so many times."""
    app = FastAPI()
    files: dict[str, bytes] = {}
    prompts: dict[str, Any] = {}
    asked: dict[str, int] = {}
    app.state.prompts = prompts

    @app.get("/system_stats")
    def system_stats() -> dict[str, Any]:
        return {"devices": []}

    @app.post("/upload/image")
    async def upload(request: Request) -> dict[str, str]:
        async with request.form() as form:
            file = form["image"]
            files[file.filename] = await file.read()
            return {"name": file.filename, "subfolder": "", "type": "input"}

    @app.post("/prompt")
    async def prompt(request: Request) -> Response:
        graph = (await request.json())["prompt"]
        if graph["wanted"]["inputs"]["text"] == "refuse":
            return Response('{"error": {"type": "prompt_outputs_failed_validation"}}', status_code=400)
        name = f"prompt-{len(prompts)}"
        prompts[name] = graph
        return Response(f'{{"prompt_id": "{name}", "number": 0, "node_errors": {{}}}}')

    @app.get("/history/{name}")
    def history(name: str) -> dict[str, Any]:
        asked[name] = asked.get(name, 0) + 1
        if name not in prompts or asked[name] <= asked_before_done:
            return {}
        graph = prompts[name]
        if graph["wanted"]["inputs"]["text"] == "fail":
            return {name: {"outputs": {}, "status": {"status_str": "error", "completed": False}}}
        photo, mask = (files[graph[node]["inputs"]["image"]] for node in ("photo", "mask"))
        files["out.png"] = paint(photo, mask)
        saved = {"filename": "out.png", "subfolder": "", "type": "output"}
        status = {"status_str": "success", "completed": True, "messages": []}
        return {name: {"outputs": {"saved": {"images": [saved]}}, "status": status}}

    @app.get("/queue")
    def queue() -> dict[str, Any]:
        return {"queue_running": [], "queue_pending": [[0, name, {}, {}, []] for name in prompts]}

    @app.get("/view")
    def view(filename: str, subfolder: str, type: str) -> Response:
        assert (subfolder, type) == ("", "output")
        return Response(files[filename])

    return app


def slow(seconds_per_step: float) -> FastAPI:
    """The naive server's API."""
    app, one_at_a_time = FastAPI(), threading.Lock()

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "healthy"}

    @app.post("/inpaint")
    def inpaint(asked: dict[str, Any]) -> Response:
        with one_at_a_time:
            time.sleep(seconds_per_step * asked["steps"])
        return Response(paint(base64.b64decode(asked["image"]), base64.b64decode(asked["mask"])))

    return app


@contextlib.contextmanager
def served(app: FastAPI) -> Iterator[httpx.Client]:
    """A client of the app, which is served on the loopback meanwhile."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    uvicorn.run(slow(float(sys.argv[2])), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
