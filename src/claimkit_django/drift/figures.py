"""What is shown of a tenant first: figures from the cube and the findings, never from claims.

So they cost the same whatever the number of claims, and they are the numbers that the watch
works with: first decisions, without rework, duplicates and claims that are only pended.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import Count, Q, Subquery, Sum, Value

from claimkit.drift.findings import FindingState
from claimkit.drift.history import OTHER_GROUPS
from claimkit.drift.power import PayerState, PayerWatch
from claimkit.types import Severity, date_of
from claimkit_django.drift.models import CubeDecision, DriftDimension, Finding, WatchRun

__all__ = [
    "SPAN",
    "WEEKS",
    "claims_behind",
    "denied",
    "last_watch",
    "open_findings",
    "rate",
    "recent_decisions",
    "watched_payers",
]

#: Weeks that the dashboard shows.
WEEKS = 26
#: Days that "now" and "before" are sums of.
SPAN = 28


def recent_decisions() -> dict[str, Any]:
    """Return this month against the one before, and the last weeks; one query over their cells.

    Keys: ``as_of`` (day of the latest decision, None without one), ``now`` and ``before`` (sums
    over :data:`SPAN` days each, money in cents), ``weeks`` (the last :data:`WEEKS`, oldest first).
    """
    latest = CubeDecision.objects.order_by("-decided_day").values("decided_day")[:1]
    # Of a range with one end the database expects a third of the cells, and reads all of them.
    recent = CubeDecision.objects.filter(
        decided_day__gt=Subquery(latest) - Value(7 * WEEKS), decided_day__lte=Subquery(latest)
    )
    sums = recent.order_by().values("decided_day").annotate(**_SUMS, denied=denied())
    days: dict[int, Any] = {row["decided_day"]: row for row in sums}
    last = max(days, default=None)
    weeks = []
    for back in range(WEEKS - 1, -1, -1):
        if last is None:
            break
        start = last - 7 * back - 6
        found = _sum(days, start, start + 7)
        weeks.append({**found, "starts_on": date_of(start)})
    until = 0 if last is None else last + 1
    return {
        "as_of": None if last is None else date_of(last),
        "now": _sum(days, until - SPAN, until),
        "before": _sum(days, until - 2 * SPAN, until - SPAN),
        "weeks": weeks,
    }


_SUMS = {"decided": Sum("claims"), "billed": Sum("charge"), "settled": Sum("paid")}


def _sum(days: dict[int, Any], start: int, end: int) -> dict[str, Any]:
    rows = [days[day] for day in range(start, end) if day in days]
    total = {
        name: sum(row[name] for row in rows) for name in ("decided", "denied", "billed", "settled")
    }
    return {
        "decided": total["decided"],
        "denied": total["denied"],
        "denial_rate": rate(total["denied"], total["decided"]),
        "charge": total["billed"],
        "paid": total["settled"],
    }


def open_findings() -> dict[str, Any]:
    """Return how many findings are open, by severity, and their money in cents; one query."""
    is_late = Q(unit="days")
    found = (
        Finding.objects.filter(state=FindingState.OPEN.value)
        .order_by()
        .aggregate(
            **{one.value: Count("id", filter=Q(severity=one.value)) for one in Severity},
            at_risk=Sum("dollars_per_month", filter=~is_late, default=0),
            held_up=Sum("dollars_per_month", filter=is_late, default=0),
        )
    )
    return {
        "at_risk_per_month": found.pop("at_risk"),
        "held_up_per_month": found.pop("held_up"),
        "open_findings": found,
    }


def last_watch() -> WatchRun | None:
    """Return the latest watch that succeeded; one query."""
    done = WatchRun.objects.filter(status=WatchRun.Status.SUCCESS)
    latest: WatchRun | None = done.order_by("-started_at", "-id").first()
    return latest


def watched_payers(run: WatchRun | None) -> list[PayerWatch]:
    """Return how well each payer was watched in a run, largest volume first; no query.

    Empty for runs of versions that did not keep it.
    """
    kept = run.details.get("watched", []) if run is not None else []
    return [_payer_of(one) for one in kept]


def _payer_of(kept: dict[str, Any]) -> PayerWatch:
    days = {
        name: None if kept[name] is None else dt.date.fromisoformat(kept[name])
        for name in ("since", "until", "ready_on")
    }
    return PayerWatch(**{**kept, **days, "state": PayerState(kept["state"])})


def claims_behind(finding: Finding) -> dict[str, str]:
    """Return the filters of the list of claims that show what a finding is about."""
    asked = {"payer": finding.payer, "decided_from": finding.onset.isoformat()}
    if len(finding.procedure_groups) == 1 and OTHER_GROUPS not in finding.procedure_groups:
        asked["procedure_group"] = finding.procedure_groups[0]
    if finding.ended_on is not None:
        asked["decided_to"] = finding.ended_on.isoformat()
    return asked


def denied() -> Sum:
    """Return the sum of claims whose outcome is a category of denials, not ``paid``."""
    paid = DriftDimension.objects.filter(axis="outcome", name="paid").values("code")
    return Sum("claims", filter=~Q(outcome__in=paid), default=0)


def rate(part: int, whole: int) -> float | None:
    """Return a share, 0 to 1; None of nothing."""
    return round(part / whole, 4) if whole else None
