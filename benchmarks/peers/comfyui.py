"""How ComfyUI is started and asked, by what it documents of its HTTP API."""

from __future__ import annotations

import hashlib
import json
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
_FILE = "sd-inpainting.safetensors"
_PARTS = {
    "diffusion_models": "unet/diffusion_pytorch_model.safetensors",
    "text_encoders": "text_encoder/model.safetensors",
    "vae": "vae/diffusion_pytorch_model.safetensors",
}
"""The folders of its models, and what of a diffusers folder is shown there."""
_KNOWN: dict[str, dict[str, Any]] = {
    "unet": {"block_out_channels": [320, 640, 1280, 1280], "cross_attention_dim": 768, "in_channels": 9},
    "text_encoder": {"hidden_size": 768, "num_hidden_layers": 12, "vocab_size": 49408},
    "vae": {"block_out_channels": [128, 256, 512, 512], "latent_channels": 4},
}
"""It recognises a UNet by its tensors' shapes, and has settings of its own for the text encoder and the autoencoder."""


@dataclass(frozen=True, kw_only=True)
class ComfyUI:
    """A checkout of ComfyUI (github.com/comfyanonymous/ComfyUI) with its own `.venv` or this one; as of its 0.8.0.

    The graph is the usual one of an inpainting model: KSampler between InpaintModelConditioning and VAEDecode. Its
    loaders read the parts of a diffusers folder as they are.
    """

    checkout: Path
    model: Path
    device: str
    dtype: str
    name: str = "ComfyUI"
    health_path: str = "/system_stats"

    def launch(self, port: int, folder: Path) -> Launch:
        if not (self.checkout / "main.py").is_file():
            raise PeerFailed(f"{self.checkout} is no checkout of ComfyUI: it has no main.py")
        self._show_model(folder / "models")
        for kind in ("custom_nodes", "input", "output", "temp", "user"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        own = self.checkout / ".venv" / "bin" / "python"
        command = [str(own if own.exists() else sys.executable), "main.py", "--base-directory", str(folder)]
        command += ["--listen", "127.0.0.1", "--port", str(port), "--disable-auto-launch"]
        command += ["--database-url", f"sqlite:///{folder / 'comfyui.db'}"]
        command += ["--cpu"] if self.device == "cpu" else []
        # On a CPU, too, it would keep the text encoder in float16.
        command += ["--force-fp32", "--fp32-text-enc"] if self.dtype == "float32" else []
        return Launch(command=command, cwd=self.checkout, environment={"PYTHONPATH": ""})

    def _show_model(self, models: Path) -> None:
        for part, config in _KNOWN.items():
            found = json.loads((self.model / part / "config.json").read_text(encoding="utf-8"))
            if odd := {key: found.get(key) for key, value in config.items() if found.get(key) != value}:
                raise PeerFailed(f"ComfyUI knows only models of SD 1.5's own widths; this one's {part} has {odd}")
        for kind, file in _PARTS.items():
            if not (self.model / file).is_file():
                raise PeerFailed(f"ComfyUI loads {file}, which {self.model} does not have")
            (models / kind).mkdir(parents=True, exist_ok=True)
            if not (models / kind / _FILE).is_symlink():
                (models / kind / _FILE).symlink_to((self.model / file).resolve())

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
            data = to_png(pixels)
            # By its content: of what comes again under the same name it keeps what it has computed.
            file = (f"{part}-{hashlib.sha256(data).hexdigest()[:16]}.png", data, "image/png")
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

    @staticmethod
    def _graph(edit: Edit, *, photo: str, mask: str) -> dict[str, Any]:
        def node(kind: str, **inputs: Any) -> dict[str, Any]:
            return {"class_type": kind, "inputs": inputs}

        sampling = {"sampler_name": "dpmpp_2m", "scheduler": "normal", "denoise": 1.0}
        return {
            "unet": node("UNETLoader", unet_name=_FILE, weight_dtype="default"),
            "clip": node("CLIPLoader", clip_name=_FILE, type="stable_diffusion"),
            "vae": node("VAELoader", vae_name=_FILE),
            "wanted": node("CLIPTextEncode", text=edit.prompt, clip=["clip", 0]),
            "unwanted": node("CLIPTextEncode", text=NEGATIVE_PROMPT, clip=["clip", 0]),
            "photo": node("LoadImage", image=photo),
            "mask": node("LoadImageMask", image=mask, channel="red"),
            "conditioning": node(
                "InpaintModelConditioning", positive=["wanted", 0], negative=["unwanted", 0], vae=["vae", 0],
                pixels=["photo", 0], mask=["mask", 0], noise_mask=True,
            ),
            "sampler": node(
                "KSampler", model=["unet", 0], positive=["conditioning", 0], negative=["conditioning", 1],
                latent_image=["conditioning", 2], seed=edit.seed, steps=edit.steps, cfg=GUIDANCE, **sampling,
            ),
            "pixels": node("VAEDecode", samples=["sampler", 0], vae=["vae", 0]),
            "saved": node("SaveImage", images=["pixels", 0], filename_prefix="peers"),
        }  # fmt: skip
