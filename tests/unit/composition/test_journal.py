"""The account of one edit: what ran, what it took, what the caller should know."""

from __future__ import annotations

import numpy as np
import pytest

from composition.journal import STAGE_STARTS, Journal


@pytest.fixture
def told():
    return []


@pytest.fixture
def journal(told):
    return Journal(listener=told.append)


def test_models_and_warnings_are_noted_once_in_order(journal):
    journal.used("yolox", "clip")
    journal.used("sam", "yolox")
    journal.warn("first")
    journal.warn("second")
    journal.warn("first")
    assert journal.models_used == ["yolox", "clip", "sam"]
    assert journal.warnings == ["first", "second"]


def test_a_stage_is_announced_at_its_start_and_timed_even_if_it_fails(journal, told):
    def fail():
        assert [(item.stage, item.fraction) for item in told] == [("mask", STAGE_STARTS["mask"])]
        assert journal.timings_ms == {}
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"), journal.stage("mask"):
        fail()
    assert journal.timings_ms["mask"] >= 0.0


def test_times_of_one_name_add_up(journal):
    journal.timings_ms["pose"] = 100.0
    with journal.timed("pose"):
        pass
    assert 100.0 <= journal.timings_ms["pose"] < 200.0


def test_denoising_goes_from_the_start_of_diffusion_to_the_start_of_blending(journal, told):
    preview = np.zeros((4, 4, 3), np.uint8)
    journal.denoised([1], 4, None)
    journal.denoised([4], 4, preview)
    first, last = told
    assert (first.stage, first.step, first.total_steps, first.preview) == ("diffuse", 1, 4, None)
    assert first.fraction == pytest.approx(0.2 + 0.75 / 4)
    assert last.fraction == pytest.approx(STAGE_STARTS["blend"])
    assert last.preview is preview


def test_stages_start_in_the_order_of_the_flow():
    assert list(STAGE_STARTS) == ["route", "detect", "mask", "condition", "diffuse", "blend"]
    assert list(STAGE_STARTS.values()) == sorted(STAGE_STARTS.values())
