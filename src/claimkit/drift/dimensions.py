"""Further dimensions of claims, by which a change is narrowed down: facility, plan, provider, authorization.

A tenant's settings choose which ones count. They are kept as *slices*, one name for each combination
of their values, in a table of its own (:data:`~claimkit.drift.cube.SLICES`): the tables that find a
change stay as small as they are, and the slices say where in the payer it is.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from claimkit.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from claimkit.events import ClaimFacts

__all__ = ["DIMENSIONS", "check_dimensions", "slice_name", "slice_names", "slice_values"]

#: Fields of :class:`~claimkit.facts.ClaimFacts` that can be further dimensions.
DIMENSIONS = ("authorization", "facility", "line_of_business", "provider")


def check_dimensions(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names without repetition, in the order of :data:`DIMENSIONS`.

    Raises:
        UnknownName: claims have no such dimension.
    """
    for name in names:
        if name not in DIMENSIONS:
            raise UnknownName.of("dimension", name, DIMENSIONS)
    return tuple(name for name in DIMENSIONS if name in names)


def slice_names(facts: Sequence[ClaimFacts], dimensions: Sequence[str]) -> list[str]:
    """Return the slice of each claim: a JSON object of its values, without those that are empty.

    >>> slice_values('{"facility":"11"}')
    {'facility': '11'}
    """
    made: dict[tuple[str, ...], str] = {}
    names = []
    for one in facts:
        values = tuple(getattr(one, name) for name in dimensions)
        name = made.get(values)
        if name is None:
            name = made[values] = slice_name(dict(zip(dimensions, values, strict=True)))
        names.append(name)
    return names


def slice_name(values: Mapping[str, str]) -> str:
    """Return the name of a slice from its values by dimension; empty values do not count."""
    told = {key: value for key, value in values.items() if value}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def slice_values(name: str) -> Mapping[str, str]:
    """Return the values of a slice by dimension; the empty slice has none."""
    values: Mapping[str, str] = json.loads(name) if name else {}
    return values
