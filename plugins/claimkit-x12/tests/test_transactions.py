from __future__ import annotations

import sys

import pytest

from claimkit.claims.model import ClaimKind
from claimkit_x12.segments import Delimiters
from claimkit_x12.transactions import Collector, Seen, Spoiled, element

KIND = ClaimKind.REMITTANCE


@pytest.fixture
def collector():
    collector = Collector(Delimiters("*", ":", "~"))
    collector.position = 417
    return collector


def adjusted(collector, *segments):
    taken = []
    for segment in segments:
        collector.adjust(taken, segment.split("*"), KIND)
    return taken


def codes(collector):
    return [(one.code, one.position, one.kind) for one in collector.notices]


def test_an_element_that_is_not_there_is_blank():
    assert [element(["CLP", "PCN-7731"], at) for at in range(3)] == ["CLP", "PCN-7731", ""]


def test_seen_counts_how_often_a_key_came_before():
    seen = Seen()

    assert [seen.again(key) for key in ("era", "claim", "era", "era")] == [0, 0, 1, 2]


def test_seen_forgets_the_oldest_and_stays_small():
    seen = Seen(remembered=100)
    for number in range(10_000):
        seen.again(number)

    assert sys.getsizeof(seen._times) + sys.getsizeof(seen._times_before) < 20_000
    assert seen.again(9_999) == 1
    assert seen.again(9_899) == 1
    assert seen.again(0) == 0


def test_an_amount_that_a_claim_needs(collector):
    segment = ["CLP", "PCN-7731", "1", "320.00", "", " 12.5 "]
    amounts = [collector.amount(segment, at, KIND) for at in (3, 4, 5, 6)]

    assert amounts == [32_000, 0, 1_250, 0]
    assert codes(collector) == []


@pytest.mark.parametrize("raw", ["NaN", "1e5", "Infinity", "12,50", "free"])
def test_an_amount_that_is_none_spoils_the_claim(collector, raw):
    with pytest.raises(Spoiled) as spoiled:
        collector.amount(["CLP", "PCN-7731", "1", raw], 3, KIND)

    told = spoiled.value
    assert (told.code, told.where, told.value) == ("money_invalid", "CLP03", raw)
    assert told.message == "an amount is not a plain decimal number"
    assert told.remedy.startswith("Correct the amount in the file")


def test_more_than_two_decimals_are_kept_rounded_and_told(collector):
    assert collector.amount(["SVC", "HC:99213", "100.125"], 2, KIND) == 10_012
    assert codes(collector) == [("money_precision", 417, KIND)]
    assert collector.notices[0].message == "SVC02 has more than two decimals"


def test_an_amount_that_a_claim_can_do_without(collector):
    segment = ["AMT", "B6", "80.25", "NaN", ""]
    amounts = [collector.optional_amount(segment, at, KIND) for at in (2, 3, 4, 5)]

    assert amounts == [8_025, None, None, None]
    assert codes(collector) == [("money_invalid", 417, KIND)]
    assert collector.notices[0].message == "AMT03 is not an amount"


def test_an_optional_amount_may_have_more_decimals_too(collector):
    assert collector.optional_amount(["AMT", "B6", "80.255"], 2, KIND) == 8_026
    assert codes(collector) == [("money_precision", 417, KIND)]


def test_an_amount_behind_the_end_of_the_file_is_not_zero(collector):
    collector.is_cut = True
    with pytest.raises(Spoiled) as spoiled:
        collector.amount(["CLP", "PCN-7731", "1", "320.00"], 4, KIND)

    assert (spoiled.value.code, spoiled.value.where) == ("claim_truncated", "CLP04")


@pytest.mark.parametrize("raw", ["20260230", "99991231", "soon"])
def test_a_date_that_is_none_is_left_out_and_told(collector, raw):
    assert collector.day(["DTM", "472", raw], 2, KIND) is None
    assert codes(collector) == [("date_invalid", 417, KIND)]


def test_a_date_that_is_not_there_is_not_told(collector):
    assert collector.day(["DTM", "472"], 2, KIND) is None
    assert collector.day(["DTM", "472", ""], 2, KIND) is None
    assert codes(collector) == []


def test_up_to_six_adjustments_stand_in_a_segment(collector):
    taken = adjusted(collector, "CAS*CO*45*10*1*97*20**16*30*2*50*40**29*50**18*60*3*253*70")

    assert [(one.group, one.reason, one.amount, one.quantity) for one in taken] == [
        ("CO", "45", 1_000, 1),
        ("CO", "97", 2_000, None),
        ("CO", "16", 3_000, 2),
        ("CO", "50", 4_000, None),
        ("CO", "29", 5_000, None),
        ("CO", "18", 6_000, 3),
    ]
    assert codes(collector) == []


def test_a_gap_between_adjustments_is_passed_over(collector):
    taken = adjusted(collector, "CAS*PR*1*25.5*****3*10")

    assert [(one.reason, one.amount) for one in taken] == [("1", 2_550), ("3", 1_000)]


def test_an_adjustment_without_an_amount_is_left_out_and_told(collector):
    taken = adjusted(collector, "CAS*PR*1**2*2*20", "CAS*PR*3")

    assert [(one.reason, one.amount) for one in taken] == [("2", 2_000)]
    assert codes(collector) == [("adjustment_without_amount", 417, KIND)] * 2


def test_an_adjustment_of_no_number_is_left_out_and_told(collector):
    taken = adjusted(collector, "CAS*reason_group*code*amount", "CAS")

    assert taken == []
    assert codes(collector) == [("money_invalid", 417, KIND)]


def test_a_rejected_claim_says_where_why_and_what_to_do(collector):
    spoiled = Spoiled("money_invalid", "what happened", "what to do", "CLP03", "SAMPLE 12,50")
    collector.reject(spoiled, KIND, ["CLP", "PCN-7731", "1"])
    (problem,) = collector.problems

    assert (problem.code, problem.message, problem.remedy) == (
        *("money_invalid", "what happened", "what to do"),
    )
    assert (problem.position, problem.kind, problem.field_name) == (417, KIND, "CLP03")
    assert problem.value == "[removed] 12,50"
    assert problem.raw == ("CLP", "PCN-7731", "1")
    assert "PCN-7731" not in repr(problem)
