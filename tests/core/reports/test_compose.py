from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from claimkit.config import ReportsConfig
from claimkit.drift.findings import Evidence, Signal, Tier
from claimkit.drift.power import PayerState
from claimkit.drift.watch import WatchState
from claimkit.reports.compose import compose
from claimkit.reports.document import BarChart, MixChart, RunChart, ValueKind
from claimkit.reports.sections import FileSummary
from claimkit.testing.factories import (
    make_evidence,
    make_finding,
    make_payer_watch,
    make_watch_report,
)
from claimkit.types import Severity

GENERATED = dt.datetime(2026, 3, 21, 4, 5, tzinfo=dt.UTC)
DENIALS = make_finding(
    evidence=make_evidence(),
    why=("score 14.2 passed 9.1", "one budget for 1,400 streams"),
    detected_on=dt.date(2026, 3, 9),
    preliminary=False,
)
SLOWER = make_finding(
    fingerprint="fp-slower",
    payer="LAKE MUTUAL",
    signal=Signal.DECISION_TIME,
    severity=Severity.MEDIUM,
    unit="days",
    baseline=14.0,
    current=21.5,
    effect=7.5,
    interval=(5.25, 9.75),
    dollars_per_month=4_200_000,
    evidence=make_evidence(
        observed=(14.0,) * 7 + (18.0, 21.0, 21.5),
        expected=(14.0,) * 10,
        low=(12.0,) * 10,
        high=(16.0,) * 10,
        reasons_before={},
        reasons_since={},
    ),
    summary="LAKE MUTUAL decides 7.5 days later",
)
UNDERPAID = make_finding(
    fingerprint="fp-underpaid",
    payer="ZORGLUB HEALTH",
    signal=Signal.ALLOWED_AMOUNT,
    unit="log_ratio",
    baseline=-0.6,
    current=-0.7,
    effect=-0.105360516,
    interval=(-0.223143551, -0.051293294),
    dollars_per_month=900_000,
    evidence=make_evidence(
        observed=(-0.6,) * 7 + (-0.7,) * 3,
        expected=(-0.6,) * 10,
        low=(-0.65,) * 10,
        high=(-0.55,) * 10,
    ),
    summary="ZORGLUB HEALTH allows 10 % less",
)
WATCHED = make_finding(
    fingerprint="fp-watch",
    payer="SPIP",
    tier=Tier.WATCH,
    severity=Severity.LOW,
    dollars_per_month=12_345,
    summary="SPIP may deny more",
)


def composed(*findings, watched=None, **options):
    return compose(
        tenant_name="Northside",
        watched=watched or make_watch_report(findings),
        generated_at=GENERATED,
        **options,
    )


def section(report, anchor):
    (found,) = [one for one in report.sections if one.anchor == anchor]
    return found


def figures(part):
    return {one.label: (one.value, one.note) for one in part.key_figures}


# -- the top ------------------------------------------------------------------------------------


def test_findings_come_most_dollars_first_and_watched_ones_apart(report):
    assert [one.fingerprint for one in report.findings] == [
        "fp-slower",
        "fp-marsupilami",
        "fp-underpaid",
        "fp-watch",
    ]
    assert [one.anchor for one in report.sections] == [
        "overview",
        "finding-1",
        "finding-2",
        "finding-3",
        "watch-list",
        "payers",
        "files",
        "method",
    ]
    assert section(report, "finding-2").heading == "MERIDIAN OF OHIO: denies more"
    assert section(report, "finding-2").tone == "high"


def test_the_key_figures_add_up(report):
    assert figures(report) == {
        "At risk a month": (1_825_000 + 900_000, "denied or underpaid"),
        "Delayed": (4_200_000, "decided later than usual"),
        "Payers watched": (1, ""),
        "Decisions read": (54_321, ""),
        "Claims": (60_123, "5,802 not decided yet"),
    }


def test_what_gets_better_does_not_make_what_got_worse_smaller():
    better = replace(UNDERPAID, dollars_per_month=-5_000_000)
    report = composed(DENIALS, better)

    assert figures(report)["At risk a month"][0] == 1_825_000
    assert report.headline.endswith("about $18,000 a month.")


def test_the_watch_list_is_no_part_of_the_money():
    report = composed(WATCHED)

    assert figures(report)["At risk a month"][0] == 0
    assert report.headline == "No payer has changed how it treats your claims."
    (row,) = section(report, "watch-list").tables[0].rows
    assert row == ("SPIP may deny more", dt.date(2026, 3, 2), 12_345)


@pytest.mark.parametrize(
    ("watched", "headline"),
    [
        (
            make_watch_report([DENIALS]),
            "1 payer has changed how it treats your claims: about $18,000 a month.",
        ),
        (
            make_watch_report([DENIALS, replace(SLOWER, segment=DENIALS.segment)]),
            "1 payer has changed how it treats your claims: about $18,000 a month, "
            "and about $42,000 held up by late decisions.",
        ),
        (
            make_watch_report([DENIALS, SLOWER]),
            "2 payers have changed how they treat your claims: about $18,000 a month, "
            "and about $42,000 held up by late decisions.",
        ),
        (make_watch_report(), "No payer has changed how it treats your claims."),
        (
            make_watch_report(state=WatchState.EMPTY, payers=(), since=None, until=None),
            "No payer has decided a claim yet, so there is nothing to watch.",
        ),
        (
            make_watch_report(
                state=WatchState.LEARNING,
                payers=(
                    make_payer_watch(state=PayerState.LEARNING, ready_on=dt.date(2026, 5, 4)),
                    make_payer_watch(
                        payer="SPIP", state=PayerState.LEARNING, ready_on=dt.date(2026, 4, 30)
                    ),
                ),
            ),
            "Still learning what is normal until 30 Apr 2026: too little history to find a change.",
        ),
        (
            make_watch_report(state=WatchState.LEARNING, payers=()),
            "Still learning what is normal: too little history to find a change.",
        ),
    ],
)
def test_the_headline_says_it_all(watched, headline):
    assert composed(watched=watched).headline == headline


def test_a_report_shows_as_many_findings_as_it_should():
    many = [
        replace(one, fingerprint=f"{one.fingerprint}-{n}", dollars_per_month=100_000 * n)
        for n in range(1, 5)
        for one in (DENIALS, WATCHED)
    ]
    report = composed(*many, config=ReportsConfig(max_findings=2))

    assert [one.dollars_per_month for one in report.findings] == [400_000, 300_000] * 2
    assert [one.anchor for one in report.sections if "finding" in one.anchor] == [
        "finding-1",
        "finding-2",
    ]


def test_one_alert_needs_no_overview():
    assert [one.anchor for one in composed(DENIALS).sections] == ["finding-1", "payers", "method"]


def test_the_overview_compares_the_changes_in_dollars(report):
    (chart,) = section(report, "overview").figures

    assert isinstance(chart, BarChart)
    assert [(bar.label, bar.value, bar.tone) for bar in chart.bars] == [
        ("LAKE MUTUAL: decides later", 4_200_000, "medium"),
        ("MERIDIAN OF OHIO: denies more", 1_825_000, "high"),
        ("ZORGLUB HEALTH: pays less", 900_000, "high"),
    ]
    assert "LAKE MUTUAL: decides later, $42,000; MERIDIAN" in chart.description


# -- a finding ----------------------------------------------------------------------------------


def test_a_denial_has_its_money_day_interval_and_claims():
    found = section(composed(DENIALS), "finding-1")

    assert figures(found) == {
        "A month": (1_825_000, ""),
        "Since": (dt.date(2026, 3, 2), "first night it showed: 9 Mar 2026"),
        "Change": ("+9.0 pp", "95 % interval +6.0 pp to +12.0 pp"),
        "Claims since": (412, ""),
    }
    assert found.paragraphs == (DENIALS.summary,)
    assert found.points == DENIALS.why


def test_a_first_estimate_says_that_it_is_one():
    found = section(composed(replace(DENIALS, preliminary=True, detected_on=None)), "finding-1")

    assert figures(found)["Change"][1].endswith("+12.0 pp, preliminary")
    assert figures(found)["Since"][1] == ""


@pytest.mark.parametrize(
    ("finding", "change", "note"),
    [
        (SLOWER, "+7.5 days", "95 % interval +5.2 days to +9.8 days, preliminary"),
        # Log ratios are told as what they mean: e^-0.105 is a tenth less.
        (UNDERPAID, "-10.0 %", "95 % interval -20.0 % to -5.0 %, preliminary"),
    ],
)
def test_days_and_allowed_amounts_are_told_in_their_unit(finding, change, note):
    assert figures(section(composed(finding), "finding-1"))["Change"] == (change, note)


@pytest.mark.parametrize(
    ("finding", "title", "kind", "last"),
    [
        (DENIALS, "Denied, as a share of decisions, by week", ValueKind.SHARE, 0.17),
        (SLOWER, "Days to decision, by week", ValueKind.DAYS, 21.5),
        (UNDERPAID, "Allowed, as a share of charges, by week", ValueKind.SHARE, 0.496585304),
    ],
)
def test_the_run_chart_shows_the_evidence(finding, title, kind, last):
    chart = section(composed(finding), "finding-1").figures[0]

    assert isinstance(chart, RunChart)
    assert (chart.title, chart.kind, chart.onset) == (title, kind, dt.date(2026, 3, 2))
    assert chart.days == finding.evidence.days
    assert chart.observed[-1] == pytest.approx(last)
    assert "marked at 2 Mar 2026" in chart.description
    assert ("days where" in chart.description) == (kind is ValueKind.DAYS)


def test_the_mix_shows_what_gained_most_first():
    evidence = make_evidence(
        reasons_before={"bundling": 0.5, "eligibility": 0.5},
        reasons_since={"eligibility": 0.3, "timely_filing": 0.7},
    )
    chart = section(composed(replace(DENIALS, evidence=evidence)), "finding-1").figures[1]

    assert isinstance(chart, MixChart)
    assert chart.rows == (
        ("timely filing", 0.0, 0.7),
        ("eligibility", 0.5, 0.3),
        ("bundling", 0.5, 0.0),
    )
    assert chart.description == "timely filing went from 0.0 % to 70.0 % of denials."


def test_a_mix_of_many_reasons_shows_eight():
    evidence = make_evidence(
        reasons_before={}, reasons_since={f"reason_{n}": n / 100 for n in range(12)}
    )
    chart = section(composed(replace(DENIALS, evidence=evidence)), "finding-1").figures[1]

    assert [row[2] for row in chart.rows] == [n / 100 for n in range(11, 3, -1)]


def test_a_finding_without_evidence_has_no_charts():
    bare = replace(DENIALS, evidence=make_evidence(days=(), reasons_before={}, reasons_since={}))

    assert section(composed(bare), "finding-1").figures == ()


def test_the_groups_are_ranked_by_denials_beyond_what_was_expected():
    evidence = make_evidence(
        groups={"lab": (10.0, 9.0, 100), "imaging": (41.0, 12.5, 200), "ghost": (0.0, 0.0, 0)}
    )
    (table,) = section(composed(replace(DENIALS, evidence=evidence)), "finding-1").tables

    assert table.rows == (
        ("imaging", 200, 41, 0.205, 0.0625),
        ("lab", 100, 10, 0.1, 0.09),
        ("ghost", 0, 0, None, None),
    )
    assert section(composed(SLOWER), "finding-1").tables == ()


# -- the rest -----------------------------------------------------------------------------------


def test_payers_say_their_state_and_what_could_be_seen(report):
    (table,) = section(report, "payers").tables

    assert [row[:5] for row in table.rows] == [
        ("MERIDIAN OF OHIO", "watched", 417, 0.0834, 0.0512),
        ("SPIP", "too few claims", 417, 0.0834, None),
    ]


@pytest.mark.parametrize("state", PayerState)
def test_every_state_of_a_payer_has_words(state):
    report = composed(watched=make_watch_report(payers=(make_payer_watch(state=state),)))

    assert section(report, "payers").tables[0].rows[0][1]


def test_files_say_what_was_not_taken(report):
    found = section(report, "files")

    assert found.paragraphs == (
        "3 rows could not be taken and are missing from what follows from the files.",
    )
    assert found.tables[0].rows == (
        ("era_0412.835", 4_000, 0, "none"),
        ("export.csv", 1_200, 3, "duplicate_row (1,017), unknown_column (2)"),
    )
    clean = composed(files=[FileSummary(name="a.835", claims=1, rejected=0)])
    assert section(clean, "files").paragraphs == ("Every row was taken.",)


def test_the_method_names_the_days_that_were_read():
    told = section(composed(), "method").paragraphs[0]
    empty = section(
        composed(watched=make_watch_report(since=None, until=None)), "method"
    ).paragraphs[0]

    assert told == (
        "Decisions from 2 Jan 2025 to 19 Mar 2026 were read; "
        "the nights since 24 Jan 2026 were looked at one by one."
    )
    assert empty == "There are no decisions to compare yet."


def test_the_order_in_which_findings_come_does_not_matter():
    one = composed(DENIALS, SLOWER, UNDERPAID, WATCHED)
    other = composed(WATCHED, UNDERPAID, SLOWER, DENIALS)

    assert one.content_hash == other.content_hash


def test_a_fall_in_volume_is_told_in_claims_a_week():
    days = tuple(dt.date(2026, 3, 2) + dt.timedelta(days=7 * at) for at in range(3))
    finding = make_finding(
        signal=Signal.VOLUME,
        unit="claims",
        baseline=1_320.0,
        current=12.0,
        effect=-1_308.0,
        interval=(-1_330.0, -1_286.0),
        evidence=Evidence(
            days=days,
            observed=(1_290.0, 14.0, 12.0),
            expected=(1_320.0, 1_320.0, 1_320.0),
            low=(1_240.0, 1_240.0, 1_240.0),
            high=(1_400.0, 1_400.0, 1_400.0),
            claims=(1_290, 14, 12),
        ),
    )

    part = section(composed(finding), "finding-1")

    assert [one.value for one in part.key_figures if one.label == "Change"] == [
        "-1,308 claims a week"
    ]
    (chart,) = part.figures
    assert (chart.title, chart.kind) == ("Decided claims, by week", ValueKind.COUNT)
    assert "the last is 12 where 1,320 was expected" in chart.description
