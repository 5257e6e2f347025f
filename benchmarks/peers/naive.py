"""What everybody writes first: FastAPI over the stock diffusers pipeline, one request after the other.

Usage: python -m benchmarks.peers.naive FOLDER PORT [float32]
"""

from __future__ import annotations

import base64
import io
import sys
import threading

import torch
import uvicorn
from diffusers import DPMSolverMultistepScheduler, StableDiffusionInpaintPipeline
from fastapi import FastAPI, Response
from PIL import Image
from pydantic import BaseModel


class Asked(BaseModel):
    """`image` and `mask` are PNG files in base64."""

    image: str
    mask: str
    prompt: str
    negative_prompt: str
    steps: int
    guidance: float
    seed: int


def create_app(folder: str, dtype: str) -> FastAPI:
    """The server of the pipeline in a folder; its weights are loaded before it answers."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    pipe = StableDiffusionInpaintPipeline.from_pretrained(folder, dtype=getattr(torch, dtype), safety_checker=None)
    pipe.scheduler = DPMSolverMultistepScheduler.from_config(pipe.scheduler.config)
    pipe.to(device)
    app, one_at_a_time = FastAPI(), threading.Lock()

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "healthy"}

    @app.post("/inpaint")
    def inpaint(asked: Asked) -> Response:
        photo, mask = (Image.open(io.BytesIO(base64.b64decode(text))) for text in (asked.image, asked.mask))
        with one_at_a_time:  # its scheduler keeps the state of one request
            painted = pipe(
                prompt=asked.prompt, negative_prompt=asked.negative_prompt, image=photo, mask_image=mask,
                num_inference_steps=asked.steps, guidance_scale=asked.guidance, width=photo.width, height=photo.height,
                generator=torch.Generator().manual_seed(asked.seed),
            ).images[0]  # fmt: skip
        file = io.BytesIO()
        painted.save(file, "PNG")
        return Response(file.getvalue(), media_type="image/png")

    return app


if __name__ == "__main__":
    folder, port, *dtype = sys.argv[1:]
    uvicorn.run(create_app(folder, *(dtype or ["float32"])), host="127.0.0.1", port=int(port), log_level="warning")
