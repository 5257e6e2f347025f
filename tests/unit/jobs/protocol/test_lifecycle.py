"""Rules that no store decides."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from composition.jobs import JobError, JobEvent, JobStatus
from composition.result import Progress
from jobs.protocol import lifecycle
from jobs.protocol.lifecycle import LEGAL_TRANSITIONS, Record
from tests.unit.jobs.job_samples import sample_job, sample_result

NOW = 1000.0
ERROR = JobError(code="MODEL_ERROR", message="no")


def record_in(status: JobStatus, **fields: object) -> Record:
    return Record(
        job=replace(sample_job(**fields), status=status, attempt=1), order=1, token=5, lease_until=NOW + 9, lease_s=9
    )


@pytest.mark.parametrize("status", list(JobStatus))
def test_only_legal_transitions_happen(status: JobStatus) -> None:
    record = record_in(status)
    changes = {
        "claim": lifecycle.claim(record, worker_id="w", lease_s=9, now=NOW),
        "complete": lifecycle.complete(record, token=5, result=sample_result(), now=NOW),
        "fail": lifecycle.fail(record, token=5, error=ERROR, retry=False, delay_s=0, now=NOW),
        "retry": lifecycle.fail(record, token=5, error=ERROR, retry=True, delay_s=0, now=NOW),
        "release": lifecycle.release(record, token=5, now=NOW),
        "interrupt": lifecycle.interrupt(record, token=5, error=ERROR, delay_s=5, now=NOW),
        "cancel": lifecycle.cancel(record, now=NOW),
        "lapse": lifecycle.lapse(record, seen_until=NOW + 9, silent_s=9, now=NOW),
        "crash": lifecycle.abandon(record, now=NOW),
    }
    allowed = LEGAL_TRANSITIONS[status]
    for name, change in changes.items():
        assert change is None or change.record.job.status in allowed, name
    if status.terminal:
        assert set(changes.values()) == {None}


def test_a_new_job_is_pending_whatever_the_caller_filled_in() -> None:
    filled = replace(
        sample_job(),
        status=JobStatus.COMPLETED,
        attempt=3,
        progress=0.9,
        stage="diffusion",
        finished_at=NOW - 5,
        result=sample_result(),
        error=ERROR,
        cancel_requested=True,
    )
    job = lifecycle.admit(filled, order=7, now=NOW).record.job
    assert job == replace(sample_job(), id=filled.id, created_at=NOW)
    assert (job.status, job.attempt, job.result, job.error) == (JobStatus.PENDING, 0, None, None)


def test_an_older_token_changes_nothing() -> None:
    record = record_in(JobStatus.PROCESSING)
    for token in (4, 6):
        assert lifecycle.heartbeat(record, token=token, lease_s=9, progress=None, now=NOW) is None
        assert lifecycle.complete(record, token=token, result=sample_result(), now=NOW) is None
        assert lifecycle.fail(record, token=token, error=ERROR, retry=True, delay_s=0, now=NOW) is None
        assert lifecycle.release(record, token=token, now=NOW) is None
        assert lifecycle.interrupt(record, token=token, error=ERROR, delay_s=0, now=NOW) is None


def test_a_lapse_is_judged_again_when_it_is_written() -> None:
    record = record_in(JobStatus.PROCESSING)
    assert lifecycle.lapse(record, seen_until=NOW + 8, silent_s=9, now=NOW) is None
    assert lifecycle.lapse(record, seen_until=NOW + 9, silent_s=9, now=NOW) is not None


def test_a_lease_lapses_by_silence_not_by_the_time_of_day() -> None:
    record = record_in(JobStatus.PROCESSING)
    for now in (NOW - 3600, NOW, NOW + 3600):
        assert lifecycle.lapse(record, seen_until=NOW + 9, silent_s=8.9, now=now) is None
        assert lifecycle.lapse(record, seen_until=NOW + 9, silent_s=9, now=now) is not None


@pytest.mark.parametrize(
    ("not_before", "is_due"), [(NOW - 1, True), (NOW, True), (NOW + 1, False), (NOW + 300, False), (NOW + 300.1, True)]
)
def test_a_delay_that_is_longer_than_any_is_of_a_clock_that_was_set_back(not_before: float, is_due: bool) -> None:
    waiting = replace(record_in(JobStatus.PENDING), not_before=not_before)
    assert (lifecycle.claim(waiting, worker_id="w", lease_s=9, now=NOW) is not None) == is_due


def test_progress_beyond_the_end_is_the_end_and_never_falls() -> None:
    record = record_in(JobStatus.PROCESSING)
    for reported, shown in ((0.4, 0.4), (0.2, 0.4), (1.7, 1.0)):
        change = lifecycle.heartbeat(
            record, token=5, lease_s=9, progress=Progress(stage="diffuse", fraction=reported), now=NOW
        )
        record = change.record
        assert record.job.progress == shown
        assert change.events[0].data["progress"] == shown


def test_the_webhook_of_a_failed_job_says_why_and_its_id_follows_from_the_job() -> None:
    record = record_in(JobStatus.PROCESSING, callback_url="https://shop.example/hook", id="job-1")
    failed = lifecycle.fail(record, token=5, error=ERROR, retry=False, delay_s=0, now=NOW)
    again = lifecycle.fail(record, token=5, error=ERROR, retry=False, delay_s=0, now=NOW + 5)
    data = json.loads(failed.delivery.body)["data"]
    assert (data["status"], data["error"], data["error_code"]) == ("failed", "no", "MODEL_ERROR")
    assert failed.delivery.id == again.delivery.id


def test_what_the_stream_keeps() -> None:
    def entry(sequence: int, type: str) -> JobEvent:
        return JobEvent(job_id="j", sequence=sequence, type=type, data={})

    newest = entry(1000, "preview")
    assert lifecycle.kept(entry(1, "status"), newest=newest)
    assert not lifecycle.kept(entry(744, "progress"), newest=newest)
    assert lifecycle.kept(entry(745, "progress"), newest=newest)
    assert not lifecycle.kept(entry(999, "preview"), newest=newest)
    assert lifecycle.kept(entry(999, "preview"), newest=entry(1000, "progress"))


@pytest.mark.parametrize("each", [(), (3, 1)])
def test_progress_says_how_far_each_of_several_candidates_is(each: tuple[int, ...]) -> None:
    progress = Progress(stage="diffuse", fraction=0.5, step=4, total_steps=12, candidate_steps=each)
    change = lifecycle.heartbeat(record_in(JobStatus.PROCESSING), token=5, lease_s=9, progress=progress, now=NOW)
    assert change is not None
    (event,) = change.events
    assert (event.data["step"], event.data["total_steps"]) == (4, 12)
    assert event.data.get("candidate_steps") == (list(each) or None)
