from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import SamModel, SamProcessor

from composition.errors import InvalidInput
from composition.images import Box
from composition.marks import Mark, Point
from runners.detector.queries import SegmentQuery, has_usable_marks
from runners.detector.sam import SamSegmenter

MEGABYTE = 1 << 20


def box(x0, y0, x1, y1):
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


def photo(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


class PlantedSam:
    """Draws every box that it is asked about, at the 256 x 256 of SAM's mask decoder; counts its encodings.

    Of a single click it draws squares of three sizes around it, and thinks best of the middle one.
    """

    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self):
        self.encoded = 0
        self.decoded = []
        self.labels = []

    def eval(self):
        return self

    def get_image_embeddings(self, pixels):
        assert pixels.shape == (1, 3, 1024, 1024)
        self.encoded += 1
        return torch.zeros(1, 16, 64, 64)

    def __call__(self, image_embeddings, multimask_output, input_boxes=None, input_points=None, input_labels=None):
        self.labels.append(None if input_labels is None else input_labels.tolist())
        if input_boxes is None:
            assert multimask_output == (input_points.shape[2] == 1)
            ((x, y), *_) = input_points[0, 0].numpy() / 4
            sizes = (4, 16, 40) if multimask_output else (10,)
            boxes = np.array([[x - size, y - size, x + size, y + size] for size in sizes])
        else:
            assert not multimask_output
            (boxes,) = input_boxes.numpy() / 4
        self.decoded.append(len(boxes))
        rows, columns = np.indices((256, 256)) + 0.5
        logits = [
            np.where((rows > y0) & (rows < y1) & (columns > x0) & (columns < x1), 8.0, -8.0) for x0, y0, x1, y1 in boxes
        ]
        masks = torch.tensor(np.array(logits), dtype=torch.float32)[None]
        masks = masks[:, :, None] if input_boxes is not None else masks[:, None]
        scores = torch.tensor([0.2, 0.9, 0.4])[: masks.shape[2]].expand(1, masks.shape[1], -1)
        return SimpleNamespace(pred_masks=masks, iou_scores=scores)


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
    return mark(segmenter, image, *(Mark(box=item) for item in boxes))


def mark(segmenter, image, *marks):
    (masks,) = segmenter.segment([SegmentQuery(image=image, marks=marks)])
    return masks


def sides(mask):
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


@pytest.mark.parametrize(("height", "width"), [(333, 517), (1024, 683), (512, 512), (300, 1600)])
def test_the_mask_of_a_planted_object_is_where_it_is_in_the_image(planted, height, width):
    segmenter, _, _ = planted
    x0, y0, x1, y1 = round(0.2 * width), round(0.3 * height), round(0.7 * width), round(0.9 * height)

    (mask,) = ask(segmenter, photo(height, width), box(x0, y0, x1, y1))

    assert (mask.shape, mask.dtype) == ((height, width), np.uint8)
    assert set(np.unique(mask)) == {0, 255}
    tolerance = max(2.0, max(height, width) / 256)  # one cell of SAM's own mask
    assert sides(mask) == pytest.approx([x0, y0, x1, y1], abs=tolerance)


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
    segmenter.segment([SegmentQuery(image=photo(300, 400), marks=(Mark(box=box(1, 1, 9, 9)),))] * 2)

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


@pytest.mark.parametrize(("height", "width"), [(1024, 1024), (512, 1024), (600, 400)])
def test_a_click_is_where_it_is_in_the_image_and_of_its_masks_the_best_is_taken(planted, height, width):
    segmenter, model, _ = planted
    x, y, half = 0.4 * width, 0.5 * height, 16 * 4 * max(height, width) / 1024

    (mask,) = mark(segmenter, photo(height, width), Mark(points=(Point(x, y),)))

    assert sides(mask) == pytest.approx([x - half, y - half, x + half, y + half], abs=max(height, width) / 200)
    assert model.labels == [[[[1]]]]


def test_marks_of_every_kind_in_one_question_are_answered_in_order(planted):
    segmenter, model, _ = planted
    marks = (
        Mark(box=box(0, 0, 40, 40)),
        Mark(points=(Point(200, 200), Point(10, 10, 0))),
        Mark(box=box(100, 100, 140, 140), points=(Point(120, 120),)),
        Mark(box=box(200, 0, 240, 40)),
    )

    masks = mark(segmenter, photo(256, 256), *marks)

    places = [(0, 0, 40, 40), (190, 190, 210, 210), (100, 100, 140, 140), (200, 0, 240, 40)]
    assert [sides(item) for item in masks] == [pytest.approx(place, abs=2) for place in places]
    assert model.encoded == 1
    assert model.decoded == [2, 1, 1]
    assert model.labels == [None, [[[1, 0]]], [[[1]]]]


@pytest.mark.parametrize("unusable", [Mark(), Mark(points=(Point(1, 1, 0),)), Mark(box=box(5, 5, 5, 9))])
def test_a_mark_of_nothing_is_refused(unusable):
    with pytest.raises(InvalidInput):
        has_usable_marks(SegmentQuery(image=photo(64, 64), marks=(unusable,)))


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


@pytest.mark.parametrize(
    ("points", "labels", "corners"),
    [
        ([[120, 80]], [1], None),
        ([[120, 80], [300, 200]], [1, 0], None),
        ([[120, 80], [300, 200]], [1, 0], [50, 60, 500, 330]),
    ],
    ids=["click", "two", "with a box"],
)
def test_the_mask_of_clicks_is_that_of_the_stock_pipeline_to_the_pixel(stock, processor, points, labels, corners):
    image = photo(333, 517)
    sent = {"input_points": [[points]], "input_labels": [[labels]]}
    if corners is not None:
        sent["input_boxes"] = [[corners]]
    inputs = processor(images=image, return_tensors="pt", **sent)
    several = len(points) == 1
    known = {name: inputs[name].float() if name != "input_labels" else inputs[name] for name in sent}
    with torch.inference_mode():
        outputs = stock(pixel_values=inputs["pixel_values"], multimask_output=several, **known)
    (expected,) = processor.post_process_masks(
        outputs.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"]
    )
    best = int(outputs.iou_scores[0, 0].argmax())

    meant = Mark(
        points=tuple(Point(x, y, label) for (x, y), label in zip(points, labels, strict=True)),
        box=None if corners is None else box(*corners),
    )
    (mask,) = mark(SamSegmenter(stock, processor, cache_bytes=MEGABYTE, cache_ttl_s=300), image, meant)

    assert np.array_equal(mask > 0, expected[0, best].numpy())
