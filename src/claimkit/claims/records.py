"""The bytes of a CSV as rows with physical line numbers, in constant memory.

Hides encodings, line ends and broken quotes. Nothing of the file is needed in advance: each piece
is UTF-8, or else its lines are decoded one by one, so that a cp1252 name on row 900,000 costs
nothing before it. A quote that never closes costs its own line and no other.
"""

from __future__ import annotations

import codecs
import csv
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

__all__ = ["MAX_RECORD", "MAX_SPAN", "Readable", "Records", "TextLines", "split_rows"]

#: Longest row in characters; more is one broken row, not memory.
MAX_RECORD = 131_072
#: Most physical lines that one quoted row may span.
MAX_SPAN = 100
_CHUNK = 1 << 18
#: Bytes without a line's end that hold more than MAX_RECORD characters in any encoding.
_OVERLONG = 4 * (MAX_RECORD + 1)

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class Readable(Protocol):
    """As much of a binary stream as reading needs."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, none at the end."""
        ...


class TextLines:
    """Decodes a stream into blocks of physical lines.

    Attributes:
        head: The first bytes, for a look at signatures.
        encoding: ``utf-8``, ``utf-16-le`` or ``utf-16-be``.
        fallback_line: First physical line that was not UTF-8 and was read as cp1252, else 0.
        bytes_read: Bytes taken from the stream so far.
    """

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.encoding = "utf-8"
        self.fallback_line = 0
        self.bytes_read = 0
        self._lines = 0
        self.head = self._read()

    def blocks(self) -> Iterator[list[str]]:
        """Yield lists of lines without their ends (LF, CRLF, CR, also mixed)."""
        head = self.head
        for bom, encoding in _BOMS:
            if head.startswith(bom):
                self.encoding, head = encoding, head[len(bom) :]
                break
        else:
            self.encoding = _bare_utf16(head) or "utf-8"
        pieces = self._utf8(head) if self.encoding == "utf-8" else self._utf16(head)
        for text in pieces:
            lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
            if lines[-1] == "":
                lines.pop()
            self._lines += len(lines)
            yield lines

    def _read(self) -> bytes:
        data = self._stream.read(_CHUNK)
        self.bytes_read += len(data)
        return data

    def _utf8(self, data: bytes) -> Iterator[str]:
        """Yield pieces that end at a line's end, cutting what is longer than any row may be."""
        overlong = False
        while data:
            more = self._read()
            if not more:
                break
            end = _last_line_end(data)
            if end and not overlong:
                yield self._decode(data[:end])
                data = data[end:] + more
            elif end:
                first = _first_line_end(data)
                yield self._decode(data[first:end]) if end > first else ""
                overlong, data = False, data[end:] + more
            elif len(data) > _OVERLONG:
                if not overlong:
                    yield data[:_OVERLONG].decode("utf-8", errors="replace") + "\n"
                    overlong = True
                data = data[-1:] + more
            else:
                data += more
        if overlong:
            data = data[_first_line_end(data) or len(data) :]
        if data:
            yield self._decode(data)

    def _decode(self, data: bytes) -> str:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return "".join(map(self._decode_line, self._numbered(data)))

    def _numbered(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        return enumerate(data.splitlines(keepends=True), start=self._lines + 1)

    def _decode_line(self, numbered: tuple[int, bytes]) -> str:
        number, line = numbered
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError:
            self.fallback_line = self.fallback_line or number
            return line.decode("cp1252", errors="replace")

    def _utf16(self, data: bytes) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder(self.encoding)(errors="replace")
        text = ""
        overlong = False
        while data:
            text += decoder.decode(data)
            data = self._read()
            end = max(text.rfind("\n"), text.rfind("\r", 0, -1)) + 1
            if end:
                start = _text_line_end(text) if overlong else 0
                if end > start:
                    yield text[start:end]
                text, overlong = text[end:], False
            elif len(text) > 2 * MAX_RECORD:
                if not overlong:
                    yield text[: 2 * MAX_RECORD] + "\n"
                text, overlong = text[-1:], True
        text += decoder.decode(b"", final=True)
        if overlong:
            text = text[_text_line_end(text) or len(text) :]
        if text:
            yield text


def _bare_utf16(head: bytes) -> str:
    """Return the UTF-16 flavor of a head without BOM, judged by where its NULs are."""
    sample = head[:2_000]
    if len(sample) < 4:
        return ""
    if sample[1::2].count(0) > 0.4 * len(sample) / 2 and not sample[0::2].count(0):
        return "utf-16-le"
    if sample[0::2].count(0) > 0.4 * len(sample) / 2 and not sample[1::2].count(0):
        return "utf-16-be"
    return ""


def _last_line_end(data: bytes) -> int:
    # A CR at the very end may be the first half of a CRLF: leave it to the next piece.
    return max(data.rfind(b"\n"), data.rfind(b"\r", 0, len(data) - 1)) + 1


def _first_line_end(data: bytes) -> int:
    ends = [at for at in (data.find(b"\n"), data.find(b"\r")) if at >= 0]
    if not ends:
        return 0
    at = min(ends)
    return at + (2 if data[at : at + 2] == b"\r\n" else 1)


def _text_line_end(text: str) -> int:
    ends = [at for at in (text.find("\n"), text.find("\r")) if at >= 0]
    if not ends:
        return 0
    at = min(ends)
    return at + (2 if text[at : at + 2] == "\r\n" else 1)


class Records:
    """Splits blocks of lines into rows of cells.

    Args:
        blocks: Lists of physical lines.
        delimiter: One of ``, ; TAB |``.
        width: Cells of a whole row; a row over several lines must have as many, or its quote
            counts as unclosed. 0 accepts any.
        on_broken: Told of rows that cannot be split: line number, code, text.
        first_line: Physical number of the first line.
    """

    def __init__(
        self,
        blocks: Iterator[list[str]],
        *,
        delimiter: str,
        width: int,
        on_broken: Callable[[int, str, str], None],
        first_line: int = 1,
    ) -> None:
        self._blocks = blocks
        self._delimiter = delimiter
        self.width = width
        self._on_broken = on_broken
        self._number = first_line

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        for number, rows in self.pieces():
            yield from enumerate(rows, start=number)

    def pieces(self) -> Iterator[tuple[int, list[list[str]]]]:
        """Yield rows on consecutive lines, with the number of the first line.

        A block in which every line is a whole row comes in one piece; of others, each row.
        """
        held: list[str] = []
        for block in self._blocks:
            lines = held + block if held else block
            rows = self._line_by_line(lines)
            if rows is None:
                done = yield from self._rows(lines, last=False)
            else:
                done = len(lines)
                yield self._number, rows
            held = lines[done:]
            self._number += done
        yield from self._rows(held, last=True)

    def _line_by_line(self, lines: list[str]) -> list[list[str]] | None:
        """Return one row per line, None where some line is not just a row."""
        text = "".join(lines)
        if "\0" in text or not lines or max(map(len, lines)) > MAX_RECORD:
            return None
        delimiter = self._delimiter
        if '"' not in text:
            return [line.split(delimiter) for line in lines]
        quoted = [line for line in lines if '"' in line]
        try:
            parsed = list(csv.reader(quoted, delimiter=delimiter, strict=True))
        except csv.Error:
            return None
        if len(parsed) != len(quoted):
            return None
        rows = iter(parsed)
        return [next(rows) if '"' in line else line.split(delimiter) for line in lines]

    def _rows(
        self, lines: list[str], *, last: bool
    ) -> Generator[tuple[int, list[list[str]]], None, int]:
        """Yield the rows of ``lines``; return how many lines are done with."""
        number, count = self._number, len(lines)
        at = 0
        while at < count:
            whole = list(self._whole_rows(lines[at:]))
            if whole:
                yield number + at, whole
                at += len(whole)
                continue
            line = lines[at]
            if len(line) > MAX_RECORD:
                self._on_broken(number + at, "row_too_long", line)
            elif "\0" in line:
                self._on_broken(number + at, "nul_byte", line)
            else:
                if not last and at + MAX_SPAN > count:
                    return at
                row, span = self._quoted(lines, at)
                if row is None:
                    self._on_broken(number + at, "quote_unclosed", line)
                elif span > 1 and any("\0" in cell for cell in row):
                    self._on_broken(number + at, "nul_byte", line)
                else:
                    yield number + at, [row]
                at += span
                continue
            at += 1
        return at

    def _whole_rows(self, lines: list[str]) -> Iterator[list[str]]:
        """Yield rows up to the first line that is not just one."""
        for line in lines:
            if len(line) > MAX_RECORD or "\0" in line:
                return
            if '"' not in line:
                yield line.split(self._delimiter)
                continue
            try:
                yield next(csv.reader((line,), delimiter=self._delimiter, strict=True))
            except csv.Error:
                return

    def _quoted(self, lines: list[str], at: int) -> tuple[list[str] | None, int]:
        """Return the row that starts at ``lines[at]``, and ends elsewhere or badly, and its lines."""
        line = lines[at]
        if line.count('"') % 2 == 0:
            # Text after a closing quote ("BLUE" LAKE): usable when the cells still fit.
            row = next(csv.reader((line,), delimiter=self._delimiter))
            if not self.width or len(row) == self.width:
                return row, 1
        taken = _bounded(lines[at : at + MAX_SPAN])
        reader = csv.reader(taken, delimiter=self._delimiter, strict=True)
        try:
            row = next(reader)
        except (csv.Error, StopIteration):
            return None, 1
        if self.width and len(row) != self.width:
            return None, 1
        return row, reader.line_num


def _bounded(lines: Sequence[str]) -> list[str]:
    """Return the lines, with their ends, up to the length of the longest row allowed."""
    taken, room = [], MAX_RECORD
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        taken.append(f"{line}\n")
    return taken


def split_rows(lines: list[str], delimiter: str) -> list[tuple[int, list[str]]]:
    """Split a few lines for a look at them; rows that cannot be split are left out."""
    ignore: Callable[[int, str, str], None] = lambda number, code, text: None  # noqa: ARG005, E731
    return list(Records(iter([lines]), delimiter=delimiter, width=0, on_broken=ignore))
