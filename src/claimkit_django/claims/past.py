"""Which files came in in past days, as events, for rules that are tried on them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.utils import timezone

from claimkit.events import ClaimsImported
from claimkit.tenants import current_tenant
from claimkit_django.claims.models import Upload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from claimkit.events import Event

__all__ = ["past_events"]

_MOST = 1_000


def past_events(topic: str, days: int, using: str) -> Sequence[Event]:
    """Return the imports of the last days of the tenant in scope, the latest first; one query."""
    del topic
    since = timezone.now() - dt.timedelta(days=days)
    rows = Upload.objects.using(using).filter(
        status__in=[Upload.Status.SUCCESS, Upload.Status.PARTIAL], finished_at__gt=since
    )
    return [
        ClaimsImported(
            tenant=current_tenant(),
            at=row.finished_at,
            upload=row.uid,
            new=row.claims_new,
            changed=row.claims_changed,
            same=row.claims_same,
            rejected=row.rows_rejected,
        )
        for row in rows.order_by("-finished_at")[:_MOST]
    ]
