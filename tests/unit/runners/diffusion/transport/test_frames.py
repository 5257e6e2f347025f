from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runners.diffusion.transport.frames import Frame, FrameDecoder, FrameError, FrameKind, decode_single, encode_frame

headers = st.dictionaries(
    st.text(max_size=8),
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20),
    max_size=4,
)
arrays = st.dictionaries(
    st.text(max_size=8), hnp.arrays(np.uint8, hnp.array_shapes(max_dims=4, max_side=6, min_side=0)), max_size=3
)
frames = st.builds(
    lambda kind, header, arrays: Frame(kind=kind, header=header, arrays=arrays),
    st.sampled_from(FrameKind),
    headers,
    arrays,
)


def same(one: Frame, other: Frame) -> bool:
    return (
        one.kind is other.kind
        and dict(one.header) == dict(other.header)
        and list(one.arrays) == list(other.arrays)
        and all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)
        and all(one.arrays[name].shape == other.arrays[name].shape for name in one.arrays)
    )


@given(sent=st.lists(frames, max_size=5), data=st.data())
def test_frames_survive_any_cutting_into_chunks(sent, data):
    stream = b"".join(encode_frame(frame) for frame in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    decoder, got = FrameDecoder(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += decoder.feed(stream[start:end])
    decoder.close()
    assert len(got) == len(sent)
    assert all(same(one, other) for one, other in zip(sent, got, strict=True))


@given(frame=frames, data=st.data())
def test_a_stream_that_stops_inside_a_frame_is_an_error(frame, data):
    stream = encode_frame(frame)
    decoder = FrameDecoder()
    decoder.feed(stream[: data.draw(st.integers(1, len(stream) - 1))])
    with pytest.raises(FrameError, match="into a frame"):
        decoder.close()


@given(noise=st.binary(min_size=13, max_size=200))
def test_bytes_that_are_no_frame_are_refused_and_nothing_else_is_raised(noise):
    with pytest.raises(FrameError):
        FrameDecoder().feed(noise)


@given(frame=frames, position=st.integers(0, 2**16), value=st.integers(0, 255))
def test_a_damaged_frame_is_read_or_refused_but_never_crashes(frame, position, value):
    stream = bytearray(encode_frame(frame))
    stream[position % len(stream)] = value
    try:
        FrameDecoder().feed(bytes(stream))
    except FrameError:
        return


def test_an_announced_size_over_the_limit_is_refused_before_it_is_read():
    start = bytearray(encode_frame(Frame(kind=FrameKind.ALIVE))[:13])
    start[9:13] = (2**30).to_bytes(4, "big")
    with pytest.raises(FrameError, match="announces"):
        FrameDecoder().feed(bytes(start))


def test_only_bytes_can_be_sent():
    with pytest.raises(FrameError, match="float"):
        encode_frame(Frame(kind=FrameKind.RESULT, arrays={"image": np.zeros((2, 2))}))  # type: ignore[dict-item]


def test_two_frames_are_not_a_single_one():
    frame = encode_frame(Frame(kind=FrameKind.ALIVE))
    with pytest.raises(FrameError, match="one frame"):
        decode_single(frame + frame)


def test_an_array_that_claims_more_than_the_body_holds_is_refused():
    header = json.dumps({"fields": {}, "arrays": [{"name": "image", "shape": [9, 9]}]}).encode()
    data = b"ICF1" + bytes([FrameKind.RESULT]) + len(header).to_bytes(4, "big") + (4).to_bytes(4, "big")
    with pytest.raises(FrameError):
        FrameDecoder().feed(data + header + b"abcd")


def test_results_and_errors_end_a_stream_and_nothing_else_does():
    assert {kind for kind in FrameKind if kind.terminal} == {FrameKind.RESULT, FrameKind.ERROR}
