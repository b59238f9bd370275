"""What can be seen at all: the smallest change that each payer's volume lets us detect."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.nights import ready_on
from claimkit.types import date_of, day_of

if TYPE_CHECKING:
    import datetime as dt

    from claimkit.config import DriftConfig
    from claimkit.drift.cube import Cells

__all__ = ["RECENT_DAYS", "PayerState", "PayerWatch", "smallest_change", "watched_payers"]

#: Days whose decisions say how well a payer is watched.
RECENT_DAYS = 28
#: Threshold of a stream and over-dispersion that are typical of mid-sized tenants.
_TYPICAL_THRESHOLD = 5.1
_TYPICAL_DISPERSION = 1.3


class PayerState(StrEnum):
    """Whether a payer can be watched."""

    WATCHED = "watched"
    #: Too short a history to know what is normal.
    LEARNING = "learning"
    #: So few decisions that only a change of almost everything would show.
    SPARSE = "sparse"
    #: No decision for four weeks or more.
    SILENT = "silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class PayerWatch:
    """How well one payer is watched."""

    payer: str
    state: PayerState
    #: First decision that we know of.
    since: dt.date
    #: Last decision that we know of.
    until: dt.date
    #: First day on which a finding is possible, while learning.
    ready_on: dt.date | None = None
    #: Decisions in the last 28 days, and the denial rate over the whole history.
    decisions: int = 0
    denial_rate: float = 0.0
    #: Smallest rise of the denial rate, as a share, that 28 days would show; None if there is none.
    smallest_change: float | None = None


def smallest_change(
    *,
    rate: float,
    claims: float,
    dispersion: float = _TYPICAL_DISPERSION,
    threshold: float = _TYPICAL_THRESHOLD,
) -> float | None:
    """Return the smallest rise of a denial rate that ``claims`` decisions can show.

    A window of n decisions carries n · KL(p₁‖p₀) / φ nats of evidence; h² / 2 are asked for, where
    h is the threshold of the signed-root score. Solved for p₁; None where not even p₁ = 1 would do.

    >>> round(smallest_change(rate=0.10, claims=1_400), 3)
    0.05
    >>> smallest_change(rate=0.10, claims=5) is None
    True
    """
    rate = min(max(rate, 1e-3), 0.97)
    if claims <= 0:
        return None
    needed = threshold**2 / 2 * dispersion / claims
    if -math.log(rate) < needed:
        return None
    low, high = rate, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _divergence(middle, rate) < needed:
            low = middle
        else:
            high = middle
    return high - rate


def _divergence(p1: float, p0: float) -> float:
    """Kullback-Leibler divergence of two Bernoulli distributions, in nats; p1 > p0."""
    if p1 >= 1.0:
        return -math.log(p0)
    return p1 * math.log(p1 / p0) + (1 - p1) * math.log((1 - p1) / (1 - p0))


def watched_payers(
    decisions: Cells, *, as_of: dt.date, config: DriftConfig
) -> tuple[PayerWatch, ...]:
    """Return how well each payer is watched on the evening of ``as_of``, largest volume first."""
    today = day_of(as_of)
    rows = decisions.take(
        (decisions.numbers["decided_day"] <= today) & (decisions.measures["claims"] > 0)
    )
    names = rows.names["payer"]
    payer, day = rows.labels["payer"], rows.numbers["decided_day"]
    claims = rows.measures["claims"]
    paid = np.array([name == "paid" for name in rows.names["outcome"]], np.bool_)
    is_denied = ~paid[rows.labels["outcome"]]
    size = len(names)
    total = np.bincount(payer, claims, size)
    denied = np.bincount(payer[is_denied], claims[is_denied], size)
    is_recent = day > today - RECENT_DAYS
    recent = np.bincount(payer[is_recent], claims[is_recent], size)
    first = np.full(size, today, np.int64)
    np.minimum.at(first, payer, day)
    last = np.full(size, np.iinfo(np.int64).min, np.int64)
    np.maximum.at(last, payer, day)
    tenant_first = int(first[total > 0].min()) if (total > 0).any() else today
    order = sorted(np.flatnonzero(total > 0).tolist(), key=lambda at: (-total[at], names[at]))
    return tuple(
        _payer_watch(
            names[at],
            (date_of(int(first[at])), date_of(int(last[at]))),
            int(recent[at]),
            float(denied[at] / total[at]),
            as_of=as_of,
            ready=date_of(ready_on(int(first[at]), tenant_first, config)),
        )
        for at in order
    )


def _payer_watch(
    payer: str,
    span: tuple[dt.date, dt.date],
    recent: int,
    rate: float,
    *,
    as_of: dt.date,
    ready: dt.date,
) -> PayerWatch:
    smallest = smallest_change(rate=rate, claims=recent)
    if ready > as_of:
        state = PayerState.LEARNING
    elif recent == 0:
        state = PayerState.SILENT
    else:
        state = PayerState.SPARSE if smallest is None else PayerState.WATCHED
    return PayerWatch(
        payer=payer,
        state=state,
        since=span[0],
        until=span[1],
        ready_on=ready if state is PayerState.LEARNING else None,
        decisions=recent,
        denial_rate=rate,
        smallest_change=smallest,
    )
