from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys

import httpx
import numpy as np
import pytest
from composition_client import Analysis
from composition_client.command.analyze import in_words
from composition_client.command.serve_check import grey_png
from PIL import Image

from clients.python.tests.service import API, PIXEL, refusal
from clients.python.tests.test_client import summary
from clients.python.tests.test_edit_command import SOURCE


def png(pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def analysis(target=None, **metadata) -> Analysis:
    routing = {"rule": "default", "reason": "nothing else applies", "target": target or {}}
    return Analysis(mask=PIXEL, pipeline="simple", models_used=[], metadata={"routing": routing, **metadata})


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({}, "the whole image"),
        ({"phrase": "car"}, "car"),
        ({"phrase": "car", "plural": True, "protected": ["wheels", "sky"]}, "every car, but not wheels, sky"),
        ({"phrase": "mug", "position": "left"}, "mug on the left"),
        ({"region": "upper"}, "what is worn (upper)"),
        ({"phrase": "background", "complement": True}, "the background"),
        ({"complement": True, "rest": True, "protected": ["car"]}, "everything else, but not car"),
        ({"place": "corner"}, "a place: corner"),
    ],
)
def test_the_target_in_words(target, words):
    assert in_words(analysis(target, mask_area=0.123))[1] == f"repaints {words}, 12.3% of the image"


@pytest.mark.parametrize(
    ("where", "words"), [("points", "what the points are on"), ("mask_image", "what the mask says"), ("prompt", "rims")]
)
def test_what_was_pointed_out_in_words(where, words):
    found = analysis({"phrase": "rims"} if where == "prompt" else None, mask_area=0.1)
    found.metadata["routing"] |= {"region_from": where, "target": found.routing["target"] or None}
    assert in_words(found)[1] == f"repaints {words}, 10.0% of the image"


def test_the_decision_in_words():
    found = analysis(
        {"phrase": "rims"},
        mask_area=0.05,
        detections=[{"label": "rims", "score": 0.815, "box": [1.2, 2.0, 30.0, 40.6]}],
        warnings=["strength is without effect"],
    )
    found.metadata["routing"] |= {"controls": {"depth": 0.8}, "generation_prompt": "sport rims"}
    assert in_words(found) == [
        "simple pipeline, rule default: nothing else applies",
        "repaints rims, 5.0% of the image",
        "  found rims (0.81) at 1, 2, 30, 41",
        "structure kept by depth (0.8)",
        "paints “sport rims”",
        "warning: strength is without effect",
    ]


def test_what_would_be_repainted_is_shown(compose, desk, service):
    (desk / "photo.png").write_bytes(png(np.full((2, 2, 3), 100)))
    mask = base64.b64encode(png([[255, 0], [0, 0]])).decode()
    result = {"mask": mask, "pipeline": "simple", "models_used": [], "metadata": {"routing": {"rule": "r"}}}
    service.before = lambda request: httpx.Response(200, json={"success": True, "result": result})
    done = compose("analyze", "photo.png", "blue car", "--show", "--target", "car")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("simple pipeline, rule r")
    assert json.loads(service.requests[0].content)["config"] == {"target": "car"}
    assert Image.open(desk / "photo.mask.png").getpixel((0, 0)) == 255
    overlay = np.asarray(Image.open(desk / "photo.overlay.png"))
    assert overlay[0, 0].tolist() == [177, 50, 50]
    assert overlay[1, 1].tolist() == [100, 100, 100]
    assert compose("analyze", "photo.png", "blue car", "--show").exit_code == 2
    shown = json.loads(compose("analyze", "photo.png", "blue car", "--json").stdout)
    assert (shown["pipeline"], "mask" in shown) == ("simple", False)


def test_jobs_are_listed(compose, service):
    failed = {**summary("b" * 36), "status": "failed", "error": "no", "error_code": "MODEL_ERROR"}
    pages = [{"jobs": [summary("a" * 36)], "cursor": "next"}, {"jobs": [failed] * 3, "cursor": None}]
    service.before = lambda r: httpx.Response(200, json={"success": True, **pages["cursor" in r.url.params]})
    listed = compose("jobs", "list", "--limit", "3").stdout.splitlines()
    assert [line.split()[0] for line in listed[1:]] == ["a" * 36, "b" * 36, "b" * 36]
    assert "MODEL_ERROR" in listed[2]
    (only,) = compose("jobs", "list", "--limit", "1", "--status", "completed", "--json").stdout.splitlines()
    assert json.loads(only)["job_id"] == "a" * 36
    assert service.requests[-1].url.params["status"] == "completed"


def test_a_job_is_shown_cancelled_and_its_image_fetched(compose, desk, service):
    job_id = compose("edit", "photo.jpg", "blue car", "--detach").stdout.strip()
    assert compose("jobs", "show", job_id).stdout.startswith("pending 0%\nsince ")
    fetched = compose("jobs", "image", job_id)
    assert (fetched.stdout, (desk / f"{job_id}.png").read_bytes()) == (f"{job_id}.png\n", PIXEL)
    assert compose("jobs", "image", job_id).exit_code == 2
    assert compose("jobs", "image", job_id, "-o", "-").stdout_bytes == PIXEL
    assert json.loads(compose("jobs", "cancel", job_id, "--json").stdout)["status"] == "cancelled"
    service.jobs[job_id]["status"] = "completed"
    shown = compose("jobs", "show", job_id).stdout
    assert "simple pipeline, seed 7\nwarning: mask_mode is without effect\n" in shown
    unknown = compose("jobs", "show", "another")
    assert (unknown.exit_code, unknown.stderr) == (1, "compose: NOT_FOUND: there is no such job\n")


def test_the_check_says_what_there_is(compose, service):
    done = compose("serve-check")
    assert done.exit_code == 0, done.stderr
    said = dict(line.split(None, 1) for line in done.stdout.splitlines() if not line.startswith(("models", "key")))
    assert (said["ready"], said["profile"], said["edit"].split(",")[0]) == ("yes", "tiny", "works")
    assert json.loads(compose("serve-check", "--no-edit", "--json").stdout)["models_loaded"] == ["clip"]
    assert len(service.jobs) == 1


@pytest.mark.parametrize(
    ("path", "answer", "status", "said"),
    [
        ("/health", refusal(503, "NOT_READY", "the models are not loaded", models_loaded=["clip"]), 3, "not loaded"),
        ("/jobs", refusal(401, "UNAUTHORIZED", "no valid API key"), 4, "set COMPOSE_API_KEY"),
        ("/generate/async", refusal(422, "EMPTY_MASK", "nothing to repaint"), 1, "EMPTY_MASK"),
        ("/health", httpx.Response(200, text="hello"), 3, "not as this service does"),
    ],
    ids=["not-ready", "no-key", "no-edit", "another-server"],
)
def test_the_check_says_what_is_wrong(compose, service, path, answer, status, said):
    service.before = lambda request: answer if request.url.path == API + path else None
    done = compose("serve-check", "--json")
    assert (done.exit_code, said in done.stderr) == (status, True)
    report = json.loads(done.stdout)
    assert "code" in report["error"]
    if "NOT_READY" in answer.text:
        assert (report["ready"], report["models_loaded"]) == (False, ["clip"])


def test_the_tiny_image_is_one():
    pixels = np.asarray(Image.open(io.BytesIO(grey_png(256, square=200))))
    assert pixels.shape == (256, 256)
    assert (pixels[64:192, 64:192] == 200).all()
    assert pixels.sum() == 128 * 128 * 200


def completed(words: str, **variables: str) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "_COMPOSE_COMPLETE": "complete_bash", **variables}
    environment |= {"COMP_WORDS": f"compose {words}", "COMP_CWORD": str(len(words.split(" ")))}
    code = "import sys; sys.argv = ['compose']; from composition_client.command import main; main()"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()


def test_the_shell_completes_commands_options_values_and_jobs(url, service):
    assert completed("serve") == ["serve-check"]
    assert "--num-inference-steps" in completed("edit --num")
    assert completed("edit --crop ") == ["auto", "off"]
    assert completed("edit --control-types d") == ["depth"]
    service.before = lambda r: httpx.Response(200, json={"jobs": [summary("abc"), summary("xyz")], "cursor": None})
    assert completed("jobs show a", COMPOSE_URL=url) == ["abc"]
    assert completed("jobs show a", COMPOSE_URL="http://127.0.0.1:9") == []


def test_the_library_needs_neither_numpy_nor_pillow_nor_the_command_line_s_packages():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['numpy', 'PIL', 'typer', 'rich']))\n"
        "from composition_client.images import to_base64; import composition_client; print(to_base64(b'a'))"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "YQ==\n"), done.stderr
