from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.claims.privacy import (
    Phi,
    find_personal,
    mask,
    may_be_personal,
    patient_token,
    scrub,
)
from claimkit.errors import ConfigError

KEY = b"a key of the tenant, not of anyone else"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("123-45-6789", "ssn"),
        ("SSN 123 45 6789 on file", "ssn"),
        ("ssn: 123456789", "ssn"),
        ("Social Security No. 123456789", "ssn"),
        ("SS# 123456789", "ssn"),
        ("call 415-555-0123", "phone"),
        ("(415) 555-0123", "phone"),
        ("+1 415.555.0123", "phone"),
        ("tel 4155550123", "phone"),
        ("Phone: 4155550123", "phone"),
        ("jane.doe+claims@mail.example.org", "email"),
        ("MRN 0012345", "mrn"),
        ("mrn#A778123", "mrn"),
        ("Medical record number: 77123", "mrn"),
        ("chart no 99881", "mrn"),
        ("DOB 1/2/1960", "birth_date"),
        ("date of birth: 1960-01-02", "birth_date"),
        ("Patient: Jane Doe", "name"),
        ("PATIENT NAME: DOE, JANE Q", "name"),
        ("patient name = jane doe", "name"),
        ("Pt: O'Brien-Smith, Mary", "name"),
        ("Subscriber: José Núñez", "name"),
        ("insured:Doe", "name"),
        ("Guarantor: John Doe", "name"),
        ("Patient's name: Jane Doe", "name"),
        ("Mrs. Jane Doe did not show", "name"),
        # In JSON, in what Python shows of a mapping, and as a part of a name.
        ("{'ssn': '123456789'}", "ssn"),
        ('{"patient_ssn":"123456789"}', "ssn"),
        ("mobile='4155550123'", "phone"),
        ("{'mrn': 'A778123'}", "mrn"),
        ("medical_record_number=77123", "mrn"),
        ("patient_dob=19600102", "birth_date"),
        ("{'birth_date': datetime.date(1960, 1, 2)}", "birth_date"),
        ("{'patient_name': 'Jane Doe'}", "name"),
        ("member_last_name=Doe", "name"),
        ("NM1*QC*1*DOE*JANE****MI*W12345~", "segment"),
        ("DMG*D8*19600102*F", "segment"),
        ("PID|1||778812||DOE^JANE", "segment"),
    ],
)
def test_c7_a_detail_is_found_and_taken_out(text, kind):
    assert find_personal(text) == (kind,)
    left = scrub(text)
    assert "[removed]" in left
    assert find_personal(left) == ()


@pytest.mark.parametrize(
    "text",
    [
        "Blue Cross",
        "Blue Cross Blue Shield of North Carolina",
        "BLUE CROSS",
        "Kaiser Permanente",
        "John Hancock Life",
        "Patient Advocate Foundation",
        "Member Services",
        "Saint Mary Hospital",
        "Dr. Martin Luther King Jr. Community Hospital",
        "PATIENT RESP",
        "Lincoln Chart House",
        # Numbers that are not personal: NPI, CPT, claim, authorization, money, date, NDC.
        "1234567893",
        "99213-25",
        "PCN-000417",
        "2025123-4567",
        "A-123-45-6789",
        "123-45-67890",
        "000-12-3456",
        "666-12-3456",
        "912-34-5678",
        "123-00-4567",
        "123-45-0000",
        "1,234.50",
        "2025-01-02",
        "00002-7510-01",
        "55-1234567",
        "NM1*PR*2*BLUE CROSS*****PI*00510",
        "CLP*PCN-000417*1*250*200",
        "member=",
        "",
    ],
)
def test_c7_blue_cross_is_not_a_person(text):
    assert find_personal(text) == ()
    assert scrub(text) == text


def test_several_details_go_and_the_rest_stays():
    text = "Patient: Jane Doe (jane@example.org, 415-555-0123) of Blue Cross, MRN 778812"

    assert find_personal(text) == ("email", "phone", "mrn", "name")
    assert scrub(text) == "[removed] ([removed], [removed]) of Blue Cross, [removed]"


_PIECES = st.sampled_from(
    ["123-45-6789", "(415) 555-0123", "a.b@c.example", "MRN 12345", "DOB: 1/2/1960", "Patient: Doe",
     "Blue Cross", "tel4155550123", "(415)555-0123", "SS#123456789", "Mr. Doe", "ph2125550123",
     "birthdate1/2/60", "{'patient_ssn': '", "DMG*D8*1960", "NM1*IL*1*", "'", '"', "~", "_", " ", ", ", "-", ":", "x", "7", "[removed]"]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=8).map("".join) | st.text(max_size=60))
def test_scrubbing_leaves_nothing_to_find_and_rests(text):
    once = scrub(text)

    assert find_personal(once) == ()
    assert scrub(once) == once
    assert (once == text) == (find_personal(text) == ())
    if find_personal(text):
        assert may_be_personal(f"plain\n{text}\nPCN-000417")


def test_a_plain_number_needs_no_closer_look():
    assert not may_be_personal("PCN-000417\nA77-12/3\n1234567893\n2025.001")


# -- values that never print ---------------------------------------------------------------------


def test_what_is_wrapped_never_prints():
    name = Phi("Marsupilami")
    told = [
        str(name),
        repr(name),
        f"{name}",
        f"{name:>40}",
        f"{name!r}",
        "{}".format(name),  # noqa: UP032
        str({1: [name]}),
    ]

    assert "Marsupilami" not in "".join(told)
    assert not hasattr(name, "__dict__")
    assert name.reveal() == "Marsupilami"


def test_what_is_wrapped_leaves_the_process_in_no_form():
    name = Phi("Marsupilami")

    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(name)
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(name)
    assert copy.deepcopy([name]) == [name] == [copy.copy(name)]


def test_wrapped_values_are_compared_with_their_like_only():
    assert Phi("Marsupilami") == Phi("Marsupilami")
    assert Phi("Marsupilami") != "Marsupilami"
    assert {Phi("Marsupilami"), Phi("Marsupilami"), Phi(7)} == {Phi(7), Phi("Marsupilami")}


# -- tokens -------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["w12345", "W-123 45", " w.12/345 "])
def test_one_member_has_one_token_however_the_id_is_written(other):
    assert patient_token(other, KEY) == patient_token("W12345", KEY)


def test_tokens_tell_members_and_tenants_apart():
    tokens = {
        patient_token(member, key)
        for member in ("W12345", "W12346", "12345")
        for key in (KEY, KEY + b"!", b"x" * 64, b"x" * 65, b"x" * 66)
    }

    assert len(tokens) == 15
    assert all(len(token) == 32 and "12345" not in token for token in tokens)


@pytest.mark.parametrize("nobody", ["", " ", "--", "."])
def test_no_member_has_no_token(nobody):
    assert patient_token(nobody, KEY) == ""


@pytest.mark.parametrize("key", [b"", b"short", b"x" * 15])
def test_a_short_key_is_refused_also_for_nobody(key):
    with pytest.raises(ConfigError, match="at least 16 bytes"):
        patient_token("", key)


# -- values in messages -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("12,50", "12,50"),
        ("2025-02-30", "2025-02-30"),
        ("", ""),
        ("a\tb\x00c", "a\ufffdb\ufffdc"),
        ("x" * 40, "x" * 40),
        ("x" * 41, "x" * 39 + "…"),
        ("123-45-6789", "[removed]"),
        # Found before it is cut: half a number is still most of one.
        ("x" * 33 + " 415-555-0123", "x" * 33 + " [remo…"),
    ],
)
def test_a_value_is_shown_short_and_without_details(value, shown):
    assert mask(value) == shown


@pytest.mark.parametrize(("value", "shown"), [("W12345", "[removed]"), ("", "")])
def test_an_identifying_value_is_never_shown(value, shown):
    assert mask(value, identifying=True) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Jane Doe", "[removed]"),
        ("DOE, JANE Q.", "[removed]"),
        ("O'Brien-Smith", "[removed]"),
        ("12.50 Doe", "12.50 [removed]"),
        ("José", "[removed]"),
        # What spreadsheets and people write for numbers is nobody's name.
        ("1.2E+12", "1.2E+12"),
        ("NaN", "NaN"),
        ("#REF!", "#REF!"),
        ("N/A", "N/A"),
        ("12-Jan-2025", "12-Jan-2025"),
        ("January 32, 2025", "January 32, 2025"),
        ("2025-01-02 10:00 AM EST", "2025-01-02 10:00 AM EST"),
        ("USD 1.100,00", "USD 1.100,00"),
    ],
)
def test_words_are_not_shown_where_numbers_belong(value, shown):
    assert mask(value, words=False) == shown
