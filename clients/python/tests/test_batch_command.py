from __future__ import annotations

import base64
import json
import re
import threading

import pytest
from composition_client.command.journal import NAME

from clients.python.tests.service import PIXEL, Life, refusal


@pytest.fixture
def shop(desk):
    """A folder with three photos in it and something else."""
    (desk / "photo.jpg").unlink()
    for name in ("a.jpg", "b.PNG", "c.webp", "notes.txt"):
        (desk / "shop" / name).parent.mkdir(exist_ok=True)
        (desk / "shop" / name).write_bytes(name.encode())
    return desk


def edited(desk, folder="shop.edited"):
    return sorted(str(path.relative_to(desk / folder)) for path in (desk / folder).rglob("*.*") if path.name != NAME)


def refusing(name: str, status=422, code="NO_DETECTION"):
    """Of one photo."""
    content = base64.b64encode(name.encode())
    return lambda request: refusal(status, code, "nothing found") if content in request.content else None


def keys(service):
    return [request.headers["Idempotency-Key"] for request in service.called("POST")]


def test_every_photo_of_the_folder_is_edited(compose, shop, service):
    done = compose("batch", "shop", "blue car", "--seed", 7)
    assert (done.exit_code, edited(shop)) == (0, ["a.png", "b.png", "c.png"])
    assert (shop / "shop.edited" / "a.png").read_bytes() == PIXEL
    rows = [line.split()[:2] for line in done.stdout.splitlines()]
    assert rows == [["photo", "result"], ["a.jpg", "a.png"], ["b.PNG", "b.png"], ["c.webp", "c.png"]]
    assert done.stderr.endswith("3 edited, 0 done before, 0 failed\n")
    assert {json.loads(r.content)["config"]["seed"] for r in service.called("POST")} == {7}


def test_what_is_done_is_not_done_again(compose, shop, service):
    compose("batch", "shop", "blue car")
    (shop / "shop" / "d.jpg").write_bytes(b"d")
    done = compose("batch", "shop", "blue car")
    assert (done.exit_code, len(service.jobs)) == (0, 4)
    assert done.stderr.endswith("1 edited, 3 done before, 0 failed\n")


def test_a_photo_that_has_changed_and_a_result_that_is_gone_are_done_again(compose, shop, service):
    compose("batch", "shop", "blue car")
    (shop / "shop" / "a.jpg").write_bytes(b"another")
    (shop / "shop.edited" / "b.png").unlink()
    done = compose("batch", "shop", "blue car")
    assert done.stderr.endswith("2 edited, 1 done before, 0 failed\n")
    assert len(service.jobs) == 4, "b's job was still there under its key"


def test_one_photo_s_failure_is_told_at_the_end_and_tried_again_as_a_new_job(compose, shop, service):
    service.before = refusing("b.PNG")
    done = compose("batch", "shop", "blue car")
    assert (done.exit_code, edited(shop)) == (1, ["a.png", "c.png"])
    assert "b.PNG   NO_DETECTION" in done.stdout
    assert done.stderr.endswith("compose: b.PNG: NO_DETECTION: nothing found\n2 edited, 0 done before, 1 failed\n")
    service.before = lambda request: None
    assert compose("batch", "shop", "blue car").exit_code == 0
    assert edited(shop) == ["a.png", "b.png", "c.png"]
    assert len(set(keys(service))) == 4


@pytest.mark.parametrize(("status", "code", "exit_code"), [(401, "UNAUTHORIZED", 4), (400, "INVALID_INPUT", 2)])
def test_what_every_photo_would_meet_ends_the_batch(compose, shop, service, status, code, exit_code):
    service.before = lambda request: refusal(status, code)
    done = compose("batch", "shop", "blue car", "--concurrency", 1)
    assert (done.exit_code, len(service.requests)) == (exit_code, 1)
    assert done.stderr == f"compose: {code}: no\n"


def test_a_batch_that_was_killed_goes_on_with_the_same_jobs(compose, shop, service):
    """As it is left by `kill -9`: submitted, nothing of that noted but the batch's name, and a line cut off."""
    compose("batch", "shop", "blue car")
    state = shop / "shop.edited" / NAME
    header, first, second, _ = state.read_text().splitlines()
    state.write_text(f"{header}\n{first}\n{second[:30]}")
    done_first = json.loads(first)["output"]
    for name in edited(shop):
        if name != done_first:
            (shop / "shop.edited" / name).unlink()
    done = compose("batch", "shop", "blue car")
    assert done.stderr.endswith("2 edited, 1 done before, 0 failed\n")
    assert (len(service.jobs), edited(shop)) == (3, ["a.png", "b.png", "c.png"])
    again = compose("batch", "shop", "blue car")
    assert again.stderr.endswith("0 edited, 3 done before, 0 failed\n")


def test_a_batch_that_was_killed_before_its_first_end_goes_on_with_the_same_jobs(compose, shop, service):
    compose("batch", "shop", "blue car")
    state = shop / "shop.edited" / NAME
    state.write_text(state.read_text().splitlines()[0] + "\n")
    for name in edited(shop):
        (shop / "shop.edited" / name).unlink()
    compose("batch", "shop", "blue car")
    assert len(service.jobs) == 3


@pytest.mark.parametrize("other", [["red car"], ["blue car", "--seed", "8"], ["blue car", "-r", "ref.png"]])
def test_a_folder_with_a_batch_of_other_settings_is_not_touched(compose, shop, service, other):
    (shop / "ref.png").write_bytes(b"reference")
    compose("batch", "shop", "blue car", "--seed", "7")
    refused = compose("batch", "shop", *other)
    assert (refused.exit_code, len(service.jobs)) == (2, 3)
    assert compose("batch", "shop", *other, "--force").exit_code == 0
    assert len(service.jobs) == 6


def test_files_of_others_are_not_overwritten(compose, shop, service):
    (shop / "shop.edited").mkdir()
    (shop / "shop.edited" / "b.png").write_bytes(b"mine")
    refused = compose("batch", "shop", "blue car")
    assert (refused.exit_code, len(service.requests)) == (2, 0)
    assert (shop / "shop.edited" / "b.png").read_bytes() == b"mine"


def test_folders_in_it_are_kept_apart_and_the_results_are_no_photos(compose, shop):
    (shop / "shop" / "inner").mkdir()
    (shop / "shop" / "inner" / "a.jpg").write_bytes(b"inner")
    for _ in range(2):
        assert compose("batch", "shop", "x", "-R", "-o", "shop/out").exit_code == 0
        assert edited(shop, "shop/out") == ["a.png", "b.png", "c.png", "inner/a.png"]


def test_photos_of_one_name_have_results_of_two(compose, shop):
    (shop / "shop" / "a.png").write_bytes(b"another a")
    assert compose("batch", "shop", "x", "--output-format", "webp").exit_code == 0
    assert edited(shop) == ["a.jpg.webp", "a.png.webp", "b.webp", "c.webp"]


@pytest.mark.parametrize("most", [1, 2])
def test_no_more_photos_are_under_way_than_allowed(compose, shop, service, most):
    under_way, seen, lock = set(), [], threading.Lock()

    def watch(request):
        with lock:
            if request.url.path.endswith("/async"):
                under_way.add(request.headers["Idempotency-Key"])
                seen.append(len(under_way))
            elif "/status/" in request.url.path:
                job_id = request.url.path.rpartition("/")[2]
                under_way.discard(next(key for key, (known, _) in service.keys.items() if known == job_id))

    service.before = watch
    assert compose("batch", "shop", "x", "-j", most).exit_code == 0
    assert max(seen) == most


def test_json_is_a_line_for_each_photo(compose, shop, service):
    service.before = refusing("b.PNG")
    done = compose("batch", "shop", "x", "--json")
    lines = {line["photo"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert lines["a.jpg"]["output"] == "a.png"
    assert lines["b.PNG"]["error"]["code"] == "NO_DETECTION"
    assert lines.keys() == {"a.jpg", "b.PNG", "c.webp"}


def test_progress_is_said_where_it_is_asked_for(compose, shop):
    said = compose("batch", "shop", "x", "--progress").stderr
    assert set(re.findall(r"^(\S+): done$", said, re.MULTILINE)) == {"a.jpg", "b.PNG", "c.webp"}


def test_a_photo_that_takes_too_long_fails_alone(compose, shop, service):
    service.life = Life(streams=[""] * 1000)
    done = compose("batch", "shop", "x", "--timeout", "0.3")
    assert (done.exit_code, done.stdout.count("OutOfTime")) == (1, 3)


@pytest.mark.parametrize("arguments", [["nowhere", "x"], ["empty", "x"], ["shop", "x", "--return-mask"], ["shop"]])
def test_wrong_usage_is_exit_status_2(compose, shop, service, arguments):
    (shop / "empty").mkdir()
    assert compose("batch", *arguments).exit_code == 2
    assert service.requests == []


def test_the_folder_that_one_is_in_is_edited_beside_itself(compose, shop, monkeypatch):
    monkeypatch.chdir(shop / "shop")
    assert compose("batch", ".", "blue car").exit_code == 0
    assert edited(shop) == ["a.png", "b.png", "c.png"]
