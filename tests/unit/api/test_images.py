from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.images import decode_base64, is_url, naming
from composition.errors import InvalidInput, UnprocessableImage


@given(data=st.binary(min_size=1), prefix=st.sampled_from(["", "data:image/png;base64,", "DATA:;Base64,"]))
def test_base64_is_decoded_with_and_without_a_data_url(data: bytes, prefix: str):
    assert decode_base64(prefix + base64.b64encode(data).decode()) == data


@given(data=st.binary(min_size=60, max_size=200))
def test_line_breaks_and_spaces_in_base64_are_ignored(data: bytes):
    wrapped = base64.encodebytes(data).decode().replace("\n", " \r\n\t")
    assert decode_base64(f"  data:image/png;charset=utf-8;base64,\n{wrapped}") == data


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "=",
        "a",
        "abc",
        "aGk",
        "aGk=aGk=",
        "aGk*",
        "a-_k",
        "\u00e4\u00f6\u00fc=",
        "data:image/png,aGk=",
        "data:image/png;base64",
        "data:image/png;base64,",
        "data:" + "x" * 500 + ";base64,aGk=",
        "image/png;base64,aGk=",
    ],
)
def test_what_is_not_base64_is_refused(text: str):
    with pytest.raises(InvalidInput):
        decode_base64(text)


@pytest.mark.parametrize(
    "text", ["http://a/x", "HTTPS://a/x", " https://a", "ftp://a", "file:///etc/passwd", "s3://b/k"]
)
def test_what_names_a_place_is_a_url(text: str):
    assert is_url(text)


@pytest.mark.parametrize("text", ["aGk=", "data:image/png;base64,aGk=", "//8=", "http:/a", "http"])
def test_what_carries_the_picture_is_not_a_url(text: str):
    assert not is_url(text)


def test_an_error_names_its_field():
    with pytest.raises(UnprocessableImage) as caught, naming("mask_image"):
        raise UnprocessableImage("is animated", details={"frames": 2})
    assert caught.value.message == "mask_image: is animated"
    assert caught.value.details == {"frames": 2, "field": "mask_image"}
