"""The simple pipeline: one stage after the other, none counted twice."""

from __future__ import annotations

import time

from composition.request import EditOptions, EditRequest
from tests.fakes.fake_detector import FakeDetector, detection

STAGES = ["route", "detect", "mask", "condition", "diffuse", "blend"]


class BusyDetector(FakeDetector):
    """Takes 40 ms of the event loop."""

    async def detect(self, image, phrase):
        until = time.perf_counter() + 0.04
        while time.perf_counter() < until:
            pass
        return await super().detect(image, phrase)


async def test_the_times_of_the_stages_add_up_to_no_more_than_the_whole(bench, photo):
    b = bench(detector=BusyDetector({"*": [detection("mug", 120, 80, 220, 200)]}))
    started = time.perf_counter()
    result = await b.edit(EditRequest(base=photo, prompt="replace the mug with a teapot", options=EditOptions(seed=7)))
    whole_ms = (time.perf_counter() - started) * 1000
    timings = result.metadata["timings_ms"]
    assert timings["detect"] >= 40
    assert sum(timings[name] for name in STAGES) <= whole_ms + len(STAGES) * 0.05, "each is rounded to 0.1 ms"


async def test_every_edit_goes_through_every_stage_also_with_a_mask_of_its_own(bench, photo):
    for mask in (None, photo[..., 0]):
        b = bench()
        result = await b.edit(EditRequest(base=photo, prompt="a teapot", mask=mask, options=EditOptions(seed=7)))
        assert list(dict.fromkeys(item.stage for item in b.progress)) == STAGES
        assert set(result.metadata["timings_ms"]) == {*STAGES, "analyze"}
