"""Exports: rows of any kind as CSV, JSON, NDJSON, XLSX or Parquet, in memory that does not grow.

The story: a source yields batches of columns; :func:`write_export` lets a format write one batch
after the other. Values are encoded by column, never by row: most columns repeat a few names, and
each is written down once. Money is exact in every format. Texts that a spreadsheet would run as a
formula get a leading apostrophe in CSV (after OWASP's *CSV Injection*); numbers never do, because
what a value is depends on its column and not on how it looks.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from claimkit.errors import ConfigError, UnknownName
from claimkit.reports.xlsx import open_workbook
from claimkit.tenants import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from claimkit.types import Progress

    Batch = Sequence[Sequence[Any]]

__all__ = [
    "FORMATS",
    "ExportColumn",
    "ExportFormat",
    "ExportKind",
    "choose_columns",
    "inert",
    "write_export",
]


class ExportKind(StrEnum):
    """What a column holds; None is a missing value in all of them."""

    TEXT = "text"
    #: Whole cents, written as an exact decimal of dollars.
    MONEY = "money"
    INTEGER = "integer"
    NUMBER = "number"
    DATE = "date"
    #: Aware UTC instants.
    INSTANT = "instant"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportColumn:
    """One column that can be exported."""

    name: str
    kind: ExportKind = ExportKind.TEXT
    description: str
    #: Whether it may single out a patient; such columns are exported only when named.
    is_personal: bool = False
    least_role: Role = Role.VIEWER
    #: Whether it may leave under Safe Harbor: see :mod:`claimkit.reports.safe_harbor`.
    in_safe_harbor: bool = False


def choose_columns(
    columns: Sequence[ExportColumn], *, wanted: Sequence[str], role: Role
) -> tuple[ExportColumn, ...]:
    """Return the columns to export, in the order of ``wanted`` or of the source.

    Args:
        columns: All columns of the source.
        wanted: Names; empty means all that are not personal and that the role may have.
        role: Of whoever asks.

    Raises:
        UnknownName: the source has no such column, or the role may not have it.
    """
    allowed = {one.name: one for one in columns if role.includes(one.least_role)}
    if not wanted:
        return tuple(one for one in allowed.values() if not one.is_personal)
    for name in wanted:
        if name not in allowed:
            raise UnknownName.of("column", name, allowed)
    return tuple(allowed[name] for name in dict.fromkeys(wanted))


class ExportFormat(Protocol):
    """One format of :data:`FORMATS`."""

    name: str
    media_type: str
    extension: str

    def write(
        self,
        columns: Sequence[ExportColumn],
        batches: Iterable[Batch],
        out: BinaryIO,
        told: Callable[[int], None],
    ) -> None:
        """Write everything; ``told`` gets the number of rows of each batch once it is written.

        Raises:
            ConfigError: a package that the format needs is not installed, or it cannot hold so
                many rows.
        """
        ...


def write_export(
    export_format: str,
    columns: Sequence[ExportColumn],
    batches: Iterable[Batch],
    out: BinaryIO,
    *,
    total: int | None = None,
    progress: Progress | None = None,
) -> int:
    """Write an export and return how many rows it has.

    Args:
        export_format: A name in :data:`FORMATS`.
        columns: What each batch holds, in order.
        batches: Columns of equal length; a few thousand rows each.
        out: Where to.
        total: How many rows there will be, if that is known.
        progress: Told after each batch.

    Raises:
        UnknownName: there is no such format.
        ConfigError: see :meth:`ExportFormat.write`.
    """
    if export_format not in FORMATS:
        raise UnknownName.of("format", export_format, FORMATS)
    done = 0

    def told(rows: int) -> None:
        nonlocal done
        done += rows
        if progress is not None:
            progress("exporting", done, total)

    FORMATS[export_format].write(columns, batches, out, told)
    return done


#: Distinct values of a column from which on looking them up is slower than writing them.
_MOST_KNOWN = 4_000

# -- text ---------------------------------------------------------------------------------------

#: What spreadsheets take for the beginning of a formula, full-width forms included, after blanks
#: that they skip; on every line of a text.
_FORMULA = re.compile(r"(^|[\r\n])([ \xa0\ufeff\u200b-\u200d]*)(?=[=+\-@\t\r\n|＝＋－＠])")


def inert(text: str) -> str:
    """Return text that no spreadsheet runs.

    >>> inert("=HYPERLINK(1)"), inert("Blue Cross - North"), inert("-")
    ("'=HYPERLINK(1)", 'Blue Cross - North', "'-")
    """
    return _FORMULA.sub(r"\1'\2", text)


def _quoted(value: str) -> str:
    # Nearly all values: nothing that a line, a quote or a formula could begin with.
    if value[:1].isalnum() and '"' not in value and value.isprintable():
        return f'"{value}"'
    escaped = inert(value).replace('"', '""')
    return f'"{escaped}"'


def _dollars(cents: int) -> str:
    if cents < 0:
        return f"-{-cents // 100}.{-cents % 100:02d}"
    return f"{cents // 100}.{cents % 100:02d}"


def _instant(value: dt.datetime) -> str:
    return value.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _all_dollars(column: Sequence[int]) -> list[str]:
    # An f-string of two divisions takes twice as long.
    return [
        (text := str(cents))[:-2] + "." + text[-2:] if cents >= 100 else _dollars(cents)
        for cents in column
    ]


def _is_plain(column: Sequence[str]) -> bool:
    """Whether texts can be quoted as they are, looked at as a whole: a loop would take ten times as long."""
    firsts = [text[:1] for text in column]
    flat = "".join(column)
    return (
        "".join(firsts).isalnum()
        and "" not in firsts
        and flat.isprintable()
        and '"' not in flat
        and "\\" not in flat
    )


def _quote_all(column: Sequence[str]) -> list[str]:
    # What is printable has no line end in it.
    return ('"' + '"\n"'.join(column) + '"').split("\n")


def _all_quoted(column: Sequence[str]) -> list[str]:
    return _quote_all(column) if _is_plain(column) else list(map(_quoted, column))


def _json_text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _all_json_texts(column: Sequence[str]) -> list[str]:
    return _quote_all(column) if _is_plain(column) else list(map(_json_text, column))


@dataclass(frozen=True, slots=True)
class _Writing:
    """How values of one kind are written: one, and a column of many that differ."""

    one: Callable[[Any], str]
    many: Callable[[Sequence[Any]], list[str]] | None = None

    def column(self, values: Sequence[Any]) -> list[str]:
        return self.many(values) if self.many else list(map(self.one, values))


class _Encoder:
    """Writes the values of one column; each distinct one once, as long as few of them are."""

    def __init__(self, writing: _Writing, missing: str, before: str) -> None:
        self._writing = writing
        self._before = before
        self._missing = before + missing
        self._known: dict[Any, str] | None = {None: self._missing}

    def __call__(self, column: Sequence[Any]) -> Iterable[str]:
        known, before = self._known, self._before
        if known is not None:
            for value in set(column).difference(known):
                known[value] = before + self._writing.one(value)
            if len(known) > _MOST_KNOWN:
                self._known = None
            return map(known.__getitem__, column)
        if None in column:
            one = self._writing.one
            return [self._missing if value is None else before + one(value) for value in column]
        written = self._writing.column(column)
        return [before + text for text in written] if before else written


_CSV_WRITING: Mapping[ExportKind, _Writing] = {
    ExportKind.TEXT: _Writing(_quoted, _all_quoted),
    ExportKind.MONEY: _Writing(_dollars, _all_dollars),
    ExportKind.INTEGER: _Writing(str),
    ExportKind.NUMBER: _Writing(repr),
    ExportKind.DATE: _Writing(dt.date.isoformat),
    ExportKind.INSTANT: _Writing(_instant),
    ExportKind.BOOLEAN: _Writing(lambda value: "true" if value else "false"),
}
_JSON_WRITING: Mapping[ExportKind, _Writing] = {
    ExportKind.TEXT: _Writing(_json_text, _all_json_texts),
    # A string: readers of JSON make binary floats of numbers.
    ExportKind.MONEY: _Writing(
        lambda value: f'"{_dollars(value)}"', lambda column: _quote_all(_all_dollars(column))
    ),
    ExportKind.INTEGER: _Writing(str),
    ExportKind.NUMBER: _Writing(json.dumps),
    ExportKind.DATE: _Writing(lambda value: f'"{value.isoformat()}"'),
    ExportKind.INSTANT: _Writing(lambda value: f'"{_instant(value)}"'),
    ExportKind.BOOLEAN: _Writing(lambda value: "true" if value else "false"),
}


def _lines(encoders: Sequence[_Encoder], batches: Iterable[Batch]) -> Iterable[list[str]]:
    """Yield the rows of each batch, their values with commas between."""
    for batch in batches:
        encoded = [encode(column) for encode, column in zip(encoders, batch, strict=True)]
        yield list(map(",".join, zip(*encoded, strict=True)))


class _Csv:
    name = "csv"
    media_type = "text/csv; charset=utf-8"
    extension = "csv"

    def write(
        self,
        columns: Sequence[ExportColumn],
        batches: Iterable[Batch],
        out: BinaryIO,
        told: Callable[[int], None],
    ) -> None:
        """Write one line of names, then one per row, as RFC 4180 has it."""
        out.write((",".join(_quoted(one.name) for one in columns) + "\r\n").encode())
        encoders = [_Encoder(_CSV_WRITING[one.kind], "", "") for one in columns]
        for lines in _lines(encoders, batches):
            if lines:
                out.write(("\r\n".join(lines) + "\r\n").encode())
            told(len(lines))


class _Ndjson:
    name = "ndjson"
    media_type = "application/x-ndjson"
    extension = "ndjson"
    _begin, _between, _end = b"", "\n", b"\n"

    def write(
        self,
        columns: Sequence[ExportColumn],
        batches: Iterable[Batch],
        out: BinaryIO,
        told: Callable[[int], None],
    ) -> None:
        """Write one object per row."""
        encoders = [
            _Encoder(_JSON_WRITING[one.kind], "null", f"{json.dumps(one.name)}:") for one in columns
        ]
        out.write(self._begin)
        between = "}" + self._between + "{"
        is_first = True
        for lines in _lines(encoders, batches):
            if lines:
                lead = "" if is_first else self._between
                out.write((lead + "{" + between.join(lines) + "}").encode())
                is_first = False
            told(len(lines))
        if not is_first or self._begin:
            out.write(self._end)


class _Json(_Ndjson):
    name = "json"
    media_type = "application/json"
    extension = "json"
    _begin, _between, _end = b"[\n", ",\n", b"\n]\n"


# -- workbooks and Parquet ------------------------------------------------------------------------

_XLSX_FORMATS = {
    ExportKind.MONEY: "0.00",
    ExportKind.DATE: "yyyy-mm-dd",
    ExportKind.INSTANT: "yyyy-mm-dd hh:mm:ss",
}
#: Rows that a sheet of Excel has.
_SHEET_ROWS = 1_048_576


class _Xlsx:
    name = "xlsx"
    media_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    extension = "xlsx"

    def write(
        self,
        columns: Sequence[ExportColumn],
        batches: Iterable[Batch],
        out: BinaryIO,
        told: Callable[[int], None],
    ) -> None:
        """Write one sheet, and further ones where a sheet is full."""
        book = open_workbook(out, created=dt.datetime(2000, 1, 1, tzinfo=dt.UTC), flat=True)
        try:
            self._fill(book, columns, batches, told)
        finally:
            book.close()

    def _fill(
        self,
        book: Any,
        columns: Sequence[ExportColumn],
        batches: Iterable[Batch],
        told: Callable[[int], None],
    ) -> None:
        formats = [
            book.add_format({"num_format": _XLSX_FORMATS[one.kind]})
            if one.kind in _XLSX_FORMATS
            else None
            for one in columns
        ]
        sheet, at = self._sheet(book, columns), 1
        for batch in batches:
            rows = 0
            for row in zip(*batch, strict=True):
                if at == _SHEET_ROWS:
                    sheet, at = self._sheet(book, columns), 1
                for place, (value, one, style) in enumerate(
                    zip(row, columns, formats, strict=True)
                ):
                    if value is not None:
                        _write_cell(sheet, at, place, value, one.kind, style)
                at += 1
                rows += 1
            told(rows)

    @staticmethod
    def _sheet(book: Any, columns: Sequence[ExportColumn]) -> Any:
        sheet = book.add_worksheet()
        for place, one in enumerate(columns):
            sheet.set_column(place, place, 18)
            sheet.write_string(0, place, one.name)
        sheet.freeze_panes(1, 0)
        return sheet


def _write_cell(sheet: Any, row: int, at: int, value: Any, kind: ExportKind, style: Any) -> None:
    if kind is ExportKind.TEXT:
        sheet.write_string(row, at, value)
    elif kind is ExportKind.MONEY:
        sheet.write_number(row, at, value / 100, style)
    elif kind is ExportKind.BOOLEAN:
        sheet.write_boolean(row, at, value)
    elif kind is ExportKind.DATE:
        sheet.write_datetime(row, at, dt.datetime.combine(value, dt.time()), style)
    elif kind is ExportKind.INSTANT:
        sheet.write_datetime(row, at, value.astimezone(dt.UTC).replace(tzinfo=None), style)
    else:
        sheet.write_number(row, at, value)


class _Parquet:
    name = "parquet"
    media_type = "application/vnd.apache.parquet"
    extension = "parquet"

    def write(
        self,
        columns: Sequence[ExportColumn],
        batches: Iterable[Batch],
        out: BinaryIO,
        told: Callable[[int], None],
    ) -> None:
        """Write one row group per batch; money is ``decimal128(18, 2)``."""
        try:
            import pyarrow as pa
            import pyarrow.compute as pc
            import pyarrow.parquet as pq
        except ImportError:
            raise ConfigError(
                "Parquet needs pyarrow, which is not installed",
                remedy="Install 'claimkit[parquet]'",
            ) from None
        types = {
            ExportKind.TEXT: pa.string(),
            ExportKind.MONEY: pa.decimal128(18, 2),
            ExportKind.INTEGER: pa.int64(),
            ExportKind.NUMBER: pa.float64(),
            ExportKind.DATE: pa.date32(),
            ExportKind.INSTANT: pa.timestamp("ms", tz="UTC"),
            ExportKind.BOOLEAN: pa.bool_(),
        }
        schema = pa.schema([(one.name, types[one.kind]) for one in columns])
        cent = pa.scalar(Decimal("0.01"), pa.decimal128(3, 2))
        with pq.ParquetWriter(out, schema, compression="zstd") as writer:
            for batch in batches:
                arrays = []
                for column, one in zip(batch, columns, strict=True):
                    if one.kind is ExportKind.MONEY:
                        cents = pa.array(column, pa.int64()).cast(pa.decimal128(19, 0))
                        exact = pc.multiply(cents, cent)
                        arrays.append(exact.cast(types[one.kind]))
                    else:
                        arrays.append(pa.array(column, types[one.kind]))
                table = pa.Table.from_arrays(arrays, schema=schema)
                writer.write_table(table)
                told(table.num_rows)


#: Format name → what writes it.
FORMATS: Mapping[str, ExportFormat] = {
    one.name: one for one in (_Csv(), _Json(), _Ndjson(), _Xlsx(), _Parquet())
}
