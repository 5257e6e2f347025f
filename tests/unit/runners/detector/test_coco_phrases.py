import pytest

from runners.analyzer.labels import COCO_LABELS
from runners.detector.coco_phrases import SYNONYMS, coco_labels


@pytest.mark.parametrize(
    ("phrase", "label"),
    [
        ("car", "car"),
        ("red sports car", "car"),
        ("cars", "car"),
        ("the motorbike", "motorcycle"),
        ("coffee cup", "cup"),
        ("cup of coffee", "cup"),
        ("mugs", "cup"),
        ("wine glasses", "wine glass"),
        ("old man in a hat", "person"),
        ("people", "person"),
        ("woman's", None),
        ("sofa", "couch"),
        ("buses", "bus"),
        ("knives", "knife"),
        ("sheep", "sheep"),
        ("hot dog", "hot dog"),
        ("teddy bear", "teddy bear"),
        ("traffic lights", "traffic light"),
    ],
)
def test_the_head_of_a_phrase_names_a_class(phrase, label):
    assert coco_labels(phrase) == (() if label is None else (label,))


@pytest.mark.parametrize(
    "phrase", ["car door", "cup holder", "wheels", "jacket", "sky", "carpet", "scar", "tablecloth"]
)
def test_a_part_and_a_thing_beside_is_no_class(phrase):
    assert coco_labels(phrase) == ()


def test_a_word_for_several_classes_means_each_of_them():
    assert coco_labels("bike") == ("bicycle", "motorcycle")
    assert {"car", "truck", "bus", "motorcycle"} <= set(coco_labels("parked vehicles"))


def test_synonyms_are_of_classes_that_there_are():
    assert {label for labels in SYNONYMS.values() for label in labels} <= set(COCO_LABELS)
    assert not SYNONYMS.keys() & set(COCO_LABELS)
