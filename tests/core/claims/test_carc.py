from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.claims.carc import (
    UNMAPPED,
    UNSPECIFIED,
    CarcTable,
    Category,
    Verdict,
    default_carc_table,
    judge,
)
from claimkit.claims.model import Adjustment, Claim, ClaimKind, Outcome
from claimkit.testing.factories import make_line


def cas(*texts):
    """Return adjustments of ``CO-45 30``."""
    found = []
    for text in texts:
        label, amount = text.split()
        group, _, reason = label.rpartition("-")
        found.append(Adjustment(group, reason, int(amount)))
    return found


def line(charge, paid, *adjustments, remarks=()):
    return make_line(charge=charge, paid=paid, adjustments=cas(*adjustments), remarks=list(remarks))


def claim(charge, paid, *adjustments, status="1", kind=ClaimKind.REMITTANCE, **values):
    return Claim(
        kind=kind,
        position=1,
        patient_control_number="SPIP",
        charge=charge,
        paid=paid,
        status=status,
        adjustments=cas(*adjustments),
        **values,
    )


def outcome_of(*arguments, **values):
    verdict = judge(claim(*arguments, **values))
    return verdict.outcome, verdict.reason, verdict.category, verdict.flags


# -- the table ----------------------------------------------------------------------------------


def test_the_shipped_table_holds_every_published_code_once():
    table = default_carc_table()

    assert len(table) == 407
    assert all(code in table for code in ("1", "45", "197", "P14", "B7", "A1"))
    assert "9999" not in table


@pytest.mark.parametrize(
    ("carc", "name", "denial"),
    [
        ("1", "patient_share", False), ("3", "patient_share", False),
        ("45", "contractual", False), ("253", "contractual", False), ("24", "contractual", False),
        ("23", "prior_payer_impact", False), ("22", "other_payer_cob", True),
        ("197", "authorization_referral", True), ("27", "eligibility", True),
        ("204", "benefit_limit_exclusion", True), ("50", "medical_necessity", True),
        ("16", "missing_info_docs", True), ("29", "timely_filing", True),
        ("18", "duplicate", True), ("97", "bundling", True), ("4", "coding_billing", True),
        ("242", "provider_network", True), ("193", "appeal", True), ("133", "pended", False),
        ("A1", "unspecified_denial", True),
    ],
)  # fmt: skip
def test_a_code_has_its_category(carc, name, denial):
    category = default_carc_table().category(carc)

    assert (category.name, category.denial_when_unpaid) == (name, denial)
    assert category.final is (name != "pended")


def test_an_unknown_code_is_never_guessed():
    category = default_carc_table().category("999")

    assert (category.name, category.denial_when_unpaid) == (UNMAPPED, False)


def test_a_practice_can_move_a_code_without_touching_the_table():
    moved = default_carc_table().with_changes(
        {"16": Category(name="our_paperwork", denial_when_unpaid=False)}
    )

    assert moved.category("16").name == "our_paperwork"
    assert default_carc_table().category("16").name == "missing_info_docs"
    assert judge(claim(100, 0, "CO-16 100"), moved).outcome is Outcome.ZERO_PAID


# -- what became of a remittance ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ((100, 60, "CO-45 30", "PR-2 10"), (Outcome.PAID, "", "", ())),
        ((100, 100), (Outcome.PAID, "", "", ())),
        ((100, 0, "CO-197 100"), (Outcome.DENIED, "CO-197", "authorization_referral", ("status_overruled",))),
        # The group says who bears it, not whether it is a denial.
        ((100, 0, "PR-204 100"), (Outcome.DENIED, "PR-204", "benefit_limit_exclusion", ("status_overruled",))),
        ((100, 0, "OA-18 100"), (Outcome.DENIED, "OA-18", "duplicate", ("status_overruled",))),
        # Contract, patient and other payers first; denials must explain the rest.
        ((100, 0, "CO-45 40", "CO-50 60"), (Outcome.DENIED, "CO-50", "medical_necessity", ("status_overruled",))),
        ((100, 0, "CO-45 40", "PR-1 20", "OA-23 10", "CO-50 30"), (Outcome.DENIED, "CO-50", "medical_necessity", ("status_overruled",))),
        ((100, 0, "CO-45 40", "CO-50 50"), (Outcome.PARTIAL, "CO-50", "medical_necessity", ())),
        # Nothing paid and nothing denied.
        ((100, 0, "PR-1 100"), (Outcome.ZERO_PAID, "", "", ())),
        ((100, 0, "OA-23 100"), (Outcome.ZERO_PAID, "", "", ())),
        ((100, 0, "CO-24 100"), (Outcome.ZERO_PAID, "", "", ())),
        ((100, 0, "CO-45 100"), (Outcome.ZERO_PAID, "", "", ("contractual_whole_charge",))),
        # Paid in part, denied in part.
        ((100, 30, "CO-45 20", "CO-151 50"), (Outcome.PARTIAL, "CO-151", "medical_necessity", ())),
        # Nobody knows the code.
        ((100, 0, "CO-999 100"), (Outcome.ZERO_PAID, "", "", ("carc_unmapped",))),
        # Waiting for something is no decision.
        ((100, 0, "OA-133 100"), (Outcome.PENDING, "", "", ())),
        ((100, 0, "OA-133 50", "CO-16 50"), (Outcome.PARTIAL, "CO-16", "missing_info_docs", ())),
        # No charge, nothing to deny.
        ((0, 0, "CO-16 0"), (Outcome.ZERO_PAID, "", "", ())),
    ],
)  # fmt: skip
def test_money_and_reasons_decide(what, expected):
    assert outcome_of(*what) == expected


@pytest.mark.parametrize(
    ("what", "status", "expected"),
    [
        # Payers use 4 for "we paid nothing".
        ((100, 0, "PR-1 100"), "4", (Outcome.ZERO_PAID, "", "", ("denied_status_overruled",))),
        ((100, 0, "CO-45 40", "PR-3 60"), "4", (Outcome.ZERO_PAID, "", "", ("denied_status_overruled",))),
        ((100, 0, "OA-23 100"), "4", (Outcome.ZERO_PAID, "", "", ("denied_status_overruled",))),
        # No share of anyone else explains it: the word is believed.
        ((100, 0, "CO-45 100"), "4", (Outcome.DENIED, "", UNSPECIFIED, ("contractual_whole_charge",))),
        ((100, 0, "CO-999 100"), "4", (Outcome.DENIED, "CO-999", UNMAPPED, ("carc_unmapped",))),
        ((100, 0, "CO-999 40", "PR-1 60"), "4", (Outcome.ZERO_PAID, "", "", ("carc_unmapped", "denied_status_overruled"))),
        ((100, 0, "CO-197 100"), "4", (Outcome.DENIED, "CO-197", "authorization_referral", ())),
        ((100, 20, "CO-45 80"), "4", (Outcome.PAID, "", "", ("status_overruled",))),
        ((100, 20, "CO-16 80"), "denied", (Outcome.PARTIAL, "CO-16", "missing_info_docs", ("status_overruled",))),
        ((100, 0, "CO-197 100"), "paid", (Outcome.DENIED, "CO-197", "authorization_referral", ("status_overruled",))),
        ((100, 0, "CO-197 100"), "processed", (Outcome.DENIED, "CO-197", "authorization_referral", ())),
        ((100, 40, "CO-45 60"), "partial", (Outcome.PARTIAL, "", UNSPECIFIED, ())),
        ((100, 0, "CO-45 60", "PR-1 40"), "partial", (Outcome.PARTIAL, "", UNSPECIFIED, ())),
        ((-100, -60, "CO-45 -40"), "22", (Outcome.REVERSED, "", "", ())),
        ((100, 60, "CO-45 40"), "reversed", (Outcome.REVERSED, "", "", ())),
        ((100, 0, "CO-16 100"), "23", (Outcome.OTHER, "", "", ())),
        ((100, 50, "CO-45 50"), "25", (Outcome.OTHER, "", "", ())),
        ((100, 0, "CO-16 100"), "rejected", (Outcome.OTHER, "", "", ())),
        ((100, 0, "PR-1 100"), "pending", (Outcome.PENDING, "", "", ())),
        ((100, 0, "CO-16 100"), "pending", (Outcome.DENIED, "CO-16", "missing_info_docs", ())),
    ],
)  # fmt: skip
def test_the_status_counts_only_where_the_money_does_not_speak(what, status, expected):
    assert outcome_of(*what, status=status) == expected


@pytest.mark.parametrize(
    ("status", "paid", "expected"),
    [
        ("1", 60, (Outcome.PAID, "", ())),
        ("4", 60, (Outcome.PAID, "", ("status_overruled",))),
        ("pending", 60, (Outcome.PAID, "", ("status_overruled",))),
        ("partial", 60, (Outcome.PARTIAL, UNSPECIFIED, ())),
        ("4", 0, (Outcome.DENIED, UNSPECIFIED, ())),
        ("denied", 0, (Outcome.DENIED, UNSPECIFIED, ())),
        ("partial", 0, (Outcome.PARTIAL, UNSPECIFIED, ())),
        ("pending", 0, (Outcome.PENDING, "", ())),
        ("1", 0, (Outcome.ZERO_PAID, "", ())),
        ("", 0, (Outcome.ZERO_PAID, "", ())),
    ],
)
def test_without_reasons_the_money_counts_then_the_status(status, paid, expected):
    verdict = judge(claim(100, paid, status=status, remarks=["N130"]))

    assert (verdict.outcome, verdict.category, verdict.flags) == expected
    assert verdict.remark == ("N130" if verdict.category else "")


def test_a_csv_row_without_any_news_is_pending():
    quiet = claim(100, 0, status="", kind=ClaimKind.CSV)
    dated = claim(100, 0, status="", kind=ClaimKind.CSV, decided_on=dt.date(2026, 3, 2))
    paid_on = claim(100, 0, status="", kind=ClaimKind.CSV, paid_on=dt.date(2026, 3, 2))
    processed = claim(100, 0, status="processed", kind=ClaimKind.CSV)

    outcomes = [judge(one).outcome for one in (quiet, dated, paid_on, processed)]
    assert outcomes == [Outcome.PENDING, *[Outcome.ZERO_PAID] * 3]


@pytest.mark.parametrize(
    "kind", [ClaimKind.PROFESSIONAL, ClaimKind.INSTITUTIONAL, ClaimKind.DENTAL]
)
def test_a_submission_is_pending_and_a_void_nothing(kind):
    assert judge(claim(100, 0, "CO-16 100", kind=kind)) == Verdict(Outcome.PENDING)
    assert judge(claim(100, 0, kind=kind, frequency="8")) == Verdict(Outcome.OTHER)


# -- lines --------------------------------------------------------------------------------------


def with_lines(*lines, adjustments=(), paid=None, status="1", remarks=()):
    return judge(
        claim(
            sum(one.charge for one in lines),
            sum(one.paid for one in lines) if paid is None else paid,
            *adjustments,
            status=status,
            lines=list(lines),
            remarks=list(remarks),
        )
    )


def test_a_claim_is_denied_when_every_charged_line_is():
    verdict = with_lines(
        line(100, 0, "CO-197 100", remarks=["N54"]), line(40, 0, "CO-16 40"), line(0, 0)
    )

    assert verdict.outcome is Outcome.DENIED
    assert (verdict.reason, verdict.remark) == ("CO-197", "N54")


def test_a_claim_with_one_denied_line_is_partial():
    verdict = with_lines(line(100, 60, "CO-45 40"), line(50, 0, "PR-96 50"))

    assert (verdict.outcome, verdict.reason) == (Outcome.PARTIAL, "PR-96")
    assert verdict.category == "benefit_limit_exclusion"


def test_a_denied_line_beside_a_deductible_is_partial_though_nothing_was_paid():
    verdict = with_lines(line(100, 0, "PR-1 100"), line(50, 0, "CO-50 50"))

    assert verdict.outcome is Outcome.PARTIAL


def test_units_cut_on_a_paid_line_are_partial():
    assert with_lines(line(100, 50, "CO-222 50")).outcome is Outcome.PARTIAL


def test_a_claim_level_denial_beside_line_level_contract_is_seen_by_the_sums():
    verdict = with_lines(
        line(100, 0, "CO-45 30"), line(50, 0, "CO-45 10"), adjustments=["CO-29 110"]
    )

    assert (verdict.outcome, verdict.reason) == (Outcome.DENIED, "CO-29")


def test_a_claim_level_denial_that_explains_a_part_is_partial():
    verdict = with_lines(line(100, 0, "PR-1 50"), line(50, 0, "PR-1 10"), adjustments=["CO-29 20"])

    assert verdict.outcome is Outcome.PARTIAL


def test_the_reason_is_the_one_with_the_most_denied_money_first_on_a_tie():
    split = with_lines(
        line(100, 0, "CO-16 60", "CO-97 40"), line(50, 0, "CO-97 50", remarks=["N20"])
    )
    tie = with_lines(line(100, 0, "CO-50 50", "CO-16 50"), remarks=["MA130"])

    assert (split.reason, split.category, split.remark) == ("CO-97", "bundling", "N20")
    assert (tie.reason, tie.remark) == ("CO-50", "MA130")


def test_a_remark_of_any_line_is_better_than_none():
    verdict = with_lines(line(100, 0, "CO-16 100"), line(50, 50, remarks=["N77"]))

    assert (verdict.outcome, verdict.remark) == (Outcome.PARTIAL, "N77")


def test_a_reason_without_a_group_is_labeled_by_its_code():
    assert judge(claim(100, 0, "197 100", kind=ClaimKind.CSV)).reason == "197"


_CODES = st.sampled_from(["45", "253", "1", "2", "23", "16", "197", "18", "133", "999"])
_ADJUSTMENTS = st.lists(
    st.builds(
        Adjustment,
        st.sampled_from(["CO", "PR", "OA", ""]),
        _CODES,
        st.sampled_from([-50, 0, 10, 50, 100]),
    ),
    max_size=4,
)
_STATUSES = st.sampled_from(
    ["", "1", "2", "4", "19", "22", "25", "paid", "denied", "partial", "pending"]
)


@given(
    st.sampled_from([0, 50, 100]),
    st.sampled_from([-10, 0, 10, 100]),
    _ADJUSTMENTS,
    _STATUSES,
    st.lists(st.tuples(st.sampled_from([0, 50]), st.sampled_from([0, 20]), _ADJUSTMENTS), max_size=2),
)  # fmt: skip
def test_any_claim_gets_a_verdict_that_agrees_with_itself(charge, paid, reasons, status, lines):
    one = claim(charge, paid, status=status)
    one.adjustments = reasons
    one.lines = [line(c, p) for c, p, _ in lines]
    for each, (_, _, its) in zip(one.lines, lines, strict=True):
        each.adjustments = its
    verdict = judge(one)

    assert (verdict.category != "") == (verdict.outcome in (Outcome.DENIED, Outcome.PARTIAL))
    if verdict.reason:
        code = verdict.reason.rpartition("-")[2]
        category = default_carc_table().category(code)
        assert verdict.category == category.name
        assert category.denial_when_unpaid or category.name == UNMAPPED
    if verdict.outcome is Outcome.DENIED:
        assert paid <= 0
    if verdict.outcome is Outcome.PAID:
        assert paid > 0


def test_the_table_can_be_given_as_a_whole():
    table = CarcTable({"Z9": Category(name="zorglub", denial_when_unpaid=True)})

    assert judge(claim(100, 0, "CO-Z9 100"), table).category == "zorglub"
    assert len(table) == 1
