import numpy as np

from composition.images import Box, Detection
from runners.analyzer.queries import AskedByQueries, ObjectsQuery
from runners.analyzer.yolox import YoloxDetector
from runners.detector.queries import DetectQuery
from runners.detectors_by_home import DetectorsByHome
from runners.home import Home
from tests.unit.runners.analyzer.planted_yolox import PlantedYolox
from tests.unit.runners.brightness_home import BrightnessHome

DARK, BRIGHT = (np.full((640, 640, 3), value, np.uint8) for value in (20, 220))


def detectors(here, elsewhere):
    here, elsewhere = (AskedByQueries(YoloxDetector(network)) for network in (here, elsewhere))
    return DetectorsByHome(Home(BrightnessHome()), here=here, elsewhere=elsewhere)


def test_each_image_is_seen_by_the_detector_that_was_trained_on_its_kind_and_by_no_other():
    here = PlantedYolox(("car", 0.9, 10, 10, 200, 200), ("person", 0.6, 10, 10, 90, 300))
    elsewhere = PlantedYolox(("motorcycle", 0.8, 50, 50, 600, 500))

    photograph, painted = detectors(here, elsewhere).detect([ObjectsQuery(image=DARK), ObjectsQuery(image=BRIGHT)])

    assert [item.label for item in photograph] == ["motorcycle"]
    assert [item.label for item in painted] == ["car", "person"]
    assert len(here.batches) == len(elsewhere.batches) == 1


def test_what_runs_is_the_modules_of_all_networks_where_they_are_torch_modules():
    assert detectors(PlantedYolox(), PlantedYolox()).module is None


class Finds:
    module = None

    def __init__(self, score):
        self.score = score

    def detect(self, queries):
        box = Box(x0=0, y0=0, x1=9, y1=9)
        return [(Detection(label=query.phrase, score=self.score, box=box),) for query in queries]


def test_each_question_is_answered_by_the_detector_that_knows_its_kind():
    groundings = DetectorsByHome(Home(BrightnessHome()), here=Finds(0.9), elsewhere=Finds(0.4))

    found = groundings.detect(
        [
            DetectQuery(image=DARK, phrase="cup"),
            DetectQuery(image=BRIGHT, phrase="car"),
            DetectQuery(image=DARK, phrase="cat"),
            DetectQuery(image=DARK, phrase="dog", like=BRIGHT),
            DetectQuery(image=BRIGHT, phrase="bed", like=DARK),
        ]
    )

    assert [[(item.label, item.score) for item in items] for items in found] == [
        [("cup", 0.4)],
        [("car", 0.9)],
        [("cat", 0.4)],
        [("dog", 0.9)],
        [("bed", 0.4)],
    ]


def test_objects_of_all_frames_are_seen_by_the_detector_of_the_one_that_they_are_like():
    here, elsewhere = PlantedYolox(("car", 0.9, 10, 10, 200, 200)), PlantedYolox(("boat", 0.8, 50, 50, 600, 500))

    found = detectors(here, elsewhere).detect([ObjectsQuery(image=DARK, like=BRIGHT), ObjectsQuery(image=DARK)])

    assert [item.label for items in found for item in items] == ["car", "boat"]
