"""Metadata never decides over pixels, unfolds to nothing large, and turns an image only where browsers turn it."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import zlib
from itertools import product

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import PngImagePlugin

from api.codec import PillowCodec
from api.containers import MAX_PROFILE_BYTES, unwrap
from composition.errors import UnprocessableImage
from tests.unit.api.bombs import deflated_zeros, png_chunk
from tests.unit.api.images import encoded, gradient
from tests.unit.api.pngs import RGB, png_of
from tests.unit.api.profiles import linear_curve, linear_to_srgb, matrix_profile

CODEC = PillowCodec(max_side_px=2048)
PIXELS = gradient(60, 40)
PNG = png_of(PIXELS, RGB, 8)
JPEG = encoded(PIXELS, "JPEG", quality=98)
WEBP = encoded(PIXELS, "WEBP", lossless=True)
MEGABYTE = 2**20
NOISE = np.random.default_rng(0).integers(0, 256, 3 * MEGABYTE, dtype=np.uint8).tobytes()


def png(before: bytes = b"", after: bytes = b"") -> bytes:
    return png_of(PIXELS, RGB, 8, before=before, after=after)


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def jpeg(*segments: bytes) -> bytes:
    return JPEG[:2] + b"".join(segments) + JPEG[2:]


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    """`WEBP` in its extended form with more chunks."""
    header = bytes([0b101100, 0, 0, 0]) + struct.pack("<I", 59)[:3] + struct.pack("<I", 39)[:3]
    body = _webp_chunk(b"VP8X", header)
    profiles = [chunk for chunk in chunks if chunk[0] == b"ICCP"]
    body += b"".join(_webp_chunk(*chunk) for chunk in profiles) + WEBP[12:]
    body += b"".join(_webp_chunk(*chunk) for chunk in chunks if chunk not in profiles)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _webp_chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


JPEG_PIXELS = np.asarray(PillowImage.open(io.BytesIO(JPEG)))

PNG_METADATA = {
    "zTXt": png_chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b"x" * 3 * MEGABYTE)),
    "iTXt": png_chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(NOISE)),
    "iTXt of many languages": b"".join(
        png_chunk(b"iTXt", b"text\0\1\0\0\0" + zlib.compress(b"x" * MEGABYTE)) for _ in range(80)
    ),
    "tEXt": png_chunk(b"tEXt", b"workflow\0" + b"x" * 3 * MEGABYTE),
    "broken zTXt": png_chunk(b"zTXt", b"workflow\0\0no deflate"),
    "text without end": png_chunk(b"zTXt", b"workflow"),
    "wrong checksum": png_chunk(b"tEXt", b"a\0b")[:-4] + b"\0\0\0\0",
    "short gAMA": png_chunk(b"gAMA", b"\0"),
    "short pHYs": png_chunk(b"pHYs", b""),
    "iCCP of another method": png_chunk(b"iCCP", b"x\0\7abc"),
    "iCCP of nothing": png_chunk(b"iCCP", b""),
    "a private chunk": png_chunk(b"prVt", NOISE),
}


@pytest.mark.parametrize("chunk", PNG_METADATA.values(), ids=PNG_METADATA)
@pytest.mark.parametrize("after", [False, True])
def test_no_side_chunk_of_a_png_decides_over_its_pixels(chunk: bytes, after: bool):
    data = png(after=chunk) if after else png(before=chunk)
    assert np.array_equal(CODEC.decode(data), PIXELS)
    assert CODEC.measure(data) == (60, 40)


def test_a_png_that_breaks_off_in_a_text_behind_its_pixels_is_whole():
    data = png(after=png_chunk(b"tEXt", b"a\0" + b"x" * 5000))
    assert np.array_equal(CODEC.decode(data[:-2000]), PIXELS)


JPEG_METADATA = {
    "a thousand segments": segment(0xE5, b"x" * 1000) * 1000,
    "comments": segment(0xFE, b"x" * 65_533) * 50,
    "exif in many segments": segment(0xE1, b"Exif\0\0" + b"x" * 65_000) * 100,
    "xmp": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b"<" * 60_000),
    "broken photoshop": segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\xff\xff\xff\xff"),
    "broken MPF": segment(0xE2, b"MPF\0II*\0\xff\xff\xff\xff"),
    "profile of a missing part": segment(0xE2, b"ICC_PROFILE\0\1\2" + b"x" * 100),
    "empty segments": segment(0xE1, b"") + segment(0xE2, b"") + segment(0xFE, b""),
    "fill bytes": b"\xff\xff\xff" + segment(0xE4, b"abc") + b"\xff",
}


@pytest.mark.parametrize("segments", JPEG_METADATA.values(), ids=JPEG_METADATA)
def test_no_segment_of_a_jpeg_decides_over_its_pixels(segments: bytes):
    assert np.array_equal(CODEC.decode(jpeg(segments)), JPEG_PIXELS)
    assert CODEC.measure(jpeg(segments)) == (60, 40)


@pytest.mark.parametrize("stray", [b"\xff\xd0", b"\xff\xd8", b"\xff\xe4\x00\x00", b"\xff\xe4\x00\x01"])
def test_reading_the_segments_of_a_jpeg_ends_at_what_is_none(stray: bytes):
    """A marker without a length, or one shorter than itself, must not be taken for a segment, let alone for ever."""
    behind = segment(0xE1, b"Exif\0\0" + b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0")
    assert unwrap(jpeg(behind)).orientation == 6
    assert unwrap(jpeg(stray + behind)).orientation == 1
    assert unwrap(jpeg(stray + behind)).pixels == jpeg(stray + behind)


@pytest.mark.parametrize("kind", [b"EXIF", b"XMP ", b"ICCP", b"UNKN"])
def test_no_chunk_of_a_webp_decides_over_its_pixels(kind: bytes):
    assert np.array_equal(CODEC.decode(webp((kind, NOISE))), PIXELS)


def exif_of(orientation: int, order: str = "<", kind: int = 3, count: int = 1) -> bytes:
    start = b"II*\0" if order == "<" else b"MM\0*"
    value = struct.pack(f"{order}H", orientation) + b"\0\0"
    other = struct.pack(f"{order}HHII", 0x010E, 2, 4, 0)
    return start + struct.pack(f"{order}IH", 8, 2) + other + struct.pack(f"{order}HHI", 0x0112, kind, count) + value


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="3"/>'
    b"</rdf:RDF></x:xmpmeta>"
)
RAW_PROFILE = f"\nexif\n{len(exif_of(3)):8d}\n{(b'Exif' + bytes(2) + exif_of(3)).hex()}\n".encode()
UPSIDE_DOWN = 3


def file_with(file_format: str, *, exif: bool, xmp: bool, raw: bool) -> bytes:
    """Each place that names an orientation says upside down."""
    block = exif_of(UPSIDE_DOWN)
    if file_format == "PNG":
        chunks = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP) if xmp else b""
        chunks += png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(RAW_PROFILE)) if raw else b""
        return png(before=chunks + (png_chunk(b"eXIf", block) if exif else b""))
    if file_format == "JPEG":
        segments = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP) if xmp else b""
        segments += segment(0xFE, b"Raw profile type exif" + RAW_PROFILE) if raw else b""
        return jpeg(segments, segment(0xE1, b"Exif\0\0" + block) if exif else b"")
    chunks = [(b"EXIF", block)] if exif else []
    return webp(*chunks, *([(b"XMP ", XMP)] if xmp else []), *([(b"RAWP", RAW_PROFILE)] if raw else []))


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize(("exif", "xmp", "raw"), list(product([False, True], repeat=3)))
def test_an_image_is_turned_by_its_exif_and_by_nothing_else(file_format: str, exif: bool, xmp: bool, raw: bool):
    stored = JPEG_PIXELS if file_format == "JPEG" else PIXELS
    decoded = CODEC.decode(file_with(file_format, exif=exif, xmp=xmp, raw=raw))
    assert np.array_equal(decoded, stored[::-1, ::-1] if exif else stored)


@pytest.mark.parametrize("text", [b"tEXt", b"iTXt"])
def test_an_uncompressed_raw_profile_does_not_turn_a_png(text: bytes):
    body = b"Raw profile type exif\0" + (b"\0\0\0\0" if text == b"iTXt" else b"") + RAW_PROFILE
    assert np.array_equal(CODEC.decode(png(after=png_chunk(text, body))), PIXELS)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_read_in_both_byte_orders(order: str, prefix: bytes, orientation: int):
    block = prefix + exif_of(orientation, order)
    assert unwrap(png(before=png_chunk(b"eXIf", block))).orientation == orientation
    assert unwrap(png(after=png_chunk(b"eXIf", block))).orientation == orientation
    assert unwrap(jpeg(segment(0xE1, b"Exif\0\0" + exif_of(orientation, order)))).orientation == orientation
    assert unwrap(webp((b"EXIF", block))).orientation == orientation


BROKEN_EXIF = {
    "nothing": b"",
    "no byte order": b"XX" + exif_of(3)[2:],
    "cut": exif_of(3)[:30],
    "far away": b"II*\0\xff\xff\xff\xff",
    "0": exif_of(0),
    "9": exif_of(9),
    "a long": exif_of(3, kind=4),
    "two shorts": exif_of(3, count=2),
}


@pytest.mark.parametrize("block", BROKEN_EXIF.values(), ids=BROKEN_EXIF)
def test_a_broken_orientation_is_none(block: bytes):
    assert unwrap(png(before=png_chunk(b"eXIf", block))).orientation == 1
    assert unwrap(jpeg(segment(0xE1, b"Exif\0\0" + block))).orientation == 1
    assert unwrap(webp((b"EXIF", block))).orientation == 1


def test_an_orientation_with_a_wrong_checksum_is_none():
    assert unwrap(png(before=png_chunk(b"eXIf", exif_of(3))[:-4] + bytes(4))).orientation == 1


LINEAR = matrix_profile("house", linear_curve())
AS_LINEAR = linear_to_srgb(PIXELS / 255) * 255


def padded(size_bytes: int) -> bytes:
    """A profile that is so long because of what nobody reads."""
    return LINEAR + NOISE[: size_bytes - len(LINEAR)] if size_bytes > len(LINEAR) else LINEAR


@pytest.mark.parametrize("size_bytes", [0, 2 * MEGABYTE, 3 * MEGABYTE])
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_a_profile_of_any_reasonable_size_is_used(file_format: str, size_bytes: int):
    profile = padded(size_bytes)
    if file_format == "JPEG":
        parts = [profile[i : i + 65_000] for i in range(0, len(profile), 65_000)]
        numbered = [b"ICC_PROFILE\0" + bytes([n + 1, len(parts)]) + part for n, part in enumerate(parts)]
        # The order of the segments does not matter, their numbers do.
        decoded = CODEC.decode(jpeg(*(segment(0xE2, body) for body in reversed(numbered))))
        assert np.abs(decoded - linear_to_srgb(JPEG_PIXELS / 255) * 255).max() <= 1
        return
    compressed = png_chunk(b"iCCP", b"house\0\0" + zlib.compress(profile))
    data = png(before=compressed) if file_format == "PNG" else webp((b"ICCP", profile))
    assert np.abs(CODEC.decode(data) - AS_LINEAR).max() <= 1


def test_a_profile_over_the_limit_is_ignored():
    big = LINEAR + bytes(MAX_PROFILE_BYTES)
    assert unwrap(png(before=png_chunk(b"iCCP", b"house\0\0" + zlib.compress(big)))).profile is None
    assert unwrap(webp((b"ICCP", big))).profile is None


def test_a_profile_that_breaks_off_is_ignored():
    cut = zlib.compress(LINEAR)[:-10]
    assert np.array_equal(CODEC.decode(png(before=png_chunk(b"iCCP", b"house\0\0" + cut))), PIXELS)


BOMB = deflated_zeros(64 * MEGABYTE)


@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"iCCP", b"house\0\0" + BOMB),
        png_chunk(b"zTXt", b"Comment\0\0" + BOMB),
        png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + BOMB),
    ],
    ids=["iCCP", "zTXt", "iTXt"],
)
def test_a_bomb_in_a_side_chunk_does_not_unfold(chunk: bytes):
    data = png(before=chunk)
    tracemalloc.start()
    try:
        assert np.array_equal(CODEC.decode(data), PIXELS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * MEGABYTE


def test_a_directory_that_names_the_same_megabytes_again_and_again_costs_nothing():
    entries = b"".join(struct.pack("<HHII", tag, 1, 2 * MEGABYTE, 8) for tag in range(60_000))
    block = b"II*\0" + struct.pack("<IH", 8, 60_000) + entries + NOISE
    data = png(before=png_chunk(b"eXIf", block))
    tracemalloc.start()
    start = time.process_time()
    try:
        assert np.array_equal(CODEC.decode(data), PIXELS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * MEGABYTE
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "data",
    [png(before=png_chunk(b"prVt", b"") * 200_000), jpeg(segment(0xFE, b"") * 200_000)],
    ids=["PNG", "JPEG"],
)
def test_a_file_of_absurdly_many_parts_is_refused(data: bytes):
    with pytest.raises(UnprocessableImage, match="more parts"):
        CODEC.decode(data)


def control(frames: int) -> bytes:
    return png_chunk(b"acTL", struct.pack(">II", frames, 0))


def test_an_animation_is_one_that_has_frames_beyond_what_plain_decoders_show():
    frame = png_chunk(b"fdAT", b"\0\0\0\1" + b"x")
    assert unwrap(png(before=control(2))).animated
    assert unwrap(png(before=control(1), after=frame)).animated
    assert not unwrap(png(before=control(1))).animated
    assert not unwrap(png(before=control(0), after=frame)).animated
    assert not unwrap(png(after=control(2))).animated


def test_the_decoder_is_given_no_metadata_and_every_pixel():
    info = PngImagePlugin.PngInfo()
    info.add_text("a", "b")
    assert unwrap(encoded(PIXELS, pnginfo=info)).pixels == encoded(PIXELS)
    assert unwrap(jpeg(segment(0xE1, b"x"), segment(0xFE, b"y"))).pixels == JPEG
    assert unwrap(PNG).pixels is PNG
    assert unwrap(JPEG).pixels is JPEG


def test_what_says_how_colours_are_stored_stays():
    cmyk = PillowImage.fromarray(PIXELS).convert("CMYK")
    data = encoded(cmyk, "JPEG", quality=98, comment=b"a comment")
    assert b"Adobe" in unwrap(data).pixels
    assert b"a comment" not in unwrap(data).pixels
    assert np.array_equal(CODEC.decode(data), np.asarray(PillowImage.open(io.BytesIO(data)).convert("RGB")))
