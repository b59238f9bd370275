"""Reads billing-system CSV files of any size, dirt included, row by row.

Hides delimiter, encoding, title lines above the header, date order and broken rows: a row that
cannot be taken becomes a :class:`~claimkit.claims.model.RowProblem` with line, column, reason and
remedy, and the file goes on. Memory does not depend on the size of the file.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from claimkit.claims.columns import find_header, map_columns
from claimkit.claims.lone import LoneClaims
from claimkit.claims.lone_rows import LoneRows
from claimkit.claims.model import ClaimBatch, ClaimKind, Notice, RowProblem
from claimkit.claims.privacy import mask
from claimkit.claims.readers import MOST_RECORDS, Confidence, refuse_foreign
from claimkit.claims.records import Records, TextLines, split_rows
from claimkit.claims.rows import IDENTIFYING_FIELDS, BadRow, ClaimRows
from claimkit.claims.templates import choose_template, with_template
from claimkit.errors import FileRefused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from claimkit.claims.columns import ColumnMap
    from claimkit.claims.readers import ReadOptions
    from claimkit.claims.templates import CsvTemplate

__all__ = ["CsvReader"]

#: Rows on consecutive lines, with the number of the first line.
_Rows = tuple[int, list[list[str]]]
#: Most likely first; a tie goes to the earlier one.
_DELIMITERS = (",", "\t", ";", "|")
#: Lines in which a header is looked for.
_HEADER_LINES = 60
#: Fewer rows than this are read one by one.
_FEW_ROWS = 8
#: Rows from which the columns' date orders are decided.
_SAMPLE_ROWS = 1_000
#: Rows before the share of rejected ones counts.
_SHARE_FROM = 1_000
_BROKEN = {
    "quote_unclosed": (
        "a quote is opened and never closed",
        "Close the quote, or double quotes inside a text",
    ),
    "nul_byte": ("the row holds NUL bytes", "Export the file again; it was damaged on the way"),
    "row_too_long": ("the row is longer than any real one", "A line break or a quote is missing"),
}


class CsvReader:
    """The built-in reader of CSV files: comma, semicolon, tab or pipe."""

    name = "csv"
    kinds: tuple[ClaimKind, ...] = (ClaimKind.CSV,)
    makes_columns = True

    def sniff(self, head: bytes, filename: str) -> Confidence:
        """Judge a file's head: LIKELY with a known header row, POSSIBLE for any other text.

        An empty file and a web page are POSSIBLE, so that :meth:`read` refuses them by name.
        """
        del filename
        if _is_x12(head) or head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
            return Confidence.NO
        if _is_binary(head):
            return Confidence.NO
        lines = next(TextLines(_Head(head)).blocks(), [])
        layout = _best_layout(lines[:_HEADER_LINES], {})
        return Confidence.POSSIBLE if layout is None else Confidence.LIKELY

    def read(self, stream: BinaryIO, options: ReadOptions) -> Iterator[ClaimBatch]:
        """Yield batches of claims.

        With ``max_problems`` or ``max_problem_share`` exceeded, reading stops: what was read so
        far stays, and the last batch says so in ``stopped``. Where nothing was accepted until
        then, the file is refused.

        Raises:
            FileRefused: empty, not a CSV, no header row, or columns that cannot be decided.
        """
        text = TextLines(stream)
        _refuse_other_files(text.head)
        blocks = text.blocks()
        first = next(blocks, [])
        if not any(line.strip() for line in first):
            raise FileRefused("the file is empty", remedy="Export it again", code="file_empty")
        template = _recognized(first[:_HEADER_LINES], options.templates)
        if template is not None:
            options = with_template(options, template)
        layout = _best_layout(first[:_HEADER_LINES], options.columns)
        if layout is None:
            raise FileRefused(
                "no header row with known column names was found",
                remedy="The first rows must name the columns, such as claim id, payer, dos, billed",
                code="header_missing",
            )
        columns = map_columns(layout.header, options.columns, undecided=options.undecided)
        reading = _Reading(text, layout, columns, options)
        for batch in reading.batches(chain([first], blocks)):
            batch.template = template.name if template else ""
            yield batch


class _Layout(NamedTuple):
    delimiter: str
    #: Physical line on which the header starts.
    line: int
    header: tuple[str, ...]


class _Head:
    """A stream over the head of a file only."""

    def __init__(self, head: bytes) -> None:
        self._left = head

    def read(self, size: int, /) -> bytes:
        del size
        data, self._left = self._left, b""
        return data


def _best_layout(lines: list[str], wanted: Mapping[str, str]) -> _Layout | None:
    best: _Layout | None = None
    most = 0
    for delimiter in _DELIMITERS:
        rows = split_rows(lines, delimiter)
        index, known = find_header(rows, wanted)
        if index >= 0 and known > most:
            line, header = rows[index]
            best, most = _Layout(delimiter, line, tuple(header)), known
    return best


def _recognized(lines: list[str], templates: Sequence[CsvTemplate]) -> CsvTemplate | None:
    rows = [row for mark in _DELIMITERS for _, row in split_rows(lines, mark)] if templates else []
    return choose_template(rows, templates)


def _is_x12(head: bytes) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:4] in (b"ISA*", b"ISA|", b"ISA^") or head.lstrip(
        b"\xef\xbb\xbf \t\r\n"
    ).startswith((b"ISA", b"GS*", b"ST*"))


def _is_binary(head: bytes) -> bool:
    sample = head[:4_096]
    if sample[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return False
    control = sum(1 for byte in sample if byte < 9 or 13 < byte < 32)
    nuls = sample.count(0)
    if nuls > len(sample) * 0.3 and not sample[0::2].count(0) * sample[1::2].count(0):
        return False
    return control > max(4, len(sample) * 0.05)


def _refuse_other_files(head: bytes) -> None:
    refuse_foreign(head)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:256].lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<table", b"<?xml")):
        what = "an XML file" if start.startswith(b"<?xml") else "a web page (HTML)"
        raise FileRefused(
            f"this is {what}, not a CSV file",
            remedy="Export the report as CSV; a page saved from the browser is not one",
            code="file_is_html",
        )
    if _is_x12(head):
        raise FileRefused(
            "this is an X12 file, not a CSV file",
            remedy="Leave the reader to be chosen; X12 needs: pip install claimkit-x12",
        )


class _Reading:
    """One file on its way: rows in, batches out."""

    def __init__(
        self, text: TextLines, layout: _Layout, columns: ColumnMap, options: ReadOptions
    ) -> None:
        self._text = text
        self._layout = layout
        self._columns = columns
        self._options = options
        self._fields = {index: name for name, where in columns.fields.items() for index in where}
        self._started = False
        self._problems: list[RowProblem] = []
        self._rejected = 0
        #: As many rejected rows had been looked at when it was last asked whether to stop.
        self._checked = 0
        self._accepted = 0
        self._skipped = 0
        self._told = 0
        self._lone: LoneRows | None = None
        self._alone = LoneClaims()

    def batches(self, blocks: Iterator[list[str]]) -> Iterator[ClaimBatch]:
        """Yield the file's batches; at least one."""
        records = Records(blocks, delimiter=self._layout.delimiter, width=0, on_broken=self._broken)
        pieces = self._below_header(records.pieces())
        sample = [next(pieces, (0, []))]
        records.width = len(self._layout.header)
        self._started = True
        while sum(len(rows) for _, rows in sample) < _SAMPLE_ROWS:
            piece = next(pieces, None)
            if piece is None:
                break
            sample.append(piece)
        known = [row for _, rows in sample for row in rows][:_SAMPLE_ROWS]
        claims = ClaimRows(self._columns, known, self._options)
        claims.notices.extend(self._notices())
        self._lone = LoneRows(claims, self._options) if self._options.columnar else None
        stopped = ""
        for number, rows in chain(sample, pieces):
            done = 0
            while done < len(rows) and not stopped:
                if self._lone is None or len(rows) - done < _FEW_ROWS:
                    self._take(claims, number + done, rows[done])
                    done += 1
                else:
                    done = self._take_some(claims, self._lone, number, rows, done)
                stopped = self._stopped(claims)
                if not stopped and self._is_full(claims):
                    yield self._cut(claims)
            if stopped:
                break
        claims.close()
        stopped = stopped or self._limit(claims)
        if stopped and not claims.accepted:
            raise FileRefused(stopped, remedy=self._most_common(), code="too_many_problems")
        yield self._cut(claims, stopped)

    def _below_header(self, pieces: Iterator[_Rows]) -> Iterator[_Rows]:
        header = self._layout.line
        for number, rows in pieces:
            if number > header:
                yield number, rows
            elif number + len(rows) > header:
                yield header + 1, rows[header - number + 1 :]

    def _room(self, claims: ClaimRows) -> int:
        return self._options.batch_size - len(claims.claims) - len(self._alone)

    def _is_full(self, claims: ClaimRows) -> bool:
        most = min(self._options.batch_size, MOST_RECORDS)
        held = max(len(claims.claims), len(self._problems))
        return self._room(claims) <= 0 or held >= most

    def _stopped(self, claims: ClaimRows) -> str:
        """Return why the file must stop here, where more rows were rejected since last asked."""
        if self._rejected == self._checked:
            return ""
        self._checked = self._rejected
        return self._limit(claims)

    def _take(self, claims: ClaimRows, number: int, row: list[str]) -> None:
        try:
            claims.take(number, row)
        except BadRow as bad:
            self._reject(number, row, bad)

    def _take_some(
        self, claims: ClaimRows, lone: LoneRows, number: int, rows: list[list[str]], start: int
    ) -> int:
        """Take rows from ``start`` on, as many as a batch has room for; return the next one's place.

        In file order, and not beyond a row with which the file must stop.
        """
        some = rows[start : start + self._room(claims)]
        piece, alone = lone.read(number + start, some)
        done, at = 0, alone.find(0)
        while at >= 0:
            if at > done:
                claims.pass_by(at - done)
            self._take(claims, number + start + at, some[at])
            done, at = at + 1, alone.find(0, at + 1)
            if self._rejected > self._checked and (self._limit(claims) or self._is_full(claims)):
                alone[done:] = bytes(len(some) - done)
                self._alone.extend(piece, alone)
                return start + done
            self._checked = self._rejected
        if len(some) > done:
            claims.pass_by(len(some) - done)
        self._alone.extend(piece, alone)
        return start + len(some)

    def _cut(self, claims: ClaimRows, stopped: str = "") -> ClaimBatch:
        """Take away what has gathered as one batch."""
        if self._text.fallback_line and not self._told:
            self._told = self._text.fallback_line
            claims.notices.append(
                _notice("encoding_cp1252", "the file is not UTF-8; read as cp1252", self._told)
            )
        accepted = claims.accepted - self._accepted
        skipped = claims.skipped - self._skipped
        self._accepted, self._skipped = claims.accepted, claims.skipped
        if stopped:
            claims.notices.append(_notice("file_stopped", stopped, 0))
        batch = ClaimBatch(
            claims=claims.claims,
            problems=self._problems,
            notices=claims.notices,
            kinds=(ClaimKind.CSV,),
            bytes_read=self._text.bytes_read,
            header=self._columns.header,
            rows_read=accepted + skipped + len(self._problems),
            rows_accepted=accepted,
            rows_skipped=skipped,
            stopped=stopped,
            lone=self._alone if len(self._alone) else None,
        )
        claims.claims, claims.notices, self._problems = [], [], []
        self._alone = LoneClaims()
        return batch

    def _limit(self, claims: ClaimRows) -> str:
        """Return why the file must stop here, or an empty text."""
        if self._rejected > self._options.max_problems:
            return f"more than {self._options.max_problems:,} rows cannot be taken"
        read = claims.accepted + claims.skipped + self._rejected
        if read >= _SHARE_FROM and self._rejected > self._options.max_problem_share * read:
            return f"more than {self._options.max_problem_share:.0%} of the rows cannot be taken"
        return ""

    def _most_common(self) -> str:
        first = self._problems[0]
        where = f"{first.field_name!r}: " if first.field_name else ""
        return f"The first is line {first.position}, {where}{first.message}"

    def _broken(self, number: int, code: str, line: str) -> None:
        if self._started:
            message, remedy = _BROKEN[code]
            # As one spare cell behind blank ones: the text cannot be told apart into columns.
            blank = [""] * len(self._columns.header)
            self._reject(number, [*blank, line[:2_000]], BadRow(code, message, remedy))

    def _reject(self, number: int, row: list[str], bad: BadRow) -> None:
        known = 0 <= bad.column < len(row)
        value = row[bad.column] if known else ""
        name = self._fields.get(bad.column, "")
        self._rejected += 1
        self._problems.append(
            RowProblem(
                code=bad.code,
                message=bad.message,
                remedy=bad.remedy,
                position=number,
                kind=ClaimKind.CSV,
                field_name=self._columns.header[bad.column] if bad.column >= 0 else "",
                value=mask(value, identifying=name in IDENTIFYING_FIELDS, words=name == "status"),
                raw=tuple(row),
                header=self._columns.header,
            )
        )

    def _notices(self) -> Iterator[Notice]:
        """Yield what the header and the first bytes already tell."""
        line, columns = self._layout.line, self._columns
        if self._text.encoding != "utf-8":
            yield _notice(f"encoding_{self._text.encoding.replace('-', '_')}", "read as UTF-16")
        for name in columns.unknown:
            yield _notice("unknown_column", f"column {name!r} is not used", line)
        for name in columns.identifying:
            yield _notice("identifying_column", f"column {name!r} is ignored (identifying)", line)


def _notice(code: str, message: str, position: int = 0) -> Notice:
    return Notice(code=code, message=message, position=position, kind=ClaimKind.CSV)
