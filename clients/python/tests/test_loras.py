"""LoRAs by both clients and by the command."""

from __future__ import annotations

import json

import httpx
import pytest
from composition_client import InvalidInput, NotFound, Unreachable

from clients.python.tests.service import body_of, filename_of, lora
from clients.python.tests.test_client import client, connect

__all__ = ["client", "connect"]
FILE = b"numbers"


def lose_answers(service, count):
    """The service does what is asked of it by POST, but its first answers are lost on their way."""
    left = [count]

    def before(request):
        if request.method == "POST" and left[0]:
            left[0] -= 1
            service._route(request)
            raise httpx.ReadError("gone", request=request)

    service.before = before


def test_a_file_is_uploaded_listed_and_deleted(client, service, tmp_path):
    path = tmp_path / "ink.safetensors"
    path.write_bytes(FILE)
    ink = client.upload_lora(path)
    (upload,) = service.called("POST")
    assert (filename_of(upload), body_of(upload)) == ("ink.safetensors", {"file": FILE})
    assert (ink.name, ink.kind, ink.family, ink.fits, ink.ranks) == ("ink", "lora", "sd15", True, [4])
    assert [(one.name, one.source) for one in client.loras().loras] == [("film", "operator"), ("ink", "upload")]
    assert client.delete_lora("ink") == ink
    assert [one.name for one in client.loras().loras] == ["film"]


def test_the_list_tells_how_much_an_upload_may_bring(client, service, compose):
    limits = {"max_size_bytes": 512 * 2**20, "max_per_owner": 20, "max_bytes_per_owner": 4096 * 2**20}
    service.uploads = limits
    assert client.loras().uploads.model_dump() == limits
    said = compose("loras", "list", "--json")
    assert said.stderr == "an upload may have 512 MB, yours 4,096 MB together; 20 of them at most\n"
    assert [json.loads(line)["name"] for line in said.stdout.splitlines()] == ["film"]
    service.uploads = None
    assert client.loras().uploads is None
    assert compose("loras", "list").stderr == "the service takes no uploads\n"


def test_name_and_words_are_sent_and_bytes_will_do(client, service):
    ink = client.upload_lora(FILE, name="ink", trigger_words=["ink wash", "sumi"])
    (upload,) = service.called("POST")
    assert body_of(upload) == {"file": FILE, "name": "ink", "trigger_words": "ink wash,sumi"}
    assert ink.trigger_words == ["ink wash", "sumi"]
    with pytest.raises(ValueError, match="give one"):
        client.upload_lora(FILE)
    assert len(service.called("POST")) == 1


def test_an_upload_whose_answer_was_lost_is_the_one_that_is_there(client, service, quick):
    lose_answers(service, 1)
    assert client.upload_lora(FILE, name="ink").name == "ink"
    assert len(service.called("POST")) == 2


@pytest.mark.parametrize(
    "there",
    [lora("ink", b"another file"), lora("ink", FILE, source="operator"), lora("ink", FILE, words=("oil",))],
    ids=["another-file", "the-operators", "other-words"],
)
def test_a_name_that_is_taken_by_something_else_is_refused(client, service, there):
    service.loras["ink"] = there
    with pytest.raises(InvalidInput, match="there is a LoRA ink already"):
        client.upload_lora(FILE, name="ink", trigger_words=["sumi"])


def test_what_cannot_be_deleted_says_why(client):
    with pytest.raises(NotFound):
        client.delete_lora("ink/../film")
    with pytest.raises(InvalidInput, match="operator's"):
        client.delete_lora("film")


def test_a_name_stays_one_part_of_the_path(client, service):
    with pytest.raises(NotFound):
        client.delete_lora("../jobs/1")
    (request,) = service.called("DELETE")
    assert request.url.raw_path == b"/api/v1/loras/..%2Fjobs%2F1"


def test_a_service_that_is_not_there_is_tried_again_and_told(client, service, quick):
    def nobody(request):
        raise httpx.ConnectError("nobody", request=request)

    service.before = nobody
    with pytest.raises(Unreachable):
        client.upload_lora(FILE, name="ink")
    assert len(service.called("POST")) == 4


def test_the_command_uploads_lists_and_deletes(compose, desk):
    (desk / "ink.safetensors").write_bytes(FILE)
    done = compose("loras", "upload", "ink.safetensors", "--trigger-words", "ink wash, sumi")
    assert (done.exit_code, done.stdout) == (0, "ink: lora for sd15, 0.0 MB\ntrigger words: ink wash, sumi\n")
    rows = [line.split() for line in compose("loras", "list").stdout.splitlines()]
    assert [row[0] for row in rows] == ["name", "film", "ink"]
    assert (rows[1][2:4], rows[2][2]) == (["the", "operator's"], "yours")
    listed = [json.loads(line) for line in compose("loras", "list", "--json").stdout.splitlines()]
    assert [one["trigger_words"] for one in listed] == [[], ["ink wash", "sumi"]]
    assert compose("loras", "delete", "ink").stdout == "ink is deleted\n"


def test_the_command_says_what_is_wrong(compose, desk):
    gone = compose("loras", "upload", "gone.safetensors")
    assert (gone.exit_code, "gone.safetensors" in gone.stderr) == (2, True)
    unknown = compose("loras", "delete", "ink")
    assert (unknown.exit_code, unknown.stderr) == (1, "compose: NOT_FOUND: there is no such LoRA\n")
    assert compose("loras", "delete", "film").exit_code == 2


def test_one_for_other_models_is_said_to_be_no_use(compose, desk, service):
    (desk / "xl.safetensors").write_bytes(FILE)
    other = {**lora("xl", FILE), "family": "sdxl", "fits": False}
    service.before = lambda r: httpx.Response(200, json={"success": True, "lora": other})
    said = compose("loras", "upload", "xl.safetensors").stdout
    assert said == "xl: lora for sdxl, 0.0 MB\nthe models that are served cannot use it\n"
