"""What people send as a mask: the side that they mean is repainted, and it is said where it is not plain."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageDraw

from api.codec import PillowCodec
from composition.errors import EmptyMask, UnprocessableImage
from composition.ports.codec import MaskReading
from composition.request import MaskMode
from tests.unit.api.images import encoded, gradient, mask

CODEC = PillowCodec(max_side_px=2048)
SIDE = 200
SPOT = (slice(60, 110), slice(80, 150))
"""Well inside, 9 % of the image."""


def spot() -> np.ndarray:
    chosen = np.zeros((SIDE, SIDE), bool)
    chosen[SPOT] = True
    return chosen


def read(image: np.ndarray | PillowImage.Image, mode: str = "auto", file_format: str = "PNG", **options: object):
    return CODEC.decode_mask(encoded(image, file_format, **options), MaskMode(mode))


def repaints(reading: MaskReading, chosen: np.ndarray) -> bool:
    assert set(np.unique(reading.mask)) <= {0, 255}
    return np.array_equal(reading.mask == 255, chosen)


def layer(ground: tuple[int, ...], inside: tuple[int, ...], chosen: np.ndarray | None = None) -> np.ndarray:
    chosen = spot() if chosen is None else chosen
    return np.where(chosen[..., None], np.array(inside, np.uint8), np.array(ground, np.uint8))


def photograph(alpha: np.ndarray) -> np.ndarray:
    return np.dstack([gradient(SIDE, SIDE), alpha]).astype(np.uint8)


BLACK, WHITE = (0, 0, 0), (255, 255, 255)


@pytest.mark.parametrize("mode", ["auto", "luminance"])
@pytest.mark.parametrize("kind", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_white_on_black_is_plain_in_any_mode_of_pixels(kind: str, mode: str):
    image = PillowImage.fromarray(layer(BLACK, WHITE)).convert(kind)
    reading = read(image, mode)
    assert repaints(reading, spot())
    assert reading.note is None


def test_a_grey_mask_is_cut_at_the_middle():
    reading = read(np.tile(np.arange(256, dtype=np.uint8), (4, 1)))
    assert reading.mask[0].tolist() == [0] * 128 + [255] * 128


def test_a_soft_mask_of_a_jpeg_is_plain():
    soft = np.zeros((SIDE, SIDE), np.uint8)
    soft[SPOT] = 250
    reading = read(soft, file_format="JPEG", quality=80)
    assert (reading.mask == 255).sum() == pytest.approx(spot().sum(), rel=0.02)
    assert reading.note is None


def test_a_light_ground_is_repainted_and_said():
    reading = read(layer(WHITE, BLACK))
    assert repaints(reading, ~spot())
    assert reading.note == (
        "mask_image: its light part, 91 % of the image, is repainted; "
        "with config.mask_mode inverted it is the dark part"
    )


def test_all_white_is_everything_without_a_word():
    reading = read(np.full((SIDE, SIDE), 255, np.uint8))
    assert (reading.mask == 255).all()
    assert reading.note is None


@pytest.mark.parametrize("ground", ["photograph", WHITE, BLACK, (128, 128, 128), "photograph with colours in the hole"])
@pytest.mark.parametrize("hole", [spot(), np.pad(spot()[60:110, 80:150], ((0, 150), (65, 65)))], ids=["inside", "top"])
def test_a_hole_in_what_is_opaque_is_repainted(ground: object, hole: np.ndarray):
    """As OpenAI's API takes masks."""
    alpha = np.where(hole, 0, 255)
    image = photograph(alpha) if isinstance(ground, str) else np.dstack([layer(ground, ground), alpha])
    if ground == "photograph":
        image[hole] = 0
    reading = read(image.astype(np.uint8))
    assert repaints(reading, hole)
    assert reading.note is not None
    assert "transparent part" in reading.note


def test_the_sky_cut_out_of_a_photograph_is_repainted():
    sky = np.zeros((SIDE, SIDE), bool)
    sky[:70] = True
    assert repaints(read(photograph(np.where(sky, 0, 255))), sky)


def test_a_faint_hole_is_a_hole():
    assert repaints(read(photograph(np.where(spot(), 120, 255))), spot())


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
@pytest.mark.parametrize("paint", [WHITE, BLACK, (255, 0, 0), (30, 60, 200), (128, 128, 128), (255, 235, 59)])
@pytest.mark.parametrize("opacity", [255, 128, 60])
def test_strokes_on_a_transparent_ground_are_repainted(paint: tuple[int, ...], opacity: int, file_format: str):
    options = {"lossless": True} if file_format == "WEBP" else {}
    reading = read(layer((0, 0, 0, 0), (*paint, opacity)), file_format=file_format, **options)
    assert repaints(reading, spot())
    assert reading.note == "mask_image: read as strokes on a transparent ground; they, 9 % of the image, are repainted"


def test_a_ring_drawn_around_a_thing_is_the_ring():
    ring = PillowImage.new("RGBA", (SIDE, SIDE))
    ImageDraw.Draw(ring).ellipse((40, 40, 160, 160), outline=(0, 200, 0, 255), width=12)
    assert repaints(read(ring), np.asarray(ring)[..., 3] == 255)


def test_soft_strokes_are_cut_at_half_their_opacity():
    column = np.clip(np.abs(np.arange(SIDE) - 100) * -10 + 255, 0, 255)
    image = np.zeros((SIDE, SIDE, 4), np.uint8)
    image[50:150, :, 3] = column
    chosen = np.zeros((SIDE, SIDE), bool)
    chosen[50:150] = column >= 128
    assert repaints(read(image), chosen)


def test_strokes_of_several_colours_on_a_transparent_ground_are_repainted():
    image = layer((0, 0, 0, 0), (255, 0, 0, 255))
    image[150:180, 20:60], image[10:30, 150:180] = (0, 0, 255, 255), (255, 255, 255, 255)
    assert repaints(read(image), image[..., 3] == 255)


def test_a_stroke_in_colour_along_the_ground_is_repainted():
    floor = np.zeros((SIDE, SIDE), bool)
    floor[130:] = True
    assert repaints(read(layer((0, 0, 0, 0), (255, 0, 200, 255), floor)), floor)


def test_a_hole_in_a_drawing_of_few_colours_is_repainted():
    drawing = np.zeros((SIDE, SIDE, 4), np.uint8)
    drawing[:100], drawing[100:], drawing[:, 150:] = (200, 30, 30, 255), (30, 30, 200, 255), (240, 240, 30, 255)
    drawing[SPOT][..., 3] = 0
    assert repaints(read(drawing), spot())


def half() -> np.ndarray:
    chosen = np.zeros((SIDE, SIDE), bool)
    chosen[:, SIDE // 2 :] = True
    return chosen


AMBIGUOUS = {
    "half of it white, half transparent": layer((0, 0, 0, 0), (255, 255, 255, 255), half()),
    "a thing cut out of a photograph": photograph(np.where(spot(), 255, 0)),
    "a photograph in a transparent frame": photograph(np.pad(np.full((160, 160), 255), 20)),
    "one colour in a transparent frame": np.pad(np.full((160, 160, 4), 255, np.uint8), ((20, 20), (20, 20), (0, 0))),
    "a hole in one strong colour": layer((255, 0, 0, 255), (255, 0, 0, 0)),
    "black, white and transparent": np.dstack([layer(BLACK, WHITE), np.where(half(), 255, 0)]).astype(np.uint8),
    "black and white strokes on nothing": np.dstack(
        [layer(BLACK, WHITE, half()), np.where(spot(), 255, 0)],
    ).astype(np.uint8),
    "white on black with a hole": np.dstack([layer(BLACK, WHITE, half()), np.where(spot(), 0, 255)]).astype(np.uint8),
    "red on white": layer(WHITE, (255, 0, 0)),
    "blue on white": layer(WHITE, (0, 0, 255)),
    "red on blue": layer((0, 0, 255), (255, 0, 0)),
    "a photograph": gradient(SIDE, SIDE),
}


@pytest.mark.parametrize("image", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_can_mean_two_things_is_refused_by_the_name_of_the_option(image: np.ndarray):
    with pytest.raises(UnprocessableImage, match=r"not clear which side .* config\.mask_mode"):
        read(image)


@pytest.mark.parametrize("mode", ["luminance", "alpha", "inverted"])
def test_every_ambiguous_layer_can_be_read_by_a_mode(mode: str):
    reading = read(AMBIGUOUS["half of it white, half transparent"], mode)
    assert repaints(reading, ~half() if mode == "alpha" else half())
    assert reading.note is None


@pytest.mark.parametrize("color", [(255, 0, 0), (0, 0, 255), (0, 255, 0), (255, 0, 255), (128, 0, 0), (0, 90, 0)])
@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_strokes_in_any_colour_on_black_are_repainted(color: tuple[int, ...], file_format: str):
    reading = read(layer(BLACK, color), file_format=file_format)
    assert reading.note is not None
    assert "strokes in colour on black; they, 9 % of the image, are repainted" in reading.note
    assert ((reading.mask == 255) != spot()).mean() < 0.02
    if file_format == "PNG":
        assert repaints(reading, spot())


def test_things_of_many_colours_on_black_are_all_repainted():
    image = layer(BLACK, (128, 0, 0))
    image[150:180, 20:60], image[10:30, 150:180], image[150:170, 100:120] = (64, 0, 0), (0, 128, 64), WHITE
    assert repaints(read(image), image.any(axis=2))


@pytest.mark.parametrize("ground", [(0, 0, 255), (0, 0, 80), (60, 0, 90)])
def test_white_strokes_on_a_dark_colour_are_repainted(ground: tuple[int, ...]):
    assert repaints(read(layer(ground, WHITE)), spot())


@pytest.mark.parametrize("kind", ["L", "RGB", "RGBA", "P", "16 bits"])
@pytest.mark.parametrize("value", [1, 2, 100])
def test_a_mask_of_two_values_is_binary_and_says_so(kind: str, value: int):
    values = np.where(spot(), value, 0)
    if kind == "16 bits":
        image = PillowImage.fromarray(values.astype(np.uint16))
    else:
        image = PillowImage.fromarray(values.astype(np.uint8)).convert(kind)
    reading = read(image)
    assert repaints(reading, spot())
    assert reading.note == f"mask_image: read as the two values 0 and {value}; {value} is repainted"


def test_classes_in_the_red_channel_are_binary():
    reading = read(layer(BLACK, (1, 0, 0)))
    assert repaints(reading, spot())
    assert reading.note == "mask_image: read as the two values 0 and 1; 1 is repainted"


def test_bytes_stored_as_sixteen_bits_are_bytes():
    assert repaints(read(PillowImage.fromarray(np.where(spot(), 255, 0).astype(np.uint16))), spot())
    assert read(PillowImage.fromarray(np.where(spot(), 200, 100).astype(np.uint16))).mask[0, 0] == 0


def test_a_full_range_of_sixteen_bits_is_cut_at_the_middle():
    values = np.array([[0, 255, 32_767, 32_768, 65_535]], np.uint16)
    assert read(PillowImage.fromarray(values)).mask[0].tolist() == [0, 0, 0, 255, 255]


def test_a_darker_mask_on_black_is_cut_at_half_of_its_lightest():
    reading = read(np.clip(np.arange(256, dtype=np.uint8)[None] // 2, 0, 100))
    assert reading.mask[0].tolist() == [0] * 100 + [255] * 156
    assert reading.note == "mask_image: its lightest grey value is 100, so it was cut at 50 instead of 128"


EMPTY = {
    "black": (np.zeros((8, 8), np.uint8), "auto", "read as luminance, its light part is, and its lightest .* 0 of 255"),
    "dark grey": (np.full((8, 8), 90, np.uint8), "auto", "lightest grey value is 90 of 255"),
    "classes": (np.arange(9, dtype=np.uint8)[None], "auto", "lightest grey value is 8 of 255"),
    "nothing visible": (np.zeros((8, 8, 4), np.uint8), "auto", "transparent everywhere"),
    "white that is not visible": (np.full((8, 8, 4), [255, 255, 255, 0], np.uint8), "luminance", "transparent every"),
    "inverted white": (np.full((8, 8), 255, np.uint8), "inverted", "read as inverted, its dark part is"),
    "black on hidden white": (layer((255, 255, 255, 0), (0, 0, 0, 255)), "luminance", "lightest grey value is 0"),
    "black strokes by their light": (layer((0, 0, 0, 0), (0, 0, 0, 255)), "luminance", "lightest grey value is 0"),
}


@pytest.mark.parametrize(("image", "mode", "message"), EMPTY.values(), ids=EMPTY)
def test_a_mask_without_anything_to_repaint_is_refused_with_the_truth(image: np.ndarray, mode: str, message: str):
    with pytest.raises(EmptyMask, match=message):
        read(image, mode)


def test_the_opaque_part_counts_as_dark_around_light_strokes():
    assert repaints(read(layer((0, 0, 0, 0), (255, 255, 255, 255)), "luminance"), spot())
    assert repaints(read(layer((255, 255, 255, 0), (255, 255, 255, 255)), "luminance"), spot())


def test_alpha_repaints_what_is_transparent():
    assert repaints(read(layer((255, 0, 0, 255), (255, 0, 0, 0)), "alpha"), spot())
    assert repaints(read(layer((0, 0, 0, 0), (255, 255, 255, 255)), "alpha"), ~spot())
    assert (read(np.zeros((8, 8, 4), np.uint8), "alpha").mask == 255).all()


@pytest.mark.parametrize("image", [layer(BLACK, WHITE), np.full((8, 8, 4), 255, np.uint8)], ids=["none", "constant"])
def test_alpha_needs_transparency(image: np.ndarray):
    with pytest.raises(UnprocessableImage, match="no transparent part"):
        read(image, "alpha")


def test_inverted_repaints_the_dark_or_the_opaque_part():
    assert repaints(read(layer(WHITE, BLACK), "inverted"), spot())
    assert repaints(read(layer((1, 1, 1), BLACK), "inverted"), spot())
    assert repaints(read(layer((9, 9, 9, 0), (9, 9, 9, 255)), "inverted"), spot())


def test_a_constant_alpha_decides_nothing():
    for opacity in (255, 128, 40):
        reading = read(np.dstack([layer(BLACK, WHITE), np.full((SIDE, SIDE), opacity)]).astype(np.uint8))
        assert repaints(reading, spot())
        assert reading.note is None


def test_a_palette_with_a_transparent_entry_is_a_layer():
    image = PillowImage.fromarray(spot().astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 200, 30, 30])
    assert repaints(read(image, transparency=0), spot())


def test_a_mask_is_oriented_like_its_image():
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    for image in (mask(64, 48), np.dstack([*[mask(64, 48)] * 3, mask(64, 48)])):
        reading = CODEC.decode_mask(encoded(image, exif=exif), MaskMode.AUTO)
        assert np.array_equal(reading.mask, np.rot90(mask(64, 48), -1))
