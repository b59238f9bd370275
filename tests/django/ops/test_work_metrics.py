"""Reports, the cube, automation, failed files and the audit chains are counted by what really happens."""

from __future__ import annotations

import datetime as dt

import pytest

pytest.importorskip("prometheus_client")

from django.core.files.base import ContentFile
from django.db import DEFAULT_DB_ALIAS as USING
from django.utils import timezone
from prometheus_client import REGISTRY

from claimkit.events import ClaimsChanged
from claimkit.ops import metrics
from claimkit.ops.metrics import Kind
from claimkit.reports.periods import Period, PeriodKind
from claimkit.tenants import Role
from claimkit.testing.factories import make_batch, make_claim
from claimkit.types import SystemClock, TenantKey, day_of
from claimkit_django.audit import record
from claimkit_django.audit.models import AuditEntry
from claimkit_django.automation.models import Rule
from claimkit_django.claims.intake import run_import
from claimkit_django.ops.metrics import meter
from claimkit_django.reports.exports import Wanted, ask_export, run_export
from claimkit_django.reports.models import ReportRun
from claimkit_django.reports.runs import ask_report, run_report
from claimkit_django.runtime import make_bus, open_store
from claimkit_django.tenants.scope import enter
from claimkit_django.vitals import gauges

pytestmark = pytest.mark.django_db

NORTHSIDE = TenantKey("northside")
MARCH = Period(kind=PeriodKind.MONTHLY, first=dt.date(2026, 3, 1), last=dt.date(2026, 3, 31))


@pytest.fixture
def counted(django_capture_on_commit_callbacks):
    """Run something, and return by how much series grew, by name and values of labels."""
    meter()

    def values():
        return {
            (one.name, *one.labels.values()): one.value
            for family in REGISTRY.collect()
            for one in family.samples
        }

    def run(act, raises=()):
        before = values()
        with django_capture_on_commit_callbacks(execute=True):
            if raises:
                with pytest.raises(raises):
                    act()
            else:
                act()
        after = values()

        def grew(series, *labels):
            name = f"{series.name}_count" if series.kind is Kind.HISTOGRAM else series.name
            return after.get((name, *labels), 0) - before.get((name, *labels), 0)

        return grew

    return run


def told():
    return {(one.series, *one.labels): one.value for one in gauges(USING)}


def test_a_report_is_counted_by_how_it_ends(northside, counted):
    with enter(northside):
        row, _ = ask_report(MARCH, formats=["html"])
    grew = counted(lambda: run_report(NORTHSIDE, row.uid))

    assert grew(metrics.REPORT_RUNS, "report", "success") == 1
    assert grew(metrics.REPORT_RUN_SECONDS, "report") == 1
    with enter(northside):
        ask_report(MARCH, formats=["html"])
        ReportRun.objects.update(formats=["gone"])
    grew = counted(lambda: run_report(NORTHSIDE, row.uid), raises=LookupError)
    assert grew(metrics.REPORT_RUNS, "report", "failed") == 1
    assert grew(metrics.REPORT_RUNS, "report", "success") == 0


def test_an_export_is_counted(northside, counted):
    with enter(northside):
        wanted = Wanted(source="claims", form="csv")
        row = ask_export(wanted, role=Role.ANALYST, actor="user:7")
    grew = counted(lambda: run_export(NORTHSIDE, row.uid))

    assert grew(metrics.REPORT_RUNS, "export", "success") == 1


def test_a_report_waits_since_it_was_asked_for_the_last_time(northside):
    long_ago = timezone.now() - dt.timedelta(days=40)
    with enter(northside):
        row, _ = ask_report(MARCH, formats=["html"])
        ReportRun.objects.update(created_at=long_ago)
    assert told()[metrics.REPORTS_WAITING, "report"] == 1
    assert told()[metrics.REPORTS_OLDEST_WAITING, "report"] > 39 * 86_400
    run_report(NORTHSIDE, row.uid)
    assert told()[metrics.REPORTS_WAITING, "report"] == 0
    with enter(northside):
        ask_report(MARCH, formats=["html"])
    ages = told()

    assert ages[metrics.REPORTS_WAITING, "report"] == 1
    assert ages[metrics.REPORTS_OLDEST_WAITING, "report"] < 60
    assert ages[metrics.REPORTS_OLDEST_WAITING, "export"] == 0


def test_what_is_posted_to_the_cube_is_counted(northside, counted):
    claims = [make_claim(patient_control_number=f"A{at}") for at in range(3)]

    def add():
        store = open_store(USING)
        bus = make_bus(store)
        with bus.transaction(store.atomic()), enter(northside):
            added = store.claims.add(
                NORTHSIDE, make_batch(claims), upload="upl_1", known_on=dt.date(2026, 4, 1)
            )
            bus.stage(
                ClaimsChanged(
                    tenant=NORTHSIDE,
                    at=SystemClock().now(),
                    changes=added.changes,
                    known_day=day_of(dt.date(2026, 4, 1)),
                )
            )

    grew = counted(add)

    assert grew(metrics.CUBE_CHANGES) == 3
    assert grew(metrics.CUBE_REFRESH_SECONDS) == 1


@pytest.mark.parametrize(
    ("file", "code"), [(None, "file_missing"), (b"\x00\x01\x02 Marsupilami", "header_missing")]
)
def test_a_file_that_fails_is_counted_by_the_code(northside, make_upload, counted, file, code):
    upload = make_upload(northside, name="era.bin", status="queued")
    with enter(northside):
        upload.file.save("era.bin", ContentFile(file or b"gone"))
        if file is None:
            upload.file.storage.delete(upload.file.name)
    grew = counted(lambda: run_import(NORTHSIDE, upload.uid))
    upload.refresh_from_db(from_queryset=type(upload).unscoped.all())

    assert upload.status == "failed"
    assert grew(metrics.FILES_FAILED, upload.error_code) == 1
    assert upload.error_code == code


def test_what_rules_did_is_counted(northside, counted, drifted):
    with enter(northside):
        Rule.objects.create(
            name="Call", topic="drift.detected", conditions=[], action="create_task",
            settings={"text": "Call the payer"}, mode="automatic",
        )  # fmt: skip
        Rule.objects.create(
            name="Gone", topic="drift.detected", conditions=[], action="gone", mode="automatic"
        )

    def happen():
        store = open_store(USING)
        bus = make_bus(store)
        with bus.transaction(store.atomic()):
            bus.stage(drifted("DriftDetected"))

    grew = counted(happen)

    assert grew(metrics.EXECUTIONS, "success") == 1
    assert grew(metrics.EXECUTIONS, "failed") == 1
    assert grew(metrics.EXECUTION_SECONDS) >= 1


def test_the_chains_lag_until_entries_are_linked(northside):
    AuditEntry.unscoped.bulk_create(
        [
            AuditEntry(
                tenant=northside, actor="user:7", action="route.made",
                at=timezone.now() - dt.timedelta(minutes=9),
            )
        ]
    )  # fmt: skip
    late = told()
    record.link_rest(northside.pk, using=USING)
    linked = told()

    assert late[metrics.AUDIT_UNLINKED,] >= 1
    assert 540 <= late[metrics.AUDIT_OLDEST_UNLINKED,] < 600
    assert (linked[metrics.AUDIT_UNLINKED,], linked[metrics.AUDIT_OLDEST_UNLINKED,]) == (0, 0)
