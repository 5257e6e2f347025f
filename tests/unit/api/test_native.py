"""BentoML's own endpoints answer what REST answers; a task is a job."""

from __future__ import annotations

import pytest

from composition.errors import QueueFull
from composition.jobs import JobError, JobStatus
from tests.unit.api.conftest import Edge, open_edge
from tests.unit.api.images import photo

EDIT = {"base_image": photo(), "prompt": "blue car"}
UNKNOWN = "2f4c7b0e-8d3a-4a58-9a2e-5d0c6f2b1e77"


async def submit(edge: Edge) -> str:
    answer = await edge.client.post("/compose_task/submit", json={"request": EDIT})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["task_id"])


async def test_an_edit_answers_the_same_body_as_rest(edge: Edge):
    native = await edge.client.post("/compose", json={"request": EDIT})
    rest = await edge.client.post("/api/v1/generate", json=EDIT)
    assert (native.status_code, native.json()) == (200, rest.json())


async def test_delivered_images_are_deleted(edge: Edge):
    await edge.client.post("/compose", json={"request": EDIT})
    result = edge.only_job.result
    assert result is not None
    assert result.image_key not in edge.blobs.blobs


@pytest.mark.parametrize("path", ["/compose", "/compose_task", "/compose_task/submit"])
@pytest.mark.parametrize("bad", [{"prompt": "", "config": {"seed": "7"}}, {**EDIT, "unknown": 1}, {}])
async def test_a_bad_request_answers_the_same_error_as_rest(edge: Edge, path: str, bad: dict):
    native = await edge.client.post(path, json={"request": bad})
    rest = await edge.client.post("/api/v1/generate", json=bad)
    assert (native.status_code, native.json()) == (400, rest.json())


async def test_a_failed_job_answers_its_error():
    error = JobError(code="NO_DETECTION", message="nothing was found")
    async with open_edge(outcome=lambda job: error) as edge:
        answer = await edge.client.post("/compose", json={"request": EDIT})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "NO_DETECTION")
        task = {"task_id": await submit(edge)}
        assert (await edge.client.get("/compose_task/status", params=task)).json()["status"] == "failed"
        answer = await edge.client.get("/compose_task/get", params=task)
        assert (answer.status_code, answer.json()["error"]["message"]) == (422, "nothing was found")


async def test_a_submission_answers_the_durable_job(edge: Edge):
    answer = await edge.client.post("/compose_task", json={"request": EDIT})
    job = edge.only_job
    assert answer.json() == {"success": True, "job_id": job.id, "status_url": f"/api/v1/status/{job.id}"}


@pytest.mark.parametrize(
    ("state", "name"),
    [(JobStatus.PENDING, "pending"), (JobStatus.PROCESSING, "in_progress"), (JobStatus.CANCELLED, "canceled")],
)
async def test_a_task_has_its_job_s_status_as_bentoml_spells_it(state: JobStatus, name: str):
    async with open_edge(outcome=lambda job: state) as edge:
        task = {"task_id": await submit(edge)}
        assert (await edge.client.get("/compose_task/status", params=task)).json()["status"] == name


@pytest.mark.parametrize(
    ("state", "status", "code"), [(JobStatus.PENDING, 400, "INVALID_INPUT"), (JobStatus.CANCELLED, 409, "CANCELLED")]
)
async def test_a_task_without_a_result_says_why(state: JobStatus, status: int, code: str):
    async with open_edge(outcome=lambda job: state) as edge:
        answer = await edge.client.get("/compose_task/get", params={"task_id": await submit(edge)})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_a_cancelled_task_is_a_cancelled_job():
    async with open_edge(outcome=lambda job: JobStatus.PENDING) as edge:
        task_id = await submit(edge)
        answer = await edge.client.put("/compose_task/cancel", params={"task_id": task_id})
        assert (answer.json()["task_id"], answer.json()["status"]) == (task_id, "canceled")
        assert edge.queue.cancelled == [task_id]


@pytest.mark.parametrize(("method", "route"), [("GET", "status"), ("GET", "get"), ("PUT", "cancel"), ("POST", "retry")])
@pytest.mark.parametrize(
    ("task", "status"),
    [({}, 400), ({"task_id": "x" * 101}, 400), ({"task_id": "1; DROP"}, 404), ({"task_id": UNKNOWN}, 404)],
)
async def test_an_unknown_task_is_in_the_envelope(edge: Edge, method: str, route: str, task: dict, status: int):
    answer = await edge.client.request(method, f"/compose_task/{route}", params=task)
    assert (answer.status_code, answer.json()["success"]) == (status, False)


async def test_a_full_queue_refuses_a_task(edge: Edge):
    edge.queue.refusal = QueueFull("too many jobs are waiting", retry_after_s=7)
    answer = await edge.client.post("/compose_task/submit", json={"request": EDIT})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


async def test_before_the_wiring_is_done_every_route_answers_not_ready(edge: Edge):
    edge.client._transport.app.state.context = None
    for path in ("/compose", "/compose_task", "/compose_task/submit"):
        answer = await edge.client.post(path, json={"request": EDIT})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "NOT_READY")
