"""Whose garment it is: the share of its box that lies in the wearer's."""

from __future__ import annotations

import pytest

from composition.images import Box
from composition.masking.region import _overlap

WEARER = Box(x0=100, y0=50, x1=200, y1=350)


@pytest.mark.parametrize(
    ("garment", "share"),
    [
        (Box(x0=120, y0=100, x1=180, y1=200), 1.0),
        (Box(x0=150, y0=100, x1=250, y1=200), 0.5),
        (Box(x0=75, y0=300, x1=125, y1=400), 0.25),
        (Box(x0=200, y0=100, x1=300, y1=200), 0.0),
        (Box(x0=400, y0=100, x1=500, y1=200), 0.0),
        (Box(x0=120, y0=400, x1=180, y1=500), 0.0),
        (Box(x0=300, y0=400, x1=320, y1=420), 0.0),
        (Box(x0=120, y0=100, x1=120, y1=200), 0.0),
    ],
)
def test_the_share_of_a_garment_on_its_wearer(garment: Box, share: float) -> None:
    assert _overlap(garment, WEARER) == pytest.approx(share)
