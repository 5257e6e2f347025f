from __future__ import annotations

import base64
import tracemalloc
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.images import decode_inline, is_url, naming
from composition.errors import InvalidInput, UnprocessableImage

PREFIXES = st.sampled_from(["", "data:image/png;base64,", "DATA:;Base64,", "data:image/png;charset=utf-8; base64,"])


@given(data=st.binary(min_size=1), prefix=PREFIXES, safe=st.booleans(), padded=st.booleans())
def test_base64_of_either_alphabet_is_decoded_padded_or_not(data: bytes, prefix: str, safe: bool, padded: bool):
    text = (base64.urlsafe_b64encode if safe else base64.b64encode)(data).decode()
    assert decode_inline(prefix + (text if padded else text.rstrip("="))) == data


@given(data=st.binary(min_size=60, max_size=200))
def test_line_breaks_and_spaces_in_base64_are_ignored(data: bytes):
    wrapped = base64.encodebytes(data).decode().replace("\n", " \r\n\t")
    assert decode_inline(f"  data:image/png;charset=utf-8;base64,\n{wrapped}") == data


@given(data=st.binary(min_size=1, max_size=200))
def test_a_percent_encoded_data_url_is_decoded(data: bytes):
    assert decode_inline("data:image/png," + quote_from_bytes(data)) == data
    assert decode_inline("data:," + "".join(f"%{byte:02x}" for byte in data)) == data


@given(data=st.binary(min_size=1, max_size=200))
def test_base64_in_a_data_url_may_be_percent_encoded(data: bytes):
    text = base64.b64encode(data).decode().replace("+", "%2B").replace("/", "%2f").replace("=", "%3D")
    assert decode_inline("data:image/png;base64," + text) == data


def test_the_example_of_a_png_signature():
    assert decode_inline("data:image/png,%89PNG%0D%0A%1A%0A") == b"\x89PNG\r\n\x1a\n"


def test_what_is_no_escape_stays():
    assert decode_inline("data:image/png,%%41%4%zz%4G100%") == b"%A%4%zz%4G100%"


@pytest.mark.parametrize("before", range(4))
def test_an_escape_is_decoded_wherever_it_lies(before: int):
    plain = "x" * (2**20 - before)
    assert decode_inline(f"data:image/png,{plain}%41y").decode() == f"{plain}Ay"


def test_a_body_full_of_escapes_costs_little_more_than_its_size():
    text = "data:image/png," + "%41" * 2_000_000
    tracemalloc.start()
    try:
        assert decode_inline(text) == b"A" * 2_000_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * len(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "=",
        "a",
        "abcde",
        "aGk===",
        "aGk=aGk=",
        "aGk*",
        "aGk%3D",
        "\u00e4\u00f6\u00fc=",
        "data:image/png,",
        "data:image/png;base64",
        "data:image/png;base64,",
        "data:image/png;base64,%",
        "data:" + "x" * 500 + ";base64,aGk=",
        "image/png;base64,aGk=",
    ],
)
def test_what_carries_nothing_is_refused(text: str):
    with pytest.raises(InvalidInput):
        decode_inline(text)


@pytest.mark.parametrize(
    "text", ["http://a/x", "HTTPS://a/x", " https://a", "ftp://a", "file:///etc/passwd", "s3://b/k"]
)
def test_what_names_a_place_is_a_url(text: str):
    assert is_url(text)


@pytest.mark.parametrize("text", ["aGk=", "data:image/png;base64,aGk=", "//8=", "http:/a", "http"])
def test_what_carries_the_image_is_not_a_url(text: str):
    assert not is_url(text)


def test_an_error_names_its_field():
    with pytest.raises(UnprocessableImage) as caught, naming("mask_image"):
        raise UnprocessableImage("is animated", details={"frames": 2})
    assert caught.value.message == "mask_image: is animated"
    assert caught.value.details == {"frames": 2, "field": "mask_image"}
