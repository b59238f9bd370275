"""Bytes to segments: interchanges, delimiters, encodings and streaming.

Hides how forgiving reading X12 has to be. Delimiters are taken from each ISA by position *and* by
counting its sixteen separators, because real files have interchange headers of 104 to 111 bytes,
wrapped lines, byte order marks and indented segments. A file may hold several interchanges with
different delimiters, or none at all (a fragment that begins with GS or ST). Memory stays constant:
the file is read in chunks, and each chunk is cleaned as a whole before it is split, because that
costs a tenth of cleaning every element.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from claimkit.errors import FileRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CHUNK", "JUNK", "MAX_SEGMENT", "Delimiters", "Segments", "looks_like_x12"]

#: Bytes read at once. Larger ones are no faster, and fall out of the processor's cache.
CHUNK = 1 << 17
#: No real segment is longer; more means that the terminator was not recognized.
MAX_SEGMENT = 1 << 16
#: How much must be at hand to take the delimiters from a header.
_HEADER = 512
#: What stands before a segment and is no part of it: blanks, NUL, end of file, a stray BOM.
JUNK = " \t\r\n\x00\x1a\ufeff"
_BLANKS = b" \t\r\n\x00\x1a\xef\xbb\xbf"
_BLANKS_ON_A_LINE = b" \t\x00\x1a\xef\xbb\xbf"
_NEWLINES = b"\r\n"
_ISA = re.compile(rb"ISA[^A-Za-z0-9\s]")
#: A fragment begins with a functional group or a transaction set; "ST," may be a column of states.
_FRAGMENT = re.compile(rb"(?:GS([^A-Za-z0-9\s])[A-Z]{2}\1|ST([^A-Za-z0-9\s])\d{3}(?:\2|\s|~))")
_TAG = rb"[A-Z][A-Z0-9]{1,2}"
#: What may follow an interchange header.
_AFTER_HEADER = rb"(?:GS|ISA|IEA|TA1)"
_NO_COMPONENT = re.compile(rb"([^A-Za-z0-9])[\r\n \t]*" + _AFTER_HEADER)
_TWICE = re.compile(rb"([^A-Za-z0-9\s])[\r\n]+" + _AFTER_HEADER + rb"[^\r\n]*\1[\r\n]")
_TERMINATOR = re.compile(rb"[\r\n \t]*([^A-Za-z0-9\s])[\r\n \t]*" + _AFTER_HEADER)
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
    if _ISA.match(start):
        return start[: _HEADER * 2].count(start[3:4]) >= 16
    return _FRAGMENT.match(start) is not None


class Segments:
    """The segments of a stream.

    Attributes:
        delimiters: Those of the interchange at hand.
        bytes_read: Bytes of the stream taken so far.
        notices: Codes and texts of what was odd about the part at hand, to be taken by the reader.
        remainder: A last segment without its terminator, ``""`` where the file ends as it should.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._buffer = b""
        self._ended = False
        self._fell_back = False
        self.delimiters = Delimiters("*", ":", "~")
        self.bytes_read = 0
        self.notices: list[tuple[str, str]] = []
        self.remainder = ""

    def parts(self) -> Iterator[list[str]]:
        """Yield runs of whole segments in one interchange, without blanks around their elements.

        A segment may still begin with :data:`JUNK`; who looks its tag up finds out for nothing.

        Raises:
            FileRefused: no X12, or segments cannot be told apart; perhaps after some parts.
        """
        self._fill(_HEADER * 4)
        self._buffer = self._buffer.lstrip(_BLANKS)
        if not self._buffer:
            raise FileRefused("the file is empty", remedy="Ask the sender for it again")
        if not (_ISA.match(self._buffer) or _FRAGMENT.match(self._buffer)):
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
        """Yield the parts up to the next ISA or the end."""
        terminator = self.delimiters.segment.encode("latin-1")
        ends = re.escape(self.delimiters.element.encode("latin-1")) + re.escape(terminator)
        # Beginning with the blank, because blanks are what is rare.
        padded = re.compile(rb" (?:(?=[" + ends + rb"])|(?<=[" + ends + rb"] ))")
        is_first, is_last = True, False
        while not is_last:
            part, is_last = self._take(terminator, skip_own=is_first)
            is_first = False
            if terminator in _NEWLINES:
                part = part.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            elif b"\n" in part or b"\r" in part:
                part = part.translate(None, _NEWLINES)
            texts = self._split(part)
            last = texts.pop()
            if padded.search(part):
                texts = [self._without_padding(one) for one in texts]
            if last:
                self.remainder = self._without_padding(last)
            if "" in texts:
                texts = [one for one in texts if one]
            if texts:
                yield texts

    def _take(self, terminator: bytes, *, skip_own: bool) -> tuple[bytes, bool]:
        """Take whole segments from the buffer: up to the next ISA, or as far as they are whole."""
        blanks = _BLANKS_ON_A_LINE if terminator in _NEWLINES else _BLANKS
        at = self._next_isa(terminator, blanks, 3 if skip_own else 0)
        if at is None and self._ended:
            at = len(self._buffer)
        if at is not None:
            part, self._buffer = self._buffer[:at].rstrip(blanks), self._buffer[at:]
            return part, True
        end = self._buffer.rfind(terminator, 0, max(0, len(self._buffer) - _HEADER)) + 1
        if not end and len(self._buffer) > MAX_SEGMENT + _HEADER * 4:
            raise _too_long()
        part, self._buffer = self._buffer[:end], self._buffer[end:]
        self._fill(len(self._buffer) + CHUNK)
        return part, False

    def _next_isa(self, terminator: bytes, blanks: bytes, start: int) -> int | None:
        ends = (b"\r", b"\n") if terminator in _NEWLINES else terminator
        for match in _ISA.finditer(self._buffer, start):
            at = match.start()
            before = self._buffer[max(0, at - 80) : at].rstrip(blanks)
            header = self._buffer[at : at + _HEADER]
            if (not before or before.endswith(ends)) and header.count(header[3:4]) >= 16:
                return at
        return None

    def _split(self, part: bytes) -> list[str]:
        """Return the segments as people wrote them (UTF-8, else cp1252), and what follows them."""
        delimiters = self.delimiters
        separator = "\n" if delimiters.segment in "\r\n" else delimiters.segment
        if not (delimiters.element + delimiters.component + separator).isascii():
            texts = part.decode("latin-1").split(separator)
        else:
            try:
                texts = part.decode("utf-8").split(separator)
            except UnicodeDecodeError:
                texts = [self._decode(one) for one in part.split(separator.encode("ascii"))]
        if len(max(texts, key=len)) > MAX_SEGMENT:
            raise _too_long()
        return texts

    def _decode(self, segment: bytes) -> str:
        try:
            return segment.decode("utf-8")
        except UnicodeDecodeError:
            if not self._fell_back:
                self._fell_back = True
                self.notices.append(("encoding_cp1252", "some text is not UTF-8; read as cp1252"))
            return segment.decode("cp1252", errors="replace")

    def _without_padding(self, segment: str) -> str:
        element = self.delimiters.element
        return element.join([one.strip(" ") for one in segment.split(element)])

    # -- delimiters -----------------------------------------------------------------------

    def _from_header(self) -> Delimiters:
        raw = self._buffer[: _HEADER * 2]
        element = raw[3:4]
        at = -1
        for _ in range(16):
            at = raw.find(element, at + 1)
            if at < 0:
                raise FileRefused(
                    "the interchange header (ISA) is incomplete",
                    remedy="Ask the sender for the file again",
                )
        component, terminator = _after_header(raw[at + 1 :])
        fields = raw[:at].translate(None, _NEWLINES)
        width = len(fields) + 1 + len(component)
        if width != _ISA_WIDTH:
            self.notices.append(
                ("isa_width", f"the interchange header has {width + 1} bytes instead of 106")
            )
        told = fields.split(element)
        repetition = told[11].strip() if told[12].strip() >= b"00402" else b""
        return Delimiters(
            element=element.decode("latin-1"),
            component=(component or b":").decode("latin-1"),
            segment=terminator.decode("latin-1"),
            repetition=repetition.decode("latin-1") if len(repetition) == 1 else "",
        )

    def _from_fragment(self) -> Delimiters:
        element = self._buffer[2:3]
        sample = self._buffer[: _HEADER * 4]
        for terminator in (b"~", b"\n", b"\r", b"|", b"'", b"!", b"\x1c", b"\x1d"):
            if terminator == element or terminator not in sample:
                continue
            following = sample.split(terminator, 2)[1].lstrip(_BLANKS)
            if re.match(_TAG + re.escape(element), following):
                return Delimiters(element.decode("latin-1"), ":", terminator.decode("latin-1"))
        raise FileRefused(
            "the segments of this X12 fragment cannot be told apart",
            remedy="Ask the sender for the whole interchange, beginning with ISA",
        )

    # -- reading --------------------------------------------------------------------------

    def _fill(self, wanted: int) -> None:
        chunks, have = [self._buffer], len(self._buffer)
        while not self._ended and have < wanted:
            chunk = self._stream.read(CHUNK)
            self._ended = not chunk
            chunks.append(chunk)
            have += len(chunk)
            self.bytes_read += len(chunk)
        self._buffer = b"".join(chunks)


def _after_header(rest: bytes) -> tuple[bytes, bytes]:
    """Return component separator and segment terminator, which follow the 16th separator."""
    alone = _NO_COMPONENT.match(rest)
    if alone and (_TWICE.match(rest) or not re.match(rb"[^A-Za-z0-9\s][^A-Za-z0-9]", rest)):
        return b"", alone[1]
    wrapped = rest.lstrip(_NEWLINES)
    if _TERMINATOR.match(wrapped[1:]):
        rest = wrapped
    component, after = rest[:1], rest[1:]
    found = _TERMINATOR.match(after)
    if found:
        return component, found[1]
    after = after.lstrip(b" ")
    return component, b"\n" if after.startswith(b"\r\n") else after[:1] or b"~"


def _too_long() -> FileRefused:
    return FileRefused(
        f"a segment is longer than {MAX_SEGMENT:,} bytes",
        remedy="The segment terminator was not recognized or the file is damaged; ask for it again",
    )
