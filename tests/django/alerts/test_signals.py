"""Events of other rooms as signals."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import DEFAULT_DB_ALIAS as USING
from django.db import transaction
from django.utils import timezone

from claimkit.events import (
    ClaimsImported,
    DriftDetected,
    ImportFailed,
    ReportFailed,
    ReportReady,
    WatchEnded,
)
from claimkit.types import TenantKey
from claimkit_django.alerts.models import Alert, Rule, Signal
from claimkit_django.ops.retention import apply_retention
from claimkit_django.runtime import make_bus, open_store
from claimkit_django.tenants.scope import enter

pytestmark = pytest.mark.django_db


def stage(event, tenant, /, **values):
    event = event(tenant=TenantKey(tenant.key), at=values.pop("at", timezone.now()), **values)
    bus = make_bus(open_store(USING))
    with bus.transaction(transaction.atomic(using=USING)):
        bus.stage(event)


def imported(tenant, rejected, upload="upl_1", **values):
    counts = {"new": 100 - rejected, "changed": 0, "same": 0, "rejected": rejected}
    stage(ClaimsImported, tenant, upload=upload, **counts, **values)


def alerts(tenant):
    with enter(tenant):
        rows = Alert.objects.order_by("pk")
        return [(one.kind, one.severity, one.state, one.figure) for one in rows]


@pytest.mark.parametrize(
    ("rejected", "opened"),
    [
        (0, []),
        (4, []),
        (5, [("rejected_rows", "medium", "open", 5.0)]),
        (20, [("rejected_rows", "high", "open", 20.0)]),
    ],
)
def test_a_file_with_many_rejected_rows_is_an_alert(northside, rejected, opened):
    imported(northside, rejected)

    assert alerts(northside) == opened


def test_a_rule_asks_for_less_or_for_nothing(northside):
    with enter(northside):
        Rule.objects.create(
            name="Strict",
            kinds=["rejected_rows"],
            metric="figure",
            comparison="at_least",
            threshold=2,
            severity="low",
        )
    imported(northside, 1, "upl_1")
    imported(northside, 2, "upl_2")

    assert alerts(northside) == [("rejected_rows", "low", "open", 2.0)]
    with enter(northside):
        assert Alert.objects.get().rule == Rule.objects.get().uid


def test_what_is_reported_is_kept_for_previews_and_no_longer(northside):
    long_ago = timezone.now() - dt.timedelta(days=91)
    imported(northside, 1, "upl_1", at=long_ago)
    imported(northside, 2, "upl_2")
    apply_retention(using=USING, is_dry_run=False)

    with enter(northside):
        rows = Signal.objects.values_list("kind", "figure", "needs_rule")
        assert list(rows) == [("rejected_rows", 2.0, True)]


def test_a_report_that_could_not_be_made_is_an_alert_until_it_is(northside):
    days = {"first": dt.date(2026, 3, 1), "last": dt.date(2026, 3, 31)}
    stage(ReportFailed, northside, report="rpt_1", kind="monthly", reason="storage_failed", **days)
    assert alerts(northside) == [("report_failed", "medium", "open", None)]

    stage(ReportReady, northside, report="rpt_2", kind="weekly", headline="", **days)
    assert alerts(northside)[0][2] == "open"

    stage(ReportReady, northside, report="rpt_1", kind="monthly", headline="", **days)
    assert alerts(northside)[0][2] == "resolved"


def test_a_drift_is_called_what_it_is(northside):
    """The original called every drift a change of the denial rate."""
    for signal in ("denial_rate", "decision_time", "allowed_amount"):
        stage(
            DriftDetected,
            northside,
            finding=f"fp-{signal}",
            signal=signal,
            payer="Aetna",
            severity="high",
            onset=dt.date(2026, 3, 2),
            dollars_per_month=1,
            summary="",
            dimensions={"procedure_group": ("MRI",)},
        )

    assert [kind for kind, *_ in alerts(northside)] == [
        "denial_rate",
        "decision_time",
        "allowed_amount",
    ]
    with enter(northside):
        assert Alert.objects.first().dimensions == {"procedure_group": ["MRI"]}


def test_a_file_that_failed_is_an_alert_until_it_is_in(northside):
    stage(ImportFailed, northside, upload="upl_1", code="file_unreadable")
    imported(northside, 0, "upl_2")
    assert alerts(northside) == [("import_failed", "high", "open", None)]

    imported(northside, 0, "upl_1")
    assert alerts(northside) == [("import_failed", "high", "resolved", None)]


def test_changes_that_wait_for_a_doubtful_file_are_told_of(northside):
    def watched(status="success", held=0):
        stage(WatchEnded, northside, status=status, seconds=1.0, held=held)

    watched()
    assert alerts(northside) == []
    watched(held=2)
    watched("failed")
    assert alerts(northside) == [("alerts_held", "medium", "open", 2.0)]
    watched()
    assert [state for _, _, state, _ in alerts(northside)] == ["resolved"]
