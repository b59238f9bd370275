from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.claims.carc import default_carc_table
from claimkit.claims.codes import (
    STATUS_WORDS,
    Procedure,
    Reason,
    parse_claim_type,
    parse_leading_reason,
    parse_modifiers,
    parse_procedure,
    parse_reasons,
    parse_remarks,
    parse_status,
)
from claimkit.claims.values import BadCell


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("CO-197", [("CO", "197")]), ("co197", [("CO", "197")]), ("197", [("", "197")]),
        ("CO 45; PR-1", [("CO", "45"), ("PR", "1")]), ("CO-016", [("CO", "16")]),
        ("OA/23|CO:45", [("OA", "23"), ("CO", "45")]), ("PI-B7 & CO-A1", [("PI", "B7"), ("CO", "A1")]),
        ("45.0", [("", "45")]), ("197 - Precert absent", [("", "197")]),
        ("CO-16: lacks information", [("CO", "16")]), ("CO-45,", [("CO", "45")]), ("", []),
    ],
)  # fmt: skip
def test_reasons_are_read_as_they_are_written(text, found):
    assert list(parse_reasons(text)) == [Reason(*one) for one in found]


@pytest.mark.parametrize("text", ["not covered", "see 197", "CO-", "1234", "CO-197x"])
def test_a_text_that_is_no_list_of_reasons_is_refused(text):
    with pytest.raises(BadCell) as bad:
        parse_reasons(text)

    assert bad.value.code == "reason_invalid"


_PUBLISHED = sorted(
    code
    for number in range(1, 320)
    for code in (str(number), f"A{number}", f"B{number}", f"P{number}")
    if code in default_carc_table()
)


@given(
    st.lists(st.tuples(st.sampled_from(["CO", "PR", "OA", "PI", "CR"]), st.sampled_from(_PUBLISHED)), min_size=1, max_size=4),
    st.sampled_from(["-", "", " ", "/", ":"]),
    st.sampled_from([", ", ";", " | ", "/", " & ", "  "]),
)  # fmt: skip
def test_any_published_reasons_come_back_however_they_are_joined(pairs, inner, outer):
    text = outer.join(f"{group}{inner}{code}" for group, code in pairs)

    assert [tuple(one) for one in parse_reasons(text)] == pairs


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("CO-197: precert absent", [("CO", "197")]), ("29 - too late", [("", "29")]),
        ("CO29 filed late", [("CO", "29")]), ("no auth, see 197", []), ("197", []), ("", []),
        ("197 claims", []),
    ],
)  # fmt: skip
def test_a_free_text_gives_only_the_reason_that_it_begins_with(text, found):
    assert [tuple(one) for one in parse_leading_reason(text)] == found


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("N130", ("N130",)), ("ma04 N30", ("MA04", "N30")), ("M15,N290;MA130", ("M15", "N290", "MA130")),
        ("N130 missing", ()), ("see remarks", ()), ("", ()), ("X12", ()),
    ],
)  # fmt: skip
def test_remarks_are_codes_or_nothing(text, codes):
    assert parse_remarks(text) == codes


@pytest.mark.parametrize(
    ("text", "modifiers"),
    [("", ()), ("25", ("25",)), ("25,59", ("25", "59")), ("lt rt", ("LT", "RT")), ("26.0", ("26",)), ("25 - 59", ("25", "59"))],
)  # fmt: skip
def test_modifiers_are_two_characters(text, modifiers):
    assert parse_modifiers(text) == modifiers


@pytest.mark.parametrize("text", ["2", "255", "25,5", "§§"])
def test_other_modifiers_are_refused(text):
    with pytest.raises(BadCell, match="modifier"):
        parse_modifiers(text)


@pytest.mark.parametrize(
    ("text", "strict", "procedure"),
    [
        ("99213", True, Procedure("HC", "99213", (), repaired=False)),
        ("hc:99213:25:59", True, Procedure("HC", "99213", ("25", "59"), repaired=False)),
        ("99213.0", True, Procedure("HC", "99213", (), repaired=True)),
        ("D0120", True, Procedure("AD", "D0120", (), repaired=False)),
        ("0450", False, Procedure("NU", "0450", (), repaired=False)),
        ("00002751001", False, Procedure("N4", "00002751001", (), repaired=False)),
        ("lab-12", False, Procedure("ZZ", "LAB-12", (), repaired=False)),
        ("", True, Procedure("", "", (), repaired=False)),
    ],
)
def test_a_procedure_comes_apart(text, strict, procedure):
    assert parse_procedure(text, strict=strict) == procedure


@pytest.mark.parametrize(
    ("text", "strict"),
    [("213", True), ("0450", True), ("x" * 65, False), ("213.0", False), ("99213-ABC", False)],
)
def test_what_is_no_procedure_is_refused_never_guessed(text, strict):
    with pytest.raises(BadCell):
        parse_procedure(text, strict=strict)


@pytest.mark.parametrize("text", STATUS_WORDS)
def test_every_known_status_folds_in_any_writing(text):
    word = STATUS_WORDS[text]

    for written in (text.upper(), f" {text.title()} ", text.replace(" ", "-"), f"Claim {text}"):
        assert parse_status(written) == word


@pytest.mark.parametrize("text", ["sent to mars", "claim", "0", "99 - something", "?"])
def test_a_status_that_nobody_knows_is_marked(text):
    assert parse_status(text) == "?"


@pytest.mark.parametrize(
    ("text", "kind"),
    [("CMS-1500", "P"), ("ub04", "I"), ("837I", "I"), ("ADA 2019", "D"), ("Professional", "P"), ("P", "P"), ("x", "")],
)  # fmt: skip
def test_a_form_tells_the_type_of_a_claim(text, kind):
    assert parse_claim_type(text) == kind
