"""image + phrase -> **GroundingDINO** -> threshold -> NMS -> boxes of what the phrase names.

`IDEA-Research/grounding-dino-base` (Apache-2.0) through transformers. The model runs in float32 whatever the
configured number format: bfloat16's 8 bits move a box of a large image by several pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

from composition.images import Detection, Image
from runners.boxes import best_per_label, clip_boxes, has_area
from runners.detector.phrases import phrase_spans, split_phrases, to_query
from runners.detector.queries import DetectQuery
from runners.pretrained import for_processor, load_pretrained

MAX_TOKENS = 256
"""The length that GroundingDINO's text branch was trained with."""


class GroundingDino:
    """Finds what a phrase names.

    Args:
        model: a GroundingDinoForObjectDetection.
        processor: its GroundingDinoProcessor.
        confidence: the lowest score (0..1) of a box.
        nms: boxes of one phrase that overlap a better one by more than this (intersection over union) are dropped.
    """

    def __init__(self, model: Any, processor: Any, *, confidence: float, nms: float) -> None:
        self._model = model.eval()
        self._processor = processor
        self._confidence = confidence
        self._nms = nms
        tokenizer = processor.tokenizer
        marks = tokenizer.convert_tokens_to_ids([".", "?"])
        self._separators = frozenset({*tokenizer.all_special_ids, *marks} - {tokenizer.unk_token_id})

    @classmethod
    def load(cls, folder: Path, device: torch.device, *, confidence: float, nms: float) -> GroundingDino:
        model = load_pretrained(AutoModelForZeroShotObjectDetection, folder, device, torch.float32)
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
        return cls(model, processor, confidence=confidence, nms=nms)

    @property
    def module(self) -> nn.Module:
        return cast(nn.Module, self._model)

    @torch.inference_mode()
    def detect(self, queries: Sequence[DetectQuery]) -> list[tuple[Detection, ...]]:
        """Instances per query, best first, boxes clipped to the image. All images must have one size."""
        assert len({query.image.shape for query in queries}) == 1
        phrases = [split_phrases(query.phrase) for query in queries]
        inputs = self._processor(
            images=[for_processor(query.image) for query in queries],
            text=[to_query(item) for item in phrases],
            padding=True,
            truncation=True,
            max_length=MAX_TOKENS,
            return_tensors="pt",
        ).to(self._model.device)
        outputs = self._model(**inputs)
        scores = outputs.logits.float().sigmoid().cpu().numpy()
        centred = outputs.pred_boxes.float().cpu().numpy()
        tokens = inputs["input_ids"].cpu().tolist()
        return [
            self._read(scores[index], centred[index], tokens[index], phrases[index], query.image)
            for index, query in enumerate(queries)
        ]

    def _read(
        self,
        scores: npt.NDArray[np.float32],
        centred: npt.NDArray[np.float32],
        tokens: Sequence[int],
        phrases: Sequence[str],
        image: Image,
    ) -> tuple[Detection, ...]:
        """One image's queries as detections.

        `scores` (queries, 256) say how well a box fits each token; `centred` (queries, 4) are centre and size as
        fractions of the image.
        """
        height, width = image.shape[:2]
        best = scores.max(axis=1)
        usable = best > self._confidence
        half = centred[:, 2:] / 2
        boxes = np.concatenate([centred[:, :2] - half, centred[:, :2] + half], axis=1)
        boxes = clip_boxes(boxes * np.array([width, height, width, height], np.float32), height, width)
        usable &= has_area(boxes)
        labels = self._label(scores[usable], tokens, phrases)
        return best_per_label(boxes[usable], best[usable], labels, phrases, self._nms)

    def _label(
        self, scores: npt.NDArray[np.float32], tokens: Sequence[int], phrases: Sequence[str]
    ) -> npt.NDArray[np.intp]:
        """Which phrase each box is about: the one that has the best fitting token."""
        spans = phrase_spans(tokens, self._separators)[: len(phrases)]
        if len(spans) < 2:
            return np.zeros(len(scores), np.intp)
        fits = np.stack([scores[:, start:end].max(axis=1) for start, end in spans], axis=1)
        labels: npt.NDArray[np.intp] = fits.argmax(axis=1)
        return labels
