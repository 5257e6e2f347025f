import numpy as np

from composition.images import Box, Detection
from runners.detector.coco_finder import CocoFinder
from runners.detector.queries import DetectQuery

IMAGE = np.zeros((50, 80, 3), np.uint8)


def seen(label, score, x0=0.0):
    return Detection(label=label, score=score, box=Box(x0=x0, y0=0, x1=x0 + 10, y1=20))


class Objects:
    """Sees the same things everywhere, best first; counts the images that it looked at."""

    module = None

    def __init__(self, *things):
        self.things, self.looks = tuple(sorted(things, key=lambda item: -item.score)), 0

    def detect(self, images):
        self.looks += len(images)
        return [self.things for _ in images]


def find(things, *phrases, confidence=0.3):
    finder = CocoFinder(Objects(*things), confidence=confidence)
    return finder.detect([DetectQuery(image=IMAGE, phrase=phrase) for phrase in phrases])


def test_what_a_phrase_names_is_found_under_that_phrase_best_first():
    (found,) = find([seen("dog", 0.9), seen("car", 0.8), seen("car", 0.6, x0=30)], "red car")

    assert found == (seen("red car", 0.8), seen("red car", 0.6, x0=30))


def test_of_several_phrases_each_is_looked_for():
    (found,) = find([seen("cup", 0.5), seen("cat", 0.9)], "mug . cat . jacket")

    assert found == (seen("cat", 0.9), seen("mug", 0.5))


def test_what_is_no_class_and_what_is_not_there_is_not_found():
    assert find([seen("person", 0.9)], "jacket", "car") == [(), ()]


def test_below_the_configured_confidence_nothing_is_found():
    things = [seen("cup", 0.45)]

    assert find(things, "cup", confidence=0.5) == [()]
    assert find(things, "cup", confidence=0.4) == [(seen("cup", 0.45),)]


def test_an_image_is_looked_at_once_for_all_that_is_asked_of_it_and_not_at_all_for_what_is_no_class():
    objects = Objects(seen("cup", 0.5))
    finder = CocoFinder(objects, confidence=0.3)

    finder.detect([DetectQuery(image=IMAGE, phrase=phrase) for phrase in ("cup", "mug", "car")])
    assert objects.looks == 1

    finder.detect([DetectQuery(image=IMAGE, phrase="jacket")])
    assert objects.looks == 1
