from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from claimkit.claims.model import Claim, ClaimKind, ServiceLine
from claimkit_x12.submission import kind_of_version

SMALL = "CLM*PCN-000418*100***11:B:1*Y*A*Y*Y"
CLAIM = (
    "CLM*PCN-000417*320***11:B:7*Y*A*Y*Y",
    "DTP*431*D8*20260101",
    "REF*F8*ICN77001",
    "REF*G1*AUTH-7731",
    "REF*9F*REFERRAL-1",
    "HI*ABK:M5450*ABF:E119",
    "NM1*82*1*HEALER*ANN****XX*1888888885",
    "SBR*S*18*******CI",
    "NM1*IL*1*OTHER*PAT****MI*X999",
    "NM1*PR*2*OTHER PAYER*****PI*99999",
    "NM1*82*1*OTHER*ANN****XX*1000000000",
    "REF*F8*OTHER ICN",
    "DTP*573*D8*20260110",
    "LX*1",
    "SV1*HC:99214:25*300*UN*1***1",
    "DTP*472*RD8*20260105-20260107",
    "REF*6R*L-1",
    "LX*2",
    "SV1*HC:J1100*20*UN*0.5***1",
    "DTP*472*D8*20260105",
)


def test_every_field_has_its_source(read, claims837):
    claim = read(claims837(*CLAIM)).claim
    first, last = dt.date(2026, 1, 5), dt.date(2026, 1, 7)

    assert claim == Claim(
        kind=ClaimKind.PROFESSIONAL,
        position=13,
        patient_control_number="PCN-000417",
        original_reference="ICN77001",
        frequency="7",
        payer_name="MERIDIAN HEALTH PLAN OF OHIO",
        payer_id="PI:60054",
        billing_npi="1999999984",
        billing_tin="311234567",
        rendering_npi="1888888885",
        member_id="W000731",
        claim_type="P",
        filing_indicator="12",
        facility="11",
        payer_sequence="P",
        diagnosis="M5450",
        authorization_number="AUTH-7731",
        submitted_on=dt.date(2026, 1, 12),
        charge=32_000,
        lines=[
            ServiceLine(
                number="L-1",
                procedure_code="99214",
                modifiers=("25",),
                units=Decimal(1),
                service_from=first,
                service_to=last,
                charge=30_000,
                position=27,
            ),
            ServiceLine(
                number="2",
                procedure_code="J1100",
                units=Decimal("0.5"),
                service_from=first,
                service_to=first,
                charge=2_000,
                position=31,
            ),
        ],
    )


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("005010X222A1", ClaimKind.PROFESSIONAL),
        ("004010X098A1", ClaimKind.PROFESSIONAL),
        ("005010X223A3", ClaimKind.INSTITUTIONAL),
        ("004010X096A1", ClaimKind.INSTITUTIONAL),
        ("005010X224A2", ClaimKind.DENTAL),
        ("004010X097A1", ClaimKind.DENTAL),
        ("005010", None),
        ("", None),
    ],
)
def test_a_guide_stands_for_a_kind(version, kind):
    assert kind_of_version(version) is kind


@pytest.mark.parametrize(
    ("service", "version", "kind", "letter"),
    [
        ("SV1*HC:99213*100*UN*2", "005010X222A1", ClaimKind.PROFESSIONAL, "P"),
        ("SV1*HC:99213*100*UN*2", "", ClaimKind.PROFESSIONAL, "P"),
        ("SV2*0450*HC:99213*100*UN*2", "005010X223A2", ClaimKind.INSTITUTIONAL, "I"),
        ("SV2*0450*HC:99213*100*UN*2", "", ClaimKind.INSTITUTIONAL, "I"),
        ("SV3*AD:D0120*100****2", "005010X224A2", ClaimKind.DENTAL, "D"),
        ("SV3*AD:D0120*100****2", "", ClaimKind.DENTAL, "D"),
    ],
)
def test_services_are_professional_institutional_or_dental(
    read, claims837, service, version, kind, letter
):
    found = read(claims837(SMALL, "LX*1", service, version=version))
    claim = found.claim

    assert (claim.kind, claim.claim_type, found.kinds) == (kind, letter, (kind,))
    assert [(one.charge, one.units) for one in claim.lines] == [(10_000, 2)]
    assert claim.lines[0].revenue_code == ("0450" if letter == "I" else "")
    assert claim.flags == []


def test_the_guide_outranks_the_service_segment(read, claims837):
    claim = read(claims837(SMALL, "LX*1", "SV1*HC:99213*100", version="005010X223A2")).claim

    assert claim.kind is ClaimKind.INSTITUTIONAL


def test_an_institutional_claim_has_a_period_and_a_drg(read, claims837):
    segments = (SMALL, "DTP*434*RD8*20260105-20260109", "HI*BK:M5450", "HI*DR:470")
    claim = read(claims837(*segments, version="005010X223A2")).claim

    assert (claim.service_from, claim.service_to) == (dt.date(2026, 1, 5), dt.date(2026, 1, 9))
    assert (claim.diagnosis, claim.drg) == ("M5450", "470")


def test_each_subscriber_and_provider_has_its_own_claims(read, claims837):
    found = read(
        claims837(
            SMALL,
            "HL*3*1*22*0",
            "SBR*S*18*******MC",
            "NM1*IL*1*OTHER*PAT****MI*W000905",
            "NM1*PR*2*LAKE MUTUAL*****XV*731",
            "CLM*PCN-000419*50***22:B:1",
            "HL*4**20*1",
            "NM1*85*2*LAKESIDE*****24*350000001",
            "HL*5*4*22*1",
            "SBR*T",
            "HL*6*5*23*0",
            "CLM*PCN-000420*60***22:B:8",
        )
    )
    told = [
        (one.patient_control_number, one.member_id, one.payer_name, one.payer_id,
         one.payer_sequence, one.filing_indicator, one.billing_npi, one.billing_tin)
        for one in found.claims
    ]  # fmt: skip

    assert told == [
        ("PCN-000418", "W000731", "MERIDIAN HEALTH PLAN OF OHIO", "PI:60054", "P", "12",
         "1999999984", "311234567"),
        ("PCN-000419", "W000905", "LAKE MUTUAL", "XV:731", "S", "MC", "1999999984", "311234567"),
        ("PCN-000420", "", "", "", "T", "", "", "350000001"),
    ]  # fmt: skip


def test_a_patient_below_a_subscriber_keeps_the_subscribers_member_id(read, claims837):
    found = read(claims837("HL*3*2*23*0", "NM1*QC*1*SAMPLE*KIM", SMALL))

    assert found.claim.member_id == "W000731"


def test_without_a_day_of_its_own_a_claim_was_sent_with_its_group(read, claims837):
    found = read(claims837(SMALL, header=("HL*1**20*1",)))

    assert found.claim.submitted_on == dt.date(2026, 1, 11)


def test_a_referral_serves_where_there_is_no_authorization(read, claims837):
    assert read(claims837(SMALL, "REF*9F*REFERRAL-1")).claim.authorization_number == "REFERRAL-1"


def test_lines_without_numbers_are_counted(read, claims837):
    found = read(claims837(SMALL, "SV1*HC:99213*60", "SV1*HC:99214*40"))

    assert [one.number for one in found.claim.lines] == ["1", "2"]


def test_the_number_of_a_line_does_not_reach_the_next_claim(read, claims837):
    found = read(
        claims837(SMALL, "LX*7", "SV1*HC:99213*100", SMALL.replace("18", "19"), "SV1*HC:99213*100")
    )

    assert [one.lines[0].number for one in found.claims] == ["7", "1"]


def test_lines_that_are_not_the_charge_are_told(read, claims837):
    found = read(claims837(SMALL, "LX*1", "SV1*HC:99213*99.99"))

    assert found.claim.flags == ["lines_unbalanced"]


def test_another_payers_dates_are_not_those_of_the_claim(read, claims837):
    segments = (SMALL, "DTP*434*D8*20260105", "SBR*S", "DTP*434*D8*20250101")
    claim = read(claims837(*segments, version="005010X223A2")).claim

    assert claim.service_from == dt.date(2026, 1, 5)


def test_a_date_that_is_none_is_left_out_and_told(read, claims837):
    found = read(claims837(SMALL, "DTP*434*D8*20260230", "LX*1", "SV1*HC:1*100", "DTP*472*RD8*x-y"))

    assert found.codes == ["date_invalid"] * 2
    assert found.claim.service_from is None


def test_services_before_any_claim_belong_to_nobody(read, claims837):
    lost = ("LX*1", "SV1*HC:99213*100", "DTP*472*D8*20260105", "HI*ABK:M5450", "REF*6R*L-1")
    claim = read(claims837(*lost, SMALL)).claim

    assert (claim.lines, claim.diagnosis, claim.service_from) == ([], "", None)


@pytest.mark.parametrize(
    ("segments", "code", "field", "position"),
    [
        (("CLM**100***11:B:1",), "claim_id_missing", "CLM01", 13),
        (("CLM*PCN-1*1e3***11:B:1",), "money_invalid", "CLM02", 13),
        (("CLM*PCN-1*100***11:B:1", "LX*1", "SV1*HC:99213*NaN"), "money_invalid", "SV102", 15),
        (("CLM*PCN-1*100***11:B:1", "LX*1", "SV2*0450*HC:1*N"), "money_invalid", "SV203", 15),
    ],
)
def test_one_broken_claim_never_loses_the_file(read, claims837, segments, code, field, position):
    rest = ("REF*G1*ITS OWN", "SBR*S", "NM1*IL*1*OTHER*PAT****MI*X999", "NM1*PR*2*X*****PI*9",
            "LX*2", "SV1*HC:1*zzz")  # fmt: skip
    found = read(claims837(*segments, *rest, *CLAIM))
    (problem,) = found.problems
    claim = found.claim

    assert (problem.code, problem.field_name, problem.position) == (code, field, position)
    assert problem.kind is ClaimKind.PROFESSIONAL
    assert problem.message
    assert problem.remedy
    assert (claim.member_id, claim.payer_id, claim.payer_sequence) == ("W000731", "PI:60054", "P")
    assert (claim.authorization_number, len(claim.lines), claim.flags) == ("AUTH-7731", 2, [])


def test_what_to_do_about_a_claim_without_number_is_told_to_who_wrote_it(read, claims837):
    (problem,) = read(claims837("CLM**100")).problems

    assert problem.remedy == "Correct the claim in the billing system and send it again"
