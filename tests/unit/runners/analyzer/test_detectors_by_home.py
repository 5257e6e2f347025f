import numpy as np

from runners.analyzer.detectors_by_home import DetectorsByHome
from runners.analyzer.yolox import YoloxDetector
from runners.home import Home
from tests.unit.runners.analyzer.planted_yolox import PlantedYolox
from tests.unit.runners.brightness_home import BrightnessHome

DARK, BRIGHT = (np.full((640, 640, 3), value, np.uint8) for value in (20, 220))


def detectors(here, elsewhere):
    return DetectorsByHome(Home(BrightnessHome()), here=YoloxDetector(here), elsewhere=YoloxDetector(elsewhere))


def test_each_image_is_seen_by_the_detector_that_was_trained_on_its_kind_and_by_no_other():
    here = PlantedYolox(("car", 0.9, 10, 10, 200, 200), ("person", 0.6, 10, 10, 90, 300))
    elsewhere = PlantedYolox(("motorcycle", 0.8, 50, 50, 600, 500))

    photograph, painted = detectors(here, elsewhere).detect([DARK, BRIGHT])

    assert [item.label for item in photograph] == ["motorcycle"]
    assert [item.label for item in painted] == ["car", "person"]
    assert len(here.batches) == len(elsewhere.batches) == 1


def test_what_runs_is_the_modules_of_all_networks_where_they_are_torch_modules():
    assert detectors(PlantedYolox(), PlantedYolox()).module is None
