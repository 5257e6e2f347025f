"""The adapters speak the APIs that the servers document, here to stand-ins of them."""

from __future__ import annotations

import json
import re
import sys

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
    model = tmp_path / "model"
    for part, file in {
        "unet": "diffusion_pytorch_model",
        "vae": "diffusion_pytorch_model",
        "text_encoder": "model",
    }.items():
        (model / part).mkdir(parents=True)
        (model / part / f"{file}.safetensors").touch()
        write_config(model, part)
    return ComfyUI(checkout=tmp_path / "comfy", model=model, device="cpu", dtype="float32")


SD15 = {
    "unet": {"block_out_channels": [320, 640, 1280, 1280], "cross_attention_dim": 768, "in_channels": 9},
    "text_encoder": {"hidden_size": 768, "num_hidden_layers": 12, "vocab_size": 49408},
    "vae": {"block_out_channels": [128, 256, 512, 512], "latent_channels": 4},
}


def check_out(peer):
    peer.checkout.mkdir()
    (peer.checkout / "main.py").touch()


def write_config(model, part, **other):
    (model / part / "config.json").write_text(json.dumps({**SD15[part], **other}))


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
    links = {link[0] for node in graph.values() for link in node["inputs"].values() if isinstance(link, list)}
    assert links == set(graph) - {"saved"}


def test_comfyui_gets_a_photo_that_comes_again_under_its_old_name(comfyui_peer):
    app = comfyui()
    with served(app) as client:
        for asked in (edit(), edit().again(seed=4), make_edit(2, side_px=64, steps=7)):
            comfyui_peer.paint(client, asked)
    photos, masks = (
        [graph[node]["inputs"]["image"] for graph in app.state.prompts.values()] for node in ("photo", "mask")
    )
    assert photos[0] == photos[1] != photos[2]
    assert len(set(masks)) == 1
    assert not set(photos) & set(masks)


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
    with pytest.raises(PeerFailed, match=r"no main\.py"):
        comfyui_peer.launch(8188, tmp_path / "out")
    check_out(comfyui_peer)
    for _ in range(2):  # it is started again after the kill
        launch = comfyui_peer.launch(8188, tmp_path / "out")
    assert launch.command[:2] == [sys.executable, "main.py"]
    assert {"--cpu", "--force-fp32", "--fp32-text-enc", "8188"} <= set(launch.command)
    assert launch.command[launch.command.index("--base-directory") + 1] == str(tmp_path / "out")
    assert launch.command[launch.command.index("--database-url") + 1].startswith(f"sqlite:///{tmp_path / 'out'}/")
    assert launch.cwd == tmp_path / "comfy"


def test_comfyui_is_shown_the_parts_of_the_folder_that_the_others_load(comfyui_peer, tmp_path):
    check_out(comfyui_peer)
    comfyui_peer.launch(8188, tmp_path / "out")
    graph = comfyui_peer._graph(edit(), photo="photo.png", mask="mask.png")
    for kind, key, node, file in (
        ("diffusion_models", "unet_name", "unet", "unet/diffusion_pytorch_model.safetensors"),
        ("text_encoders", "clip_name", "clip", "text_encoder/model.safetensors"),
        ("vae", "vae_name", "vae", "vae/diffusion_pytorch_model.safetensors"),
    ):
        shown = tmp_path / "out" / "models" / kind / graph[node]["inputs"][key]
        assert shown.resolve() == tmp_path / "model" / file


@pytest.mark.parametrize(
    ("part", "odd"),
    [
        ("unet", {"block_out_channels": [32, 64, 64, 64]}),
        ("text_encoder", {"vocab_size": 700}),
        ("vae", {"block_out_channels": [32, 32, 64, 64]}),
    ],
)
def test_a_model_that_comfyui_would_not_recognise_is_refused_with_what_is_odd(comfyui_peer, tmp_path, part, odd):
    check_out(comfyui_peer)
    write_config(tmp_path / "model", part, **odd)
    with pytest.raises(PeerFailed, match=f"this one's {part} has {re.escape(str(odd))}$"):
        comfyui_peer.launch(8188, tmp_path / "out")


def test_a_file_that_comfyui_cannot_find_is_named(comfyui_peer, tmp_path):
    check_out(comfyui_peer)
    (tmp_path / "model" / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(PeerFailed, match=r"ComfyUI loads vae/diffusion_pytorch_model\.safetensors"):
        comfyui_peer.launch(8188, tmp_path / "out")


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
