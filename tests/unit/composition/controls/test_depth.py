"""Depth: the scene as it is, or as it is around what is taken away."""

from __future__ import annotations

import numpy as np

from composition.controls import ControlSource
from composition.controls.depth import DEPTH

HEIGHT, WIDTH = 64, 96
THING = np.s_[24:48, 32:64]


def scene():
    """A floor that comes nearer downwards, with a thing on it that is nearer than all of it."""
    floor = np.repeat(np.linspace(20, 140, HEIGHT)[:, None], WIDTH, axis=1).astype(np.uint8)
    depth = floor.copy()
    depth[THING] = 240
    return floor, depth


def drawn(depth, gone=None):
    return DEPTH.draw(ControlSource(image=np.zeros((HEIGHT, WIDTH, 3), np.uint8), depth=depth, gone=gone))


def test_the_map_is_shown_as_it_is_in_grey():
    _, depth = scene()
    assert (drawn(depth) == depth[:, :, None]).all()


def test_where_a_thing_is_taken_away_the_depth_around_is_carried_on():
    floor, depth = scene()
    gone = np.zeros((HEIGHT, WIDTH), np.uint8)
    gone[20:52, 28:68] = 255
    image = drawn(depth, gone)
    assert (image[gone == 0] == depth[gone == 0][:, None]).all()
    assert np.abs(image[..., 0].astype(int) - floor)[gone > 0].max() < 60
    assert np.abs(image[..., 0].astype(int) - floor)[gone > 0].mean() < 20


def test_where_all_of_the_image_is_to_go_no_depth_is_left():
    _, depth = scene()
    assert not drawn(depth, np.full((HEIGHT, WIDTH), 255, np.uint8)).any()
