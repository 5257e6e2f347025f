"""The knobs of a request reach the diffusion model as turned, and the service's configuration where they were not."""

from __future__ import annotations

import numpy as np
import pytest

from composition.config import Config
from composition.errors import InvalidInput
from composition.request import (
    EditOptions,
    EditRequest,
    Quality,
    Reference,
    Scheduler,
)
from tests.fakes.fake_analyzer import FakeAnalyzer
from tests.fakes.fake_detector import FakeDetector, detection

MUG = detection("mug", 120, 80, 220, 200)
REFERENCE = (Reference(image=np.full((64, 64, 3), 90, np.uint8)),)


@pytest.fixture
def b(bench):
    return bench(
        Config.model_validate({"generation": {"scheduler": "DPMSolverMultistepKarras"}}),
        analyzer=FakeAnalyzer(),
        detector=FakeDetector({"*": [MUG]}),
        checkpoints=("film", "photo"),
    )


def edit_of(photo, **options):
    return EditRequest(
        base=photo,
        prompt="replace the mug with a teapot",
        references=REFERENCE,
        options=EditOptions(seed=7, control_types=("depth",), **options),
    )


async def test_every_knob_reaches_the_diffusion_model(b, photo):
    turned = {
        "scheduler": Scheduler.UNIPC,
        "guidance_rescale": 0.7,
        "quality": Quality.BALANCED,
        "ip_adapter_start": 0.1,
        "ip_adapter_end": 0.8,
        "ip_adapter_mask": True,
        "model": "photo",
    }
    await b.edit(edit_of(photo, **turned, control_guidance_start=0.2, control_guidance_end=0.6))
    (sent,) = b.diffuser.requests
    assert {name: getattr(sent, name) for name in turned} == turned
    assert (sent.controls["depth"].start, sent.controls["depth"].end) == (0.2, 0.6)


async def test_what_is_not_turned_is_the_services_own(b, photo):
    await b.edit(edit_of(photo))
    (sent,) = b.diffuser.requests
    assert sent.scheduler is Scheduler.DPM_SOLVER_KARRAS
    assert sent.quality is Quality.EXACT
    assert (sent.guidance_rescale, sent.ip_adapter_mask, sent.model) == (0.0, False, None)
    assert (sent.ip_adapter_start, sent.ip_adapter_end) == (0.0, 1.0)
    assert (sent.controls["depth"].start, sent.controls["depth"].end) == (0.0, 1.0)


async def test_a_checkpoint_that_is_not_listed_is_refused_before_a_model_runs(b, photo):
    with pytest.raises(InvalidInput, match="model other is not available; available: film, photo") as caught:
        await b.edit(edit_of(photo, model="other"))
    assert caught.value.details == {"field": "config.model", "available": ["film", "photo"]}
    assert b.diffuser.requests == []
    assert b.detector.phrases == []


async def test_more_context_shows_the_model_more_of_the_photograph(bench):
    photo = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), dtype=np.uint8)
    seen = {}
    for context in (1.3, 3.0):
        b = bench(analyzer=FakeAnalyzer(), detector=FakeDetector({"*": [MUG]}))
        request = edit_of(photo, crop_context=context)
        mask = (await b.editor.analyze(request, request_id="a")).mask
        await b.edit(request)
        hole = b.diffuser.requests[0].mask > 0
        seen[context] = hole.mean()
        assert mask.any()
    assert seen[3.0] < seen[1.3]
