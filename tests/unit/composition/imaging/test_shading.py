"""A photograph's light on a thing that a person drew: every step of lightness stays a step."""

from __future__ import annotations

import numpy as np
import pytest

from composition.imaging.lab import to_lab, to_rgb
from composition.imaging.material import Shading

YELLOW, WHITE, BLACK, BLUE = (235, 200, 50), (245, 245, 245), (24, 24, 26), (40, 70, 190)


def cloth(mean, *, spread=6.0, gloss=0.02, hue=(0.0, 0.0)):
    """Cloth of that L* with folds, of which a share is gloss, up to 50 lighter; float32 (64, 64, 3), 0..255."""
    rng = np.random.default_rng(4)
    light = mean + spread * np.sin(np.linspace(0, 9, 64))[:, None] + rng.normal(0, 0.5, (64, 64))
    glossy = rng.random((64, 64)) < gloss
    light = np.where(glossy, light + rng.uniform(10, 50, (64, 64)), light)
    lab = np.stack([np.clip(light, 1, 99), np.full_like(light, hue[0]), np.full_like(light, hue[1])], axis=-1)
    return to_rgb(lab.astype(np.float32)).astype(np.float32)


def shaded(photo, colour):
    colour = np.array(colour, np.float32)
    return Shading.of(to_lab(photo)[..., 0].ravel(), colour).on(colour, photo)


def correlation(one, other):
    return float(np.corrcoef(to_lab(one)[..., 0].ravel(), to_lab(other)[..., 0].ravel())[0, 1])


@pytest.mark.parametrize("colour", [YELLOW, WHITE, BLACK, BLUE])
@pytest.mark.parametrize(
    ("mean", "gloss", "least"), [(9.0, 0.0, 0.98), (9.0, 0.02, 0.84), (25.0, 0.01, 0.84), (60.0, 0.0, 0.98)]
)
def test_light_and_shade_are_the_photographs_whatever_becomes_of_whatever(mean, gloss, least, colour):
    photo = cloth(mean, gloss=gloss)
    assert correlation(photo, shaded(photo, colour)) > least


@pytest.mark.parametrize("colour", [YELLOW, BLACK, BLUE])
@pytest.mark.parametrize("mean", [9.0, 25.0, 60.0])
def test_the_mean_is_the_new_colour(mean, colour):
    photo = cloth(mean, gloss=0.0)
    new = to_lab(shaded(photo, colour)).mean(axis=(0, 1))
    assert np.linalg.norm(new - to_lab(np.array(colour, np.float32))) < 4.0


def test_under_even_light_it_is_the_very_colour():
    photo = np.full((8, 8, 3), 90.0, np.float32)
    assert np.abs(shaded(photo, YELLOW) - np.array(YELLOW)).max() < 2.0


def test_white_cloth_keeps_its_folds():
    """Its mean is less than white, since what lies in the light is white already."""
    photo = cloth(40.0, spread=12.0, gloss=0.0)
    lightness = to_lab(shaded(photo, WHITE))[..., 0]
    assert lightness.std() > 5.0
    assert (lightness > 99.0).mean() < 0.03
    assert lightness.mean() > 80.0


def test_light_of_black_cloth_is_not_blown_up():
    photo = cloth(8.0, spread=4.0, gloss=0.0)
    assert to_lab(shaded(photo, YELLOW))[..., 0].std() < 2.2 * to_lab(photo)[..., 0].std()


def test_gloss_is_the_lights_own_colour():
    photo = np.full((32, 32, 3), 40.0, np.float32)
    photo[:2] = 255.0
    new = to_lab(shaded(photo, BLUE))
    assert np.linalg.norm(new[0, 0, 1:]) < 0.4 * np.linalg.norm(new[9, 9, 1:])
    assert new[0, 0, 0] > new[9, 9, 0] + 30


def test_one_pixel_of_a_material_is_enough():
    photo = np.full((1, 1, 3), 70.0, np.float32)
    assert np.isfinite(shaded(photo, YELLOW)).all()
