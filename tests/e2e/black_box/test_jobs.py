"""Jobs over REST against a running service: submit, follow, list, cancel, replay."""

from __future__ import annotations

import base64
import time

import httpx
import pytest

from tests.e2e.black_box.client import Client, Refused, eventually, pixels

QUICK = {"num_inference_steps": 2, "seed": 7}
LONG = {"num_inference_steps": 100, "pipeline": "simple", "refine_mask": "off"}


def test_an_async_edit_gives_the_image_of_its_sync_twin(client: Client, edit):
    sync = client.generate(**edit, config=QUICK)
    job = client.wait(client.submit(**edit, config=QUICK))
    assert (job["status"], job["progress"], job["error"]) == ("completed", 1.0, None)
    assert job["result"]["image"] == sync["image"]
    assert set(job["result"]) == set(sync)


def test_the_image_is_also_a_file(client: Client, edit):
    job_id = client.submit(**edit, config=QUICK)
    result = client.wait(job_id)["result"]
    answer = client.image(job_id)
    assert answer.headers["content-type"] == "image/png"
    assert answer.content == base64.b64decode(result["image"])
    assert pixels(answer.content).shape == (256, 256, 3)


def test_progress_rises_and_the_stream_ends_with_the_terminal_status(client: Client, edit):
    job_id = client.submit(**edit, config={**QUICK, "num_inference_steps": 12})
    events = client.events(job_id)
    assert [event.id for event in events] == sorted({event.id for event in events})
    assert (events[-1].type, events[-1].data["status"]) == ("status", "completed")
    fractions = [event.data["progress"] for event in events]
    assert fractions == sorted(fractions)
    assert any(0.0 < fraction < 1.0 for fraction in fractions)


def test_a_stream_is_replayed_from_where_it_broke_off(client: Client, edit):
    job_id = client.submit(**edit, config=QUICK)
    everything = client.events(job_id)
    middle = everything[len(everything) // 2]
    assert client.events(job_id, after=middle.id) == [event for event in everything if event.id > middle.id]


def test_a_job_that_runs_can_be_cancelled_again_and_again(client: Client, edit):
    job_id = client.submit(**edit, config=LONG)
    eventually(lambda: client.status(job_id)["status"] == "processing")
    for _ in range(2):
        assert client.cancel(job_id)["status"] == "cancelled"
    status = client.status(job_id)
    assert (status["status"], status["result"], status["error_code"]) == ("cancelled", None, "CANCELLED")
    with pytest.raises(Refused) as caught:
        client.image(job_id)
    assert caught.value.status == 404


def test_a_newer_request_of_a_session_takes_the_older_one_s_place_and_gives_what_it_gives_alone(client: Client, edit):
    alone = client.generate(**edit, config=QUICK)
    older = client.submit(**edit, config=LONG, session="tab-1/photo")
    eventually(lambda: client.status(older)["status"] == "processing")
    newer = client.generate(**edit, config=QUICK, session="tab-1/photo")
    assert newer["image"] == alone["image"]
    status = client.status(older)
    assert (status["status"], status["result"], status["error_code"]) == ("cancelled", None, "SUPERSEDED")
    assert client.events(older)[-1].data["error_code"] == "SUPERSEDED"


def test_cancelling_a_completed_job_changes_nothing(client: Client, edit):
    job_id = client.submit(**edit, config=QUICK)
    before = client.wait(job_id)
    assert client.cancel(job_id)["status"] == "completed"
    assert client.status(job_id) == before


def test_jobs_are_listed_newest_first_page_by_page(client: Client, edit):
    ids = [client.submit(**edit, config=QUICK) for _ in range(3)]
    for job_id in ids:
        client.wait(job_id)
    first = client.jobs(limit=2)
    second = client.jobs(limit=2, cursor=first["cursor"])
    listed = [job["job_id"] for page in (first, second) for job in page["jobs"]]
    assert listed[:3] == ids[::-1]
    assert len(listed) == len(set(listed))
    assert {job["status"] for job in client.jobs(status="completed")["jobs"]} == {"completed"}


def test_an_idempotency_key_makes_a_retry_harmless(client: Client, edit):
    headers = {"Idempotency-Key": f"order-{time.time_ns()}"}
    first = client.submit(**edit, config=QUICK, headers=headers)
    assert client.submit(**edit, config=QUICK, headers=headers) == first
    with pytest.raises(Refused) as caught:
        client.submit(**edit, config={**QUICK, "seed": 8}, headers=headers)
    assert caught.value.status == 422


def test_a_client_that_leaves_cancels_its_job(client: Client, edit):
    known = {job["job_id"] for job in client.jobs(limit=100)["jobs"]}
    with pytest.raises(httpx.ReadTimeout):
        client.http.post("/api/v1/generate", json={**edit, "config": LONG}, timeout=1.0)

    def ours():
        return [job for job in client.jobs(limit=100)["jobs"] if job["job_id"] not in known]

    (job,) = eventually(ours)
    eventually(lambda: client.status(job["job_id"])["status"] == "cancelled", timeout_s=10)


def test_a_callback_to_a_private_address_is_refused_at_submission(client: Client, edit):
    with pytest.raises(Refused) as caught:
        client.submit(**edit, callback_url="http://169.254.169.254/hook")
    assert (caught.value.status, caught.value.code) == (422, "UNPROCESSABLE_URL")


def test_an_analysis_says_what_an_edit_would_do(client: Client, edit):
    result = client.analyze(**edit)
    assert pixels(result["mask"]).shape == (256, 256)
    assert result["metadata"]["routing"]["generation_prompt"]
    assert isinstance(result["metadata"]["detections"], list)
    assert "sd-inpainting" not in result["models_used"]
