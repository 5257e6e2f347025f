"""What the response's metadata shows of a detection."""

from __future__ import annotations

from composition.images import Box, Detection
from composition.pipelines.account import describe_detection


def test_a_detection_is_shown_to_a_tenth_of_a_pixel():
    seen = Detection(label="mug", score=0.123456, box=Box(x0=1.24, y0=2.26, x1=30.349, y1=40.351))
    assert describe_detection(seen) == {"label": "mug", "score": 0.1235, "box": [1.2, 2.3, 30.3, 40.4]}
