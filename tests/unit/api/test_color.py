"""Profiles are judged by their curves and primaries, against colours computed from the specification."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageCms

from api.color import to_srgb
from tests.unit.api.images import gradient
from tests.unit.api.profiles import (
    P3_PRIMARIES,
    SRGB_PRIMARIES,
    gamma_curve,
    grey_profile,
    lab_to_srgb,
    linear_curve,
    linear_to_srgb,
    matrix_profile,
    parametric_srgb_curve,
    srgb_to_linear,
    table_curve,
    table_profile,
    xyz_to_srgb,
)


def converted(pixels: np.ndarray, profile: bytes) -> np.ndarray:
    return np.asarray(to_srgb(PillowImage.fromarray(pixels), profile))


def off(got: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(got - np.clip(expected, 0, 255)).max())


NAMES = ["sRGB", "sRGB IEC61966-2.1", "sRGB linear", "sRGB-elle-V2-g10.icc", "Linear sRGB", "house", ""]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("version", [2, 4])
def test_a_linear_profile_is_linear_whatever_its_name(name: str, version: int):
    got = converted(gradient(), matrix_profile(name, linear_curve(), version=version))
    assert off(got, linear_to_srgb(gradient() / 255) * 255) <= 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "curve", [table_curve(srgb_to_linear), table_curve(srgb_to_linear, 4096), parametric_srgb_curve()]
)
def test_what_has_the_curve_and_the_primaries_of_srgb_keeps_its_pixels_whatever_its_name(name: str, curve: bytes):
    version = 4 if curve.startswith(b"para") else 2
    profile = matrix_profile(name, curve, version=version)
    assert np.array_equal(converted(gradient(), profile), gradient())


def test_a_coarse_table_of_srgbs_curve_keeps_its_pixels_too():
    """Sixteen points: by themselves they would move one value in eight by 1."""
    assert np.array_equal(converted(gradient(), matrix_profile("house", table_curve(srgb_to_linear, 16))), gradient())


def test_the_built_in_profile_of_lcms_keeps_its_pixels():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(converted(gradient(), profile), gradient())


@pytest.mark.parametrize("name", NAMES)
def test_a_gamma_near_srgbs_is_not_srgb(name: str):
    got = converted(gradient(), matrix_profile(name, gamma_curve(2.2)))
    expected = linear_to_srgb((gradient() / 255) ** (563 / 256)) * 255
    assert off(got, expected) <= 1.6
    assert not np.array_equal(got, gradient())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("version", [2, 4])
def test_wide_primaries_are_wide_whatever_the_name(name: str, version: int):
    curve = parametric_srgb_curve() if version == 4 else table_curve(srgb_to_linear, 4096)
    got = converted(gradient(), matrix_profile(name, curve, P3_PRIMARIES, version))
    expected = xyz_to_srgb(srgb_to_linear(gradient() / 255) @ np.array(P3_PRIMARIES))
    assert off(got, expected) <= 2
    assert off(got, gradient()) > 30


def test_the_order_of_the_primaries_matters():
    red, green, blue = SRGB_PRIMARIES
    profile = matrix_profile("sRGB", parametric_srgb_curve(), (blue, red, green), 4)
    assert off(converted(gradient(), profile), gradient()[..., [1, 2, 0]]) <= 1


RAMP = np.arange(256, dtype=np.uint8)[None]


@pytest.mark.parametrize("name", ["sRGB grey", "house"])
def test_grey_is_converted_by_its_curve(name: str):
    got = converted(RAMP, grey_profile(name, linear_curve()))
    assert off(got, np.repeat(linear_to_srgb(RAMP / 255)[..., None] * 255, 3, axis=2)) <= 1
    same = converted(RAMP, grey_profile(name, table_curve(srgb_to_linear, 4096)))
    assert np.array_equal(same, np.repeat(RAMP[..., None], 3, axis=2))


def paper_and_ink(device: np.ndarray) -> np.ndarray:
    """Lab of C, M, Y, K: full ink of one colour is that colour, black ink is black, everything in between linear."""
    paper, inks = np.array([100.0, 0, 0]), np.array([[55, -35, -45], [50, 72, -5], [88, -6, 90]]) - [100, 0, 0]
    return (paper + device[:, :3] @ inks) * (1 - device[:, 3:])


@pytest.mark.parametrize("ink", ["paper", "cyan", "magenta", "yellow", "black"])
def test_cmyk_is_converted_by_the_table_of_its_profile(ink: str):
    amounts = np.zeros(4)
    if ink != "paper":
        amounts[["cyan", "magenta", "yellow", "black"].index(ink)] = 1
    image = PillowImage.new("CMYK", (4, 4), tuple(int(255 * amount) for amount in amounts))
    got = np.asarray(to_srgb(image, table_profile("house press", b"CMYK", paper_and_ink, channels=4)))
    lab = paper_and_ink(amounts[None])[0]
    assert got.shape == (4, 4, 3)
    assert off(got[0, 0], lab_to_srgb(lab)) <= 3
    if ink not in ("paper", "black"):
        assert off(np.asarray(image.convert("RGB"))[0, 0].astype(float), lab_to_srgb(lab)) > 10


def test_rgb_is_converted_by_a_table_to_lab():
    def washed_out(device: np.ndarray) -> np.ndarray:
        grey = device.mean(axis=1)
        return np.stack([grey * 100, (device[:, 0] - grey) * 30, (device[:, 2] - grey) * -30], axis=-1)

    corners = np.array([[[r, g, b] for r in (0, 255) for g in (0, 255) for b in (0, 255)]], np.uint8)
    got = converted(corners, table_profile("sRGB printer", b"RGB ", washed_out))
    assert off(got[0], lab_to_srgb(washed_out(corners[0] / 255))) <= 3


@pytest.mark.parametrize(
    "profile",
    [
        b"",
        b"not a profile",
        bytes(200),
        matrix_profile("sRGB", linear_curve())[:300],
        grey_profile("for another mode", linear_curve()),
        table_profile("for another mode", b"CMYK", paper_and_ink, channels=4),
    ],
)
def test_a_profile_that_is_broken_or_does_not_fit_is_ignored(profile: bytes):
    assert np.array_equal(converted(gradient(), profile), gradient())


def test_an_image_without_a_profile_is_srgb():
    image = PillowImage.fromarray(gradient())
    assert to_srgb(image, None) is image
