"""Procedure codes and the groups that drift looks at.

Groups are ranges of codes with names of our own, in ``data/procedure_groups.tsv``; which codes
there are is left to what a practice bills. CPT is a trademark of the AMA and its descriptors are
licensed: only ranges appear here. HCPCS level II is published by CMS. Codes of another system
(revenue codes, NDC, rate codes) are told apart by their X12 qualifier, never by their looks.
"""

from __future__ import annotations

import bisect
import csv
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["OTHER", "ProcedureGroups", "default_groups", "procedure_group"]

#: Group of what fits no range.
OTHER = "other"
#: Qualifier of SVC01-1, SV101-1, SV202-1 → group for codes that are no CPT or HCPCS.
_SYSTEMS = MappingProxyType(
    {
        "N4": "drugs",
        "NU": "revenue code",
        "HP": "rate code",
        "AD": "dental",
        "WK": "alternative medicine",
        "ZZ": OTHER,
    }
)
#: A group of its own: the case rate is decided as a whole.
INPATIENT = "inpatient"


def _space(code: str) -> tuple[str, int] | None:
    """Return the kind of a five-character code and its number: ``0071T`` → ``("T", 71)``."""
    if len(code) != 5 or not code.isascii():
        return None
    if code.isdigit():
        return "", int(code)
    if code[:4].isdigit() and code[4].isalpha():
        return code[4], int(code[:4])
    if code[0].isalpha() and code[1:].isdigit():
        return f"{code[0]}.", int(code[1:])
    return None


@dataclass(frozen=True, slots=True)
class ProcedureGroups:
    """A table of groups: exact codes first, then ranges.

    Args:
        ranges: First code, last code, group; both of one form (``99202``, ``0001T``, ``J9000``).
        exact: Code → group; wins over the ranges.

    Raises:
        ValueError: a range whose ends are not of one form, or two that overlap.

    >>> ProcedureGroups([("99202", "99499", "visits")], {"99213": "usual visit"}).of("99214")
    'visits'
    """

    ranges: Iterable[tuple[str, str, str]]
    exact: Mapping[str, str] = field(default_factory=dict)
    _spaces: dict[str, tuple[list[int], list[int], list[str]]] = field(
        init=False, repr=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        rows = []
        for first, last, group in self.ranges:
            start, end = _space(first), _space(last)
            if start is None or end is None or start[0] != end[0] or end[1] < start[1]:
                raise ValueError(f"{first}-{last} is not a range of codes")
            rows.append((*start, end[1], group))
        for space, start_number, end_number, group in sorted(rows):
            starts, ends, groups = self._spaces.setdefault(space, ([], [], []))
            if ends and start_number <= ends[-1]:
                raise ValueError(f"the ranges of {groups[-1]} and {group} overlap")
            starts.append(start_number)
            ends.append(end_number)
            groups.append(group)

    def of(self, code: str, system: str = "HC") -> str:
        """Return the group of a code, :data:`OTHER` where there is none.

        Args:
            code: As billed, upper case, without modifiers.
            system: X12 qualifier of the code: HC, AD, NU, N4, HP, ZZ.
        """
        if code in self.exact:
            return self.exact[code]
        if system in _SYSTEMS:
            return _SYSTEMS[system]
        place = _space(code)
        if place is None or place[0] not in self._spaces:
            return OTHER
        starts, ends, groups = self._spaces[place[0]]
        at = bisect.bisect_right(starts, place[1]) - 1
        return groups[at] if at >= 0 and place[1] <= ends[at] else OTHER

    def covers(self, code: str) -> bool:
        """Whether a range holds the code."""
        place = _space(code)
        if place is None or place[0] not in self._spaces:
            return False
        starts, ends, _ = self._spaces[place[0]]
        at = bisect.bisect_right(starts, place[1]) - 1
        return at >= 0 and place[1] <= ends[at]

    def with_changes(self, exact: Mapping[str, str]) -> ProcedureGroups:
        """Return the table with some codes put into other groups."""
        ranges = [
            (_code(space, first), _code(space, last), group)
            for space, (starts, ends, groups) in self._spaces.items()
            for first, last, group in zip(starts, ends, groups, strict=True)
        ]
        return ProcedureGroups(ranges, {**self.exact, **exact})


def _code(space: str, number: int) -> str:
    if space.endswith("."):
        return f"{space[0]}{number:04d}"
    return f"{number:04d}{space}" if space else f"{number:05d}"


@cache
def default_groups() -> ProcedureGroups:
    """Return the table that claimkit ships."""
    source = resources.files("claimkit.claims") / "data" / "procedure_groups.tsv"
    with source.open(encoding="ascii") as lines:
        rows = csv.DictReader(lines, delimiter="\t")
        return ProcedureGroups([(row["first"], row["last"], row["group"]) for row in rows])


def procedure_group(code: str, system: str = "HC") -> str:
    """Return the group of a code by the shipped table.

    >>> procedure_group("99213"), procedure_group("J9035"), procedure_group("0450", "NU")
    ('evaluation and management', 'drugs: oncology', 'revenue code')
    """
    return default_groups().of(code, system)
