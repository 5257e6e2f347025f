"""A job's mask on its way from its blob into the edit: read as the submission read it, and said in the account."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as PillowImage

from api.codec import PillowCodec
from composition.execution import EditJobHandler
from composition.jobs import EditPayload, Job, JobKind, Priority
from composition.request import EditOptions, MaskMode
from tests.fakes.fake_blob_store import FakeBlobStore

SPOT = (slice(100, 150), slice(120, 200))


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    PillowImage.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def with_hole(photo: np.ndarray) -> np.ndarray:
    """The photograph itself, transparent where it is to be repainted."""
    alpha = np.full(photo.shape[:2], 255, np.uint8)
    alpha[SPOT] = 0
    return np.dstack([photo, alpha])


async def ran(b, photo: np.ndarray, mask: np.ndarray | None, kind: JobKind, mode: MaskMode = MaskMode.AUTO):
    """The mask that was edited with, and the account's warnings."""
    blobs = FakeBlobStore()
    blobs.blobs["base"] = png(photo)
    if mask is not None:
        blobs.blobs["mask"] = png(mask)
    codec = PillowCodec(max_side_px=2048)
    options = EditOptions(seed=7, mask_blur_px=0, color_match=False, mask_mode=mode, return_mask=True)
    payload = EditPayload(
        prompt="blue car", base_key="base", mask_key="mask" if mask is not None else None, options=options
    )
    job = Job(id="one", kind=kind, owner="ann", priority=Priority.BATCH, payload=payload)
    handler = EditJobHandler(editor=b.editor, blobs=blobs, codec=codec)
    result = await handler(job, lambda _: None)
    edited = np.asarray(PillowImage.open(io.BytesIO(blobs.blobs[result.mask_key])))
    return edited, result.account["metadata"]["warnings"]


@pytest.mark.parametrize("kind", JobKind)
async def test_a_transparent_hole_is_repainted_and_said(bench, photo, kind):
    edited, warnings = await ran(bench(), photo, with_hole(photo), kind)
    expected = np.zeros(photo.shape[:2], bool)
    expected[SPOT] = True
    assert np.array_equal(edited > 0, expected)
    assert "mask_image: read by its transparency; the transparent part, 3 % of the image, is repainted" in warnings


@pytest.mark.parametrize("kind", JobKind)
@pytest.mark.parametrize(("mode", "inside"), [(MaskMode.ALPHA, True), (MaskMode.INVERTED, False)])
async def test_the_jobs_own_mask_mode_is_used(bench, photo, kind, mode, inside):
    edited, warnings = await ran(bench(), photo, with_hole(photo), kind, mode)
    assert (edited[SPOT] > 0).all() == inside
    assert (edited[:50] > 0).all() != inside
    assert not any("mask_image" in warning for warning in warnings)


async def test_a_plain_mask_needs_no_words(bench, photo):
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[SPOT] = 255
    edited, warnings = await ran(bench(), photo, mask, JobKind.EDIT)
    assert np.array_equal(edited, mask)
    assert warnings == []


async def test_a_mask_mode_without_a_mask_is_named(bench, photo):
    _, warnings = await ran(bench(), photo, None, JobKind.ANALYZE, MaskMode.ALPHA)
    assert "mask_mode has no effect without mask_image" in warnings
