"""Which alerts were opened or ended in past days, as events, for rules that are tried on them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.utils import timezone

from claimkit.events import AlertOpened, AlertResolved
from claimkit.tenants import current_tenant
from claimkit_django.alerts.models import Alert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from claimkit.events import Event

__all__ = ["past_events"]

_MOST = 1_000


def past_events(topic: str, days: int, using: str) -> Sequence[Event]:
    """Return what the alerts of the tenant in scope told, the latest first; one query."""
    kind, when = (
        (AlertResolved, "resolved_at")
        if topic == AlertResolved.topic
        else (AlertOpened, "opened_at")
    )
    since = timezone.now() - dt.timedelta(days=days)
    rows = Alert.objects.using(using).filter(**{f"{when}__gt": since}).order_by(f"-{when}")
    return [
        kind(
            tenant=current_tenant(),
            at=getattr(row, when),
            alert=row.uid,
            kind=row.kind,
            severity=row.severity,
            payer=row.payer,
            summary=row.summary,
            dollars_per_month=row.dollars_per_month,
        )
        for row in rows[:_MOST]
    ]
