"""What operators watch of the audit room: entries that no link of the chain holds yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Count, Max, Min
from django.utils import timezone

from claimkit.ops.metrics import AUDIT_OLDEST_UNLINKED, AUDIT_UNLINKED, Sample
from claimkit_django.audit.models import AuditEntry
from claimkit_django.audit.record import unlinked

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["gauges"]

#: Newest entries of all tenants that a scrape looks at; ``claimkit_audit_verify`` looks at all.
_NEWEST = 10_000


def gauges(using: str) -> Iterator[Sample]:
    """Yield how many of the newest entries are not linked, and the age of the oldest; two queries."""
    last = AuditEntry.unscoped.using(using).order_by().aggregate(last=Max("pk"))["last"] or 0
    rows = unlinked(using).filter(pk__gt=last - _NEWEST).order_by()
    found = rows.aggregate(count=Count("pk"), oldest=Min("at"))
    oldest = found["oldest"]
    yield Sample(AUDIT_UNLINKED, found["count"])
    waited = (timezone.now() - oldest).total_seconds() if oldest else 0.0
    yield Sample(AUDIT_OLDEST_UNLINKED, waited)
