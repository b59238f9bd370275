"""Authorizations of the demo: some end soon, some are used up faster than time passes."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.utils import timezone

from claimkit.claims.payers import payer_of
from claimkit_django.authorizations.models import Authorization
from claimkit_django.tenants.scope import enter

if TYPE_CHECKING:
    from claimkit_django.tenants.models import Tenant

_PAYER = "MERIDIAN OHIO"
#: Procedure, days it holds, days left, units, units used.
_ALLOWED = (
    ("97110", 120, 9, 24, 21),
    ("97530", 90, 25, 12, 4),
    ("90837", 180, 120, 52, 41),
    ("70553", 60, 3, 1, 0),
    ("97110", 90, -12, 20, 18),
)


def allow(tenant: Tenant) -> None:
    """Make the tenant's authorizations, or leave them as they are."""
    today = timezone.localdate()
    with enter(tenant):
        if Authorization.objects.exists():
            return
        Authorization.objects.bulk_create(
            Authorization(
                number=f"A-{417 + at:05}",
                payer=_PAYER,
                payer_folded=payer_of(_PAYER),
                procedure=procedure,
                valid_from=today + dt.timedelta(days=left - days),
                valid_until=today + dt.timedelta(days=left),
                units_authorized=units,
                units_stated=used,
            )
            for at, (procedure, days, left, units, used) in enumerate(_ALLOWED)
        )
