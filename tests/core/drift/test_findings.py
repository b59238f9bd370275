from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from claimkit.drift.findings import (
    Finding,
    Segment,
    Signal,
    Tier,
    fingerprint,
    is_same_incident,
    rate_severity,
    reconcile,
)
from claimkit.types import Severity

NIGHT = dt.date(2026, 3, 10)


@pytest.fixture
def make():
    def make_finding(**changes):
        fields = {
            "fingerprint": "f00d",
            "signal": Signal.DENIAL_RATE,
            "segment": Segment(payer="MERIDIAN"),
            "detector": "lattice",
            "tier": Tier.ALERT,
            "severity": Severity.MEDIUM,
            "onset": dt.date(2026, 3, 1),
            "as_of": NIGHT,
            "unit": "share",
            "baseline": 0.1,
            "current": 0.2,
            "effect": 0.1,
            "interval": (0.05, 0.15),
            "claims": 321,
            "dollars_per_month": 400_000,
            "score": 5.6,
            "threshold": 4.9,
            "summary": "MERIDIAN denies more.",
            "detected_on": dt.date(2026, 3, 9),
        }
        return Finding(**{**fields, **changes})

    return make_finding


def later(finding, days=1, **changes):
    """Return tonight's view of an open finding, as a detector makes it: nothing told yet."""
    untold = {"told_dollars_per_month": None, "told_severity": None}
    as_of = finding.as_of + dt.timedelta(days=days)
    return dataclasses.replace(finding, as_of=as_of, **untold, **changes)


def only(recorded):
    """Return the names of the groups of a record that are not empty."""
    return [one.name for one in dataclasses.fields(recorded) if getattr(recorded, one.name)]


def test_first_night_is_new_and_told(make):
    recorded = reconcile([], [make()], as_of=NIGHT)

    assert only(recorded) == ["new"]
    assert recorded.new[0].told_dollars_per_month == 400_000
    assert recorded.new[0].told_severity is Severity.MEDIUM


def test_same_night_again_is_the_same(make):
    (kept,) = reconcile([], [make()], as_of=NIGHT).new

    again = reconcile([kept], [make()], as_of=NIGHT)

    assert only(again) == ["same"]
    assert again.same == (kept,)


def test_twice_in_one_night_is_one(make):
    assert len(reconcile([], [make(), make()], as_of=NIGHT).new) == 1


def test_money_that_creeps_up_is_told_once_it_is_a_quarter_above_what_was_told(make):
    (kept,) = reconcile([], [make()], as_of=NIGHT).new
    groups = []
    for dollars in (440_000, 480_000, 500_000, 520_000, 620_000, 625_000):
        found = later(kept, dollars_per_month=dollars)
        recorded = reconcile([kept], [found], as_of=found.as_of)
        groups += only(recorded)
        (kept,) = recorded.same + recorded.worse

    assert groups == ["same", "same", "worse", "same", "same", "worse"]


def test_small_money_is_not_told_again(make):
    (kept,) = reconcile([], [make(dollars_per_month=1_000)], as_of=NIGHT).new

    assert only(reconcile([kept], [later(kept, dollars_per_month=9_000)], as_of=NIGHT)) == ["same"]


def test_severity_that_flaps_is_told_once(make):
    (kept,) = reconcile([], [make()], as_of=NIGHT).new
    groups = []
    for severity in (Severity.HIGH, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL):
        found = later(kept, severity=severity)
        recorded = reconcile([kept], [found], as_of=found.as_of)
        groups += only(recorded)
        (kept,) = recorded.same + recorded.worse

    assert groups == ["worse", "same", "same", "worse"]


def test_watch_list_is_never_worse_until_it_is_an_alert(make):
    (kept,) = reconcile([], [make(tier=Tier.WATCH)], as_of=NIGHT).new
    grown = reconcile([kept], [later(kept, dollars_per_month=9_000_000)], as_of=NIGHT)
    promoted = later(kept, tier=Tier.ALERT, detected_on=dt.date(2026, 3, 20))
    told = reconcile([kept], [promoted], as_of=promoted.as_of)

    assert kept.told_severity is None
    assert only(grown) == ["same"]
    assert only(told) == ["worse"]
    assert told.worse[0].detected_on == dt.date(2026, 3, 20)
    assert told.worse[0].told_severity is Severity.MEDIUM


def test_alert_does_not_sink_to_the_watch_list(make):
    (kept,) = reconcile([], [make()], as_of=NIGHT).new

    recorded = reconcile([kept], [later(kept, tier=Tier.WATCH)], as_of=NIGHT)

    assert recorded.same[0].tier is Tier.ALERT


def test_first_night_of_detection_stays(make):
    (kept,) = reconcile([], [make()], as_of=NIGHT).new

    recorded = reconcile(
        [kept], [later(kept, days=5, detected_on=dt.date(2026, 3, 14))], as_of=NIGHT
    )

    assert recorded.same[0].detected_on == dt.date(2026, 3, 9)


def test_ended_finding_is_resolved(make):
    (kept,) = reconcile([], [make()], as_of=NIGHT).new
    ended = later(kept, days=30, ended=dt.date(2026, 4, 1))

    recorded = reconcile([kept], [ended], as_of=ended.as_of)

    assert only(recorded) == ["resolved"]
    assert recorded.resolved[0].ended == dt.date(2026, 4, 1)


def test_ended_finding_that_was_never_open_is_no_news(make):
    assert only(reconcile([], [make(ended=NIGHT)], as_of=NIGHT)) == []


def test_absent_finding_stays_open_until_it_is_forgotten(make):
    (kept,) = reconcile([], [make()], as_of=NIGHT).new
    soon = reconcile([kept], [], as_of=NIGHT + dt.timedelta(days=60))
    late = reconcile([kept], [], as_of=NIGHT + dt.timedelta(days=61))

    assert only(soon) == []
    assert only(late) == ["resolved"]
    assert late.resolved[0].ended == NIGHT


def test_night_run_late_does_not_overwrite_a_newer_one(make):
    (kept,) = reconcile([], [make()], as_of=NIGHT).new

    recorded = reconcile([kept], [later(kept, days=-3, effect=0.5)], as_of=NIGHT)

    assert recorded.same == (kept,)


def test_race_of_two_runs_leaves_one_incident(make):
    """Two runs with slightly different data made different fingerprints for one segment."""
    (kept,) = reconcile([], [make()], as_of=NIGHT).new
    other = make(fingerprint="beef", onset=dt.date(2026, 3, 3))

    recorded = reconcile([kept], [other], as_of=NIGHT)

    assert only(recorded) == ["same"]
    assert recorded.same[0].fingerprint == "f00d"


def test_incident_in_another_span_or_segment_is_another(make):
    one = make()

    assert is_same_incident(one, make(fingerprint="x"))
    assert not is_same_incident(
        one, make(fingerprint="x", onset=dt.date(2026, 4, 1), as_of=dt.date(2026, 4, 9))
    )
    assert not is_same_incident(one, make(fingerprint="x", segment=Segment(payer="OTHER")))
    assert not is_same_incident(one, make(fingerprint="x", detector="threshold"))


def test_fingerprint_tells_payers_signals_and_anchors_apart():
    made = {
        fingerprint(detector="lattice", signal=signal, payer=payer, anchor=anchor)
        for signal in (Signal.VOLUME, Signal.DENIAL_RATE)
        for payer in ("A", "B")
        for anchor in ("1", "2")
    }

    assert len(made) == 8
    assert {len(one) for one in made} == {16}


@pytest.mark.parametrize(
    ("dollars", "effect", "unit", "severity"),
    [
        (5_000_000, 0.01, "share", Severity.CRITICAL),
        (5_000_000, 0.50, "share", Severity.CRITICAL),
        (1_000_000, -0.02, "log_ratio", Severity.HIGH),
        (100_000, 4.0, "days", Severity.MEDIUM),
        (100_000, 12.0, "days", Severity.HIGH),
        (99_999, 0.01, "share", Severity.LOW),
        (5_000, 0.9, "share", Severity.LOW),
        (100_000, 9.0, "unknown", Severity.MEDIUM),
    ],
)
def test_severity_is_money_and_one_step_for_large_effects(dollars, effect, unit, severity):
    assert rate_severity(dollars_per_month=dollars, effect=effect, unit=unit) is severity
