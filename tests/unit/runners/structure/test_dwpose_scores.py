"""Every keypoint is read from its own two peaks."""

from __future__ import annotations

import numpy as np
import pytest

from composition.images import Box
from runners.structure.dwpose import DwPose
from runners.structure.queries import PoseQuery


def test_a_keypoints_score_is_the_lower_of_its_own_two_peaks():
    heights = np.linspace(0.1, 0.9, 133, dtype=np.float32)

    class PoseNet:
        fixed_batch = None

        def __call__(self, batch):
            simcc_x = np.zeros((len(batch), 133, 576), np.float32)
            simcc_y = np.zeros((len(batch), 133, 768), np.float32)
            simcc_x[:, range(133), range(133)] = heights
            simcc_y[:, range(133), range(133)] = heights[::-1]
            return simcc_x, simcc_y

    query = PoseQuery(image=np.zeros((400, 300, 3), np.uint8), people=(Box(x0=0, y0=0, x1=300, y1=400),))
    ((pose,),) = DwPose(PoseNet()).estimate([query])
    expected = np.minimum(heights, heights[::-1])
    assert pose.feet[:, 2] == pytest.approx(expected[17:23])
    assert pose.face[:, 2] == pytest.approx(expected[23:91])
    assert pose.left_hand[:, 2] == pytest.approx(expected[91:112])
    assert pose.right_hand[:, 2] == pytest.approx(expected[112:133])
