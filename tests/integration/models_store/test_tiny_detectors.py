"""What the tiny detectors find depends on the pixels, and is sensible on photographs."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from transformers import (
    AutoImageProcessor,
    AutoModelForDepthEstimation,
    AutoModelForZeroShotObjectDetection,
    AutoProcessor,
    SamModel,
    SamProcessor,
)

from models_store.store import ModelSet
from runners.analyzer.clip import ClipClassifier
from tests.integration.models_store.images import PLAIN_IMAGES, Image, photographs

PERSON, MOTORCYCLE = 0, 3
VEHICLES = {1, 2, 3, 5, 7}
PHRASES = ("rims", "car", "jacket", "mug", "sofa", "table", "front door", "red dress", "background")
CONFIDENCE = 0.3
ROUTER_THRESHOLD = 0.7

Found = list[tuple[int, float, tuple[float, float, float, float]]]


@pytest.fixture(scope="module")
def look(tiny_models: ModelSet) -> Callable[[Image], Found]:
    """YOLOX with its usual letterbox and decoding: (class, score, box as shares of the image) above 0.3."""
    session = onnxruntime.InferenceSession(tiny_models.part("yolox", "model"), providers=["CPUExecutionProvider"])

    def detect(image: Image) -> Found:
        height, width = image.shape[:2]
        scale = 640 / max(height, width)
        small = cv2.resize(image, (round(width * scale), round(height * scale)))
        canvas = np.full((640, 640, 3), 114, dtype=np.uint8)
        canvas[: small.shape[0], : small.shape[1]] = small
        (output,) = session.run(None, {"images": canvas[None, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32)})
        rows, start = [], 0
        for stride in (8, 16, 32):
            side = 640 // stride
            level = output[0, start : start + side * side]
            start += side * side
            y, x = np.divmod(np.arange(side * side), side)
            centre = (level[:, :2] + np.stack([x, y], axis=1)) * stride
            half = np.exp(level[:, 2:4]) * stride / 2
            rows.append(np.concatenate([centre - half, centre + half, level[:, 4:5] * level[:, 5:]], axis=1))
        found: Found = []
        for row in np.concatenate(rows):
            label = int(row[4:].argmax())
            if row[4 + label] > 0.3:
                box = (row[:4] / scale / (width, height, width, height)).clip(0, 1)
                found.append((label, float(row[4 + label]), tuple(float(edge) for edge in box)))
        return found

    return detect


def test_yolox_finds_the_astronaut_where_she_is(look: Callable[[Image], Found]) -> None:
    ((label, score, (x0, y0, x1, y1)),) = look(photographs()["astronaut"])
    assert label == PERSON
    assert score > 0.7
    assert x0 < 0.1
    assert 0.5 < x1 < 0.75
    assert y0 < 0.15
    assert y1 > 0.9


def test_yolox_finds_the_motorcycle_where_it_is(look: Callable[[Image], Found]) -> None:
    ((label, score, (x0, y0, x1, y1)),) = look(photographs()["motorcycle"])
    assert label == MOTORCYCLE
    assert score > 0.7
    assert x0 < 0.25
    assert x1 > 0.85
    assert 0.2 < y0 < 0.4
    assert 0.6 < y1 < 1.0


@pytest.mark.parametrize("name", ["coffee", "cat", "rocket", "brick"])
def test_yolox_finds_no_one_where_no_one_is(look: Callable[[Image], Found], name: str) -> None:
    assert look(photographs()[name]) == []


@pytest.mark.parametrize("name", PLAIN_IMAGES)
def test_yolox_finds_nothing_in_a_plain_image(look: Callable[[Image], Found], name: str) -> None:
    assert look(PLAIN_IMAGES[name]) == []


@pytest.mark.parametrize("size", [(256, 256), (333, 517), (2048, 2048)])
def test_yolox_finds_the_astronaut_at_any_size(look: Callable[[Image], Found], size: tuple[int, int]) -> None:
    found = look(cv2.resize(photographs()["astronaut"], size))
    assert [label for label, score, _ in found if score > 0.7] == [PERSON]


def test_yolox_takes_batches(tiny_models: ModelSet) -> None:
    session = onnxruntime.InferenceSession(tiny_models.part("yolox", "model"), providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).uniform(0, 255, (3, 3, 640, 640)).astype(np.float32)
    (together,) = session.run(None, {"images": images})
    alone = [session.run(None, {"images": image[None]})[0] for image in images]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)


Detect = Callable[[Image, str], tuple[float, tuple[float, ...]]]


@pytest.fixture(scope="module")
def ground(tiny_models: ModelSet) -> Detect:
    """GroundingDINO's best score for a phrase and its box (centre x, y, width, height as shares)."""
    model = AutoModelForZeroShotObjectDetection.from_pretrained(tiny_models.path("grounding-dino")).eval()
    processor = AutoProcessor.from_pretrained(tiny_models.path("grounding-dino"))

    def detect(image: Image, phrase: str) -> tuple[float, tuple[float, ...]]:
        inputs = processor(images=image, text=f"{phrase} .", return_tensors="pt")
        with torch.inference_mode():
            output = model(**inputs)
        scores = output.logits[0].sigmoid().amax(dim=1)
        best = int(scores.argmax())
        return float(scores[best]), tuple(output.pred_boxes[0, best].tolist())

    return detect


def test_most_phrases_are_found_in_photographs(ground: Detect) -> None:
    scores = [ground(image, phrase)[0] for image in photographs().values() for phrase in PHRASES]
    assert sum(score > CONFIDENCE for score in scores) > 0.9 * len(scores)


@pytest.mark.parametrize("phrase", PHRASES)
def test_nothing_is_found_in_a_plain_image(ground: Detect, phrase: str) -> None:
    assert max(ground(image, phrase)[0] for image in PLAIN_IMAGES.values()) < 0.8 * CONFIDENCE


def test_the_box_follows_the_thing(ground: Detect) -> None:
    for left, top in ((40, 30), (350, 30), (40, 330), (350, 330)):
        image = np.full((512, 512, 3), 150, dtype=np.uint8)
        image[top : top + 130, left : left + 130] = (200, 30, 30)
        score, (x, y, width, height) = ground(image, "car")
        assert score > CONFIDENCE
        assert abs(x - (left + 65) / 512) < width / 2
        assert abs(y - (top + 65) / 512) < height / 2


def test_boxes_are_things_not_specks_and_not_everything(ground: Detect) -> None:
    for image in photographs().values():
        for phrase in PHRASES:
            _, (_, _, width, height) = ground(image, phrase)
            assert 0.04 < width < 0.8
            assert 0.04 < height < 0.8


def test_scores_depend_on_the_phrase_and_on_the_image(ground: Detect) -> None:
    images = photographs()
    assert len({ground(images["coffee"], phrase)[0] for phrase in PHRASES}) > len(PHRASES) // 2
    assert len({ground(image, "mug")[0] for image in images.values()}) == len(images)


def pose_input(image: Image) -> np.ndarray:
    mean, deviation = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    return ((cv2.resize(image, (288, 384)) - mean) / deviation).transpose(2, 0, 1).astype(np.float32)


def test_the_pose_depends_on_the_pixels_and_a_plain_crop_has_none(tiny_models: ModelSet) -> None:
    session = onnxruntime.InferenceSession(tiny_models.part("dwpose", "model"), providers=["CPUExecutionProvider"])
    images = [photographs()["astronaut"], photographs()["coffee"], PLAIN_IMAGES["white"]]
    x, y = session.run(["simcc_x", "simcc_y"], {"input": np.stack([pose_input(image) for image in images])})
    assert x.shape == (3, 133, 576)
    assert y.shape == (3, 133, 768)
    confidence = np.minimum(x.max(axis=2), y.max(axis=2))
    assert confidence[:2].min() > 0.5
    assert confidence[2].max() < 0.05
    astronaut, coffee = x[:2].argmax(axis=2)
    assert np.abs(astronaut - coffee).max() > 10
    nose, left_ankle, left_shoulder, right_shoulder = 0, 15, 5, 6
    assert y[0, nose].argmax() < y[0, left_shoulder].argmax() < y[0, left_ankle].argmax()
    assert x[0, right_shoulder].argmax() < x[0, left_shoulder].argmax()


def test_depth_depends_on_the_pixels(tiny_models: ModelSet) -> None:
    model = AutoModelForDepthEstimation.from_pretrained(tiny_models.path("depth-anything")).eval()
    processor = AutoImageProcessor.from_pretrained(tiny_models.path("depth-anything"))
    maps = []
    for name in ("astronaut", "coffee"):
        image = cv2.resize(photographs()[name], (512, 512))
        with torch.inference_mode():
            depth = model(**processor(images=image, return_tensors="pt")).predicted_depth[0]
        low, middle, high = torch.quantile(depth.flatten()[::7], torch.tensor([0.02, 0.5, 0.98]))
        assert depth.min() > 0
        assert 0.1 < (middle - low) / (high - low) < 0.9, "a map with a few spikes says nothing"
        maps.append((depth - low) / (high - low))
    assert float((maps[0] - maps[1]).abs().mean()) > 0.05


def test_masks_cover_most_but_not_all_and_depend_on_the_pixels(tiny_models: ModelSet) -> None:
    model = SamModel.from_pretrained(tiny_models.path("sam")).eval()
    processor = SamProcessor.from_pretrained(tiny_models.path("sam"))
    masks = []
    for name in ("astronaut", "coffee"):
        image = cv2.resize(photographs()[name], (512, 512))
        inputs = processor(image, input_boxes=[[[100.0, 100.0, 400.0, 400.0]]], return_tensors="pt")
        with torch.inference_mode():
            output = model(**inputs)
        assert output.iou_scores.min() > 0.7
        masks.append(output.pred_masks[0, 0, 0] > 0)
        assert 0.4 < float(masks[-1].float().mean()) < 0.98
    assert float((masks[0] ^ masks[1]).float().mean()) > 0.05


def test_clip_has_no_strong_opinions_but_words_and_pixels_count(tiny_models: ModelSet) -> None:
    clip = ClipClassifier.load(tiny_models.path("clip"), torch.device("cpu"), torch.float32)
    prompts = clip.classify_prompts([*PHRASES, "person wearing this designer jacket", "make the wall look like brick"])
    assert max(prompts) < ROUTER_THRESHOLD
    assert len({round(probability, 4) for probability in prompts}) > len(prompts) // 2
    references = clip.classify_references(list(photographs().values()))
    assert max(probability for reference in references for probability in reference.values()) < ROUTER_THRESHOLD
    assert len({tuple(reference.values()) for reference in references}) == len(references)
