from __future__ import annotations

import datetime as dt
import itertools
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.claims import standing
from claimkit.claims.ledger import (
    claim_key,
    events_of,
    facts_of,
    fold,
    in_order,
    merge,
    statements_in,
)
from claimkit.claims.model import Adjustment, ClaimKind, EventKind, Outcome
from claimkit.testing.factories import make_claim, make_line, make_submission
from claimkit.testing.strategies import claims
from claimkit.types import day_of

KNOWN_ON = dt.date(2026, 4, 1)
PAID = {"outcome": Outcome.PAID, "status": "1"}
DENIED = {
    "outcome": Outcome.DENIED,
    "status": "4",
    "paid": 0,
    "allowed": 0,
    "patient_responsibility": 0,
    "category": "authorization_referral",
    "reason": "CO-197",
}
DUPLICATE = {**DENIED, "category": "duplicate", "reason": "OA-18"}


def on(month, day):
    return {"decided_on": dt.date(2026, month, day), "paid_on": dt.date(2026, month, day)}


def reversal(of=None, **overrides):
    """The 835 reversal of a claim: every amount negated, status 22."""
    of = of or make_claim()
    fields = {
        "charge": -of.charge,
        "paid": -of.paid,
        "allowed": None,
        "patient_responsibility": -of.patient_responsibility,
        "status": "22",
        "outcome": Outcome.REVERSED,
        "category": "",
        "reason": "",
        **on(3, 10),
    }
    return replace(of, **{**fields, **overrides})


def row(**overrides):
    """A row of a CSV export with one line, as its reader makes it."""
    claim = make_claim(
        **{
            "kind": ClaimKind.CSV,
            "status": "paid",
            "payment_reference": "",
            "received_on": None,
            **overrides,
        }
    )
    if "lines" not in overrides:
        claim.lines = [
            make_line(
                procedure_code=claim.procedure_code,
                charge=claim.charge,
                allowed=claim.allowed,
                paid=claim.paid,
                position=claim.position,
            )
        ]
    return claim


def told(*claims, upload="upl_1", known_on=KNOWN_ON):
    return [
        event for claim in claims for event in events_of(claim, upload=upload, known_on=known_on)
    ]


def position_of(*claims):
    return fold(told(*claims))


def keys(*claims):
    return [event.event_key for event in told(*claims)]


# -- who is who -------------------------------------------------------------------------------


def test_claim_key_folds_case_blanks_and_punctuation_and_keeps_leading_zeros():
    assert claim_key("ab-00 12") == claim_key("AB0012") == claim_key(" ab.0012 ")
    assert claim_key("0012") != claim_key("12")
    assert -(2**63) <= claim_key("AB0012") < 2**63


def test_claim_key_of_mere_punctuation_is_not_that_of_nothing():
    assert claim_key("---") != claim_key("") == claim_key("  ")


def test_a_remittance_is_the_same_statement_in_every_file_that_carries_it():
    one = make_claim(position=5, lines=[make_line(position=9)])
    split = make_claim(position=88, lines=[make_line(position=99)])

    (event,) = told(one)
    (again,) = told(split, upload="upl_2", known_on=KNOWN_ON + dt.timedelta(days=3))

    assert (again.event_key, again.content) == (event.event_key, event.content)


@pytest.mark.parametrize(
    "other",
    [
        {"patient_control_number": "ZORGLUB9"},
        {"payer_claim_control_number": "ICN99001"},
        {"status": "4"},
        {"payment_reference": "EFT000732"},
        {"decided_on": dt.date(2026, 2, 18)},
        {"charge": 32_001},
        {"paid": 18_501},
        {"patient_responsibility": 1},
        {"ordinal": 1},
    ],
)
def test_another_remittance_is_another_statement(other):
    assert keys(make_claim()) != keys(make_claim(**other))


def test_a_new_payer_mapping_corrects_a_statement_and_does_not_double_it():
    (event,) = told(make_claim(payer="MERIDIAN OF OHIO"))
    (mapped,) = told(make_claim(payer="MERIDIAN"))

    assert mapped.event_key == event.event_key
    assert mapped.content != event.content


def test_a_remittance_without_payment_reference_is_told_apart_by_its_payer():
    one = make_claim(payment_reference="", payer_id="XV:60054")
    other = make_claim(payment_reference="", payer_id="XV:00621")

    assert keys(one) != keys(other)


@pytest.mark.parametrize(
    "other",
    [
        {"frequency": "7"},
        {"original_reference": "OLD000731"},
        {"submitted_on": dt.date(2026, 1, 30)},
        {"payer_sequence": "S"},
        {"payer_id": "XV:00621"},
    ],
)
def test_another_submission_is_another_statement(other):
    assert keys(make_submission()) != keys(make_submission(**other))


def test_lines_of_remittances_and_submissions_count_as_content():
    (event,) = told(make_claim(lines=[make_line()]))
    (other,) = told(make_claim(lines=[make_line(adjustments=[Adjustment("CO", "45", 1)])]))

    assert other.event_key == event.event_key
    assert other.content != event.content


def test_an_export_is_the_same_in_any_order_and_grouping():
    visit = make_line(number="1", procedure_code="99214", charge=20_000, paid=11_000, allowed=None)
    draw = make_line(number="2", procedure_code="36415", charge=12_000, paid=7_500, allowed=None)
    again = make_line(number="3", procedure_code="36415", charge=12_000, paid=7_500, allowed=None)
    whole = {"allowed": None, "patient_responsibility": 0, "kind": ClaimKind.CSV}
    in_file_order = make_claim(**whole, lines=[visit, draw, again], charge=44_000, paid=26_000)
    sorted_anew = make_claim(
        **whole,
        lines=[
            replace(draw, number="1", position=4),
            replace(visit, number="2", position=7),
            replace(again, number="3", position=8),
        ],
        charge=44_000,
        paid=26_000,
    )
    row_by_row = [
        make_claim(**whole, lines=[visit], charge=20_000, paid=11_000),
        make_claim(**whole, lines=[draw], charge=12_000, paid=7_500),
    ]

    assert len(set(keys(in_file_order))) == 3
    assert set(keys(sorted_anew)) == set(keys(in_file_order))
    assert {e.content for e in told(sorted_anew)} == {e.content for e in told(in_file_order)}
    assert set(keys(*row_by_row)) <= set(keys(in_file_order))


def test_what_the_lines_of_an_export_leave_over_goes_to_the_largest():
    small = make_line(number="1", procedure_code="36415", charge=2_000, allowed=None, paid=1_000)
    large = make_line(
        number="2",
        procedure_code="99214",
        charge=30_000,
        allowed=None,
        paid=10_000,
        adjustments=[Adjustment("PR", "3", 500), Adjustment("CO", "45", 9_000)],
    )
    claim = row(
        lines=[small, large],
        charge=33_000,
        paid=12_500,
        allowed=21_000,
        patient_responsibility=2_500,
    )

    events = told(claim)

    assert [(e.procedure_code, e.charge, e.paid) for e in events] == [
        ("36415", 2_000, 1_000),
        ("99214", 31_000, 11_500),
    ]
    assert [e.allowed for e in events] == [0, 21_000]
    assert [e.patient_responsibility for e in events] == [0, 2_500]
    assert [e.procedure_group for e in events] == ["", "evaluation_management"]
    assert len({e.decision_key for e in events}) == 1


def test_lines_of_an_export_keep_their_own_allowed_amounts_where_the_record_has_none():
    lines = [make_line(procedure_code=code, allowed=9_000) for code in ("99214", "36415")]

    events = told(row(lines=lines, allowed=None))

    assert [e.allowed for e in events] == [9_000, 9_000]


def test_a_claim_row_without_lines_is_one_statement():
    (event,) = told(row(lines=[], paid=12_300))

    assert (event.paid, event.procedure_code, event.position) == (12_300, "99214", 1)


@pytest.mark.parametrize("sign", [1, -1])
def test_take_backs_of_an_export_are_negative_however_they_are_written(sign):
    back = {"outcome": Outcome.REVERSED, "status": "reversed", "charge": sign * 32_000}

    (event,) = told(row(**back, paid=sign * 18_500, allowed=None, patient_responsibility=0))

    assert (event.kind, event.charge, event.paid) == (EventKind.REVERSED, -32_000, -18_500)


@pytest.mark.parametrize(
    ("claim", "kind"),
    [
        (make_submission(), EventKind.SUBMITTED),
        (make_submission(frequency="8"), EventKind.VOIDED),
        (make_submission(kind=ClaimKind.INSTITUTIONAL, outcome=Outcome.PAID), EventKind.SUBMITTED),
        (make_claim(), EventKind.DECIDED),
        (make_claim(outcome=Outcome.ZERO_PAID), EventKind.DECIDED),
        (make_claim(outcome=Outcome.OTHER, status="25"), EventKind.NOTED),
        (make_claim(outcome=Outcome.PENDING, status="4"), EventKind.NOTED),
        (make_claim(outcome=Outcome.OTHER, status="22"), EventKind.REVERSED),
        (make_claim(outcome=Outcome.PENDING, kind=ClaimKind.CSV), EventKind.SUBMITTED),
        (make_claim(outcome=Outcome.PENDING, kind=ClaimKind.FHIR), EventKind.SUBMITTED),
        (row(outcome=Outcome.PENDING, frequency="8"), EventKind.VOIDED),
        (row(outcome=Outcome.OTHER, status="rejected"), EventKind.NOTED),
    ],
)
def test_what_an_event_does_follows_from_source_status_and_outcome(claim, kind):
    assert [event.kind for event in told(claim)] == [kind]


# -- the fold, whatever the order -------------------------------------------------------------

_stories = st.lists(claims(), min_size=1, max_size=8).map(
    lambda made: [replace(claim, patient_control_number="PCN-000417") for claim in made]
)


@pytest.mark.slow
@given(story=_stories, seed=st.randoms(use_true_random=False))
def test_fold_does_not_mind_order_or_repetition(story: list, seed: random.Random):
    events = told(*story)
    shuffled = [*events, *seed.choices(events, k=3)]
    seed.shuffle(shuffled)

    assert fold(shuffled) == fold(events)


@given(story=_stories)
def test_fold_keeps_the_books(story: list):
    events = {event.event_key: event for event in reversed(told(*story))}.values()
    position = fold(events)
    moves = [e for e in events if e.kind in (EventKind.DECIDED, EventKind.REVERSED)]

    if all(e.source is ClaimKind.REMITTANCE for e in moves):
        assert position.paid == sum(e.paid for e in moves)
        assert position.reversals == sum(e.kind is EventKind.REVERSED for e in moves)
    assert position.charge >= 0
    assert position.has_decision == bool(moves)
    assert position.lag_days is None or position.lag_days >= 0
    assert (position.first_outcome is Outcome.PENDING) <= (position.first_decided_on is None)
    assert (position.outcome is Outcome.PENDING) <= (not moves)


@pytest.mark.slow
@given(story=_stories, cut=st.integers(0, 8))
def test_merge_in_two_batches_gives_what_one_batch_gives(story: list, cut: int):
    upload = {"upload": "upl_1", "known_on": KNOWN_ON}
    whole = merge(statements_in(story, **upload), {}, {})
    first = merge(statements_in(story[:cut], **upload), {}, {})
    key = claim_key("PCN-000417")
    second = merge(
        statements_in(story[cut:], **upload),
        {key: first.events},
        {one.claim_key: one for one in first.positions},
    )

    ((expected,), last) = whole.positions, [*first.positions, *second.positions][-1]
    # Where the same statement stood in two files, the first is kept.
    assert replace(last, upload="", position=0) == replace(expected, upload="", position=0)


@given(claim=claims())
def test_a_single_statement_is_folded_like_several(claim):
    """The short way for claims that were told once is the long way's result."""
    for event in told(replace(claim, lines=claim.lines[:1])):
        assert fold([event]) == standing._together([event])


def test_fold_of_nothing_is_refused():
    with pytest.raises(ValueError, match="without events"):
        fold([])


# -- lives of claims --------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_submission_and_decision_join_in_either_order(order):
    events = told(make_submission(), make_claim(), make_claim(position=7))

    position = fold([events[n] for n in order])

    assert (position.has_submission, position.has_decision) == (True, True)
    assert position.submitted_on == dt.date(2026, 1, 12)
    assert position.first_decided_on == position.decided_on == dt.date(2026, 2, 17)
    assert position.lag_days == 36
    assert (position.outcome, position.paid, position.first_pass) == (Outcome.PAID, 18_500, True)


def test_a_submission_alone_is_pending():
    position = position_of(make_submission())

    assert (position.outcome, position.first_outcome) == (Outcome.PENDING, Outcome.PENDING)
    assert (position.charge, position.allowed, position.paid) == (32_000, None, 0)
    assert (position.has_submission, position.has_decision) == (True, False)
    assert position.lag_days is None


def test_without_a_submission_the_payers_receipt_counts():
    position = position_of(make_claim())

    assert (position.submitted_on, position.lag_days) == (dt.date(2026, 1, 20), 28)
    assert position.has_submission is False


def test_a_decision_before_the_submission_has_no_lag():
    assert position_of(make_submission(), make_claim(**on(1, 2))).lag_days is None


def test_a_decision_without_any_date_has_no_day():
    undated = make_claim(decided_on=None, paid_on=None)

    position = position_of(undated)

    assert (position.first_outcome, position.first_decided_on) == (Outcome.PAID, None)


def test_a_pending_row_becomes_a_decision_and_keeps_its_submission():
    sent = {"submitted_on": dt.date(2026, 1, 12)}
    pending = row(outcome=Outcome.PENDING, status="pending", paid=0, allowed=None, **sent)
    pending.decided_on = pending.paid_on = None

    position = position_of(pending, row(**sent, **DENIED))

    assert (position.outcome, position.first_decided_on) == (Outcome.DENIED, dt.date(2026, 2, 17))
    assert (position.charge, position.lag_days) == (32_000, 36)


def test_the_later_of_two_versions_counts():
    (old,) = told(row(paid=10_000))
    (new,) = told(row(paid=12_345), known_on=KNOWN_ON + dt.timedelta(days=1))

    assert fold([old, new]).paid == fold([new, old]).paid == 12_345


@pytest.mark.parametrize("number", ["ICN88123", "ICN99001"])
def test_paid_reversed_corrected_nets_out_with_and_without_a_new_number(number):
    """The correction has the reversal's date, and often the old claim number."""
    first = make_claim()
    corrected = make_claim(
        paid=20_000, allowed=22_500, payer_claim_control_number=number, position=3, **on(3, 10)
    )

    position = position_of(first, reversal(first, position=2), corrected)

    assert (position.paid, position.reversals) == (20_000, 1)
    assert (position.outcome, position.allowed) == (Outcome.PAID, 22_500)
    assert position.patient_responsibility == 2_500
    assert (position.first_decided_on, position.decided_on) == (
        dt.date(2026, 2, 17),
        dt.date(2026, 3, 10),
    )
    assert position.payer_claim_control_number == number
    assert position.first_pass is True


def test_a_denial_that_is_overturned_stays_the_first_decision():
    denied = make_claim(**DENIED)
    paid = make_claim(position=3, **on(3, 10))

    position = position_of(denied, reversal(denied, position=2), paid)

    assert (position.first_outcome, position.first_reason) == (Outcome.DENIED, "CO-197")
    assert (position.outcome, position.category, position.reason) == (Outcome.PAID, "", "")
    assert (position.paid, facts_of(position).outcome) == (18_500, "denied")


def test_a_reversal_takes_back_the_earlier_of_two_equal_decisions():
    """Denied, reversed, denied for another reason: the amounts are all the same."""
    first = make_claim(**DENIED)
    second = make_claim(**{**DENIED, "reason": "CO-16"}, position=3, **on(3, 10))

    position = position_of(first, reversal(first, position=2), second)

    assert (position.first_reason, position.reason) == ("CO-197", "CO-16")


def test_a_reversal_within_one_file_leaves_the_correction_standing():
    first = make_claim(position=1)
    same_day = make_claim(position=3, ordinal=1, remark="N519")

    position = position_of(first, reversal(first, position=2, **on(2, 17)), same_day)

    assert (position.outcome, position.paid, position.remark) == (Outcome.PAID, 18_500, "N519")


def test_several_rounds_of_reversal_leave_the_last_decision():
    rounds = [make_claim()]
    for month, paid in ((3, 17_000), (4, 16_000)):
        rounds += [
            reversal(rounds[-1], position=month * 10, **on(month, 10)),
            make_claim(paid=paid, position=month * 10 + 1, **on(month, 10)),
        ]

    position = position_of(*rounds)

    assert (position.paid, position.reversals) == (16_000, 2)
    assert (position.outcome, position.decided_on) == (Outcome.PAID, dt.date(2026, 4, 10))
    assert position.first_decided_on == dt.date(2026, 2, 17)


def test_a_decision_that_is_taken_back_and_not_replaced_is_reversed():
    first = make_claim()

    position = position_of(first, reversal(first))

    assert (position.outcome, position.first_outcome) == (Outcome.REVERSED, Outcome.PAID)
    assert (position.paid, position.patient_responsibility) == (0, 0)
    assert (position.charge, position.allowed) == (32_000, 21_000)
    assert position.decided_on == dt.date(2026, 3, 10)


def test_a_reversal_of_what_was_never_seen_is_money_and_no_first_decision():
    position = position_of(reversal())

    assert (position.paid, position.charge, position.reversals) == (-18_500, 32_000, 1)
    assert (position.outcome, position.first_outcome) == (Outcome.REVERSED, Outcome.REVERSED)
    assert (position.first_decided_on, position.first_pass) == (None, False)
    assert position.has_decision is True


def test_a_correction_of_what_was_never_seen_is_rework_until_the_original_arrives():
    original = make_claim(payer_claim_control_number="OLD", paid=8_000)
    corrected = make_claim(payer_claim_control_number="NEW", paid=9_450, position=3, **on(3, 10))
    parts = [reversal(original, position=2), corrected]

    without, complete = position_of(*parts), position_of(*parts, original)

    assert (without.outcome, without.paid, without.first_pass) == (Outcome.PAID, 1_450, False)
    assert (complete.outcome, complete.paid, complete.first_pass) == (Outcome.PAID, 9_450, True)
    assert complete.first_decided_on == dt.date(2026, 2, 17)


def test_a_reversal_does_not_take_back_what_came_later():
    later = make_claim(**on(3, 20))

    position = position_of(reversal(**on(3, 10)), later)

    assert (position.outcome, position.first_pass) == (Outcome.PAID, False)


def test_a_reversal_finds_its_decision_by_number_under_another_payer_name():
    first = make_claim(payer="MERIDIAN")

    position = position_of(first, reversal(first, payer="MERIDIAN OF OHIO", paid=-18_499))

    assert (position.outcome, position.paid) == (Outcome.REVERSED, 1)


def test_a_reversal_leaves_other_payers_alone():
    other = make_claim(payer="BLUE LAKE MUTUAL", payer_claim_control_number="BL1")

    position = position_of(other, reversal())

    assert position.outcome is Outcome.PAID


def test_a_secondary_payer_adds_money_and_keeps_the_first_payers_decision():
    primary = make_claim(**DENIED | {"patient_responsibility": 2_500})
    secondary = make_claim(
        payer="HARBORVIEW",
        payer_id="XV:1",
        payer_claim_control_number="HV1",
        payment_reference="EFT9",
        status="2",
        paid=4_120,
        patient_responsibility=300,
        **on(3, 5),
    )

    for order in ([primary, secondary], [secondary, primary]):
        position = position_of(*order)

        assert (position.payer, position.outcome) == ("MERIDIAN OF OHIO", Outcome.DENIED)
        assert position.first_decided_on == dt.date(2026, 2, 17)
        assert (position.paid, position.charge) == (4_120, 32_000)
        assert position.patient_responsibility == 300


def test_a_secondary_payer_alone_is_the_payer_of_the_claim():
    position = position_of(make_claim(status="2", payer="HARBORVIEW", paid=4_120))

    assert (position.payer, position.outcome, position.paid) == ("HARBORVIEW", Outcome.PAID, 4_120)


def test_a_secondary_denial_that_leaves_nothing_does_not_clear_what_the_patient_owes():
    secondary = make_claim(payer="HARBORVIEW", payer_id="XV:1", **DENIED, **on(3, 5))

    assert position_of(make_claim(), secondary).patient_responsibility == 2_500


def test_a_payer_side_duplicate_is_neither_first_nor_current():
    duplicates = [
        make_claim(**DUPLICATE, payer_claim_control_number=f"DUP-{n}", position=n, **on(2, 10 + n))
        for n in (2, 3)
    ]

    position = position_of(*duplicates, make_claim())
    alone = position_of(*duplicates)

    assert (position.outcome, position.first_outcome) == (Outcome.PAID, Outcome.PAID)
    assert (position.paid, position.patient_responsibility) == (18_500, 2_500)
    assert position.first_pass is True
    assert (alone.outcome, alone.category, alone.first_pass) == (
        Outcome.DENIED,
        "duplicate",
        False,
    )
    assert alone.patient_responsibility == 0


@pytest.mark.parametrize(
    ("frequency", "first_pass"), [("1", True), ("", True), ("7", False), ("8", False)]
)
def test_replacements_and_voids_are_no_first_pass(frequency, first_pass):
    assert position_of(make_claim(frequency=frequency)).first_pass is first_pass
    assert position_of(make_submission(frequency=frequency)).first_pass is first_pass


def test_a_decision_without_frequency_has_that_of_what_was_sent_by_then():
    original = make_submission()
    replacement = make_submission(
        frequency="7", original_reference="ICN88123", submitted_on=dt.date(2026, 3, 1)
    )
    early = make_claim(frequency="")
    late = make_claim(frequency="", **on(3, 20))

    assert position_of(original, replacement, early).first_pass is True
    assert position_of(replacement, late).first_pass is False
    assert position_of(original, replacement).first_pass is True
    assert position_of(original, replacement).submitted_on == dt.date(2026, 1, 12)


def test_a_replacement_supersedes_the_decision_and_not_the_first_one():
    denied = make_claim(**DENIED)
    replacement = make_submission(frequency="7", submitted_on=dt.date(2026, 3, 1))
    paid = make_claim(frequency="7", payer_claim_control_number="ICN99001", **on(3, 20))

    position = position_of(make_submission(), denied, replacement, paid)

    assert (position.first_outcome, position.outcome) == (Outcome.DENIED, Outcome.PAID)
    assert (position.first_pass, position.frequency, position.lag_days) == (True, "7", 36)


def test_a_void_is_open_until_the_payer_takes_the_decision_back():
    void = make_submission(
        frequency="8", original_reference="ICN88123", submitted_on=dt.date(2026, 3, 1)
    )
    paid = make_claim()

    waiting = position_of(make_submission(), paid, void)
    done = position_of(make_submission(), paid, void, reversal(paid, frequency="8"))
    alone = position_of(void)
    unseen = position_of(void, reversal(frequency="8"))

    assert (waiting.outcome, waiting.paid) == (Outcome.OTHER, 18_500)
    assert (done.outcome, done.paid, done.first_pass) == (Outcome.REVERSED, 0, True)
    assert (alone.outcome, alone.first_outcome) == (Outcome.OTHER, Outcome.OTHER)
    assert (unseen.outcome, unseen.has_submission, unseen.has_decision) == (
        Outcome.REVERSED,
        True,
        True,
    )


def test_a_void_of_what_was_already_reversed_is_reversed():
    void = make_submission(frequency="8", submitted_on=dt.date(2026, 3, 15))
    first = make_claim()
    corrected = make_claim(paid=20_000, position=3, **on(3, 10))

    position = position_of(first, reversal(first, position=2), corrected, void)

    assert position.outcome is Outcome.REVERSED


def test_a_decision_after_the_void_stands():
    void = make_submission(frequency="8", submitted_on=dt.date(2026, 2, 1))

    assert position_of(void, make_claim()).outcome is Outcome.PAID


@pytest.mark.parametrize("status", ["23", "25"])
def test_what_is_no_decision_leaves_the_claim_undecided(status):
    noted = make_claim(status=status, outcome=Outcome.OTHER, paid=0, **on(2, 1))

    position = position_of(make_submission(), noted)
    resubmitted = position_of(
        make_submission(), noted, make_submission(submitted_on=dt.date(2026, 2, 20))
    )

    assert (position.outcome, position.has_decision) == (Outcome.OTHER, False)
    assert resubmitted.outcome is Outcome.PENDING
    assert position_of(noted).outcome is Outcome.OTHER


def test_a_pended_remittance_is_pending():
    assert position_of(make_claim(outcome=Outcome.PENDING, paid=0)).outcome is Outcome.PENDING


# -- exports ----------------------------------------------------------------------------------


def test_the_same_decision_in_an_export_and_a_remittance_counts_once():
    posted = row(**on(2, 24), paid=18_000, submitted_on=dt.date(2026, 1, 12))

    position = position_of(posted, make_claim())

    assert (position.paid, position.decided_on) == (18_500, dt.date(2026, 2, 17))
    assert (position.submitted_on, position.has_submission) == (dt.date(2026, 1, 12), True)


def test_the_same_money_counts_once_where_the_payers_names_differ():
    posted = row(payer="MERIDIAN PPO", payer_claim_control_number="", **on(2, 20))

    assert position_of(posted, make_claim()).paid == 18_500


def test_an_undated_row_is_the_remittances_decision():
    assert position_of(row(decided_on=None, paid_on=None), make_claim()).paid == 18_500


def test_a_decision_of_another_month_counts_beside_the_remittance():
    denied = row(**DENIED, **on(1, 20))

    position = position_of(denied, make_claim())

    assert (position.first_outcome, position.outcome) == (Outcome.DENIED, Outcome.PAID)
    assert (position.paid, position.charge) == (18_500, 32_000)


def test_an_exports_denial_days_before_the_payment_is_a_decision_of_its_own():
    position = position_of(row(**DENIED, **on(2, 10)), make_claim())

    assert (position.first_outcome, position.outcome) == (Outcome.DENIED, Outcome.PAID)


def test_another_payers_row_counts_beside_the_remittance():
    other = row(payer="HARBORVIEW", payer_claim_control_number="HV1", paid=4_120, **on(2, 20))

    assert position_of(other, make_claim()).paid == 22_620


def test_a_reversal_in_export_and_remittance_counts_once():
    first = make_claim()
    posted = row(outcome=Outcome.REVERSED, status="reversed", **on(3, 12))

    position = position_of(first, reversal(first), row(), posted)

    assert (position.paid, position.reversals, position.outcome) == (0, 1, Outcome.REVERSED)


def lines_of(*parts):
    """One row per (procedure, charge, fields), as a line-grain export has them."""
    return [
        row(procedure_code=code, charge=charge, position=n, **fields)
        for n, (code, charge, fields) in enumerate(parts, 1)
    ]


def test_lines_of_an_export_are_one_decision():
    rows = lines_of(
        ("36415", 2_000, {**DENIED, "procedure_group": "surgery_cardiovascular"}),
        ("99214", 30_000, {"paid": 12_000, "allowed": 15_000, "patient_responsibility": 3_000}),
    )

    for order in (rows, rows[::-1]):
        position = position_of(*order)

        assert (position.charge, position.allowed, position.paid) == (32_000, 15_000, 12_000)
        assert position.outcome is position.first_outcome is Outcome.PARTIAL
        assert (position.reason, position.procedure_code) == ("CO-197", "99214")
        assert position.procedure_group == "evaluation_management"
        assert position.patient_responsibility == 3_000


@pytest.mark.parametrize(
    ("one", "other", "whole"),
    [
        (Outcome.PAID, Outcome.PAID, Outcome.PAID),
        (Outcome.DENIED, Outcome.DENIED, Outcome.DENIED),
        (Outcome.PAID, Outcome.DENIED, Outcome.PARTIAL),
        (Outcome.ZERO_PAID, Outcome.DENIED, Outcome.PARTIAL),
        (Outcome.PAID, Outcome.PARTIAL, Outcome.PARTIAL),
        (Outcome.PAID, Outcome.ZERO_PAID, Outcome.PAID),
        (Outcome.ZERO_PAID, Outcome.ZERO_PAID, Outcome.ZERO_PAID),
    ],
)
def test_outcomes_of_lines_make_the_outcome_of_the_claim(one, other, whole):
    rows = lines_of(("99214", 30_000, {"outcome": one}), ("36415", 2_000, {"outcome": other}))

    assert position_of(*rows).outcome is whole


def test_an_allowed_amount_is_unknown_where_a_paid_line_does_not_tell_it():
    paid = {"paid": 1_000, "allowed": None}

    assert position_of(*lines_of(("99214", 30_000, {}), ("36415", 2_000, paid))).allowed is None
    assert position_of(*lines_of(("99214", 30_000, paid))).allowed is None


def test_lines_that_are_decided_days_apart_are_parts_of_one_decision():
    rows = lines_of(
        ("99214", 30_000, {"paid": 12_000, "allowed": 15_000, **on(2, 3)}),
        ("36415", 2_000, {**DENIED, **on(2, 17)}),
    )

    position = position_of(*rows)

    assert (position.charge, position.paid) == (32_000, 12_000)
    assert position.first_outcome is position.outcome is Outcome.PARTIAL
    assert (position.first_decided_on, position.decided_on) == (
        dt.date(2026, 2, 3),
        dt.date(2026, 2, 17),
    )


def test_a_line_that_is_decided_anew_takes_the_place_of_its_first_decision():
    rows = lines_of(
        ("99214", 30_000, {"paid": 12_000, "allowed": 15_000, **on(2, 3)}),
        ("36415", 2_000, {**DENIED, **on(2, 3)}),
        ("36415", 2_000, {"paid": 900, "allowed": 900, **on(4, 17)}),
    )

    position = position_of(*rows)

    assert (position.charge, position.paid, position.allowed) == (32_000, 12_900, 15_900)
    assert (position.first_outcome, position.outcome) == (Outcome.PARTIAL, Outcome.PAID)


def test_a_claim_coded_anew_months_later_replaces_the_first():
    rows = lines_of(
        ("99214", 30_000, {**DENIED, **on(2, 3)}),
        ("99213", 21_000, {"paid": 9_000, "allowed": 11_000, **on(4, 17)}),
    )

    position = position_of(*rows)

    assert (position.charge, position.allowed) == (21_000, 11_000)
    assert (position.first_outcome, position.outcome) == (Outcome.DENIED, Outcome.PAID)
    assert position.procedure_code == "99214"


# -- order, merge, facts ----------------------------------------------------------------------


def test_history_is_in_the_order_of_a_claims_life():
    first = make_claim()
    events = told(
        make_claim(position=9, **on(3, 10)), reversal(first, position=8), first, make_submission()
    )

    assert [event.kind for event in in_order(events)] == [
        EventKind.SUBMITTED,
        EventKind.DECIDED,
        EventKind.REVERSED,
        EventKind.DECIDED,
    ]


def changes(story, known=(), positions=(), **said):
    key = claim_key("PCN-000417")
    return merge(
        statements_in(story, **{"upload": "upl_2", "known_on": KNOWN_ON, **said}),
        {key: list(known)},
        {one.claim_key: one for one in positions},
    )


def test_merge_says_nothing_of_what_is_known():
    known = told(make_claim())

    changeset = changes([make_claim(position=7)], known, [fold(known)])

    assert (changeset.events, changeset.positions, changeset.changes) == ([], [], [])
    assert (changeset.added.same, changeset.added.statements_same) == (1, 1)


def test_merge_keeps_the_first_of_two_equal_statements_and_the_last_of_two_versions():
    changeset = changes([row(position=4), row(position=5, paid=7), row(position=6, paid=7)])

    ((event,), (position,)) = changeset.events, changeset.positions
    assert (event.position, event.paid, position.paid) == (5, 7, 7)
    assert changeset.added.statements_same == 2


def test_merge_replaces_a_version_and_says_so():
    known = told(row(paid=10_000))

    changeset = changes([row(paid=12_345)], known, [fold(known)])

    (replaced,) = changeset.replaced
    assert (replaced.event_key, replaced.upload) == (known[0].event_key, "upl_2")
    ((before, after),) = changeset.changes
    assert (before.paid, after.paid) == (10_000, 12_345)


def test_merge_does_not_go_back_to_a_version_that_was_known_earlier():
    known = told(row(paid=12_345))

    earlier = changes(
        [row(paid=10_000)], known, [fold(known)], known_on=KNOWN_ON - dt.timedelta(days=1)
    )

    assert earlier.events == []


def test_merge_tells_facts_only_where_they_differ():
    known = told(make_claim())

    changeset = changes([make_claim(**DUPLICATE, **on(3, 1))], known, [fold(known)])

    assert (len(changeset.positions), changeset.changes) == (1, [])
    assert changeset.added.changed == 1


def test_merge_compares_with_the_stored_position_and_not_with_a_new_fold():
    """The cube holds what was posted, even where a newer version would fold it otherwise."""
    known = told(make_claim())
    posted = replace(fold(known), payer="AS IT WAS POSTED")

    ((before, after),) = changes([make_claim(**DUPLICATE, **on(3, 1))], known, [posted]).changes

    assert (before.payer, after.payer) == ("AS IT WAS POSTED", "MERIDIAN OF OHIO")


def test_facts_are_those_of_the_first_decision_and_the_money_of_now():
    facts = facts_of(position_of(make_submission(), make_claim(**DENIED)))

    assert facts._asdict() == {
        "payer": "MERIDIAN OF OHIO",
        "procedure_group": "evaluation_management",
        "facility": "11",
        "line_of_business": "12",
        "provider": "1999999984",
        "submitted_day": day_of(dt.date(2026, 1, 12)),
        "decided_day": day_of(dt.date(2026, 2, 17)),
        "paid_day": day_of(dt.date(2026, 2, 17)),
        "outcome": "denied",
        "category": "authorization_referral",
        "reason": "CO-197",
        "charge": 32_000,
        "allowed": 0,
        "paid": 0,
        "first_pass": True,
        "authorization": "without number",
        "first_stands": True,
        "procedure_code": "99214",
        "service_day": day_of(dt.date(2026, 1, 5)),
    }
