"""Noise goes along: with a camera that pans, with a crop that follows, and what comes into view has its own."""

from __future__ import annotations

import numpy as np
import pytest

from composition.diffusion import OWN_NOISE
from composition.images import Box
from composition.imaging.flow import Flow
from composition.imaging.geometry import fit
from composition.imaging.noise_origin import NoiseOrigin

SIZE = 256, 320
CELL_PX = 8


def flow(dx=0, dy=0, sure=1.0):
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    return Flow(at=np.stack([x - dx, y - dy], axis=-1), sure=np.full(SIZE, sure, np.float32), cut=False)


def identity(rows, columns):
    return np.stack(np.mgrid[:rows, :columns], axis=-1)


def whole():
    return fit(SIZE, native_size=320)


def test_a_frame_that_stands_still_has_its_own_cells():
    origin = NoiseOrigin.here(SIZE, None).moved(flow())
    cells = origin.cells(None, whole(), CELL_PX)
    assert cells.dtype == np.uint8
    assert np.array_equal(cells, identity(32, 40))


def test_noise_moves_with_the_picture_and_what_comes_into_view_has_its_own():
    origin = NoiseOrigin.here(SIZE, None)
    for _ in range(3):
        origin = origin.moved(flow(dx=8))
    cells = origin.cells(None, whole(), CELL_PX)
    assert np.array_equal(cells[:, 3:], identity(32, 40)[:, :37])


def test_what_is_not_sure_has_its_own():
    origin = NoiseOrigin.here(SIZE, None).moved(flow(sure=0.2))
    assert (origin.cells(None, whole(), CELL_PX) == OWN_NOISE).all()


@pytest.mark.parametrize("dx", [5, 16, 40])
def test_a_crop_that_follows_a_thing_keeps_its_noise_where_it_was(dx):
    crop = Box(x0=40, y0=60, x1=168, y1=188)
    canvas = fit((128, 128), native_size=192)
    there = Box(x0=40 + dx, y0=60, x1=168 + dx, y1=188)
    cells = NoiseOrigin.here(SIZE, crop).moved(flow(dx=dx)).cells(there, canvas, CELL_PX)
    assert np.array_equal(cells, identity(24, 24))


def test_padding_has_its_own():
    wide = fit((100, 320), native_size=320)
    origin = NoiseOrigin.here((100, 320), None)
    cells = origin.cells(None, wide, CELL_PX)
    assert (cells[13:] == OWN_NOISE).all()
    assert np.array_equal(cells[:12], identity(16, 40)[:12])
