"""The edges of the photo as the model sees it, from the pixels to the request to the diffusion model."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from composition.controls import CONTROLS, ControlSource
from composition.request import EditOptions, EditRequest
from tests.fakes.fake_detector import FakeDetector, detection


def drawn(left, right):
    """The control image of two plain halves, 64 px high, that meet between the columns 31 and 32."""
    image = np.empty((64, 64, 3), np.uint8)
    image[:, :32], image[:, 32:] = left, right
    return CONTROLS["canny"].draw(ControlSource(image=image))


def test_an_edge_is_one_white_line_where_two_colours_meet():
    edges = drawn((0, 0, 0), (255, 255, 255))
    assert edges.shape == (64, 64, 3)
    assert edges.dtype == np.uint8
    assert set(np.unique(edges)) == {0, 255}
    assert set(np.flatnonzero(edges.any(axis=(0, 2)))) in ({31}, {32})
    assert (edges.max(axis=2) == edges.min(axis=2)).all()
    assert (edges.max(axis=1) == 255).all()


@pytest.mark.parametrize(("step", "seen"), [(20, False), (45, False), (55, True)])
def test_an_edge_begins_at_the_upper_threshold(step, seen):
    """The gradient of a step is four times its height; 200 is 50 shades."""
    assert drawn((100,) * 3, (100 + step,) * 3).any() == seen


def test_grey_is_made_from_rgb():
    """Red is 76 shades of grey, blue 29: taken for BGR it would be the other way round."""
    assert drawn((0, 0, 0), (255, 0, 0)).any()
    assert not drawn((0, 0, 0), (0, 0, 255)).any()


async def test_the_diffusion_model_is_sent_the_edges_of_what_it_sees(bench, photo):
    mug = detection("mug", 120, 80, 180, 140)
    b = bench(detector=FakeDetector({"*": [mug]}))
    options = EditOptions(seed=7, control_types=("canny",), controlnet_conditioning_scale=0.5)
    photo = cv2.GaussianBlur(photo, (0, 0), 3)
    result = await b.edit(EditRequest(base=photo, prompt="replace the mug with a teapot", options=options))
    asked = b.diffuser.requests[0]
    grey = cv2.cvtColor(asked.image, cv2.COLOR_RGB2GRAY)
    control = asked.controls["canny"]
    assert control.image.shape == asked.image.shape
    assert control.image.shape != photo.shape, "a crop"
    assert (control.image == cv2.Canny(grey, 100, 200)[:, :, None]).all()
    assert control.scale == pytest.approx(0.4)
    assert result.metadata["routing"]["controls"] == {"canny": 0.8}
    assert "controlnet-canny" in result.models_used
    assert (b.pose.calls, b.depth.calls) == (0, 0)


async def test_beside_depth_it_takes_its_joint_weight(bench, photo):
    b = bench(detector=FakeDetector({"*": [detection("mug", 120, 80, 180, 140)]}))
    options = EditOptions(seed=7, control_types=("depth", "canny"))
    await b.edit(EditRequest(base=photo, prompt="replace the mug with a teapot", options=options))
    scales = {name: control.scale for name, control in b.diffuser.requests[0].controls.items()}
    assert scales == pytest.approx({"depth": 0.5, "canny": 0.5})
