"""Every colour type and depth of PNG with and without a transparent colour, against the samples it was written from."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from api.codec import PillowCodec
from composition.request import MaskMode
from tests.unit.api.bombs import png_chunk
from tests.unit.api.pngs import CHANNELS, DEPTHS, GREY, GREY_ALPHA, PALETTE, RGB, RGBA, png_of, transparent
from tests.unit.api.profiles import grey_profile, linear_curve, linear_to_srgb

CODEC = PillowCodec(max_side_px=2048)
KINDS = [(color_type, depth) for color_type, depths in DEPTHS.items() for depth in depths]
KEYED = [(color_type, depth) for color_type, depth in KINDS if color_type in (GREY, RGB)]
INTERLACED = pytest.mark.parametrize("interlaced", [False, True])


def samples_of(color_type: int, depth: int, height: int = 19, width: int = 23) -> np.ndarray:
    random = np.random.default_rng(depth * 10 + color_type)
    return random.integers(0, 2**depth, (height, width, CHANNELS[color_type]))


def eight_bit(samples: np.ndarray, depth: int) -> np.ndarray:
    """0..255; of 16 bits the high byte."""
    return samples >> 8 if depth == 16 else samples * 255 // (2**depth - 1)


def over_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return rgb * (alpha / 255) + 255 * (1 - alpha / 255)


@INTERLACED
@pytest.mark.parametrize(("color_type", "depth"), KINDS)
def test_every_kind_is_decoded_to_its_samples(color_type: int, depth: int, interlaced: bool):
    samples = samples_of(color_type, depth)
    palette = np.random.default_rng(1).integers(0, 256, (2**depth if color_type == PALETTE else 1, 3))
    before = png_chunk(b"PLTE", palette.astype(np.uint8).tobytes()) if color_type == PALETTE else b""
    decoded = CODEC.decode(png_of(samples, color_type, depth, before=before, interlaced=interlaced))
    values = eight_bit(samples, depth)
    expected = {
        GREY: lambda: np.repeat(values, 3, axis=2),
        RGB: lambda: values,
        PALETTE: lambda: palette[samples[..., 0]],
        GREY_ALPHA: lambda: over_white(np.repeat(values[..., :1], 3, axis=2), values[..., 1:]),
        RGBA: lambda: over_white(values[..., :3], values[..., 3:]),
    }[color_type]()
    assert decoded.shape == (19, 23, 3)
    assert np.abs(decoded - expected).max() <= (1 if color_type in (GREY_ALPHA, RGBA) else 0)


@INTERLACED
@pytest.mark.parametrize(("color_type", "depth"), KEYED)
def test_the_transparent_colour_becomes_white_and_no_other(color_type: int, depth: int, interlaced: bool):
    samples = samples_of(color_type, depth)
    key = samples[4, 5].copy()
    samples[10:12, 10:12] = key
    # The nearest other colours: of 16 bits they differ in the low byte alone.
    samples[0, :6] = np.clip(key[None] + np.arange(-3, 3)[:, None], 0, 2**depth - 1)
    decoded = CODEC.decode(png_of(samples, color_type, depth, before=transparent(*key.tolist()), interlaced=interlaced))
    is_key = (samples == key).all(axis=-1)
    assert is_key.sum() >= 5
    assert not is_key.all()
    expected = np.repeat(eight_bit(samples, depth), 3 // CHANNELS[color_type], axis=2)
    expected[is_key] = 255
    assert np.array_equal(decoded, expected)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_only_the_low_bits_of_the_transparent_colour_count(depth: int):
    samples = np.arange(2**depth)[None, :, None]
    decoded = CODEC.decode(png_of(samples, GREY, depth, before=transparent(0xFF00)))
    assert decoded[0, 0].tolist() == [255, 255, 255]
    assert np.array_equal(decoded[0, 1:, 0], eight_bit(samples, depth)[0, 1:, 0])


@INTERLACED
@pytest.mark.parametrize("depth", DEPTHS[PALETTE])
@pytest.mark.parametrize("alphas", [[0], [255, 0], [10, 200], [255, 255]])
def test_palette_entries_are_blended_by_their_own_alpha(depth: int, alphas: list[int], interlaced: bool):
    samples = samples_of(PALETTE, depth)
    palette = np.random.default_rng(2).integers(0, 256, (2**depth, 3))
    chunks = png_chunk(b"PLTE", palette.astype(np.uint8).tobytes()) + png_chunk(b"tRNS", bytes(alphas))
    decoded = CODEC.decode(png_of(samples, PALETTE, depth, before=chunks, interlaced=interlaced))
    alpha = np.full(2**depth, 255)
    alpha[: len(alphas)] = alphas
    expected = over_white(palette[samples[..., 0]], alpha[samples[..., 0], None])
    assert np.abs(decoded - expected).max() <= 1


@pytest.mark.parametrize(("color_type", "depth"), [(GREY, 8), (RGB, 8), (GREY_ALPHA, 8), (RGBA, 16)])
def test_a_transparent_colour_of_the_wrong_length_is_ignored(color_type: int, depth: int):
    samples = samples_of(color_type, depth)
    plain = CODEC.decode(png_of(samples, color_type, depth))
    for body in (b"", b"\0", b"\0\0\0\0"):
        assert np.array_equal(CODEC.decode(png_of(samples, color_type, depth, before=png_chunk(b"tRNS", body))), plain)


@pytest.mark.parametrize("depth", [8, 16])
def test_grey_with_alpha_takes_a_profile_of_grey(depth: int):
    samples = np.full((4, 4, 2), 2**depth - 1)
    samples[..., 0] = 50 * (2 ** (depth - 8))
    chunk = png_chunk(b"iCCP", b"grey\0\0" + zlib.compress(grey_profile("grey", linear_curve())))
    decoded = CODEC.decode(png_of(samples, GREY_ALPHA, depth, before=chunk))
    assert np.abs(decoded - linear_to_srgb(np.array(50 / 255)) * 255).max() <= 1


def test_the_transparent_colour_of_a_mask_is_transparent():
    samples = np.full((64, 64, 1), 0x1234)
    samples[20:30, 20:30] = 0xFFFF
    mask = CODEC.decode_mask(png_of(samples, GREY, 16, before=transparent(0x1234)), MaskMode.LUMINANCE).mask
    assert (mask[20:30, 20:30] == 255).all()
    assert mask.sum() == 100 * 255
