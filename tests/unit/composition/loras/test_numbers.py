"""No NaN and no infinity gets in, wherever in a file it is."""

from __future__ import annotations

import io

import numpy as np
import pytest

from composition.errors import UnusableLora
from composition.loras import numbers
from composition.loras.header import read_header
from composition.loras.numbers import check_numbers
from tests.unit.composition.loras.files import safetensors


def check(data: bytes) -> None:
    file = io.BytesIO(data)
    check_numbers(file, read_header(file, len(data)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 7, 11])
def test_what_is_no_number_is_found_in_every_format(dtype, value, place):
    array = np.full(12, np.finfo(dtype).max, dtype)
    check(safetensors({"first": array, "second": array}))
    array[place] = value
    with pytest.raises(UnusableLora, match="tensor second has a NaN or an infinity"):
        check(safetensors({"first": np.ones(3, dtype), "second": array}))


@pytest.mark.parametrize(("bits", "sound"), [(0x7F80, False), (0xFF80, False), (0x7FC1, False), (0x7F7F, True)])
def test_of_bfloat16_too(bits, sound):
    array = np.array([0x3F80, bits], np.uint16).view(np.float16)
    data = safetensors({"a": array}, a={"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]})
    if sound:
        check(data)
    else:
        with pytest.raises(UnusableLora, match="NaN"):
            check(data)


def test_a_tensor_of_many_blocks_is_read_to_its_end(monkeypatch):
    monkeypatch.setattr(numbers, "BLOCK_BYTES", 16)
    array = np.zeros(100, np.float32)
    array[99] = np.nan
    with pytest.raises(UnusableLora, match="NaN"):
        check(safetensors({"a": array}))


def test_a_whole_number_is_one():
    check(safetensors({"lora_unet_x.alpha": np.array(2**63 - 1, np.int64)}))
