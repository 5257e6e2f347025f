from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from composition_client import Edit, NotAnImage
from composition_client.images import to_bytes_or_url
from PIL import Image

from clients.python.tests.service import PIXEL

RGB = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


def received(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)))


def test_files_are_sent_byte_for_byte(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(PIXEL)
    for given in (PIXEL, bytearray(PIXEL), path, str(path)):
        assert to_bytes_or_url(given) == PIXEL


@pytest.mark.parametrize("url", ["http://a.example/b.png", "HTTPS://a.example/b.png", "data:image/png;base64,AAAA"])
def test_urls_are_left_to_the_service(url):
    assert to_bytes_or_url(url) == url


@pytest.mark.parametrize("array", [RGB, RGB[..., 0], np.dstack([RGB, RGB[..., :1]]), RGB[:, ::-1]])
def test_arrays_and_pillow_images_arrive_as_they_are(array):
    assert np.array_equal(received(to_bytes_or_url(array)), array)
    assert np.array_equal(received(to_bytes_or_url(Image.fromarray(array))), array)


def test_true_is_white_in_a_mask():
    assert received(to_bytes_or_url(np.array([[True, False]]))).tolist() == [[255, 0]]


@pytest.mark.parametrize(
    "given",
    [
        RGB.astype(np.float32),
        RGB.astype(np.int64),
        RGB[..., :2],
        RGB[0, 0],
        np.zeros((2, 2, 3), bool),
        7,
        None,
        Path("/no"),
    ],
)
def test_what_cannot_be_an_image_is_refused_before_it_is_sent(given):
    with pytest.raises(NotAnImage):
        to_bytes_or_url(given)


def test_a_result_comes_out_as_file_pillow_image_and_array(tmp_path):
    image = to_bytes_or_url(RGB)
    edit = Edit(job_id="j", image=image, pipeline_used="simple", models_used=[], processing_time_ms=1, metadata={})
    assert edit.save(tmp_path / "out.png").read_bytes() == image
    assert np.array_equal(edit.array(), RGB)
    assert edit.pillow().size == (3, 2)
