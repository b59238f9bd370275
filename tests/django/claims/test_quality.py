from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from django.core.files.base import ContentFile

from claimkit.drift.findings import Tier
from claimkit.tenants import use_tenant
from claimkit.testing.factories import make_finding
from claimkit.types import TenantKey
from claimkit_django.claims.intake import run_import
from claimkit_django.claims.models import Upload
from claimkit_django.claims.quality import release_holds
from claimkit_django.drift import runs
from claimkit_django.drift.models import Finding, WatchRun
from claimkit_django.runtime import open_store
from claimkit_django.tenants.scope import enter

pytestmark = pytest.mark.django_db

NORTHSIDE = TenantKey("northside")
HEADER = "Claim ID,Payer,CPT,DOS,Submitted,Decision Date,Status,Denial Code,Billed,Allowed,Paid\n"


def export(week, *, count=60, reason="CO-197"):
    rows = []
    for n in range(count):
        denied = n % 5 == 0
        payer = ("Blue Lake", "Red Hill", "Harbor")[n % 3]
        day = dt.date(2026, 1, 5) + dt.timedelta(days=7 * week + n % 5)
        rows.append(
            f"W{week}-{n},{payer},99213,2026-01-02,2026-01-03,{day},"
            + (f"denied,{reason},120.00,,0.00" if denied else "paid,,120.00,100.00,80.00")
        )
    return HEADER + "\n".join(rows) + "\n"


@pytest.fixture
def load(northside, make_upload):
    def load(text, week, tenant=northside):
        upload = make_upload(
            tenant,
            file=ContentFile(text.encode(), name="export.csv"),
            bytes_total=len(text),
            name=f"week{week}.csv",
            known_on=dt.date(2026, 1, 12) + dt.timedelta(days=7 * week),
        )
        return run_import(TenantKey(tenant.key), upload.uid)

    return load


@pytest.fixture
def usual(load):
    return [load(export(week), week) for week in range(4)]


def issues(upload):
    return [(one["code"], one["holds"]) for one in upload.quality["issues"]]


def test_a_usual_file_is_compared_and_holds_nothing(usual, load):
    ended = load(export(4), 4)

    assert [one.quality["compared"] for one in (*usual, ended)] == [0, 0, 0, 3, 4]
    assert (issues(ended), ended.holds_alerts) == ([], False)


def test_an_export_that_lost_a_column_holds_alerts_and_is_no_example(usual, load):
    bad = load(export(4, reason=""), 4)
    after = load(export(5), 5)

    assert (issues(bad), bad.holds_alerts) == ([("quality_incomplete", True)], True)
    (hold,) = open_store().quality.holds(NORTHSIDE)
    assert hold.reason == (
        "week4.csv: the reason of denied claims is missing in 100%, usually in at most 0%"
    )
    assert after.quality["compared"] == 4
    assert not after.holds_alerts


def test_a_feed_that_comes_late_says_so(usual, load):
    late = load(export(9), 9)

    assert issues(late) == [("quality_late", False)]


def test_files_of_other_tenants_are_no_examples(usual, load, lakeview):
    theirs = load(export(4, reason=""), 4, tenant=lakeview)

    assert theirs.quality["compared"] == 0
    assert not theirs.holds_alerts
    assert open_store().quality.holds(TenantKey("lakeview")) == []


class Scripted:
    """A detector that reports one alert since the week of the bad file."""

    name = "lattice"

    def detect(self, cube, *, as_of, **_others):
        del cube
        return [replace(make_finding(onset=dt.date(2026, 2, 3)), as_of=as_of)]


@pytest.fixture
def scripted(monkeypatch, settings):
    settings.CLAIMKIT = {"DRIFT": {"DETECTORS": ["lattice"]}}
    loaded = runs.plugins()

    class Plugins:
        detectors = {"lattice": Scripted()}
        listeners = loaded.listeners

    monkeypatch.setattr(runs, "plugins", Plugins)


def test_alerts_wait_for_doubts_and_are_told_when_they_are_released(usual, load, scripted):
    bad = load(export(4, reason=""), 4)

    held = runs.run_watch(NORTHSIDE)
    with use_tenant(NORTHSIDE):
        row, run = Finding.objects.get(), WatchRun.objects.get()
        released = release_holds(bad, actor="user:7", using="default")
    told = runs.run_watch(NORTHSIDE)

    assert (row.tier, row.why[-1]) == (
        Tier.WATCH,
        "Held back as an alert: week4.csv: the reason of denied claims is missing in 100%, "
        "usually in at most 0%",
    )
    assert run.details["held"] == [row.fingerprint]
    assert [one.tier for one in held.held] == [Tier.WATCH]
    assert held.alerts == ()
    assert released
    assert bad.quality["released"]["by"] == "user:7"
    assert (len(told.alerts), told.held) == (1, ())
    assert [one.tier for one in told.recorded.worse] == [Tier.ALERT]
    with use_tenant(NORTHSIDE):
        assert not release_holds(bad, actor="user:8", using="default")
    assert bad.quality["released"]["by"] == "user:7"


def test_a_failed_upload_has_no_quality(northside, load):
    ended = load("nothing\n", 0)

    assert (ended.status, ended.quality, ended.holds_alerts) == ("failed", {}, False)
    with enter(northside):
        assert Upload.objects.get().uid == ended.uid
