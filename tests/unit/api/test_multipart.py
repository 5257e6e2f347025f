"""The reader of forms, piece by piece: what it takes, and how early it refuses the rest."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator

import pytest
from starlette.requests import Request
from starlette.types import Message

from api.multipart import Form, FormLimits, RefusedForm, Upload, read_form

BOUNDARY = "frontier"
LIMITS = FormLimits(
    files=frozenset({"photo"}),
    texts=frozenset({"prompt"}),
    max_total_bytes=100_000,
    max_file_bytes=50_000,
    max_text_bytes=1_000,
    max_parts=4,
)


def part(name: str, data: bytes, *, filename: str | None = None, headers: str = "") -> bytes:
    named = f'; filename="{filename}"' if filename is not None else ""
    return (
        f'--frontier\r\nContent-Disposition: form-data; name="{name}"{named}\r\n{headers}\r\n'.encode() + data + b"\r\n"
    )


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--frontier--\r\n"


class Body:
    """A request's body in pieces; `taken` counts those that were asked for."""

    def __init__(self, pieces: Iterable[bytes], *, ends: bool = True) -> None:
        self._pieces = iter(pieces)
        self._ends = ends
        self.taken = 0

    async def receive(self) -> Message:
        piece = next(self._pieces, None)
        if piece is None:
            return {"type": "http.request", "body": b""} if self._ends else {"type": "http.disconnect"}
        self.taken += 1
        return {"type": "http.request", "body": piece, "more_body": True}


async def read(body: Body, content_type: str = f"multipart/form-data; boundary={BOUNDARY}") -> Form:
    headers = [(b"content-type", content_type.encode())]
    return await read_form(Request({"type": "http", "headers": headers}, body.receive), LIMITS)


async def refused(body: Body, content_type: str = f"multipart/form-data; boundary={BOUNDARY}") -> RefusedForm:
    with pytest.raises(RefusedForm) as caught:
        await read(body, content_type)
    return caught.value


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


FILE = b"\x89PNG\r\n--front\r\n--frontie" + bytes(range(256))


@pytest.mark.parametrize("size", [1, 2, 7, 100, 100_000])
async def test_a_form_is_the_same_in_whatever_pieces_it_comes(size: int):
    data = form(part("prompt", "blåer car".encode()), part("photo", FILE, filename="car.png"))
    assert await read(Body(pieces(data, size))) == {"prompt": ["blåer car"], "photo": [Upload(data=FILE)]}


async def test_what_is_text_by_its_name_is_text_though_it_has_a_file_name():
    assert await read(Body([form(part("prompt", b"blue", filename="blob"))])) == {"prompt": ["blue"]}


async def test_an_image_without_a_file_name_is_text():
    assert await read(Body([form(part("photo", b"https://shop.example/car.png"))])) == {
        "photo": ["https://shop.example/car.png"]
    }


async def test_a_file_field_that_nothing_was_chosen_for_is_empty():
    assert await read(Body([form(part("photo", b"", filename=""), part("prompt", b"x"))])) == {
        "photo": [],
        "prompt": ["x"],
    }


async def test_repeated_parts_keep_their_order():
    data = form(part("photo", b"1", filename="a"), part("photo", b"2", filename="a"))
    assert await read(Body([data])) == {"photo": [Upload(data=b"1"), Upload(data=b"2")]}


def endless(first: bytes, then: bytes) -> Iterator[bytes]:
    yield first
    while True:
        yield then


HEAD = b'--frontier\r\nContent-Disposition: form-data; name="%s"; filename="x"\r\n'
EARLY = {
    "a file over its limit": (HEAD % b"photo" + b"\r\n", bytes(10_000), 7, 413, "photo is larger than 48.8281 KB"),
    "a text over its limit": (HEAD % b"prompt" + b"\r\n", bytes(600), 3, 413, "prompt is larger than 0.976562 KB"),
    "an unknown name": (HEAD % b"surprise" + b"\r\n", bytes(600), 1, 400, "surprise: is not a known field"),
    "too many parts": (b"", part("prompt", b"x"), 6, 413, "the form has more than 4 parts"),
    "a delimiter that ends nothing": (HEAD % b"photo" + b"\r\n", b"\r\n--frontier.", 6, 413, "more than 4 parts"),
    "a header over its limit": (HEAD % b"photo" + b"X: ", b"y" * 1000, 6, 400, "is not valid multipart/form-data"),
    "too many headers": (HEAD % b"photo", b"X: y\r\n", 9, 400, "is not valid multipart/form-data"),
    "no form at all": (b'{"prompt": 1}', b"x", 1, 400, "is not valid multipart/form-data"),
    "a preamble": (b"\r\n", b"\n" * 10_000, 11, 413, "the form is larger than 97.6562 KB"),
    "a part without a name": (b"--frontier\r\nA: b\r\n\r\n", b"x", 1, 400, "a part has no name"),
}


@pytest.mark.parametrize("case", EARLY)
async def test_what_is_refused_is_refused_where_it_is_found(case: str):
    first, then, taken, status, message = EARLY[case]
    body = Body(endless(first, then))
    refusal = await refused(body)
    assert (refusal.error.status, body.taken) == (status, taken)
    assert message in refusal.error.message
    assert not refusal.complete


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (form(part("prompt", b"x"))[:-6], "body: is not valid multipart/form-data: its closing delimiter is missing"),
        (b"", "body: is not valid multipart/form-data: its closing delimiter is missing"),
    ],
)
async def test_a_form_that_breaks_off_is_refused_once_it_is_read(data: bytes, message: str):
    refusal = await refused(Body([data]))
    assert (refusal.error.status, refusal.error.message, refusal.complete) == (400, message, True)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (part("prompt", b"\xff"), "prompt: is not UTF-8"),
        (
            part("photo", b"aGk=", filename="x", headers="Content-Transfer-Encoding: base64\r\n"),
            "photo: has a Content-Transfer-Encoding: send the bytes as they are",
        ),
    ],
)
async def test_bytes_that_are_not_what_they_should_be_are_refused_by_name(bad: bytes, message: str):
    error = (await refused(Body([form(bad)]))).error
    assert (error.status, error.message) == (400, message)


@pytest.mark.parametrize("content_type", ["multipart/form-data", f"multipart/form-data; boundary={'x' * 71}"])
async def test_a_form_without_a_usable_boundary_is_refused_unread(content_type: str):
    body = Body([form(part("prompt", b"x"))])
    assert (await refused(body, content_type)).error.message.endswith("needs a boundary of 1 to 70 characters")
    assert body.taken == 0


async def test_a_client_that_leaves_ends_the_reading():
    refusal = await refused(Body([HEAD % b"photo"], ends=False))
    assert (refusal.error.status, refusal.error.message) == (400, "the client has left")


async def test_a_large_file_is_in_memory_once():
    size = 2**25
    limits = FormLimits(files=LIMITS.files, texts=LIMITS.texts, max_total_bytes=2 * size, max_file_bytes=size)
    piece = bytes(2**16)

    def large() -> Iterator[bytes]:
        yield HEAD % b"photo" + b"\r\n"
        for _ in range(size // len(piece)):
            yield piece
        yield b"\r\n--frontier--"

    headers = [(b"content-type", b"multipart/form-data; boundary=frontier")]
    request = Request({"type": "http", "headers": headers}, Body(large()).receive)
    tracemalloc.start()
    try:
        (upload,) = (await read_form(request, limits))["photo"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(upload, Upload)
    assert len(upload.data) == size
    assert peak < 1.3 * size
