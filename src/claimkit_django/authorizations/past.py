"""Which ends were warned of in past days, as events, for rules that are tried on them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.utils import timezone

from claimkit.authorizations.review import WarningKind
from claimkit.events import AuthorizationExhausting, AuthorizationExpiring
from claimkit.tenants import current_tenant
from claimkit_django.authorizations.models import AuthorizationWarning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from claimkit.events import Event

__all__ = ["past_events"]

_MOST = 1_000


def past_events(topic: str, days: int, using: str) -> Sequence[Event]:
    """Return what was warned of in the tenant in scope, the latest first; one query."""
    is_expiry = topic == AuthorizationExpiring.topic
    wanted = WarningKind.EXPIRY if is_expiry else WarningKind.EXHAUSTION
    kind = AuthorizationExpiring if is_expiry else AuthorizationExhausting
    since = timezone.now() - dt.timedelta(days=days)
    rows = AuthorizationWarning.objects.using(using).filter(kind=wanted.value, told_at__gt=since)
    return [
        kind(
            tenant=current_tenant(),
            at=row.told_at,
            authorization=row.authorization.uid,
            payer=row.authorization.payer,
            procedure=row.authorization.procedure,
            step=row.step,
            days_left=row.days_left,
            ends_on=row.ends_on,
        )
        for row in rows.select_related("authorization").order_by("-told_at")[:_MOST]
    ]
