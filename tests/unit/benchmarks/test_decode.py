"""The decoder's benchmark compares like with like; its times are not a test's business."""

from __future__ import annotations

import pytest

from benchmarks import decode


@pytest.mark.parametrize("name", decode.FORMATS)
def test_each_format_is_decoded_by_both(name):
    taken = decode.compare(decode.files(256)[name], rounds=1)
    assert taken.keys() == {"ours", "measure", "pillow"}
    assert all(ms >= 0 for ms in taken.values())
