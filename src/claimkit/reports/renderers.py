"""Report renderers: the port, and the built-in formats."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, BinaryIO, Protocol

from claimkit.reports.document import as_plain, format_value
from claimkit.reports.html import page
from claimkit.types import from_cents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from claimkit.reports.document import Report, Section, Table

__all__ = ["CsvRenderer", "HtmlRenderer", "JsonRenderer", "MarkdownRenderer", "ReportRenderer"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_COLUMNS = (
    *("fingerprint", "tier", "severity", "signal", "payer", "procedure_groups", "category"),
    *("onset", "detected_on", "baseline", "current", "effect", "low", "high", "unit"),
    *("claims", "dollars_per_month", "summary"),
)


class ReportRenderer(Protocol):
    """Turns a report into one output format. Registered by ``claimkit_register_renderers``."""

    #: Format name, such as ``html``.
    name: str
    media_type: str
    #: File name ending without the dot.
    extension: str

    def render(self, report: Report, out: BinaryIO) -> None:
        """Write the whole report to ``out``: the same bytes for the same report, where the format can.

        Raises:
            ConfigError: a package that the format needs is not installed.
        """
        ...


class HtmlRenderer:
    """One self-contained page with charts."""

    name: str = "html"
    media_type: str = "text/html; charset=utf-8"
    extension: str = "html"

    def render(self, report: Report, out: BinaryIO) -> None:
        """Write the page."""
        out.write(page(report).encode())


class JsonRenderer:
    """The whole document as data."""

    name: str = "json"
    media_type: str = "application/json"
    extension: str = "json"

    def render(self, report: Report, out: BinaryIO) -> None:
        """Write one JSON object; money in cents, dates in ISO 8601."""
        plain = {**as_plain(report), "content_hash": report.content_hash}
        out.write(json.dumps(plain, ensure_ascii=False, indent=2).encode())
        out.write(b"\n")


class MarkdownRenderer:
    """Text with tables, for wikis and messages."""

    name: str = "markdown"
    media_type: str = "text/markdown; charset=utf-8"
    extension: str = "md"

    def render(self, report: Report, out: BinaryIO) -> None:
        """Write the report as CommonMark with pipe tables."""
        out.write("\n".join(self._lines(report)).encode())

    def _lines(self, report: Report) -> Iterator[str]:
        yield f"# {_md(report.title)}: {_md(report.tenant)}"
        yield ""
        yield f"**{_md(report.headline)}**"
        yield ""
        for figure in report.key_figures:
            note = f" ({_md(figure.note)})" if figure.note else ""
            yield f"- {_md(figure.label)}: {_md(format_value(figure.value, figure.kind))}{note}"
        yield ""
        for section in report.sections:
            yield from self._section(section)

    def _section(self, section: Section) -> Iterator[str]:
        yield f"## {_md(section.heading)}"
        yield ""
        for paragraph in section.paragraphs:
            yield _md(paragraph)
            yield ""
        for figure in section.key_figures:
            note = f" ({_md(figure.note)})" if figure.note else ""
            yield f"- {_md(figure.label)}: {_md(format_value(figure.value, figure.kind))}{note}"
        if section.key_figures:
            yield ""
        for chart in section.figures:
            yield f"*{_md(chart.title)}.* {_md(chart.description)}"
            yield ""
        for table in section.tables:
            yield from self._table(table)
        for point in section.points:
            yield f"- {_md(point)}"
        if section.points:
            yield ""

    def _table(self, table: Table) -> Iterator[str]:
        yield f"| {' | '.join(_md(one.label) for one in table.columns)} |"
        yield f"| {' | '.join('---' for _ in table.columns)} |"
        for row in table.rows:
            cells = (
                _md(format_value(value, column.kind))
                for value, column in zip(row, table.columns, strict=True)
            )
            yield f"| {' | '.join(cells)} |"
        yield ""


class CsvRenderer:
    """One row per finding, for spreadsheets."""

    name: str = "csv"
    media_type: str = "text/csv; charset=utf-8"
    extension: str = "csv"

    def render(self, report: Report, out: BinaryIO) -> None:
        """Write the findings; texts that a spreadsheet would run get a leading apostrophe."""
        text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
        rows = csv.writer(text)
        rows.writerow(_COLUMNS)
        for one in report.findings:
            segment = one.segment
            low, high = one.interval
            rows.writerow(
                [
                    *(one.fingerprint, one.tier, one.severity, one.signal, _inert(segment.payer)),
                    *(_inert("; ".join(segment.procedure_groups)), segment.category),
                    *(one.onset, one.detected_on or "", one.baseline, one.current, one.effect),
                    *(low, high, one.unit, one.claims, from_cents(one.dollars_per_month)),
                    _inert(one.summary),
                ]
            )
        text.flush()
        text.detach()


def _inert(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _md(text: str) -> str:
    """Return text that Markdown takes literally, on one line."""
    flat = " ".join(text.split())
    for one in "\\`*_[]<>|#":
        flat = flat.replace(one, f"\\{one}")
    return flat
