"""The report of a period tells what was so in it: no more, no less, and where each number is from."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from claimkit.config import ReportsConfig
from claimkit.drift.cube import DECISIONS, Cells
from claimkit.drift.findings import FindingState, Tier
from claimkit.reports.comparison import EarlierReport
from claimkit.reports.document import HeatMap, MixChart, ValueKind, Waterfall
from claimkit.reports.html import page
from claimkit.reports.period import AlertSummary, compose_period
from claimkit.reports.periods import PeriodKind, period_before, period_of
from claimkit.reports.sections import FileSummary
from claimkit.testing.factories import make_evidence, make_finding, make_payer_watch
from claimkit.types import day_of

PERIOD = period_of(PeriodKind.MONTHLY, dt.date(2026, 3, 1))
BEFORE = period_before(PERIOD)
GENERATED = dt.datetime(2026, 4, 1, 10, tzinfo=dt.UTC)
FOUND = make_finding(
    fingerprint="fp-march",
    onset=dt.date(2026, 3, 2),
    detected_on=dt.date(2026, 3, 11),
    as_of=dt.date(2026, 3, 31),
    evidence=make_evidence(),
    dollars_per_month=1_825_000,
)


def decisions(*, denied_now=40, denied_before=8):
    rows = [
        (payer, group, outcome, period.first, count)
        for period, denied in ((BEFORE, denied_before), (PERIOD, denied_now))
        for payer, group, outcome, count in (
            ("Aetna", "imaging", "eligibility", denied),
            ("Aetna", "imaging", "paid", 100 - denied),
            ("Cigna", "lab", "bundling", 10),
            ("Cigna", "lab", "paid", 190),
            ("Cigna", "imaging", "paid", 3),
        )
    ]
    payer, group, outcome, day, claims = zip(*rows, strict=True)
    return Cells.from_columns(
        DECISIONS,
        labels={
            "payer": payer,
            "procedure_group": group,
            "outcome": outcome,
            "reason": [""] * len(rows),
        },
        numbers={"decided_day": [day_of(one) for one in day], "age_days": [9] * len(rows)},
        measures={
            "claims": claims,
            "charge": [10_000 * one for one in claims],
            "allowed": [6_000 * one for one in claims],
            "paid": [5_000 * one for one in claims],
        },
    )


def compose(findings=((FOUND, FindingState.OPEN),), cells=None, **more):
    return compose_period(
        tenant_name="Northside",
        period=more.pop("period", PERIOD),
        findings=findings,
        decisions=decisions() if cells is None else cells,
        generated_at=more.pop("generated_at", GENERATED),
        **more,
    )


def figures(report):
    return [one for section in report.sections for one in section.figures]


def test_the_headline_says_it_all():
    report = compose()

    assert report.headline == "1 payer treats your claims worse than before: about $18,000 a month."
    assert report.title == "Monthly payer report"
    assert report.as_of == dt.date(2026, 3, 31)
    assert report.findings == (FOUND,)


LATE = make_finding(
    fingerprint="fp-late",
    unit="days",
    detected_on=dt.date(2026, 3, 11),
    dollars_per_month=4_200_000,
    summary="Aetna decides 7 days later.",
)


def test_money_that_is_held_up_is_no_part_of_what_is_lost():
    report = compose([(FOUND, FindingState.OPEN), (LATE, FindingState.OPEN)])
    money = {one.label: one.value for one in report.key_figures}

    assert report.headline == (
        "1 payer treats your claims worse than before: "
        "about $18,000 a month, and about $42,000 held up by late decisions."
    )
    assert (money["At risk a month"], money["Delayed"]) == (1_825_000, 4_200_000)


def test_a_period_that_has_not_ended_says_so_and_stands_beside_as_many_days():
    report = compose(today=dt.date(2026, 3, 12))
    sections = {one.anchor: one for one in report.sections}

    assert report.title == "Monthly payer report, so far"
    assert report.headline.endswith("So far: March 2026 ends on 31 Mar 2026.")
    assert report.as_of == dt.date(2026, 3, 12)
    assert "1 Feb 2026 to 12 Feb 2026" in sections["unfinished"].paragraphs[0]
    sources = [row[0] for row in sections["sources"].tables[0].rows]
    assert sources[:2] == [
        "First decisions, 1 Mar 2026 to 12 Mar 2026",
        "First decisions, 1 Feb 2026 to 12 Feb 2026",
    ]


@pytest.mark.parametrize(
    ("today", "is_over"),
    [
        (dt.date(2026, 2, 1), False),
        (dt.date(2026, 3, 1), False),
        (dt.date(2026, 3, 31), False),
        (dt.date(2026, 4, 1), True),
        (None, True),
    ],
)
def test_a_period_is_over_when_its_last_day_is(today, is_over):
    report = compose(today=today)

    assert ("unfinished" not in {one.anchor for one in report.sections}) is is_over
    assert (report == compose()) is is_over


def test_a_report_stands_beside_what_the_one_before_said():
    earlier = EarlierReport(
        words="February 2026",
        figures={"At risk a month": 2_000_000, "Denial rate": 0.06, "Delayed": None},
        findings={"fp-old": "Cigna paid less."},
    )
    [section] = [one for one in compose(earlier=earlier).sections if one.anchor == "compared"]

    assert section.heading == "Beside the report of February 2026"
    assert section.paragraphs[1:] == (f"New: {FOUND.summary}", "No longer: Cigna paid less.")
    assert section.tables[0].rows == (
        ("At risk a month", "$18,250", "$20,000", "-$1,750"),
        ("Delayed", "$0", "–", "–"),
        ("Denial rate", "16.5 %", "6.0 %", "+10.5 pp"),
    )


def test_a_report_that_says_the_same_as_the_one_before_says_that():
    earlier = EarlierReport(words="February 2026", findings={"fp-march": FOUND.summary})
    [section] = [one for one in compose(earlier=earlier).sections if one.anchor == "compared"]

    assert section.paragraphs[-1] == "The findings are the same."
    assert section.tables == ()


@pytest.mark.parametrize(
    ("finding", "state", "anchor"),
    [
        (FOUND, FindingState.OPEN, "finding-1"),
        (replace(FOUND, detected_on=dt.date(2026, 4, 1)), FindingState.OPEN, None),
        (replace(FOUND, ended=dt.date(2026, 3, 20)), FindingState.RESOLVED, "ended"),
        (replace(FOUND, ended=dt.date(2026, 4, 9)), FindingState.RESOLVED, "finding-1"),
        (replace(FOUND, ended=dt.date(2026, 2, 27)), FindingState.RESOLVED, None),
        (replace(FOUND, accepted_on=dt.date(2026, 3, 3)), FindingState.ACCEPTED, "ended"),
        (replace(FOUND, tier=Tier.WATCH), FindingState.OPEN, "watch-list"),
    ],
)
def test_a_finding_is_told_in_the_periods_in_which_it_was_so(finding, state, anchor):
    anchors = {one.anchor for one in compose([(finding, state)]).sections}

    assert anchors & {"finding-1", "ended", "watch-list"} == ({anchor} if anchor else set())


def test_the_waterfall_ends_where_it_says():
    [chart] = [one for one in figures(compose()) if isinstance(one, Waterfall)]

    assert chart.start.value == 10_000 * 18
    assert chart.end.value == 10_000 * 50
    assert chart.start.value + sum(one.value for one in chart.steps) == pytest.approx(
        chart.end.value, abs=len(chart.steps)
    )
    assert {one.label: one.value for one in chart.steps}["Aetna"] == pytest.approx(320_000)


def test_the_map_colors_what_moved_by_more_than_chance():
    [chart] = [one for one in figures(compose()) if isinstance(one, HeatMap)]
    at = (chart.rows.index("Aetna"), chart.columns.index("imaging"))

    assert chart.values[at[0]][at[1]] == pytest.approx(0.4)
    assert chart.moved[at[0]][at[1]] == pytest.approx(0.32)
    cigna = chart.rows.index("Cigna")
    assert chart.moved[cigna][chart.columns.index("lab")] == 0
    # Three decisions say nothing.
    assert chart.values[cigna][chart.columns.index("imaging")] is None


def test_the_reasons_are_shares_of_denials():
    [chart] = [one for one in figures(compose([])) if isinstance(one, MixChart)]

    assert chart.rows == (
        ("eligibility", pytest.approx(8 / 18), pytest.approx(0.8)),
        ("bundling", pytest.approx(10 / 18), pytest.approx(0.2)),
    )


def test_what_was_muted_is_visible_and_counted():
    summary = AlertSummary(
        opened=3, resolved=1, muted=(("quiet_hours", 4), ("silenced", 1)), recovered=51_200_00
    )

    report = compose(alerts=summary)

    [section] = [one for one in report.sections if one.anchor == "alerts"]
    assert section.paragraphs == ("5 notifications were not sent, for the reasons below.",)
    assert ("Not sent: quiet hours", 4) in section.tables[0].rows
    [money] = [one for one in report.key_figures if one.label == "Recovered"]
    assert (money.value, money.kind) == (51_200_00, ValueKind.MONEY)


def test_every_number_names_its_source():
    [section] = [one for one in compose().sections if one.anchor == "sources"]

    assert section.tables[0].rows == (
        ("First decisions, 1 Mar 2026 to 31 Mar 2026", "303 decided, 50 denied"),
        ("First decisions, 1 Feb 2026 to 28 Feb 2026", "303 decided, 18 denied"),
        ("Finding fp-march", "lattice, denial_rate, as of 2026-03-31"),
    )


def test_the_same_data_have_the_same_hash_whenever_they_are_composed():
    later = compose(generated_at=GENERATED + dt.timedelta(days=9))

    assert later.content_hash == compose().content_hash
    assert compose(cells=decisions(denied_now=41)).content_hash != later.content_hash


def test_a_period_without_data_says_so():
    report = compose([], Cells.empty(DECISIONS))

    assert report.headline == "No decision is known of March 2026, so there is nothing to report."
    assert [one.anchor for one in report.sections] == ["method", "sources"]
    assert "March 2026" in page(report)


def test_a_first_period_has_nothing_to_compare_with():
    anchors = [one.anchor for one in compose(period=BEFORE, findings=[]).sections]

    assert "money" not in anchors
    assert "map" in anchors


def test_what_rooms_add_is_in_it():
    report = compose(
        files=[FileSummary(name="era.835", claims=9, rejected=2)], payers=[make_payer_watch()]
    )

    assert {"files", "payers"} <= {one.anchor for one in report.sections}


def test_no_more_findings_are_told_than_asked_for():
    many = [
        (replace(FOUND, fingerprint=f"fp-{at}", dollars_per_month=at), FindingState.OPEN)
        for at in range(5)
    ]

    report = compose(many, config=ReportsConfig(max_findings=2))

    assert [one.fingerprint for one in report.findings] == ["fp-4", "fp-3"]
