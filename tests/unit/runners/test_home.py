"""Which images a model knows, and who is asked about which."""

import numpy as np
import pytest

from runners.home import SIDE_PX, Home, ask_by_home
from tests.unit.runners.brightness_home import BrightnessHome

DARK, BRIGHT = (np.full((40, 60, 3), value, np.uint8) for value in (20, 220))


def test_what_the_network_is_sure_of_is_known_and_nothing_else():
    assert Home(BrightnessHome()).knows([BRIGHT, DARK]) == [True, False]


def test_the_network_sees_the_whole_image_in_rgb_between_0_and_1():
    image = np.zeros((100, 300, 3), np.uint8)
    image[:, 150:] = (255, 0, 51)
    network = BrightnessHome()

    Home(network).knows([image])

    (seen,) = network.batches
    assert seen.shape == (1, 3, SIDE_PX, SIDE_PX)
    assert seen.dtype == np.float32
    assert seen[0, :, 64, 100].tolist() == pytest.approx([1.0, 0.0, 0.2])
    assert seen[0, :, 64, 20].tolist() == [0.0, 0.0, 0.0]


def test_answers_come_back_in_order_whoever_gave_them():
    asked = []

    def answer(name):
        def ask(items):
            asked.append((name, len(items)))
            return [f"{name} {item[0, 0, 0]}" for item in items]

        return ask

    answers = ask_by_home(
        Home(BrightnessHome()), [BRIGHT, DARK, BRIGHT], lambda image: image, answer("here"), answer("elsewhere")
    )

    assert answers == ["here 220", "elsewhere 20", "here 220"]
    assert asked == [("here", 2), ("elsewhere", 1)]


def test_a_model_that_no_image_is_for_is_not_asked():
    def never(items):
        raise AssertionError

    assert ask_by_home(Home(BrightnessHome()), [DARK], lambda image: image, never, len_of_each) == [40]
    assert ask_by_home(Home(BrightnessHome()), [], lambda image: image, never, never) == []


def len_of_each(items):
    return [len(item) for item in items]
