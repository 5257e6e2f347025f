"""The adapters speak the APIs that the servers document, here to stand-ins of them."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import numpy as np
import pytest

from benchmarks.peers.adapters import IOPaint, Naive, Ours, PeerFailed
from benchmarks.peers.comfyui import ComfyUI
from benchmarks.peers.edit import changed_outside, make_edit
from composition.config import load_config
from tests.unit.benchmarks.peers.stand_ins import comfyui, iopaint, served


def edit(prompt="a red car"):
    made = make_edit(1, side_px=64, steps=7)
    return type(made)(photo=made.photo, mask=made.mask, prompt=prompt, steps=7, seed=3)


def is_painted(asked, image):
    inside = asked.mask == 255
    return (image[inside] == 128).all() and (image[~inside] == asked.photo[~inside]).all()


@pytest.fixture
def iopaint_peer(tmp_path):
    return IOPaint(model=tmp_path / "model", dtype="float32", device="cpu", environment=tmp_path / "environment")


@pytest.fixture
def comfyui_peer(tmp_path):
    return ComfyUI(checkout=tmp_path / "comfy", checkpoint="sd.safetensors", device="cpu", dtype="float32")


def test_iopaint_is_asked_for_the_same_edit(iopaint_peer):
    app = iopaint()
    with served(app) as client:
        assert client.get(iopaint_peer.health_path).is_success
        assert is_painted(edit(), iopaint_peer.paint(client, edit()))
        assert iopaint_peer.submit(client, edit()) is None
    [asked] = app.state.asked
    wanted = {"prompt": "a red car", "sd_steps": 7, "sd_seed": 3, "sd_guidance_scale": 7.5, "sd_strength": 1.0}
    assert {name: asked[name] for name in wanted} == wanted


def test_an_error_of_iopaint_is_told_with_its_status(iopaint_peer):
    with served(iopaint()) as client, pytest.raises(PeerFailed, match=r"/api/v1/inpaint answered 500.*IndexError"):
        iopaint_peer.paint(client, edit("fail"))


def test_comfyui_is_asked_for_the_same_edit_and_waited_for(comfyui_peer):
    app = comfyui()
    with served(app) as client:
        assert client.get(comfyui_peer.health_path).is_success
        assert is_painted(edit(), comfyui_peer.paint(client, edit()))
    [graph] = app.state.prompts.values()
    sampler = graph["sampler"]["inputs"]
    assert (sampler["steps"], sampler["seed"], sampler["cfg"], sampler["denoise"]) == (7, 3, 7.5, 1.0)
    assert graph["model"]["inputs"] == {"ckpt_name": "sd.safetensors"}
    links = {link[0] for node in graph.values() for link in node["inputs"].values() if isinstance(link, list)}
    assert links == set(graph) - {"saved"}


def test_a_prompt_that_comfyui_refuses_fails_or_forgets_is_told_as_such(comfyui_peer):
    with served(comfyui()) as client:
        with pytest.raises(PeerFailed, match="/prompt answered 400"):
            comfyui_peer.paint(client, edit("refuse"))
        with pytest.raises(PeerFailed, match="ended as error"):
            comfyui_peer.paint(client, edit("fail"))
        with pytest.raises(PeerFailed, match="neither in its queue nor in its history"):
            comfyui_peer.fetch(client, "prompt-of-before")


def test_who_waits_for_comfyui_leaves_when_the_clients_patience_is_over(comfyui_peer):
    with served(comfyui(asked_before_done=10**9)) as client:
        client.timeout = httpx.Timeout(30, read=1)
        with pytest.raises(httpx.ReadTimeout):
            comfyui_peer.paint(client, edit())


def test_comfyui_is_started_from_its_checkout_and_writes_nowhere_else(comfyui_peer, tmp_path):
    checkpoints = tmp_path / "comfy" / "models" / "checkpoints"
    with pytest.raises(PeerFailed, match=r"no main\.py"):
        comfyui_peer.launch(8188, tmp_path / "out")
    checkpoints.mkdir(parents=True)
    (tmp_path / "comfy" / "main.py").touch()
    with pytest.raises(PeerFailed, match="--comfyui-checkpoint"):
        comfyui_peer.launch(8188, tmp_path / "out")
    (checkpoints / "sd.safetensors").touch()
    launch = comfyui_peer.launch(8188, tmp_path / "out")
    assert launch.command[:2] == [sys.executable, "main.py"]
    assert {"--cpu", "--force-fp32", "8188"} <= set(launch.command)
    named = [Path(launch.command[n + 1]) for n, word in enumerate(launch.command) if word.endswith("-directory")]
    assert [path.parent for path in named] == [tmp_path / "out"] * 3
    assert launch.cwd == tmp_path / "comfy"


def test_iopaint_is_shown_the_model_in_its_own_environment(iopaint_peer, tmp_path):
    with pytest.raises(PeerFailed, match="--install-iopaint"):
        iopaint_peer.launch(8080, tmp_path / "out")
    program = tmp_path / "environment" / "bin" / "iopaint"
    program.parent.mkdir(parents=True)
    program.touch()
    (tmp_path / "model").mkdir()
    for _ in range(2):  # it is started again after the kill
        launch = iopaint_peer.launch(8080, tmp_path / "out")
    assert launch.command[:2] == [str(program), "start"]
    assert {"--no-half", "--local-files-only"} <= set(launch.command)
    shown = tmp_path / "out" / "models" / "stable_diffusion" / launch.command[launch.command.index("--model") + 1]
    assert shown.resolve() == tmp_path / "model"
    assert launch.environment["PYTHONPATH"] == ""


def test_this_service_and_the_naive_one_get_the_same_weights_and_number_format(tmp_path, monkeypatch):
    ours = Ours(model=tmp_path, side_px=512, dtype="float32").launch(8000, tmp_path / "out")
    for name, value in ours.environment.items():
        monkeypatch.setenv(name, value)
    config = load_config()
    assert (config.models.base_model, config.models.dtype) == (str(tmp_path), "float32")
    assert config.generation.native_size == 512
    assert config.limits.request_timeout_seconds > 1000  # nobody else has a limit
    naive = Naive(model=tmp_path, dtype="float32").launch(8000, tmp_path / "out")
    assert list(naive.command[-3:]) == [str(tmp_path), "8000", "float32"]


def test_what_changed_is_counted_outside_of_the_mask_and_far_from_it():
    asked = make_edit(1, side_px=256, steps=1)
    painted = asked.photo.copy()
    painted[asked.mask == 255] += 1
    assert changed_outside(asked, painted) == (0.0, 0.0)
    painted[63, 64] += 1
    outside, far = changed_outside(asked, painted)
    assert (outside, far) == (1 / (256**2 * 3 / 4), 0.0)
    painted[0, 0] += 1
    assert changed_outside(asked, painted)[1] == 1 / (256**2 - 192**2)
    with pytest.raises(ValueError, match="an image of"):
        changed_outside(asked, np.zeros((8, 8, 3), np.uint8))
