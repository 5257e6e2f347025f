"""Downloads from a hub: what is asked for, what is refused, and what is left behind."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import bentoml
import numpy as np
import pytest
from bentoml._internal.models.model import ModelStore
from safetensors.numpy import save

from models_store.manifest import repository_tag
from tests.integration.models_store.hub import COMMIT, Hub, serve

REPOSITORY = Path(__file__).parents[3]
WEIGHTS = save({"weight": np.arange(6, dtype=np.float32)})
FILE = "diffusion_pytorch_model.fp16.safetensors"
LARGE_NUMBERS = 6 << 20
LARGE = save({"weight": np.arange(LARGE_NUMBERS, dtype=np.float32)})
"""Its half is more than the downloader writes at once, 10 MB."""
CONTROLNET = {
    "config.json": json.dumps({"_class_name": "ControlNetModel"}).encode(),
    "diffusion_pytorch_model.fp16.safetensors": WEIGHTS,
    "diffusion_pytorch_model.bin": b"a pickle that nobody wants",
    "README.md": b"# A ControlNet",
}
TAG = repository_tag("controlnet-pose", "someone/controlnet")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve({"someone/controlnet": CONTROLNET}) as served:
        yield served


def import_controlnet(
    hub: Hub, home: Path, repository: str = "someone/controlnet", role: str = "controlnet-pose"
) -> tuple[int, str]:
    started = start_import(hub, home, repository, role)
    said, _ = started.communicate(timeout=600)
    return started.returncode, said


def start_import(hub: Hub, home: Path, repository: str, role: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "BENTOML_HOME": str(home),
        "HF_HOME": str(home / "hub"),
        "HF_ENDPOINT": hub.endpoint,
        "HF_HUB_OFFLINE": "0",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    command = [sys.executable, "-m", "models_store", "import", "sd15"]
    chosen = ["--role", role, "--repository", repository]
    return subprocess.Popen(
        [*command, *chosen],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def entries(home: Path) -> list[Path]:
    return [path.parent for path in home.glob("models/*/*/model.yaml")]


def test_a_repository_is_imported_with_only_the_files_that_are_needed(hub: Hub, tmp_path: Path) -> None:
    status, said = import_controlnet(hub, tmp_path)
    assert (status, said.splitlines()[0]) == (0, TAG), said
    (entry,) = entries(tmp_path)
    wanted = {"config.json", "diffusion_pytorch_model.fp16.safetensors"}
    assert {path.name for path in entry.iterdir()} == wanted | {"model.yaml"}
    assert (entry / "diffusion_pytorch_model.fp16.safetensors").read_bytes() == WEIGHTS
    assert set(hub.requested) == wanted
    metadata = bentoml.models.get(TAG, _model_store=ModelStore(tmp_path / "models")).info.metadata
    assert (metadata["repository"], metadata["revision"]) == ("someone/controlnet", COMMIT)


def test_a_second_import_asks_the_hub_for_nothing(hub: Hub, tmp_path: Path) -> None:
    assert import_controlnet(hub, tmp_path)[0] == 0
    hub.requested.clear()
    hub.files.clear()
    assert import_controlnet(hub, tmp_path)[0] == 0
    assert hub.requested == []


def test_an_unknown_repository_is_refused(hub: Hub, tmp_path: Path) -> None:
    status, said = import_controlnet(hub, tmp_path, "someone/nothing")
    assert status == 1
    assert "the model hub has no repository someone/nothing for you" in said
    assert "Traceback" not in said
    assert entries(tmp_path) == []


def test_a_repository_without_a_required_file_is_refused(hub: Hub, tmp_path: Path) -> None:
    del hub.files["someone/controlnet"]["diffusion_pytorch_model.fp16.safetensors"]
    status, said = import_controlnet(hub, tmp_path)
    assert status == 1
    assert "someone/controlnet (main) lacks diffusion_pytorch_model.fp16.safetensors" in said
    assert entries(tmp_path) == []


def test_broken_weights_are_refused_and_fetched_anew(hub: Hub, tmp_path: Path) -> None:
    served = hub.files["someone/controlnet"]
    served["diffusion_pytorch_model.fp16.safetensors"] = WEIGHTS[:-4]
    status, said = import_controlnet(hub, tmp_path)
    assert status == 1
    assert "diffusion_pytorch_model.fp16.safetensors has" in said
    assert entries(tmp_path) == []
    served["diffusion_pytorch_model.fp16.safetensors"] = WEIGHTS
    assert import_controlnet(hub, tmp_path)[0] == 0


def test_a_pipeline_of_another_class_is_refused_before_its_weights_are_asked_for(hub: Hub, tmp_path: Path) -> None:
    index = json.dumps({"_class_name": "FluxInpaintPipeline"}).encode()
    weights = "unet/diffusion_pytorch_model.fp16.safetensors"
    hub.files["someone/flux"] = {"model_index.json": index, weights: WEIGHTS}
    status, said = import_controlnet(hub, tmp_path, "someone/flux", "sd-inpainting")
    assert status == 1
    assert "someone/flux (main) is a FluxInpaintPipeline; StableDiffusionInpaintPipeline is wanted here" in said
    assert "Traceback" not in said
    assert hub.requested == ["model_index.json"]
    assert entries(tmp_path) == []


def test_an_unreachable_hub_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.endpoint = "http://127.0.0.1:9"
    status, said = import_controlnet(hub, tmp_path)
    assert status == 1
    assert "someone/controlnet cannot be downloaded" in said
    assert "Traceback" not in said
    assert entries(tmp_path) == []


def test_a_flipped_byte_is_refused_by_the_hubs_own_digest(hub: Hub, tmp_path: Path) -> None:
    path = "diffusion_pytorch_model.fp16.safetensors"
    hub.large[path] = hashlib.sha256(WEIGHTS).hexdigest()
    hub.files["someone/controlnet"][path] = WEIGHTS[:-1] + bytes([WEIGHTS[-1] ^ 1])
    status, said = import_controlnet(hub, tmp_path)
    assert status == 1
    assert f"{path} has SHA-256" in said
    assert entries(tmp_path) == []


@pytest.fixture
def killed_import(hub: Hub, tmp_path: Path) -> int:
    """An import that was killed while its weights arrived; how many bytes of them it left."""
    hub.stalls = FILE
    hub.large[FILE] = hashlib.sha256(LARGE).hexdigest()
    hub.files["someone/controlnet"][FILE] = LARGE
    started = start_import(hub, tmp_path, "someone/controlnet", "controlnet-pose")
    try:
        assert hub.stalled.wait(300)
        left = eventually_left(tmp_path)
    finally:
        started.kill()
        started.communicate(timeout=30)
    assert entries(tmp_path) == []
    hub.stalls = None
    hub.go_on.set()
    hub.requested.clear()
    return left


def eventually_left(home: Path) -> int:
    """What is on the disk of the first half, when some of it is."""
    while True:
        for path in home.glob(f".models_store/downloads/*/{FILE}.unfinished"):
            if path.stat().st_size:
                return path.stat().st_size
        time.sleep(0.05)


def imported_weights(home: Path) -> bytes:
    (entry,) = entries(home)
    assert {path.name for path in entry.iterdir()} == {"config.json", FILE, "model.yaml"}
    return (entry / FILE).read_bytes()


def test_a_killed_import_goes_on_in_the_middle_of_the_file(hub: Hub, tmp_path: Path, killed_import: int) -> None:
    assert import_controlnet(hub, tmp_path)[0] == 0
    assert hub.continued[FILE] >= killed_import > 0
    assert hub.requested == [FILE], "what had arrived whole is not fetched again"
    assert imported_weights(tmp_path) == LARGE


def test_a_server_that_knows_no_ranges_sends_the_whole_file_again(hub: Hub, tmp_path: Path, killed_import: int) -> None:
    hub.ignores_ranges = True
    assert import_controlnet(hub, tmp_path)[0] == 0
    assert hub.continued[FILE] >= killed_import
    assert imported_weights(tmp_path) == LARGE


def test_what_is_left_of_another_revision_is_not_continued(hub: Hub, tmp_path: Path, killed_import: int) -> None:
    other = save({"weight": np.arange(LARGE_NUMBERS, dtype=np.float32)[::-1].copy()})
    hub.commit = "f" * 40
    hub.files["someone/controlnet"][FILE] = other
    hub.large[FILE] = hashlib.sha256(other).hexdigest()
    assert import_controlnet(hub, tmp_path)[0] == 0
    assert hub.continued == {}
    assert imported_weights(tmp_path) == other
    assert list((tmp_path / ".models_store" / "downloads").rglob("*.unfinished")) == []


def test_a_beginning_that_is_damaged_is_found_by_the_digest_and_only_that_file_is_fetched_anew(
    hub: Hub, tmp_path: Path, killed_import: int
) -> None:
    (left,) = tmp_path.glob(f".models_store/downloads/*/{FILE}.unfinished")
    with left.open("r+b") as file:
        file.seek(killed_import - 1)
        file.write(bytes([LARGE[killed_import - 1] ^ 1]))
    status, said = import_controlnet(hub, tmp_path)
    assert status == 1
    assert f"{FILE} has SHA-256" in said
    assert entries(tmp_path) == []
    hub.requested.clear()
    hub.continued.clear()
    assert import_controlnet(hub, tmp_path)[0] == 0
    assert (hub.requested, hub.continued) == ([FILE], {})
    assert imported_weights(tmp_path) == LARGE


def test_a_file_that_leads_out_of_its_folder_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.files["someone/controlnet"]["../../config.json"] = b"{}"
    status, said = import_controlnet(hub, tmp_path)
    assert status == 1
    assert "someone/controlnet lists the file '../../config.json'" in said
    assert hub.requested == []
