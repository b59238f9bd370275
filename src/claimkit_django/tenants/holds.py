"""Legal holds: while one is placed on a tenant, nothing of it is removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import timezone

from claimkit.errors import ClaimkitError
from claimkit_django.tenants.models import LegalHold
from claimkit_django.tenants.scope import enter

if TYPE_CHECKING:
    from claimkit_django.tenants.models import Tenant

__all__ = ["HoldPlaced", "held_tenants", "place_hold", "release_hold", "require_no_hold"]


class HoldPlaced(ClaimkitError, ValueError):
    """Something of a tenant would be removed on which a legal hold is placed."""

    code = "hold_placed"
    remedy = "Release the hold with claimkit_retention release, if you may"


def held_tenants(using: str) -> frozenset[int]:
    """Return the database ids of tenants of which nothing may be removed; one query."""
    rows = LegalHold.unscoped.using(using).filter(released_at__isnull=True).order_by()
    return frozenset(rows.values_list("tenant_id", flat=True))


def require_no_hold(tenant_id: int, using: str) -> None:
    """Check, in the transaction that removes something, that it may be removed; one query.

    Raises:
        HoldPlaced: a hold is placed on the tenant.
    """
    rows = LegalHold.unscoped.using(using).filter(tenant_id=tenant_id, released_at__isnull=True)
    if rows.exists():
        raise HoldPlaced("a legal hold is placed on this tenant")


def place_hold(tenant: Tenant, *, reason: str, by: str, using: str) -> LegalHold:
    """Place a hold on a tenant; the one that is there stays as it is."""
    with enter(tenant):
        hold: LegalHold
        hold, _ = LegalHold.objects.using(using).get_or_create(
            released_at=None, defaults={"reason": reason, "placed_by": by}
        )
    return hold


def release_hold(tenant: Tenant, *, by: str, using: str) -> bool:
    """Release the hold on a tenant; return whether there was one."""
    with enter(tenant):
        hold = LegalHold.objects.using(using).filter(released_at=None).first()
        if hold is None:
            return False
        hold.released_by, hold.released_at = by, timezone.now()
        hold.save(using=using)
    return True
