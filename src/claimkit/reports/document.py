"""Report documents: sections, tables and figures as data, without markup.

A renderer turns the same document into HTML, JSON, Markdown or CSV. Numbers stay numbers, with
their kind, so that every format writes them its own way and tests can check them.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from claimkit.drift.wording import date_words
from claimkit.reports.origins import AlertOrigin, CellOrigin, FileOrigin, FindingOrigin

if TYPE_CHECKING:
    from claimkit.drift.findings import Finding
    from claimkit.reports.origins import Trace

__all__ = [
    "Bar",
    "BarChart",
    "Column",
    "Figure",
    "HeatMap",
    "KeyFigure",
    "MixChart",
    "Report",
    "RunChart",
    "Section",
    "Step",
    "Table",
    "ValueKind",
    "Waterfall",
    "as_plain",
    "format_value",
]

Value: TypeAlias = "str | int | float | dt.date | None"


class ValueKind(StrEnum):
    """What a value is, and so how it is written."""

    TEXT = "text"
    #: Whole cents.
    MONEY = "money"
    #: 0..1, written as percent.
    SHARE = "share"
    #: Difference of shares, written as percentage points.
    POINTS = "points"
    COUNT = "count"
    DAYS = "days"
    DATE = "date"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFigure:
    """One number that people look for first."""

    label: str
    value: Value
    kind: ValueKind
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table."""

    label: str
    kind: ValueKind = ValueKind.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of values under typed columns; every row has a value per column."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChart:
    """Observed against expected by period, with the band of chance and the day of the change.

    The series have equal length. ``kind`` is that of their values.
    """

    title: str
    #: What the chart shows, for those who do not see it.
    description: str
    kind: ValueKind
    days: tuple[dt.date, ...]
    observed: tuple[float, ...]
    expected: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    onset: dt.date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: a label and a value, with a word for its group (severity)."""

    label: str
    value: float
    tone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BarChart:
    """Horizontal bars, longest first."""

    title: str
    description: str
    kind: ValueKind
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MixChart:
    """Shares of a whole before and since a change, by label."""

    title: str
    description: str
    #: Label, share before, share since; largest gain first.
    rows: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a waterfall: what it adds, or takes away where it is negative."""

    label: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Waterfall:
    """How one total became another: ``start + Σ steps = end``, exactly up to rounding of steps."""

    title: str
    description: str
    kind: ValueKind
    start: Step
    steps: tuple[Step, ...]
    end: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap:
    """A value per row and column, with how far each moved; None where there is nothing to say.

    ``moved`` gives the color: positive is worse. Both are row by column.
    """

    title: str
    description: str
    kind: ValueKind
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    moved: tuple[tuple[float | None, ...], ...]
    #: The move that gets the full color.
    scale: float


Figure: TypeAlias = RunChart | BarChart | MixChart | Waterfall | HeatMap


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading with what belongs to it, in the order in which it is read."""

    #: Unique in the report; the target of links.
    anchor: str
    heading: str
    #: Severity of the finding that the section is about, else empty.
    tone: str = ""
    paragraphs: tuple[str, ...] = ()
    key_figures: tuple[KeyFigure, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    #: Short statements, such as why a finding fired.
    points: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole report about one tenant."""

    title: str
    tenant: str
    #: The evening that the report looks back from.
    as_of: dt.date
    #: Aware UTC instant; not part of the content.
    generated_at: dt.datetime
    #: One sentence that says it all.
    headline: str
    key_figures: tuple[KeyFigure, ...] = ()
    sections: tuple[Section, ...] = ()
    #: The findings that the sections are about, in their order.
    findings: tuple[Finding, ...] = field(default=(), repr=False)
    #: Where each number of key figures, tables and charts comes from.
    traces: tuple[Trace, ...] = field(default=(), repr=False)

    @property
    def content_hash(self) -> str:
        """SHA-256 of everything but the time of generation: same data, same hash."""
        plain = as_plain(self)
        plain.pop("generated_at")
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


#: Values of which one place holds several types.
_TYPED = (
    *(RunChart, BarChart, MixChart, Waterfall, HeatMap),
    *(CellOrigin, FindingOrigin, FileOrigin, AlertOrigin),
)


def as_plain(value: Any) -> Any:
    """Return a document as what ``json.dumps`` takes; dates in ISO 8601, figures and origins with their type."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = {one.name: as_plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
        if isinstance(value, _TYPED):
            plain["type"] = type(value).__name__
        return plain
    if isinstance(value, (list, tuple)):
        return [as_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): as_plain(one) for key, one in value.items()}
    if isinstance(value, (dt.datetime, dt.date)):
        return value.isoformat()
    return value


def format_value(value: Value, kind: ValueKind) -> str:
    """Return a value as people read it; a missing one as a dash.

    >>> format_value(4_123_456, ValueKind.MONEY), format_value(0.1834, ValueKind.SHARE)
    ('$41,235', '18.3 %')
    >>> format_value(dt.date(2026, 3, 9), ValueKind.DATE), format_value(None, ValueKind.COUNT)
    ('9 Mar 2026', '–')
    """
    if value is None:
        return "–"
    if isinstance(value, dt.date):
        return date_words(value)
    if isinstance(value, str):
        return value
    if kind is ValueKind.MONEY:
        dollars = round(value / 100)
        return f"{'-' if dollars < 0 else ''}${abs(dollars):,}"
    if kind is ValueKind.SHARE:
        return f"{100 * value:.1f} %"
    if kind is ValueKind.POINTS:
        return f"{100 * value:+.1f} pp"
    if kind is ValueKind.DAYS:
        return f"{value:.1f} days"
    return f"{round(value):,}"
