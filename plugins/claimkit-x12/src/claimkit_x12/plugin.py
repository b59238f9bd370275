"""The reader ``x12``: 835 remittances and 837 submissions, also mixed in one file."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from claimkit import hookimpl
from claimkit.claims.model import ClaimBatch, ClaimKind
from claimkit.claims.readers import Confidence, ReadOptions
from claimkit.errors import FileRefused
from claimkit_x12 import values
from claimkit_x12.remittance import Remittance
from claimkit_x12.segments import Segments, looks_like_x12
from claimkit_x12.submission import Submission, kind_of_version
from claimkit_x12.transactions import Collector, element

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator

    from claimkit.claims.readers import ClaimReader

__all__ = ["X12Reader", "claimkit_register_readers"]


@hookimpl
def claimkit_register_readers() -> Iterable[ClaimReader]:
    """Register the X12 reader."""
    return [X12Reader()]


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
        return Confidence.CERTAIN

    def read(self, stream: BinaryIO, options: ReadOptions) -> Iterator[ClaimBatch]:
        """Yield batches of claims; see :class:`claimkit.claims.readers.ClaimReader`."""
        yield from _File(Segments(stream)).batches(options.batch_size)


class _File:
    """The envelope of one file: which transaction set is open, and whether the counts are right."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._to = Collector(segments)
        self._set: Remittance | Submission | None = None
        self._version = ""
        self._sent_on: dt.date | None = None
        self._set_number = ""
        self._set_start = 0
        self._sets = self._groups = 0
        self._open_group = self._open_interchange = False
        self._seen: set[tuple[str, ...]] = set()
        self._interchange = ""
        self._group = ""
        self._any_set = False

    def batches(self, size: int) -> Iterator[ClaimBatch]:
        """Yield a batch whenever ``size`` claims are complete, and the rest at the end."""
        for segment in self._segments:
            tag = segment[0]
            if self._set is not None and tag not in _ENVELOPE:
                self._set.take(segment)
                if len(self._to.claims) >= size:
                    yield self._cut()
            else:
                self._envelope(tag, segment)
        self._end()
        yield self._cut()

    def _envelope(self, tag: str, segment: list[str]) -> None:
        if tag == "ST":
            self._st(segment)
        elif tag == "SE":
            self._se(segment)
        elif tag == "ISA":
            self._close_set(missing="SE")
            self._interchange = f"{element(segment, 6).strip()}*{element(segment, 13).strip()}"
            if not self._is_new("ISA", self._interchange):
                self._to.note("duplicate_interchange", "an interchange number stands twice")
            self._groups, self._open_interchange = 0, True
        elif tag == "GS":
            self._version = element(segment, 8).strip()
            self._sent_on = values.date(element(segment, 4).strip())
            self._group = element(segment, 6).strip()
            self._groups += 1
            self._sets, self._open_group = 0, True
        elif tag == "GE":
            self._close_set(missing="SE")
            self._compare(element(segment, 1), self._sets, "group_count", "GE01")
            self._open_group = False
        elif tag == "IEA":
            self._compare(element(segment, 1), self._groups, "interchange_count", "IEA01")
            self._open_interchange = False

    def _st(self, segment: list[str]) -> None:
        self._close_set(missing="SE")
        code, self._set_number = element(segment, 1).strip(), element(segment, 2).strip()
        self._set_start = self._segments.number
        self._sets += 1
        if not self._is_new("ST", self._interchange, self._group, self._set_number):
            self._to.note("duplicate_transaction", "a transaction set number stands twice")
        if code == "835":
            self._set = Remittance(self._to)
        elif code == "837":
            version = element(segment, 3).strip() or self._version
            self._set = Submission(self._to, kind_of_version(version), self._sent_on)
        else:
            self._to.note("transaction_ignored", f"transaction set {code[:8]} is no claims file")
            return
        self._any_set = True
        if isinstance(self._set, Remittance):
            self._to.kinds[self._set.kind] = None

    def _se(self, segment: list[str]) -> None:
        count = self._segments.number - self._set_start + 1
        kind = self._set.kind if self._set else None
        self._compare(element(segment, 1), count, "segment_count", "SE01")
        if element(segment, 2).strip() != self._set_number:
            self._to.note("control_number", "ST02 and SE02 differ", kind)
        self._close_set()

    def _close_set(self, *, missing: str = "") -> None:
        if self._set is None:
            return
        if missing:
            self._to.note("truncated", f"a transaction set has no {missing}", self._set.kind)
        self._set.close()
        self._to.kinds[self._set.kind] = None
        trace = self._set.trace if isinstance(self._set, Remittance) else ""
        if trace and not self._is_new("TRN", trace):
            self._to.note("duplicate_payment", "a payment number stands twice", self._set.kind)
        self._set = None

    def _end(self) -> None:
        if not self._any_set:
            raise FileRefused(
                "this X12 file is cut off before its first transaction set"
                if self._segments.cut
                else "this X12 file holds no 835 or 837 transaction set",
                remedy="Ask the sender for a remittance (835) or claim (837) file",
            )
        if self._set is not None:
            self._close_set(missing="SE")
        elif self._segments.cut or self._open_group or self._open_interchange:
            self._to.note("truncated", "the file ends before its envelope is closed")

    def _is_new(self, *key: str) -> bool:
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def _compare(self, told: str, counted: int, code: str, where: str) -> None:
        if told.strip() != str(counted) and told.strip().lstrip("0") != str(counted):
            self._to.note(code, f"{where} does not match what is in the file")

    def _cut(self) -> ClaimBatch:
        to = self._to
        for code, message in self._segments.notices:
            to.note(code, message)
        self._segments.notices = []
        batch = ClaimBatch(
            claims=to.claims,
            problems=to.problems,
            notices=to.notices,
            kinds=tuple(to.kinds),
            bytes_read=self._segments.bytes_read,
        )
        to.claims, to.problems, to.notices = [], [], []
        return batch


_ENVELOPE = frozenset({"ISA", "GS", "ST", "SE", "GE", "IEA", "TA1"})
