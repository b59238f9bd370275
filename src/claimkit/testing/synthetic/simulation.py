"""How made-up payers adjudicate: volumes, case mix, lags, remittance days, denials and money.

The causal structure is the one that makes naive drift detection fail on real claims: weekly and
holiday patterns, payers with their own case mix, denials that take longer than payments,
remittances in batches, resubmissions, patient shares that fall during the year, and recent claims
that nobody has decided yet. Everything is drawn from one seed.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from claimkit.types import date_of, day_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from claimkit.testing.synthetic.profiles import PlantedDrift, Profile
    from claimkit.types import Day

__all__ = ["SyntheticClaims", "make_claims"]

#: CARC of ordinary denials and their shares: missing information, medical necessity,
#: authorization, bundling, not covered, eligibility, timely filing.
_REASONS = ("16", "50", "197", "97", "96", "27", "29")
_SHARES = np.array([0.26, 0.15, 0.12, 0.18, 0.13, 0.11, 0.05])
_WEEKDAYS = np.array([1.25, 1.3, 1.3, 1.25, 1.15, 0.35, 0.2])
#: Month and day of holidays on which nothing is submitted or paid.
_HOLIDAYS = frozenset({(1, 1), (7, 4), (11, 26), (11, 27), (12, 24), (12, 25)})
_RESUBMITTED = 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticClaims:
    """Claims as columns of equal length; one row per submission, decided or not.

    Days are day numbers; money is in cents. A row that nobody decided by ``as_of`` has
    ``decided`` after it and must not be shown as decided.
    """

    profile: Profile
    as_of: dt.date
    number: NDArray[np.int64]
    payer: NDArray[np.int64]
    procedure: NDArray[np.int64]
    service: NDArray[np.int64]
    submitted: NDArray[np.int64]
    decided: NDArray[np.int64]
    denied: NDArray[np.bool_]
    #: Index into ``reasons`` where denied, -1 elsewhere.
    reason: NDArray[np.int64]
    reasons: tuple[str, ...]
    charge: NDArray[np.int64]
    allowed: NDArray[np.int64]
    patient: NDArray[np.int64]
    #: What the payer pays: allowed less the patient's share, nothing where denied.
    paid: NDArray[np.int64]
    member: NDArray[np.int64]
    #: Row that this one replaces, -1 for an original.
    replaces: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.number)

    @property
    def is_decided(self) -> NDArray[np.bool_]:
        """Rows whose decision is known on ``as_of``."""
        return self.decided <= day_of(self.as_of)

    def control_number(self, row: int) -> str:
        """Return the provider's number of a row's claim."""
        return f"{self.profile.prefix}{self.number[row]:07d}"

    def onset(self, drift: PlantedDrift) -> dt.date:
        """Return the first day of a planted drift."""
        return self.as_of - dt.timedelta(days=drift.days_ago)

    def remittances(self) -> Iterator[tuple[int, Day, NDArray[np.int64]]]:
        """Yield payer index, day and rows of every remittance known on ``as_of``, by day."""
        rows = np.flatnonzero(self.is_decided)
        order = rows[np.lexsort((rows, self.payer[rows], self.decided[rows]))]
        key = self.decided[order] * len(self.profile.payers) + self.payer[order]
        for part in np.split(order, np.flatnonzero(np.diff(key)) + 1):
            if len(part):
                yield int(self.payer[part[0]]), int(self.decided[part[0]]), part


def make_claims(
    profile: Profile, *, as_of: dt.date, days: int = 430, seed: int = 1
) -> SyntheticClaims:
    """Simulate the claims of a provider over ``days`` days up to and including ``as_of``.

    The drifts of the profile apply from their day on to whatever is decided then. The same
    arguments give the same claims.
    """
    rng = np.random.default_rng([20260101, seed, len(profile.name)])
    first = day_of(as_of) - days + 1
    calendar = _Calendar(first, days + 400)
    submitted = np.repeat(
        np.arange(first, first + days), rng.poisson(_volumes(profile, calendar, days, rng))
    )
    size = len(submitted)
    payer = rng.choice(len(profile.payers), size, p=_zipf(len(profile.payers)))
    procedure = _procedures(profile, payer, rng)
    charge = _charges(profile, procedure, rng)
    original = _Rows(
        payer=payer,
        procedure=procedure,
        submitted=submitted,
        charge=charge,
        member=rng.integers(0, max(50, size // 4), size),
    )
    decided = _decide(profile, original, calendar, as_of, rng, retry=False)
    again = _resubmit(decided, as_of, rng)
    retried = _decide(profile, again, calendar, as_of, rng, retry=True)
    return _assemble(profile, as_of, decided, retried, rng)


class _Calendar:
    """Which days are working days, from ``first`` on."""

    def __init__(self, first: Day, days: int) -> None:
        self.first = first
        dates = [date_of(first + at) for at in range(days)]
        self.weekday = np.array([one.weekday() for one in dates])
        self.holiday = np.array([(one.month, one.day) in _HOLIDAYS for one in dates])
        self.year_day = np.array([one.timetuple().tm_yday for one in dates])

    def next_remittance(
        self, days: NDArray[np.int64], weekdays: tuple[int, ...]
    ) -> NDArray[np.int64]:
        """Return for each day the first remittance day on or after it."""
        good = np.isin(self.weekday, weekdays) & ~self.holiday
        places = np.where(good, np.arange(len(good)), len(good) - 1)
        following = np.minimum.accumulate(places[::-1])[::-1]
        at = np.clip(days - self.first, 0, len(good) - 1)
        return following[at] + self.first


@dataclass(slots=True, kw_only=True)
class _Rows:
    payer: NDArray[np.int64]
    procedure: NDArray[np.int64]
    submitted: NDArray[np.int64]
    charge: NDArray[np.int64]
    member: NDArray[np.int64]
    replaces: NDArray[np.int64] | None = None
    decided: NDArray[np.int64] | None = None
    denied: NDArray[np.bool_] | None = None
    reason: NDArray[np.int64] | None = None
    allowed: NDArray[np.int64] | None = None
    patient: NDArray[np.int64] | None = None


def _volumes(
    profile: Profile, calendar: _Calendar, days: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    weekday = _WEEKDAYS[calendar.weekday[:days]] / _WEEKDAYS.mean()
    quiet = np.where(calendar.holiday[:days], 0.1, 1.0)
    noise = rng.gamma(60, 1 / 60, days)
    volumes: NDArray[np.float64] = profile.claims_per_month / 30.4 * weekday * quiet * noise
    return volumes


def _zipf(size: int) -> NDArray[np.float64]:
    weights = 1 / np.arange(1, size + 1) ** 0.8
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def _procedures(
    profile: Profile, payer: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    weights = np.array([one.weight for one in profile.procedures])
    chosen = np.empty(len(payer), np.int64)
    for at in range(len(profile.payers)):
        mix = rng.dirichlet(weights / weights.sum() * 60)
        mine = payer == at
        chosen[mine] = rng.choice(len(weights), int(mine.sum()), p=mix)
    return chosen


def _charges(
    profile: Profile, procedure: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    list_price = np.array([one.charge for one in profile.procedures])[procedure]
    units = 1 + (rng.random(len(procedure)) < 0.12)
    charges: NDArray[np.int64] = np.rint(list_price * units * 100).astype(np.int64)
    return charges


def _decide(
    profile: Profile,
    rows: _Rows,
    calendar: _Calendar,
    as_of: dt.date,
    rng: np.random.Generator,
    *,
    retry: bool,
) -> _Rows:
    size = len(rows.payer)
    by_payer = profile.payers
    risk = np.array([one.risk for one in profile.procedures])
    risk = risk / np.average(risk, weights=[one.weight for one in profile.procedures])
    rate = np.array([one.denial_rate for one in by_payer])[rows.payer] * risk[rows.procedure]
    rate = np.full(size, 0.35) if retry else np.clip(rate, 0.01, 0.6)
    chance = rng.random(size)
    slower = np.where(chance < rate, 1.3, 1.0)
    median = np.array([one.decision_days for one in by_payer])[rows.payer]
    lag = median * slower * np.exp(0.42 * rng.standard_normal(size))
    due = rows.submitted + np.maximum(1, np.rint(lag)).astype(np.int64)
    due = _later(profile, rows, due, as_of)
    decided = np.empty(size, np.int64)
    for at, payer in enumerate(by_payer):
        mine = rows.payer == at
        decided[mine] = calendar.next_remittance(due[mine], payer.remit_weekdays)
    batch = rng.normal(
        0, 0.1, (len(by_payer), int(decided.max(initial=calendar.first)) + 1 - calendar.first)
    )
    shift = batch[rows.payer, decided - calendar.first]
    odds = np.log(rate / (1 - rate)) + shift
    final = 1 / (1 + np.exp(-odds))
    extra, reason_of_extra = _denied_more(profile, rows, decided, as_of)
    rows.decided = decided
    rows.denied = chance < np.minimum(final + extra, 0.97)
    drawn = rng.choice(len(_REASONS), size, p=_SHARES)
    caused = rows.denied & (chance >= final) & (reason_of_extra >= 0)
    rows.reason = np.where(rows.denied, np.where(caused, reason_of_extra, drawn), -1)
    _price(profile, rows, calendar, as_of, rng)
    return rows


def _concerned(profile: Profile, rows: _Rows, drift: PlantedDrift) -> NDArray[np.bool_]:
    names = [one.name for one in profile.payers]
    concerned: NDArray[np.bool_] = rows.payer == names.index(drift.payer)
    if drift.codes:
        codes = [one.code in drift.codes for one in profile.procedures]
        concerned &= np.array(codes)[rows.procedure]
    return concerned


def _later(
    profile: Profile, rows: _Rows, due: NDArray[np.int64], as_of: dt.date
) -> NDArray[np.int64]:
    for drift in profile.drifts:
        if drift.signal == "decision_time":
            since = day_of(as_of) - drift.days_ago
            slowed = _concerned(profile, rows, drift) & (due >= since)
            due = due + np.where(slowed, round(drift.size), 0)
    return due


def _denied_more(
    profile: Profile, rows: _Rows, decided: NDArray[np.int64], as_of: dt.date
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    extra = np.zeros(len(rows.payer))
    reason = np.full(len(rows.payer), -1, np.int64)
    for drift in profile.drifts:
        if drift.signal == "denial_rate":
            since = day_of(as_of) - drift.days_ago
            hit = _concerned(profile, rows, drift) & (decided >= since)
            extra[hit] += drift.size
            if drift.carc:
                reason[hit] = _REASONS.index(drift.carc)
    return extra, reason


def _price(
    profile: Profile,
    rows: _Rows,
    calendar: _Calendar,
    as_of: dt.date,
    rng: np.random.Generator,
) -> None:
    size = len(rows.payer)
    decided = rows.decided
    assert decided is not None
    schedule = rng.uniform(0.88, 1.12, (len(profile.payers), len(profile.procedures)))
    ratio = np.array([one.allowed_ratio for one in profile.payers])[rows.payer]
    ratio = ratio * schedule[rows.payer, rows.procedure] * np.exp(0.06 * rng.standard_normal(size))
    for drift in profile.drifts:
        if drift.signal == "allowed_amount":
            since = day_of(as_of) - drift.days_ago
            cut = _concerned(profile, rows, drift) & (decided >= since)
            ratio = np.where(cut, ratio * (1 + drift.size), ratio)
    rows.allowed = np.rint(rows.charge * np.minimum(ratio, 1)).astype(np.int64)
    day = calendar.year_day[rows.submitted - calendar.first]
    deductible = 0.3 * np.exp(-day / 60) * (rng.random(size) < 0.5)
    share = np.clip(rng.normal(0.12, 0.08, size), 0, 0.6) + deductible
    rows.patient = np.rint(rows.allowed * np.minimum(share, 1)).astype(np.int64)


def _resubmit(rows: _Rows, as_of: dt.date, rng: np.random.Generator) -> _Rows:
    assert rows.decided is not None
    assert rows.denied is not None
    denied = np.flatnonzero(rows.denied & (rows.decided <= day_of(as_of)))
    chosen = denied[rng.random(len(denied)) < _RESUBMITTED]
    when = rows.decided[chosen] + rng.integers(3, 18, len(chosen))
    chosen, when = chosen[when <= day_of(as_of)], when[when <= day_of(as_of)]
    return _Rows(
        payer=rows.payer[chosen],
        procedure=rows.procedure[chosen],
        submitted=when,
        charge=rows.charge[chosen],
        member=rows.member[chosen],
        replaces=chosen,
    )


def _assemble(
    profile: Profile, as_of: dt.date, original: _Rows, retried: _Rows, rng: np.random.Generator
) -> SyntheticClaims:
    size = len(original.payer)
    numbers = np.arange(1, size + 1)
    assert retried.replaces is not None

    def both(name: str) -> NDArray[np.int64]:
        joined: NDArray[np.int64] = np.concatenate(
            [getattr(original, name), getattr(retried, name)]
        )
        return joined

    denied = both("denied").astype(bool)
    allowed, patient = both("allowed"), both("patient")
    wait = rng.integers(1, 1 + math.ceil(6), size)
    service = np.concatenate(
        [original.submitted - wait, original.submitted[retried.replaces] - wait[retried.replaces]]
    )
    return SyntheticClaims(
        profile=profile,
        as_of=as_of,
        number=np.concatenate([numbers, numbers[retried.replaces]]),
        payer=both("payer"),
        procedure=both("procedure"),
        service=service,
        submitted=both("submitted"),
        decided=both("decided"),
        denied=denied,
        reason=both("reason"),
        reasons=_REASONS,
        charge=both("charge"),
        allowed=allowed,
        patient=patient,
        paid=np.where(denied, 0, allowed - patient),
        member=both("member"),
        replaces=np.concatenate([np.full(size, -1), retried.replaces]),
    )
