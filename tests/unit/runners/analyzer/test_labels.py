from runners.analyzer.labels import COCO_LABELS


def test_there_are_the_eighty_labels_of_coco_in_their_order():
    assert len(set(COCO_LABELS)) == 80
    assert {name: COCO_LABELS.index(name) for name in ("person", "car", "couch", "dining table", "toothbrush")} == {
        "person": 0,
        "car": 2,
        "couch": 57,
        "dining table": 60,
        "toothbrush": 79,
    }
