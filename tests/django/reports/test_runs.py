"""Reports are made whole or not at all, once per period, and only for their tenant."""

from __future__ import annotations

import datetime as dt
import errno
import json
import threading
from types import SimpleNamespace

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import connection, connections
from django.utils import timezone

from claimkit.errors import StoreError, TenantRequired, UnknownName
from claimkit.events import ReportReady
from claimkit.reports.periods import Period, PeriodKind
from claimkit.types import TenantKey
from claimkit_django.reports.models import ReportFile, ReportRun
from claimkit_django.reports.runs import dead_reports, run_report
from claimkit_django.runtime import plugins
from claimkit_django.signals import report_ready
from claimkit_django.tenants.scope import enter
from tests.reporting import FEBRUARY, MARCH, ask, make

USING = "default"


def document(row):
    with enter(row.tenant):
        file = ReportFile.objects.get(run=row, renderer="json")
        with file.file.open() as stored:
            return json.load(stored)


@pytest.mark.django_db
def test_a_report_says_what_was_so_in_its_period(clinic, storage):
    row = make(clinic, formats=["json", "html"])

    assert row.status == "success"
    assert row.headline == "1 payer treats your claims worse than before: about $48,000 a month."
    assert document(row)["content_hash"] == row.content_hash
    assert len(storage()) == 2
    assert all(one.startswith("claimkit/northside/reports/") for one in storage())


@pytest.mark.django_db
def test_the_same_data_make_the_same_report_again_and_the_old_files_go(
    clinic, storage, django_capture_on_commit_callbacks
):
    first = make(clinic)
    before = storage()
    with django_capture_on_commit_callbacks(execute=True):
        second = make(clinic)

    assert (second.uid, second.content_hash) == (first.uid, first.content_hash)
    assert len(storage()) == 1
    assert storage() != before
    assert ReportRun.unscoped.count() == 1


@pytest.mark.django_db
def test_a_report_is_compared_with_the_one_before(clinic):
    february = make(clinic, FEBRUARY)
    march = make(clinic)

    assert march.changes["compared_with"] == february.uid
    assert march.changes["came"] == ["Aetna denies 21 % of MRI claims instead of 8 %."]
    assert march.changes["figures"]["At risk a month"] == 4_821_050
    assert march.changes["figures_before"]["At risk a month"] == 0


@pytest.mark.django_db
def test_the_comparison_is_in_the_report_itself(clinic):
    make(clinic, FEBRUARY)

    [section] = [one for one in document(make(clinic))["sections"] if one["anchor"] == "compared"]

    assert section["heading"] == "Beside the report of February 2026"
    assert ["At risk a month", "$48,210", "$0", "+$48,210"] in section["tables"][0]["rows"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("zone", "hour", "day"),
    [
        # Half past three in London is the evening before in Los Angeles.
        ("America/Los_Angeles", 3, "2026-03-11"),
        ("UTC", 3, "2026-03-12"),
        # A zone that does not exist keeps nobody from a report: then UTC counts.
        ("Mars/Olympus_Mons", 3, "2026-03-12"),
    ],
)
def test_a_period_that_has_not_ended_where_the_tenant_is_says_so(clinic, zone, hour, day):
    type(clinic).objects.filter(pk=clinic.pk).update(timezone=zone)
    clock = SimpleNamespace(now=lambda: dt.datetime(2026, 3, 12, hour, 30, tzinfo=dt.UTC))

    row = make(clinic, clock=clock)

    assert row.headline.endswith("So far: March 2026 ends on 31 Mar 2026.")
    assert row.changes["up_to"] == document(row)["as_of"] == day
    assert make(clinic).changes["up_to"] is None


@pytest.mark.django_db
def test_a_period_without_data_makes_a_report_that_says_so(northside):
    row = make(northside)

    assert row.status == "success"
    assert row.headline.startswith("No decision is known of March 2026")


@pytest.mark.django_db
def test_a_format_that_nobody_registered_is_refused_at_once(clinic):
    with pytest.raises(UnknownName, match="did you mean 'html'"):
        ask(clinic, formats=["htm"])

    assert ReportRun.unscoped.count() == 0


@pytest.mark.django_db
def test_no_report_is_asked_for_without_a_tenant(clinic):
    from claimkit_django.reports.runs import ask_report

    with pytest.raises(TenantRequired):
        ask_report(MARCH, formats=["html"])


# -- what goes wrong ------------------------------------------------------------------------------


class Broken:
    name, media_type, extension = "broken", "text/plain", "txt"

    def render(self, report, out):
        out.write(b"half")
        raise ZeroDivisionError


@pytest.fixture
def broken_renderer(monkeypatch):
    known = {**plugins().renderers, "broken": Broken()}
    monkeypatch.setattr(
        "claimkit_django.reports.runs.plugins", lambda: SimpleNamespace(renderers=known)
    )


@pytest.mark.django_db
def test_a_renderer_that_fails_publishes_nothing(clinic, storage, broken_renderer):
    made = make(clinic)
    before = storage()

    with pytest.raises(StoreError, match="the renderer broken failed with ZeroDivisionError"):
        make(clinic, formats=["html", "broken"])

    assert storage() == before
    row = ReportRun.unscoped.get()
    assert (row.status, row.error_code) == ("failed", "renderer_failed")
    # What was made before is still there.
    assert document(made)["content_hash"] == made.content_hash


@pytest.mark.django_db
def test_a_full_storage_is_told_and_leaves_nothing(clinic, storage, monkeypatch):
    real = FileSystemStorage._save
    saved = []

    def save(self, name, content):
        if saved:
            raise OSError(errno.ENOSPC, "No space left on device")
        saved.append(name)
        return real(self, name, content)

    monkeypatch.setattr(FileSystemStorage, "_save", save)

    with pytest.raises(StoreError, match="took no file: No space left on device"):
        make(clinic, formats=["html", "json"])

    assert storage() == []
    row = ReportRun.unscoped.get()
    assert (row.status, row.error_code) == ("failed", "storage_failed")
    assert "Make room" in row.error_message


@pytest.mark.django_db
def test_a_run_that_died_is_queued_again_and_given_up_after_three(clinic):
    row, _ = ask(clinic)
    rows = ReportRun.unscoped.filter(pk=row.pk)
    long_ago = timezone.now() - dt.timedelta(hours=2)

    for attempts in (1, 2):
        rows.update(status="running", heartbeat_at=long_ago, attempts=attempts)
        assert dead_reports(ReportRun, using=USING, now=timezone.now()) == (1, 0)
        assert rows.get().status == "queued"
    rows.update(status="running", heartbeat_at=long_ago, attempts=3)

    assert dead_reports(ReportRun, using=USING, now=timezone.now()) == (0, 1)
    assert (rows.get().status, rows.get().error_code) == ("failed", "run_died")


@pytest.mark.django_db
def test_a_run_that_was_taken_over_publishes_nothing(clinic, storage, monkeypatch):
    row, _ = ask(clinic)

    def other(*args):
        # While this one renders, it is thought dead and another one begins.
        ReportRun.unscoped.filter(pk=row.pk).update(attempts=2)
        return {}

    monkeypatch.setattr("claimkit_django.reports.runs._parts", other)

    with pytest.raises(StoreError, match="another worker"):
        run_report(TenantKey(clinic.key), row.uid)

    assert storage() == []
    assert ReportRun.unscoped.get().status == "running"


@pytest.mark.django_db
def test_a_report_that_is_being_made_is_not_started_again(clinic):
    first, must_start = ask(clinic)
    again, must_start_again = ask(clinic)

    assert (must_start, must_start_again) == (True, False)
    assert first.pk == again.pk


@pytest.mark.django_db(transaction=True)
def test_many_workers_make_a_report_once(clinic, storage):
    row, _ = ask(clinic)
    made = []

    def work():
        try:
            made.append(run_report(TenantKey(clinic.key), row.uid))
        finally:
            connections.close_all()

    workers = [
        threading.Thread(target=work) for _ in range(4 if connection.vendor != "sqlite" else 2)
    ]
    for one in workers:
        one.start()
    for one in workers:
        one.join()

    assert sum(one is not None for one in made) == 1
    assert len(storage()) == 1


# -- who hears of it --------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_report_that_is_ready_is_told(clinic):
    heard = []

    def hear(event, **_):
        heard.append(event)

    report_ready.connect(hear, sender=ReportReady)
    try:
        row = make(clinic)
    finally:
        report_ready.disconnect(hear, sender=ReportReady)

    [event] = heard
    assert (event.report, event.kind, event.first) == (row.uid, "monthly", dt.date(2026, 3, 1))


@pytest.mark.django_db
def test_a_custom_period_is_one_of_its_own(clinic):
    days = Period(kind=PeriodKind.CUSTOM, first=dt.date(2026, 3, 1), last=dt.date(2026, 3, 31))

    custom, month = make(clinic, days), make(clinic)

    assert custom.uid != month.uid
    assert ReportRun.unscoped.count() == 2


@pytest.mark.django_db
def test_tenants_have_their_own_reports(clinic, lakeview):
    mine, theirs = make(clinic), make(lakeview)

    assert theirs.headline.startswith("No decision")
    with enter(lakeview):
        assert list(ReportRun.objects.values_list("uid", flat=True)) == [theirs.uid]
        assert not ReportFile.objects.filter(run_id=mine.pk).exists()


@pytest.mark.django_db
def test_alerts_and_files_are_in_the_report(clinic, make_upload):
    upload = make_upload(clinic, name="era_0312.835", claims_new=9)
    with enter(clinic):
        type(upload).objects.filter(pk=upload.pk).update(
            status="success",
            created_at=dt.datetime(2026, 3, 12, 12, tzinfo=dt.UTC),
            started_at=dt.datetime(2026, 3, 12, 12, tzinfo=dt.UTC),
            finished_at=dt.datetime(2026, 3, 12, 13, tzinfo=dt.UTC),
        )

    sections = {one["anchor"]: one for one in document(make(clinic))["sections"]}

    assert sections["files"]["tables"][0]["rows"] == [["era_0312.835", 9, 0, "none"]]
    assert sections["alerts"]["paragraphs"] == [
        "Nothing was muted: whoever should be told was told."
    ]
