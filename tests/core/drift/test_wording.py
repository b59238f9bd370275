from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.drift.findings import Signal
from claimkit.drift.wording import (
    category_words,
    date_words,
    day_words,
    group_words,
    money_words,
    reason_words,
    share_words,
    signal_words,
)


@pytest.mark.parametrize(
    ("cents", "words"),
    [
        (0, "$0"), (49, "$0"), (-49, "$0"), (9_949, "$99"), (99_50, "$100"), (87_654, "$880"),
        (1_234_567, "$12,000"), (99_600_00, "$100,000"), (123_456_789_00, "$120,000,000"),
        (-1_234_567, "-$12,000"),
    ],
)  # fmt: skip
def test_money_is_rounded_to_two_digits(cents, words):
    assert money_words(cents) == words


@given(st.integers(-(10**12), 10**12))
def test_rounded_money_is_near_the_truth(cents):
    shown = int(money_words(cents).replace("$", "").replace(",", ""))

    assert abs(shown - cents / 100) <= max(0.5, 0.051 * abs(cents) / 100)


@pytest.mark.parametrize(
    ("days", "words"),
    [(0, "0 days"), (1, "1 day"), (0.96, "1 day"), (2, "2 days"), (12.25, "12.2 days"), (-1.5, "-1.5 days")],
)  # fmt: skip
def test_days_have_their_plural(days, words):
    assert day_words(days) == words


def test_shares_and_dates_are_the_same_in_every_locale():
    assert share_words(0.0804) == "8.0 %"
    assert date_words(dt.date(2026, 3, 3)) == "3 Mar 2026"


@pytest.mark.parametrize("signal", Signal)
def test_every_signal_has_words(signal):
    assert signal_words(signal)[0].islower()


def test_names_become_words():
    assert category_words("other_payer_cob") == "coordination of benefits"
    assert category_words("zorglub_clause") == "zorglub clause"


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ([], "claims"),
        ([""], "ungrouped claims"),
        (["a", "b"], "a and b claims"),
        (["a", "b", "c", "d"], "a, b, c and d claims"),
        (["a", "b", "c", "d", "e", "f"], "a, b, c and 3 more groups of claims"),
    ],
)
def test_groups_are_listed_until_there_are_too_many(groups, words):
    assert group_words(groups) == words


@pytest.mark.parametrize(
    ("shares", "codes", "words"),
    [
        ({}, {"CO-197": 1.0}, ""),
        ({"bundling": 0.49, "eligibility": 0.51}, {}, "mostly eligibility"),
        ({"bundling": 0.5, "eligibility": 0.5}, {"CO-97": 0.29}, "mostly eligibility"),
        ({"bundling": 1.0}, {"CO-97": 0.3, "CO-234": 0.7}, "mostly bundling (CO-234)"),
    ],
)
def test_a_reason_is_named_where_it_stands_out(shares, codes, words):
    assert reason_words(shares, codes) == words
