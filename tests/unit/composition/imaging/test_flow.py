"""Flow: what was moved is found where it is, what cannot be known is not sure, and another scene is a cut."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from composition.imaging.flow import carried, carried_mask, flow_between
from composition.imaging.steadying import steadied

SIZE = 260, 300


def texture(seed=0):
    noise = np.random.default_rng(seed).random((*SIZE, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return (40 + 180 * smooth).astype(np.uint8)


def moved(image, dx, dy):
    return np.roll(image, (dy, dx), axis=(0, 1))


def with_square(background, x, y, side=80, seed=5):
    image = background.copy()
    image[y : y + side, x : x + side] = texture(seed)[:side, :side]
    return image


def square(x, y, side=80):
    mask = np.zeros(SIZE, np.uint8)
    mask[y : y + side, x : x + side] = 255
    return mask


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (5, 0), (-3, 4), (0, -7)])
def test_a_pan_is_found_and_carried(dx, dy):
    before = texture()
    now = moved(before, dx, dy)
    flow = flow_between(before, now)
    inner = (slice(20, -20), slice(20, -20))
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    assert np.abs(flow.at[inner] - np.stack([x - dx, y - dy], axis=-1)[inner]).mean() < 0.3
    assert np.abs(carried(before, flow)[inner].astype(int) - now[inner]).mean() < 2
    assert flow.sure[inner].mean() > 0.9
    assert not flow.cut


def test_a_mask_goes_with_its_thing_while_the_rest_stands_still():
    background = texture()
    flow = flow_between(with_square(background, 60, 90), with_square(background, 67, 88))
    found = carried_mask(square(60, 90), flow) > 0
    truth = square(67, 88) > 0
    assert (found & truth).sum() / (found | truth).sum() > 0.9
    assert set(np.unique(carried_mask(square(60, 90), flow))) == {0, 255}


def test_a_mask_of_everything_stays_one():
    before = texture()
    flow = flow_between(before, moved(before, 6, 0))
    assert carried_mask(np.full(SIZE, 255, np.uint8), flow).all()


def test_what_comes_into_view_is_not_sure():
    background = texture()
    flow = flow_between(with_square(background, 60, 90), with_square(background, 90, 90))
    uncovered = (square(60, 90) > 0) & (square(90, 90) == 0)
    assert flow.sure[uncovered].mean() < 0.5 < flow.sure[:60].mean()


def test_another_scene_is_a_cut_and_another_light_is_none():
    before = texture(1)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] // 25
    tiles = np.repeat(np.where((x + y) % 2, 20, 230).astype(np.uint8)[..., None], 3, axis=-1)
    assert flow_between(before, tiles).cut
    brighter = np.clip(before.astype(int) + 30, 0, 255).astype(np.uint8)
    assert not flow_between(before, brighter).cut


def test_flicker_inside_the_mask_is_less_and_outside_nothing_changes():
    before = texture()
    now = moved(before, 4, 0)
    flow = flow_between(before, now)
    alpha = square(80, 80)
    flickered = np.clip(now.astype(int) + 15, 0, 255).astype(np.uint8)
    steady = steadied(flickered, before, flow, alpha)
    assert np.array_equal(steady[alpha == 0], flickered[alpha == 0])
    inside = alpha > 0
    left = np.abs(steady[inside].astype(int) - now[inside]).mean()
    assert left < 0.5 * np.abs(flickered[inside].astype(int) - now[inside]).mean()


def test_what_has_become_something_else_is_not_mixed_in():
    before, now = np.zeros((*SIZE, 3), np.uint8), np.full((*SIZE, 3), 200, np.uint8)
    flow = flow_between(texture(), texture())
    assert np.array_equal(steadied(now, before, flow, np.full(SIZE, 255, np.uint8)), now)
