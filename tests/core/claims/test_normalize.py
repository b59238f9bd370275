from __future__ import annotations

import datetime as dt

import pytest

from claimkit.claims.model import Adjustment, ClaimKind, Outcome
from claimkit.claims.normalize import (
    AllowedNormalizer,
    DateNormalizer,
    NormalizeContext,
    OutcomeNormalizer,
    PatientNormalizer,
    PayerNormalizer,
    ProcedureNormalizer,
    builtin_normalizers,
)
from claimkit.claims.payers import PayerNames
from claimkit.claims.privacy import patient_token
from claimkit.claims.procedures import ProcedureGroups
from claimkit.errors import ConfigError
from claimkit.testing.factories import make_batch, make_claim, make_line, make_submission

KEY = b"a key of the tenant, not of anyone else"


def normalize(*claims, by, key=KEY):
    batch = make_batch(claims)
    for one in by if isinstance(by, tuple) else (by,):
        one.normalize(batch, NormalizeContext(patient_key=key))
    return batch.claims if len(claims) > 1 else batch.claims[0]


# -- patients -----------------------------------------------------------------------------------


def test_a_member_becomes_a_token_and_is_forgotten():
    claim = normalize(make_claim(member_id="W-123 45"), by=PatientNormalizer())

    assert (claim.member_id, claim.patient_token) == ("", patient_token("W12345", KEY))


def test_a_claim_without_a_member_needs_no_key():
    claim = normalize(make_claim(), by=PatientNormalizer(), key=b"")

    assert claim.patient_token == ""
    with pytest.raises(ConfigError):
        normalize(make_claim(member_id="W12345"), by=PatientNormalizer(), key=b"")


def test_details_leave_texts_and_lines_and_the_rest_stays():
    claim = normalize(
        make_claim(
            facility="North, ask 415-555-0123",
            payer_name="Blue Cross",
            filing_indicator="Patient: Jane Doe",
            authorization_number="SSN 123456789 AUTH9",
            rendering_npi="jane@example.org",
            lines=[make_line(number="MRN 0077123", procedure_code="LAB-12")],
        ),
        by=PatientNormalizer(),
    )

    assert (claim.facility, claim.payer_name) == ("North, ask [removed]", "Blue Cross")
    assert (claim.filing_indicator, claim.rendering_npi) == ("[removed]", "[removed]")
    assert claim.authorization_number == "[removed] AUTH9"
    assert (claim.lines[0].number, claim.lines[0].procedure_code) == ("[removed]", "LAB-12")


def test_a_number_that_is_a_detail_keeps_its_identity_as_a_token():
    one, same, other, plain = normalize(
        make_claim(patient_control_number="123-45-6789"),
        make_claim(patient_control_number="123-45-6789"),
        make_claim(patient_control_number="123-45-6780"),
        make_claim(patient_control_number="PCN-000417"),
        by=PatientNormalizer(),
    )
    again = normalize(one, by=PatientNormalizer())

    numbers = [each.patient_control_number for each in (one, same, other, plain, again)]
    assert numbers[0] == numbers[1] == numbers[4] == f"id-{patient_token('123456789', KEY)}"
    assert len(set(numbers)) == 3
    assert numbers[3] == "PCN-000417"


# -- payers -------------------------------------------------------------------------------------


def test_each_claim_gets_the_canonical_name_of_its_payer():
    names = PayerNames({"PI:60054": "Aetna"})
    claims = normalize(
        make_claim(payer_name="Blue Lake Mutual Ins. Co.", payer_id=""),
        make_claim(payer_name="BLUE LAKE MUTUAL", payer_id=""),
        make_claim(payer_name="Some Product", payer_id="PI:60054"),
        by=PayerNormalizer(names),
    )

    assert [one.payer for one in claims] == ["BLUE LAKE MUTUAL", "BLUE LAKE MUTUAL", "Aetna"]


# -- procedures ---------------------------------------------------------------------------------


def test_the_line_with_the_largest_charge_stands_for_the_claim():
    claim = normalize(
        make_claim(
            lines=[
                make_line(procedure_code="36415", charge=500),
                make_line(procedure_code="70450", charge=-90_000),
                make_line(procedure_code="99213", charge=9_000),
            ]
        ),
        by=ProcedureNormalizer(),
    )

    assert (claim.procedure_code, claim.procedure_group) == ("70450", "imaging: diagnostic")


def test_the_order_of_equal_lines_does_not_matter():
    lines = [make_line(procedure_code=code, charge=100) for code in ("99213", "99214", "")]
    found = {
        normalize(make_claim(lines=order), by=ProcedureNormalizer()).procedure_code
        for order in (lines, lines[::-1])
    }

    assert found == {"99214"}


@pytest.mark.parametrize(
    ("values", "code", "group"),
    [
        ({"lines": [make_line(procedure_code="", revenue_code="0450")]}, "0450", "revenue code"),
        ({"lines": [make_line(procedure_code="0450", procedure_system="NU")]}, "0450", "revenue code"),
        ({"lines": [], "procedure_code": "99213"}, "99213", "evaluation and management"),
        ({"lines": [], "procedure_code": "", "drg": "470"}, "470", "inpatient"),
        # The case rate is decided as a whole, whatever the lines say.
        ({"lines": [make_line(procedure_code="99213")], "drg": "470"}, "99213", "inpatient"),
        ({"lines": [], "procedure_code": ""}, "", ""),
        ({"lines": [make_line(procedure_code="")]}, "", ""),
    ],
)  # fmt: skip
def test_what_stands_for_a_claim_without_a_plain_procedure(values, code, group):
    claim = normalize(make_claim(**values), by=ProcedureNormalizer())

    assert (claim.procedure_code, claim.procedure_group) == (code, group)


def test_a_table_of_groups_can_be_given():
    groups = ProcedureGroups([], {"99214": "zorglub"})
    claim = normalize(make_claim(lines=[make_line()]), by=ProcedureNormalizer(groups))

    assert claim.procedure_group == "zorglub"


# -- dates --------------------------------------------------------------------------------------

DAYS = [dt.date(2026, 1, day) for day in (3, 5, 9)]


def test_a_claim_takes_the_first_and_last_day_of_its_lines():
    claim = normalize(
        make_claim(
            service_from=None,
            service_to=None,
            lines=[
                make_line(service_from=DAYS[1], service_to=DAYS[2]),
                make_line(service_from=DAYS[0]),
                make_line(service_from=None),
            ],
        ),
        by=DateNormalizer(),
    )

    assert (claim.service_from, claim.service_to) == (DAYS[0], DAYS[2])


def test_what_a_claim_says_itself_stays_and_no_day_is_made_up():
    stated = normalize(
        make_claim(service_from=DAYS[1], lines=[make_line(service_from=DAYS[0])]),
        by=DateNormalizer(),
    )
    silent = normalize(
        make_claim(service_from=None, lines=[make_line(service_from=None)]), by=DateNormalizer()
    )
    lineless = normalize(make_claim(service_from=DAYS[1]), by=DateNormalizer())

    assert (stated.service_from, stated.service_to) == (DAYS[1], DAYS[0])
    assert (silent.service_from, silent.service_to) == (None, None)
    assert lineless.service_to == DAYS[1]


# -- allowed ------------------------------------------------------------------------------------


def cut(*pairs):
    return [Adjustment("CO", code, cents) for code, cents in pairs]


@pytest.mark.parametrize(
    ("values", "allowed"),
    [
        # As stated, on the claim or on all its lines.
        ({"allowed": 70}, 70),
        ({"lines": [make_line(allowed=40), make_line(allowed=30)]}, 70),
        # Else charge less what contract and denial took.
        ({"paid": 50, "adjustments": cut(("45", 40), ("2", 10))}, 60),
        ({"paid": 20, "adjustments": cut(("45", 40), ("97", 40))}, 20),
        (
            {"paid": 55, "lines": [make_line(allowed=None, adjustments=cut(("45", 40), ("1", 5)))]},
            60,
        ),
        # Sequestration, discounts and withholds cut the payment, not what was allowed.
        ({"paid": 58, "adjustments": cut(("45", 40), ("253", 2))}, 60),
        ({"paid": 0, "adjustments": cut(("1", 100))}, 100),
        # One line says it, the other does not.
        ({"paid": 0, "lines": [make_line(allowed=40), make_line(allowed=None)]}, None),
        ({"paid": 100}, 100),
        ({"paid": 60}, None),
        # Less than was paid: the reductions do not add up.
        ({"paid": 90, "adjustments": cut(("45", 40))}, None),
        ({"charge": -100, "paid": -60, "adjustments": cut(("45", -40))}, -60),
    ],
)
def test_what_was_allowed_is_derived_from_a_remittance(values, allowed):
    claim = make_claim(**{"charge": 100, "allowed": None, **values})

    assert normalize(claim, by=AllowedNormalizer()).allowed == allowed


@pytest.mark.parametrize("kind", [ClaimKind.CSV, ClaimKind.PROFESSIONAL])
def test_nothing_is_derived_where_no_payer_speaks(kind):
    claim = make_claim(kind=kind, charge=100, paid=100, allowed=None)

    assert normalize(claim, by=AllowedNormalizer()).allowed is None


# -- outcomes -----------------------------------------------------------------------------------


def test_an_outcome_comes_with_reason_category_remark_and_what_was_odd():
    claim = normalize(
        make_claim(
            charge=100,
            paid=0,
            allowed=70,
            status="1",
            flags=["claim_unbalanced"],
            adjustments=cut(("197", 100)),
            remarks=["N54"],
        ),
        by=OutcomeNormalizer(),
    )

    assert (claim.outcome, claim.reason, claim.remark) == (Outcome.DENIED, "CO-197", "N54")
    assert claim.category == "authorization_referral"
    assert claim.flags == ["claim_unbalanced", "status_overruled"]
    # Payers repeat the fee schedule on denied lines.
    assert claim.allowed == 0


def test_a_denied_claim_of_which_nothing_is_known_to_be_allowed_stays_so():
    claim = normalize(
        make_claim(charge=100, paid=0, allowed=None, adjustments=cut(("197", 100))),
        by=OutcomeNormalizer(),
    )

    assert claim.allowed is None


def test_the_built_in_ones_make_a_record_whole():
    (sent, decided) = normalize(
        make_submission(payer_name="Blue Lake Ins.", payer="", lines=[make_line(paid=0)]),
        make_claim(
            payer_name="Blue Lake Ins.",
            payer="",
            charge=100,
            paid=60,
            allowed=None,
            adjustments=cut(("45", 40)),
            member_id="W1",
        ),
        by=builtin_normalizers(),
    )

    assert (sent.payer, sent.outcome) == ("BLUE LAKE", Outcome.PENDING)
    assert (decided.payer, decided.outcome, decided.allowed) == ("BLUE LAKE", Outcome.PAID, 60)
    assert len(decided.patient_token) == 32


def test_each_normalizer_runs_after_those_it_needs():
    names = [one.name for one in builtin_normalizers()]

    assert len(set(names)) == len(names)
    for at, one in enumerate(builtin_normalizers()):
        assert set(one.after) <= set(names[:at])
