"""Every number of a report says where it comes from, and comes out again from there."""

from __future__ import annotations

import datetime as dt
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from claimkit.config import DriftConfig
from claimkit.drift.cube import DECISIONS, Cells
from claimkit.drift.findings import FindingState, Signal, Tier
from claimkit.drift.power import watched_payers
from claimkit.reports.document import as_plain
from claimkit.reports.movement import movement_of
from claimkit.reports.origins import CellOrigin, Holdings, Method, recompute
from claimkit.reports.period import AlertSummary, compose_period
from claimkit.reports.periods import PeriodKind, period_before, period_of
from claimkit.reports.sections import FileSummary
from claimkit.testing.factories import make_evidence, make_finding
from claimkit.types import Severity, date_of, day_of

MARCH = period_of(PeriodKind.MONTHLY, dt.date(2026, 3, 1))
PAYERS = (
    "Aetna",
    "Cigna",
    "Lake Mutual",
    "",
    "Zorglub",
    "Humana",
    "Spip",
    "Fantasio",
    "Champignac",
)
GROUPS = ("imaging_mri", "lab", "", "surgery")
DENIALS = make_finding(
    fingerprint="fp-denials",
    payer="Aetna",
    detected_on=dt.date(2026, 3, 11),
    onset=dt.date(2026, 3, 2),
    as_of=dt.date(2026, 3, 31),
    evidence=make_evidence(groups={"imaging_mri": (41.4, 12.25, 200), "lab": (3.0, 2.0, 90)}),
    dollars_per_month=1_825_017,
)
LATE = replace(
    DENIALS,
    fingerprint="fp-late",
    signal=Signal.DECISION_TIME,
    unit="days",
    effect=7.5,
    interval=(5.25, 9.75),
    dollars_per_month=4_200_000,
)
LESS = replace(
    DENIALS,
    fingerprint="fp-less",
    signal=Signal.ALLOWED_AMOUNT,
    unit="log_ratio",
    effect=-0.105,
    interval=(-0.22, -0.05),
    evidence=make_evidence(observed=(-0.7,) * 10, expected=(-0.6,) * 10, low=(-0.65,) * 10),
    dollars_per_month=-300,
)
WATCHED = replace(
    DENIALS, fingerprint="fp-watch", tier=Tier.WATCH, severity=Severity.LOW, dollars_per_month=11
)
OVER = replace(DENIALS, fingerprint="fp-over", ended=dt.date(2026, 3, 20))
FINDINGS = [
    *((one, FindingState.OPEN) for one in (DENIALS, LATE, LESS, WATCHED)),
    (OVER, FindingState.RESOLVED),
]
FILES = [
    FileSummary(name="era_0412.835", claims=4_007, rejected=2, upload="upl_marsupilami"),
    FileSummary(name="export.csv", claims=1_203, rejected=5),
]
ALERTS = AlertSummary(
    opened=3, resolved=1, muted=(("quiet_hours", 4),), judged_real=2, recovered=123_456
)


@pytest.fixture(scope="module")
def decisions():
    """Return two months of decisions of nine payers, at random, with every kind of name."""
    random = np.random.default_rng(20_260_301)
    size = 4_000
    first = day_of(period_before(MARCH).first)
    outcome = random.choice(["paid", "paid", "paid", "eligibility", "bundling"], size)
    charge = random.integers(1_000, 900_000, size)
    return Cells.from_columns(
        DECISIONS,
        labels={
            "payer": random.choice(
                PAYERS, size, p=[0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.05, 0.04, 0.01]
            ).tolist(),
            "procedure_group": random.choice(GROUPS, size).tolist(),
            "outcome": outcome.tolist(),
            "reason": [""] * size,
        },
        numbers={
            "decided_day": random.integers(first, day_of(MARCH.last) + 1, size),
            "age_days": np.full(size, 9),
        },
        measures={
            "claims": random.integers(1, 4, size),
            "charge": charge,
            "allowed": charge // 2,
            "paid": np.where(outcome == "paid", charge // 3, 0),
        },
    )


@pytest.fixture(scope="module")
def report(decisions):
    return compose_period(
        tenant_name="Northside",
        period=MARCH,
        findings=FINDINGS,
        decisions=decisions,
        payers=watched_payers(decisions, as_of=MARCH.last, config=DriftConfig()),
        files=FILES,
        alerts=ALERTS,
        generated_at=dt.datetime(2026, 4, 1, 10, tzinfo=dt.UTC),
    )


@pytest.fixture(scope="module")
def held(decisions):
    return Holdings(
        decisions=decisions,
        findings={one.fingerprint: one for one, _ in FINDINGS},
        files={
            (one.upload or one.name, counted): getattr(one, counted)
            for one in FILES
            for counted in ("claims", "rejected")
        },
        alerts={
            name: getattr(ALERTS, name)
            for name in ("opened", "resolved", "judged_real", "judged_noise", "recovered")
        }
        | dict(ALERTS.muted),
    )


def numbers(plain, at=""):
    """Yield where each number of a document stands."""
    if isinstance(plain, dict):
        for name, value in plain.items():
            yield from numbers(value, f"{at}/{name}")
    elif isinstance(plain, list):
        for place, value in enumerate(plain):
            yield from numbers(value, f"{at}/{place}")
    elif isinstance(plain, (int, float)) and not isinstance(plain, bool):
        yield at


def there(plain, at):
    """Return what a JSON Pointer points at."""
    for step in at.split("/")[1:]:
        plain = plain[int(step)] if isinstance(plain, list) else plain[step]
    return plain


def test_every_number_of_the_document_has_one_trace(report):
    plain = as_plain(report)
    told = {"key_figures": plain["key_figures"], "sections": plain["sections"]}
    traced = [one.at for one in report.traces]
    scales = {at for at in numbers(told) if at.endswith("/scale")}
    missing = [
        at
        for at in numbers(told)
        if at not in traced and at.rpartition("/")[0] not in traced and at not in scales
    ]

    assert missing == []
    assert len({one.id for one in report.traces}) == len(report.traces) > 200


def test_a_trace_points_at_its_number(report):
    plain = as_plain(report)
    written = {one.at: one for one in report.traces if not one.at.endswith("/note")}
    wrong = [
        at
        for at, one in written.items()
        if not isinstance(there(plain, at), str) and there(plain, at) != as_plain(one.value)
    ]

    assert wrong == []


def test_every_number_comes_out_again(report, held):
    for trace in report.traces:
        told = trace.value
        expected = told if isinstance(told, dt.date) else pytest.approx(told, rel=1e-12)

        assert recompute(trace, held) == expected, trace


def plain_total(origin, decisions):
    """Return a sum row by row, without the code of the product."""
    total = 0
    for row in range(len(decisions)):
        names = {
            axis: decisions.names[axis][codes[row]] for axis, codes in decisions.labels.items()
        }
        day = date_of(int(decisions.numbers["decided_day"][row]))
        outcome = names["outcome"]
        is_wanted = origin.outcome in ("", outcome) or (
            origin.outcome == "denied" and outcome != "paid"
        )
        if (
            origin.first <= day <= origin.last
            and is_wanted
            and names["payer"] in (origin.payers or (names["payer"],))
            and names["procedure_group"] in (origin.procedure_groups or (names["procedure_group"],))
        ):
            total += int(decisions.measures[origin.measure][row])
    return total


@pytest.mark.parametrize(
    "label", ["Denial rate", "Decided", "Paid", "Payers, this period and the one before: Aetna"]
)
def test_cells_add_up_row_by_row(report, decisions, label):
    for trace in report.traces:
        if not trace.label.startswith(label) or trace.method is Method.BEHAVIOR:
            continue
        sums = [plain_total(origin, decisions) for origin in trace.origins]
        told = sums[0] / sums[1] if trace.method is Method.SHARE else sums[0]

        assert told == pytest.approx(trace.value), trace


def test_parts_of_the_money_add_up_to_the_difference(report, decisions):
    parts = [
        one.value
        for one in report.traces
        if one.label.startswith("Why the denied amount moved")
        and one.method in (Method.VOLUME, Method.MIX, Method.BEHAVIOR)
    ]
    moved = movement_of(decisions, MARCH, period_before(MARCH))

    assert sum(parts) == pytest.approx(
        moved.now.denied_charge - moved.before.denied_charge, abs=len(parts)
    )


def test_a_series_of_ratios_is_told_as_shares(report):
    ours = [one for one in report.traces if one.method is Method.EXP]

    assert ours
    assert ours[0].value == tuple(map(math.exp, LESS.evidence.observed))


def test_the_same_number_has_the_same_name_in_every_period(report, decisions):
    other = compose_period(
        tenant_name="Northside",
        period=period_before(MARCH),
        findings=(),
        decisions=decisions,
        generated_at=dt.datetime(2026, 3, 1, 10, tzinfo=dt.UTC),
    )
    named = {one.label: one.id for one in report.traces}

    assert {
        one.label: one.id for one in other.traces if one.label in named
    }.items() <= named.items()
    assert "Denial rate" in {one.label for one in other.traces}


def test_origins_are_told_as_data(report):
    plain = json.loads(json.dumps(as_plain(report)))
    trace = next(one for one in plain["traces"] if one["label"] == "Denial rate")

    assert trace["origins"][0] == {
        "type": "CellOrigin",
        "measure": "claims",
        "first": "2026-03-01",
        "last": "2026-03-31",
        "payers": [],
        "procedure_groups": [],
        "outcome": "denied",
    }


def test_a_sum_of_claims_without_a_payer_is_not_a_sum_of_all(decisions):
    nameless = CellOrigin(measure="claims", first=MARCH.first, last=MARCH.last, payers=("",))

    assert 0 < nameless.total(decisions) < replace(nameless, payers=()).total(decisions)
    assert nameless.total(decisions) == plain_total(nameless, decisions)
