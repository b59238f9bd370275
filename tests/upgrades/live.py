"""A year in the life of a site, by the code of whichever claimkit is on the path.

Run by ``make.py`` with an earlier revision; uses what has been there from that one on.
"""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from pathlib import Path

import django
from django.conf import settings

#: Day of the last file.
TODAY = dt.date(2026, 3, 31)


def lines(*, days: int) -> str:
    """Return a CSV: two payers, one of which begins to deny one procedure in the last five weeks."""
    told = [
        "Claim ID,Payer,CPT,DOS,Submitted Date,Decision Date,Status,Denial Code,Billed,Allowed,Paid"
    ]
    for day in range(days):
        served = TODAY - dt.timedelta(days=days + 20 - day)
        sent, decided = served + dt.timedelta(days=2), served + dt.timedelta(days=16)
        for number in range(8):
            payer = "Meridian of Ohio" if number < 6 else "Blue Lake Mutual"
            late = day >= days - 35
            # No randomness: the same file again is the same claims.
            turn = (day * 8 + number) % 100
            denied = turn < (55 if late and number < 6 else 6)
            amounts = "400.00,,0.00" if denied else "400.00,210.00,185.00"
            reason = "CO-197" if denied else ""
            told.append(
                f"A{day:03}{number},{payer},99214,{served},{sent},{decided},"
                f"{'denied' if denied else 'paid'},{reason},{amounts}"
            )
    return "\n".join(told) + "\n"


def main() -> None:
    """Make tenants and people, import, watch, tell, report, and leave webhooks that wait."""
    django.setup()
    import claimkit

    # The editable installation of today must not be what is tried.
    assert claimkit.__file__.startswith(os.environ["CLAIMKIT_LIVE_FROM"]), claimkit.__file__
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    from claimkit_django.tenants.models import Membership, Tenant
    from claimkit_django.tenants.scope import enter
    from claimkit_django.webhooks.endpoints import add_endpoint

    settings.MEDIA_ROOT = tempfile.mkdtemp()
    call_command("migrate", verbosity=0)
    dora = get_user_model().objects.create_user("dora", password="zorglub-417")
    for key, name in (("northside", "Northside Hospital"), ("lakeview", "Lakeview Clinic")):
        call_command("claimkit_tenant", "create", key, name=name)
        tenant = Tenant.objects.get(key=key)
        Membership.objects.create(tenant=tenant, user=dora, role="owner")
        call_command("claimkit_tell", tenant=key, mail=[f"revenue@{key}.example"])
        with enter(tenant):
            add_endpoint(
                url="https://8.8.8.8/hook",
                description="Warehouse",
                event_types=["claims.imported", "drift.detected", "alerts.opened"],
                using="default",
            )
    path = Path(settings.MEDIA_ROOT) / "export.csv"
    for key, days in (("northside", 240), ("lakeview", 40)):
        path.write_text(lines(days=days))
        call_command("claimkit_import", str(path), tenant=key)
        call_command("claimkit_watch", tenant=key)


if __name__ == "__main__":
    main()
