from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import composition_client
import httpx
import pytest
from composition_client.options import Config

from clients.python.tests.service import PIXEL, Life, frame, refusal

SOURCE = Path(composition_client.__file__).parents[1]
VALUES = {
    "pipeline": ("complex", "complex"),
    "force_controlnet": (None, True),
    "control_types": ("pose", ["pose"]),
    "num_inference_steps": ("8", 8),
    "guidance_scale": ("3.5", 3.5),
    "guidance_rescale": ("0.7", 0.7),
    "scheduler": ("UniPCMultistep", "UniPCMultistep"),
    "seed": ("7", 7),
    "ip_adapter_scale": ("0.5", 0.5),
    "ip_adapter_start": ("0.2", 0.2),
    "ip_adapter_end": ("0.6", 0.6),
    "ip_adapter_mask": (None, True),
    "controlnet_conditioning_scale": ("0.9", 0.9),
    "control_guidance_start": ("0.1", 0.1),
    "control_guidance_end": ("0.8", 0.8),
    "target": ("the car", "the car"),
    "points": ("3,4,0", [[3, 4, 0]]),
    "box": ("[1, 2, 30.5, 40]", [1, 2, 30.5, 40]),
    "on_no_detection": ("error", "error"),
    "refine_mask": ("off", "off"),
    "mask_mode": ("alpha", "alpha"),
    "mask_dilation_px": ("3", 3),
    "mask_blur_px": ("4", 4),
    "mask_feather": ("out", "out"),
    "strength": ("0.5", 0.5),
    "blend": ("0.5", 0.5),
    "crop": ("off", "off"),
    "crop_context": ("3", 3),
    "speed": ("fast", "fast"),
    "quality": ("balanced", "balanced"),
    "color_match": (None, True),
    "keep_parts": ("off", "off"),
    "keep_surroundings": ("off", "off"),
    "occlusion": ("off", "off"),
    "sharpen": (None, True),
    "output_format": ("webp", "webp"),
    "output_quality": ("80", 80),
    "return_mask": (None, True),
    "embed_metadata": (None, True),
    "oversize": ("downscale", "downscale"),
    "model": ("photo", "photo"),
    "loras": ('{"film": 0.5}', {"film": 0.5}),
}


def sent(service) -> dict:
    return json.loads(service.called("POST")[-1].content)


def test_the_edited_photo_lies_beside_the_photo(compose, desk, service):
    done = compose("edit", "photo.jpg", "blue car")
    assert (done.exit_code, done.stdout) == (0, "photo.edited.png\n")
    assert (desk / "photo.edited.png").read_bytes() == PIXEL
    assert "simple pipeline (appearance), seed 7" in done.stderr
    assert "warning: mask_mode is without effect" in done.stderr
    photo = base64.b64encode(b"a photo").decode()
    assert sent(service) == {"base_image": photo, "prompt": "blue car", "config": {"output_format": "png"}}


def test_what_is_being_painted_is_written_over_and_over(compose, desk, service):
    previews = [
        frame(number, "preview", {"image": base64.b64encode(PIXEL[:number]).decode(), "media_type": "image/jpeg"})
        for number in (2, 9)
    ]
    service.life = Life(streams=["".join(previews) + frame(10, "status", {"status": "completed"})])
    assert compose("edit", "photo.jpg", "blue car", "--preview", "live.jpg").exit_code == 0
    assert (desk / "live.jpg").read_bytes() == PIXEL[:9]
    refused = compose("edit", "photo.jpg", "blue car", "--preview", "live.jpg", "-o", "x.png")
    assert (refused.exit_code, "live.jpg is there already" in refused.stderr) == (2, True)
    assert compose("edit", "photo.jpg", "blue car", "--preview", "new.jpg", "--detach").exit_code == 2


def test_several_references_are_given_by_repeating_the_flag(compose, desk, service):
    (desk / "jacket.webp").write_bytes(b"a jacket")
    assert compose("edit", "photo.jpg", "x", "-r", "jacket.webp", "-r", "https://a.example/b.png").exit_code == 0
    assert sent(service)["reference_images"] == [base64.b64encode(b"a jacket").decode(), "https://a.example/b.png"]
    assert compose("edit", "photo.jpg", "x", "-r", "jacket.webp", "--force").exit_code == 0
    assert sent(service)["reference_image"] == base64.b64encode(b"a jacket").decode()


def test_nothing_is_overwritten_unless_forced(compose, desk, service):
    (desk / "photo.edited.png").write_bytes(b"mine")
    refused = compose("edit", "photo.jpg", "blue car")
    assert refused.exit_code == 2
    assert "photo.edited.png is there already" in refused.stderr
    assert service.requests == []
    assert (desk / "photo.edited.png").read_bytes() == b"mine"
    assert compose("edit", "photo.jpg", "blue car", "--force").exit_code == 0
    assert (desk / "photo.edited.png").read_bytes() == PIXEL


def test_a_file_that_appears_meanwhile_is_not_overwritten_either(compose, desk, service):
    service.before = lambda request: (desk / "photo.edited.png").write_bytes(b"mine") and None
    assert compose("edit", "photo.jpg", "blue car").exit_code == 1
    assert (desk / "photo.edited.png").read_bytes() == b"mine"
    assert sorted(path.name for path in desk.iterdir()) == ["photo.edited.png", "photo.jpg"]


@pytest.mark.parametrize(("name", "kind"), [("o.webp", "webp"), ("o.JPG", "jpeg"), ("o.png", "png"), ("o", "png")])
def test_the_name_of_the_output_says_its_format(compose, desk, service, name, kind):
    assert compose("edit", "photo.jpg", "blue car", "-o", name).exit_code == 0
    assert sent(service)["config"]["output_format"] == kind
    assert (desk / name).exists()


def test_a_format_that_contradicts_the_name_is_refused(compose, desk, service):
    assert compose("edit", "photo.jpg", "blue car", "-o", "o.png", "--output-format", "jpeg").exit_code == 2
    assert compose("edit", "photo.jpg", "blue car", "--output-format", "jpeg").stdout == "photo.edited.jpg\n"


def test_there_is_a_value_here_for_every_option():
    assert VALUES.keys() == get_type_hints(Config).keys()


@pytest.mark.parametrize("spelled", ["-", "_"])
@pytest.mark.parametrize("name", VALUES)
def test_every_option_of_the_api_is_a_flag(compose, desk, service, name, spelled):
    value, expected = VALUES[name]
    flag = f"--{name.replace('_', spelled)}"
    done = compose("edit", "photo.jpg", "blue car", flag, *([] if value is None else [value]))
    assert done.exit_code == 0, done.stderr
    assert sent(service)["config"] == {"output_format": "png", name: expected}


def test_an_option_can_be_switched_off(compose, desk, service):
    assert compose("edit", "photo.jpg", "blue car", "--no-color-match").exit_code == 0
    assert sent(service)["config"]["color_match"] is False


def test_lists_repeat_their_flag(compose, desk, service):
    words = ("--points", "1,2", "--points", "[3, 4, 0]", "--control-types", "pose", "--control-types", "depth")
    assert compose("edit", "photo.jpg", "blue car", *words).exit_code == 0
    config = sent(service)["config"]
    assert (config["points"], config["control_types"]) == ([[1, 2], [3, 4, 0]], ["pose", "depth"])


def test_any_other_option_can_be_set(compose, desk, service):
    arguments = ("--set", "quality=draft", "--set", "box=[1, 2, 3, 4]", "--set", "note=a=b")
    assert compose("edit", "photo.jpg", "blue car", *arguments).exit_code == 0
    config = sent(service)["config"]
    assert (config["quality"], config["box"], config["note"]) == ("draft", [1, 2, 3, 4], "a=b")
    assert compose("edit", "photo.jpg", "blue car", "--force", "--set", "quality").exit_code == 2


def test_reference_mask_and_negative_prompt_are_sent(compose, desk, service):
    (desk / "ref.png").write_bytes(b"reference")
    done = compose("edit", "photo.jpg", "x", "-r", "ref.png", "-m", "-", "--negative-prompt", "rust", stdin=b"mask")
    assert done.exit_code == 0, done.stderr
    body = sent(service)
    images = [base64.b64decode(body[name]) for name in ("base_image", "reference_image", "mask_image")]
    assert (images, body["negative_prompt"]) == ([b"a photo", b"reference", b"mask"], "rust")


def test_a_photo_can_come_from_a_pipe_and_go_into_one(compose, desk):
    done = compose("edit", "-", "blue car", stdin=b"a photo")
    assert (done.exit_code, done.stdout_bytes) == (0, PIXEL)
    assert compose("edit", "photo.jpg", "blue car", "-o", "-").stdout_bytes == PIXEL
    assert sorted(path.name for path in desk.iterdir()) == ["photo.jpg"]


def test_a_url_is_left_to_the_service(compose, desk, service):
    assert compose("edit", "https://shop.example/a/car.jpg?w=9", "x").stdout == "car.edited.png\n"
    assert sent(service)["base_image"] == "https://shop.example/a/car.jpg?w=9"


def test_several_photos_and_patterns_go_into_a_folder(compose, desk, service):
    for name in ("a1.jpg", "a2.jpg"):
        (desk / name).write_bytes(b"a photo")
    done = compose("edit", "a*.jpg", "photo.jpg", "blue car", "-o", "out")
    assert done.stdout.split() == ["out/a1.edited.png", "out/a2.edited.png", "out/photo.edited.png"]
    assert len(service.jobs) == 3


def test_one_photo_s_error_leaves_the_others_alone(compose, desk, service):
    (desk / "bad.jpg").write_bytes(b"bad")
    bad = base64.b64encode(b"bad")
    service.before = lambda r: refusal(422, "UNPROCESSABLE_IMAGE", "is none") if bad in r.content else None
    done = compose("edit", "bad.jpg", "photo.jpg", "blue car", "--json")
    failed, edited = map(json.loads, done.stdout.splitlines())
    assert done.exit_code == 1
    assert failed == {
        "photo": "bad.jpg", "error": {"code": "UNPROCESSABLE_IMAGE", "message": "is none", "details": {}},
    }  # fmt: skip
    assert (edited["photo"], edited["outputs"], edited["seeds"]) == ("photo.jpg", ["photo.edited.png"], [7])
    assert edited["job_id"] in service.jobs


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (["no.jpg", "x"], None, "no.jpg: there is no such file"),
        (["photo.jpg"], None, "a photo and a PROMPT are needed"),
        (["photo.jpg", "x", "-r", "no.png"], None, "no.png: there is no such file"),
        (["-", "x"], b"", "nothing came from stdin"),
        (["-", "x", "-m", "-"], b"a", "only one file can come from stdin"),
        (["photo.jpg", "photo.jpg", "x"], None, "several images would be written to"),
        (["photo.jpg", "other.jpg", "x", "-o", "-"], None, "do not fit into one pipe"),
        (["photo.jpg", "x", "-o", "-", "--json"], None, "cannot both go to stdout"),
        (["-", "x", "--json"], b"a", "cannot both go to stdout"),
        (["photo.jpg", "x", "--detach", "-o", "out.png"], None, "--detach waits for no result"),
        (["photo.jpg", "x", "--detach", "--open"], None, "--detach waits for no result"),
        (["photo.jpg", "x", "-o", "-", "--return-mask"], None, "give -o FILE"),
        (["photo.jpg", "x", "--callback-url", "http://a"], None, "--callback-url is for --detach"),
        (["photo.jpg", "x", "--loras", "film"], None, "--loras film"),
        (["photo.jpg", "x", "--box", "1,2,x"], None, "--box 1,2,x"),
        (["photo.jpg", "x", "-n", "2", "-o", "-"], None, "several images do not fit into one pipe"),
        (["photo.jpg", "x", "--url", "localhost:8000"], None, "not an http or https URL"),
        (["photo.jpg", "x", "--seed", "seven"], None, "--seed"),
    ],
)
def test_wrong_usage_is_exit_status_2_before_anything_is_sent(compose, desk, service, arguments, stdin, said):
    (desk / "other.jpg").write_bytes(b"a photo")
    done = compose("edit", *arguments, stdin=stdin)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert service.requests == []


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (refusal(400, "INVALID_INPUT"), 2),
        (refusal(401, "UNAUTHORIZED"), 4),
        (refusal(403, "FORBIDDEN"), 4),
        (refusal(413, "PAYLOAD_TOO_LARGE"), 1),
        (refusal(422, "NO_DETECTION"), 1),
        (refusal(500, "INTERNAL"), 1),
        (refusal(504, "TIMEOUT"), 1),
        (refusal(429, "RATE_LIMITED", headers={"Retry-After": "3600"}), 3),
        (refusal(503, "NOT_READY", headers={"Retry-After": "3600"}), 3),
        (refusal(503, "QUEUE_FULL", headers={"Retry-After": "3600"}), 3),
        (httpx.Response(404, text="<html>"), 3),
    ],
    ids=lambda value: value if isinstance(value, int) else value.text[:50],
)
def test_the_exit_status_says_what_went_wrong(compose, desk, service, answer, status):
    service.before = lambda request: answer
    done = compose("edit", "photo.jpg", "blue car")
    assert done.exit_code == status
    assert done.stdout == ""
    assert done.stderr.startswith("compose: photo.jpg: ")
    assert sorted(path.name for path in desk.iterdir()) == ["photo.jpg"]


def test_a_service_that_is_not_there_is_exit_status_3(compose, desk, quick):
    done = compose("edit", "photo.jpg", "blue car", "--url", "http://127.0.0.1:9")
    assert (done.exit_code, "http://127.0.0.1:9" in done.stderr) == (3, True)


def test_a_failed_job_is_exit_status_1_and_out_of_time_5(compose, desk, service):
    service.life = Life(end="failed", error=("MODEL_ERROR", "it broke"))
    assert compose("edit", "photo.jpg", "blue car").exit_code == 1
    service.life = Life(streams=[""] * 1000)
    done = compose("edit", "photo.jpg", "blue car", "--timeout", "0.3")
    assert (done.exit_code, "not done within 0.3 s" in done.stderr) == (5, True)


def test_the_mask_is_written_beside_the_image(compose, desk, service):
    plain = service._status
    mask = base64.b64encode(b"mask").decode()
    service._status = lambda job_id: {**plain(job_id), "result": {**plain(job_id)["result"], "mask": mask}}
    service.life = Life(streams=['id: 1\nevent: status\ndata: {"status": "completed"}\n\n'])
    assert compose("edit", "photo.jpg", "blue car", "--return-mask").exit_code == 0
    assert (desk / "photo.edited.mask.png").read_bytes() == b"mask"
    (desk / "photo.edited.png").unlink()
    assert compose("edit", "photo.jpg", "blue car", "--return-mask").exit_code == 2


def test_candidates_are_numbered(compose, desk, service):
    plain = service._status
    images = [base64.b64encode(text).decode() for text in (b"one", b"two")]
    several = {"images": images, "metadata": {"seed_used": 7, "seeds": [7, 8]}}
    service._status = lambda job_id: {**plain(job_id), "result": {**plain(job_id)["result"], **several}}
    service.life = Life(streams=['id: 1\nevent: status\ndata: {"status": "completed"}\n\n'])
    done = compose("edit", "photo.jpg", "blue car", "-n", "2")
    assert (done.exit_code, done.stdout) == (0, "photo.edited.1.png\nphoto.edited.2.png\n")
    assert "seeds 7, 8" in done.stderr
    assert (desk / "photo.edited.2.png").read_bytes() == b"two"
    assert sent(service)["n"] == 2


def test_progress_is_said_where_it_is_asked_for(compose, desk):
    done = compose("edit", "photo.jpg", "blue car", "--progress")
    assert "photo.jpg: pending 0%\nphoto.jpg: diffuse 3/6 50%\nphoto.jpg: completed 100%" in done.stderr
    assert "diffuse" not in compose("edit", "photo.jpg", "blue car", "--force").stderr


def test_a_detached_edit_prints_its_job_and_is_not_waited_for(compose, desk, service):
    done = compose("edit", "photo.jpg", "blue car", "--detach", "--callback-url", "https://shop.example/done")
    assert done.stdout.split() == list(service.jobs)
    assert sent(service)["callback_url"] == "https://shop.example/done"
    assert service.called("GET") == []


def test_the_result_is_shown(url, desk):
    """In a process of its own, since the viewer outlives the command."""
    viewer = desk / "bin" / "xdg-open"
    viewer.parent.mkdir()
    os.mkfifo(desk / "shown")
    viewer.write_text(f'#!/bin/sh\necho "$1" > {desk}/shown\n')
    viewer.chmod(0o755)
    variables = {**os.environ, "PATH": f"{viewer.parent}:{os.environ['PATH']}", "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "composition_client", "edit", "photo.jpg", "blue car", "--open", "--url", url]
    with subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        assert (desk / "shown").read_text().strip() == "photo.edited.png"
    assert process.returncode == 0


def test_the_key_is_sent_and_not_printed(compose, desk, service, monkeypatch):
    monkeypatch.setenv("COMPOSE_API_KEY", "secret-key")
    done = compose("edit", "photo.jpg", "blue car", "--json", "--progress")
    assert service.requests[0].headers["Authorization"] == "Bearer secret-key"
    service.before = lambda request: refusal(401, "UNAUTHORIZED")
    refused = compose("edit", "photo.jpg", "blue car", "--force")
    assert "secret-key" not in done.output + refused.output


def test_a_key_that_no_header_can_carry_is_wrong_usage(compose, desk, service, monkeypatch):
    monkeypatch.setenv("COMPOSE_API_KEY", "schlüssel")
    refused = compose("edit", "photo.jpg", "blue car")
    assert (refused.exit_code, len(service.requests)) == (2, 0)
    assert "schl" not in refused.output


def test_no_flag_takes_a_key(compose):
    for command in ("edit", "batch", "analyze", "serve-check", "jobs"):
        assert "-key" not in compose(command, "--help").output
