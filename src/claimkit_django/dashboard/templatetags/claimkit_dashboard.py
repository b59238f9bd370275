"""How pages write money, counts and dates, and draw the figures that reports draw too."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import template
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.timesince import timesince

from claimkit.drift.findings import Signal
from claimkit.drift.wording import category_words, date_words, signal_words
from claimkit.reports.charts import draw
from claimkit.reports.document import ValueKind, format_value

if TYPE_CHECKING:
    from claimkit.reports.document import Column, Figure, KeyFigure, Table

__all__ = ["register"]

register = template.Library()

#: Pixels of a drawing on a phone, and of one in a card.
_NARROW = 340
_MOMENT = dt.timedelta(minutes=1)
_STATES = {
    "watched": "watched",
    "learning": "still learning",
    "sparse": "too few claims",
    "silent": "silent for four weeks",
}


@register.filter
def money(cents: int | None) -> str:
    """Write cents as whole dollars."""
    return format_value(cents, ValueKind.MONEY)


@register.filter
def count(number: int | None) -> str:
    """Write a count with thousands separators."""
    return format_value(number, ValueKind.COUNT)


@register.filter
def share(part: float | None) -> str:
    """Write a share as percent."""
    return format_value(part, ValueKind.SHARE)


@register.filter
def points(part: float | None) -> str:
    """Write a difference of shares as percentage points."""
    return format_value(part, ValueKind.POINTS)


@register.filter
def day(date: dt.date | None) -> str:
    """Write a day, the same in every locale."""
    return "–" if date is None else date_words(date)


@register.filter
def ago(at: dt.datetime | None) -> str:
    """Write how long ago something was, in its largest unit."""
    if at is None:
        return "–"
    if timezone.now() - at < _MOMENT:
        return "just now"
    return f"{timesince(at, depth=1)} ago"


@register.filter
def changed(signal: str) -> str:
    """Write what a finding says of its payer."""
    return signal_words(Signal(signal)) if signal in list(Signal) else words(signal)


@register.filter
def words(code: str) -> str:
    """Write a code as words."""
    return category_words(str(code))


@register.filter
def person(actor: str, people: dict[str, str]) -> str:
    """Write who did something: a member's name, or what rows keep of others."""
    return people.get(actor) or (words(actor) if ":" not in actor else "somebody who left")


@register.filter
def units(number: Decimal | None) -> str:
    """Write units without zeros that say nothing."""
    return "–" if number is None else f"{number.normalize():f}"


@register.filter
def minus(number: Decimal, other: Decimal) -> Decimal:
    """Return what is left, at least 0."""
    return max(number - other, Decimal(0))


@register.filter
def percent_read(upload: Any) -> int:
    """Return how much of a file was read."""
    return min(99, int(100 * upload.bytes_done // max(upload.bytes_total, 1)))


@register.filter
def days_late(finding: dict[str, Any]) -> str:
    """Write how long after its onset a change would have been told."""
    days = (finding["detected_on"] - finding["onset"]).days
    return f"{days} day{'' if days == 1 else 's'} after it began"


@register.filter
def payer_state(state: str) -> str:
    """Write whether a payer can be watched."""
    return _STATES.get(state, state)


@register.filter
def key_value(figure: KeyFigure) -> str:
    """Write the value of a key figure."""
    return format_value(figure.value, figure.kind)


@register.filter
def cells(table: Table) -> list[list[tuple[str, Column]]]:
    """Return the rows of a table as texts, each with its column."""
    return [
        [
            (format_value(value, column.kind), column)
            for value, column in zip(row, table.columns, strict=True)
        ]
        for row in table.rows
    ]


@register.filter
def is_number(column: Column) -> bool:
    """Whether the values of a column are read from the right."""
    return column.kind not in (ValueKind.TEXT, ValueKind.DATE)


@register.simple_tag
def figure(chart: Figure, identity: object) -> SafeString:
    """Draw a figure for wide and for narrow screens; the style sheet shows one of them."""
    wide = draw(chart, identity=f"figure-{identity}-wide")
    narrow = draw(chart, identity=f"figure-{identity}-narrow", width=_NARROW)
    # What draw() returns is escaped.
    return mark_safe(  # noqa: S308
        f'<div class="when-wide">{wide}</div><div class="when-narrow">{narrow}</div>'
    )


@register.simple_tag
def small_figure(chart: Figure, identity: str) -> SafeString:
    """Draw a figure for a card."""
    return mark_safe(draw(chart, identity=identity, width=_NARROW))  # noqa: S308


@register.simple_tag(takes_context=True)
def current(context: dict[str, Any], section: str) -> SafeString:
    """Mark the entry of the navigation that the page belongs to."""
    return SafeString(' aria-current="page"' if context.get("section") == section else "")
