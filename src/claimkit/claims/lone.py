"""Claims that one row of a CSV tells, as columns: most of any export.

Hides a short way past one object per claim. A row whose claim no row beside it tells, and which
needs no adjustments, is kept as a cell in each of a few columns, which normalizers and stores take
a column at a time. Whoever cannot do that unfolds them to records
(:meth:`ClaimBatch.unfold <claimkit.claims.model.ClaimBatch.unfold>`), the same as if
each row had been read by itself.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from itertools import compress
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from claimkit.claims.model import Claim, ClaimKind, ServiceLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["LoneClaims"]


def _defaults(kind: type) -> dict[str, Any]:
    return {
        one.name: one.default
        for one in dataclasses.fields(kind)
        if one.default is not dataclasses.MISSING
    }


_OF_CLAIM = _defaults(Claim)
_OF_LINE = _defaults(ServiceLine)


@dataclass(slots=True, kw_only=True)
class LoneClaims:
    """Claims of one service line each, all from a CSV, in file order, without adjustments.

    A field that no column tells has its default in all of them.
    """

    #: Field of :class:`~claimkit.claims.model.Claim` → its column; ``flags`` are tuples.
    claims: dict[str, list[Any]] = field(default_factory=dict)
    #: Field of :class:`~claimkit.claims.model.ServiceLine` → its column.
    lines: dict[str, list[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.claims.get("position", ()))

    def claim(self, name: str) -> list[Any]:
        """Return the column of a claim's field; not to be changed."""
        column = self.claims.get(name)
        return [_OF_CLAIM.get(name)] * len(self) if column is None else column

    def line(self, name: str) -> list[Any]:
        """Return the column of a line's field; not to be changed."""
        column = self.lines.get(name)
        return [_OF_LINE.get(name)] * len(self) if column is None else column

    def take(self, rows: Sequence[int]) -> LoneClaims:
        """Return some of the claims, in the order of ``rows``."""
        if not rows:
            return LoneClaims()
        pick = itemgetter(*rows, rows[0])
        # Some fields share a column.
        picked = {
            id(column): list(pick(column)[:-1])
            for columns in (self.claims, self.lines)
            for column in columns.values()
        }
        return LoneClaims(
            claims={name: picked[id(column)] for name, column in self.claims.items()},
            lines={name: picked[id(column)] for name, column in self.lines.items()},
        )

    def extend(self, other: LoneClaims, chosen: Sequence[int] | bytearray) -> None:
        """Add the claims of another piece of the same file that ``chosen`` marks."""
        for mine, its in ((self.claims, other.claims), (self.lines, other.lines)):
            for name, column in its.items():
                mine.setdefault(name, []).extend(compress(column, chosen))

    def records(self, rows: Iterable[int]) -> list[Claim]:
        """Return some of the claims as records."""
        return [self._record(row) for row in rows]

    def _record(self, row: int) -> Claim:
        line = ServiceLine(**{name: column[row] for name, column in self.lines.items()})
        values = {name: column[row] for name, column in self.claims.items()}
        values["flags"] = list(values.get("flags", ()))
        return Claim(kind=ClaimKind.CSV, lines=[line], **values)
