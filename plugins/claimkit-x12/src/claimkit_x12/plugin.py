"""The reader ``x12``: 835 remittances and 837 submissions, also mixed in one file."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from claimkit import hookimpl
from claimkit.claims.model import ClaimBatch, ClaimKind, Notice
from claimkit.claims.readers import Confidence, ReadOptions
from claimkit.errors import FileRefused
from claimkit_x12 import values
from claimkit_x12.remittance import Remittance
from claimkit_x12.segments import JUNK, Segments, looks_like_x12
from claimkit_x12.submission import Submission, kind_of_version
from claimkit_x12.transactions import Collector, Seen, Spoiled, element

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator

    from claimkit.claims.readers import ClaimReader

__all__ = ["X12Reader", "claimkit_register_readers"]


@hookimpl
def claimkit_register_readers() -> Iterable[ClaimReader]:
    """Register the X12 reader."""
    return [X12Reader()]


#: A batch ends after this many bytes of the file, however few claims they hold.
_BATCH_BYTES = 2 << 20
#: Parts of the file (see :data:`claimkit_x12.segments.CHUNK`) that one claim may begin before.
#: The largest claim that the guides allow, 999 lines, is a quarter of that.
_CLAIM_PARTS = 8


class X12Reader:
    """Reads X12 835 and 837 as a stream."""

    name = "x12"
    kinds: tuple[ClaimKind, ...] = (
        ClaimKind.REMITTANCE,
        ClaimKind.PROFESSIONAL,
        ClaimKind.INSTITUTIONAL,
        ClaimKind.DENTAL,
    )

    def sniff(self, head: bytes, filename: str) -> Confidence:  # noqa: ARG002
        """Be certain of what opens with an ISA, likely of a GS or ST fragment."""
        if not looks_like_x12(head):
            return Confidence.NO
        return Confidence.CERTAIN if b"ISA" in head[:8] else Confidence.LIKELY

    def read(self, stream: BinaryIO, options: ReadOptions) -> Iterator[ClaimBatch]:
        """Yield batches of claims; see :class:`claimkit.claims.readers.ClaimReader`.

        A file that breaks off yields what is complete, with the notice ``truncated``. Where the
        segments cannot be told apart any more, the last batch says so in ``stopped``.

        Raises:
            FileRefused: this is no X12, or it holds no 835 or 837.
        """
        yield from _File(Segments(stream)).batches(max(1, options.batch_size))


@contextmanager
def _no_cycle_search() -> Iterator[None]:
    """Let Python not look for cycles while one part of the file, a hundredth of a second, is read.

    Claims have none, and there are so many of them that looking takes a fifth of the time. Whoever
    finds it on switches it on again, so threads that do this at once leave it as it was.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _File:
    """The envelope of one file: which transaction set is open, and whether the counts are right."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._to = Collector(segments.delimiters)
        self._set: Remittance | Submission | None = None
        self._version = ""
        self._sent_on: dt.date | None = None
        self._set_number = ""
        self._set_start = 0
        self._sets = self._groups = 0
        self._open_group = self._open_interchange = False
        self._seen = Seen()
        self._interchange = ""
        self._group = ""
        self._any_set = False
        self._cut_at = 0
        self._parts_of_claim = 0
        self._envelope: dict[str, Callable[[list[str]], None]] = {
            "ISA": self._isa,
            "GS": self._gs,
            "ST": self._st,
            "SE": self._se,
            "GE": self._ge,
            "IEA": self._iea,
        }
        self._handlers = self._envelope

    def batches(self, size: int) -> Iterator[ClaimBatch]:
        """Yield a batch whenever ``size`` claims are complete, and the rest at the end."""
        yielded = False
        stopped = ""
        try:
            for part in self._segments.parts():
                with _no_cycle_search():
                    self._take(part)
                while len(self._to.claims) >= size or self._is_heavy():
                    yield self._cut(size)
                    yielded = True
            self._end()
        except FileRefused as refused:
            if not (yielded or self._to.claims):
                raise
            stopped = str(refused)
            self._close_set(is_whole=False)
            self._to.note("file_stopped", stopped)
        batch = self._cut(size)
        batch.stopped = stopped
        yield batch

    def _take(self, part: list[str]) -> None:
        to = self._to
        to.delimiters = self._segments.delimiters
        for code, message in self._segments.notices:
            to.notices.append(Notice(code=code, message=message, position=to.position + 1))
        self._segments.notices = []
        separator = to.delimiters.element
        before = self._set.claim if self._set is not None else None
        for text in part:
            to.position += 1
            segment = text.split(separator)
            handler = self._handlers.get(segment[0])
            if handler is None:
                handler = self._odd(segment)
                if handler is None:
                    continue
            try:
                handler(segment)
            except Spoiled as spoiled:
                if self._set is not None:
                    self._set.spoil(spoiled, segment)
        if self._set is not None:
            self._bound_claim(self._set, before)

    def _odd(self, segment: list[str]) -> Callable[[list[str]], None] | None:
        """Return the handler of a segment that is indented or follows a byte order mark."""
        tag = segment[0].strip(JUNK)
        if not tag and len(segment) == 1:
            self._to.position -= 1
        if tag == segment[0]:
            return None
        segment[0] = tag
        return self._handlers.get(tag)

    def _bound_claim(self, transaction: Remittance | Submission, before: object) -> None:
        """Give up a claim that never ends, before it takes the memory."""
        if transaction.claim is None or transaction.claim is not before:
            self._parts_of_claim = 0
            return
        self._parts_of_claim += 1
        if self._parts_of_claim > _CLAIM_PARTS:
            transaction.spoil(
                Spoiled(
                    "claim_too_long",
                    "a claim has more lines than any claim may have",
                    "Ask the sender for the file again; the end of the claim was not recognized",
                    "",
                )
            )

    # -- envelope -------------------------------------------------------------------------

    def _isa(self, segment: list[str]) -> None:
        self._close_interchange()
        self._interchange = f"{element(segment, 6)}*{element(segment, 13)}"
        if self._seen.again(("ISA", self._interchange)):
            self._to.note("duplicate_interchange", "an interchange number stands twice")
        self._groups, self._open_interchange = 0, True

    def _gs(self, segment: list[str]) -> None:
        self._break_off()
        self._version = element(segment, 8)
        self._sent_on = values.date(element(segment, 4))
        self._group = element(segment, 6)
        self._groups += 1
        self._sets, self._open_group = 0, True

    def _ge(self, segment: list[str]) -> None:
        self._break_off()
        self._compare(element(segment, 1), self._sets, "group_count", "GE01")
        self._open_group = False

    def _iea(self, segment: list[str]) -> None:
        self._break_off()
        self._compare(element(segment, 1), self._groups, "interchange_count", "IEA01")
        self._open_group = self._open_interchange = False

    def _st(self, segment: list[str]) -> None:
        self._break_off()
        code, self._set_number = element(segment, 1), element(segment, 2)
        self._set_start = self._to.position
        self._sets += 1
        if self._seen.again(("ST", self._interchange, self._group, self._set_number)):
            self._to.note("duplicate_transaction", "a transaction set number stands twice")
        if code == "835":
            self._set = Remittance(self._to)
            self._to.kinds[self._set.kind] = None
        elif code == "837":
            version = element(segment, 3) or self._version
            self._set = Submission(self._to, kind_of_version(version), self._sent_on)
        else:
            self._to.note("transaction_ignored", f"transaction set {code[:8]} is no claims file")
            return
        self._any_set = True
        self._handlers = {**self._set.handlers, **self._envelope}

    def _se(self, segment: list[str]) -> None:
        count = self._to.position - self._set_start + 1
        kind = self._set.kind if self._set else None
        self._compare(element(segment, 1), count, "segment_count", "SE01")
        if element(segment, 2) != self._set_number:
            self._to.note("control_number", "ST02 and SE02 differ", kind)
        self._close_set()

    def _break_off(self) -> None:
        if self._set is not None:
            self._to.note("truncated", "a transaction set has no SE", self._set.kind)
            self._close_set(is_whole=False)

    def _close_set(self, *, is_whole: bool = True) -> None:
        closing, self._set = self._set, None
        self._handlers = self._envelope
        if closing is None:
            return
        closing.close()
        self._to.kinds[closing.kind] = None
        if isinstance(closing, Remittance):
            if is_whole:
                closing.judge_balance()
            if closing.trace and self._seen.again(("TRN", closing.trace)):
                self._to.note("duplicate_payment", "a payment number stands twice", closing.kind)

    def _close_interchange(self) -> None:
        if self._set is not None:
            self._break_off()
        elif self._open_group or self._open_interchange:
            self._to.note("truncated", "an interchange ends before it is closed")
        self._open_group = self._open_interchange = False

    def _end(self) -> None:
        self._to.delimiters = self._segments.delimiters
        if self._segments.remainder:
            self._take_remainder(self._segments.remainder.split(self._to.delimiters.element))
        if not self._any_set:
            raise FileRefused(
                "this X12 file is cut off before its first transaction set"
                if self._segments.remainder
                else "this X12 file holds no 835 or 837 transaction set",
                remedy="Ask the sender for a remittance (835) or claim (837) file",
            )
        self._close_interchange()

    def _take_remainder(self, segment: list[str]) -> None:
        """Take a last segment without terminator: what closes is whole, else its end is in doubt."""
        self._to.position += 1
        tag = segment[0].strip(JUNK)
        handler = self._handlers.get(tag)
        if tag in ("SE", "GE", "IEA"):
            self._envelope[tag](segment)
        elif handler is not None and len(segment) > 2:
            self._to.is_cut = True
            try:
                handler(segment[:-1])
            except Spoiled as spoiled:
                if self._set is not None and tag in ("CLP", "CLM"):
                    self._set.spoil(spoiled, segment)

    def _compare(self, told: str, counted: int, code: str, where: str) -> None:
        if (told.lstrip("0") or told[-1:]) != str(counted):
            self._to.note(code, f"{where} does not match what is in the file")

    # -- batches --------------------------------------------------------------------------

    def _is_heavy(self) -> bool:
        return self._segments.bytes_read - self._cut_at > _BATCH_BYTES

    def _cut(self, size: int) -> ClaimBatch:
        to = self._to
        batch = ClaimBatch(
            claims=to.claims[:size],
            problems=to.problems,
            notices=to.notices,
            kinds=tuple(to.kinds),
            bytes_read=self._segments.bytes_read,
        )
        to.claims, to.problems, to.notices = to.claims[size:], [], []
        self._cut_at = self._segments.bytes_read
        return batch
