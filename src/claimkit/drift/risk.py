"""How probable it is that claims will be denied, before they are sent; from the tenant's own decisions.

The story: :func:`score_claims` reads the cube, takes what is known of open drift (decisions before a payer changed say
nothing of today), learns denial rates (:func:`claimkit.drift.shrinkage.learn`), and says of each claim how probable a
denial is, on how many decisions that rests, and why, in words. :func:`calibrate` says how
good such probabilities were: it foretells the last weeks from what was decided before each of them. No patient,
no member and no amount is needed to ask.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import numpy as np

from claimkit.drift.calibration import judge
from claimkit.drift.cube import DECISIONS, SLICES
from claimkit.drift.findings import ALL_PAYERS, Signal, Tier
from claimkit.drift.reading import last_decision_day
from claimkit.drift.shrinkage import Stale, authorization_states, learn
from claimkit.drift.statistics import sum_by
from claimkit.drift.wording import category_words, date_words, group_words, share_words
from claimkit.types import date_of, day_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from claimkit.drift.calibration import Calibration
    from claimkit.drift.cube import Cells
    from claimkit.drift.findings import Finding
    from claimkit.drift.shrinkage import DenialRates
    from claimkit.stores import Store
    from claimkit.types import Cents, Clock, Day, TenantKey

__all__ = [
    "HISTORY_DAYS",
    "MIN_DECISIONS",
    "Billed",
    "PlannedClaim",
    "RiskReport",
    "RiskScore",
    "RiskState",
    "calibrate",
    "plan",
    "score_claims",
]

#: Days of decisions that are learned from.
HISTORY_DAYS = 730
#: Decisions of a payer below which nothing is said of its claims.
MIN_DECISIONS = 50
#: Probability that the rate of such claims lies in the interval.
_LEVEL = 0.9
#: Spans that are foretold, and the days of each.
_FOLDS, _FOLD_DAYS = 3, 28
#: Denials in all that a calibration needs.
_MIN_DENIED = 30
_MOST_REASONS = 3
#: Decisions since a change that are enough to forget what came before it.
_MIN_SINCE = 30
#: Decisions of which people are told that they are few.
_FEW = 30


class RiskState(StrEnum):
    """Whether there is a probability."""

    SCORED = "scored"
    #: The payer decided too few claims.
    TOO_LITTLE_HISTORY = "too_little_history"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedClaim:
    """A claim that was not sent yet, as far as its risk depends on it."""

    #: What the asker calls it; no patient's name or number belongs in it.
    reference: str
    #: Normalized name, as claims have it.
    payer: str
    procedure_group: str = ""
    #: ``"with number"``, ``"without number"``, or ``""`` where nobody says.
    authorization: str = ""
    charge: Cents = 0


class Billed(Protocol):
    """What :func:`plan` needs of a claim; :class:`claimkit.claims.model.Claim` has it."""

    patient_control_number: str
    payer: str
    procedure_group: str
    authorization_number: str
    charge: Cents


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskScore:
    """What is probable of one planned claim, and why."""

    claim: PlannedClaim
    state: RiskState
    #: Of a denial as the first decision, 0 to 1; None with too little history.
    probability: float | None
    #: Ends between which the rate of such claims lies with 90 %.
    interval: tuple[float, float] | None
    #: Decisions and denials of such claims that it rests on; of the payer.
    claims: int
    denied: int
    payer_claims: int
    payer_denied: int
    #: In plain words, the weightiest first.
    reasons: tuple[str, ...]
    #: Why such claims are denied: group and CARC → share of their denials, most frequent first.
    codes: tuple[tuple[str, float], ...] = ()
    #: Fingerprints of open findings that were taken into account.
    findings: tuple[str, ...] = ()

    @property
    def confidence(self) -> float:
        """One less the length of the interval, 0 to 1; 0 with too little history."""
        return 0.0 if self.interval is None else 1 - (self.interval[1] - self.interval[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskReport:
    """What is probable of planned claims, in their order."""

    tenant: TenantKey
    #: Day of the last decision that was learned from.
    as_of: dt.date
    scores: tuple[RiskScore, ...]


def plan(claims: Iterable[Billed]) -> list[PlannedClaim]:
    """Return normalized claims as planned ones, without anything else that they hold."""
    return [
        PlannedClaim(
            reference=one.patient_control_number,
            payer=one.payer,
            procedure_group=one.procedure_group,
            authorization="with number" if one.authorization_number else "without number",
            charge=one.charge,
        )
        for one in claims
    ]


def score_claims(
    planned: Sequence[PlannedClaim], *, tenant: TenantKey, store: Store, clock: Clock
) -> RiskReport:
    """Return the probability that each claim is denied, with its reasons; three queries, no writes.

    Args:
        planned: Claims under normalized names.
        tenant: Whose decisions are learned from.
        store: Where its cube and findings are.
        clock: Decisions dated after its today are left out.
    """
    decisions, slices, last = _read(store, tenant, clock)
    changes = [one for one in store.findings.open(tenant) if _is_change(one)]
    rates = learn(decisions, slices, as_of=last, stale=_stale(changes))
    places = np.array(
        [rates.place(one.payer, one.procedure_group, one.authorization) for one in planned],
        np.int64,
    ).reshape(-1, 3)
    distinct, where = np.unique(places, axis=0, return_inverse=True)
    found = _Scores(rates, distinct, _Words(rates, decisions, changes))
    return RiskReport(
        tenant=tenant,
        as_of=date_of(last),
        scores=tuple(
            found.score(claim, at)
            for claim, at in zip(planned, where.ravel().tolist(), strict=True)
        ),
    )


def calibrate(*, tenant: TenantKey, store: Store, clock: Clock) -> Calibration | None:
    """Return how good probabilities of the last twelve weeks were; None with too little history.

    Each four weeks are foretold from what was decided, and from the drift that had been found, before them.
    """
    decisions, slices, last = _read(store, tenant, clock)
    found = [one for one, _ in store.findings.all(tenant) if _is_change(one)]
    first = last + 1 - _FOLDS * _FOLD_DAYS
    parts = []
    for start in range(first, last + 1, _FOLD_DAYS):
        changes = [one for one in found if _was_open(one, date_of(start))]
        rates = learn(decisions, slices, as_of=start - 1, stale=_stale(changes))
        parts.append(_foretold(rates, *(_between(one, start) for one in (decisions, slices))))
    said, average, claims, denied = (np.concatenate(one) for one in zip(*parts, strict=True))
    if denied.sum() < _MIN_DENIED:
        return None
    return judge(said, average, claims, denied, first=date_of(first), last=date_of(last))


def _read(store: Store, tenant: TenantKey, clock: Clock) -> tuple[Cells, Cells, Day]:
    today = day_of(clock.now().date())
    since = today - HISTORY_DAYS
    decisions, slices = (
        store.cube.read(tenant, table, since=since, until=today + 1)
        for table in (DECISIONS, SLICES)
    )
    return decisions, slices, last_decision_day(decisions, today)


def _is_change(finding: Finding) -> bool:
    return finding.signal is Signal.DENIAL_RATE and finding.tier is Tier.ALERT


def _was_open(finding: Finding, on: dt.date) -> bool:
    known = finding.detected_on or finding.as_of
    return known < on and (finding.ended is None or finding.ended >= on)


def _stale(changes: Iterable[Finding]) -> list[Stale]:
    """Return what no longer counts: what came before a change that enough was seen of since."""
    return [
        Stale(
            payer="" if one.segment.payer == ALL_PAYERS else one.segment.payer,
            groups=one.segment.procedure_groups,
            before=day_of(one.onset),
        )
        for one in changes
        if one.claims >= _MIN_SINCE
    ]


def _between(cells: Cells, start: Day) -> Cells:
    day = cells.numbers[cells.table.day]
    return cells.take((day >= start) & (day < start + _FOLD_DAYS))


def _foretold(rates: DenialRates, coming: Cells, slices: Cells) -> tuple[NDArray[np.float64], ...]:
    """Return what was said, what the average says, and what happened, by kind of claim."""
    state = np.zeros(len(coming), np.int64)
    if len(slices) and slices.measures["claims"].sum() == coming.measures["claims"].sum():
        # The same decisions, told apart by authorization as well.
        coming, state = slices, authorization_states(slices)
    payer = coming.coded("payer", rates.payers)
    group = coming.coded("procedure_group", rates.groups)
    shape = rates.alpha.shape
    group = np.where(group < 0, shape[1] - 1, group)
    enough = np.append(rates.claims.sum(1) >= MIN_DECISIONS, [False])
    known = enough[payer]
    key = np.ravel_multi_index((payer[known], group[known], state[known]), shape)
    claims = coming.measures["claims"][known].astype(np.float64)
    paid = coming.coded("outcome", {"paid": 0})[known] == 0
    total = sum_by(key, claims, *shape)
    denied = sum_by(key, np.where(paid, 0.0, claims), *shape)
    some = np.argwhere(total > 0)
    picked = tuple(some.T)
    return rates.mean(some), np.full(len(some), rates.overall), total[picked], denied[picked]


class _Scores:
    """Scores of distinct kinds of claims, each made once."""

    def __init__(self, rates: DenialRates, places: NDArray[np.int64], words: _Words) -> None:
        self._rates, self._places, self._words = rates, places, words
        sizes = np.append(rates.claims.sum(1), [0.0])
        self._known = sizes[places[:, 0]] >= MIN_DECISIONS
        # Of a payer that nobody knows some other's is computed, and never said.
        safe = np.where(self._known[:, None], places, 0)
        some = len(rates.payers) > 0
        self._mean = rates.mean(safe) if some else np.zeros(len(places))
        self._ends = rates.interval(safe, level=_LEVEL) if some else (self._mean, self._mean)

    def score(self, claim: PlannedClaim, at: int) -> RiskScore:
        payer, group, state = self._places[at].tolist()
        rates, known = self._rates, bool(self._known[at])
        is_there = payer >= 0
        claims = int(rates.claims[payer, group]) if is_there else 0
        denied = int(rates.denied[payer, group]) if is_there else 0
        payer_claims = int(rates.claims[payer].sum()) if is_there else 0
        payer_denied = int(rates.denied[payer].sum()) if is_there else 0
        counts = (claims, denied, payer_claims, payer_denied)
        low, high = self._ends
        return RiskScore(
            claim=claim,
            state=RiskState.SCORED if known else RiskState.TOO_LITTLE_HISTORY,
            probability=float(self._mean[at]) if known else None,
            interval=(float(low[at]), float(high[at])) if known else None,
            claims=claims,
            denied=denied,
            payer_claims=payer_claims,
            payer_denied=payer_denied,
            reasons=self._words.reasons(claim, (payer, group, state), counts)
            if known
            else (_too_little(claim, payer_claims),),
            codes=self._words.codes(payer, group)[0] if known else (),
            findings=tuple(one.fingerprint for one in self._words.changes_of(claim)),
        )


def _too_little(claim: PlannedClaim, claims: int) -> str:
    return (
        f"{claim.payer} decided {claims:,} claims in the last two years; "
        f"nothing is said below {MIN_DECISIONS}"
    )


class _Words:
    """Why a claim has its risk, as people say it."""

    def __init__(self, rates: DenialRates, decisions: Cells, changes: Sequence[Finding]) -> None:
        self._rates, self._changes, self._decisions = rates, changes, decisions
        self._payer = decisions.coded("payer", rates.payers)
        self._group = decisions.coded("procedure_group", rates.groups)
        self._codes: dict[tuple[int, int], tuple[tuple[tuple[str, float], ...], str]] = {}

    def changes_of(self, claim: PlannedClaim) -> list[Finding]:
        """Return the open findings that are about such claims."""
        return [
            one
            for one in self._changes
            if one.segment.payer in (ALL_PAYERS, claim.payer)
            and (
                not one.segment.procedure_groups
                or claim.procedure_group in one.segment.procedure_groups
            )
        ]

    def reasons(
        self, claim: PlannedClaim, place: tuple[int, int, int], counts: tuple[int, int, int, int]
    ) -> tuple[str, ...]:
        claims, denied, payer_claims, payer_denied = counts
        payer, group, state = place
        named = group_words([claim.procedure_group])
        everything = f"of all its claims {_of(payer_denied, payer_claims)}"
        said = [f"{claim.payer} denied {_of(denied, claims)} {named}; {everything}"]
        if not claims:
            said = [f"no decision of {claim.payer} about {named} is known; {everything}"]
        elif claims < _FEW:
            said.append(
                f"{claims} decisions are few, so that the rates of other claims count as well"
            )
        said += self._authorization(payer, group, state)
        if code := self.codes(payer, group)[1]:
            said.append(code)
        for one in self.changes_of(claim):
            since = date_words(one.onset)
            counted = (
                f"only decisions since {since} count"
                if one.claims >= _MIN_SINCE
                else f"too few were decided since {since} to learn from: expect more denials"
            )
            said.append(f"{one.summary.rstrip('.')}; {counted}")
        return tuple(said)

    def codes(self, payer: int, group: int) -> tuple[tuple[tuple[str, float], ...], str]:
        """Return why such claims are denied, as shares of their denials, and in words."""
        if (payer, group) not in self._codes:
            self._codes[payer, group] = self._codes_of(payer, group)
        return self._codes[payer, group]

    def _codes_of(self, payer: int, group: int) -> tuple[tuple[tuple[str, float], ...], str]:
        cells = self._decisions
        mine = (self._payer == payer) & (self._group == group)
        mine &= cells.coded("outcome", {"paid": 0}) != 0
        size = cells.measures["claims"][mine]
        total = int(size.sum())
        if total <= 0:
            return (), ""
        sums = {
            axis: np.bincount(cells.labels[axis][mine], size, len(cells.names[axis]))
            for axis in ("reason", "outcome")
        }
        first = np.argsort(-sums["reason"], kind="stable")[:_MOST_REASONS].tolist()
        codes = tuple(
            (cells.names["reason"][at] or "unknown", float(sums["reason"][at]) / total)
            for at in first
            if sums["reason"][at] > 0
        )
        most = int(np.argmax(sums["outcome"]))
        category = category_words(cells.names["outcome"][most])
        count = int(sums["outcome"][most])
        return codes, f"{count:,} of {total:,} denials are for {category} ({codes[0][0]} first)"

    def _authorization(self, payer: int, group: int, state: int) -> list[str]:
        if not state:
            return []
        rates = self._rates
        claims, denied = rates.told_claims[payer, group], rates.told_denied[payer, group]
        if not claims.sum():
            return []
        with_one, without = (
            _of(int(one), int(all_)) for one, all_ in zip(denied, claims, strict=True)
        )
        return [f"without an authorization number {without} were denied, with one {with_one}"]


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}" + (f" ({share_words(part / whole)})" if whole else "")
