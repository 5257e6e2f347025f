"""The blocking client and the awaiting one do the same, so every test here runs with both."""

from __future__ import annotations

import base64
import inspect
import json
import time

import anyio
import anyio.from_thread
import httpx
import pytest
from composition_client import (
    AsyncClient,
    Cancelled,
    Client,
    ComposeError,
    IdempotencyConflict,
    Internal,
    ModelError,
    NoDetection,
    NotFound,
    OutOfTime,
    RateLimited,
    Superseded,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)
from composition_client.errors import BY_CODE

from clients.python.tests.service import API, PIXEL, Life, body_of, frame, refusal


class Blocking:
    """An AsyncClient with the methods of a Client."""

    def __init__(self, *args, **kwargs):
        self._portal = anyio.from_thread.start_blocking_portal()
        self._call = self._portal.__enter__()
        self._client = AsyncClient(*args, **kwargs)

    def __getattr__(self, name):
        def method(*args, **kwargs):
            async def run():
                return await getattr(self._client, name)(*args, **kwargs)

            return self._call.call(run)

        return method

    def close(self):
        self.aclose()
        self._portal.__exit__(None, None, None)


@pytest.fixture(params=[Client, Blocking], ids=["Client", "AsyncClient"])
def connect(request, service):
    opened = []

    def make(**kwargs):
        opened.append(request.param("http://service", transport=service.transport, **kwargs))
        return opened[-1]

    yield make
    for client in opened:
        client.close()


@pytest.fixture
def client(connect):
    return connect()


def sent(request: httpx.Request) -> dict:
    return json.loads(request.content)


def test_an_edit_sends_what_was_asked_for_and_nothing_else(client, service):
    edit = client.edit(PIXEL, "blue car", mask=PIXEL, negative_prompt="rust", seed=7, control_types=["depth"])
    (submission,) = service.called("POST")
    assert submission.url.path == f"{API}/generate/async"
    text = base64.b64encode(PIXEL).decode()
    assert sent(submission) == {
        "base_image": text,
        "mask_image": text,
        "prompt": "blue car",
        "negative_prompt": "rust",
        "config": {"seed": 7, "control_types": ["depth"]},
    }
    assert (edit.image, edit.mask, edit.seed, edit.pipeline_used) == (PIXEL, None, 7, "simple")
    assert edit.warnings == ["mask_mode is without effect"]
    assert edit.job_id in service.jobs
    client.edit(PIXEL, "blue car")
    assert sent(service.called("POST")[1]) == {"base_image": text, "prompt": "blue car"}


def test_several_edits_are_sent_in_the_place_of_a_prompt_with_their_images_as_text(client, service):
    edits = [
        {"prompt": "make the car red", "blend": 0.8, "mask_image": PIXEL},
        {"prompt": "a tree", "target": "lamp", "reference_images": [PIXEL, "https://shop.example/a.png"]},
    ]
    client.edit(PIXEL, edits, seed=7)
    text = base64.b64encode(PIXEL).decode()
    assert sent(service.called("POST")[0]) == {
        "base_image": text,
        "edits": [
            {"prompt": "make the car red", "blend": 0.8, "mask_image": text},
            {"prompt": "a tree", "target": "lamp", "reference_images": [text, "https://shop.example/a.png"]},
        ],
        "config": {"seed": 7},
    }
    client.edit(PIXEL + bytes(2**20), edits)
    assert body_of(service.called("POST")[1])["edits"][0]["mask_image"] == text


def test_large_images_go_as_the_files_of_a_form_and_the_same_is_asked_for(client, service):
    large = PIXEL + bytes(2**20)
    asked = {"mask": PIXEL, "negative_prompt": "rust", "n": 2, "seed": 7, "control_types": ["depth"]}
    client.edit(large, "größere car", reference=[PIXEL, "https://shop.example/a.png"], **asked)
    (submission,) = service.called("POST")
    assert submission.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert body_of(submission) == {
        "base_image": large,
        "reference_images": [PIXEL, "https://shop.example/a.png"],
        "mask_image": PIXEL,
        "prompt": "größere car",
        "negative_prompt": "rust",
        "n": 2,
        "config": {"seed": 7, "control_types": ["depth"]},
    }
    assert len(submission.content) < len(large) + 2000


def test_a_large_submission_is_sent_again_as_it_was(client, service, quick):
    service.before = lambda r: refusal(503, "QUEUE_FULL") if len(service.requests) == 1 else None
    client.submit(PIXEL + bytes(2**20), "blue car")
    first, again = service.called("POST")
    assert (first.content, first.headers["Idempotency-Key"]) == (again.content, again.headers["Idempotency-Key"])


def test_one_reference_and_several_have_names_of_their_own(client, service):
    for reference in (PIXEL, [PIXEL, PIXEL]):
        client.submit(PIXEL, "blue car", reference=reference)
    text = base64.b64encode(PIXEL).decode()
    one, several = map(sent, service.called("POST"))
    assert (one["reference_image"], several["reference_images"]) == (text, [text, text])


def test_previews_are_shown_as_they_come(client, service):
    shown = []
    preview = {"image": base64.b64encode(PIXEL).decode(), "media_type": "image/png", "step": 3}
    service.life = Life(
        streams=[
            frame(1, "status", {"status": "processing"})
            + frame(2, "preview", preview)
            + frame(3, "preview", {"image": "?"})
            + frame(4, "status", {"status": "completed"})
        ]
    )
    job_id = client.edit(PIXEL, "blue car", on_preview=shown.append).job_id
    assert [(p.job_id, p.image, p.media_type, p.step) for p in shown] == [(job_id, PIXEL, "image/png", 3)]


def test_progress_is_told_as_the_service_tells_it(client, service):
    told = []
    client.edit(PIXEL, "blue car", on_progress=told.append)
    assert [(p.status, p.stage, p.fraction, p.step, p.total_steps) for p in told] == [
        ("pending", "", 0.0, None, None),
        ("processing", "diffuse", 0.5, 3, 6),
        ("completed", "", 1.0, None, None),
    ]
    assert {p.job_id for p in told} == set(service.jobs)


def test_a_stream_that_breaks_is_taken_up_where_it_broke(client, service, quick):
    service.life = Life(
        streams=[
            frame(1, "status", {"status": "pending"}) + frame(2, "progress", {"stage": "route", "progress": 0.1}),
            frame(3, "status", {"status": "completed"}),
        ]
    )
    assert client.edit(PIXEL, "blue car").image == PIXEL
    assert [r.headers["Last-Event-ID"] for r in service.called("GET", "/jobs")] == ["0", "2"]


def test_a_wait_outlives_a_restart_of_the_service(client, service, quick):
    job_id = client.submit(PIXEL, "blue car")

    def away(request):
        if len(service.requests) < 10:
            raise httpx.ConnectError("refused", request=request)

    service.before = away
    assert client.wait(job_id).image == PIXEL


def test_a_job_that_ends_unheard_is_noticed_by_its_status(client, service):
    """A proxy that swallows the events."""
    service.before = lambda r: httpx.Response(502, text="<html>") if r.url.path.endswith("/events") else None
    service.life = Life(end="completed")
    service.jobs["j"] = {"status": "completed"}
    assert client.wait("j").image == PIXEL


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_each_error_code_has_its_class_and_carries_what_was_said(connect, service, code):
    service.before = lambda request: refusal(400, code, "why", where="x")
    with pytest.raises(ComposeError) as caught:
        connect(retries=0).submit(PIXEL, "blue car")
    error = caught.value
    assert type(error) is BY_CODE[code]
    assert (error.code, str(error), error.details) == (code, f"{code}: why", {"where": "x"})
    assert (error.status, error.request_id) == (400, "r-1")


def test_a_code_of_a_newer_service_is_kept(client, service):
    service.before = lambda request: refusal(418, "TEAPOT", "short and stout")
    with pytest.raises(Internal, match="TEAPOT: short and stout"):
        client.submit(PIXEL, "blue car")


@pytest.mark.parametrize(("status", "text"), [(404, "<html>"), (200, "<html>"), (200, '{"hello": "you"}')])
def test_what_is_not_this_service_is_said_to_be_so(client, service, status, text):
    service.before = lambda request: httpx.Response(status, text=text)
    with pytest.raises(UnexpectedAnswer, match="http://service/api/v1/generate/async answers"):
        client.submit(PIXEL, "blue car")


def test_a_failed_job_raises_its_own_error_and_is_not_cancelled(client, service):
    service.life = Life(end="failed", error=("NO_DETECTION", "no car"))
    with pytest.raises(NoDetection, match="NO_DETECTION: no car"):
        client.edit(PIXEL, "blue car")
    assert service.called("DELETE") == []


@pytest.mark.parametrize("code", ["RATE_LIMITED", "NOT_READY", "QUEUE_FULL"])
def test_a_submission_is_tried_again_under_the_same_key_after_the_time_it_was_told(client, service, code):
    refusals = [refusal(503, code, headers={"Retry-After": "1"})]
    service.before = lambda request: refusals.pop() if refusals else None
    start = time.monotonic()
    job_id = client.submit(PIXEL, "blue car")
    assert 1.0 <= time.monotonic() - start < 3.0
    first, second = service.called("POST")
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert first.content == second.content
    assert list(service.jobs) == [job_id]


def test_an_answer_that_was_lost_does_not_start_the_edit_twice(client, service, quick):
    def lose_the_first(request):
        if len(service.requests) == 1:
            service._accept(request)
            raise httpx.ReadError("connection reset", request=request)

    service.before = lose_the_first
    client.edit(PIXEL, "blue car")
    assert len(service.jobs) == 1


@pytest.mark.parametrize("size", [0, 2**20], ids=["as JSON", "as a form"])
def test_what_is_said_of_references_is_sent_with_them(client, service, size):
    said = {"image": PIXEL, "weight": 0.5, "for": {"mask_image": PIXEL}}
    client.edit(PIXEL + bytes(size), "this jacket", reference=[PIXEL, {"image": PIXEL, "for": "sleeves"}, said])
    client.edit(PIXEL + bytes(size), "this jacket", reference=said)
    text = base64.b64encode(PIXEL).decode()
    first, second = (body_of(request)["reference_images"] for request in service.called("POST"))
    wired = {"image": text, "weight": 0.5, "for": {"mask_image": text}}
    assert first[1:] == [{"image": text, "for": "sleeves"}, wired]
    assert second == [wired]


def test_two_edits_have_two_keys_and_a_key_of_ones_own_is_sent(client, service):
    client.edit(PIXEL, "blue car")
    client.edit(PIXEL, "blue car")
    assert len(service.jobs) == 2
    assert client.submit(PIXEL, "blue car", idempotency_key="mine") == client.submit(
        PIXEL, "blue car", idempotency_key="mine"
    )
    with pytest.raises(IdempotencyConflict):
        client.submit(PIXEL, "red car", idempotency_key="mine")


def test_retries_end(connect, service, quick):
    def refuse(request):
        raise httpx.ConnectError("refused", request=request)

    service.before = refuse
    with pytest.raises(Unreachable, match="http://service: refused"):
        connect(retries=2).health()
    assert len(service.requests) == 3


@pytest.mark.parametrize("status", [400, 422, 500, 504])
def test_what_will_not_pass_is_not_tried_again(client, service, status):
    service.before = lambda request: refusal(status, "MODEL_ERROR")
    with pytest.raises(ModelError):
        client.submit(PIXEL, "blue car")
    assert len(service.requests) == 1


def test_a_wait_longer_than_the_time_limit_is_not_begun(client, service):
    service.before = lambda request: refusal(429, "RATE_LIMITED", headers={"Retry-After": "60"})
    start = time.monotonic()
    with pytest.raises(RateLimited):
        client.submit(PIXEL, "blue car", timeout_s=5)
    assert time.monotonic() - start < 2


def test_an_edit_that_takes_too_long_is_cancelled(client, service):
    service.life = Life(streams=[frame(1, "status", {"status": "processing"})] * 1000)
    with pytest.raises(OutOfTime, match=r"not done within 0\.3 s"):
        client.edit(PIXEL, "blue car", timeout_s=0.3)
    assert [job["status"] for job in service.jobs.values()] == ["cancelled"]


def test_what_the_progress_callback_raises_cancels_the_edit(client, service):
    def give_up(progress):
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        client.edit(PIXEL, "blue car", on_progress=give_up)
    assert [job["status"] for job in service.jobs.values()] == ["cancelled"]


def test_waiting_for_a_job_of_its_own_leaves_it_alone(client, service):
    service.life = Life(streams=[frame(1, "status", {"status": "processing"})] * 1000)
    job_id = client.submit(PIXEL, "blue car")
    with pytest.raises(OutOfTime):
        client.wait(job_id, timeout_s=0.3)
    assert service.jobs[job_id]["status"] == "pending"


def test_an_interrupted_submission_is_looked_up_by_its_key_and_cancelled(service):
    def interrupt(request):
        if len(service.requests) == 1:
            service._accept(request)
            raise KeyboardInterrupt

    service.before = interrupt
    with Client("http://service", transport=service.transport) as client, pytest.raises(KeyboardInterrupt):
        client.edit(PIXEL, "blue car")
    assert [job["status"] for job in service.jobs.values()] == ["cancelled"]


def test_a_cancelled_task_cancels_its_edit(service):
    service.life = Life(streams=[frame(1, "status", {"status": "processing"})] * 1000)

    async def run():
        async with AsyncClient("http://service", transport=service.transport) as client:
            with anyio.move_on_after(0.3) as scope:
                await client.edit(PIXEL, "blue car")
            assert scope.cancelled_caught

    anyio.run(run)
    assert [job["status"] for job in service.jobs.values()] == ["cancelled"]


def test_a_session_is_sent_and_whose_place_is_taken_hears_so(client, service):
    service.life = Life(end="cancelled", error=("SUPERSEDED", "a newer request took its place"))
    with pytest.raises(Superseded, match="SUPERSEDED: a newer request") as caught:
        client.edit(PIXEL, "blue car", session="tab/photo")
    assert isinstance(caught.value, Cancelled)
    assert service.called("DELETE") == []
    client.submit(PIXEL, "blue car", session="tab/photo")
    client.analyze(PIXEL, "blue car", session="tab/photo")
    assert [sent(request)["session"] for request in service.called("POST")] == ["tab/photo"] * 3


def test_the_other_operations(client, service):
    job_id = client.submit(PIXEL, "blue car", callback_url="https://shop.example/done")
    assert sent(service.requests[-1])["callback_url"] == "https://shop.example/done"
    assert client.job(job_id).status == "pending"
    assert client.image(job_id) == PIXEL
    assert client.cancel(job_id).status == "cancelled"
    assert client.jobs(status="failed", limit=5, cursor="c").jobs == []
    assert dict(service.requests[-1].url.params) == {"status": "failed", "limit": "5", "cursor": "c"}
    assert client.health().models_loaded == ["clip"]
    analysis = client.analyze(PIXEL, "blue car", target="car")
    assert (analysis.mask, analysis.pipeline, analysis.routing) == (PIXEL, "simple", {"rule": "appearance"})
    with pytest.raises(NotFound):
        client.job("another")
    with pytest.raises(NotFound):
        client.job("../health?")
    assert service.requests[-1].url.raw_path == b"/api/v1/status/..%2Fhealth%3F"


def test_the_key_is_sent_and_never_shown(connect, service, caplog):
    caplog.set_level("DEBUG")
    client = connect(api_key="secret-key")
    client.health()
    assert service.requests[0].headers["Authorization"] == "Bearer secret-key"
    service.before = lambda request: refusal(401, "UNAUTHORIZED", "no valid API key")
    with pytest.raises(Unauthorized) as caught:
        client.health()
    assert "secret-key" not in repr(client) + repr(caught.value) + caplog.text


def test_a_redirect_does_not_take_the_key_elsewhere(connect, service):
    service.before = lambda request: httpx.Response(307, headers={"Location": "http://elsewhere/"})
    with pytest.raises(UnexpectedAnswer):
        connect(api_key="secret-key").health()
    assert [request.url.host for request in service.requests] == ["service"]


def test_url_and_key_come_from_the_environment_where_none_is_given(monkeypatch, service):
    monkeypatch.setenv("COMPOSE_URL", "http://there/prefix")
    monkeypatch.setenv("COMPOSE_API_KEY", "from-the-environment")
    with Client(transport=service.transport) as client:
        assert client.url == "http://there/prefix"
        service.before = lambda request: refusal(401, "UNAUTHORIZED")
        with pytest.raises(Unauthorized):
            client.health()
    (request,) = service.requests
    assert str(request.url) == "http://there/prefix/api/v1/health"
    assert request.headers["Authorization"] == "Bearer from-the-environment"


def test_a_url_that_is_none_is_refused_at_once():
    with pytest.raises(ValueError, match="not an http or https URL"):
        Client("localhost:8000")


def test_a_key_may_end_with_a_line_but_must_fit_into_a_header(service):
    with Client("http://service", api_key=" k-1\n", transport=service.transport) as client:
        client.health()
    assert service.requests[0].headers["Authorization"] == "Bearer k-1"
    for key in ("schlüssel", "a\nb"):
        with pytest.raises(ValueError, match="no header") as caught:
            Client("http://service", api_key=key)
        assert key not in str(caught.value)


def test_every_job_reads_page_after_page(service):
    pages = [{"jobs": [summary("a"), summary("b")], "cursor": "next"}, {"jobs": [summary("c")], "cursor": None}]
    service.before = lambda request: httpx.Response(200, json={"success": True, **pages[len(service.requests) - 1]})
    with Client("http://service", transport=service.transport) as client:
        assert [job.job_id for job in client.every_job()] == ["a", "b", "c"]
    assert service.requests[1].url.params["cursor"] == "next"


def summary(job_id):
    state = {"job_id": job_id, "kind": "edit", "status": "completed", "progress": 1.0, "stage": "", "prompt": "p"}
    return {**state, "created_at": 1.0, "finished_at": 2.0, "status_url": f"{API}/status/{job_id}"}


def test_the_two_clients_have_the_same_methods_with_the_same_arguments():
    def public(cls):
        methods = {name: m for name, m in vars(cls).items() if inspect.isfunction(m) and not name.startswith("_")}
        return {name: list(inspect.signature(m).parameters.values()) for name, m in methods.items()}

    blocking, awaiting = public(Client), public(AsyncClient)
    assert blocking.pop("close") == awaiting.pop("aclose")
    assert blocking == awaiting
