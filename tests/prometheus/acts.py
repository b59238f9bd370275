"""What the demo's scenario does not do: failures, webhooks, rules, a report. ``acts.py ROUND URL GONE_URL``."""

from __future__ import annotations

import contextlib
import datetime as dt
import sys
from typing import Any

import django
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS as USING
from django.test import override_settings
from django.utils import timezone

#: One claim that is in order, and one whose charge is no number.
_CSV = """claim id,payer,cpt,date of service,submitted date,decision date,billed,paid,status,carc
R{round}1,Aetna,73721,2026-01-05,2026-01-06,2026-02-01,1450.00,900.00,paid,
R{round}2,Aetna,73721,2026-01-05,2026-01-06,2026-02-01,12..5,,paid,
"""


def main(number: int, url: str, gone_url: str) -> None:
    """Do all of it once; things that are there already stay."""
    django.setup()
    from claimkit.errors import ClaimkitError
    from claimkit.types import TenantKey
    from claimkit.webhooks.deliver import deliver
    from claimkit_django.alerts.notify import notify_due
    from claimkit_django.claims.tasks import import_upload
    from claimkit_django.drift.runs import run_watch
    from claimkit_django.tenants.models import Tenant
    from claimkit_django.tenants.scope import enter
    from claimkit_django.webhooks.store import make_courier

    tenant, key = Tenant.objects.get(key="northside"), TenantKey("northside")
    with enter(tenant):
        _prepare(url, gone_url)
    for name, content in (("billing.csv", _CSV.format(round=number)), ("noise.bin", "\x00\x01")):
        _import(tenant, key, name, content.encode())
    _drift(key, number)
    run_watch(key)
    with override_settings(CLAIMKIT={"DRIFT": {"DETECTORS": ["nobody"]}}):
        with contextlib.suppress(LookupError):
            run_watch(key)
    with contextlib.suppress(ClaimkitError):
        _report(tenant, key, "gone")
    _report(tenant, key, "html")
    notify_due(using=USING)
    deliver(make_courier(USING))
    call_command("claimkit_watch_platform", verbosity=0)
    # The worker fails: there is no such upload.
    import_upload.delay("upl_none", "northside")


def _prepare(url: str, gone_url: str) -> None:
    from claimkit_django.automation.models import Rule
    from claimkit_django.webhooks.endpoints import add_endpoint

    if Rule.objects.filter(name="Gone").exists():
        return
    for one in (url, gone_url):
        add_endpoint(url=one, event_types=["*"], using=USING)
    for name, action in (("Call them", "create_task"), ("Gone", "gone")):
        Rule.objects.create(
            name=name, topic="drift.detected", action=action, mode="automatic",
            settings={"text": "Call the payer"}, conditions=[],
        )  # fmt: skip


def _import(tenant: Any, key: Any, name: str, content: bytes) -> None:
    from claimkit_django.claims.intake import run_import
    from claimkit_django.claims.models import Upload
    from claimkit_django.tenants.scope import enter

    with enter(tenant):
        upload = Upload.objects.create(
            file=ContentFile(content, name=name), name=name, bytes_total=len(content),
            known_on=timezone.localdate(),
        )  # fmt: skip
    run_import(key, upload.uid)


def _drift(key: Any, number: int) -> None:
    from claimkit.events import DriftDetected, DriftResolved
    from claimkit_django.runtime import make_bus, open_store

    store = open_store(USING)
    bus = make_bus(store)
    for kind in (DriftDetected, DriftResolved):
        with bus.transaction(store.atomic()):
            bus.stage(
                kind(
                    tenant=key, at=timezone.now(), finding=f"fp-{number}", signal="denial_rate",
                    payer="Aetna", severity="high", onset=dt.date(2026, 3, 2),
                    dollars_per_month=5_000_000, summary="Aetna denies more.",
                )
            )  # fmt: skip


def _report(tenant: Any, key: Any, form: str) -> None:
    from claimkit.reports.periods import Period, PeriodKind
    from claimkit_django.reports.models import ReportRun
    from claimkit_django.reports.runs import ask_report, run_report
    from claimkit_django.tenants.scope import enter

    month = Period(kind=PeriodKind.MONTHLY, first=dt.date(2026, 3, 1), last=dt.date(2026, 3, 31))
    with enter(tenant):
        row, _ = ask_report(month, formats=["html"])
        ReportRun.objects.filter(pk=row.pk).update(formats=[form])
    run_report(key, row.uid)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
