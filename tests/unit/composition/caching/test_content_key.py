from __future__ import annotations

import numpy as np

from composition.caching.content_key import THREADED_DIGEST_BYTES, content_key, content_key_off_loop
from tests.fakes.fake_detector import detection


def test_parts_that_read_alike_have_keys_of_their_own():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    keys = [
        content_key("pose", image),
        content_key("depth", image),
        content_key("pose", image.reshape(4, 2, 3)),
        content_key("pose", image[..., 0]),
        content_key("pose", image.astype(np.uint16)),
        content_key("pose", image + np.uint8(1)),
        content_key("po", "se", image),
        content_key("pose", image, ""),
        content_key("pose", image, "a", "bc"),
        content_key("pose", image, "ab", "c"),
        content_key("pose", image, ()),
        content_key("pose", image, "()"),
        content_key("pose", image, (detection("car", 0, 0, 5, 5),)),
        content_key("pose", image, (detection("car", 0, 0, 5, 6),)),
    ]
    assert len(set(keys)) == len(keys)


def test_a_view_has_the_key_of_its_copy():
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    view = image[::2, ::-1]
    assert content_key("depth", view) == content_key("depth", view.copy())


async def test_a_large_image_has_the_same_key_in_a_thread():
    image = np.zeros((700, 700, 3), np.uint8)
    assert image.nbytes > THREADED_DIGEST_BYTES
    before = await content_key_off_loop("depth", image)
    assert before == content_key("depth", image.copy())
    image[-1, -1, -1] = 1
    assert before != await content_key_off_loop("depth", image)


def test_a_value_depends_on_every_byte_shape_and_border_of_its_parts():
    image = np.zeros((2, 3), np.uint8)
    keys = {
        content_key("ab", "c"),
        content_key("a", "bc"),
        content_key("abc"),
        content_key(image),
        content_key(image.T),
        content_key(image + 1),
        content_key(image, b""),
    }
    assert len(keys) == 7
    assert content_key(image) == content_key(np.asfortranarray(image))
