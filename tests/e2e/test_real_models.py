"""README's way to the real models, typed as it stands in a clone: a hub on loopback has small models by their names."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoTokenizer

from benchmarks.server import free_port
from composition.config import ModelsConfig
from composition.config.tree import Profile
from models_store.manifest import load_manifest
from models_store.store import ModelSet
from tests.e2e.black_box.client import eventually
from tests.e2e.clones import make_clone, newcomers_environment
from tests.e2e.documents import commands
from tests.e2e.images import b64, encoded, photo
from tests.e2e.test_documented_commands import is_healthy
from tests.integration.models_store.hub import Hub, serve

TINY: Mapping[str, Profile] = {"sd15": "tiny", "sdxl": "tiny-sdxl"}
"""Which profile has the small models in the layout of which real one's repositories."""
EDITED_BY = {"sd15": {"sd-inpainting", "ip-adapter", "controlnet-pose", "safety-checker"}}
EDITED_BY["sdxl"] = EDITED_BY["sd15"] - {"sd-inpainting"} | {"sdxl-inpainting"}


def repositories(profile: str) -> dict[str, dict[str, bytes]]:
    """The tiny models as the repositories that the profile's manifest names, with the files that it asks for."""
    tiny, found = ModelSet(ModelsConfig(profile=TINY[profile])), {}
    for role, model in load_manifest(profile).models.items():
        folder = tiny.path(role)
        files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        found.setdefault(model.repository, {}).update(files)
    return found


def add_files_of_another_format(files: dict[str, dict[str, bytes]], folder: Path) -> None:
    """What the real repositories have and the tiny ones lack: CLIP as a pickle, GroundingDINO's fast tokenizer."""
    tiny = ModelSet(ModelsConfig(profile="tiny"))
    torch.save(load_file(tiny.path("clip") / "model.safetensors"), folder / "clip.bin")
    files["openai/clip-vit-base-patch32"]["pytorch_model.bin"] = (folder / "clip.bin").read_bytes()
    AutoTokenizer.from_pretrained(tiny.path("grounding-dino")).save_pretrained(folder / "tokenizer")
    fast = (folder / "tokenizer" / "tokenizer.json").read_bytes()
    files["IDEA-Research/grounding-dino-base"]["tokenizer.json"] = fast


@pytest.fixture(scope="module", params=TINY)
def profile(request) -> str:
    chosen: str = request.param
    if ModelSet(ModelsConfig(profile=TINY[chosen])).missing:
        subprocess.run([sys.executable, "-m", "models_store", "import", TINY[chosen]], check=True)
    return chosen


@pytest.fixture(scope="module")
def hub(tmp_path_factory, profile) -> Iterator[Hub]:
    files = repositories(profile)
    add_files_of_another_format(files, tmp_path_factory.mktemp("hub"))
    with serve(files) as served:
        yield served


@pytest.fixture(scope="module")
def clone(tmp_path_factory, profile) -> Path:
    """A clone whose manifest does not know the digests of the real weights."""
    folder = make_clone(tmp_path_factory.mktemp("clone") / "source")
    manifest = folder / "models_store" / "manifests" / f"{profile}.yaml"
    tree = yaml.safe_load(manifest.read_text())
    for model in tree["models"].values():
        model.pop("sha256", None)
    manifest.write_text(yaml.safe_dump(tree))
    return folder


class Typed:
    """The commands, typed one after the other by somebody with a hub and a home folder of their own."""

    def __init__(self, clone: Path, hub: Hub, home: Path) -> None:
        self.clone, self.log, self.url = clone, home / "serve.log", f"http://127.0.0.1:{(port := free_port())}"
        self.environment = {
            **newcomers_environment(),
            "HOME": str(home),
            "HF_HOME": str(home / "hub-cache"),
            "HF_ENDPOINT": hub.endpoint,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "PORT": str(port),
            "CUDA_VISIBLE_DEVICES": "",
        }

    def run(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.clone, env=self.environment, capture_output=True, text=True, check=False,
            timeout=900,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, command: str) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            return subprocess.Popen(
                ["bash", "-c", command], cwd=self.clone, env=self.environment, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip


def edit(url: str) -> dict[str, Any]:
    body = {
        "base_image": b64(encoded(photo(300, 400), "png")),
        "prompt": "person wearing this jacket",
        "reference_image": b64(encoded(photo(256, 256), "png")),
        "config": {"num_inference_steps": 2},
    }
    answer = httpx.post(f"{url}/api/v1/generate", json=body, timeout=300)
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def test_the_commands_of_the_readme_import_and_serve_the_profile_that_they_name(profile, clone, hub, tmp_path):
    typed = [command.text for command in commands("README.md") if command.section == "Real models"]
    assert typed[-1] == "make serve PROFILE=sd15"
    *before, last = [command.replace("PROFILE=sd15", f"PROFILE={profile}") for command in typed]
    person = Typed(clone, hub, tmp_path)
    said = [person.run(command) for command in before]
    imported = len(load_manifest(profile).required)
    assert f"{profile}: {imported} models imported, 0 were there" in said[-1]
    downloaded = list(hub.requested)
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in downloaded
    server = person.start(last)
    try:
        with httpx.Client(base_url=person.url, timeout=30) as probe:
            eventually(lambda: server.poll() is not None or is_healthy(probe))
        log = person.log.read_text(errors="replace")
        assert server.poll() is None, log
        assert f"{profile}: 0 models imported, {imported} were there" in log
        manifest = load_manifest(profile)
        assert re.search(rf"model profile {profile}, {manifest.native_size} px$", log, re.MULTILINE)
        assert f"composition-{profile}-{manifest.base_role}" in log
        result = edit(person.url)
        assert EDITED_BY[profile] <= set(result["models_used"])
    finally:
        os.killpg(server.pid, signal.SIGINT)
        try:
            server.wait(120)
        finally:
            os.killpg(server.pid, signal.SIGKILL) if server.poll() is None else None
    assert hub.requested == downloaded, "serving downloads nothing"
    assert (clone / ".bentoml" / "models").is_dir()
    assert not (tmp_path / "bentoml").exists(), "nothing lands in the user's own store"
