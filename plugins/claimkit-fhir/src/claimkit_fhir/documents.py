"""Bytes to JSON objects: one document, or one object per line (NDJSON).

Which of the two a file is shows in its first lines: where the first is a whole object, or the second
is, there is one per line. Lines are read one at a time, so memory is that of the longest; a
document is read as a whole, so its size is limited.
"""

from __future__ import annotations

import json
from collections import deque
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from claimkit.errors import FileRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_DOCUMENT", "Documents", "Parsed"]

#: Bytes of a document, and of a line of NDJSON.
MAX_DOCUMENT = 16 << 20
_CHUNK = 1 << 20
_BOM = b"\xef\xbb\xbf"


class Parsed(NamedTuple):
    """One JSON value of the file."""

    #: Physical line, 1-based; 0 where the file is one document.
    line: int
    #: None where the line is no JSON, and ``error`` says why.
    value: Any
    #: Code of the problem, ``""`` if there is none.
    error: str = ""


class Documents:
    """The JSON values of one file.

    Attributes:
        bytes_read: Bytes of the stream consumed so far.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.bytes_read = 0

    def __iter__(self) -> Iterator[Parsed]:
        """Yield each value of the file.

        Raises:
            FileRefused: empty, a document that is no JSON or too large; before the first value.
        """
        lines = self._lines()
        first: list[tuple[int, bytes | None]] = []
        for number, line in lines:
            first.append((number, line))
            if len(first) == 2:
                break
        if not first:
            raise FileRefused(
                "the file is empty", remedy="Ask the sender for it again", code="file_empty"
            )
        parsed = [_parsed(*one) for one in first]
        if len(parsed) == 1 and not parsed[0].error:
            yield parsed[0]._replace(line=0)
        elif any(isinstance(one.value, dict) for one in parsed):
            yield from parsed
            for one in lines:
                yield _parsed(*one)
        else:
            yield Parsed(0, self._whole(first, lines))

    def _whole(
        self, first: list[tuple[int, bytes | None]], lines: Iterator[tuple[int, bytes | None]]
    ) -> Any:
        """Return the document that the file is."""
        parts = [line or b"" for _, line in first]
        while self.bytes_read <= MAX_DOCUMENT and (more := next(lines, None)) is not None:
            parts.append(more[1] or b"")
        if self.bytes_read > MAX_DOCUMENT:
            raise FileRefused(
                f"this JSON document is larger than {MAX_DOCUMENT >> 20} MiB",
                remedy="Ask the sender for NDJSON, one resource per line, or for smaller Bundles",
                code="file_too_large",
            )
        found = _parsed(0, b"\n".join(parts))
        if found.error:
            raise FileRefused(
                "this is not a JSON document, or it is cut off",
                remedy="Ask the sender for the whole FHIR file: a resource, a Bundle or NDJSON",
            )
        return found.value

    def _lines(self) -> Iterator[tuple[int, bytes | None]]:
        """Yield number and bytes of each line that is not blank; None for one too long to keep."""
        number, parts, size = 1, deque[bytes](), 0
        while chunk := self._stream.read(_CHUNK):
            if not self.bytes_read:
                chunk = self._without_mark(chunk)
            self.bytes_read += len(chunk)
            *whole, rest = chunk.split(b"\n")
            for piece in whole:
                if size + len(piece) > MAX_DOCUMENT:
                    yield number, None
                elif line := b"".join((*parts, piece)).strip():
                    yield number, line
                parts.clear()
                number, size = number + 1, 0
            size += len(rest)
            if size > MAX_DOCUMENT:
                parts.clear()
            else:
                parts.append(rest)
        if size > MAX_DOCUMENT:
            yield number, None
        elif line := b"".join(parts).strip():
            yield number, line

    def _without_mark(self, chunk: bytes) -> bytes:
        """Return the first chunk without a byte order mark, however little of it came at once."""
        while len(chunk) < len(_BOM) and _BOM.startswith(chunk):
            more = self._stream.read(_CHUNK)
            if not more:
                break
            chunk += more
        if not chunk.startswith(_BOM):
            return chunk
        self.bytes_read += len(_BOM)
        return chunk[len(_BOM) :]


def _parsed(number: int, line: bytes | None) -> Parsed:
    if line is None:
        return Parsed(number, None, "resource_too_long")
    try:
        return Parsed(number, _DECODE(line.decode("utf-8")))
    except (ValueError, RecursionError):
        return Parsed(number, None, "json_invalid")


#: In place of a number that is none, so that it costs its resource and not the Bundle around it.
_NO_NUMBER = object()


def _decimal(text: str) -> object:
    try:
        return Decimal(text)
    except InvalidOperation:
        return _NO_NUMBER


def _integer(text: str) -> object:
    try:
        return int(text)
    except ValueError:
        return _NO_NUMBER


_DECODE = json.JSONDecoder(
    parse_float=_decimal,
    parse_int=_integer,
    parse_constant=lambda _: _NO_NUMBER,
    strict=False,
).decode
