"""How ComfyUI is started and asked, by what it documents of its HTTP API."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.peers.adapters import Launch, PeerFailed, checked
from benchmarks.peers.edit import GUIDANCE, NEGATIVE_PROMPT, Edit, from_file, to_png
from composition.images import Image

POLL_S = 0.05


@dataclass(frozen=True, kw_only=True)
class ComfyUI:
    """A checkout of ComfyUI with its own `.venv` or this one; `checkpoint` is a file of its models/checkpoints.

    The graph is the usual one of an inpainting checkpoint: KSampler between InpaintModelConditioning and VAEDecode.
    """

    checkout: Path
    checkpoint: str | None
    device: str
    dtype: str
    name: str = "ComfyUI"
    health_path: str = "/system_stats"

    def launch(self, port: int, folder: Path) -> Launch:
        if not (self.checkout / "main.py").is_file():
            raise PeerFailed(f"{self.checkout} is no checkout of ComfyUI: it has no main.py")
        if self.checkpoint is None or not (self.checkout / "models" / "checkpoints" / self.checkpoint).is_file():
            raise PeerFailed("--comfyui-checkpoint names no file of its models/checkpoints")
        own = self.checkout / ".venv" / "bin" / "python"
        command = [str(own if own.exists() else sys.executable), "main.py"]
        command += ["--listen", "127.0.0.1", "--port", str(port)]
        command += ["--disable-auto-launch", *(["--cpu"] if self.device == "cpu" else [])]
        command += ["--force-fp32"] if self.dtype == "float32" else []
        for kind in ("input", "output", "temp"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            command += [f"--{kind}-directory", str(folder / kind)]
        return Launch(command=command, cwd=self.checkout, environment={"PYTHONPATH": ""})

    def paint(self, client: httpx.Client, edit: Edit) -> Image:
        ticket = self.submit(client, edit)
        assert ticket is not None
        deadline = time.monotonic() + (client.timeout.read or 600.0)
        while time.monotonic() < deadline:
            image = self.fetch(client, ticket)
            if image is not None:
                return image
            time.sleep(POLL_S)
        raise httpx.ReadTimeout("the prompt is not done")

    def submit(self, client: httpx.Client, edit: Edit) -> str | None:
        names = {}
        for part, pixels in (("photo", edit.photo), ("mask", edit.mask)):
            file = (f"{part}-{edit.seed}.png", to_png(pixels), "image/png")
            uploaded = checked(client.post("/upload/image", files={"image": file}, data={"overwrite": "true"})).json()
            names[part] = uploaded["name"]
        graph = self._graph(edit, photo=names["photo"], mask=names["mask"])
        return str(checked(client.post("/prompt", json={"prompt": graph})).json()["prompt_id"])

    def fetch(self, client: httpx.Client, ticket: str) -> Image | None:
        found = checked(client.get(f"/history/{ticket}")).json().get(ticket)
        if found is None:
            queue = checked(client.get("/queue")).json()
            known = {entry[1] for entry in (*queue["queue_running"], *queue["queue_pending"])}
            if ticket not in known and checked(client.get(f"/history/{ticket}")).json().get(ticket) is None:
                raise PeerFailed("the prompt is neither in its queue nor in its history")
            return None
        if found["status"]["status_str"] != "success":
            raise PeerFailed(f"the prompt ended as {found['status']['status_str']}")
        [saved] = [file for output in found["outputs"].values() for file in output.get("images", ())]
        place = {key: saved[key] for key in ("filename", "subfolder", "type")}
        return from_file(checked(client.get("/view", params=place)).content)

    def _graph(self, edit: Edit, *, photo: str, mask: str) -> dict[str, Any]:
        def node(kind: str, **inputs: Any) -> dict[str, Any]:
            return {"class_type": kind, "inputs": inputs}

        sampling = {"sampler_name": "dpmpp_2m", "scheduler": "normal", "denoise": 1.0}
        return {
            "model": node("CheckpointLoaderSimple", ckpt_name=self.checkpoint),
            "wanted": node("CLIPTextEncode", text=edit.prompt, clip=["model", 1]),
            "unwanted": node("CLIPTextEncode", text=NEGATIVE_PROMPT, clip=["model", 1]),
            "photo": node("LoadImage", image=photo),
            "mask": node("LoadImageMask", image=mask, channel="red"),
            "conditioning": node(
                "InpaintModelConditioning", positive=["wanted", 0], negative=["unwanted", 0], vae=["model", 2],
                pixels=["photo", 0], mask=["mask", 0], noise_mask=True,
            ),
            "sampler": node(
                "KSampler", model=["model", 0], positive=["conditioning", 0], negative=["conditioning", 1],
                latent_image=["conditioning", 2], seed=edit.seed, steps=edit.steps, cfg=GUIDANCE, **sampling,
            ),
            "pixels": node("VAEDecode", samples=["sampler", 0], vae=["model", 2]),
            "saved": node("SaveImage", images=["pixels", 0], filename_prefix="peers"),
        }  # fmt: skip
