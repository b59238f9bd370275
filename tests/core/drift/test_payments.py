from __future__ import annotations

import datetime as dt
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claimkit.config import DriftConfig
from claimkit.drift.backtest import backtest
from claimkit.drift.cube import DECISIONS, INFLOW, PAYMENTS
from claimkit.drift.findings import Signal, Tier
from claimkit.drift.payments import PaymentDetector, payment_cube
from claimkit.drift.tally import tally
from claimkit.events import FactsChange
from claimkit.stores.memory import MemoryStore
from claimkit.testing.cubes import FIRST_DAY, make_cube, make_facts
from claimkit.types import SystemClock, TenantKey, day_of

DAYS = 420
LAST = FIRST_DAY + dt.timedelta(days=DAYS - 1)
LAST_DAY = day_of(LAST)
ONSET = day_of(FIRST_DAY) + 395
CONFIG = DriftConfig(scan_days=28)


@pytest.fixture(scope="module")
def facts():
    return make_facts(days=DAYS)


def slowed(facts, *, by, payer="BITTERN", since=ONSET, until=LAST_DAY):
    return [
        one._replace(paid_day=one.paid_day + by if one.paid_day + by <= until else None)
        if one.payer == payer and one.paid_day is not None and one.paid_day >= since
        else one
        for one in facts
    ]


def detect(facts, **asked):
    return PaymentDetector().detect(make_cube(facts), as_of=LAST, config=CONFIG, **asked)


def test_money_that_comes_later_is_told_with_day_size_and_sum(facts):
    (found,) = detect(slowed(facts, by=6))

    assert (found.signal, found.segment.payer) == (Signal.PAYMENT_TIME, "BITTERN")
    assert (found.detector, found.tier, found.unit) == ("payment", Tier.ALERT, "days")
    assert abs(day_of(found.onset) - ONSET) <= 2
    assert day_of(found.detected_on) - ONSET <= 5
    assert found.interval[0] < 6 < found.interval[1]
    assert found.dollars_per_month > 0
    assert "later after the decision since" in found.summary
    assert "held up" in found.summary
    assert found.evidence.observed[-1] > found.evidence.high[-1]


def test_payers_that_pay_as_ever_are_not_told(facts):
    assert detect(facts) == []


def test_later_decisions_are_not_told_as_later_payments(facts):
    late = [
        one._replace(decided_day=one.decided_day + 8, paid_day=one.paid_day and one.paid_day + 8)
        if one.payer == "BITTERN" and one.decided_day is not None and one.decided_day >= ONSET
        else one
        for one in facts
    ]

    assert detect(late) == []


def test_payers_without_payment_days_are_not_looked_at(facts):
    assert detect([one._replace(paid_day=None) for one in facts]) == []


def test_an_open_delay_keeps_its_identity_and_ends_when_money_comes_in_time(facts):
    ended = slowed(facts, by=6, since=ONSET - 60)
    ended = [
        before if before.paid_day is not None and before.paid_day >= ONSET - 25 else now
        for before, now in zip(facts, ended, strict=True)
    ]
    cube = make_cube(ended)
    early = LAST - dt.timedelta(days=70)
    (before,) = PaymentDetector().detect(cube, as_of=early, config=CONFIG)
    (after,) = PaymentDetector().detect(cube, as_of=LAST, config=CONFIG, open_findings=[before])

    assert before.ended is None
    assert after.fingerprint == before.fingerprint
    assert after.ended is not None


def test_it_is_replayed_over_past_nights(facts):
    store, tenant = MemoryStore(), TenantKey("marsh")
    for cells in make_cube(slowed(facts, by=6)).values():
        store.cube.post(tenant, cells.known_on(day_of(LAST)))
    result = backtest(
        tenant=tenant,
        store=store,
        detectors={"payment": PaymentDetector()},
        config=DriftConfig(detectors=("payment",)),
        clock=SystemClock(),
        start=LAST - dt.timedelta(days=60),
        end=LAST,
    )

    assert [one.segment.payer for one in result.alerts] == ["BITTERN"]
    assert day_of(result.alerts[0].detected_on) - ONSET <= 5


def test_claims_wait_for_their_money_from_the_day_of_the_decision(facts):
    few = slowed(facts, by=6)
    night = day_of(LAST) - 30
    cube = payment_cube(make_cube(few), as_of=night)
    due = [one for one in few if one.outcome == "paid" and one.decided_day <= night]
    paid = [one for one in due if one.paid_day is not None and one.paid_day <= night]

    assert cube[INFLOW.name].measures["claims"].sum() == len(due)
    assert cube[DECISIONS.name].measures["claims"].sum() == len(paid)
    ages = cube[DECISIONS.name].numbers["age_days"] * cube[DECISIONS.name].measures["claims"]
    assert ages.sum() == sum(one.paid_day - one.decided_day for one in paid)


@pytest.mark.parametrize(
    ("changed", "waits"),
    [
        ({}, [3]),
        ({"paid_day": None}, [-1]),
        ({"paid_day": 20_400}, [120]),
        ({"paid_day": 20_099}, []),
        ({"outcome": "partial"}, [3]),
        ({"outcome": "denied"}, []),
        ({"outcome": "zero_paid", "paid": 0}, []),
        ({"paid": 0}, []),
        ({"first_pass": False}, []),
        ({"first_stands": False}, []),
        ({"outcome": "pending", "decided_day": None}, []),
    ],
)
def test_what_counts_as_a_payment(facts, changed, waits):
    paid = facts[0]._replace(
        outcome="paid", decided_day=20_100, paid_day=20_103, paid=100, allowed=120
    )
    cells = make_cube([paid._replace(**changed)])[PAYMENTS.name]

    assert cells.numbers["wait_days"].tolist() == waits


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_order_and_redelivery_change_nothing(facts, seed):
    before = facts[:60]
    after = slowed(before, by=2, since=0)
    changes = [FactsChange(None, one) for one in before]
    changes += [FactsChange(*pair) for pair in zip(before, after, strict=True)]
    random.Random(seed).shuffle(changes)
    cells, rebuilt = tally(changes)[PAYMENTS.name], make_cube(after)[PAYMENTS.name]

    assert cells.names == rebuilt.names
    for axis, column in {**cells.labels, **cells.numbers, **cells.measures}.items():
        other = {**rebuilt.labels, **rebuilt.numbers, **rebuilt.measures}[axis]
        np.testing.assert_array_equal(column, other)
