"""A segmenter whose silhouette is the ellipse that fills each box, so that tests can compute it."""

from __future__ import annotations

import numpy as np

from composition.images import Box, Outlines

CLICKED_PX = 60


def ellipse(box, size):
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    dx = (x - (box.x0 + box.x1) / 2) / ((box.x1 - box.x0) / 2)
    dy = (y - (box.y0 + box.y1) / 2) / ((box.y1 - box.y0) / 2)
    return np.where(dx**2 + dy**2 <= 1, 255, 0).astype(np.uint8)


class FakeSegmenter:
    def __init__(self, *, empty=False, leaking=False, name="sam"):
        self.name = name
        self.empty = empty
        self.leaking = leaking
        self.calls = 0
        self.marks = []

    async def segment(self, image, detections):
        self.calls += 1
        size = image.shape[:2]
        if self.empty:
            return self._drawn(*(np.zeros(size, np.uint8) for _ in detections))
        if self.leaking:
            return self._drawn(*(np.full(size, 255, np.uint8) for _ in detections))
        return self._drawn(*(ellipse(item.box, size) for item in detections))

    def _drawn(self, *masks):
        return Outlines(masks=masks, drawn_by=self.name)

    async def segment_marked(self, image, mark):
        """The ellipse of the box; of points alone that around the first one, `CLICKED_PX` wide."""
        self.calls += 1
        self.marks.append(mark)
        size = image.shape[:2]
        if self.empty:
            return self._drawn(np.zeros(size, np.uint8))
        if self.leaking:
            return self._drawn(np.full(size, 255, np.uint8))
        x, y, _ = mark.points[0] if mark.box is None else (0, 0, 1)
        around = Box(x0=x - CLICKED_PX / 2, y0=y - CLICKED_PX / 2, x1=x + CLICKED_PX / 2, y1=y + CLICKED_PX / 2)
        return self._drawn(ellipse(mark.box or around, size))
