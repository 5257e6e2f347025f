"""A detector that finds what the test planted, by phrase."""

from __future__ import annotations

from composition.images import Box, Detection


def detection(label, *box, score=0.9):
    x0, y0, x1, y1 = box
    return Detection(label=label, score=score, box=Box(x0=x0, y0=y0, x1=x1, y1=y1))


class FakeDetector:
    """`found` maps a phrase to its detections; "*" answers every other phrase."""

    def __init__(self, found=None):
        self.found = found or {}
        self.phrases: list[str] = []

    async def detect(self, image, phrase, *, like=None):
        self.phrases.append(phrase)
        return tuple(self.found.get(phrase, self.found.get("*", ())))
