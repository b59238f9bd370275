"""What drift tells people: findings with their segment, effect, money, evidence and life.

Life of a finding: a night reports it (*new*), later nights report it again (*same*, or *worse* when
it grew enough to be told again), until its detector reports it with ``ended`` set (*resolved*).
:func:`reconcile` decides which; stores call it inside their transaction.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from claimkit.types import Severity

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from claimkit.types import Cents, TenantKey

__all__ = [
    "ALL_PAYERS",
    "Evidence",
    "Finding",
    "FindingLog",
    "FindingState",
    "Recorded",
    "Segment",
    "Signal",
    "Tier",
    "fingerprint",
    "is_same_incident",
    "latest_accepted",
    "rate_severity",
    "reconcile",
]

#: A finding is told again when its money grew by this factor since it was last told ...
_WORSE_FACTOR = 1.25
#: ... and by at least this much a month, in cents.
_WORSE_CENTS = 10_000
#: Days after which an open finding that no detector mentions any more is closed.
_FORGOTTEN_DAYS = 60


#: Segment's payer where all payers moved alike, so that it is no payer's doing.
ALL_PAYERS = "all payers"


class Signal(StrEnum):
    """What changed."""

    DENIAL_RATE = "denial_rate"
    DENIAL_REASON_MIX = "denial_reason_mix"
    DECISION_TIME = "decision_time"
    ALLOWED_AMOUNT = "allowed_amount"
    VOLUME = "volume"
    #: From the decision to the money.
    PAYMENT_TIME = "payment_time"
    #: Allowed less than a contract says.
    UNDERPAYMENT = "underpayment"
    #: A measure of a plugin; the finding's detector says which.
    MEASURE = "measure"


class Tier(StrEnum):
    """Alerts are pushed to people; the watch list is only shown."""

    ALERT = "alert"
    WATCH = "watch"


class FindingState(StrEnum):
    """Where a finding is in its life."""

    OPEN = "open"
    RESOLVED = "resolved"
    #: A person took the new level as the baseline.
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Where it changed: one payer, some or all of its procedure groups, one or all reasons."""

    payer: str
    #: Sorted; empty means all groups of the payer.
    procedure_groups: tuple[str, ...] = ()
    #: Denial category, ``""`` means all.
    category: str = ""

    @property
    def dimensions(self) -> dict[str, tuple[str, ...]]:
        """Dimension → its values, where it is about a part of the payer's claims."""
        named = {
            "procedure_group": self.procedure_groups,
            "category": (self.category,) if self.category else (),
        }
        return {name: values for name, values in named.items() if values}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The numbers behind a finding, enough to draw it and to check it.

    ``days``, ``observed``, ``expected``, ``low`` and ``high`` have equal length: per period, what
    was seen, what the baseline and today's case mix predict, and the band within which the
    period would lie by chance (95 %, over-dispersion included). The unit is that of the finding.
    """

    #: First day of each period.
    days: tuple[dt.date, ...] = ()
    #: Length of a period.
    period_days: int = 7
    observed: tuple[float, ...] = ()
    expected: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    #: Claims in each period.
    claims: tuple[int, ...] = ()
    #: Denial category → share of denials before and since onset.
    reasons_before: dict[str, float] = field(default_factory=dict)
    reasons_since: dict[str, float] = field(default_factory=dict)
    #: Group and CARC → share of denials since onset, most frequent first.
    codes_since: dict[str, float] = field(default_factory=dict)
    #: Procedure group → (observed events, expected events, claims) since onset.
    groups: dict[str, tuple[float, float, int]] = field(default_factory=dict)
    #: Further dimension → value → the same, the values with the most excess first.
    places: dict[str, dict[str, tuple[float, float, int]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One statement about one incident.

    ``baseline``, ``current``, ``effect`` and the interval share ``unit``: ``"share"`` (0..1) for
    denial rates and mixes, ``"days"`` for decision and payment time, ``"log_ratio"`` for allowed
    amounts, ``"claims"`` (a week) for volume; a plugin's measure names its own.
    """

    #: Stable identity of the incident: the same drift next week has the same fingerprint.
    fingerprint: str
    signal: Signal
    segment: Segment
    detector: str
    tier: Tier
    severity: Severity
    #: First day of the change, best estimate.
    onset: dt.date
    #: As of which day it was computed.
    as_of: dt.date
    unit: str
    baseline: float
    current: float
    effect: float
    #: 95 % interval of the effect.
    interval: tuple[float, float]
    #: Claims decided in the segment since onset.
    claims: int
    #: Money at risk per 30 days, in cents; positive is money lost or delayed.
    dollars_per_month: Cents
    #: Detector's score, and the threshold that it passed.
    score: float
    threshold: float
    #: One sentence in plain words.
    summary: str
    #: Why it fired: tests, thresholds and corrections in plain words.
    why: tuple[str, ...] = ()
    evidence: Evidence = field(default_factory=Evidence, repr=False)
    #: Further dimension → sorted values that the change is confined to, as far as one can tell;
    #: the numbers above are those of the whole segment. See :mod:`claimkit.drift.places`.
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: True until re-estimated from decisions after the alert (removes the winner's curse).
    preliminary: bool = True
    #: First night on which it passed the threshold of its tier, had somebody looked every night.
    detected_on: dt.date | None = None
    #: Set once the change is over: the last day on which it still held.
    ended: dt.date | None = None
    #: Money and severity when people were last told; None while it was never pushed.
    told_dollars_per_month: Cents | None = None
    told_severity: Severity | None = None
    #: What became known since no longer supports the night that raised it. It stays all the same:
    #: people were told.
    revised: bool = False
    #: When and by whom the new level was taken as normal; see :meth:`FindingLog.accept`.
    accepted_on: dt.date | None = None
    accepted_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What recording a night's findings changed."""

    new: tuple[Finding, ...] = ()
    #: Known, and at least one severity step or 25 % more money than when last told; also a finding
    #: of the watch list that became an alert.
    worse: tuple[Finding, ...] = ()
    same: tuple[Finding, ...] = ()
    resolved: tuple[Finding, ...] = ()


class FindingLog(Protocol):
    """Findings of all tenants with their life cycle."""

    def record(self, tenant: TenantKey, findings: Sequence[Finding], *, as_of: dt.date) -> Recorded:
        """Take a night's findings: one open row per tenant and fingerprint, race-free.

        Two runs at once, or the same run again, leave one set and report news once.
        What is new, worse, the same or resolved is decided by
        :func:`claimkit.drift.findings.reconcile`; a store keeps the findings that it returns.
        """
        ...

    def accept(self, tenant: TenantKey, fingerprint: str, *, on: dt.date, by: str) -> Finding:
        """Close an open finding because a person takes the new level as normal; return it.

        From then on detectors compare with that level. Accepting twice is an error of the second.

        Raises:
            FindingUnknown: there is no open finding with this fingerprint.
        """
        ...

    def accepted(self, tenant: TenantKey) -> Sequence[Finding]:
        """Return findings whose level was accepted, the latest acceptance first."""
        ...

    def open(self, tenant: TenantKey) -> Sequence[Finding]:
        """Return open findings, most dollars per month first."""
        ...

    def all(self, tenant: TenantKey) -> Sequence[tuple[Finding, FindingState]]:
        """Return all findings ever, newest first."""
        ...


def latest_accepted(findings: Iterable[Finding]) -> list[Finding]:
    """Return accepted findings in the order that :meth:`FindingLog.accepted` promises."""
    return sorted(
        findings,
        key=lambda one: (one.accepted_on or one.as_of, one.as_of, one.fingerprint),
        reverse=True,
    )


def fingerprint(*, detector: str, signal: Signal, payer: str, anchor: str) -> str:
    """Return the identity of a new incident: 16 hex digits.

    ``anchor`` is what tells two incidents of one payer and signal apart: a segment for detectors
    that report each segment on its own, the first day for detectors that report a payer once.
    Estimates jitter from night to night, so a detector that finds an open incident again must
    reuse the fingerprint that is open (:func:`is_same_incident`) instead of making one.

    >>> fingerprint(detector="lattice", signal=Signal.VOLUME, payer="MERIDIAN", anchor="2026-03-03")
    '6c0e8d9838ae682c'
    """
    text = "\x1f".join((detector, signal, payer, anchor))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_same_incident(one: Finding, other: Finding) -> bool:
    """Whether two findings of different nights tell of one incident.

    They do when detector, signal and segment agree and the spans from onset to night overlap.
    """
    if one.fingerprint == other.fingerprint:
        return True
    return (
        (one.detector, one.signal, one.segment) == (other.detector, other.signal, other.segment)
        and one.onset <= other.as_of
        and other.onset <= one.as_of
    )


#: Dollars per month, in cents, from which a finding is at least that severe.
_SEVERITY_CENTS = (
    (Severity.CRITICAL, 5_000_000),
    (Severity.HIGH, 1_000_000),
    (Severity.MEDIUM, 100_000),
)
#: Size of the effect, by unit, from which a finding is one step more severe than its money alone.
_LARGE_EFFECT = {"share": 0.10, "days": 10.0, "log_ratio": 0.10}


def rate_severity(*, dollars_per_month: Cents, effect: float, unit: str) -> Severity:
    """Return how severe a change is: by money, one step up where the effect itself is large.

    Large is 10 percentage points, 10 days or 10 % of the allowed amount. Money below $100 a month
    is low whatever the effect.

    >>> rate_severity(dollars_per_month=2_000_000, effect=0.02, unit="share")
    <Severity.HIGH: 'high'>
    >>> rate_severity(dollars_per_month=2_000_000, effect=0.15, unit="share")
    <Severity.CRITICAL: 'critical'>
    """
    steps = list(Severity)
    by_money = next(
        (level for level, cents in _SEVERITY_CENTS if dollars_per_month >= cents), Severity.LOW
    )
    is_large = abs(effect) >= _LARGE_EFFECT.get(unit, float("inf"))
    if not is_large or dollars_per_month < _WORSE_CENTS:
        return by_money
    return steps[min(steps.index(by_money) + 1, len(steps) - 1)]


def reconcile(
    open_findings: Sequence[Finding], found: Sequence[Finding], *, as_of: dt.date
) -> Recorded:
    """Say what a night's findings change; pure, and the same again when it is repeated.

    * A finding with ``ended`` set resolves the open finding that it matches, and is otherwise
      ignored: an incident that came and went unseen is no news.
    * A match keeps the open finding's fingerprint and first day of detection. It is *worse* when
      it is now an alert and was on the watch list, or when it is one severity step or 25 % (and
      $100 a month) above what was last told; otherwise the *same*.
    * A finding older than the open one (a night run late) changes nothing.
    * An open finding that nobody mentions stays open, and is resolved after 60 days.

    Args:
        open_findings: What was open, one per fingerprint.
        found: What detectors report as of ``as_of``.

    Returns:
        Findings as they are to be kept; open findings that nobody mentions are in no group.
    """
    known = {one.fingerprint: one for one in open_findings}
    # What its detector returns by name is not to be taken for a second one in the same segment.
    named = {one.fingerprint for one in found}
    unnamed = [one for one in open_findings if one.fingerprint not in named]
    new: list[Finding] = []
    worse: list[Finding] = []
    same: list[Finding] = []
    resolved: list[Finding] = []
    seen: set[str] = set()
    for one in found:
        before = known.get(one.fingerprint) or next(
            (each for each in unnamed if is_same_incident(each, one)), None
        )
        identity = before.fingerprint if before else one.fingerprint
        if identity in seen:
            continue
        seen.add(identity)
        if before is None:
            if one.ended is None:
                new.append(_told(one))
        elif one.as_of < before.as_of:
            same.append(before)
        elif one.ended is not None:
            resolved.append(_carried(one, before))
        elif _is_worse(one, before):
            worse.append(_told(_carried(one, before)))
        else:
            same.append(_carried(one, before))
    for before in open_findings:
        is_forgotten = (as_of - before.as_of).days > _FORGOTTEN_DAYS
        if before.fingerprint not in seen and is_forgotten:
            resolved.append(replace(before, ended=before.as_of))
    return Recorded(new=tuple(new), worse=tuple(worse), same=tuple(same), resolved=tuple(resolved))


def _is_worse(one: Finding, before: Finding) -> bool:
    if one.tier is not Tier.ALERT:
        return False
    if before.told_dollars_per_month is None or before.told_severity is None:
        return True
    grown = one.dollars_per_month - before.told_dollars_per_month
    steps = list(Severity)
    return steps.index(one.severity) > steps.index(before.told_severity) or (
        grown >= _WORSE_CENTS
        and one.dollars_per_month >= _WORSE_FACTOR * before.told_dollars_per_month
    )


def _told(finding: Finding) -> Finding:
    """Return the finding marked as told now, if its tier is pushed at all."""
    if finding.tier is not Tier.ALERT:
        return finding
    return replace(
        finding,
        told_dollars_per_month=finding.dollars_per_month,
        told_severity=finding.severity,
    )


def _carried(finding: Finding, before: Finding) -> Finding:
    """Return tonight's finding with the identity and the history of the open one."""
    # An alert does not sink back to the watch list: people were told, so they hear how it ends.
    tier = Tier.ALERT if before.tier is Tier.ALERT else finding.tier
    is_promoted = tier is not before.tier
    return replace(
        finding,
        fingerprint=before.fingerprint,
        tier=tier,
        detected_on=(None if is_promoted else before.detected_on) or finding.detected_on,
        told_dollars_per_month=before.told_dollars_per_month,
        told_severity=before.told_severity,
    )
