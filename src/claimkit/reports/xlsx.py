"""The report as a workbook: a sheet with the summary, then one per table; by XlsxWriter."""

from __future__ import annotations

import datetime as dt
import io
import math
import re
from typing import TYPE_CHECKING, Any, BinaryIO

from claimkit.errors import ConfigError
from claimkit.reports.document import Column, Section, Table, ValueKind, format_value
from claimkit.reports.origins import method_words, origin_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from claimkit.reports.document import KeyFigure, Report, Value

__all__ = ["XlsxRenderer", "open_workbook"]

#: Number formats of Excel by kind.
_FORMATS = {
    ValueKind.MONEY: '"$"#,##0.00;[Red]-"$"#,##0.00',
    ValueKind.SHARE: "0.0%",
    ValueKind.POINTS: "+0.0%;-0.0%",
    ValueKind.COUNT: "#,##0",
    ValueKind.DAYS: '0.0 "days"',
    ValueKind.DATE: "yyyy-mm-dd",
}
_WIDEST, _NARROWEST = 60, 10
#: Points of a line, and lines of the highest row that Excel takes.
_LINE_HEIGHT, _MOST_LINES = 15, 27
#: Characters that Excel does not take in the name of a sheet.
_NOT_IN_NAMES = re.compile(r"[\[\]:*?/\\']")
_LONGEST_NAME = 31


def open_workbook(out: BinaryIO, *, created: dt.datetime, flat: bool) -> Any:
    """Return an XlsxWriter workbook that takes texts as texts: no formula, link or number of them.

    Args:
        out: Where it is written when it is closed.
        created: Aware instant that its properties tell; the only time in it.
        flat: Keep one row in memory and not all; rows must then come in order.

    Raises:
        ConfigError: XlsxWriter is not installed.
    """
    try:
        import xlsxwriter
    except ImportError:
        raise ConfigError(
            "workbooks need XlsxWriter, which is not installed",
            remedy="Install 'claimkit[reports]'",
        ) from None
    book = xlsxwriter.Workbook(
        out,
        {
            "constant_memory": flat,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        },
    )
    book.set_properties({"author": "claimkit", "created": created.replace(tzinfo=None)})
    return book


class XlsxRenderer:
    """A workbook whose numbers are numbers; the same report gives the same bytes."""

    name: str = "xlsx"
    media_type: str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    extension: str = "xlsx"

    def render(self, report: Report, out: BinaryIO) -> None:
        """Write the workbook.

        Raises:
            ConfigError: XlsxWriter is not installed.
        """
        day = dt.datetime.combine(report.as_of, dt.time(), dt.UTC)
        # In memory first: a ZipFile that cannot write fails once more when it is collected.
        content = io.BytesIO()
        book = open_workbook(content, created=day, flat=False)
        try:
            sheets = _Sheets(book)
            sheets.summary(report)
            for section in report.sections:
                for table in section.tables:
                    sheets.table(section, table)
            if report.traces:
                sheets.table(_NUMBERS, _numbers(report))
        finally:
            book.close()
        out.write(content.getbuffer())


class _Sheets:
    """Writes sheets with shared formats and unique names."""

    def __init__(self, book: Any) -> None:
        self._book = book
        self._names: set[str] = set()
        self._bold = book.add_format({"bold": True})
        self._title = book.add_format({"bold": True, "font_size": 14})
        self._head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True})
        self._right = book.add_format({"align": "right"})
        self._note = book.add_format({"indent": 1})
        self._wrap = book.add_format({"text_wrap": True, "valign": "top"})
        self._kinds = {
            kind: book.add_format({"num_format": text, "valign": "top"})
            for kind, text in _FORMATS.items()
        }

    def summary(self, report: Report) -> None:
        sheet = self._add("Summary")
        sheet.set_column(0, 0, 34)
        sheet.set_column(1, 1, 22)
        sheet.set_column(2, 2, _WIDEST)
        sheet.write_string(0, 0, f"{report.title}: {report.tenant}", self._title)
        sheet.write_string(1, 0, report.headline, self._bold)
        row = 3
        for figure in report.key_figures:
            row = self._figure(sheet, row, figure)
        for section in report.sections:
            row += 1
            sheet.write_string(row, 0, section.heading, self._bold)
            row += 1
            for text in (*section.paragraphs, *section.points):
                sheet.merge_range(row, 0, row, 2, "", self._wrap)
                sheet.write_string(row, 0, text, self._wrap)
                sheet.set_row(row, 15 * (1 + len(text) // 110))
                row += 1
            for figure in section.key_figures:
                row = self._figure(sheet, row, figure)
        row += 1
        sheet.write_string(row, 0, "Content")
        sheet.write_string(row, 1, report.content_hash)

    def _figure(self, sheet: Any, row: int, figure: KeyFigure) -> int:
        sheet.write_string(row, 0, figure.label)
        if isinstance(figure.value, str):
            sheet.write_string(row, 1, figure.value, self._right)
        else:
            self._value(sheet, row, 1, figure.value, figure.kind)
        sheet.write_string(row, 2, figure.note, self._note)
        return row + 1

    def table(self, section: Section, table: Table) -> None:
        sheet = self._add(section.heading)
        widths = [_width(table, at) for at in range(len(table.columns))]
        for at, column in enumerate(table.columns):
            sheet.write_string(0, at, column.label, self._head)
            sheet.set_column(at, at, widths[at])
        sheet.freeze_panes(1, 0)
        sheet.repeat_rows(0)
        for number, row in enumerate(table.rows, start=1):
            for at, (value, column) in enumerate(zip(row, table.columns, strict=True)):
                self._value(sheet, number, at, value, column.kind)
            # Not every program makes room for lines that wrap.
            lines = max(_lines(value, width) for value, width in zip(row, widths, strict=True))
            if lines > 1:
                sheet.set_row(number, _LINE_HEIGHT * lines)
        if table.rows:
            sheet.autofilter(0, 0, len(table.rows), len(table.columns) - 1)

    def _value(self, sheet: Any, row: int, at: int, value: Value, kind: ValueKind) -> None:
        if value is None:
            return
        if isinstance(value, str):
            sheet.write_string(row, at, value, self._wrap)
        elif isinstance(value, dt.date):
            moment = dt.datetime.combine(value, dt.time())
            sheet.write_datetime(row, at, moment, self._kinds[ValueKind.DATE])
        else:
            number = value / 100 if kind is ValueKind.MONEY else value
            sheet.write_number(row, at, number, self._kinds.get(kind))

    def _add(self, wanted: str) -> Any:
        base = _NOT_IN_NAMES.sub(" ", wanted).strip()[:_LONGEST_NAME] or "Table"
        name = next(one for one in _names(base) if one.lower() not in self._names)
        self._names.add(name.lower())
        sheet = self._book.add_worksheet(name)
        # As wide as the paper, as many pages as it takes.
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        return sheet


def _names(base: str) -> Iterator[str]:
    yield base
    number = 2
    while True:
        ending = f" {number}"
        yield base[: _LONGEST_NAME - len(ending)] + ending
        number += 1


#: What the sheet of all numbers is called.
_NUMBERS = Section(anchor="numbers", heading="Numbers")


def _numbers(report: Report) -> Table:
    """Return all numbers with what they are made of, a series by its length."""
    rows = tuple(
        (
            one.id,
            one.label,
            f"{len(one.value)} values"
            if isinstance(one.value, tuple)
            else format_value(one.value, one.kind),
            method_words(one),
            "; ".join(map(origin_words, one.origins)) or "no finding",
            one.at,
        )
        for one in report.traces
    )
    labels = ("Number", "What", "Value", "How", "Made of", "Place in the document")
    columns = tuple(Column(label=label) for label in labels)
    return Table(caption="Numbers", columns=columns, rows=rows)


def _lines(value: Value, width: int) -> int:
    """Return how many lines a value takes; words that do not fit leave some of each line empty."""
    if not isinstance(value, str):
        return 1
    return min(_MOST_LINES, max(1, math.ceil(1.1 * len(value) / width)))


def _width(table: Table, at: int) -> int:
    texts = [row[at] for row in table.rows if isinstance(row[at], str)]
    longest = max(map(len, (table.columns[at].label, *texts)), default=_NARROWEST)  # type: ignore[arg-type]
    return min(_WIDEST, max(_NARROWEST, longest + 2))
