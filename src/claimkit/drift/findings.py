"""What drift tells people: findings with their segment, effect, money, evidence and life."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from claimkit.types import Cents, TenantKey

__all__ = [
    "Evidence",
    "Finding",
    "FindingLog",
    "FindingState",
    "Recorded",
    "Segment",
    "Severity",
    "Signal",
    "Tier",
]


class Signal(StrEnum):
    """What changed."""

    DENIAL_RATE = "denial_rate"
    DENIAL_REASON_MIX = "denial_reason_mix"
    DECISION_TIME = "decision_time"
    ALLOWED_AMOUNT = "allowed_amount"
    VOLUME = "volume"


class Severity(StrEnum):
    """How much it matters, from least to most; by money at risk and size of the change."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One statement about one incident.

    ``baseline``, ``current``, ``effect`` and the interval share ``unit``: ``"share"`` (0..1) for
    denial rates and mixes, ``"days"`` for decision time, ``"log_ratio"`` for allowed amounts.
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
    #: True until re-estimated from decisions after the alert (removes the winner's curse).
    preliminary: bool = True
    #: First night on which it would have been told, had somebody looked every night.
    detected_on: dt.date | None = None
    #: Set once the change is over: the last day on which it still held.
    ended: dt.date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What recording a night's findings changed."""

    new: tuple[Finding, ...] = ()
    #: Known, and at least one severity step or 25 % more money than when last told.
    worse: tuple[Finding, ...] = ()
    same: tuple[Finding, ...] = ()
    resolved: tuple[Finding, ...] = ()


class FindingLog(Protocol):
    """Findings of all tenants with their life cycle."""

    def record(self, tenant: TenantKey, findings: Sequence[Finding], *, as_of: dt.date) -> Recorded:
        """Take a night's findings: one open row per tenant and fingerprint, race-free.

        Two runs at once, or the same run again, leave one set and report news once.
        Open findings that are absent resolve when the detector says so (see the docs of
        :func:`claimkit.drift.findings.reconcile`).
        """
        ...

    def open(self, tenant: TenantKey) -> Sequence[Finding]:
        """Return open findings, most dollars per month first."""
        ...

    def all(self, tenant: TenantKey) -> Sequence[tuple[Finding, FindingState]]:
        """Return all findings ever, newest first."""
        ...
