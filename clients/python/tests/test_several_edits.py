"""Several edits of a photo on the command line: --and, --edits, and what is said of each."""

from __future__ import annotations

import base64
import json

import httpx
import pytest
from composition_client import Analysis, EditAccount
from composition_client.command.analyze import in_words as analysis_in_words

from clients.python.tests.service import METADATA, PIXEL, body_of

RED, TREE = {"prompt": "make the car red"}, {"prompt": "replace the lamp with a tree"}
ACCOUNTS = [
    {**RED, "region": [10, 20, 200, 180], "mask_area": 0.25, "covered_by": [{"edit": 1, "share": 0.3}], "warnings": []},
    {**TREE, "region": None, "mask_area": 0.0, "covered_by": [], "warnings": ["nothing was found for 'lamp'"]},
]
SEVERAL = {
    **METADATA,
    "edits": ACCOUNTS,
    "warnings": ["scheduler is without effect", "edits.1: nothing was found for 'lamp'"],
}
TOML = """
[[edits]]
prompt = "make the car red"     # its first one
blend = 0.8
mask_image = "masks/car.png"

[[edits]]
prompt = "this jacket"
reference_images = [
    "jacket.webp",
    "https://a.example/b.png",
    {image = "jacket.webp", weight = 0.5, for = "sleeves"},
    {image = "https://a.example/b.png", for = {mask_image = "masks/car.png"}},
]
"""


def sent(service) -> dict:
    return body_of(service.called("POST")[-1])


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture
def plans(desk):
    """A folder with edits in files, and their images beside them."""
    folder = desk / "plans"
    (folder / "masks").mkdir(parents=True)
    (folder / "masks" / "car.png").write_bytes(b"a mask")
    (folder / "jacket.webp").write_bytes(b"a jacket")
    (folder / "edits.toml").write_text(TOML)
    (folder / "edits.json").write_text(json.dumps([RED | {"strength": 0.5}, TREE]))
    return folder


EXPECTED = [
    {"prompt": "make the car red", "blend": 0.8, "mask_image": in_base64(b"a mask")},
    {
        "prompt": "this jacket",
        "reference_images": [
            in_base64(b"a jacket"),
            "https://a.example/b.png",
            {"image": in_base64(b"a jacket"), "weight": 0.5, "for": "sleeves"},
            {"image": "https://a.example/b.png", "for": {"mask_image": in_base64(b"a mask")}},
        ],
    },
]


@pytest.mark.parametrize("command", [["edit"], ["analyze"]])
def test_further_sentences_are_further_edits(compose, desk, service, command):
    done = compose(*command, "photo.jpg", RED["prompt"], "--and", TREE["prompt"], "--and", "a cat", "--seed", 7)
    assert done.exit_code == 0, done.output
    body = sent(service)
    assert (body["edits"], body["config"]["seed"], "prompt" in body) == ([RED, TREE, {"prompt": "a cat"}], 7, False)


@pytest.mark.parametrize("command", ["edit", "analyze"])
def test_a_file_has_edits_with_settings_and_images_of_their_own(compose, desk, service, plans, command):
    done = compose(command, "photo.jpg", "--edits", "plans/edits.toml")
    assert done.exit_code == 0, done.output
    assert sent(service)["edits"] == EXPECTED
    assert compose(command, "photo.jpg", "--edits", plans / "edits.json", *["--force"]).exit_code == 0
    assert sent(service)["edits"] == [RED | {"strength": 0.5}, TREE]


def test_a_table_of_edits_comes_from_stdin_too(compose, desk, service):
    done = compose("edit", "photo.jpg", "--edits", "-", stdin=json.dumps({"edits": [TREE]}).encode())
    assert (done.exit_code, sent(service)["edits"]) == (0, [TREE])


def test_every_photo_given_has_the_edits_of_the_file(compose, desk, service, plans):
    (desk / "other.jpg").write_bytes(b"another")
    assert compose("edit", "photo.jpg", "other.jpg", "--edits", plans / "edits.json").exit_code == 0
    assert [body_of(request)["base_image"] for request in service.called("POST")] == [
        in_base64(b"a photo"), in_base64(b"another")
    ]  # fmt: skip


def test_what_only_the_service_knows_of_an_edit_is_sent_as_it_is(compose, desk, service):
    (desk / "e.json").write_text(json.dumps([RED | {"some_new_option": [1]}]))
    assert compose("edit", "photo.jpg", "--edits", "e.json").exit_code == 0
    assert sent(service)["edits"] == [RED | {"some_new_option": [1]}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "e.json: Expecting"),
        ("[]", "a list of edits is needed"),
        ('["red"]', "a list of edits is needed"),
        ('{"prompt": "red"}', "a list of edits is needed"),
        ('[{"prompt": "x", "mask_image": "no.png"}]', "no.png: there is no such file"),
        ('[{"prompt": "x", "reference_images": [{"image": "no.png"}]}]', "no.png: there is no such file"),
        ('[{"prompt": "x", "reference_images": [3]}]', "an image is a path or a URL, not 3"),
    ],
)
def test_a_file_that_has_no_edits_is_refused_before_anything_is_sent(compose, desk, service, content, message):
    (desk / "e.json").write_text(content)
    refused = compose("edit", "photo.jpg", "--edits", "e.json")
    assert (refused.exit_code, service.requests) == (2, [])
    assert message in " ".join(refused.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    "words",
    [
        ["edit", "photo.jpg"],
        ["analyze", "photo.jpg"],
        ["batch", "."],
        ["analyze", "photo.jpg", "red", "--edits", "plans/edits.json"],
        ["batch", ".", "red", "--edits", "plans/edits.json"],
        ["edit", "photo.jpg", "--edits", "plans/edits.json", "--and", "red"],
        ["edit", "photo.jpg", "--edits", "plans/nothing.json"],
        ["edit", "--edits", "plans/edits.json"],
    ],
)
def test_what_shall_be_there_is_said_once(compose, desk, service, plans, words):
    assert (compose(*words).exit_code, service.requests) == (2, [])


def test_a_batch_makes_all_edits_of_every_photo_and_knows_them_again(compose, desk, service, plans):
    (desk / "shop").mkdir()
    (desk / "shop" / "a.jpg").write_bytes(b"a")
    command = ("batch", "shop", "--edits", plans / "edits.toml")
    assert compose(*command).exit_code == 0
    mask, jacket = (f"data:;base64,{in_base64(data)}" for data in (b"a mask", b"a jacket"))
    first, second = sent(service)["edits"]
    assert first == {"prompt": "make the car red", "blend": 0.8, "mask_image": mask}
    assert second["reference_images"] == [
        jacket,
        "https://a.example/b.png",
        {"image": jacket, "weight": 0.5, "for": "sleeves"},
        {"image": "https://a.example/b.png", "for": {"mask_image": mask}},
    ]
    assert "0 edited, 1 done before" in compose(*command).stderr
    (plans / "jacket.webp").write_bytes(b"another jacket")
    assert "a batch with another prompt, image or option" in " ".join(compose(*command).stderr.replace("│", "").split())
    assert compose("batch", "shop", "red", "--and", "blue", "--force").exit_code == 0
    assert sent(service)["edits"] == [{"prompt": "red"}, {"prompt": "blue"}]


def test_a_batch_sends_the_url_of_a_reference_as_it_is(compose, desk, service):
    (desk / "shop").mkdir()
    (desk / "shop" / "a.jpg").write_bytes(b"a")
    assert compose("batch", "shop", "this jacket", "-r", "https://a.example/b.png").exit_code == 0
    assert sent(service)["reference_image"] == "https://a.example/b.png"


@pytest.fixture
def several(service, monkeypatch):
    """A service whose answers are of two edits, the second of which was not found."""
    monkeypatch.setattr("clients.python.tests.service.METADATA", SEVERAL)


def test_what_became_of_each_edit_is_told_with_its_own_warnings(compose, desk, service, several):
    done = compose("edit", "photo.jpg", RED["prompt"], "--and", TREE["prompt"])
    assert done.stderr.splitlines()[1:] == [
        "edits.0: make the car red: at 10, 20, 200, 180, 25.0% of the image, 30% of it under edits.1",
        "edits.1: replace the lamp with a tree: not done",
        "  warning: nothing was found for 'lamp'",
        "warning: scheduler is without effect",
    ]
    told = json.loads(compose("edit", "photo.jpg", "x", "--json", "--force").stdout)
    assert told["edits"] == ACCOUNTS
    job_id = next(iter(service.jobs))
    assert (
        "edits.1: replace the lamp with a tree: not done\n  warning: nothing" in compose("jobs", "show", job_id).stdout
    )


def test_an_analysis_of_several_edits_has_each_one_s_decision():
    routing = {"pipeline": "complex", "rule": "human", "reason": "a person", "target": {"phrase": "car"}}
    edits = [{**ACCOUNTS[0], "routing": routing}, {**ACCOUNTS[1], "routing": routing}]
    metadata = {**SEVERAL, "edits": edits}
    lines = analysis_in_words(Analysis(mask=PIXEL, pipeline="simple", models_used=[], metadata=metadata))
    assert lines[:3] == [
        "edits.0: make the car red: at 10, 20, 200, 180, 25.0% of the image, 30% of it under edits.1",
        "  complex pipeline, rule human: a person",
        "  repaints car, 25.0% of the image",
    ]
    assert lines[3:5] == ["edits.1: replace the lamp with a tree: not done", "  warning: nothing was found for 'lamp'"]


def test_the_account_of_each_edit_is_typed():
    found = Analysis(mask=PIXEL, pipeline="simple", models_used=[], metadata=SEVERAL)
    first, second = found.edits
    assert isinstance(first, EditAccount)
    assert (first.region, first.mask_area, second.region) == ([10, 20, 200, 180], 0.25, None)
    assert second.warnings == ["nothing was found for 'lamp'"]
    assert Analysis(mask=PIXEL, pipeline="simple", models_used=[], metadata={}).edits == []


def test_what_the_service_refuses_of_an_edit_is_said(compose, desk, service):
    error = {"code": "INVALID_INPUT", "message": "edits.0.blend: must be at most 1", "details": {}}
    service.before = lambda request: httpx.Response(400, json={"success": False, "error": error})
    refused = compose("edit", "photo.jpg", "red", "--and", "blue")
    assert (refused.exit_code, "edits.0.blend: must be at most 1" in refused.stderr) == (2, True)


@pytest.mark.parametrize("command", ["edit", "analyze"])
def test_a_reference_may_be_for_a_part(compose, desk, service, command):
    (desk / "jacket.webp").write_bytes(b"a jacket")
    both = ("-r", "https://a.example/b.png", "--reference-for", "the sleeves=jacket.webp")
    assert compose(command, "photo.jpg", "this jacket", *both).exit_code == 0
    part = {"image": in_base64(b"a jacket"), "for": "the sleeves"}
    assert sent(service)["reference_images"] == ["https://a.example/b.png", part]
    alone = ("--reference-for", "sleeves=https://a.example/b.png?x=1", *(("--force",) if command == "edit" else ()))
    assert compose(command, "photo.jpg", "this jacket", *alone).exit_code == 0
    assert sent(service)["reference_images"] == [{"image": "https://a.example/b.png?x=1", "for": "sleeves"}]


def test_a_batch_has_references_for_parts_as_well(compose, desk, service):
    (desk / "shop").mkdir()
    (desk / "shop" / "a.jpg").write_bytes(b"a")
    (desk / "jacket.webp").write_bytes(b"a jacket")
    assert compose("batch", "shop", "this jacket", "--reference-for", "sleeves=jacket.webp").exit_code == 0
    jacket = f"data:;base64,{in_base64(b'a jacket')}"
    assert sent(service)["reference_images"] == [{"image": jacket, "for": "sleeves"}]


@pytest.mark.parametrize("given", ["jacket.webp", "=jacket.webp", "sleeves=", "sleeves=no.png"])
def test_a_part_without_an_image_is_refused(compose, desk, service, given):
    assert compose("edit", "photo.jpg", "this jacket", "--reference-for", given).exit_code == 2
    assert service.requests == []
