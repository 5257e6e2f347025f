from __future__ import annotations

import json
import math
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.json_reader import BLOCK_BYTES, LONG_CHARS, MAX_PARTS, MAX_REST_CHARS, JsonReader

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(
    LEAVES | st.text('ab\\/"\n\u00e9\U0001f600', max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('ab\\"', max_size=12), inner, max_size=4),
)
TEXTS = st.builds(
    lambda value, ascii, indent: json.dumps(value, ensure_ascii=ascii, indent=indent),
    VALUES,
    st.booleans(),
    st.sampled_from([None, 1]),
)
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32-be"])


def read(body: bytes, *, pieces: int = BLOCK_BYTES, long_chars: int = LONG_CHARS):
    reader = JsonReader(long_chars=long_chars)
    for at in range(0, len(body), pieces):
        reader.feed(body[at : at + pieces])
    return reader.value()


def outcome(parse, *args, **kwargs) -> str:
    """The value as text (NaN is not equal to itself), or that there is none."""
    try:
        return repr(parse(*args, **kwargs))
    except ValueError:
        return "refused"


@given(text=TEXTS, encoding=ENCODINGS, pieces=st.integers(1, 50))
def test_it_reads_what_the_standard_library_reads_however_it_is_cut(text: str, encoding: str, pieces: int):
    body = text.encode(encoding, "surrogatepass")
    assert outcome(read, body, pieces=pieces) == outcome(json.loads, body)


JUNK = st.sampled_from([b"", b'"', b"\\", b"\\u12", b"\xff", b"\xc3", b"\x00", b"[", b"}"])


@given(text=TEXTS, at=st.integers(0), junk=JUNK, pieces=st.integers(1, 9))
def test_it_refuses_what_the_standard_library_refuses(text: str, at: int, junk: bytes, pieces: int):
    body = text.encode()
    at %= len(body) + 1
    body = body[:at] + junk + body[at + 1 :]
    assert outcome(read, body, pieces=pieces) == outcome(json.loads, body)


ASCII = st.recursive(
    st.none() | st.text('ab\\/"\n\x7f', max_size=60),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('a\\"', max_size=12), inner, max_size=4),
)


@given(value=ASCII, pieces=st.integers(1, 50), slashes=st.booleans())
def test_long_strings_are_put_back_where_they_were(value: object, pieces: int, slashes: bool):
    text = json.dumps(value)
    body = (text.replace("/", "\\/").replace("a", "\\u0061") if slashes else text).encode()
    assert read(body, pieces=pieces, long_chars=6) == value


WRONG = st.sampled_from(['"', "\\", "\\u12", "\\x", "\n", "\\ud83d", "\\ud83d\\ude00"])


@given(junk=WRONG, at=st.integers(0, 40), pieces=st.integers(1, 30))
def test_what_is_wrong_with_a_long_string_is_found_wherever_it_lies(junk: str, at: int, pieces: int):
    inside = "a" * at + junk + "z" * (40 - at)
    with pytest.raises(json.JSONDecodeError):
        read(f'{{"key": "{inside}"}}'.encode(), pieces=pieces, long_chars=8)


def test_the_last_of_two_equal_keys_counts_long_or_not():
    long = "k" * 20
    assert read(f'{{"{long}": 1, "{long}": 2, "a": "{long}", "a": 3}}'.encode(), long_chars=8) == {long: 2, "a": 3}


def test_nan_and_infinity_are_left_to_the_validation():
    first, second = read(b"[NaN, -Infinity]")
    assert math.isnan(first)
    assert second == -math.inf


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[" + b"0," * MAX_PARTS + b"0]", f"more than {MAX_PARTS} parts"),
        (b'"" ' * 3 * MAX_PARTS, f"more than {MAX_PARTS} parts"),
        (b"[" * 9000, "too deeply nested"),
        (b'["' + b"a" * LONG_CHARS + b'", ' + b"[" * 9000 + b"]" * 9001, "too deeply nested"),
        (b" " * MAX_REST_CHARS + b"[]", f"more than {MAX_REST_CHARS} characters beside long strings"),
        (
            b'["' + "\u00e9".encode() * LONG_CHARS + b'"]',
            f"a string of more than {LONG_CHARS} characters that is not ASCII",
        ),
        (b'["\xff"]', "not UTF-8"),
    ],
)
def test_a_limit_says_which_it_is(body: bytes, message: str):
    with pytest.raises(json.JSONDecodeError) as caught:
        read(body)
    assert caught.value.msg == message


BODIES = {
    "base64": b"QUJD" * (4 * 2**20),
    "escaped slashes": b"\\/" * (8 * 2**20),
    "escaped letters": b"\\u0041" * (16 * 2**20 // 6),
    "backslashes": b"\\\\" * (8 * 2**20),
    "quotes": b'"' * (16 * 2**20),
    "spaces outside of strings": b'"' + b" " * (16 * 2**20) + b'"',
    "characters that are not ASCII": "\u00e9".encode() * (8 * 2**20),
}


@pytest.mark.parametrize("kind", BODIES)
def test_no_block_of_a_large_body_takes_a_large_part_of_its_time(kind: str):
    """The thread's own time, the best of three, as what else the machine does adds to it. Never all at once.

    What is short is measured by what this machine takes for a plain body of 16 MiB.
    """
    body, plain = (b'{"base_image": "' + BODIES[one] + b'"}' for one in (kind, "base64"))
    at_once, short = (min(thread_time(outcome, json.loads, one) for _ in range(3)) for one in (body, plain))
    longest = min(longest_block(body) for _ in range(3))
    assert longest < max(0.6 * at_once, 3.0 * short), (longest, at_once, short)


def longest_block(body: bytes) -> float:
    reader, longest = JsonReader(), 0.0
    for at in range(0, len(body), BLOCK_BYTES):
        longest = max(longest, thread_time(reader.feed, body[at : at + BLOCK_BYTES]))
    return max(longest, thread_time(outcome, reader.value))


def thread_time(work, *args) -> float:
    began_at = time.thread_time()
    work(*args)
    return time.thread_time() - began_at


def test_a_large_body_takes_little_more_than_twice_its_long_strings():
    body = b'{"base_image": "' + b"QUJD" * (4 * 2**20) + b'"}'
    tracemalloc.start()
    try:
        read(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2.3 * len(body)
