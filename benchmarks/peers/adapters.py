"""How each server is started and asked, by what it documents of its HTTP API; nothing of it is imported."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx

from benchmarks.peers.edit import GUIDANCE, NEGATIVE_PROMPT, Edit, from_file, to_base64
from benchmarks.server import ROOT
from composition.images import Image

IOPAINT = "IOPaint==1.6.0"
"""What its environment is made of; its own requirements pin diffusers 0.27.2."""


class PeerFailed(Exception):
    """A server could not be started, or answered with something else than an image; the message says what."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """A process to start; `environment` is added to this process's."""

    command: Sequence[str]
    cwd: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class Peer(Protocol):
    """A server as its clients see it."""

    @property
    def name(self) -> str: ...

    @property
    def health_path(self) -> str:
        """Answers 200 once an edit can be sent."""
        ...

    def launch(self, port: int, folder: Path) -> Launch:
        """How it is started on 127.0.0.1, with what it writes under `folder`. Raises: PeerFailed: it cannot be."""
        ...

    def paint(self, client: httpx.Client, edit: Edit) -> Image:
        """One edit, waited for; a client that hangs up does so here. Raises: PeerFailed, httpx.HTTPError."""
        ...

    def submit(self, client: httpx.Client, edit: Edit) -> str | None:
        """Leave an edit with the server; what to ask for it by, None where its API has nothing of the kind."""
        ...

    def fetch(self, client: httpx.Client, ticket: str) -> Image | None:
        """What was left with it, None while it is not done. Raises: PeerFailed: it never will be."""
        ...


@dataclass(frozen=True, kw_only=True)
class Ours:
    """This service; `model` is a diffusers folder of the kind of SD 1.5, its other models are the tiny profile's."""

    model: Path
    side_px: int
    dtype: str
    name: str = "this service"
    health_path: str = "/api/v1/health"

    def launch(self, port: int, folder: Path) -> Launch:
        command = [sys.executable, "-m", "bentoml", "serve", "service:ImageComposition"]
        return Launch(
            command=[*command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=ROOT,
            environment={
                "HF_HUB_OFFLINE": "1",
                "BENTOML_DO_NOT_TRACK": "True",
                "COMPOSITION_STORAGE__FOLDER": str(folder / "state"),
                "COMPOSITION_MODELS__PROFILE": "tiny",
                "COMPOSITION_MODELS__BASE_MODEL": str(self.model),
                "COMPOSITION_MODELS__DTYPE": self.dtype,
                "COMPOSITION_MODELS__SAFETY_CHECKER": "false",
                "COMPOSITION_GENERATION__NATIVE_SIZE": str(self.side_px),
                "COMPOSITION_LIMITS__REQUEST_TIMEOUT_SECONDS": "3000",  # the others give everybody all the time
            },
        )

    def paint(self, client: httpx.Client, edit: Edit) -> Image:
        answer = checked(client.post("/api/v1/generate", json=self._body(edit)))
        return from_file(base64.b64decode(answer.json()["result"]["image"]))

    def submit(self, client: httpx.Client, edit: Edit) -> str | None:
        return str(checked(client.post("/api/v1/generate/async", json=self._body(edit))).json()["job_id"])

    def fetch(self, client: httpx.Client, ticket: str) -> Image | None:
        job = checked(client.get(f"/api/v1/status/{ticket}")).json()
        if job["status"] in ("failed", "cancelled"):
            raise PeerFailed(f"the job {job['status']}: {job['error']}")
        return from_file(base64.b64decode(job["result"]["image"])) if job["status"] == "completed" else None

    def _body(self, edit: Edit) -> dict[str, Any]:
        return {
            "base_image": to_base64(edit.photo),
            "mask_image": to_base64(edit.mask),
            "prompt": edit.prompt,
            "negative_prompt": NEGATIVE_PROMPT,
            # What the others do: the whole photo, from noise, by the prompt alone.
            "config": {
                "seed": edit.seed,
                "num_inference_steps": edit.steps,
                "guidance_scale": GUIDANCE,
                "strength": 1.0,
                "pipeline": "simple",
                "crop": "off",
                "keep_parts": "off",
            },
        }


class Waiting:
    """A server that answers a request with the image, and knows nothing else."""

    def submit(self, client: httpx.Client, edit: Edit) -> str | None:
        return None

    def fetch(self, client: httpx.Client, ticket: str) -> Image | None:
        raise PeerFailed("there is nothing to ask for")


@dataclass(frozen=True, kw_only=True)
class Naive(Waiting):
    """`benchmarks.peers.naive`."""

    model: Path
    dtype: str
    name: str = "naive"
    health_path: str = "/health"

    def launch(self, port: int, folder: Path) -> Launch:
        command = [sys.executable, "-m", "benchmarks.peers.naive", str(self.model), str(port), self.dtype]
        return Launch(command=command, cwd=ROOT)

    def paint(self, client: httpx.Client, edit: Edit) -> Image:
        body = {
            "image": to_base64(edit.photo),
            "mask": to_base64(edit.mask),
            "prompt": edit.prompt,
            "negative_prompt": NEGATIVE_PROMPT,
            "steps": edit.steps,
            "guidance": GUIDANCE,
            "seed": edit.seed,
        }
        return from_file(checked(client.post("/inpaint", json=body)).content)


@dataclass(frozen=True, kw_only=True)
class IOPaint(Waiting):
    """IOPaint (github.com/Sanster/IOPaint) in an environment of its own; routes as of its release 1.6.0.

    It pads images below 512 px to that, so smaller ones cost it more than others.
    """

    model: Path
    dtype: str
    device: str
    environment: Path
    name: str = "IOPaint"
    health_path: str = "/api/v1/model"

    def launch(self, port: int, folder: Path) -> Launch:
        program = self.environment / "bin" / "iopaint"
        if not program.is_file():
            raise PeerFailed(
                f"{program} is not there: --install-iopaint makes its environment, --iopaint names another"
            )
        # It finds models that lie in a folder of this name below --model-dir.
        shown = folder / "models" / "stable_diffusion" / "sd-inpainting"
        shown.parent.mkdir(parents=True, exist_ok=True)
        if not shown.is_symlink():
            shown.symlink_to(self.model.resolve(), target_is_directory=True)
        command = [str(program), "start", "--host", "127.0.0.1", "--port", str(port), "--device", self.device]
        command += ["--model", shown.name, "--model-dir", str(folder / "models"), "--local-files-only"]
        command += ["--disable-nsfw-checker", *(["--no-half"] if self.dtype == "float32" else [])]
        return Launch(command=command, cwd=folder, environment={"PYTHONPATH": ""})

    def install(self) -> None:
        """Make the environment, from the package index. Raises: PeerFailed."""
        venv.create(self.environment, with_pip=True)
        command = [str(self.environment / "bin" / "python"), "-m", "pip", "install", "--quiet", IOPAINT]
        if subprocess.run(command, check=False).returncode:
            raise PeerFailed(f"{IOPAINT} could not be installed into {self.environment}")

    def paint(self, client: httpx.Client, edit: Edit) -> Image:
        body = {
            "image": to_base64(edit.photo),
            "mask": to_base64(edit.mask),
            "prompt": edit.prompt,
            "negative_prompt": NEGATIVE_PROMPT,
            "sd_steps": edit.steps,
            "sd_guidance_scale": GUIDANCE,
            "sd_sampler": "DPM++ 2M",
            "sd_strength": 1.0,
            "sd_seed": edit.seed,
        }
        return from_file(checked(client.post("/api/v1/inpaint", json=body)).content)


def checked(answer: httpx.Response) -> httpx.Response:
    """Raises: PeerFailed: any other status than 2xx."""
    if not answer.is_success:
        raise PeerFailed(f"{answer.request.url.path} answered {answer.status_code}: {answer.text[:200]}")
    return answer


def own_environment(launch: Launch) -> dict[str, str]:
    """What the process is started with."""
    return {**os.environ, **launch.environment}
