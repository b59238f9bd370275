"""Simulated claims as the library's cube cells, without a claim object in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from simulation import REASONS

from claimkit.drift.cube import DECISIONS, INFLOW, MAX_AGE, MONEY, Cells, canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from claims import Claims

__all__ = ["cells_of", "first_day", "group_name", "payer_name"]

#: Day number of a Monday; day 0 of a simulation is its own weekday after it.
_MONDAY = 20_003


def first_day(claims: Claims) -> int:
    """Return the library's day number of day 0."""
    return _MONDAY + claims.weekday


def payer_name(code: int) -> str:
    return f"PAYER {code:02d}"


def group_name(code: int) -> str:
    return f"group {code:02d}"


def cells_of(claims: Claims) -> Mapping[str, Cells]:
    """Return the cube of a simulation, as known on the evening of its last day."""
    first_pass = ~claims.is_rework
    origin = first_day(claims)
    payer = claims.payer[first_pass].astype(np.int64)
    group = claims.group[first_pass].astype(np.int64)
    submitted = claims.submitted[first_pass].astype(np.int64) + origin
    decided = claims.decided[first_pass].astype(np.int64) + origin
    outcome = claims.reason[first_pass].astype(np.int64) + 1
    charge, allowed, paid = (
        np.rint(100 * column[first_pass]).astype(np.int64)
        for column in (claims.charge, claims.allowed, claims.paid)
    )
    known = decided < claims.days + origin
    one = np.ones(payer.size, np.int64)
    names = {
        "payer": tuple(payer_name(code) for code in range(claims.payers)),
        "procedure_group": tuple(group_name(code) for code in range(claims.groups)),
    }
    full = np.flatnonzero(known & (outcome == 0) & (allowed > 0) & (charge > 0))
    ratio = np.rint(1e4 * np.log(allowed[full] / charge[full])).astype(np.int64)
    decisions = Cells(
        table=DECISIONS,
        names={**names, "outcome": ("paid", *REASONS), "reason": ("", *REASONS)},
        labels={
            "payer": payer[known],
            "procedure_group": group[known],
            "outcome": outcome[known],
            "reason": outcome[known],
        },
        numbers={
            "decided_day": decided[known],
            "age_days": np.minimum(decided - submitted, MAX_AGE)[known],
        },
        measures={
            "claims": one[known],
            "charge": charge[known],
            "allowed": allowed[known],
            "paid": paid[known],
        },
    )
    money = Cells(
        table=MONEY,
        names=names,
        labels={"payer": payer[full], "procedure_group": group[full]},
        numbers={"decided_day": decided[full], "ratio_bin": ratio // 1000},
        measures={
            "claims": one[full],
            "ratio": ratio,
            "ratio_squared": ratio * ratio,
            "allowed": allowed[full],
        },
    )
    inflow = Cells(
        table=INFLOW,
        names=names,
        labels={"payer": payer, "procedure_group": group},
        numbers={"submitted_day": submitted},
        measures={"claims": one, "charge": charge},
    )
    return {cells.table.name: canonical(cells) for cells in (decisions, money, inflow)}
