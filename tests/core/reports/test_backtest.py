from __future__ import annotations

import datetime as dt

import pytest

from claimkit.drift.backtest import Backtest, BacktestMonth, Knowledge
from claimkit.drift.findings import Tier
from claimkit.reports.backtest import backtest_headline, backtest_section
from claimkit.reports.compose import compose_backtest
from claimkit.reports.terminal import render_backtest
from claimkit.testing.factories import make_finding
from claimkit.types import TenantKey

START, END = dt.date(2026, 1, 1), dt.date(2026, 3, 31)


@pytest.fixture
def result():
    told = make_finding(detected_on=dt.date(2026, 3, 16))
    weak = make_finding(
        fingerprint="fp-weak",
        payer="LAKE MUTUAL",
        tier=Tier.WATCH,
        detected_on=dt.date(2026, 2, 3),
        ended=dt.date(2026, 2, 20),
    )
    counts = {1: (0, 0), 2: (0, 1), 3: (1, 0)}
    return Backtest(
        tenant=TenantKey("northside"),
        start=START,
        end=END,
        knowledge=Knowledge.NOW,
        watched_from=dt.date(2026, 1, 31),
        findings=(weak, told),
        months=tuple(
            BacktestMonth(
                month=dt.date(2026, month, 1), nights=30, alerts=alerts, watch=watch, resolved=0
            )
            for month, (alerts, watch) in counts.items()
        ),
        payers=(),
        decisions=4_321,
        cells=987,
    )


def test_headline_says_how_many_and_how_often(result):
    assert (
        backtest_headline(result) == "Since 1 Jan 2026 there would have been 1 alert, 0.5 a month."
    )


def test_section_tells_each_finding_with_its_night_and_delay(result):
    section = backtest_section(result)

    by_month, told = section.tables
    assert [row[2:4] for row in by_month.rows] == [(0, 0), (0, 1), (1, 0)]
    assert [(row[0], row[1], row[5]) for row in told.rows] == [
        (dt.date(2026, 2, 3), "watch list", 0),
        (dt.date(2026, 3, 16), "alert", 14),
    ]
    (chart,) = section.figures
    assert [bar.value for bar in chart.bars] == [0, 0, 1]


def test_report_has_the_findings_and_the_last_night(result):
    report = compose_backtest(
        tenant_name="Northside",
        result=result,
        generated_at=dt.datetime(2026, 4, 1, 6, tzinfo=dt.UTC),
    )

    assert (report.as_of, len(report.findings)) == (END, 2)
    assert [one.anchor for one in report.sections] == ["backtest"]


def test_terminal_shows_months_and_alerts(result):
    text = render_backtest(result, name="Northside")

    assert "Mar 2026       1           0         0" in text
    assert "Told on 16 Mar 2026 (high)" in text
    assert "LAKE MUTUAL" not in text
