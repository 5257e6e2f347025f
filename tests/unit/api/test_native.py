"""BentoML's own endpoints answer what REST answers."""

from __future__ import annotations

from api.native import answer_natively, submit_natively
from composition.jobs import JobError
from tests.unit.api.conftest import Edge, open_edge
from tests.unit.api.images import photo

EDIT = {"base_image": photo(), "prompt": "blue car"}


async def test_an_edit_answers_the_same_body_as_rest(edge: Edge):
    status, body = await answer_natively(edge.context, EDIT, owner="anonymous")
    assert status == 200
    assert body == (await edge.client.post("/api/v1/generate", json=EDIT)).json()


async def test_delivered_images_are_deleted(edge: Edge):
    await answer_natively(edge.context, EDIT, owner="anonymous")
    result = edge.only_job.result
    assert result is not None
    assert result.image_key not in edge.blobs.blobs


async def test_a_bad_request_answers_the_same_error_as_rest(edge: Edge):
    bad = {"prompt": "", "config": {"seed": "7"}}
    status, body = await answer_natively(edge.context, bad, owner="anonymous")
    response = await edge.client.post("/api/v1/generate", json=bad)
    assert (status, body) == (response.status_code, response.json())


async def test_a_failed_job_answers_its_error():
    error = JobError(code="NO_DETECTION", message="nothing was found")
    async with open_edge(outcome=lambda job: error) as edge:
        status, body = await answer_natively(edge.context, EDIT, owner="anonymous")
    assert (status, body["error"]["code"]) == (422, "NO_DETECTION")


async def test_a_submission_answers_the_durable_job(edge: Edge):
    status, body = await submit_natively(edge.context, EDIT, owner="ann")
    assert status == 200
    assert body == {
        "success": True,
        "job_id": edge.only_job.id,
        "status_url": f"/api/v1/status/{edge.only_job.id}",
    }
    assert edge.only_job.owner == "ann"


async def test_before_the_wiring_is_done_both_answer_not_ready():
    for answer in (answer_natively, submit_natively):
        status, body = await answer(None, EDIT, owner="anonymous")
        assert (status, body["error"]["code"]) == (503, "NOT_READY")
