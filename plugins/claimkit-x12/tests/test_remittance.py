from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from claimkit.claims.model import Adjustment, Claim, ClaimKind, ServiceLine

CLAIM = (
    "CLP*PCN-000417*1*320*185*25*12*ICN88123*11*1",
    "CAS*CO*45*110",
    "NM1*QC*1*SAMPLE*PAT****MI*W000731",
    "NM1*82*1*HEALER*ANN****XX*1888888885",
    "REF*G1*AUTH-7731",
    "REF*F8*ICN77001",
    "MOA***MA01*MA18",
    "DTM*232*20260105",
    "DTM*233*20260107",
    "DTM*050*20260120",
    "AMT*AU*210",
    "SVC*HC:99214:25*320*185**1*HC:99215",
    "DTM*472*20260105",
    "CAS*CO*45*110",
    "CAS*PR*2*25*1",
    "REF*6R*L-1",
    "AMT*B6*210",
    "LQ*HE*N130",
)
SMALL = "CLP*PCN-000418*1*100*80*20*12*ICN88124*11*1"


def test_every_field_has_its_source(read, era):
    claim = read(era(*CLAIM)).claim

    assert claim == Claim(
        kind=ClaimKind.REMITTANCE,
        position=11,
        patient_control_number="PCN-000417",
        payer_claim_control_number="ICN88123",
        original_reference="ICN77001",
        frequency="1",
        payer_name="MERIDIAN HEALTH PLAN OF OHIO",
        payer_id="XV:60054",
        billing_npi="1999999984",
        billing_tin="311234567",
        rendering_npi="1888888885",
        member_id="W000731",
        filing_indicator="12",
        facility="11",
        payer_sequence="P",
        authorization_number="AUTH-7731",
        service_from=dt.date(2026, 1, 5),
        service_to=dt.date(2026, 1, 7),
        received_on=dt.date(2026, 1, 20),
        decided_on=dt.date(2026, 2, 17),
        paid_on=dt.date(2026, 2, 19),
        status="1",
        charge=32_000,
        allowed=21_000,
        paid=18_500,
        patient_responsibility=2_500,
        payment_reference="EFT000731",
        adjustments=[Adjustment("CO", "45", 11_000)],
        remarks=["MA01", "MA18"],
        lines=[
            ServiceLine(
                number="L-1",
                procedure_system="HC",
                procedure_code="99214",
                modifiers=("25",),
                units=Decimal(1),
                service_from=dt.date(2026, 1, 5),
                charge=32_000,
                allowed=21_000,
                paid=18_500,
                billed_procedure="99215",
                adjustments=[
                    Adjustment("CO", "45", 11_000),
                    Adjustment("PR", "2", 2_500, Decimal(1)),
                ],
                remarks=["N130"],
                position=22,
            )
        ],
        flags=["claim_unbalanced"],
    )


def test_the_claim_ends_where_the_next_begins(read, era):
    found = read(era(*CLAIM, SMALL, "REF*G1*AUTH-9", "LX*2", "REF*G1*NOBODY", transfer=265))

    assert [one.authorization_number for one in found.claims] == ["AUTH-7731", "AUTH-9"]
    assert [len(one.lines) for one in found.claims] == [1, 0]
    assert found.codes == []


@pytest.mark.parametrize(
    ("status", "sequence"),
    [("1", "P"), ("2", "S"), ("3", "T"), ("19", "P"), ("20", "S"), ("21", "T"), ("4", ""),
     ("22", ""), ("23", ""), ("25", "")],
)  # fmt: skip
def test_the_status_tells_the_sequence_of_the_payer(read, era, status, sequence):
    claim = read(era(SMALL.replace("*1*100", f"*{status}*100"), transfer=80)).claim

    assert (claim.status, claim.payer_sequence) == (status, sequence)


# -- who paid ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "payer"),
    [
        (("N1*PR*LAKE*XV*60054", "REF*2U*731"), "XV:60054"),
        (("N1*PR*LAKE", "REF*2U*731", "REF*NF*905"), "2U:731"),
        (("N1*PR*LAKE", "REF*EO*MB12"), "EO:MB12"),
        (("TRN*1*EFT1*1512345678", "N1*PR*LAKE", "REF*ZZ*731"), "TIN:1512345678"),
        (("BPR*I*80*C*ACH*CCP*01*9*DA*1*1777777777", "N1*PR*LAKE"), "TIN:1777777777"),
        (("N1*PR*LAKE",), ""),
    ],
)
def test_a_payer_is_known_by_its_best_id(read, era, header, payer):
    claim = read(era(SMALL, header=header)).claim

    assert (claim.payer_name, claim.payer_id) == ("LAKE", payer)


@pytest.mark.parametrize(
    ("header", "npi", "tin"),
    [
        (("N1*PE*RIVERSIDE*XX*1999999984", "REF*TJ*311234567"), "1999999984", "311234567"),
        (("N1*PE*RIVERSIDE*FI*311234567", "REF*PQ*1"), "", "311234567"),
        (("N1*PE*RIVERSIDE",), "", ""),
    ],
)
def test_a_payee_is_known_by_npi_and_tax_number(read, era, header, npi, tin):
    claim = read(era(SMALL, header=header)).claim

    assert (claim.billing_npi, claim.billing_tin) == (npi, tin)


def test_what_follows_the_claims_is_no_header(read, era):
    later = ("N1*PR*SOMEBODY ELSE*XV*1", "TRN*1*OTHER*1", "DTM*405*20250101", SMALL)
    found = read(era(SMALL, *later))

    assert [one.payer_name for one in found.claims] == ["MERIDIAN HEALTH PLAN OF OHIO"] * 2
    assert {one.payment_reference for one in found.claims} == {"EFT000731"}
    assert {one.decided_on for one in found.claims} == {dt.date(2026, 2, 17)}


def test_without_a_day_of_production_a_claim_was_decided_when_it_was_paid(read, era):
    header = ("BPR*I*80*C*ACH************20260219",)
    claim = read(era(SMALL, header=header)).claim

    assert claim.decided_on == claim.paid_on == dt.date(2026, 2, 19)


# -- lines ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("segment", "system", "code", "revenue", "units", "billed"),
    [
        ("SVC*HC:99213*100*80", "HC", "99213", "", None, ""),
        ("SVC*HC:99213*100*80**2", "HC", "99213", "", 2, ""),
        ("SVC*HC:99213*100*80****3", "HC", "99213", "", 3, ""),
        ("SVC*HC:J1100*100*80*0636*0.5", "HC", "J1100", "0636", Decimal("0.5"), ""),
        ("SVC*NU:0120*100*80", "NU", "", "0120", None, ""),
        ("SVC*NU:0120*100*80*0450", "NU", "", "0450", None, ""),
        ("SVC*AD:D0120*100*80", "AD", "D0120", "", None, ""),
        ("SVC*99213*100*80", "", "99213", "", None, ""),
        ("SVC*HC:99213*100*80***HC:99214:25", "HC", "99213", "", None, "99214"),
    ],
)
def test_a_service_is_told_in_several_ways(
    read, era, segment, system, code, revenue, units, billed
):
    (line,) = read(era(SMALL, segment, transfer=80)).claim.lines

    assert (line.procedure_system, line.procedure_code) == (system, code)
    assert (line.revenue_code, line.units, line.billed_procedure) == (revenue, units, billed)
    assert (line.charge, line.paid, line.number) == (10_000, 8_000, "1")


def test_a_period_of_service_has_two_days(read, era):
    days = ("SVC*HC:99213*100*80", "DTM*150*20260105", "DTM*151*20260109")
    (line,) = read(era(SMALL, *days, transfer=80)).claim.lines

    assert (line.service_from, line.service_to) == (dt.date(2026, 1, 5), dt.date(2026, 1, 9))


def test_the_day_of_receipt_may_stand_behind_a_line(read, era):
    claim = read(era(SMALL, "SVC*HC:99213*100*80", "DTM*050*20260120", transfer=80)).claim

    assert claim.received_on == dt.date(2026, 1, 20)


def test_dates_that_nobody_asked_for_are_not_judged(read, era):
    claim = (SMALL, "DTM*036*99991231", "SVC*HC:99213*100*80", "DTM*573*soon")

    assert read(era(*claim, transfer=80)).codes == []


@pytest.mark.parametrize(
    ("segments", "kind"),
    [
        ((SMALL,), ""),
        ((SMALL + "**194",), "I"),
        ((SMALL, "MIA*0"), "I"),
        ((SMALL, "SVC*HC:99213*100*80*0450"), "I"),
        ((SMALL, "SVC*NU:0120*100*80"), "I"),
        ((SMALL, "SVC*HC:99213*100*80"), ""),
    ],
)
def test_an_institutional_claim_is_known_by_drg_revenue_code_or_outcome(read, era, segments, kind):
    assert read(era(*segments, transfer=80)).claim.claim_type == kind


def test_remarks_stand_at_the_claim_and_at_its_lines(read, era):
    inpatient = "MIA*1****MA07" + "*" * 15 + "MA15*N5**N33"
    segments = (SMALL, inpatient, "SVC*HC:99213*100*80", "LQ*HE*N130", "LQ*RX*72", "LQ*ZZ*X")
    claim = read(era(*segments, transfer=80)).claim

    assert claim.remarks == ["MA07", "MA15", "N5", "N33"]
    assert claim.lines[0].remarks == ["N130", "72"]


# -- money ---------------------------------------------------------------------------------


def test_a_claim_that_balances_has_no_flags(read, era):
    claim = (SMALL, "SVC*HC:99213*100*80", "CAS*PR*2*20")

    assert read(era(*claim, transfer=80)).claim.flags == []


def test_a_claim_may_carry_its_adjustments_without_lines(read, era):
    claim = read(era(SMALL, "CAS*PR*2*20", transfer=80)).claim

    assert (claim.flags, claim.adjustments) == ([], [Adjustment("PR", "2", 2_000)])


def test_adjustments_repeated_at_the_claim_are_counted_once(read, era):
    segments = (SMALL, "CAS*PR*2*20", "SVC*HC:99213*100*80", "CAS*PR*2*20")
    claim = read(era(*segments, transfer=80)).claim

    assert claim.flags == ["cas_duplicated"]
    assert claim.adjustments == []
    assert claim.lines[0].adjustments == [Adjustment("PR", "2", 2_000)]


def test_equal_adjustments_at_both_levels_that_balance_are_not_repeated(read, era):
    """Two reductions of $10, one at each level, and $80 of $100 paid."""
    segments = (SMALL, "CAS*CO*253*10", "SVC*HC:99213*100*90", "CAS*PR*2*10")
    claim = read(era(*segments, transfer=80)).claim

    assert claim.flags == []
    assert len(claim.adjustments) == len(claim.lines[0].adjustments) == 1


def test_what_does_not_balance_is_told_and_kept(read, era):
    segments = (SMALL, "SVC*HC:99213*60*50", "CAS*PR*2*5", "SVC*HC:99214*40*30", "CAS*CO*45*10")
    found = read(era(*segments, transfer=80))

    assert found.claim.flags == ["claim_unbalanced", "line_unbalanced"]
    assert found.problems == []


def test_a_line_alone_may_be_out_of_balance(read, era):
    segments = (SMALL, "SVC*HC:99213*60*55", "CAS*PR*2*15", "SVC*HC:99214*40*25", "CAS*CO*45*5")

    assert read(era(*segments, transfer=80)).claim.flags == ["line_unbalanced"]


def test_a_remittance_balances_with_its_provider_adjustments(read, era):
    plb = ("PLB*1999999984*20261231*WO:ICN1*-30.5*FB*10.25*L6*-.75",)
    found = read(era(SMALL, plb=plb, transfer="101"))

    assert found.codes == ["provider_adjustment"] * 3
    assert {one.kind for one in found.notices} == {ClaimKind.REMITTANCE}


def test_a_gap_between_provider_adjustments_is_passed_over(read, era):
    found = read(era(SMALL, plb=("PLB*1999999984*20261231***WO:ICN1*10",), transfer=70))

    assert found.codes == ["provider_adjustment"]


def test_a_remittance_that_does_not_balance_is_told(read, era):
    found = read(era(SMALL, transfer="80.01"))

    (notice,) = found.notices
    assert (notice.code, notice.position) == ("remittance_unbalanced", 12)
    assert notice.message == "the payment is not the sum of its claims less provider adjustments"
    assert len(found.claims) == 1


def test_a_debit_is_money_that_goes_back(read, era):
    reversal = "CLP*PCN-000417*22*-320*-185*-25*12*ICN88123*11*1"
    header = ("BPR*H*185*D*NON",)
    found = read(era(reversal, header=header))

    assert (found.claim.charge, found.claim.paid) == (-32_000, -18_500)
    assert found.codes == []


def test_the_same_statement_again_has_the_next_ordinal(read, era):
    other = SMALL.replace("*80*", "*70*")
    found = read(era(SMALL, SMALL, other, SMALL, transfer=310))

    assert [one.ordinal for one in found.claims] == [0, 1, 0, 2]


# -- what cannot be read -------------------------------------------------------------------


def test_a_claim_without_number_is_rejected(read, era):
    found = read(era("CLP**1*100*80", SMALL, transfer=160))
    (problem,) = found.problems

    assert (problem.code, problem.field_name, problem.position) == ("claim_id_missing", "CLP01", 11)
    assert problem.message == "a claim has no patient control number"
    assert problem.remedy == "Ask the payer for a corrected remittance"
    assert problem.kind is ClaimKind.REMITTANCE
    assert problem.raw == ("CLP", "", "1", "100", "80")
    assert [one.patient_control_number for one in found.claims] == ["PCN-000418"]
    assert found.codes == []


@pytest.mark.parametrize(
    ("segments", "field", "value", "position"),
    [
        (("CLP*PCN-1*1*NaN*80",), "CLP03", "NaN", 11),
        (("CLP*PCN-1*1*100*1e5",), "CLP04", "1e5", 11),
        (("CLP*PCN-1*1*100*Infinity",), "CLP04", "Infinity", 11),
        (("CLP*PCN-1*1*100*80", "SVC*HC:99213*12,50*80"), "SVC02", "12,50", 12),
        (("CLP*PCN-1*1*100*80", "SVC*HC:99213*100*$80"), "SVC03", "$80", 12),
    ],
)
def test_one_broken_claim_never_loses_the_file(read, era, segments, field, value, position):
    broken = (*segments, "REF*G1*ITS OWN", "CAS*CO*45*20", "SVC*HC:99214*x*y", "DTM*472*20260105")
    found = read(era(*CLAIM, *broken, SMALL, "CAS*PR*2*20"))
    (problem,) = found.problems
    before, after = found.claims

    assert (problem.code, problem.field_name, problem.value) == ("money_invalid", field, value)
    assert problem.position == position + len(CLAIM)
    assert problem.message == "an amount is not a plain decimal number"
    assert problem.remedy == "Correct the amount in the file, or ask the sender for a new one"
    assert before == read(era(*CLAIM)).claim
    assert (after.patient_control_number, after.authorization_number) == ("PCN-000418", "")
    assert (after.flags, after.lines) == ([], [])


@pytest.mark.parametrize("broken", ["CLP*PCN-1*1*100*x", "CLP*PCN-1*1*x*80"])
def test_a_remittance_with_an_unread_payment_is_not_called_unbalanced(read, era, broken):
    assert read(era(broken, SMALL, transfer=731)).codes == []


@pytest.mark.parametrize(
    "claim",
    [
        ("CLP*PCN-1*1*100*80*x",),
        ("CLP*PCN-1*1*100*80", "AMT*AU*x"),
        ("CLP*PCN-1*1*100*80", "SVC*HC:99213*100*80", "AMT*B6*x"),
        ("CLP*PCN-1*1*100*80", "CAS*CO*45*x"),
    ],
)
def test_an_amount_that_a_claim_can_do_without_is_left_out_and_told(read, era, claim):
    found = read(era(*claim, transfer=80))

    assert found.codes == ["money_invalid"]
    assert (found.claim.paid, found.claim.allowed, found.problems) == (8_000, None, [])


def test_a_date_that_is_none_is_left_out_and_told(read, era):
    found = read(era(SMALL, "DTM*232*20260230", "DTM*050*99991231", transfer=80))

    assert found.codes == ["date_invalid"] * 2
    assert (found.claim.service_from, found.claim.received_on) == (None, None)


def test_more_than_two_decimals_are_rounded_and_told(read, era):
    found = read(era("CLP*PCN-1*1*100.125*80.004", transfer=80))

    assert found.codes == ["money_precision"] * 2
    assert (found.claim.charge, found.claim.paid) == (10_012, 8_000)


def test_unknown_and_empty_segments_are_passed_over(read, era):
    odd = ("PER*BL*HELP*TE*6145550111", "ZZZ*1*2", "TS3*1", "QTY*CA*1", "N3", "REF", "NM1*QC",
           "DTM", "AMT", "SVC2", "LQ", "CAS", "N1", "K3*X")  # fmt: skip
    found = read(era(SMALL, *odd, transfer=80))

    assert (found.codes, found.problems) == ([], [])
    assert found.claim.paid == 8_000


def test_services_before_any_claim_belong_to_nobody(read, era):
    lost = ("SVC*HC:99213*100*80", "CAS*CO*45*20", "REF*6R*1", "NM1*QC*1*S*P****MI*W1", "MIA*1",
            "DTM*472*20260105", "AMT*B6*1", "LQ*HE*N1")  # fmt: skip

    assert (
        read(era(*lost, SMALL, transfer=80)).claim
        == read(era(*(["K3*X"] * len(lost)), SMALL, transfer=80)).claim
    )
