from __future__ import annotations

import datetime as dt
from typing import ClassVar

import numpy as np
import pytest
from scipy import stats

from claimkit.config import DriftConfig
from claimkit.drift.findings import Signal, Tier
from claimkit.drift.measured import MeasureDetector
from claimkit.drift.measures import PartialPayments, Reading, check_readings
from claimkit.errors import PluginBroken
from claimkit.testing.cubes import FIRST_DAY, make_cube, make_facts
from claimkit.types import day_of

DAYS = 420
LAST = FIRST_DAY + dt.timedelta(days=DAYS - 1)
ONSET = day_of(FIRST_DAY) + 385
CONFIG = DriftConfig(scan_days=42)


class Fee(PartialPayments):
    """The paid part of the charge, in points below three fifths."""

    name, unit, worse, scale = "fee", "share", "down", 1.0
    shift: ClassVar[dict[str, float]] = {}

    def __init__(self, *, reference=None, fall=0.0, where=lambda _one: True):
        self.reference, self.fall, self.where = reference, fall, where

    def read(self, facts):
        return [
            Reading(
                one.decided_day,
                one.allowed / one.charge
                - self.fall
                * (one.payer == "BITTERN" and one.decided_day >= ONSET and self.where(one)),
                one.charge,
            )
            if one.outcome == "paid"
            else None
            for one in facts
        ]

    def dollars(self, change):
        return round((change.before - change.since) * change.cents / change.days * 30)

    def words(self, change):
        return f"{change.payer} allows less."


@pytest.fixture(scope="module")
def facts():
    return make_facts(days=DAYS)


def detect(measure, facts, *, as_of=LAST, config=CONFIG, **asked):
    cube = make_cube(facts, measures=[measure])
    return MeasureDetector(measure).detect(cube, as_of=as_of, config=config, **asked)


def test_a_fall_of_one_payer_is_told_with_day_size_and_money(facts):
    (found,) = detect(Fee(fall=0.03), facts)

    assert (found.signal, found.detector) == (Signal.MEASURE, "fee")
    assert (found.segment.payer, found.segment.procedure_groups) == ("BITTERN", ())
    assert found.tier is Tier.ALERT
    assert abs(day_of(found.onset) - ONSET) <= 3
    assert found.interval[0] < -0.03 < found.interval[1]
    assert found.baseline == pytest.approx(0.6, abs=0.005)
    assert found.current == pytest.approx(0.57, abs=0.005)
    assert found.dollars_per_month > 0
    assert found.evidence.observed[-1] < found.evidence.low[-1]
    assert found.evidence.expected[-1] == pytest.approx(found.baseline, abs=0.01)


def test_a_fall_in_one_group_names_the_group(facts):
    measure = Fee(fall=0.06, where=lambda one: one.procedure_group == "surgery")
    (found,) = detect(measure, facts)

    assert found.segment.procedure_groups == ("surgery",)


def test_a_rise_is_no_news_of_a_measure_whose_falls_are_bad(facts):
    assert detect(Fee(fall=-0.05), facts) == []


def test_nothing_is_told_where_nothing_changed(facts):
    assert detect(Fee(), facts) == []


def test_one_odd_claim_is_none(facts):
    odd = [
        one._replace(allowed=1) if at == len(facts) - 900 and one.outcome == "paid" else one
        for at, one in enumerate(facts)
    ]

    assert detect(Fee(), odd) == []


def test_a_reference_is_what_it_should_be_and_not_what_it_was(facts):
    """Three fifths are allowed from the first day on: with a contract of 65 % that is too little."""
    found = detect(Fee(reference=0.65), facts)

    assert {one.segment.payer for one in found} == {"ALBATROSS", "BITTERN", "CORMORANT", "DIPPER"}
    for one in found:
        assert one.effect == pytest.approx(-0.05, abs=0.01)
        assert one.onset < FIRST_DAY + dt.timedelta(days=DAYS - 180)
    assert detect(Fee(reference=0.60), facts) == []


def test_a_reference_needs_weeks_and_not_months(facts):
    young = [one for one in facts if one.submitted_day < day_of(FIRST_DAY) + 80]
    as_of = FIRST_DAY + dt.timedelta(days=79)

    assert detect(Fee(reference=0.65), young, as_of=as_of)
    assert detect(Fee(), young, as_of=as_of) == []


def test_small_groups_count_in_their_payer_only(facts):
    measure = Fee(fall=0.3, where=lambda one: one.procedure_group == "transplant")
    rare = [
        one._replace(procedure_group="transplant") if at % 3_000 == 0 else one
        for at, one in enumerate(facts)
    ]

    assert [one for one in detect(measure, rare) if one.segment.procedure_groups] == []


def test_the_interval_is_that_of_students_comparison_of_means(facts):
    (found,) = detect(Fee(fall=0.03), facts, config=DriftConfig(scan_days=42))
    assert found.preliminary is False
    since = day_of(found.detected_on) + 1
    values = {True: [], False: []}
    for one, reading in zip(facts, Fee(fall=0.03).read(facts), strict=True):
        if one.payer == "BITTERN" and reading is not None:
            if reading.day >= since:
                values[True].append(reading.value)
            elif day_of(LAST) - 42 - 56 - 182 <= reading.day < day_of(LAST) - 42 - 56:
                values[False].append(reading.value)
    test = stats.ttest_ind(values[True], values[False])
    low, high = test.confidence_interval(0.95)

    assert found.effect == pytest.approx(np.mean(values[True]) - np.mean(values[False]), abs=2e-3)
    assert found.interval[1] - found.interval[0] == pytest.approx(high - low, rel=0.35)


def test_it_ends_when_the_old_level_is_back(facts):
    back = Fee(fall=0.05, where=lambda one: one.decided_day < ONSET + 10)
    early = FIRST_DAY + dt.timedelta(days=385 + 9)
    (before,) = detect(back, facts, as_of=early)
    (after,) = detect(back, facts, open_findings=[before])

    assert before.ended is None
    assert (after.fingerprint, after.detected_on) == (before.fingerprint, before.detected_on)
    assert after.ended is not None


def test_replay_tells_what_the_nights_would_have_told(facts):
    measure = Fee(fall=0.03)
    cube = make_cube(facts, measures=[measure])
    (found,) = MeasureDetector(measure).replay(
        cube, start=LAST - dt.timedelta(days=41), end=LAST, config=CONFIG
    )

    assert [found] == detect(measure, facts)


@pytest.mark.parametrize(
    "readings",
    [[], [Reading(20_000, float("nan"))], [Reading(20_000, float("inf"))], [Reading(10**9, 0.0)]],
)
def test_a_measure_that_reads_nonsense_is_stopped_by_name(facts, readings):
    with pytest.raises(PluginBroken, match="fee"):
        check_readings(Fee(), facts[:1], readings)
