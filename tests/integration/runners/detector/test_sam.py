from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import SamModel, SamProcessor

from composition.images import Box
from runners.detector.queries import SegmentQuery
from runners.detector.sam import SamSegmenter

MEGABYTE = 1 << 20


def box(x0, y0, x1, y1):
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


def photo(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


class PlantedSam:
    """Draws every box that it is asked about, at the 256 x 256 of SAM's mask decoder; counts its encodings."""

    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self):
        self.encoded = 0
        self.decoded = []

    def eval(self):
        return self

    def get_image_embeddings(self, pixels):
        assert pixels.shape == (1, 3, 1024, 1024)
        self.encoded += 1
        return torch.zeros(1, 16, 64, 64)

    def __call__(self, image_embeddings, input_boxes, multimask_output):
        assert not multimask_output
        (boxes,) = input_boxes.numpy() / 4
        self.decoded.append(len(boxes))
        rows, columns = np.indices((256, 256)) + 0.5
        logits = [
            np.where((rows > y0) & (rows < y1) & (columns > x0) & (columns < x1), 8.0, -8.0) for x0, y0, x1, y1 in boxes
        ]
        return SimpleNamespace(pred_masks=torch.tensor(np.array(logits), dtype=torch.float32)[None, :, None])


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def processor(tiny_models):
    return SamProcessor.from_pretrained(tiny_models.path("sam"))


@pytest.fixture
def planted(processor):
    model, clock = PlantedSam(), Clock()
    segmenter = SamSegmenter(model, processor, cache_bytes=MEGABYTE, cache_ttl_s=300, clock=clock)
    return segmenter, model, clock


def ask(segmenter, image, *boxes):
    (masks,) = segmenter.segment([SegmentQuery(image=image, boxes=boxes)])
    return masks


@pytest.mark.parametrize(("height", "width"), [(333, 517), (1024, 683), (512, 512), (300, 1600)])
def test_the_mask_of_a_planted_object_is_where_it_is_in_the_image(planted, height, width):
    segmenter, _, _ = planted
    x0, y0, x1, y1 = round(0.2 * width), round(0.3 * height), round(0.7 * width), round(0.9 * height)

    (mask,) = ask(segmenter, photo(height, width), box(x0, y0, x1, y1))

    assert (mask.shape, mask.dtype) == ((height, width), np.uint8)
    assert set(np.unique(mask)) == {0, 255}
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    tolerance = max(2.0, max(height, width) / 256)  # one cell of SAM's own mask
    assert [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] == pytest.approx([x0, y0, x1, y1], abs=tolerance)


def test_there_is_a_mask_per_box_in_order_however_many(planted):
    segmenter, model, _ = planted
    boxes = [box(20 * index, 50, 20 * index + 15, 200) for index in range(11)]

    masks = ask(segmenter, photo(256, 256), *boxes)

    assert [int(np.flatnonzero(mask.any(axis=0)).mean()) for mask in masks] == pytest.approx(
        [20 * index + 7 for index in range(11)], abs=1
    )
    assert model.decoded == [8, 3]


def test_no_box_costs_nothing(planted):
    segmenter, model, _ = planted

    assert ask(segmenter, photo(256, 256)) == ()
    assert model.encoded == 0


def test_the_same_image_is_encoded_once_for_whatever_boxes(planted):
    segmenter, model, _ = planted

    ask(segmenter, photo(300, 400), box(0, 0, 100, 100))
    ask(segmenter, photo(300, 400), box(50, 50, 200, 200))
    segmenter.segment([SegmentQuery(image=photo(300, 400), boxes=(box(1, 1, 9, 9),))] * 2)

    assert model.encoded == 1
    assert (segmenter.cache_counts.hits, segmenter.cache_counts.misses) == (3, 1)


def test_another_image_is_encoded_for_itself(planted):
    segmenter, model, _ = planted

    ask(segmenter, photo(300, 400, seed=1), box(0, 0, 100, 100))
    ask(segmenter, photo(300, 400, seed=2), box(0, 0, 100, 100))
    ask(segmenter, photo(400, 300, seed=1), box(0, 0, 100, 100))

    assert model.encoded == 3


def test_an_embedding_is_forgotten_after_its_time(planted):
    segmenter, model, clock = planted

    ask(segmenter, photo(300, 400), box(0, 0, 100, 100))
    clock.now = 301.0
    ask(segmenter, photo(300, 400), box(0, 0, 100, 100))

    assert model.encoded == 2


def test_kept_embeddings_never_take_more_than_their_share(planted):
    segmenter, _, _ = planted  # an embedding is 256 KB, four fit

    for seed in range(9):
        ask(segmenter, photo(64, 64, seed=seed), box(0, 0, 30, 30))
    assert segmenter.cache_counts.entries == 4
    assert segmenter.cache_counts.bytes <= MEGABYTE

    segmenter.forget()
    assert segmenter.cache_counts.bytes == 0


@pytest.fixture(scope="module")
def stock(tiny_models):
    return SamModel.from_pretrained(tiny_models.path("sam")).eval()


def test_masks_are_those_of_the_stock_pipeline_to_the_pixel(stock, processor):
    image = photo(333, 517)
    inputs = processor(images=image, input_boxes=[[[10, 20, 200, 300], [50, 60, 500, 330]]], return_tensors="pt")
    with torch.inference_mode():
        outputs = stock(
            pixel_values=inputs["pixel_values"], input_boxes=inputs["input_boxes"].float(), multimask_output=False
        )
    (expected,) = processor.post_process_masks(
        outputs.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"]
    )

    masks = ask(
        SamSegmenter(stock, processor, cache_bytes=MEGABYTE, cache_ttl_s=300),
        image,
        box(10, 20, 200, 300),
        box(50, 60, 500, 330),
    )

    assert [np.array_equal(mask > 0, theirs[0].numpy()) for mask, theirs in zip(masks, expected, strict=True)] == [
        True,
        True,
    ]


def test_a_kept_embedding_gives_the_same_mask_as_a_fresh_one(stock, processor):
    image, thing = photo(256, 320), box(30, 40, 200, 220)
    segmenter = SamSegmenter(stock, processor, cache_bytes=MEGABYTE, cache_ttl_s=300)

    (fresh,), (kept,) = ask(segmenter, image, thing), ask(segmenter, image, thing)

    assert segmenter.cache_counts.hits == 1
    assert np.array_equal(fresh, kept)
