"""Service lines that need no row, because their statement says all that they say.

A row of an export is one service and one statement, so that its line repeats the statement: same
procedure, day and amounts, and nothing beside. Such a line is not written; the statement is
marked with ``stands_for_line``, and :func:`line_of_event` gives the line back, the same.
Lines that were written before this was so stay, and are read as they are.
"""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Any, Final

from claimkit.claims.model import ServiceLine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from claimkit.claims.model import ClaimEvent

__all__ = ["line_of_event", "lines_beside", "standing_for_lines", "told_beside"]

#: Fields of a line that its statement has as well.
_SHARED: Final = ("procedure_code", "service_from", "charge", "allowed", "paid", "position")
#: What the other fields say where they say nothing.
_SILENT: Final[tuple[tuple[str, Any], ...]] = (
    ("number", "1"),
    ("procedure_system", "HC"),
    ("modifiers", ()),
    ("revenue_code", ""),
    ("units", None),
    ("service_to", None),
    ("billed_procedure", ""),
)


def standing_for_lines(
    events: Mapping[str, Sequence[Any]],
    lines: Sequence[Sequence[ServiceLine]] | Callable[[str], Sequence[Any]],
) -> list[bool]:
    """Return of each event whether it stands for its line.

    Args:
        events: Field of :class:`~claimkit.claims.model.ClaimEvent` → its column.
        lines: The lines of each event, or the columns of one line without adjustments for each.
    """
    if callable(lines):
        return _by_columns(events, lines)
    columns = [events[name] for name in _SHARED]
    return [
        len(its) == 1 and _repeats(its[0], told)
        for its, told in zip(lines, zip(*columns, strict=True), strict=True)
    ]


def _by_columns(
    events: Mapping[str, Sequence[Any]], told: Callable[[str], Sequence[Any]]
) -> list[bool]:
    size = len(events["claim_key"])
    stands = [True] * size
    for name, silent in _SILENT:
        column = told(name)
        if column.count(silent) < size:
            stands = [yes and one == silent for yes, one in zip(stands, column, strict=True)]
    for name in _SHARED:
        column, other = told(name), events[name]
        if column != other:
            stands = [
                yes and one == two for yes, one, two in zip(stands, column, other, strict=True)
            ]
    return stands


def _repeats(line: ServiceLine, told: tuple[Any, ...]) -> bool:
    return (
        not line.adjustments
        and not line.remarks
        and all(getattr(line, name) == silent for name, silent in _SILENT)
        and tuple(getattr(line, name) for name in _SHARED) == told
    )


def line_of_event(event: ClaimEvent) -> ServiceLine:
    """Return the line for which an event stands."""
    return ServiceLine(
        **{name: getattr(event, name) for name in _SHARED},
        **dict(_SILENT),
    )


def lines_beside(
    lines: Sequence[Sequence[ServiceLine]], stands: Sequence[bool]
) -> list[Sequence[ServiceLine]]:
    """Return the lines that need rows, event by event."""
    return [() if yes else its for its, yes in zip(lines, stands, strict=True)]


def told_beside(
    told: Callable[[str], Sequence[Any]],
    stands: Sequence[bool],
    claim_keys: Sequence[int],
    event_keys: Sequence[int],
) -> tuple[list[int], list[int], Callable[[str], Sequence[Any]]]:
    """Return the same of columns: the keys of events whose lines need rows, and these lines."""
    needed = [not one for one in stands]
    return (
        list(compress(claim_keys, needed)),
        list(compress(event_keys, needed)),
        lambda name: list(compress(told(name), needed)),
    )
