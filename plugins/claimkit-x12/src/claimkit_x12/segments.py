"""Bytes to segments: interchanges, delimiters and streaming.

Hides how forgiving reading X12 has to be. Delimiters are taken from each ISA by position *and* by
counting its sixteen separators, because real files have interchange headers of 104 to 111 bytes,
wrapped lines, byte order marks and indented segments. A file may hold several interchanges with
different delimiters, or none at all (a fragment that begins with GS or ST). Memory stays constant:
the file is read in chunks of one mebibyte.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from claimkit.errors import FileRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Delimiters", "Segments", "looks_like_x12"]

_CHUNK = 1 << 20
#: No real segment is longer; more means that the terminator was not recognized.
MAX_SEGMENT = 1 << 16
#: How much must be at hand to take the delimiters from a header.
_HEADER = 512
_BLANKS = b" \t\r\n\x00\xef\xbb\xbf\x1a"
_START = re.compile(rb"(?:ISA|GS|ST)[^A-Za-z0-9\s]")
_ISA = re.compile(rb"ISA[^A-Za-z0-9\s]")
_NEWLINES = (10, 13)
#: Width of a well-formed ISA segment without its terminator.
_ISA_WIDTH = 105


@dataclass(frozen=True, slots=True)
class Delimiters:
    """Separators of one interchange."""

    element: str
    component: str
    segment: str
    #: Between repeated elements; ``""`` before version 00402.
    repetition: str = ""


def looks_like_x12(head: bytes) -> bool:
    """Whether the first bytes of a file open an interchange, a group or a transaction set."""
    start = head.lstrip(_BLANKS)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    if _ISA.match(start):
        return start[: _HEADER * 2].count(start[3:4]) >= 16
    return _START.match(start) is not None


class Segments:
    """The segments of a stream as lists of elements.

    Attributes:
        delimiters: Those of the interchange at hand.
        number: 1-based ordinal of the segment at hand.
        bytes_read: Bytes of the stream taken so far.
        notices: Codes and texts of what was odd about the envelope, to be taken by the reader.
        cut: Whether the stream ended inside a segment.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._buffer = b""
        self._ended = False
        self.delimiters = Delimiters("*", ":", "~")
        self.number = 0
        self.bytes_read = 0
        self.notices: list[tuple[str, str]] = []
        self.cut = False

    def __iter__(self) -> Iterator[list[str]]:
        self._fill(_HEADER * 4)
        self._buffer = self._buffer.lstrip(_BLANKS)
        if not self._buffer:
            raise FileRefused("the file is empty", remedy="Ask the sender for it again")
        if not _START.match(self._buffer):
            raise FileRefused("this is not an X12 file", remedy="It must begin with ISA, GS or ST")
        while self._buffer:
            self._open_interchange()
            yield from self._interchange()

    # -- one interchange ------------------------------------------------------------------

    def _open_interchange(self) -> None:
        self._fill(_HEADER * 4)
        if _ISA.match(self._buffer):
            self.delimiters = self._from_header()
        else:
            self.delimiters = self._from_fragment()
            self.notices.append(("envelope_missing", "the file has no interchange header"))

    def _interchange(self) -> Iterator[list[str]]:
        """Yield the segments up to the next ISA or the end."""
        element = self.delimiters.element
        terminator = self.delimiters.segment.encode("latin-1")
        wrapped = self.delimiters.segment not in "\r\n"
        first = True
        while True:
            part, is_last = self._upto_next(terminator, skip_own=first)
            first = False
            if wrapped:
                part = part.translate(None, b"\r\n")
            for segment in part.decode("latin-1").split(self.delimiters.segment):
                text = segment if segment[:1].isalnum() else segment.strip(" \t\r\n\x00\x1a")
                if text:
                    if len(text) > MAX_SEGMENT:
                        raise _too_long(self.number)
                    self.number += 1
                    yield text.split(element)
            if is_last:
                return

    def _upto_next(self, terminator: bytes, *, skip_own: bool) -> tuple[bytes, bool]:
        """Take whole segments from the buffer: up to the next ISA, or as far as they are whole."""
        at = self._next_isa(terminator, 3 if skip_own else 0)
        if at is not None:
            part, self._buffer = self._buffer[:at], self._buffer[at:]
            return part, True
        if self._ended:
            part, self._buffer = self._buffer, b""
            told = part.rstrip(b" \t\x00\x1a" if terminator in b"\r\n" else b" \t\r\n\x00\x1a")
            self.cut = bool(told) and not told.endswith(terminator)
            return part, True
        end = self._buffer.rfind(terminator, 0, max(0, len(self._buffer) - _HEADER))
        if end < 0:
            if len(self._buffer) > MAX_SEGMENT + _HEADER * 4:
                raise _too_long(self.number)
            part = b""
        else:
            part, self._buffer = self._buffer[: end + 1], self._buffer[end + 1 :]
        self._fill(len(self._buffer) + _CHUNK)
        return part, False

    def _next_isa(self, terminator: bytes, start: int) -> int | None:
        for match in _ISA.finditer(self._buffer, start):
            at = match.start()
            before = self._buffer[max(0, at - 80) : at].rstrip(b" \t\r\n\xef\xbb\xbf")
            header = self._buffer[at : at + _HEADER]
            follows = before.endswith(terminator) or (terminator in b"\r\n" and at > 0)
            if follows and header.count(header[3:4]) >= 16:
                return at
        return None

    # -- delimiters -----------------------------------------------------------------------

    def _from_header(self) -> Delimiters:
        raw = self._buffer[: _HEADER * 2]
        element = raw[3:4]
        at, newlines = -1, 0
        for _ in range(16):
            at = raw.find(element, at + 1)
            if at < 0:
                raise FileRefused(
                    "the interchange header (ISA) is incomplete",
                    remedy="Ask the sender for the file again",
                )
        newlines = sum(raw.count(bytes([one]), 0, at) for one in _NEWLINES)
        component, terminator = self._after_header(raw, at)
        width = at - newlines + 1 + len(component)
        if width != _ISA_WIDTH:
            self.notices.append(
                ("isa_width", f"the interchange header has {width + 1} bytes instead of 106")
            )
        fields = raw[:at].translate(None, b"\r\n").split(element)
        repetition = fields[11].decode("latin-1") if fields[12].strip() >= b"00402" else ""
        return Delimiters(
            element=element.decode("latin-1"),
            component=(component or b":").decode("latin-1"),
            segment=terminator.decode("latin-1"),
            repetition=repetition.strip() if len(repetition.strip()) == 1 else "",
        )

    @staticmethod
    def _after_header(raw: bytes, at: int) -> tuple[bytes, bytes]:
        """Return component separator and segment terminator, which follow the 16th separator."""
        rest = raw[at + 1 :]
        if re.match(rb"[^A-Za-z0-9][\r\n \t]*(?:GS|ISA|IEA|TA1)", rest) and not re.match(
            rb"[^A-Za-z0-9\s][^A-Za-z0-9]", rest
        ):
            component, after = b"", rest
        else:
            component, after = rest[:1], rest[1:]
        blanks = after[: len(after) - len(after.lstrip(b" "))]
        after = after[len(blanks) :]
        if after[:2] == b"\r\n":
            return component, b"\n"
        return component, after[:1] or b"~"

    def _from_fragment(self) -> Delimiters:
        tag_length = 2
        element = self._buffer[tag_length : tag_length + 1]
        sample = self._buffer[: _HEADER * 4]
        for terminator in (b"~", b"\n", b"\r", b"|", b"'", b"!", b"\x1c", b"\x1d"):
            if terminator == element or terminator not in sample:
                continue
            following = sample.split(terminator, 2)[1].lstrip(_BLANKS)
            if re.match(rb"[A-Z][A-Z0-9]{1,2}" + re.escape(element), following):
                return Delimiters(element.decode("latin-1"), ":", terminator.decode("latin-1"))
        raise FileRefused(
            "the segments of this X12 fragment cannot be told apart",
            remedy="Ask the sender for the whole interchange, beginning with ISA",
        )

    # -- reading --------------------------------------------------------------------------

    def _fill(self, wanted: int) -> None:
        while not self._ended and len(self._buffer) < wanted:
            chunk = self._stream.read(_CHUNK)
            if not chunk:
                self._ended = True
            self.bytes_read += len(chunk)
            self._buffer += chunk


def _too_long(number: int) -> FileRefused:
    return FileRefused(
        f"a segment after segment {number} is longer than {MAX_SEGMENT} bytes",
        remedy="The segment terminator was not recognized or the file is damaged; ask for it again",
    )
