from __future__ import annotations

import numpy as np
import pytest

from composition.caching.frozen import VALUE_OVERHEAD_BYTES, freeze, size_bytes
from composition.images import Box
from tests.fakes.fake_pose_estimator import upright_pose


def test_freezing_keeps_values_shapes_and_types():
    pose = upright_pose(Box(x0=0, y0=0, x1=100, y1=200))
    frozen = freeze((pose, {"a": np.zeros((2, 0), np.float32)}, [1, "x"]))
    assert np.array_equal(frozen[0].body, pose.body)
    assert frozen[0].body.dtype == np.float32
    assert not frozen[0].body.flags.writeable
    assert frozen[0].face.shape == (0, 3)
    assert frozen[1]["a"].shape == (2, 0)
    assert frozen[2] == (1, "x")
    with pytest.raises(TypeError):
        frozen[1]["b"] = 1


def test_the_size_counts_arrays_wherever_they_are():
    array = np.zeros((10, 10), np.float32)
    assert size_bytes(array) == 400 + VALUE_OVERHEAD_BYTES
    assert size_bytes(freeze((array, array))) == 800 + 3 * VALUE_OVERHEAD_BYTES
    assert size_bytes(freeze({"a": array})) == 400 + 2 * VALUE_OVERHEAD_BYTES
    assert size_bytes(upright_pose(Box(x0=0, y0=0, x1=1, y1=1))) == 18 * 3 * 4 + 6 * VALUE_OVERHEAD_BYTES
