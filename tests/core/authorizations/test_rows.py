from __future__ import annotations

import csv
import datetime as dt
import io
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.authorizations.rows import AuthorizationRow, RowTrouble, read_rows
from claimkit.errors import FileRefused

HEAD = "Auth Number,Payer,CPT,Member ID,Valid From,Valid Until,Units Authorized,Units Used\n"
GOOD = "A-417,Aetna,97110,W12345,2026-01-01,04/30/2026,24,3.5\n"


def read(text):
    return list(read_rows(text.encode() if isinstance(text, str) else text))


def test_a_row_is_read():
    (row,) = read(HEAD + GOOD)

    assert row.line == 2
    assert row.member_id == "W12345"
    assert row.authorization.valid_until == dt.date(2026, 4, 30)
    assert row.authorization.units_used == Decimal("3.5")
    assert "W12345" not in repr(row)


@pytest.mark.parametrize(
    ("old", "new", "code", "field"),
    [
        ("A-417", "", "cell_missing", "number"),
        ("Aetna", "", "cell_missing", "payer"),
        ("A-417", "x" * 65, "text_too_long", "number"),
        ("2026-01-01", "yesterday", "date_invalid", "valid_from"),
        ("04/30/2026", "12/31/9999", "date_invalid", "valid_until"),
        ("04/30/2026", "2025-12-31", "period_reversed", ""),
        (",24,", ",1e3,", "units_invalid", "units_authorized"),
        (",24,", ",,", "units_invalid", "units_authorized"),
        (",24,", ",0,", "units_out_of_range", ""),
        ("3.5", "-1", "units_invalid", "units_used"),
        ("3.5", "NaN", "units_invalid", "units_used"),
    ],
)
def test_a_bad_row_is_told_and_the_others_are_in(old, new, code, field):
    bad = GOOD.replace(old, new)
    first, trouble, last = read(HEAD + GOOD.replace("A-417", "A-1") + bad + "A-2" + GOOD[5:])

    assert (first.authorization.number, last.authorization.number) == ("A-1", "A-2")
    assert (trouble.code, trouble.field_name, trouble.line) == (code, field, 3)
    assert trouble.remedy
    assert "W12345" not in repr(trouble)


def test_a_number_that_stands_twice_is_taken_once():
    _, trouble = read(HEAD + GOOD + GOOD)

    assert (trouble.code, trouble.line) == ("number_repeated", 3)
    assert "line 2" in trouble.message


def test_a_short_row_loses_what_is_optional_only():
    (row,) = read(HEAD + "A-417,Aetna,97110,,2026-01-01,2026-04-30,24\n")

    assert (row.member_id, row.authorization.units_used) == ("", 0)


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_other_separators_and_encodings(mark):
    text = (HEAD + GOOD.replace("Aetna", "Größe")).replace(",", mark)

    for encoding in ("utf-8-sig", "cp1252"):
        (row,) = read(text.encode(encoding))
        assert row.authorization.payer == "Größe"


def test_a_text_over_two_lines_keeps_the_count():
    rows = read(HEAD + 'A-1,"Ae\ntna",97110,,2026-01-01,2026-04-30,24\n' + "A-2\n")

    assert [one.line for one in rows] == [2, 4]


@pytest.mark.parametrize(
    ("text", "code"),
    [("", "file_empty"), ("\n \n", "file_empty"), ("a,b\n1,2\n", "header_missing")],
)
def test_a_file_that_is_none_is_refused(text, code):
    with pytest.raises(FileRefused) as told:
        read(text)

    assert told.value.code == code


@given(st.binary(max_size=400))
def test_any_bytes_give_rows_troubles_or_a_refusal(content):
    try:
        rows = read(HEAD.encode() + content)
    except FileRefused:
        return
    assert all(isinstance(one, AuthorizationRow | RowTrouble) for one in rows)


_CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12)


@given(st.lists(st.lists(_CELL, min_size=8, max_size=8), max_size=6))
def test_each_row_with_something_in_it_is_taken_or_told(rows):
    out = io.StringIO()
    out.write(HEAD)
    csv.writer(out).writerows(rows)

    # A lone separator line would choose another separator: the header decides, not the rows.
    assert len(read(out.getvalue())) == sum(any(one.strip() for one in row) for row in rows)
