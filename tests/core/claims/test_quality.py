from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.claims.model import ClaimBatch, ClaimKind, Outcome, RowProblem
from claimkit.claims.quality import ProfileBuilder, QualityProfile, assess
from claimkit.testing.factories import make_batch, make_claim

USUAL = QualityProfile(
    claims=1_000,
    rejected=5,
    missing={"payer": 0.0, "submitted": 0.02, "reason": 0.1, "allowed": 0.3},
    payers={"BLUE LAKE": 600, "RED HILL": 300, "HARBOR": 100},
    first_decided="2026-03-01",
    last_decided="2026-03-31",
)
PAST = [USUAL] * 6


def like_usual(**changes):
    from dataclasses import replace

    return replace(USUAL, **changes)


def problem():
    return RowProblem(code="money_invalid", message="m", remedy="r", position=1, kind=ClaimKind.CSV)


def test_a_profile_counts_what_is_missing_where_it_is_expected():
    claims = [
        make_claim(),
        make_claim(payer_name="", payer_id="", allowed=None),
        make_claim(outcome=Outcome.DENIED, reason="", paid=0),
        make_claim(outcome=Outcome.DENIED, reason="CO-197", paid=0),
        make_claim(outcome=Outcome.PENDING, decided_on=None, paid_on=None, received_on=None),
        make_claim(submitted_on=dt.date(2026, 3, 1), decided_on=dt.date(2026, 2, 17)),
    ]
    builder = ProfileBuilder()

    builder.take(make_batch(claims[:3], problems=[problem()]))
    builder.take(make_batch(claims[3:]))

    assert builder.profile() == QualityProfile(
        claims=6,
        rejected=1,
        missing={
            "payer": round(1 / 6, 6),
            "procedure": 0.0,
            "submitted": round(1 / 6, 6),
            "decided": 0.0,
            "allowed": round(1 / 3, 6),
            "reason": 0.5,
        },
        disordered=round(1 / 6, 6),
        payers={"MERIDIAN OF OHIO": 5, "": 1},
        first_decided="2026-02-17",
        last_decided="2026-02-17",
    )


def test_an_empty_file_has_a_profile():
    builder = ProfileBuilder()
    builder.take(ClaimBatch())

    assert builder.profile() == QualityProfile()
    assert assess(builder.profile(), PAST).holds


def test_beyond_fifty_payers_are_counted_together():
    builder = ProfileBuilder()
    builder.take(make_batch([make_claim(payer=f"PAYER {n}") for n in range(70)]))

    payers = builder.profile().payers

    assert (len(payers), payers[""], sum(payers.values())) == (51, 20, 70)


def test_a_profile_is_kept_as_json_and_comes_back():
    import json

    assert QualityProfile.from_json(json.loads(json.dumps(USUAL.as_json()))) == USUAL


def test_a_file_like_the_others_has_nothing_unusual():
    report = assess(like_usual(), PAST, days_since_last=7, usual_days=[7, 7, 8, 6])

    assert (report.issues, report.holds, report.compared) == ((), False, 6)


@pytest.mark.parametrize(
    ("changes", "code", "holds", "message"),
    [
        (
            {"missing": {"reason": 0.9}},
            "quality_incomplete",
            True,
            "the reason of denied claims is missing in 90%, usually in at most 10%",
        ),
        (
            {"missing": {"allowed": 0.9}},
            "quality_incomplete",
            False,
            "the allowed amount of paid claims is missing in 90%, usually in at most 30%",
        ),
        (
            {"rejected": 200},
            "quality_invalid",
            True,
            "17% of the rows could not be taken, usually at most 0%",
        ),
        (
            {"disordered": 0.3},
            "quality_disordered",
            True,
            "30% of the claims were decided before they were submitted, usually at most 0%",
        ),
        (
            {"claims": 100},
            "quality_volume",
            True,
            "100 claims are far fewer than the usual 1,000",
        ),
        (
            {"claims": 9_000},
            "quality_volume",
            False,
            "9,000 claims are far more than the usual 1,000",
        ),
        (
            {"payers": {"RED HILL": 900, "HARBOR": 100}},
            "quality_mix",
            True,
            "the mix of payers is not the usual one (60% of the claims are elsewhere); "
            "nothing of BLUE LAKE",
        ),
    ],
)
def test_what_is_unusual_is_said_in_words(changes, code, holds, message):
    report = assess(like_usual(**changes), PAST)

    assert [(one.code, one.holds, one.message) for one in report.issues] == [(code, holds, message)]


@pytest.mark.parametrize("past", [[], [like_usual(missing={"decided": 1.0})] * 6])
def test_decided_claims_without_a_day_are_said_each_time(past):
    """They are in no rate, so a tenant whose files all lack the day would wait for ever."""
    report = assess(like_usual(missing={"decided": 1.0}), past)

    assert [(one.code, one.message, one.holds) for one in report.issues] == [
        (
            "quality_incomplete",
            "the decision date of decided claims is missing in 100%, so that nothing of these is counted",
            False,
        )
    ]


def test_a_late_feed_is_said_and_holds_nothing():
    report = assess(like_usual(), PAST, days_since_last=30, usual_days=[7, 7, 8, 6])

    assert [(one.code, one.holds) for one in report.issues] == [("quality_late", False)]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_without_enough_past_only_what_is_wrong_by_itself_is_said(count):
    odd = like_usual(missing={"reason": 0.9}, payers={"OTHER": 10}, claims=10, rejected=90)

    report = assess(odd, [USUAL] * count)

    assert (report.holds, report.compared) == (False, 0)
    assert [one.code for one in report.issues] == ["quality_incomplete", "quality_invalid"]


def test_a_tenant_whose_files_always_differ_is_not_held():
    past = [
        like_usual(claims=1_000, payers={"A": 1_000}),
        like_usual(claims=100, payers={"B": 100}),
        like_usual(claims=9_000, payers={"C": 9_000}),
        like_usual(claims=300, payers={"A": 100, "B": 200}),
    ]

    assert not assess(like_usual(claims=150, payers={"C": 150}), past).holds


@given(
    st.lists(st.integers(900, 1_100), min_size=3, max_size=12),
    st.integers(900, 1_100),
    st.floats(0, 0.02),
)
def test_ordinary_variation_is_never_unusual(volumes, claims, rejected):
    past = [like_usual(claims=one) for one in volumes]

    report = assess(like_usual(claims=claims, rejected=int(rejected * claims)), past)

    assert report.issues == ()
