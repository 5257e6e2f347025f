"""The photo as the model sees it is the control image itself."""

from __future__ import annotations

import numpy as np
import pytest

from composition.controls import CONTROLS, ControlSource
from composition.request import EditOptions, EditRequest
from tests.fakes.fake_detector import FakeDetector, detection

MUG = detection("mug", 120, 80, 180, 140)


def test_the_image_is_the_photo_as_it_is(photo):
    assert np.array_equal(CONTROLS["tile"].draw(ControlSource(image=photo)), photo)


async def test_the_diffusion_model_is_sent_what_it_sees_once_more(bench, photo):
    b = bench(detector=FakeDetector({"*": [MUG]}))
    options = EditOptions(seed=7, control_types=("tile",), controlnet_conditioning_scale=0.5)
    result = await b.edit(EditRequest(base=photo, prompt="replace the mug with a teapot", options=options))
    asked = b.diffuser.requests[0]
    assert asked.image.shape != photo.shape, "a crop"
    assert np.array_equal(asked.controls["tile"].image, asked.image)
    assert asked.controls["tile"].scale == pytest.approx(0.3)
    assert result.metadata["routing"]["controls"] == {"tile": 0.6}
    assert "controlnet-tile" in result.models_used
    assert (b.pose.calls, b.depth.calls) == (0, 0)


async def test_beside_canny_it_takes_its_joint_weight(bench, photo):
    b = bench(detector=FakeDetector({"*": [MUG]}))
    options = EditOptions(seed=7, control_types=("canny", "tile"))
    await b.edit(EditRequest(base=photo, prompt="replace the mug with a teapot", options=options))
    scales = {name: control.scale for name, control in b.diffuser.requests[0].controls.items()}
    assert scales == pytest.approx({"canny": 0.5, "tile": 0.4})
