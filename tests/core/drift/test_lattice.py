from __future__ import annotations

import dataclasses
import datetime as dt
import math

import numpy as np
import pytest

from claimkit.config import DriftConfig
from claimkit.drift.cube import DECISIONS, Cells
from claimkit.drift.findings import Signal, Tier
from claimkit.drift.lattice import LatticeDetector, replay
from claimkit.types import Severity, day_of

CONFIG = DriftConfig(scan_days=70)


def detect(cube, as_of, *, config=CONFIG, known=()):
    return LatticeDetector().detect(cube, as_of=as_of, config=config, open_findings=known)


def alerts(findings):
    return [one for one in findings if one.tier is Tier.ALERT]


@pytest.fixture
def denying(make_world):
    """A world whose BITTERN denies imaging for authorization since day 340."""
    world = make_world(seed=1, per_day=80)
    world.deny_more(
        world.of(payer="BITTERN", group="imaging"),
        since=340,
        points=0.35,
        reason="authorization_referral",
    )
    return world


def test_planted_denials_are_found_with_payer_group_reason_and_money(denying):
    (found,) = alerts(detect(denying.cube(), denying.last))

    assert found.signal is Signal.DENIAL_RATE
    assert found.segment.payer == "BITTERN"
    assert found.segment.procedure_groups == ("imaging",)
    assert found.segment.category == "authorization_referral"
    assert abs((found.onset - denying.start).days - 340) <= 7
    assert found.interval[0] < 0.35 < found.interval[1]
    assert found.interval[0] > 0.2
    assert found.baseline < 0.1 < found.current
    assert not found.preliminary
    # 0.35 × about 110 claims a month × a mean allowed amount of about $74.
    assert 200_000 < found.dollars_per_month < 400_000
    assert found.severity is Severity.HIGH
    assert "BITTERN denies" in found.summary
    assert "imaging claims for authorization or referral" in found.summary
    assert found.evidence.reasons_since["authorization_referral"] > 0.5
    assert found.evidence.codes_since == {"CO-197": 1.0}


def test_evidence_is_weekly_and_ends_with_the_night(denying):
    (found,) = alerts(detect(denying.cube(), denying.last))
    evidence = found.evidence

    assert len(evidence.days) >= 16
    assert evidence.days[-1] == denying.last - dt.timedelta(days=6)
    assert {len(getattr(evidence, name)) for name in ("observed", "expected", "low", "high")} == {
        len(evidence.days)
    }
    assert all(
        low <= usual <= high
        for low, usual, high in zip(evidence.low, evidence.expected, evidence.high, strict=True)
    )
    assert evidence.observed[-1] > evidence.high[-1]
    assert next(iter(evidence.groups)) == "imaging"


def test_finding_holds_plain_values_only(denying):
    (found,) = alerts(detect(denying.cube(), denying.last))

    def walk(value):
        if dataclasses.is_dataclass(value):
            for one in dataclasses.fields(value):
                yield from walk(getattr(value, one.name))
        elif isinstance(value, dict):
            for pair in value.items():
                yield from walk(pair)
        elif isinstance(value, (tuple, list)):
            for one in value:
                yield from walk(one)
        else:
            yield value

    values = list(walk(found))
    assert not [one for one in values if isinstance(one, np.generic)]
    assert all(math.isfinite(one) for one in values if isinstance(one, float))


def test_payer_wide_denials_are_one_statement_about_the_payer(make_world):
    world = make_world(seed=2)
    world.deny_more(world.of(payer="ALBATROSS"), since=350, points=0.12)

    (found,) = alerts(detect(world.cube(), world.last))

    assert found.segment.payer == "ALBATROSS"
    assert found.segment.procedure_groups == ()
    assert found.interval[0] < 0.12 < found.interval[1]


def test_fewer_denials_are_not_reported(make_world):
    world = make_world(seed=3)
    world.columns["rate"] += 0.1
    world.deny_more(world.of(payer="ALBATROSS"), since=350, points=-0.12)

    assert alerts(detect(world.cube(), world.last)) == []


def test_swap_of_reasons_is_found_at_constant_rate(make_world):
    world = make_world(seed=4, per_day=120)
    world.columns["rate"] += 0.1
    mask = world.of(payer="ALBATROSS") & (world.columns["decided"] >= 340)
    swapped = mask & (world.columns["reason"] == 1)
    world.columns["reason"] = np.where(swapped, 0, world.columns["reason"])

    (found,) = alerts(detect(world.cube(), world.last))

    assert found.segment.payer == "ALBATROSS"
    assert found.segment.category == "authorization_referral"


def test_slow_payer_is_found_within_days(make_world):
    world = make_world(seed=5)
    mask = world.of(payer="ALBATROSS") & (world.columns["decided"] >= 340)
    world.columns["decided"] = np.where(
        mask, world.columns["decided"] + 14, world.columns["decided"]
    )

    (found,) = alerts(detect(world.cube(), world.last))

    assert found.signal is Signal.DECISION_TIME
    assert found.segment.payer == "ALBATROSS"
    assert found.unit == "days"
    assert (found.detected_on - world.start).days - 340 <= 7
    assert found.interval[0] < 14 < found.interval[1]
    assert found.effect > 7
    assert found.dollars_per_month > 0
    assert found.evidence.observed[-1] > found.evidence.high[-1]


def test_outage_is_told_as_silence(make_world):
    world = make_world(seed=6)
    mask = world.of(payer="ALBATROSS") & (world.columns["decided"] >= 392)
    world.columns["decided"] = np.where(
        mask, world.columns["decided"] + 30, world.columns["decided"]
    )

    (found,) = alerts(detect(world.cube(), world.last))

    assert found.signal is Signal.DECISION_TIME
    assert "decided almost no claims" in found.summary
    assert found.preliminary


def test_lower_allowed_amounts_are_found(make_world):
    world = make_world(seed=7)
    mask = world.of(payer="BITTERN", group="surgery") & (world.columns["decided"] >= 345)
    world.columns["ratio"] = world.columns["ratio"] + np.where(mask, math.log(0.85), 0)

    (found,) = alerts(detect(world.cube(), world.last))

    assert found.signal is Signal.ALLOWED_AMOUNT
    assert found.segment.procedure_groups == ("surgery",)
    assert found.interval[0] < math.log(0.85) < found.interval[1]
    assert found.dollars_per_month > 0
    assert "allows 1" in found.summary


def test_ended_drift_is_not_reported(make_world):
    world = make_world(seed=8)
    mask = world.of(payer="ALBATROSS") & (world.columns["decided"] < 350)
    world.deny_more(mask, since=335, points=0.25)

    (told,) = [
        one
        for one in alerts(
            replay(
                world.cube(),
                start=world.start + dt.timedelta(days=330),
                end=world.last,
                config=CONFIG,
            )
        )
        if one.segment.payer == "ALBATROSS"
    ]

    assert told.ended is not None
    assert told.detected_on < told.ended <= world.last
    assert alerts(detect(world.cube(), world.last)) == []


@pytest.mark.slow
def test_clean_tenants_give_hardly_any_alert(make_world):
    """Five tenants, 265 nights each: 44 months, at 0.1 a month 4.4 alerts are expected at most."""
    told = []
    for seed in range(10, 15):
        world = make_world(seed=seed)
        told += alerts(
            replay(
                world.cube(),
                start=world.start + dt.timedelta(days=135),
                end=world.last,
                config=CONFIG,
            )
        )

    # The 99 % bound of a Poisson variable with mean 4.4.
    assert len(told) <= 10


def test_mix_change_alone_is_no_drift(make_world):
    world = make_world(seed=20)
    c = world.columns
    moved = world.of(payer="ALBATROSS") & (c["submitted"] >= 330) & (c["draw"] * 7919 % 1 < 0.5)
    worst = world.groups.index("surgery")
    c["group"] = np.where(moved, worst, c["group"])
    c["rate"] = np.where(moved, 0.06 + 0.03 * worst, c["rate"])
    # draw decides both the move and the denial; a fresh one keeps them independent.
    c["draw"] = np.where(moved, c["draw"] * 104729 % 1, c["draw"])

    assert alerts(detect(world.cube(), world.last)) == []


def test_same_cells_in_another_order_give_the_same_findings(denying):
    cube = denying.cube()
    shuffled = {
        name: cells.take(np.random.default_rng(3).permutation(len(cells)))
        for name, cells in cube.items()
    }

    assert detect(shuffled, denying.last) == detect(cube, denying.last)


def test_later_decisions_do_not_change_an_earlier_night(denying):
    night = denying.start + dt.timedelta(days=360)

    assert detect(denying.cube(), night) == detect(denying.cube(until=night), night)


def test_findings_of_a_night_do_not_depend_on_where_the_replay_begins(denying):
    longer = dataclasses.replace(CONFIG, scan_days=85)

    assert [one.fingerprint for one in alerts(detect(denying.cube(), denying.last))] == [
        one.fingerprint for one in alerts(detect(denying.cube(), denying.last, config=longer))
    ]


def test_open_finding_keeps_its_fingerprint_and_ends_with_its_cause(make_world):
    world = make_world(seed=9)
    mask = world.of(payer="ALBATROSS") & (world.columns["decided"] < 352)
    world.deny_more(mask, since=330, points=0.25)
    first = world.start + dt.timedelta(days=345)

    (told,) = alerts(detect(world.cube(until=first), first))
    nights = []
    known = [told]
    for night in range(346, 400, 9):
        as_of = world.start + dt.timedelta(days=night)
        again = detect(
            world.cube(until=as_of), as_of, config=DriftConfig(scan_days=14), known=known
        )
        (same,) = [one for one in again if one.fingerprint == told.fingerprint]
        nights.append(same)
        if same.ended:
            break
        known = [same]

    assert [one.segment.payer for one in nights] == ["ALBATROSS"] * len(nights)
    assert nights[-1].ended is not None
    assert {one.detected_on for one in nights} == {told.detected_on}


def test_finding_of_an_unknown_payer_is_left_alone(denying):
    (found,) = alerts(detect(denying.cube(), denying.last))
    gone = dataclasses.replace(
        found, segment=dataclasses.replace(found.segment, payer="GONE"), fingerprint="gone"
    )

    again = detect(denying.cube(), denying.last, known=[gone])

    assert "gone" not in {one.fingerprint for one in again}


def test_another_detectors_findings_are_left_alone(denying):
    (found,) = alerts(detect(denying.cube(), denying.last))
    other = dataclasses.replace(found, detector="threshold", fingerprint="other")

    assert "other" not in {
        one.fingerprint for one in detect(denying.cube(), denying.last, known=[other])
    }


def test_progress_is_told_night_by_night(denying):
    told = []

    LatticeDetector().telling(lambda *step: told.append(step)).detect(
        denying.cube(), as_of=denying.last, config=DriftConfig(scan_days=3)
    )

    assert told == [("looking for drift, night by night", done, 3) for done in (1, 2, 3)]


def test_watch_tier_takes_what_is_too_weak_for_an_alert(make_world):
    world = make_world(seed=21)
    world.deny_more(world.of(payer="CORMORANT"), since=360, points=0.07)
    strict = dataclasses.replace(CONFIG, budget=1e-9, watch_budget=1.0)

    found = detect(world.cube(), world.last, config=strict)

    assert "CORMORANT" in {one.segment.payer for one in found}
    assert {one.tier for one in found} == {Tier.WATCH}


def test_ten_times_the_volume_shrinks_the_error_by_root_ten(make_world):
    errors = []
    for per_day in (40, 400):
        world = make_world(seed=22, per_day=per_day)
        world.deny_more(world.of(payer="ALBATROSS"), since=350, points=0.15)
        (found,) = [
            one
            for one in alerts(detect(world.cube(), world.last))
            if one.segment.payer == "ALBATROSS"
        ]
        errors.append((found.interval[1] - found.interval[0]) / 3.92)

    assert errors[0] / errors[1] == pytest.approx(math.sqrt(10), rel=0.35)


# -- little or bad input ----------------------------------------------------------------------


def test_empty_cube_gives_nothing():
    empty = {DECISIONS.name: Cells.empty(DECISIONS)}

    assert detect(empty, dt.date(2026, 1, 5)) == ()
    assert detect({}, dt.date(2026, 1, 5)) == ()
    assert replay({}, start=dt.date(2026, 1, 1), end=dt.date(2026, 1, 5), config=CONFIG) == ()


@pytest.mark.parametrize("days", [1, 13, 60, 100, 110])
def test_short_history_gives_no_alert(make_world, days):
    world = make_world(seed=30, days=days)

    assert alerts(detect(world.cube(), world.last)) == []


def test_four_months_of_history_are_enough(make_world):
    world = make_world(seed=31, days=125, per_day=80)
    world.deny_more(world.of(payer="ALBATROSS"), since=113, points=0.3)

    (found,) = alerts(detect(world.cube(), world.last))

    assert found.segment.payer == "ALBATROSS"


def test_single_payer_is_watched(make_world):
    world = make_world(seed=32, payers=("ALBATROSS",))
    clean = alerts(detect(world.cube(), world.last))
    world.deny_more(world.of(payer="ALBATROSS"), since=360, points=0.12)

    assert clean == []
    assert [one.segment.payer for one in alerts(detect(world.cube(), world.last))] == ["ALBATROSS"]


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_all_or_none_denied_is_no_drift(make_world, rate):
    world = make_world(seed=33)
    world.columns["rate"] = np.full_like(world.columns["rate"], rate)

    assert alerts(detect(world.cube(), world.last)) == []


def test_first_denials_ever_are_found(make_world):
    world = make_world(seed=34)
    world.columns["rate"] = np.zeros_like(world.columns["rate"])
    world.deny_more(world.of(payer="BITTERN"), since=370, points=0.2)

    assert [one.segment.payer for one in alerts(detect(world.cube(), world.last))] == ["BITTERN"]


def test_unknown_submissions_still_allow_denials(make_world):
    world = make_world(seed=35)
    world.deny_more(world.of(payer="ALBATROSS"), since=360, points=0.15)
    cube = dict(world.cube())
    decisions = cube["decisions"]
    unknown = {**decisions.numbers, "age_days": np.full(len(decisions), -1)}
    cube["decisions"] = dataclasses.replace(decisions, numbers=unknown)
    del cube["inflow"]

    (found,) = alerts(detect(cube, world.last))

    assert found.signal is Signal.DENIAL_RATE
    assert found.segment.payer == "ALBATROSS"


def test_without_amounts_denials_are_priced_by_charge(make_world):
    world = make_world(seed=36)
    world.deny_more(world.of(payer="ALBATROSS"), since=360, points=0.15)
    cube = dict(world.cube())
    decisions = cube["decisions"]
    nothing = np.zeros(len(decisions), np.int64)
    cube["decisions"] = dataclasses.replace(
        decisions, measures={**decisions.measures, "allowed": nothing, "paid": nothing}
    )
    del cube["money"]

    (found,) = alerts(detect(cube, world.last))

    assert any("mean charge" in line for line in found.why)
    assert found.dollars_per_month > 0


def test_a_missing_year_is_learned_again(make_world):
    world = make_world(seed=37, days=800)
    c = world.columns
    kept = (c["decided"] < 240) | (c["decided"] >= 600)
    world.columns = {name: column[kept] for name, column in c.items()}

    found = replay(
        world.cube(), start=world.start + dt.timedelta(days=560), end=world.last, config=CONFIG
    )

    assert len(alerts(found)) <= 1


def test_feed_that_stops_for_everybody_is_no_payers_drift(make_world):
    world = make_world(seed=38)
    c = world.columns
    c["decided"] = np.where((c["decided"] >= 380) & (c["decided"] < 390), 390, c["decided"])

    assert alerts(detect(world.cube(), world.last)) == []


def test_one_claim_a_month_is_no_drift(make_world):
    world = make_world(seed=39)
    c = world.columns
    kept = np.zeros(len(c["decided"]), bool)
    kept[np.searchsorted(c["submitted"], np.arange(0, world.days, 30))] = True
    world.columns = {name: column[kept] for name, column in c.items()}

    assert detect(world.cube(), world.last) == ()


def test_rows_after_the_night_and_negative_counts_are_ignored(denying):
    cube = dict(denying.cube())
    decisions = cube["decisions"]
    later = decisions.take(np.arange(200))
    odd = dataclasses.replace(
        later,
        numbers={**later.numbers, "decided_day": later.numbers["decided_day"] + 4_000},
        measures={key: -column for key, column in later.measures.items()},
    )
    cube["decisions"] = Cells(
        table=DECISIONS,
        names=decisions.names,
        labels={k: np.concatenate([v, odd.labels[k]]) for k, v in decisions.labels.items()},
        numbers={k: np.concatenate([v, odd.numbers[k]]) for k, v in decisions.numbers.items()},
        measures={k: np.concatenate([v, odd.measures[k]]) for k, v in decisions.measures.items()},
    )

    assert detect(cube, denying.last) == detect(denying.cube(), denying.last)
    assert day_of(denying.last) < int(cube["decisions"].numbers["decided_day"].max())
