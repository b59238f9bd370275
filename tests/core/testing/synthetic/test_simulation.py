from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

from claimkit.testing.synthetic import LAKEVIEW, NORTHSIDE, PlantedDrift, make_claims
from claimkit.types import date_of, day_of

AS_OF = dt.date(2026, 3, 20)


@pytest.fixture(scope="module")
def northside():
    return make_claims(NORTHSIDE, as_of=AS_OF)


def columns(claims):
    return {
        name: getattr(claims, name)
        for name in ("number", "payer", "submitted", "decided", "denied", "paid", "replaces")
    }


def codes(claims):
    return np.array([one.code for one in claims.profile.procedures])[claims.procedure]


def concerned(claims, drift):
    names = [one.name for one in claims.profile.payers]
    mask = claims.payer == names.index(drift.payer)
    if drift.codes:
        mask &= np.isin(codes(claims), drift.codes)
    return mask & (claims.replaces < 0) & claims.is_decided


def drift_of(profile, signal):
    return next(one for one in profile.drifts if one.signal == signal)


def test_the_same_arguments_give_the_same_claims_and_a_seed_others():
    one, same, other = (
        columns(make_claims(LAKEVIEW, as_of=AS_OF, days=60, seed=seed)) for seed in (3, 3, 4)
    )

    for name, values in one.items():
        np.testing.assert_array_equal(values, same[name])
    assert len(one["number"]) != len(other["number"]) or (one["paid"] != other["paid"]).any()


def test_volume_is_that_of_the_profile_and_weekends_are_quiet(northside):
    originals = northside.replaces < 0
    days = northside.submitted[originals]
    per_month = originals.sum() / 430 * 30.4
    weekend = np.array([date_of(int(day)).weekday() >= 5 for day in days]).mean()

    assert abs(per_month / NORTHSIDE.claims_per_month - 1) < 0.1
    assert 0.03 < weekend < 0.12
    assert days.min() >= day_of(AS_OF) - 429
    assert northside.submitted.max() <= day_of(AS_OF)


def test_money_balances_in_every_row(northside):
    denied = northside.denied

    assert (northside.allowed <= northside.charge).all()
    assert (northside.patient <= northside.allowed).all()
    np.testing.assert_array_equal(
        northside.paid, np.where(denied, 0, northside.allowed - northside.patient)
    )
    assert ((northside.reason >= 0) == denied).all()


def test_what_is_decided_later_than_the_day_is_not_known(northside):
    decided = northside.decided <= day_of(AS_OF)

    np.testing.assert_array_equal(northside.is_decided, decided)
    assert (northside.decided > northside.submitted).all()
    assert (northside.service < northside.submitted)[northside.replaces < 0].all()
    assert 200 < (~decided).sum() < 0.1 * len(northside)


def test_remittances_come_by_day_on_the_weekdays_of_the_payer(northside):
    seen, before = 0, -1
    for payer, day, rows in northside.remittances():
        assert day >= before
        assert date_of(day).weekday() in NORTHSIDE.payers[payer].remit_weekdays
        assert (date_of(day).month, date_of(day).day) not in {(12, 25), (1, 1), (7, 4)}
        assert (northside.payer[rows] == payer).all()
        assert (northside.decided[rows] == day).all()
        seen, before = seen + len(rows), day

    assert seen == northside.is_decided.sum()


def test_a_resubmission_follows_the_denial_of_the_same_claim(northside):
    again = np.flatnonzero(northside.replaces >= 0)
    before = northside.replaces[again]

    assert len(again) > 100
    assert northside.denied[before].all()
    assert (northside.submitted[again] > northside.decided[before]).all()
    np.testing.assert_array_equal(northside.number[again], northside.number[before])
    np.testing.assert_array_equal(northside.service[again], northside.service[before])
    assert northside.control_number(int(again[0])) == northside.control_number(int(before[0]))
    assert northside.control_number(0) == "NS0000001"


def test_planted_denials_begin_on_their_day_and_carry_their_reason(northside):
    drift = drift_of(NORTHSIDE, "denial_rate")
    mask = concerned(northside, drift)
    since = northside.decided >= day_of(northside.onset(drift))
    rates = [northside.denied[mask & part].mean() for part in (~since, since)]
    reasons = np.array(northside.reasons)[northside.reason]
    named = [
        (reasons[mask & part & northside.denied] == drift.carc).mean() for part in (~since, since)
    ]

    assert northside.onset(drift) == AS_OF - dt.timedelta(days=63)
    assert rates[1] - rates[0] == pytest.approx(drift.size, abs=0.09)
    assert named[0] < 0.3 < 0.5 < named[1]
    others = (northside.payer != northside.payer[mask][0]) & northside.is_decided
    others &= northside.replaces < 0
    steady = [northside.denied[others & part].mean() for part in (~since, since)]
    assert steady[1] == pytest.approx(steady[0], abs=0.02)


def test_planted_underpayment_lowers_what_is_allowed(northside):
    drift = drift_of(NORTHSIDE, "allowed_amount")
    mask = concerned(northside, drift)
    since = northside.decided >= day_of(northside.onset(drift))
    ratio = northside.allowed / northside.charge
    means = [ratio[mask & part].mean() for part in (~since, since)]

    assert means[1] / means[0] - 1 == pytest.approx(drift.size, abs=0.02)


def test_a_planted_delay_moves_decisions(northside):
    drift = drift_of(NORTHSIDE, "decision_time")
    mask = concerned(northside, drift)
    onset = day_of(northside.onset(drift))
    lag = northside.decided - northside.submitted
    before = lag[mask & (northside.decided < onset - 30)].mean()
    after = lag[mask & (northside.decided >= onset + 14)].mean()

    assert after - before == pytest.approx(drift.size, abs=3)


def test_without_planted_drifts_nothing_changes():
    plain = make_claims(replace(NORTHSIDE, drifts=()), as_of=AS_OF)
    drift = drift_of(NORTHSIDE, "denial_rate")
    mask = concerned(plain, drift)
    since = plain.decided >= day_of(AS_OF) - 63
    rates = [plain.denied[mask & part].mean() for part in (~since, since)]

    assert rates[1] == pytest.approx(rates[0], abs=0.09)


def test_a_drift_without_a_reason_keeps_the_usual_ones():
    drift = PlantedDrift(signal="denial_rate", payer=LAKEVIEW.payers[0].name, size=0.5, days_ago=40)
    claims = make_claims(replace(LAKEVIEW, drifts=(drift,)), as_of=AS_OF, days=120)
    mask = concerned(claims, drift) & (claims.decided >= day_of(AS_OF) - 40) & claims.denied

    assert len(set(claims.reason[mask].tolist())) >= 5


@pytest.mark.parametrize(("per_month", "days"), [(1, 3), (3, 30), (0, 10)])
def test_a_provider_with_hardly_a_claim_is_simulated_too(per_month, days):
    profile = replace(LAKEVIEW, claims_per_month=per_month, drifts=())
    claims = make_claims(profile, as_of=AS_OF, days=days)

    assert len(claims) <= 10
    assert sum(len(rows) for _, _, rows in claims.remittances()) == claims.is_decided.sum()
