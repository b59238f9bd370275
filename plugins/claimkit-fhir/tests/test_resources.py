from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import pytest

from claimkit.claims.carc import judge
from claimkit.claims.model import Adjustment, Outcome

NPI = "http://hl7.org/fhir/sid/us-npi"


def problem(found):
    (one,) = found.problems
    assert found.claims == []
    assert one.message
    assert one.remedy
    assert one.value == ""
    return one.code, one.field_name


# -- who, what, when -----------------------------------------------------------------------


def test_a_claim_is_what_was_sent(read, claim):
    found = read(claim(diagnosis=[{"sequence": 1, "diagnosisCodeableConcept": {
        "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "M54.5"}]}}]))  # fmt: skip
    one = found.claim

    assert (one.patient_control_number, one.status, one.frequency) == ("PCN-000417", "pending", "")
    assert (one.payer_name, one.payer_id) == ("MERIDIAN HEALTH PLAN OF OHIO", "PI:60054")
    assert (one.billing_npi, one.claim_type, one.payer_sequence) == ("1999999984", "P", "P")
    assert (one.authorization_number, one.diagnosis) == ("AUTH-88", "M54.5")
    assert one.submitted_on == dt.date(2026, 1, 12)
    assert (one.charge, one.paid, one.allowed) == (32_000, 0, None)
    assert judge(one).outcome is Outcome.PENDING
    (line,) = one.lines
    assert (line.procedure_system, line.procedure_code) == ("HC", "99214")
    assert (line.modifiers, line.units, line.charge) == (("25",), Decimal(1), 32_000)
    assert (line.number, line.service_from) == ("1", dt.date(2026, 1, 5))
    assert found.notices == []


def test_an_explanation_is_what_was_decided(read, eob):
    one = read(eob()).claim

    assert (one.patient_control_number, one.payer_claim_control_number) == (
        "PCN-000417",
        "ICN88124",
    )
    assert (one.charge, one.paid, one.patient_responsibility) == (32_000, 18_500, 2_500)
    assert (one.decided_on, one.paid_on) == (dt.date(2026, 2, 17), dt.date(2026, 2, 19))
    assert (one.submitted_on, one.payment_reference) == (None, "EFT000731")
    (line,) = one.lines
    assert (line.charge, line.allowed, line.paid) == (32_000, 21_000, 18_500)
    assert line.adjustments == [Adjustment("CO", "45", 11_000), Adjustment("PR", "1", 2_500)]
    assert one.flags == []
    assert judge(one).outcome is Outcome.PAID


def test_a_response_takes_from_its_claim_what_it_does_not_tell(read, claim, response, told, ndjson):
    bare = response(total=[told("benefit", 320)])
    found = read(ndjson(claim(), bare))

    assert [one.patient_control_number for one in found.claims] == ["PCN-000417"] * 2
    assert [one.charge for one in found.claims] == [32_000, 32_000]
    assert problem(read(bare)) == ("charge_missing", "ClaimResponse.total")


def test_a_response_may_stand_before_its_claim_in_a_bundle(read, claim, response, told, bundle):
    found = read(bundle(response(total=[told("benefit", 320)]), claim()))

    assert [one.patient_control_number for one in found.claims] == ["PCN-000417"] * 2
    assert [one.charge for one in found.claims] == [32_000, 32_000]


@pytest.mark.parametrize(
    ("reference", "number"),
    [
        ({"reference": "Claim/c9"}, "c9"),
        ({"reference": "http://fhir.test/r4/Claim/c9/_history/2"}, "c9"),
        ({"reference": "urn:uuid:0b5c-9"}, "0b5c-9"),
        ({"reference": "Claim?identifier=urn:x|PCN-9"}, "PCN-9"),
        ({"identifier": {"value": "PCN-9"}, "reference": "Claim/c9"}, "PCN-9"),
        ({"reference": "#own"}, "PCN-77"),
        ({"display": "that one"}, "ICN88124"),
    ],
)
def test_a_response_names_its_claim_in_many_ways(read, response, reference, number):
    own = {"resourceType": "Claim", "id": "own", "identifier": [{"value": "PCN-77"}]}

    assert read(response(request=reference, contained=[own])).claim.patient_control_number == number


def test_the_number_of_the_account_is_surest(read, eob, concept):
    info = [
        {"category": concept("patientaccountnumber"), "valueString": "PCN-31"},
        {"category": concept("clmrecvddate"), "timingDate": "2026-01-14"},
        {"category": concept("typeofbill"), "code": concept("0137")},
        {"category": concept("drg"), "code": concept("470")},
    ]
    one = read(eob(supportingInfo=info)).claim

    assert (one.patient_control_number, one.received_on) == ("PCN-31", dt.date(2026, 1, 14))
    assert (one.frequency, one.drg) == ("7", "470")


def test_the_patient_is_the_member_where_that_is_known(read, claim, bundle):
    coverage = {"resourceType": "Coverage", "id": "v1", "subscriberId": "W000731"}

    assert read(bundle(coverage, claim())).claims[0].member_id == "W000731"
    assert read(claim()).claim.member_id == "p731"
    named = claim(patient={"identifier": {"value": "MRN-5"}, "display": "Pat Sample"})
    assert read(named).claim.member_id == "MRN-5"
    assert "Pat" not in repr(read(named).claims)


def test_parties_are_found_behind_references(read, claim, bundle, concept):
    payer = {"resourceType": "Organization", "id": "o1", "name": "LAKESIDE MUTUAL",
             "identifier": [{"system": "urn:oid:2.16.840.1.113883.6.300", "value": "71412"}]}  # fmt: skip
    doctor = {"resourceType": "Practitioner", "id": "d1",
              "identifier": [{"system": NPI, "value": "1888888882"}]}  # fmt: skip
    one = claim(
        insurer={"reference": "Organization/o1"},
        careTeam=[
            {
                "role": concept("referring"),
                "provider": {"identifier": {"system": NPI, "value": "1"}},
            },
            {"role": concept("rendering"), "provider": {"reference": "Practitioner/d1"}},
        ],
    )
    (found,) = read(bundle(one, payer, doctor)).claims

    assert (found.payer_name, found.payer_id) == ("LAKESIDE MUTUAL", "NF:71412")
    assert found.rendering_npi == "1888888882"


@pytest.mark.parametrize(
    ("insurer", "expected"),
    [
        ({"reference": "Organization/o9"}, ("", "FHIR:o9")),
        ({"display": "LAKESIDE"}, ("LAKESIDE", "")),
        ({"identifier": {"value": "71412"}}, ("", "PI:71412")),
    ],
)
def test_a_payer_has_a_name_or_an_id(read, claim, insurer, expected):
    one = read(claim(insurer=insurer)).claim

    assert (one.payer_name, one.payer_id) == expected


@pytest.mark.parametrize(
    ("code", "kind"),
    [("institutional", "I"), ("oral", "D"), ("professional-nonclinician", "P"), ("pharmacy", "")],
)
def test_the_type_of_a_claim_is_told(read, claim, concept, code, kind):
    assert read(claim(type=concept(code))).claim.claim_type == kind


def test_a_replacement_names_what_it_replaces(read, claim, concept):
    related = [
        {"relationship": concept("associated"), "reference": {"value": "X"}},
        {"relationship": concept("prior"), "reference": {"value": "ICN55"}},
    ]
    one = read(claim(related=related)).claim

    assert (one.frequency, one.original_reference) == ("7", "ICN55")


@pytest.mark.parametrize(
    ("codings", "expected"),
    [
        ([("http://snomed.info/sct", "185345009"), ("http://www.ama-assn.org/go/cpt", "99213")],
         ("HC", "99213")),
        ([("urn:x", "D0120")], ("AD", "D0120")),
        ([("urn:x", "J9035")], ("HC", "J9035")),
        ([("http://hl7.org/fhir/sid/ndc", "00002143380")], ("N4", "00002143380")),
        ([("http://snomed.info/sct", "185345009")], ("ZZ", "185345009")),
        ([], ("", "")),
    ],
)  # fmt: skip
def test_a_procedure_is_the_code_that_payers_use(read, claim, codings, expected):
    coding = [{"system": system, "code": code} for system, code in codings]
    item = {**claim()["item"][0], "productOrService": {"coding": coding}}
    (line,) = read(claim(item=[item])).claim.lines

    assert (line.procedure_system, line.procedure_code) == expected


# -- status, use and outcome ---------------------------------------------------------------


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error"])
def test_what_is_withdrawn_is_withdrawn(read, claim, eob, status):
    sent, decided = read(claim(status=status)).claim, read(eob(status=status)).claim

    assert (sent.frequency, sent.status, sent.charge) == ("8", "pending", 32_000)
    assert (decided.status, decided.charge, decided.paid) == ("reversed", -32_000, -18_500)
    assert decided.patient_responsibility == -2_500
    assert decided.lines[0].adjustments[0].amount == -11_000


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"status": "draft"}, "draft_ignored"),
        ({"use": "preauthorization"}, "use_ignored"),
        ({"use": "predetermination"}, "use_ignored"),
    ],
)
def test_what_is_no_claim_is_passed_over(read, claim, other, code):
    found = read(claim(**other))

    assert (found.claims, found.problems, found.codes) == ([], [], [code])


@pytest.mark.parametrize(
    ("outcome", "other", "expected"),
    [
        ("queued", {"total": None, "payment": None, "item": None}, Outcome.PENDING),
        ("partial", {"total": None, "payment": None, "item": None}, None),
        ("error", {"total": None, "payment": None, "item": None}, Outcome.OTHER),
        ("complete", {}, Outcome.PAID),
        ("error", {}, Outcome.PAID),
        ("partial", {}, Outcome.PAID),
    ],
)
def test_an_outcome_is_about_the_processing_and_money_is_believed(
    read, eob, outcome, other, expected
):
    found = read(eob(outcome=outcome, **other))
    if expected is None:
        assert problem(found) == ("charge_missing", "ExplanationOfBenefit.total")
        return

    assert judge(found.claim).outcome is expected
    if expected is Outcome.PENDING:
        assert (found.claim.decided_on, found.claim.received_on) == (None, dt.date(2026, 2, 17))


@pytest.mark.parametrize(
    ("adjudications", "outcome", "reason"),
    [
        ([("benefit", 0), ("CO", 320, "197")], Outcome.DENIED, "CO-197"),
        ([("benefit", 0), ("noncovered", 320, "CO-50")], Outcome.DENIED, "CO-50"),
        ([("benefit", 0), ("denialreason", None, "197")], Outcome.DENIED, "197"),
        ([("benefit", 0), ("noncovered", 320)], Outcome.DENIED, "96"),
        ([("benefit", 0), ("deductible", 320)], Outcome.ZERO_PAID, ""),
        ([("benefit", 200), ("discount", 120)], Outcome.PAID, ""),
        ([("benefit", 200), ("noncovered", 120, "151")], Outcome.PARTIAL, "151"),
        ([("benefit", 0), ("priorpayerpaid", 320)], Outcome.ZERO_PAID, ""),
    ],
)
def test_categories_and_reasons_tell_what_became_of_it(
    read, eob, told, adjudications, outcome, reason
):
    item = {
        "sequence": 1,
        "adjudication": [told("submitted", 320), *(told(*a) for a in adjudications)],
    }
    one = read(eob(item=[item], total=None, payment=None)).claim
    verdict = judge(one)

    assert (verdict.outcome, verdict.reason) == (outcome, reason)
    assert one.flags == []
    assert sum(a.amount for a in one.lines[0].adjustments) == 32_000 - one.paid


def test_what_the_claim_repeats_of_its_lines_counts_once(read, eob, told):
    one = read(eob(adjudication=[told("CO", 110, "45"), told("deductible", 25)])).claim

    assert (one.adjustments, one.flags) == ([], ["cas_duplicated"])


def test_reasons_for_more_than_was_not_paid_are_told(read, eob, told):
    item = {"sequence": 1, "adjudication": [
        told("submitted", 320), told("benefit", 200), told("CO", 200, "45")]}  # fmt: skip

    assert read(eob(item=[item], total=None, payment=None)).claim.flags == ["claim_unbalanced"]


def test_reasons_of_other_lists_are_not_taken_for_carc(read, eob, told, concept):
    own = {**told("CO", 320), "reason": concept("197", system="http://payer.test/reasons")}
    item = {"sequence": 1, "adjudication": [told("submitted", 320), told("benefit", 0), own]}

    assert read(eob(item=[item], total=None, payment=None)).claim.lines[0].adjustments == []


def test_what_is_paid_is_no_adjustment_whatever_its_reason(read, eob, told):
    item = {"sequence": 1, "adjudication": [
        told("submitted", 320), told("paidtoprovider", 200, "45"), told("CO", 120, "45")]}  # fmt: skip
    (line,) = read(eob(item=[item], total=None, payment=None)).claim.lines

    assert (line.paid, line.adjustments) == (20_000, [Adjustment("CO", "45", 12_000)])


def test_remarks_are_kept_beside_reasons(read, eob, told):
    one = read(eob(adjudication=[told("CO", None, "N130")])).claim

    assert one.remarks == ["N130"]


def test_the_patient_owes_what_is_stated(read, eob, told):
    total = [told("submitted", 320), told("benefit", 185), told("memberliability", 135)]

    assert read(eob(total=total)).claim.patient_responsibility == 13_500


def test_categories_of_blue_button_addresses_are_known(read, eob, told):
    at = "https://bluebutton.cms.gov/resources/variables/"
    item = {"sequence": 1, "adjudication": [
        told(f"{at}line_sbmtd_chrg_amt", 320), told(f"{at}line_alowd_chrg_amt", 210),
        told(f"{at}line_prvdr_pmt_amt", 168), told(f"{at}line_coinsrnc_amt", 42)]}  # fmt: skip
    one = read(eob(item=[item], total=None, payment=None)).claim

    assert (one.charge, one.paid, one.patient_responsibility) == (32_000, 16_800, 4_200)
    assert one.lines[0].allowed == 21_000


# -- values --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "cents"),
    [("320", 32_000), ("0.1", 10), ("1234567890.12", 123_456_789_012), ("3.2e2", 32_000),
     ("-0.05", -5), ("0", 0), ("0e999999", 0)],
)  # fmt: skip
def test_money_is_exact(read, claim, written, cents):
    content = json.dumps(claim(item=None, total={"value": 1})).replace(
        '{"value": 1}}', f'{{"value": {written}}}}}'
    )
    found = read(content)

    assert found.claim.charge == cents
    assert found.codes == []


def test_more_than_cents_is_rounded_half_to_even_and_told(read, claim):
    found = read(claim(item=None, total={"value": 0.125}))

    assert (found.claim.charge, found.codes) == (12, ["money_precision"])


@pytest.mark.parametrize(
    ("total", "code", "where"),
    [
        ({"value": True}, "money_invalid", "value"),
        ({"value": "320"}, "money_invalid", "value"),
        ({"value": 10**10}, "money_out_of_range", "value"),
        ({"value": 1e300}, "money_out_of_range", "value"),
        ({"value": 320, "currency": "CAD"}, "currency_unsupported", "currency"),
    ],
)
def test_money_that_is_none_costs_its_claim(read, claim, total, code, where):
    assert problem(read(claim(total=total))) == (code, f"Claim.total.{where}")


@pytest.mark.parametrize(
    ("created", "day", "codes"),
    [
        ("2026-01-12", dt.date(2026, 1, 12), []),
        ("2026-01-12T23:59:59.123-05:00", dt.date(2026, 1, 12), []),
        ("2026-01", None, ["date_partial"]),
        ("2026", None, ["date_partial"]),
        ("2026-02-30", None, ["date_invalid"]),
        ("9999-12-31", None, ["date_invalid"]),
        ("01/12/2026", None, ["date_invalid"]),
        (20260112, None, ["date_invalid"]),
    ],
)
def test_a_date_without_a_day_is_left_out_and_told(read, claim, created, day, codes):
    found = read(claim(created=created))

    assert (found.claim.submitted_on, found.codes) == (day, codes)


@pytest.mark.parametrize(
    ("other", "code", "where"),
    [
        ({"identifier": None, "id": None}, "claim_id_missing", "identifier"),
        ({"identifier": [{"value": "9" * 65}]}, "identifier_too_long", "identifier[0].value"),
        ({"insurer": {"display": "M" * 201}}, "text_too_long", "insurer.display"),
        ({"insurer": None}, "payer_missing", "insurer"),
        ({"status": "odd"}, "status_unknown", "status"),
        ({"status": None}, "status_unknown", "status"),
        ({"total": None, "item": None}, "charge_missing", "total"),
        ({"item": {}}, "resource_invalid", "item"),
        ({"item": [1]}, "resource_invalid", "item[0]"),
        ({"item": [{"net": {"value": "1"}}]}, "money_invalid", "item[0].net.value"),
        ({"insurer": []}, "resource_invalid", "insurer"),
        ({"identifier": [{"value": 5}]}, "resource_invalid", "identifier[0].value"),
        ({"item": [{"unitPrice": {"value": 9**10}, "quantity": {"value": 9**9}}]},
         "money_out_of_range", "item[0].quantity"),
    ],
)  # fmt: skip
def test_a_claim_that_cannot_be_read_says_where_and_why(read, claim, other, code, where):
    assert problem(read(claim(**other))) == (code, f"Claim.{where}")


def test_texts_hold_nothing_that_a_store_cannot_keep(read, claim):
    one = read(claim(identifier=[{"value": "PCN\x00\ud8007"}])).claim

    assert one.patient_control_number == "PCN  7"


@pytest.mark.parametrize(
    ("item", "cents"),
    [
        ({"unitPrice": {"value": 12.5}, "quantity": {"value": 3}}, 3_750),
        ({"unitPrice": {"value": 12.5}}, 1_250),
        ({"net": {"value": 7}, "unitPrice": {"value": 12.5}}, 700),
        ({}, 0),
    ],
)
def test_a_line_costs_its_net_or_price_times_quantity(read, claim, item, cents):
    assert read(claim(item=[item])).claim.lines[0].charge == cents


def test_charges_of_lines_that_are_not_the_total_are_told(read, claim):
    assert read(claim(total={"value": 400})).claim.flags == ["lines_unbalanced"]
    assert read(claim(total=None)).claim.charge == 32_000
