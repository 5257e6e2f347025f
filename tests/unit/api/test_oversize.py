"""Photos above the limit, taken on request: reduced as early as possible, never without bound."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image as PillowImage

from api.codec import PillowCodec
from composition.config import Config, LimitsConfig
from composition.errors import PayloadTooLarge
from composition.request import MaskMode, Oversize
from tests.unit.api.conftest import Edge, open_edge
from tests.unit.api.images import base64_of, encoded, gradient, mask

GENERATE, ASYNC = "/api/v1/generate", "/api/v1/generate/async"
CODEC = PillowCodec(max_side_px=512, max_megapixels=3)
DOWNSCALE = {"config": {"oversize": "downscale"}}


@pytest.fixture
async def edge():
    async with open_edge(Config(limits=LimitsConfig(max_resolution=512, max_downscaled_megapixels=3))) as opened:
        yield opened


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize(("width", "height", "size"), [(1024, 768, (512, 384)), (700, 1400, (256, 512))])
def test_what_is_too_large_is_reduced_to_the_longest_side_that_is_allowed(file_format, width, height, size):
    data = encoded(gradient(width, height), file_format)
    small = CODEC.decode(data, Oversize.DOWNSCALE)
    assert (small.shape[1], small.shape[0]) == size
    expected = np.asarray(PillowImage.fromarray(gradient(width, height)).resize(size, PillowImage.Resampling.LANCZOS))
    assert np.abs(small.astype(int) - expected).mean() < 2
    assert CODEC.measure(data, Oversize.DOWNSCALE) == size
    assert CODEC.size_as_sent(data) == (width, height)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_what_is_allowed_stays_as_it_is_bit_for_bit(file_format):
    data = encoded(gradient(512, 400), file_format)
    assert np.array_equal(CODEC.decode(data, Oversize.DOWNSCALE), CODEC.decode(data))


def test_without_being_asked_it_is_refused_as_ever():
    for read in (CODEC.decode, CODEC.measure):
        with pytest.raises(PayloadTooLarge, match="at most 512 per side"):
            read(encoded(gradient(513, 256)))


def test_the_orientation_is_that_of_the_photo():
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    data = encoded(gradient(1024, 768), "JPEG", exif=exif)
    assert CODEC.decode(data, Oversize.DOWNSCALE).shape == (512, 384, 3)
    assert CODEC.measure(data, Oversize.DOWNSCALE) == (384, 512)
    assert CODEC.size_as_sent(data) == (768, 1024)


def test_colours_under_transparency_do_not_bleed_into_the_photo():
    pixels = np.zeros((1024, 1024, 4), np.uint8)
    pixels[:, :512] = (10, 20, 30, 255)
    pixels[:, 512:] = (255, 0, 0, 0)
    small = CODEC.decode(encoded(PillowImage.fromarray(pixels)), Oversize.DOWNSCALE)
    assert small[:, 300:].min() == 255
    assert (small[:, :250] == (10, 20, 30)).all()
    seam = small[:, 254:258].astype(int)
    assert (seam[..., 0] <= seam[..., 2]).all()


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "1"])
def test_every_mode_is_reduced(mode):
    image = PillowImage.fromarray(gradient(1024, 768)).convert(mode)
    data = encoded(image, "JPEG" if mode == "CMYK" else "PNG")
    assert CODEC.decode(data, Oversize.DOWNSCALE).shape == (384, 512, 3)


def test_a_mask_is_reduced_alike():
    reading = CODEC.decode_mask(encoded(mask(1024, 768)), MaskMode.AUTO, Oversize.DOWNSCALE)
    expected = mask(512, 384)
    assert reading.mask.shape == (384, 512)
    assert set(np.unique(reading.mask)) == {0, 255}
    assert np.count_nonzero(reading.mask != expected) <= 2 * (96 + 128)


@pytest.mark.parametrize("oversize", list(Oversize))
def test_a_bomb_is_refused_before_a_pixel_is_decoded(oversize):
    bomb = encoded(PillowImage.new("L", (20_000, 20_000)))
    tracemalloc.start()
    try:
        with pytest.raises(PayloadTooLarge):
            CODEC.decode(bomb, oversize)
        assert tracemalloc.get_traced_memory()[1] < 10 * len(bomb) + 1_000_000
    finally:
        tracemalloc.stop()
    with pytest.raises(PayloadTooLarge):
        CODEC.measure(bomb, oversize)


def test_large_images_are_decoded_one_at_a_time_and_hold_up_no_others():
    codec = PillowCodec(max_side_px=512, max_megapixels=3)
    large, small = encoded(gradient(1024, 768)), encoded(gradient(512, 400))
    with ThreadPoolExecutor(max_workers=2) as threads:
        with codec._large:
            waiting = threads.submit(codec.decode, large, Oversize.DOWNSCALE)
            assert threads.submit(codec.decode, small, Oversize.DOWNSCALE).result(timeout=30).shape == (400, 512, 3)
            assert not waiting.done()
        assert waiting.result(timeout=30).shape == (384, 512, 3)


def test_so_many_megapixels_are_reduced_and_no_more():
    assert CODEC.measure(encoded(PillowImage.new("L", (2000, 1500))), Oversize.DOWNSCALE) == (512, 384)
    with pytest.raises(PayloadTooLarge, match="2000x1501 pixels, at most 3 megapixels are reduced"):
        CODEC.measure(encoded(PillowImage.new("L", (2000, 1501))), Oversize.DOWNSCALE)


def test_the_bound_on_what_is_reduced_does_not_bound_what_is_allowed():
    codec = PillowCodec(max_side_px=2048, max_megapixels=1)
    assert codec.decode(encoded(PillowImage.new("RGB", (1200, 1000)))).shape == (1000, 1200, 3)


async def test_a_large_photo_is_accepted_on_request_and_refused_without(edge: Edge):
    body = {"base_image": base64_of(encoded(gradient(1024, 768))), "prompt": "blue car"}
    refused = await edge.client.post(ASYNC, json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    accepted = await edge.client.post(ASYNC, json={**body, **DOWNSCALE})
    assert accepted.status_code == 200, accepted.text
    assert edge.only_job.payload.options.oversize is Oversize.DOWNSCALE


async def test_what_would_be_too_small_once_reduced_is_refused(edge: Edge):
    body = {"base_image": base64_of(encoded(gradient(2000, 400))), "prompt": "blue car", **DOWNSCALE}
    answer = await edge.client.post(ASYNC, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "UNPROCESSABLE_IMAGE")
    assert "512x102 pixels, at least 256" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("size", "status"), [((1024, 768), 200), ((512, 384), 200), ((512, 400), 422)])
async def test_a_mask_has_the_photos_size_as_it_was_sent_or_as_it_comes_to(edge: Edge, size, status):
    body = {
        "base_image": base64_of(encoded(gradient(1024, 768))),
        "mask_image": base64_of(encoded(mask(*size))),
        "prompt": "blue car",
    }
    assert (await edge.client.post(ASYNC, json={**body, **DOWNSCALE})).status_code == status


async def test_points_are_in_pixels_of_the_photo_as_it_was_sent(edge: Edge):
    body = {"base_image": base64_of(encoded(gradient(1024, 768))), "prompt": "blue car"}
    for point, status in (([1000, 700], 200), ([1024, 700], 400)):
        config = {"oversize": "downscale", "points": [point]}
        assert (await edge.client.post(ASYNC, json={**body, "config": config})).status_code == status
