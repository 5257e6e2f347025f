from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composition.controls import CONTROLS
from composition.images import Box
from composition.jobs import EditPayload, Job, JobError, JobKind, JobResult, JobStatus, Priority
from composition.marks import Point
from composition.request import (
    Crop,
    EditOptions,
    MaskMode,
    OnNoDetection,
    OutputFormat,
    PipelineChoice,
    RefineMask,
    ResponseFormat,
    Speed,
)
from jobs.protocol.documents import UNREADABLE, _dump_result, dump_payload, dump_record, load_payload, load_record
from jobs.protocol.lifecycle import Record

text = st.text(max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False)
options = st.builds(
    EditOptions,
    pipeline=st.sampled_from(PipelineChoice),
    control_types=st.lists(st.sampled_from(sorted(CONTROLS)), max_size=2).map(tuple),
    seed=st.none() | st.integers(-1, 2**32 - 1),
    guidance_scale=st.none() | numbers,
    target=st.none() | text,
    points=st.lists(st.builds(Point, numbers, numbers, st.sampled_from([0, 1])), max_size=3).map(tuple),
    box=st.none() | st.builds(Box, x0=numbers, y0=numbers, x1=numbers, y1=numbers),
    on_no_detection=st.sampled_from(OnNoDetection),
    refine_mask=st.sampled_from(RefineMask),
    mask_mode=st.sampled_from(MaskMode),
    crop=st.sampled_from(Crop),
    speed=st.sampled_from(Speed),
    output_format=st.sampled_from(OutputFormat),
    loras=st.dictionaries(text, numbers, max_size=2),
)
payloads = st.builds(
    EditPayload,
    prompt=text,
    base_key=text,
    negative_prompt=st.none() | text,
    reference_keys=st.lists(text, max_size=3).map(tuple),
    mask_key=st.none() | text,
    n=st.integers(1, 8),
    response_format=st.sampled_from(ResponseFormat),
    options=options,
)
details = st.dictionaries(text, numbers | text | st.none() | st.booleans(), max_size=2)
jobs = st.builds(
    Job,
    id=text,
    kind=st.sampled_from(JobKind),
    owner=text,
    priority=st.sampled_from(Priority),
    payload=payloads,
    status=st.sampled_from(JobStatus),
    progress=numbers,
    time_limit_s=numbers,
    finished_at=st.none() | numbers,
    result=st.none()
    | st.builds(
        JobResult,
        image_key=st.none() | text,
        image_media_type=text,
        mask_key=st.none(),
        account=details,
        other_image_keys=st.lists(text, max_size=3).map(tuple),
    ),
    error=st.none() | st.builds(JobError, code=text, message=text, details=details),
    callback_url=st.none() | text,
    idempotency_key=st.none() | text,
    session=st.none() | text,
)
records = st.builds(
    Record, job=jobs, order=st.integers(0, 2**50), token=st.integers(0), worker_id=text, lease_until=numbers
)


@given(records)
def test_a_record_survives_its_document(record: Record) -> None:
    assert load_record(dump_record(record)) == record


@given(records)
def test_fields_that_a_later_version_adds_are_ignored_and_missing_ones_get_their_default(record: Record) -> None:
    document = json.loads(dump_record(record))
    document["of_a_later_version"] = 1
    document["record"]["of_a_later_version"] = 1
    del document["callback_url"], document["session"], document["record"]["not_before"]
    loaded = load_record(json.dumps(document))
    assert (loaded.job.callback_url, loaded.job.session) == (None, None)
    assert loaded.job.payload == record.job.payload


@given(records)
def test_what_only_a_later_version_understands_is_kept_and_not_run(record: Record) -> None:
    document = json.loads(dump_record(record))
    document["payload"]["options"]["of_a_later_version"] = 1
    document["schema_version"] = 2
    loaded = load_record(json.dumps(document))
    assert loaded.job.schema_version == UNREADABLE
    assert loaded.job.payload.blob_keys == record.job.payload.blob_keys
    assert json.loads(dump_record(loaded)) == document


def test_a_document_that_is_no_job_is_refused() -> None:
    with pytest.raises(KeyError):
        load_record("{}")


def test_a_payload_from_before_there_were_mask_modes_reads_its_mask_by_itself() -> None:
    document = dump_payload(EditPayload(prompt="blue car", base_key="base"))
    del document["options"]["mask_mode"]
    assert load_payload(document).options.mask_mode is MaskMode.AUTO


def test_a_result_of_one_image_is_stored_as_it_was_before_there_were_candidates() -> None:
    """A node of an earlier version reads every key that is there as a field of its own `JobResult`."""
    result = JobResult(image_key="a", image_media_type="image/png", mask_key=None, account={})
    several = replace(result, other_image_keys=("b",))
    known = {"image_key", "image_media_type", "mask_key", "account"}
    assert _dump_result(result).keys() == known
    assert _dump_result(several).keys() == known | {"other_image_keys"}
