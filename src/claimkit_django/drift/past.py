"""What the drift room would have told in past days, for rules that are tried on it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from claimkit.drift.backtest import backtest
from claimkit.drift.findings import Tier
from claimkit.events import DriftDetected, DriftResolved
from claimkit.tenants import current_tenant
from claimkit.types import SystemClock
from claimkit_django.conf import config
from claimkit_django.runtime import open_store, plugins

if TYPE_CHECKING:
    from collections.abc import Sequence

    from claimkit.drift.findings import Finding
    from claimkit.events import Event

__all__ = ["past_events"]


def past_events(topic: str, days: int, using: str) -> Sequence[Event]:
    """Return what the last nights of the tenant in scope would have told, replayed on its cube."""
    tenant = current_tenant()
    result = backtest(
        tenant=tenant,
        store=open_store(using),
        detectors=plugins().detectors,
        config=config().drift,
        clock=SystemClock(),
    )
    since = result.end - dt.timedelta(days=days)
    kind = DriftResolved if topic == DriftResolved.topic else DriftDetected

    def day_of(one: Finding) -> dt.date | None:
        return one.ended if kind is DriftResolved else one.detected_on

    return [
        kind(
            tenant=tenant,
            at=dt.datetime.combine(day, dt.time(), dt.UTC),
            finding=one.fingerprint,
            signal=one.signal.value,
            payer=one.segment.payer,
            severity=one.severity.value,
            onset=one.onset,
            dollars_per_month=one.dollars_per_month,
            summary=one.summary,
        )
        for one in result.findings
        if one.tier is Tier.ALERT and (day := day_of(one)) is not None and day > since
    ]
