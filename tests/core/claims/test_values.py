from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.claims.values import (
    BadCell,
    Memo,
    MoneyMemo,
    clean,
    parse_identifier,
    parse_money,
    parse_text,
    parse_units,
    without_float,
)


def test_a_memo_converts_each_cell_once_and_forgets_when_it_is_full():
    asked = []
    memo = Memo(lambda text: asked.append(text) or len(text), limit=3)
    found = [memo[cell] for cell in ("a", "bb", "a", " a ", "ccc", "dddd", "a")]

    assert found == [1, 2, 1, 1, 3, 4, 1]
    assert asked == ["a", "bb", "a", "ccc", "dddd", "a"]
    assert len(memo) <= 3


def test_declared_blanks_are_no_value_in_any_case():
    memo = Memo(str.upper, blanks=["N/A", "-"])

    assert [memo[cell] for cell in ("n/a", " - ", "x", "")] == ["", "", "X", ""]


def test_a_cell_that_cannot_be_taken_is_not_remembered():
    memo = Memo(parse_money)
    for _ in range(2):
        with pytest.raises(BadCell):
            memo["sixty"]

    assert len(memo) == 0


@given(st.integers(0, 10**12 - 1))
def test_the_short_way_for_plain_amounts_is_the_long_way(cents):
    text = f"{cents // 100}.{cents % 100:02}"
    grouped = f"${cents // 100:,}.{cents % 100:02}"

    assert MoneyMemo()[text] == parse_money(text) == cents
    assert MoneyMemo()[grouped] == parse_money(grouped) == cents


def test_an_amount_that_means_no_value_is_none():
    assert MoneyMemo(blanks=["0.01"])["0.01"] is None


@pytest.mark.parametrize(
    "cell",
    [
        "²5.00",
        "٣.00",
        "12345678901.00",
        "$12,345,678,901.00",
        "1,23.00",
        "$$1.00",
        "$.50",
        ".00.",
        "5.0x",
        "-.05",
        "+1.00",
    ],
)
def test_the_short_way_takes_nothing_that_the_long_way_refuses(cell):
    def by(way):
        try:
            return way(cell)
        except BadCell as bad:
            return bad.code

    assert by(MoneyMemo().__getitem__) == by(parse_money)


def test_a_memo_of_amounts_stays_bounded():
    memo = MoneyMemo()
    for cents in range(45_000):
        assert memo[f"{cents // 100}.{cents % 100:02}"] == cents

    assert len(memo) <= 20_001


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("12345678901", "money_out_of_range"), ("12,345,678,901.00", "money_out_of_range"),
        ("1,234.567", "money_decimals"), ("1.234.567", "money_decimal_comma"),
        ("1.234,5", "money_decimal_comma"), ("12,3", "money_decimal_comma"),
        ("1,2,3", "money_invalid"), ("(", "money_invalid"), ("-", "money_invalid"),
        ("- -5", "money_invalid"), ("5--", "money_invalid"), ("(-5)", "money_invalid"),
        ("USD", "money_invalid"), ("0x10", "money_invalid"), ("1_000", "money_invalid"),
    ],
)  # fmt: skip
def test_an_amount_that_is_none_says_why(text, code):
    with pytest.raises(BadCell) as bad:
        parse_money(text)

    assert bad.value.code == code
    assert bad.value.remedy
    assert text not in str(bad.value) or len(text) < 2


@pytest.mark.parametrize(
    ("text", "units"),
    [("", None), ("1", "1"), ("1.5", "1.5"), ("-2", "-2"), ("0.250", "0.250"), ("1.5000", "1.5000")],
)  # fmt: skip
def test_units_are_exact(text, units):
    assert parse_units(text) == (None if units is None else Decimal(units))


@pytest.mark.parametrize("text", ["1e3", "many", "1,5", "1234567", "1.2345", "NaN", "١", "+1"])
def test_what_is_no_number_of_units_is_refused(text):
    with pytest.raises(BadCell, match="not a number of units"):
        parse_units(text)


@pytest.mark.parametrize(
    ("text", "bare"), [("99213.0", "99213"), ("5.000", "5"), ("5.01", "5.01"), (".0", ".0"), ("a.0", "a.0")]
)  # fmt: skip
def test_the_float_of_a_spreadsheet_is_taken_off_whole_numbers_only(text, bare):
    assert without_float(text) == bare


@pytest.mark.parametrize(
    ("cell", "text"),
    [("\u00a0BLUE\u200b LAKE\u202f", "BLUE LAKE"), ("\ufeff A\u00ad1 ", "A1"), ("a\u2007b", "a b"), ("", "")],
)  # fmt: skip
def test_blanks_that_nobody_sees_go(cell, text):
    assert clean(cell) == text


@pytest.mark.parametrize("text", ["1E+12", "1.23457E+12", "1,5e+10"])
def test_an_identifier_that_lost_its_digits_is_refused(text):
    with pytest.raises(BadCell, match="scientific notation"):
        parse_identifier(text)


@pytest.mark.parametrize("text", ["1E12", "E+12", "12E", "A+1", "000123", "1.5"])
def test_other_identifiers_are_kept_as_they_are(text):
    assert parse_identifier(f" {text} ") == text


def test_texts_that_could_not_be_decoded_or_are_too_long_are_refused():
    assert parse_text("x" * 200) == "x" * 200
    for text, code in (("x" * 201, "text_too_long"), ("a\ufffd", "encoding_invalid")):
        with pytest.raises(BadCell) as bad:
            parse_text(text)
        assert bad.value.code == code
