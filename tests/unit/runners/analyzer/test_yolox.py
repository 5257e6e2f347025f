import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runners.analyzer.yolox import YoloxDetector, letterbox
from tests.unit.runners.analyzer.planted_yolox import PlantedYolox


def photo(height, width):
    return np.full((height, width, 3), 200, np.uint8)


def on_canvas(box, height, width):
    """A box of the image where YOLOX's own letterbox puts it: scaled by one ratio for both directions."""
    ratio = min(640 / height, 640 / width)
    return [value * ratio for value in box]


@pytest.mark.parametrize("stride", [8, 16, 32])
@pytest.mark.parametrize(("height", "width"), [(480, 640), (333, 517), (1024, 683), (2048, 256), (640, 640)])
def test_a_planted_box_is_found_where_it_is_in_the_image(height, width, stride):
    planted = [width * 0.2, height * 0.3, width * 0.7, height * 0.8]
    network = PlantedYolox(("car", 0.9, *on_canvas(planted, height, width)), stride=stride)

    ((found,),) = YoloxDetector(network).detect([photo(height, width)])

    assert found.label == "car"
    assert found.score == pytest.approx(0.9)
    assert [found.box.x0, found.box.y0, found.box.x1, found.box.y1] == pytest.approx(planted, abs=2)


@settings(max_examples=40)
@given(
    height=st.integers(64, 2048),
    width=st.integers(64, 2048),
    corner=st.tuples(st.floats(0, 0.7), st.floats(0, 0.7)),
    size=st.tuples(st.floats(0.1, 0.3), st.floats(0.1, 0.3)),
)
def test_any_box_in_any_image_comes_back_within_two_pixels(height, width, corner, size):
    planted = [
        corner[0] * width,
        corner[1] * height,
        (corner[0] + size[0]) * width,
        (corner[1] + size[1]) * height,
    ]
    network = PlantedYolox(("person", 0.8, *on_canvas(planted, height, width)))
    tolerance = max(2.0, 2 * max(height, width) / 640)

    ((found,),) = YoloxDetector(network).detect([photo(height, width)])

    assert [found.box.x0, found.box.y0, found.box.x1, found.box.y1] == pytest.approx(planted, abs=tolerance)


def test_the_score_is_objectness_times_class_probability():
    ((found,),) = YoloxDetector(PlantedYolox(("dog", 0.8, 10, 10, 90, 90), objectness=0.5)).detect([photo(640, 640)])

    assert found.score == pytest.approx(0.4)


def test_what_is_below_the_threshold_is_not_reported():
    (found,) = YoloxDetector(PlantedYolox(("dog", 0.29, 10, 10, 90, 90))).detect([photo(640, 640)])

    assert found == ()


def test_of_two_overlapping_boxes_of_one_class_the_better_one_stays():
    network = PlantedYolox(("car", 0.6, 100, 100, 300, 300), ("car", 0.9, 105, 105, 305, 305))

    (found,) = YoloxDetector(network).detect([photo(640, 640)])

    assert [item.score for item in found] == pytest.approx([0.9])


def test_overlapping_boxes_of_different_classes_both_stay_best_first():
    network = PlantedYolox(("car", 0.6, 100, 100, 300, 300), ("truck", 0.9, 105, 105, 305, 305))

    (found,) = YoloxDetector(network).detect([photo(640, 640)])

    assert [item.label for item in found] == ["truck", "car"]


def test_a_box_that_leaves_the_image_is_clipped_and_one_outside_dropped():
    network = PlantedYolox(("car", 0.9, -50, -20, 100, 120), ("cat", 0.9, 100, 500, 200, 600))

    (found,) = YoloxDetector(network).detect([photo(400, 640)])

    assert [(item.label, item.box.x0, item.box.y0) for item in found] == [("car", 0.0, 0.0)]


def test_an_enormous_log_size_does_not_overflow():
    network = PlantedYolox(("car", 0.9, 0, 0, 640, 640))
    network._rows[8000, 2:4] = 5000.0

    ((found,),) = YoloxDetector(network).detect([photo(640, 640)])

    assert (found.box.x1, found.box.y1) == (640.0, 640.0)


def test_the_letterbox_keeps_the_aspect_fills_with_grey_and_turns_rgb_into_bgr():
    image = np.zeros((300, 600, 3), np.uint8)
    image[...] = (10, 20, 30)

    planes, scale = letterbox(image)

    assert planes.shape == (3, 640, 640)
    assert planes[:, 319, 639].tolist() == [30, 20, 10]
    assert planes[:, 320, 0].tolist() == [114, 114, 114]
    assert scale.tolist() == pytest.approx([640 / 600, 320 / 300])


def test_images_of_any_size_share_a_batch_and_answer_like_alone():
    sizes = [(480, 640), (640, 480), (333, 517)]
    network = PlantedYolox(("person", 0.9, 100, 50, 200, 250), fixed_batch=None)
    detector = YoloxDetector(network)

    together = detector.detect([photo(*size) for size in sizes])

    assert len(network.batches) == 1
    assert together == [detector.detect([photo(*size)])[0] for size in sizes]


def test_a_network_with_a_fixed_batch_of_one_is_run_once_per_image():
    network = PlantedYolox(("person", 0.9, 100, 50, 200, 250), fixed_batch=1)

    found = YoloxDetector(network).detect([photo(480, 640), photo(480, 640)])

    assert [batch.shape[0] for batch in network.batches] == [1, 1]
    assert found[0] == found[1]
