"""A small world of claims for drift tests: seeded, with or without a planted change."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest

from claimkit.drift.cube import DECISIONS, INFLOW, MAX_AGE, MONEY, Cells, canonical
from claimkit.types import date_of, day_of

if TYPE_CHECKING:
    from collections.abc import Mapping

REASONS = ("authorization_referral", "bundling", "eligibility", "missing_info_docs")
CODES = ("CO-197", "CO-97", "CO-27", "CO-16")
GROUPS = ("evaluation", "imaging", "laboratory", "surgery")
PAYERS = ("ALBATROSS", "BITTERN", "CORMORANT", "DIPPER", "EGRET")


@dataclass
class World:
    """Claims as columns, by default a year and a month of 40 a day; change them before ``cube``."""

    seed: int = 0
    days: int = 400
    per_day: int = 40
    payers: tuple[str, ...] = PAYERS
    groups: tuple[str, ...] = GROUPS
    start: dt.date = dt.date(2025, 1, 6)
    columns: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = np.random.default_rng([20260101, self.seed])
        size = rng.poisson(self.per_day * 1.4, self.days)
        size[np.arange(self.days) % 7 >= 5] = 0
        count = int(size.sum())
        weight = 1 / np.arange(1, len(self.payers) + 1)
        group = rng.integers(0, len(self.groups), count)
        payer = rng.choice(len(self.payers), count, p=weight / weight.sum())
        submitted = np.repeat(np.arange(self.days), size)
        rate = 0.06 + 0.03 * (group % 4) + 0.01 * (payer % 3)
        lag = np.maximum(1, np.rint(np.exp(2.3 + 0.4 * rng.standard_normal(count)))).astype(int)
        decided = submitted + lag
        decided += np.array([0, 0, 0, 0, 0, 2, 1])[decided % 7]
        charge = np.rint(np.exp(9.5 + 0.4 * rng.standard_normal(count))).astype(np.int64)
        ratio = -0.6 - 0.1 * (group % 4) + 0.08 * rng.standard_normal(count)
        self.columns = {
            "payer": payer,
            "group": group,
            "submitted": submitted,
            "decided": decided,
            "draw": rng.random(count),
            "rate": rate,
            "reason": rng.integers(0, len(REASONS), count),
            "charge": charge,
            "ratio": ratio,
        }

    def day(self, date: dt.date) -> int:
        """Return the position of a date."""
        return (date - self.start).days

    @property
    def last(self) -> dt.date:
        return self.start + dt.timedelta(days=self.days - 1)

    def of(self, *, payer: str, group: str = "") -> np.ndarray:
        """Return the mask of a payer's claims, or of one of its groups."""
        mask = self.columns["payer"] == self.payers.index(payer)
        if group:
            mask &= self.columns["group"] == self.groups.index(group)
        return mask

    def deny_more(self, mask: np.ndarray, *, since: int, points: float, reason: str = "") -> None:
        """Raise the denial probability of claims decided from ``since`` on."""
        mask = mask & (self.columns["decided"] >= since)
        before = self.columns["rate"].copy()
        self.columns["rate"] = np.where(mask, before + points, before)
        if reason:
            added = mask & (self.columns["draw"] >= before)
            code = REASONS.index(reason)
            self.columns["reason"] = np.where(added, code, self.columns["reason"])

    def cube(self, *, until: dt.date | None = None) -> Mapping[str, Cells]:
        """Return the cube as known on the evening of ``until``, the last day by default."""
        c = self.columns
        origin = day_of(self.start)
        end = self.day(until or self.last)
        denied = c["draw"] < c["rate"]
        outcome = np.where(denied, c["reason"] + 1, 0)
        allowed = np.where(denied, 0, np.rint(c["charge"] * np.exp(c["ratio"]))).astype(np.int64)
        known = c["decided"] <= end
        sent = c["submitted"] <= end
        age = c["decided"] - c["submitted"]
        names = {"payer": self.payers, "procedure_group": self.groups}
        one = np.ones(len(known), np.int64)

        def cells(table, mask, *, labels, numbers, measures, more=None):
            return canonical(
                Cells(
                    table=table,
                    names={**names, **(more or {})},
                    labels={axis: column[mask].astype(np.int64) for axis, column in labels.items()},
                    numbers={axis: column[mask] for axis, column in numbers.items()},
                    measures={name: column[mask] for name, column in measures.items()},
                )
            )

        place = {"payer": c["payer"], "procedure_group": c["group"]}
        full = known & ~denied & (allowed > 0)
        ratio = np.rint(1e4 * np.log(np.maximum(allowed, 1) / c["charge"])).astype(np.int64)
        return {
            "decisions": cells(
                DECISIONS,
                known,
                more={"outcome": ("paid", *REASONS), "reason": ("", *CODES)},
                labels={**place, "outcome": outcome, "reason": outcome},
                numbers={
                    "decided_day": c["decided"] + origin,
                    "age_days": np.where(age < 0, -1, np.minimum(age, MAX_AGE)),
                },
                measures={
                    "claims": one,
                    "charge": c["charge"],
                    "allowed": allowed,
                    "paid": allowed * 9 // 10,
                },
            ),
            "money": cells(
                MONEY,
                full,
                labels=place,
                numbers={"decided_day": c["decided"] + origin, "ratio_bin": ratio // 1000},
                measures={
                    "claims": one,
                    "ratio": ratio,
                    "ratio_squared": ratio * ratio,
                    "allowed": allowed,
                },
            ),
            "inflow": cells(
                INFLOW,
                sent & (age >= 0),
                labels=place,
                numbers={"submitted_day": c["submitted"] + origin},
                measures={"claims": one, "charge": c["charge"]},
            ),
        }


@pytest.fixture(scope="session")
def make_world():
    """Return the factory of worlds."""
    return World


@pytest.fixture
def as_date():
    """Return what turns a position of a world into a date."""

    def convert(world: World, position: int) -> dt.date:
        return date_of(day_of(world.start) + position)

    return convert
