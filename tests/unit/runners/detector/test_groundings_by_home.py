import numpy as np

from composition.images import Box, Detection
from runners.detector.groundings_by_home import GroundingsByHome
from runners.detector.queries import DetectQuery
from runners.home import Home
from tests.unit.runners.brightness_home import BrightnessHome

DARK, BRIGHT = (np.full((64, 64, 3), value, np.uint8) for value in (20, 220))


class Finds:
    module = None

    def __init__(self, score):
        self.score = score

    def detect(self, queries):
        box = Box(x0=0, y0=0, x1=9, y1=9)
        return [(Detection(label=query.phrase, score=self.score, box=box),) for query in queries]


def test_each_image_is_searched_by_the_detector_that_knows_its_kind():
    groundings = GroundingsByHome(Home(BrightnessHome()), here=Finds(0.9), elsewhere=Finds(0.4))

    found = groundings.detect(
        [
            DetectQuery(image=DARK, phrase="cup"),
            DetectQuery(image=BRIGHT, phrase="car"),
            DetectQuery(image=DARK, phrase="cat"),
        ]
    )

    assert [[(item.label, item.score) for item in items] for items in found] == [
        [("cup", 0.4)],
        [("car", 0.9)],
        [("cat", 0.4)],
    ]
