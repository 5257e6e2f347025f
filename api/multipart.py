"""multipart/form-data, read while it arrives: request's body -> **parts** -> schema.

The one reader for every route that takes a form. It is given the names that a form may have; what is unknown, too large
or too much is refused where it is found, without reading on. A file is in memory once, or goes to a sink as it comes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers
from starlette.requests import Request

from api.bodies import pieces_of
from api.errors import about_field
from composition.errors import CompositionError, InvalidInput, PayloadTooLarge
from composition.ports.network import Sink

MEDIA_TYPE = "multipart/form-data"
MAX_HEADERS = 8
MAX_HEADER_BYTES = 4096
MAX_BOUNDARY_BYTES = 70
"""RFC 2046."""


@dataclass(frozen=True, kw_only=True)
class FormLimits:
    """What a route's forms may have.

    Attributes:
        files: names of the parts that may be files.
        texts: names of the others.
        max_total_bytes: of the whole body.
        max_file_bytes: of each part that may be a file.
        max_text_bytes: of each of the others.
        max_parts: how many parts.
    """

    files: frozenset[str]
    texts: frozenset[str]
    max_total_bytes: int
    max_file_bytes: int
    max_text_bytes: int = 64 * 1024
    max_parts: int = 64


@dataclass(frozen=True, kw_only=True)
class Upload:
    """The bytes of a file that was sent as such, none of one that went to a sink; `filename` as the sender says it."""

    data: bytes
    filename: str = field(default="", compare=False)

    def __repr__(self) -> str:
        return f"Upload({len(self.data)} bytes)"


Form: TypeAlias = Mapping[str, Sequence[str | Upload]]
"""Every part by its name, in the order of the body; only names of `FormLimits.files` have uploads."""


class RefusedForm(Exception):
    """A form that is not read on.

    Attributes:
        error: what to answer.
        complete: whether the body was read to its end.
    """

    def __init__(self, error: CompositionError, *, complete: bool) -> None:
        super().__init__(error.message)
        self.error = error
        self.complete = complete


def is_form(request: Request) -> bool:
    """Whether a request says that its body is one."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == MEDIA_TYPE


async def read_form(request: Request, limits: FormLimits, *, into: Sink | None = None) -> Form:
    """Read a request's body as a form.

    With `into` there may be one file, which goes there.

    Raises:
        RefusedForm: with InvalidInput (malformed, an unknown name, text that is not UTF-8) or PayloadTooLarge, or what
            the sink raises.
    """
    complete = False
    try:
        reading = _Reading(_boundary_of(request.headers), limits, into)
        async for piece in pieces_of(request):
            reading.feed(piece)
            if into is not None:
                await into.drain()
        complete = True
        form = reading.finish()
        if into is not None:
            await into.drain(finish=True)
        return form
    except CompositionError as error:
        raise RefusedForm(error, complete=complete) from error


def _boundary_of(headers: Headers) -> bytes:
    _, options = parse_options_header(headers.get("content-type"))
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= MAX_BOUNDARY_BYTES:
        raise InvalidInput(f"body: {MEDIA_TYPE} needs a boundary of 1 to {MAX_BOUNDARY_BYTES} characters")
    return boundary


class _Reading:
    """A form as far as it has been read."""

    def __init__(self, boundary: bytes, limits: FormLimits, into: Sink | None) -> None:
        self._limits = limits
        self._into = into
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._add_to_header_name,
                "on_header_value": self._add_to_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._name_part,
                "on_part_data": self._add,
                "on_part_end": self._end,
                "on_end": self._close,
            },
            max_header_count=MAX_HEADERS,
            max_header_size=MAX_HEADER_BYTES,
        )
        self._delimiter = b"\r\n--" + boundary
        self._delimiters = self._parts = self._total_bytes = 0
        self._closed = False
        self._form: dict[str, list[str | Upload]] = {}
        self._begin_header()

    def feed(self, piece: bytes) -> None:
        self._total_bytes += len(piece)
        if self._total_bytes > self._limits.max_total_bytes:
            raise too_large("the form", self._limits.max_total_bytes)
        # Where the delimiter stands in a file without ending it, the parser is slow: that is no form.
        self._delimiters += piece.count(self._delimiter)
        if self._delimiters > self._limits.max_parts:
            raise self._too_many()
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise InvalidInput(f"body: is not valid {MEDIA_TYPE}") from error

    def finish(self) -> Form:
        if not self._closed:
            raise InvalidInput(f"body: is not valid {MEDIA_TYPE}: its closing delimiter is missing")
        return self._form

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > self._limits.max_parts:
            raise self._too_many()
        self._headers: dict[bytes, bytes] = {}
        self._data = io.BytesIO()
        self._received_bytes = 0

    def _begin_header(self) -> None:
        self._header_name, self._header_value = bytearray(), bytearray()

    def _add_to_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _add_to_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value)
        self._begin_header()

    def _name_part(self) -> None:
        disposition, options = parse_options_header(self._headers.get(b"content-disposition"))
        if disposition != b"form-data" or b"name" not in options:
            raise InvalidInput("body: a part has no name (Content-Disposition: form-data; name=...)")
        encoding = self._headers.get(b"content-transfer-encoding", b"binary").strip().lower()
        self._name = options[b"name"].decode("utf-8", "replace")
        self._filename = options.get(b"filename")
        if self._name not in self._limits.files | self._limits.texts:
            raise about_field(self._name, "is not a known field", "extra_forbidden")
        if encoding not in (b"binary", b"8bit", b"7bit"):
            raise about_field(self._name, "has a Content-Transfer-Encoding: send the bytes as they are", "encoding")
        self._streams = self._into is not None and self._is_file()
        if self._streams and any(isinstance(value, Upload) for values in self._form.values() for value in values):
            raise about_field(self._name, "is a second file, and only one is taken", "repeated")

    def _add(self, data: bytes, start: int, end: int) -> None:
        limits = self._limits
        max_bytes = limits.max_file_bytes if self._name in limits.files else limits.max_text_bytes
        self._received_bytes += end - start
        if self._received_bytes > max_bytes:
            raise too_large(self._name, max_bytes)
        target = self._into if self._streams and self._into is not None else self._data
        target.write(memoryview(data)[start:end])

    def _end(self) -> None:
        data = self._data.getvalue()
        values = self._form.setdefault(self._name, [])
        if not self._is_file():
            try:
                values.append(data.decode())
            except UnicodeDecodeError as error:
                raise about_field(self._name, "is not UTF-8", "string_unicode") from error
        elif self._received_bytes or self._filename:  # a browser's field without a chosen file is empty, without a name
            values.append(Upload(data=data, filename=(self._filename or b"").decode("utf-8", "replace")))

    def _is_file(self) -> bool:
        return self._filename is not None and self._name in self._limits.files

    def _close(self) -> None:
        self._closed = True

    def _too_many(self) -> CompositionError:
        return PayloadTooLarge(
            f"the form has more than {self._limits.max_parts} parts", details={"max_parts": self._limits.max_parts}
        )


def too_large(what: str, max_bytes: int) -> PayloadTooLarge:
    """The error for a body, or a field of it, of more bytes than are taken."""
    size = f"{max_bytes / 2**20:g} MB" if max_bytes >= 2**20 else f"{max_bytes / 2**10:g} KB"
    return PayloadTooLarge(f"{what} is larger than {size}", details={"max_bytes": max_bytes})
