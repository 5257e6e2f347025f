"""GET /status, GET and DELETE /jobs, the image and the event stream."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from composition.config import ApiConfig, Config
from composition.errors import StorageAway
from composition.jobs import JobError, JobEvent, JobStatus
from tests.unit.api.conftest import ACCOUNT, Edge, open_edge
from tests.unit.api.images import encoded, gradient, photo
from tests.unit.jobs.job_samples import sample_result

ASYNC = "/api/v1/generate/async"
EDIT = {"base_image": photo(), "prompt": "blue car"}


async def submitted(edge: Edge, **fields: object) -> str:
    response = await edge.client.post(ASYNC, json={**EDIT, **fields})
    return response.json()["job_id"]


async def test_a_completed_job_has_the_result_of_generate(edge: Edge):
    job_id = await submitted(edge)
    response = await edge.client.get(f"/api/v1/status/{job_id}")
    assert response.status_code == 200
    body = response.json()
    created_at = edge.only_job.created_at
    assert body == {
        "job_id": job_id,
        "status": "completed",
        "progress": 1.0,
        "stage": "",
        "attempt": 0,
        "created_at": created_at,
        "finished_at": created_at,
        "result": {"image": base64.b64encode(encoded(gradient())).decode(), **ACCOUNT},
        "error": None,
        "error_code": None,
    }


async def test_a_failed_job_says_why():
    error = JobError(code="NO_DETECTION", message="nothing was found for 'rims'")
    async with open_edge(outcome=lambda job: error) as edge:
        body = (await edge.client.get(f"/api/v1/status/{await submitted(edge)}")).json()
    assert (body["status"], body["result"]) == ("failed", None)
    assert (body["error"], body["error_code"]) == ("nothing was found for 'rims'", "NO_DETECTION")


async def test_a_waiting_job_has_neither_result_nor_error():
    async with open_edge(outcome=lambda job: JobStatus.PENDING) as edge:
        body = (await edge.client.get(f"/api/v1/status/{await submitted(edge)}")).json()
    assert (body["status"], body["progress"]) == ("pending", 0.0)
    assert body["result"] is body["error"] is body["error_code"] is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/status/{id}"),
        ("DELETE", "/api/v1/jobs/{id}"),
        ("GET", "/api/v1/jobs/{id}/image"),
        ("GET", "/api/v1/jobs/{id}/events"),
    ],
)
@pytest.mark.parametrize(
    "job_id", ["7e57ab1e-0000-4000-8000-0000000000", "1", "not-an-id", "%00", "..%2F..", "x" * 3000]
)
async def test_an_unknown_job_answers_404(edge: Edge, method: str, path: str, job_id: str):
    response = await edge.client.request(method, path.format(id=job_id))
    assert (response.status_code, response.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_another_owners_job_is_unknown():
    keys = {"ann": "key-of-ann", "bob": "key-of-bob"}
    async with open_edge(Config(api=ApiConfig(api_keys=keys))) as edge:
        ann, bob = ({"X-API-Key": key} for key in keys.values())
        job_id = (await edge.client.post(ASYNC, json=EDIT, headers=ann)).json()["job_id"]
        assert (await edge.client.get(f"/api/v1/status/{job_id}", headers=ann)).status_code == 200
        for method, path in (("GET", "status/{}"), ("DELETE", "jobs/{}"), ("GET", "jobs/{}/image")):
            response = await edge.client.request(method, f"/api/v1/{path.format(job_id)}", headers=bob)
            assert response.status_code == 404
        assert (await edge.client.get("/api/v1/jobs", headers=bob)).json()["jobs"] == []
        assert len((await edge.client.get("/api/v1/jobs", headers=ann)).json()["jobs"]) == 1


async def test_cancelling_is_idempotent():
    async with open_edge(outcome=lambda job: JobStatus.PENDING) as edge:
        job_id = await submitted(edge)
        for _ in range(2):
            response = await edge.client.delete(f"/api/v1/jobs/{job_id}")
            assert response.status_code == 200
            body = response.json()
            assert (body["status"], body["error_code"]) == ("cancelled", "CANCELLED")


async def test_cancelling_a_completed_job_leaves_it_completed(edge: Edge):
    job_id = await submitted(edge)
    body = (await edge.client.delete(f"/api/v1/jobs/{job_id}")).json()
    assert (body["status"], body["error"]) == ("completed", None)
    assert (await edge.client.get(f"/api/v1/jobs/{job_id}/image")).status_code == 200


async def test_a_client_that_knows_no_images_gets_the_same_bytes_as_octets(edge: Edge):
    url = f"/api/v1/jobs/{await submitted(edge)}/image"
    as_image = await edge.client.get(url)
    as_octets = await edge.client.get(url, headers={"Accept": "application/octet-stream"})
    assert as_octets.headers["content-type"] == "application/octet-stream"
    assert as_octets.content == as_image.content


async def test_the_image_comes_as_a_file(edge: Edge):
    response = await edge.client.get(f"/api/v1/jobs/{await submitted(edge)}/image")
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/png"
    assert response.content == encoded(gradient())


@pytest.mark.parametrize(("max_side", "size"), [(64, (64, 55)), (512, (300, 256))])
async def test_a_small_file_of_the_image_is_to_be_had_for_lists(edge: Edge, max_side: int, size: tuple[int, int]):
    job_id = await submitted(edge)
    edge.blobs.blobs[f"image-of-{job_id}"] = encoded(gradient(300, 256))
    url = f"/api/v1/jobs/{job_id}/image?max_side={max_side}"
    response = await edge.client.get(url)
    assert (response.status_code, response.headers["content-type"]) == (200, "image/webp")
    with Image.open(io.BytesIO(response.content)) as image:
        assert image.size == size
        assert np.abs(np.asarray(image.convert("RGB")).mean() - gradient(300, 256).mean()) < 3
    for wrong in ("15", "513", "x"):
        assert (await edge.client.get(f"/api/v1/jobs/{job_id}/image?max_side={wrong}")).status_code == 400


@pytest.mark.parametrize("status", [JobStatus.PENDING, JobStatus.PROCESSING, JobStatus.CANCELLED])
async def test_a_job_without_a_image_answers_404_with_its_state(status: JobStatus):
    async with open_edge(outcome=lambda job: status) as edge:
        response = await edge.client.get(f"/api/v1/jobs/{await submitted(edge)}/image")
    assert response.status_code == 404
    assert response.json()["error"]["details"] == {"status": status.value}


async def test_jobs_are_listed_newest_first_in_pages(edge: Edge):
    ids = [await submitted(edge, prompt=f"blue car {n}") for n in range(5)]
    seen, cursor = [], None
    for size in (2, 2, 1):
        page = (
            await edge.client.get("/api/v1/jobs", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        ).json()
        assert len(page["jobs"]) == size
        seen += [job["job_id"] for job in page["jobs"]]
        cursor = page["cursor"]
    assert cursor is None
    assert seen == ids[::-1]


async def test_an_entry_of_the_list_says_what_the_job_is(edge: Edge):
    job_id = await submitted(edge)
    body = (await edge.client.get("/api/v1/jobs")).json()
    created_at = edge.only_job.created_at
    assert body == {
        "success": True,
        "jobs": [
            {
                "job_id": job_id,
                "kind": "edit",
                "status": "completed",
                "progress": 1.0,
                "stage": "",
                "prompt": "blue car",
                "created_at": created_at,
                "finished_at": created_at,
                "error": None,
                "error_code": None,
                "status_url": f"/api/v1/status/{job_id}",
            }
        ],
        "cursor": None,
    }


async def test_the_list_can_be_limited_to_a_state(edge: Edge):
    await submitted(edge)
    assert len((await edge.client.get("/api/v1/jobs?status=completed")).json()["jobs"]) == 1
    assert (await edge.client.get("/api/v1/jobs?status=failed")).json()["jobs"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "status=done", "cursor=ours-it-is-not"])
async def test_a_bad_query_is_refused(edge: Edge, query: str):
    response = await edge.client.get(f"/api/v1/jobs?{query}")
    assert (response.status_code, response.json()["error"]["code"]) == (400, "INVALID_INPUT")


def frames(text: str) -> list[dict[str, str]]:
    blocks = text.replace("\r\n", "\n").strip().split("\n\n")
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]


async def with_events(edge: Edge) -> str:
    job_id = await submitted(edge)
    kinds = [("status", {"status": "pending"}), ("progress", {"progress": 0.5}), ("status", {"status": "completed"})]
    edge.queue.event_log[job_id] = [
        JobEvent(job_id=job_id, sequence=number, type=kind, data=data) for number, (kind, data) in enumerate(kinds, 1)
    ]
    return job_id


async def test_events_are_streamed_with_their_numbers(edge: Edge):
    job_id = await with_events(edge)
    response = await edge.client.get(f"/api/v1/jobs/{job_id}/events")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    received = frames(response.text)
    assert [(frame["id"], frame["event"]) for frame in received] == [
        ("1", "status"),
        ("2", "progress"),
        ("3", "status"),
    ]
    assert json.loads(received[1]["data"]) == {"progress": 0.5}


async def test_a_client_that_comes_back_gets_what_it_missed(edge: Edge):
    job_id = await with_events(edge)
    response = await edge.client.get(f"/api/v1/jobs/{job_id}/events", headers={"Last-Event-ID": "2"})
    assert [frame["id"] for frame in frames(response.text)] == ["3"]


@pytest.mark.parametrize("last", ["x", "-1", "1.5", str(2**63)])
async def test_a_last_event_id_that_is_not_one_of_ours_is_refused(edge: Edge, last: str):
    job_id = await with_events(edge)
    response = await edge.client.get(f"/api/v1/jobs/{job_id}/events", headers={"Last-Event-ID": last})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "INVALID_INPUT")


async def test_a_stream_whose_job_expires_ends_with_an_error_event(edge: Edge):
    job_id = await with_events(edge)

    async def failing(*args: object, **kwargs: object):
        yield edge.queue.event_log[job_id][0]
        await edge.queue.get("gone", owner="anonymous")

    edge.queue.events = failing
    received = frames((await edge.client.get(f"/api/v1/jobs/{job_id}/events")).text)
    assert [frame["event"] for frame in received] == ["status", "error"]
    assert json.loads(received[1]["data"])["error"]["code"] == "NOT_FOUND"


async def test_a_completed_job_whose_images_are_lost_says_so(edge: Edge):
    job_id = await submitted(edge)
    edge.blobs.blobs.clear()
    status = await edge.client.get(f"/api/v1/status/{job_id}")
    image = await edge.client.get(f"/api/v1/jobs/{job_id}/image")
    task = await edge.client.get("/compose_task/get", params={"task_id": job_id})
    body = status.json()
    said = "the job completed, but its images are not in the image storage any more"
    assert (status.status_code, body["status"], body["result"]) == (200, "completed", None)
    assert (body["error"], body["error_code"]) == (said, "NOT_FOUND")
    for answer in (image, task):
        assert (answer.status_code, answer.json()["error"]) == (
            404,
            {"code": "NOT_FOUND", "message": said, "details": {"job_id": job_id, "status": "completed"}},
        )


async def test_a_waiting_caller_whose_images_are_lost_may_send_them_again():
    lost = JobError(code="NOT_FOUND", message="an input image of this job is not there: submit it again")

    async with open_edge(outcome=lambda job: lost) as edge:
        input_lost = await edge.client.post("/api/v1/generate", json=EDIT)
    async with open_edge(outcome=lambda job: sample_result("lost")) as edge:
        result_lost = await edge.client.post("/api/v1/generate", json=EDIT)
        file_lost = await edge.client.post("/api/v1/generate", json={**EDIT, "response_format": "binary"})
    for answer in (input_lost, result_lost, file_lost):
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "NOT_READY")
        assert answer.headers["Retry-After"] == "5"


async def test_a_full_disk_refuses_a_submission_with_the_reason_and_when_to_come_back(edge: Edge):
    edge.blobs.failure = StorageAway("the image storage cannot be used: No space left on device")
    for path in (ASYNC, "/api/v1/generate"):
        answer = await edge.client.post(path, json=EDIT)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert answer.json()["error"]["message"] == "the image storage cannot be used: No space left on device"
