"""image + phrase -> **an object detector, by COCO's classes** -> boxes of what the phrase names.

For images that a model profile's GroundingDINO does not know: 80 classes instead of any words, found or honestly not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from composition.images import Detection, Image
from runners.detector.coco_phrases import coco_labels
from runners.detector.phrases import split_phrases
from runners.detector.queries import DetectQuery
from runners.detectors_by_home import Detector


class CocoFinder:
    """Finds what a phrase names, if its head names one of COCO's classes.

    Args:
        objects: finds all of them.
        confidence: the lowest score (0..1) of a box.
    """

    def __init__(self, objects: Detector[Image], *, confidence: float) -> None:
        self._objects, self._confidence = objects, confidence

    @property
    def module(self) -> object:
        return self._objects.module

    def detect(self, queries: Sequence[DetectQuery]) -> list[tuple[Detection, ...]]:
        """Instances per query, best first, labelled with the phrase that they are found for."""
        asked = [_names(query.phrase) for query in queries]
        # Queries of one batch are often about one image, which is one object then.
        images = {id(query.image): query.image for query, names in zip(queries, asked, strict=True) if names}
        seen = dict(zip(images, self._objects.detect(list(images.values())), strict=True)) if images else {}
        return [
            tuple(
                replace(item, label=names[item.label])
                for item in seen.get(id(query.image), ())
                if item.label in names and item.score >= self._confidence
            )
            for query, names in zip(queries, asked, strict=True)
        ]


def _names(text: str) -> dict[str, str]:
    """Of each class that a query's phrases name, the first of them that does."""
    phrases = split_phrases(text)
    return {label: phrase for phrase in reversed(phrases) for label in coco_labels(phrase)}
