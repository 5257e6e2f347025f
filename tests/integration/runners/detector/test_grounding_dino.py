from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

from composition.errors import InvalidInput
from runners.detector.grounding_dino import GroundingDino
from runners.detector.queries import DetectQuery

CPU = torch.device("cpu")
HEIGHT, WIDTH = 333, 517


def photo(height=HEIGHT, width=WIDTH, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def query(phrase, **size):
    return DetectQuery(image=photo(**size), phrase=phrase)


class PlantedDino:
    """Reports planted things for every image: ({token position: score}, centre and size as fractions)."""

    device = CPU

    def __init__(self, *things):
        self.things = things
        self.seen = []

    def eval(self):
        return self

    def __call__(self, pixel_values, input_ids, **inputs):
        self.seen.append((tuple(pixel_values.shape), input_ids.tolist()))
        scores = torch.full((len(input_ids), len(self.things) + 1, 256), 1e-4)
        boxes = torch.full((len(input_ids), len(self.things) + 1, 4), 0.5)
        for index, (tokens, box) in enumerate(self.things):
            boxes[:, index] = torch.tensor(box)
            for position, score in tokens.items():
                scores[:, index, position] = score
        return SimpleNamespace(logits=scores.logit(), pred_boxes=boxes)


@pytest.fixture(scope="module")
def folder(tiny_models):
    return tiny_models.path("grounding-dino")


@pytest.fixture(scope="module")
def processor(folder):
    return AutoProcessor.from_pretrained(folder)


@pytest.fixture
def planted(processor):
    def make(*things, confidence=0.3, nms=0.5):
        model = PlantedDino(*things)
        return GroundingDino(model, processor, confidence=confidence, nms=nms), model

    return make


def test_a_planted_box_is_in_pixels_of_a_image_that_is_not_square(planted):
    dino, _ = planted(({1: 0.9}, (0.5, 0.4, 0.2, 0.6)))

    ((found,),) = dino.detect([query("car")])

    assert (found.label, found.score) == ("car", pytest.approx(0.9, abs=1e-5))
    assert [found.box.x0, found.box.y0, found.box.x1, found.box.y1] == pytest.approx(
        [0.4 * WIDTH, 0.1 * HEIGHT, 0.6 * WIDTH, 0.7 * HEIGHT], abs=0.01
    )


def test_the_phrase_reaches_the_model_in_lower_case_with_a_full_stop(planted, processor):
    dino, model = planted()

    dino.detect([query("  The RED Car ")])

    ((_, (tokens,)),) = model.seen
    assert processor.tokenizer.decode(tokens) == "[CLS] the red car. [SEP]"


def test_only_what_is_above_the_confidence_is_reported_best_first(planted):
    dino, _ = planted(
        ({1: 0.31}, (0.2, 0.2, 0.1, 0.1)), ({1: 0.29}, (0.5, 0.5, 0.1, 0.1)), ({1: 0.8}, (0.8, 0.8, 0.1, 0.1))
    )

    (found,) = dino.detect([query("car")])

    assert [item.score for item in found] == pytest.approx([0.8, 0.31], abs=1e-5)


def test_a_second_box_on_the_same_thing_is_suppressed_one_beside_it_is_not(planted):
    dino, _ = planted(
        ({1: 0.7}, (0.30, 0.5, 0.2, 0.2)), ({1: 0.9}, (0.31, 0.5, 0.2, 0.2)), ({1: 0.8}, (0.7, 0.5, 0.2, 0.2))
    )

    (found,) = dino.detect([query("car")])

    assert [item.score for item in found] == pytest.approx([0.9, 0.8], abs=1e-5)


def test_of_several_phrases_each_box_is_labelled_with_the_one_that_it_fits(planted):
    # [CLS] red shirt . jacket . [SEP]: tokens 1 2, then 4
    dino, _ = planted(({4: 0.8, 1: 0.4}, (0.3, 0.5, 0.2, 0.2)), ({2: 0.6, 4: 0.5}, (0.7, 0.5, 0.2, 0.2)))

    (found,) = dino.detect([query("red shirt . jacket")])

    assert [item.label for item in found] == ["jacket", "red shirt"]


def test_boxes_of_different_phrases_do_not_suppress_one_another(planted):
    dino, _ = planted(({1: 0.8}, (0.3, 0.5, 0.2, 0.2)), ({3: 0.6}, (0.3, 0.5, 0.2, 0.2)))

    (found,) = dino.detect([query("shirt . jacket")])

    assert [item.label for item in found] == ["shirt", "jacket"]


def test_a_box_that_leaves_the_image_is_cut_at_its_border(planted):
    dino, _ = planted(({1: 0.9}, (0.0, 0.5, 0.4, 1.6)))

    ((found,),) = dino.detect([query("car")])

    assert [found.box.x0, found.box.y0, found.box.y1] == [0, 0, HEIGHT]
    assert found.box.x1 == pytest.approx(0.2 * WIDTH, abs=0.01)


def test_a_box_outside_the_image_is_no_detection(planted):
    dino, _ = planted(({1: 0.9}, (1.5, 0.5, 0.4, 0.4)))

    assert dino.detect([query("car")]) == [()]


def test_a_query_without_words_is_refused(planted):
    dino, _ = planted()

    with pytest.raises(InvalidInput):
        dino.detect([query(" . ")])


@pytest.fixture(scope="module")
def eager(folder):
    """The model of the store, reporting whatever it finds."""
    return GroundingDino.load(folder, CPU, confidence=0.0, nms=1.0)


def test_a_batch_of_phrases_of_different_length_answers_like_each_alone(eager):
    queries = [
        query("car", seed=1),
        query("the red sports car with alloy wheels . person", seed=2),
        query("a person", seed=3),
    ]

    together = eager.detect(queries)

    for asked, found in zip(queries, together, strict=True):
        (alone,) = eager.detect([asked])
        assert len(found) == len(alone) > 0
        assert [item.score for item in found] == pytest.approx([item.score for item in alone], abs=1e-4)
        for mine, theirs in zip(found, alone, strict=True):
            assert [mine.box.x0, mine.box.y0, mine.box.x1, mine.box.y1] == pytest.approx(
                [theirs.box.x0, theirs.box.y0, theirs.box.x1, theirs.box.y1], abs=0.1
            )


def test_scores_and_boxes_are_those_of_transformers_own_post_processing(folder, processor):
    image = photo(seed=4)
    model = AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval()
    inputs = processor(images=image, text="a red car .", return_tensors="pt")
    with torch.inference_mode():
        (expected,) = processor.post_process_grounded_object_detection(
            model(**inputs), inputs.input_ids, threshold=0.0, text_threshold=0.0, target_sizes=[(HEIGHT, WIDTH)]
        )
    dino = GroundingDino(model, processor, confidence=0.0, nms=1.0)

    (found,) = dino.detect([DetectQuery(image=image, phrase="a red car")])

    inside = [
        (score, box)
        for score, box in sorted(
            zip(expected["scores"].tolist(), expected["boxes"].tolist(), strict=True), reverse=True
        )
        if min(box[2], WIDTH) - max(box[0], 0) >= 1 and min(box[3], HEIGHT) - max(box[1], 0) >= 1
    ]
    assert [item.score for item in found] == pytest.approx([score for score, _ in inside], abs=1e-6)
    assert found[0].box.x0 == pytest.approx(max(inside[0][1][0], 0), abs=1e-2)
    assert found[0].box.y1 == pytest.approx(min(inside[0][1][3], HEIGHT), abs=1e-2)


def test_a_target_longer_than_the_model_can_read_is_cut_not_refused(eager):
    (found,) = eager.detect([query("car wheel " * 400)])

    assert all(item.label.startswith("car wheel") for item in found)
