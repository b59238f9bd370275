"""Authorizations, reports and backtests: read, asked for and followed."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from claimkit_django.authorizations.models import Authorization
from claimkit_django.dashboard.authorizations import burn_down
from claimkit_django.drift.models import BacktestRun
from claimkit_django.reports.models import ReportFile, ReportRun
from claimkit_django.tenants.scope import enter

pytestmark = pytest.mark.django_db

TODAY = dt.date(2026, 4, 1)


@pytest.fixture
def allow(northside):
    def make(number, days_left, **values):
        until = timezone.localdate() + dt.timedelta(days=days_left)
        told = {
            "payer": "Aetna",
            "procedure": "97110",
            "valid_from": until - dt.timedelta(days=99),
            "valid_until": until,
            "units_authorized": 24,
            "units_stated": 18,
        }
        with enter(northside):
            return Authorization.objects.create(number=number, **{**told, **values})

    return make


@pytest.fixture
def made(northside):
    """A report that was made, in one format."""
    with enter(northside):
        run = ReportRun.objects.create(
            kind="monthly",
            first=dt.date(2026, 3, 1),
            last=dt.date(2026, 3, 31),
            status="success",
            finished_at=timezone.now(),
            headline="2 payers treat your claims worse than before.",
        )
        ReportFile.objects.create(
            run=run,
            renderer="json",
            media_type="application/json",
            file=ContentFile(b'{"ok": 1}', name="march.json"),
            bytes=9,
            sha256="0" * 64,
        )
    return run


def test_authorizations_that_end_soon_come_first(northside, browse, allow, text_of):
    allow("A-LATER", 60)
    allow("A-SOON", 5)
    allow("A-FAR", 200)
    allow("A-OVER", -3)
    browser = browse(northside, "viewer")

    page = browser.get("/dashboard/authorizations/")

    assert [one.row.number for one in page.context["rows"]] == ["A-SOON", "A-LATER"]
    assert "5 days left" in text_of(page)
    over = browser.get("/dashboard/authorizations/?within=ended")
    assert [one.row.number for one in over.context["rows"]] == ["A-OVER"]


@pytest.mark.parametrize(
    ("first", "last", "used", "told"),
    [
        (dt.date(2026, 4, 1), dt.date(2026, 4, 10), 6, (60, 0, 9, True)),
        (dt.date(2026, 3, 23), dt.date(2026, 4, 1), 6, (60, 90, 0, False)),
        (dt.date(2026, 3, 1), dt.date(2026, 3, 10), 30, (100, 100, -22, False)),
    ],
)
def test_units_are_compared_with_the_time_that_has_passed(first, last, used, told):
    row = Authorization(
        valid_from=first, valid_until=last, units_authorized=10, units_stated=used, units_linked=0
    )

    shown = burn_down(row, TODAY)

    assert (shown.used, shown.passed, shown.days_left, shown.is_fast) == told


def test_an_authorization_shows_what_is_left(northside, browse, allow, text_of):
    row = allow("A-SOON", 5)

    text = text_of(browse(northside).get(f"/dashboard/authorizations/{row.uid}/"))

    assert "Aetna allows 24 units of 97110" in text
    assert "Units left 6" in text


def test_a_report_is_asked_for_and_followed(northside, browse, text_of):
    browser = browse(northside)

    page = browser.post(
        "/dashboard/reports/",
        {"kind": "monthly", "first": "2026-03-12", "formats": ["html"]},
        follow=True,
    )

    with enter(northside):
        run = ReportRun.objects.get()
    assert (run.first, run.last) == (dt.date(2026, 3, 1), dt.date(2026, 3, 31))
    assert page.redirect_chain == [(f"/dashboard/reports/{run.uid}/", 302)]
    assert "The report is being made." in text_of(page)
    assert 'hx-trigger="every 2s"' in page.content.decode()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"kind": "custom", "first": "2026-03-12", "formats": ["html"]}, "has a last day"),
        ({"kind": "monthly", "first": "2026-03-12"}, "This field is required"),
        (
            {"kind": "custom", "first": "2026-03-12", "last": "2026-03-01", "formats": ["html"]},
            "before it begins",
        ),
    ],
)
def test_what_is_no_period_is_told(northside, browse, text_of, values, said):
    page = browse(northside).post("/dashboard/reports/", values)

    assert page.status_code == 422
    assert said in text_of(page)


def test_a_report_is_downloaded_and_never_run(northside, browse, made, text_of):
    browser = browse(northside, "viewer")
    assert "March 2026" in text_of(browser.get("/dashboard/reports/"))

    file = browser.get(f"/dashboard/reports/{made.uid}/json/")

    assert b"".join(file.streaming_content) == b'{"ok": 1}'
    assert file.headers["Content-Security-Policy"] == "sandbox"
    assert "monthly-2026-03-01-2026-03-31.json" in file.headers["Content-Disposition"]
    assert browser.get(f"/dashboard/reports/{made.uid}/pdf/").status_code == 404


def test_viewers_ask_for_nothing(northside, browse):
    viewer = browse(northside, "viewer")

    assert viewer.post("/dashboard/reports/", {}).status_code == 403
    assert viewer.post("/dashboard/backtests/", {}).status_code == 403


def test_a_backtest_is_started_and_followed(northside, browse):
    browser = browse(northside)

    page = browser.post("/dashboard/backtests/", {"knowledge": "now"}, follow=True)
    with enter(northside):
        run = BacktestRun.objects.get()
        BacktestRun.objects.filter(pk=run.pk).update(status="running", percent=37)
    part = browser.get(
        f"/dashboard/backtests/{run.uid}/",
        headers={"HX-Request": "true", "HX-Target": "backtest"},
    )

    assert "Waiting for a worker" in page.content.decode()
    assert 'value="37">37 %</progress>' in part.content.decode()
    assert "<html" not in part.content.decode()


def test_nights_in_the_wrong_order_are_told(northside, browse, text_of):
    page = browse(northside).post(
        "/dashboard/backtests/", {"start": "2026-04-01", "end": "2026-03-01", "knowledge": "now"}
    )

    assert page.status_code == 422
    assert "The first night is after the last one." in text_of(page)


def test_a_backtest_says_what_one_would_have_been_told(northside, browse, text_of):
    finding = {
        "detected_on": "2026-03-16",
        "onset": "2026-03-02",
        "ended": None,
        "unit": "share",
        "tier": "alert",
        "severity": "high",
        "dollars_per_month": 4_821_000,
        "summary": "Aetna denies 21 % of MRI claims instead of 8 %.",
    }
    with enter(northside):
        run = BacktestRun.objects.create(
            status="success",
            start=dt.date(2025, 4, 7),
            end=dt.date(2026, 4, 6),
            alerts=1,
            alerts_per_month=0.08,
            finished_at=timezone.now(),
            result={"findings": [finding], "watched_nights": 315, "decisions": 32_050},
        )

    text = text_of(browse(northside).get(f"/dashboard/backtests/{run.uid}/"))

    assert "You would have been told of 1 change: 0.1 a month." in text
    assert "told 16 Mar 2026, 14 days after it began · $48,210 a month" in text
