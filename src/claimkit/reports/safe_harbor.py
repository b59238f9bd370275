"""Exports without the identifiers of Safe Harbor (45 CFR 164.514(b)(2)): a column leaves only if it says so.

Dates become years; numbers of claims and authorizations, identifiers that are derived from them,
places, people and free text stay behind. What the rule asks of those who release data stays theirs:
that they do not know how what is left singles somebody out, such as in a cell of very few claims.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from claimkit.errors import ConfigError
from claimkit.reports.exports import ExportKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from claimkit.reports.exports import ExportColumn

__all__ = ["coarsen", "safe_columns"]

_DAYS = (ExportKind.DATE, ExportKind.INSTANT)


def safe_columns(
    columns: Sequence[ExportColumn], *, wanted: Sequence[str] = ()
) -> tuple[ExportColumn, ...]:
    """Return those columns that Safe Harbor lets out, in their order.

    Args:
        columns: What would be exported.
        wanted: Names that were asked for; one that may not leave is refused and not left out.

    Raises:
        ConfigError: a wanted column, or all of them, may not leave.
    """
    safe = tuple(one for one in columns if one.in_safe_harbor)
    for name in wanted:
        if name not in {one.name for one in safe}:
            raise ConfigError(
                f"Safe Harbor does not let the column {name} out",
                remedy=f"Ask for some of {', '.join(one.name for one in safe) or 'no columns'}",
            )
    if not safe:
        raise ConfigError(
            "Safe Harbor lets none of these columns out",
            remedy="Export claims, or mark columns of your own with in_safe_harbor",
        )
    return safe


def coarsen(
    columns: Sequence[ExportColumn], batches: Iterable[Sequence[Sequence[Any]]]
) -> tuple[tuple[ExportColumn, ...], Iterator[Sequence[Sequence[Any]]]]:
    """Return columns and rows with years in place of days; ``paid_on`` becomes ``paid_on_year``.

    Args:
        columns: Those of :func:`safe_columns`.
        batches: What they hold, column by column.
    """
    is_day = [one.kind in _DAYS for one in columns]
    coarse = tuple(
        replace(one, name=f"{one.name}_year", kind=ExportKind.INTEGER) if day else one
        for one, day in zip(columns, is_day, strict=True)
    )
    return coarse, (
        [_years(values) if day else values for values, day in zip(batch, is_day, strict=True)]
        for batch in batches
    )


def _years(days: Sequence[Any]) -> list[int | None]:
    return [None if day is None else day.year for day in days]
