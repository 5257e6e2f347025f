"""Decoding what cameras, editors and attackers make, and encoding the answer."""

from __future__ import annotations

import contextlib
import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from PIL import ImageCms, PngImagePlugin

from api.codec import PillowCodec
from composition.errors import PayloadTooLarge, UnprocessableImage
from composition.request import OutputFormat
from tests.unit.api.bombs import one_bit_png
from tests.unit.api.images import encoded, gradient
from tests.unit.api.profiles import lab_to_srgb, table_profile

CODEC = PillowCodec(max_side_px=2048)
ORIENTATION = 0x0112


def oriented(image: np.ndarray, orientation: int, file_format: str, **options: object) -> bytes:
    exif = PillowImage.Exif()
    exif[ORIENTATION] = orientation
    return encoded(image, file_format, exif=exif, **options)


@pytest.mark.parametrize(("file_format", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_a_lossless_image_is_decoded_exactly(file_format: str, options: dict[str, object]):
    pixels = gradient(300, 200)
    decoded = CODEC.decode(encoded(pixels, file_format, **options))
    assert decoded.dtype == np.uint8
    assert decoded.flags["C_CONTIGUOUS"]
    assert np.array_equal(decoded, pixels)


def test_a_jpeg_is_decoded_as_pillow_does():
    data = encoded(gradient(300, 200), "JPEG")
    assert np.array_equal(CODEC.decode(data), np.asarray(PillowImage.open(io.BytesIO(data))))


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(("file_format", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_the_orientation_of_the_camera_is_applied(orientation: int, file_format: str, options: dict[str, object]):
    pixels = gradient(60, 40)
    decoded = CODEC.decode(oriented(pixels, orientation, file_format, **options))
    assert np.array_equal(decoded, UPRIGHT[orientation](pixels))


def test_a_rotated_jpeg_is_turned_upright():
    data = oriented(gradient(300, 200), 6, "JPEG", quality=95)
    raw = np.asarray(PillowImage.open(io.BytesIO(data)))
    assert np.array_equal(CODEC.decode(data), np.rot90(raw, -1))


@pytest.mark.parametrize("orientation", [0, 9, 4711])
def test_an_orientation_that_does_not_exist_is_ignored(orientation: int):
    pixels = gradient(60, 40)
    assert np.array_equal(CODEC.decode(oriented(pixels, orientation, "PNG")), pixels)


def test_a_broken_exif_block_is_ignored():
    pixels = gradient(60, 40)
    data = encoded(pixels, "PNG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff broken")
    assert np.array_equal(CODEC.decode(data), pixels)


def test_transparency_is_laid_over_white():
    rgba = np.dstack([gradient(64, 48), np.full((48, 64), 255, np.uint8)])
    rgba[:, :16, 3] = 0
    rgba[:, 16:32, 3] = 128
    decoded = CODEC.decode(encoded(rgba))
    assert (decoded[:, :16] == 255).all()
    expected = gradient(64, 48)[:, 16:32] * (128 / 255) + 255 * (127 / 255)
    assert np.abs(decoded[:, 16:32] - expected).max() <= 1
    assert np.array_equal(decoded[:, 32:], gradient(64, 48)[:, 32:])


def test_grey_with_transparency_is_laid_over_white():
    image = PillowImage.merge("LA", [PillowImage.new("L", (8, 8), 100), PillowImage.new("L", (8, 8), 0)])
    assert (CODEC.decode(encoded(image)) == 255).all()


def test_a_palette_keeps_its_colours():
    image = PillowImage.fromarray(gradient(64, 48)).quantize(16)
    assert np.array_equal(CODEC.decode(encoded(image)), np.asarray(image.convert("RGB")))


def test_a_transparent_palette_entry_becomes_white():
    image = PillowImage.new("P", (8, 8), 1)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((0, 0), 0)
    decoded = CODEC.decode(encoded(image, transparency=1))
    assert decoded[0, 0].tolist() == [10, 20, 30]
    assert (decoded[1:] == 255).all()


def test_partly_transparent_palette_entries_are_blended():
    image = PillowImage.new("P", (8, 8), 1)
    image.putpalette([10, 20, 30, 200, 100, 50])
    decoded = CODEC.decode(encoded(image, transparency=bytes([255, 0])))
    assert (decoded == 255).all()


def test_a_colour_key_becomes_white():
    image = PillowImage.fromarray(gradient(64, 48))
    image.putpixel((3, 3), (1, 2, 3))
    decoded = CODEC.decode(encoded(image, transparency=(1, 2, 3)))
    assert decoded[3, 3].tolist() == [255, 255, 255]
    assert np.array_equal(decoded[0], gradient(64, 48)[0])


def test_sixteen_bit_grey_keeps_its_range():
    values = np.linspace(0, 65535, 64).astype(np.uint16)
    decoded = CODEC.decode(encoded(PillowImage.fromarray(np.tile(values, (32, 1)))))
    assert np.array_equal(decoded[0, :, 0], (values >> 8).astype(np.uint8))
    assert np.array_equal(decoded[..., 0], decoded[..., 2])


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey_images_become_three_equal_channels(mode: str):
    image = PillowImage.fromarray(gradient(64, 48)).convert(mode)
    decoded = CODEC.decode(encoded(image))
    assert np.array_equal(decoded, np.asarray(image.convert("RGB")))


def test_cmyk_is_converted():
    image = PillowImage.fromarray(gradient(64, 48)).convert("CMYK")
    data = encoded(image, "JPEG", quality=95)
    assert np.array_equal(CODEC.decode(data), np.asarray(PillowImage.open(io.BytesIO(data)).convert("RGB")))


@pytest.mark.parametrize("ink", range(4))
def test_a_cmyk_jpeg_is_converted_by_its_profile(ink: int):
    def to_lab(device: np.ndarray) -> np.ndarray:
        """Each ink alone has a lightness and hue of its own; together they add up."""
        return [100, 0, 0] + device @ np.array([[-50, 60, 30], [-20, -50, 40], [-35, 10, -70], [-80, 5, 5]])

    amounts = np.eye(4)[ink]
    image = PillowImage.new("CMYK", (64, 64), tuple(int(255 * amount) for amount in amounts))
    profile = table_profile("house press", b"CMYK", to_lab, channels=4)
    decoded = CODEC.decode(encoded(image, "JPEG", quality=100, icc_profile=profile))
    expected = np.clip(lab_to_srgb(to_lab(amounts[None]))[0], 0, 255)
    assert np.abs(decoded[32, 32] - expected).max() <= 4
    assert np.abs(CODEC.decode(encoded(image, "JPEG", quality=100))[32, 32] - expected).max() > 40


def swapped_profile() -> bytes:
    """A profile whose red primary is sRGB's green and the other way round, made from an sRGB one."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    entries = {bytes(profile[i : i + 4]): i for i in range(132, 132 + 12 * int.from_bytes(profile[128:132], "big"), 12)}
    red, green = entries[b"rXYZ"], entries[b"gXYZ"]
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile).replace("sRGB built-in".encode("utf-16-be"), "swapped house".encode("utf-16-be"))


@pytest.mark.parametrize(("file_format", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_a_colour_profile_is_converted_to_srgb(file_format: str, options: dict[str, object]):
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    decoded = CODEC.decode(encoded(red, file_format, icc_profile=swapped_profile(), **options))
    assert np.abs(decoded.astype(int) - [0, 255, 0]).max() <= 2


def test_a_colour_profile_leaves_transparency_alone():
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[..., 0] = 255
    rgba[:4, :, 3] = 255
    decoded = CODEC.decode(encoded(rgba, icc_profile=swapped_profile()))
    assert np.abs(decoded[:4].astype(int) - [0, 255, 0]).max() <= 2
    assert (decoded[4:] == 255).all()


def test_a_image_in_srgb_is_not_touched_by_its_profile():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(CODEC.decode(encoded(gradient(), icc_profile=profile)), gradient())


@pytest.mark.parametrize("profile", [b"not a profile", b"\x00" * 200, swapped_profile()[:300]])
def test_a_broken_colour_profile_is_ignored(profile: bytes):
    assert np.array_equal(CODEC.decode(encoded(gradient(), icc_profile=profile)), gradient())


def test_a_profile_for_another_mode_is_ignored():
    grey = PillowImage.fromarray(gradient()).convert("L")
    decoded = CODEC.decode(encoded(grey, icc_profile=swapped_profile()))
    assert np.array_equal(decoded[..., 0], np.asarray(grey))


@pytest.mark.parametrize("file_format", ["GIF", "BMP", "TIFF", "PPM", "ICO"])
def test_other_formats_are_refused_whatever_they_are_called(file_format: str):
    with pytest.raises(UnprocessableImage, match="not a JPEG, PNG or WebP"):
        CODEC.decode(encoded(gradient(64, 64), file_format))


@pytest.mark.parametrize("file_format", ["WEBP", "PNG"])
def test_animations_are_refused(file_format: str):
    frames = [PillowImage.fromarray(gradient(64, 64)), PillowImage.fromarray(255 - gradient(64, 64))]
    data = encoded(frames[0], file_format, save_all=True, append_images=frames[1:], duration=100)
    with pytest.raises(UnprocessableImage, match="animated"):
        CODEC.decode(data)


def test_the_first_image_of_a_stereo_jpeg_is_taken():
    frames = [PillowImage.fromarray(gradient(64, 64)), PillowImage.fromarray(255 - gradient(64, 64))]
    data = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:], quality=95)
    assert np.abs(CODEC.decode(data).astype(int) - gradient(64, 64)).mean() < 3


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused(file_format: str, kept: float):
    data = encoded(gradient(300, 300), file_format)
    with pytest.raises(UnprocessableImage):
        CODEC.decode(data[: int(len(data) * kept)])


def test_a_side_at_the_limit_is_accepted_and_one_above_is_not():
    assert CODEC.decode(encoded(gradient(2048, 8))).shape == (8, 2048, 3)
    for size in ((2049, 8), (8, 2049)):
        with pytest.raises(PayloadTooLarge):
            CODEC.decode(encoded(gradient(*size)))


@pytest.mark.parametrize("side_px", [4000, 30_000])
def test_a_pixel_bomb_costs_no_memory(side_px: int):
    data = one_bit_png(side_px)
    tracemalloc.start()
    try:
        with pytest.raises(PayloadTooLarge):
            CODEC.decode(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


def test_a_webp_that_claims_a_huge_canvas_is_refused():
    data = bytearray(encoded(gradient(64, 64), "WEBP", lossless=True, exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00"))
    assert data[12:16] == b"VP8X"
    data[24:30] = (16_382).to_bytes(3, "little") * 2
    with pytest.raises((PayloadTooLarge, UnprocessableImage)):
        CODEC.decode(bytes(data))


def test_texts_in_a_png_are_harmless():
    info = PngImagePlugin.PngInfo()
    info.add_itxt("Comment", "holiday", zip=True)
    assert np.array_equal(CODEC.decode(encoded(gradient(), pnginfo=info)), gradient())


SEEDS = [
    encoded(gradient(40, 30), "PNG"),
    encoded(gradient(40, 30), "JPEG"),
    encoded(gradient(40, 30), "WEBP"),
    oriented(gradient(40, 30), 6, "JPEG", icc_profile=swapped_profile()),
    encoded(PillowImage.fromarray(gradient(40, 30)).quantize(8), "PNG", transparency=1),
]


@settings(max_examples=60)
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
    kept=st.floats(0.05, 1),
)
@pytest.mark.filterwarnings("ignore")
def test_corrupt_bytes_become_a_image_or_one_of_two_errors(seed: bytes, edits: list[tuple[float, int]], kept: float):
    data = bytearray(seed[: max(1, int(len(seed) * kept))])
    for position, value in edits:
        data[int(position * len(data))] = value
    with contextlib.suppress(PayloadTooLarge, UnprocessableImage):
        width, height = CODEC.measure(bytes(data))
        assert max(width, height) <= 2048
        pixels = whatever_was_measured_decodes(bytes(data))
        assert (pixels.shape, pixels.dtype) == ((height, width, 3), np.uint8)


def whatever_was_measured_decodes(data: bytes) -> np.ndarray:
    try:
        return CODEC.decode(data)
    except UnprocessableImage as error:
        raise AssertionError("measured, but does not decode") from error


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_measuring_gives_the_size_of_the_decoded_image(orientation: int, file_format: str):
    data = oriented(gradient(301, 203), orientation, file_format)
    height, width = CODEC.decode(data).shape[:2]
    assert CODEC.measure(data) == (width, height)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_measuring_refuses_what_decoding_refuses(file_format: str, kept: float):
    data = encoded(gradient(300, 300), file_format)
    with pytest.raises(UnprocessableImage):
        CODEC.measure(data[: int(len(data) * kept)])


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
def test_measuring_works_for_every_kind_of_jpeg(mode: str):
    assert CODEC.measure(encoded(PillowImage.new(mode, (9, 301)), "JPEG")) == (9, 301)


@given(data=st.binary(max_size=200))
@settings(max_examples=25)
def test_random_bytes_are_not_a_image(data: bytes):
    with pytest.raises(UnprocessableImage):
        CODEC.decode(data)


@pytest.mark.parametrize("output_format", [OutputFormat.PNG, OutputFormat.WEBP])
def test_lossless_answers_decode_to_the_same_pixels(output_format: OutputFormat):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    data, media_type = CODEC.encode(pixels, output_format)
    assert media_type == f"image/{output_format.value}"
    assert np.array_equal(CODEC.decode(data), pixels)


def test_a_jpeg_answer_is_close_and_keeps_its_colour_edges():
    pixels = gradient(64, 64)
    pixels[:, ::2] = 255 - pixels[:, ::2]
    data, media_type = CODEC.encode(pixels, OutputFormat.JPEG)
    assert media_type == "image/jpeg"
    assert np.abs(CODEC.decode(data).astype(int) - pixels).mean() < 2.5


def test_an_encoded_mask_keeps_its_feathering():
    ramp = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
    image = PillowImage.open(io.BytesIO(CODEC.encode_mask(ramp)))
    assert (image.format, image.mode) == ("PNG", "L")
    assert np.array_equal(np.asarray(image), ramp)


def test_a_quality_makes_smaller_files_of_lossy_formats_and_webp_without_one_is_exact():
    pixels = np.random.default_rng(7).integers(0, 256, (64, 64, 3), np.uint8)
    for output_format in (OutputFormat.JPEG, OutputFormat.WEBP):
        sizes = [len(CODEC.encode(pixels, output_format, quality=quality)[0]) for quality in (10, 60, 100)]
        assert sizes == sorted(set(sizes))
    assert CODEC.encode(pixels, OutputFormat.JPEG) == CODEC.encode(pixels, OutputFormat.JPEG, quality=95)
    assert np.array_equal(CODEC.decode(CODEC.encode(pixels, OutputFormat.WEBP)[0]), pixels)
    assert not np.array_equal(CODEC.decode(CODEC.encode(pixels, OutputFormat.WEBP, quality=60)[0]), pixels)
