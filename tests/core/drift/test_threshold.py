from __future__ import annotations

import datetime as dt
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.config import DriftConfig
from claimkit.drift.findings import Signal, Tier, reconcile
from claimkit.drift.tally import tally
from claimkit.drift.threshold import ThresholdDetector
from claimkit.events import ClaimFacts, FactsChange
from claimkit.testing.factories import make_finding
from claimkit.types import Severity, day_of

TODAY = dt.date(2026, 3, 20)


def facts(count, *, ago, lag=10, denied=0, payer="MERIDIAN", group="imaging", charge=40_000):
    """Return claims submitted ``ago`` days before today and decided ``lag`` days later."""
    submitted = day_of(TODAY) - ago
    return [
        ClaimFacts(
            payer=payer,
            procedure_group=group,
            facility="",
            line_of_business="",
            submitted_day=submitted,
            decided_day=submitted + lag,
            paid_day=None,
            outcome="denied" if n < denied else "paid",
            category="bundling" if n < denied else "",
            reason="CO-97" if n < denied else "",
            charge=charge,
            allowed=20_000,
            paid=0,
            first_pass=True,
        )
        for n in range(count)
    ]


def detect(*batches, known=(), as_of=TODAY):
    cube = tally([FactsChange(None, one) for batch in batches for one in batch])
    return list(
        ThresholdDetector().detect(cube, as_of=as_of, config=DriftConfig(), open_findings=known)
    )


def signals(found):
    return [one.signal for one in found]


def test_more_denials_are_found_with_rates_money_and_words():
    (found,) = detect(facts(100, ago=50, denied=10), facts(50, ago=11, denied=10))

    assert (found.signal, found.unit, found.tier) == (Signal.DENIAL_RATE, "share", Tier.ALERT)
    assert (found.segment.payer, found.segment.procedure_groups) == ("MERIDIAN", ("imaging",))
    assert (found.baseline, found.current, round(found.effect, 9)) == (0.1, 0.2, 0.1)
    assert found.claims == 50
    assert found.onset == TODAY - dt.timedelta(days=13)
    # Five denials too many in 14 days, $400 each, for 30 days.
    assert found.dollars_per_month == round(5 / 14 * 30 * 40_000)
    assert found.severity is Severity.HIGH
    assert found.detected_on == TODAY
    assert found.summary == (
        "MERIDIAN denied 20.0 % of imaging claims submitted in the last 14 days, "
        "against 10.0 % before."
    )
    assert "50 decided claims in 14 days against 100 in 90 days" in found.why[0]


def test_slower_decisions_are_found_by_their_median():
    (found,) = detect(facts(60, ago=50, lag=4), facts(40, ago=13, lag=8))

    assert (found.signal, found.unit) == (Signal.DECISION_TIME, "days")
    assert (found.baseline, found.current, found.effect) == (4, 8, 4)
    assert found.dollars_per_month == round(4 * 40 * 40_000 / 14)
    assert "in 8 days at the median, against 4 days before" in found.summary


def test_changes_for_the_better_are_reported_with_negative_effect():
    found = detect(facts(60, ago=50, lag=9, denied=12), facts(60, ago=12, lag=5))

    assert {one.signal: round(one.effect, 9) for one in found} == {
        Signal.DENIAL_RATE: -0.2,
        Signal.DECISION_TIME: -4,
    }
    assert all(one.dollars_per_month < 0 and one.severity is Severity.LOW for one in found)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        # Five points, or half of the former rate.
        ((100, 10), (100, 14), []),
        ((100, 10), (100, 15), [Signal.DENIAL_RATE]),
        ((100, 4), (100, 6), [Signal.DENIAL_RATE]),
        ((1_000, 40), (1_000, 59), []),
        ((100, 0), (100, 4), []),
        ((100, 0), (100, 5), [Signal.DENIAL_RATE]),
        # Thirty claims on both sides.
        ((29, 0), (100, 50), []),
        ((100, 0), (29, 20), []),
        ((30, 0), (30, 20), [Signal.DENIAL_RATE]),
    ],
)
def test_d2_the_limits_are_those_that_are_promised(before, now, expected):
    found = detect(facts(before[0], ago=50, denied=before[1]), facts(now[0], ago=12, denied=now[1]))

    assert signals(found) == expected


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [(10, 12, []), (10, 13, [Signal.DECISION_TIME]), (2, 3, [Signal.DECISION_TIME]), (3, 4, [])],
)
def test_d2_days_differ_by_three_or_by_half(before, now, expected):
    assert signals(detect(facts(40, ago=50, lag=before), facts(40, ago=13, lag=now))) == expected


@pytest.mark.parametrize(
    ("ago", "current", "baseline"), [(13, 40, 30), (14, 30, 40), (103, 30, 40), (104, 30, 30)]
)
def test_d2_the_windows_are_fourteen_days_and_the_ninety_before(ago, current, baseline):
    (found,) = detect(facts(30, ago=60), facts(30, ago=12, denied=30), facts(10, ago=ago, denied=0))

    assert f"{current} decided claims in 14 days against {baseline} in 90" in found.why[0]


def test_d2_what_is_not_decided_yet_is_not_known():
    assert detect(facts(100, ago=50), facts(100, ago=5, lag=6, denied=50)) == []
    assert signals(detect(facts(100, ago=50), facts(100, ago=10, lag=10, denied=50))) == [
        Signal.DENIAL_RATE
    ]


def test_payers_and_groups_are_compared_with_themselves():
    found = detect(
        facts(40, ago=50, payer="ALBATROSS", denied=20),
        facts(40, ago=50, payer="BITTERN"),
        facts(40, ago=12, payer="ALBATROSS", denied=20),
        facts(40, ago=12, payer="BITTERN", denied=20),
        facts(40, ago=50, payer="BITTERN", group="lab"),
        facts(40, ago=12, payer="BITTERN", group="lab"),
    )

    assert [(one.segment.payer, one.segment.procedure_groups) for one in found] == [
        ("BITTERN", ("imaging",))
    ]


def test_the_same_drift_next_week_is_the_same_finding_and_its_end_is_told():
    (first,) = detect(facts(100, ago=50, denied=10), facts(50, ago=11, denied=10))
    later = TODAY + dt.timedelta(days=1)
    claims = [facts(100, ago=50, denied=10), facts(50, ago=11, denied=10)]
    (again,) = detect(*claims, known=[first], as_of=later)
    (end,) = detect(facts(100, ago=50), facts(50, ago=11), known=[first], as_of=later)

    assert again.fingerprint == first.fingerprint
    assert (end.fingerprint, end.ended) == (first.fingerprint, TODAY)
    assert reconcile([first], [end], as_of=later).resolved[0].ended == TODAY


def test_findings_of_other_detectors_are_left_alone():
    assert detect(facts(40, ago=50), known=[make_finding(detector="lattice")]) == []


def test_a_cube_without_decisions_ends_what_is_open():
    (first,) = detect(facts(100, ago=50, denied=10), facts(50, ago=11, denied=10))
    found = ThresholdDetector().detect({}, as_of=TODAY, config=DriftConfig(), open_findings=[first])

    assert [one.ended for one in found] == [TODAY - dt.timedelta(days=1)]


@given(st.lists(st.integers(0, 13), min_size=30, max_size=60))
def test_the_median_is_that_of_the_claims(lags):
    now = [one for lag in lags for one in facts(1, ago=13, lag=lag)]
    found = {one.signal: one for one in detect(facts(30, ago=80, lag=60), now)}

    assert found[Signal.DECISION_TIME].current == statistics.median(lags)
