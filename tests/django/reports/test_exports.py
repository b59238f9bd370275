"""Exports hold the tenant's rows and no others, whole or not at all, and expire."""

from __future__ import annotations

import csv
import datetime as dt
import errno
import io

import pytest
from django.core.files.storage import FileSystemStorage
from django.utils import timezone

from claimkit.errors import InvalidWindow, StoreError, TenantRequired, UnknownName
from claimkit.events import ExportMade
from claimkit.tenants import Role
from claimkit.types import TenantKey
from claimkit_django.reports.exports import (
    Wanted,
    ask_export,
    prune_exports,
    run_export,
    sources,
)
from claimkit_django.reports.models import ExportRun
from claimkit_django.runtime import open_store
from claimkit_django.signals import export_made
from claimkit_django.tenants.scope import enter
from tests.alerting import report, signal
from tests.reporting import add_claims

pytestmark = pytest.mark.django_db


def export(tenant, source="claims", role=Role.ANALYST, **wanted):
    with enter(tenant):
        row = ask_export(Wanted(source=source, form="csv", **wanted), role=role, actor="user:7")
    return run_export(TenantKey(tenant.key), row.uid)


def rows_of(row):
    with enter(row.tenant), row.file.open() as file:
        return list(csv.DictReader(io.StringIO(file.read().decode(), newline="")))


def test_every_column_of_every_source_can_be_exported(clinic):
    add_claims(clinic)
    report(clinic, signal())

    for name, source in sources().items():
        names = [one.name for one in source.columns]
        row = export(clinic, name, Role.OWNER, columns=names)

        assert list(rows_of(row)[0]) == names
        assert row.rows_done == row.rows_total >= 1


def test_the_trail_is_for_admins(clinic):
    add_claims(clinic)
    export(clinic)

    with pytest.raises(UnknownName, match="unknown export 'audit'"):
        export(clinic, "audit", Role.ANALYST)
    told = {one["action"]: one for one in rows_of(export(clinic, "audit", Role.ADMIN))}
    assert '"source"' in told["export.made"]["changes"]


def test_claims_are_told_in_names_and_exact_dollars(clinic):
    add_claims(clinic, 1, payer="=HYPERLINK(1)")

    [row] = rows_of(
        export(clinic, columns=["payer", "charge", "outcome", "patient_control_number"])
    )

    with enter(clinic):
        [batch] = open_store().claims.scan(TenantKey(clinic.key))
    assert row["payer"].startswith("'=")
    assert row["charge"] == f"{batch[0].charge / 100:.2f}"
    assert row["patient_control_number"] == "A0"


def test_personal_columns_are_left_out_unless_named(clinic):
    add_claims(clinic, 1)

    assert "patient_control_number" not in rows_of(export(clinic))[0]
    with pytest.raises(UnknownName, match="unknown column"):
        export(clinic, role=Role.VIEWER, columns=["patient_control_number"])


def test_an_export_holds_no_row_of_another_tenant(clinic, lakeview):
    add_claims(clinic, 2)
    add_claims(lakeview, 5)

    assert len(rows_of(export(clinic))) == 2
    with pytest.raises(TenantRequired):
        ask_export(Wanted(source="claims", form="csv"), role=Role.OWNER)


def test_days_choose_the_rows(clinic):
    add_claims(clinic)
    with enter(clinic):
        day = sources()["claims"]._rows(None, None).first().listed_on

    assert export(clinic, since=day, until=day).rows_done == 3
    assert export(clinic, since=day + dt.timedelta(days=1)).rows_done == 0
    assert export(clinic, until=day - dt.timedelta(days=1)).rows_done == 0


def test_batches_meet_without_a_gap(clinic, monkeypatch):
    monkeypatch.setattr("claimkit_django.claims.exports._BATCH", 2)
    add_claims(clinic, 5)

    row = export(clinic, columns=["uid", "patient_control_number"])

    assert sorted(one["patient_control_number"] for one in rows_of(row)) == [
        f"A{at}" for at in range(5)
    ]


@pytest.mark.parametrize(
    ("wanted", "error", "said"),
    [
        ({"source": "claim"}, UnknownName, "did you mean 'claims'"),
        ({"columns": ["payr"]}, UnknownName, "did you mean 'payer'"),
        (
            {"since": dt.date(2026, 3, 2), "until": dt.date(2026, 3, 1)},
            InvalidWindow,
            "before it begins",
        ),
    ],
)
def test_what_cannot_be_exported_is_refused_at_once(clinic, wanted, error, said):
    with pytest.raises(error, match=said):
        export(clinic, **wanted)

    assert ExportRun.unscoped.count() == 0


def test_a_full_storage_leaves_no_half_of_an_export(clinic, storage, monkeypatch):
    add_claims(clinic)

    def full(self, name, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FileSystemStorage, "_save", full)

    with pytest.raises(StoreError, match="No space left on device"):
        export(clinic)

    assert storage() == []
    row = ExportRun.unscoped.get()
    assert (row.status, row.error_code, row.file.name) == ("failed", "storage_failed", "")


def test_exports_expire(clinic, storage):
    row = export(clinic)
    later = row.expires_at + dt.timedelta(seconds=1)

    assert prune_exports(now=row.expires_at - dt.timedelta(seconds=1)) == (0, 0)
    assert len(storage()) == 1
    assert prune_exports(now=later) == (1, 0)
    assert storage() == []
    assert prune_exports(now=later) == (0, 0)


def test_an_export_whose_run_died_is_given_up(clinic):
    with enter(clinic):
        row = ask_export(Wanted(source="claims", form="csv"), role=Role.OWNER)
    ExportRun.unscoped.update(status="running", heartbeat_at=timezone.now() - dt.timedelta(hours=2))

    assert prune_exports(now=timezone.now()) == (0, 1)
    row = ExportRun.unscoped.get()
    assert (row.status, row.error_code) == ("failed", "run_died")


def test_who_exported_what_is_told(clinic, django_capture_on_commit_callbacks):
    heard = []

    def hear(event, **_):
        heard.append(event)

    export_made.connect(hear, sender=ExportMade)
    add_claims(clinic, 2)
    with django_capture_on_commit_callbacks(execute=True):
        row = export(clinic, columns=["payer", "paid"])
    export_made.disconnect(hear, sender=ExportMade)

    [event] = heard
    assert (event.export, event.rows, event.columns) == (row.uid, 2, ("payer", "paid"))
    assert event.actor == "user:7"
