from __future__ import annotations

import datetime as dt
import decimal
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from claimkit_x12 import values


@pytest.mark.parametrize(
    ("element", "cents"),
    [
        ("0", 0),
        ("417", 41_700),
        ("417.5", 41_750),
        ("417.53", 41_753),
        ("417.", 41_700),
        (".5", 50),
        ("-.05", -5),
        ("-417.53", -41_753),
        ("+417.53", 41_753),
        ("000417.53", 41_753),
        ("417.530000", 41_753),
        ("999999999999999.99", 99_999_999_999_999_999),
    ],
)
def test_an_amount_is_read_exactly(element, cents):
    assert values.amount(element) == cents
    assert values.rounded(element) == (cents, True)


@pytest.mark.parametrize(
    "element",
    [
        *("", " ", ".", "-", "+", "NaN", "nan", "Infinity", "-inf", "1e3", "1E3", "1.5e-2"),
        *("1,234.50", "1_000", "1__0", "$5", "5 0", "5\n", "0x10", "--5", "5-", "(5.00)"),
        *("١٢", "²", "１２.５０", "1.2.3", "1000000000000000", "5.-1", "5.+1", "5. 1"),
    ],
)
def test_what_is_no_plain_number_is_no_amount(element):
    with pytest.raises(ValueError, match="not an amount"):
        values.amount(element)
    with pytest.raises(ValueError, match="not an amount"):
        values.rounded(element)


@pytest.mark.parametrize(
    ("element", "cents"),
    [
        ("0.125", 12),
        ("0.135", 14),
        ("0.1250001", 13),
        ("-0.125", -12),
        ("-0.135", -14),
        ("7.999", 800),
        ("7.994", 799),
    ],
)
def test_more_than_two_decimals_are_rounded_half_to_even_and_told(element, cents):
    assert values.rounded(element) == (cents, False)
    with pytest.raises(ValueError, match="more than two decimals"):
        values.amount(element)


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=6))
@example(Decimal("0.005"))
@example(Decimal("-0.015"))
def test_rounding_is_that_of_decimal(exact):
    with decimal.localcontext(prec=40):
        expected = int((exact * 100).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))

    assert values.rounded(f"{exact:f}") == (expected, exact * 100 == expected)


@given(st.integers(min_value=-(10**13), max_value=10**13))
def test_cents_survive_being_written(cents):
    sign, whole = "-" * (cents < 0), abs(cents)

    assert values.amount(f"{sign}{whole // 100}.{whole % 100:02d}") == cents


@given(st.text(max_size=12))
def test_any_text_is_an_amount_or_a_value_error(element):
    try:
        cents = values.amount(element)
    except ValueError:
        return

    assert Decimal(element) * 100 == cents


def test_the_context_of_the_host_does_not_matter():
    """Decimal traps and precision belong to whoever embeds claimkit."""
    with decimal.localcontext(prec=3, traps=[decimal.Inexact]):
        assert values.rounded("123456789.987654") == (12_345_678_999, False)


@pytest.mark.parametrize(
    ("element", "quantity"),
    [("1", Decimal(1)), ("0.5", Decimal("0.5")), ("-2", Decimal(-2)), (".25", Decimal("0.25"))],
)
def test_a_quantity_is_exact(element, quantity):
    assert values.quantity(element) == quantity


@pytest.mark.parametrize("element", ["", "NaN", "Infinity", "1e3", "1_0", "UN", "1" * 13])
def test_what_is_no_quantity_is_none(element):
    assert values.quantity(element) is None


@pytest.mark.parametrize(
    ("element", "date"),
    [
        ("20260217", dt.date(2026, 2, 17)),
        ("20240229", dt.date(2024, 2, 29)),
        ("260217", dt.date(2026, 2, 17)),
        ("700101", dt.date(1970, 1, 1)),
        ("691231", dt.date(2069, 12, 31)),
        ("19700101", dt.date(1970, 1, 1)),
        ("20991231", dt.date(2099, 12, 31)),
    ],
)
def test_a_date_has_eight_digits_or_six(element, date):
    assert values.date(element) == date


@pytest.mark.parametrize(
    "element",
    [
        *("", "20260230", "20250229", "20261301", "00000000", "99991231", "19691231", "21000101"),
        *(
            "2026-2-1",
            "2026021",
            "202602171",
            "20260217 ",
            "２０２６０２１７",
            "²0260217",
            "+2602170",
        ),
    ],
)
def test_what_is_no_date_is_none(element):
    assert values.date(element) is None


@given(st.dates(dt.date(1970, 1, 1), dt.date(2069, 12, 31)))
def test_dates_survive_being_written(date):
    assert values.date(f"{date:%Y%m%d}") == date
    assert values.date(f"{date:%y%m%d}") == date


@pytest.mark.parametrize(
    ("qualifier", "element", "first", "last"),
    [
        ("D8", "20260105", dt.date(2026, 1, 5), dt.date(2026, 1, 5)),
        ("RD8", "20260105-20260107", dt.date(2026, 1, 5), dt.date(2026, 1, 7)),
        ("D8", "20260105-20260107", dt.date(2026, 1, 5), dt.date(2026, 1, 7)),
        ("DT", "202601051430", dt.date(2026, 1, 5), dt.date(2026, 1, 5)),
        ("RD8", "20260105-", dt.date(2026, 1, 5), None),
        ("RD8", "20260105", dt.date(2026, 1, 5), None),
        ("D8", "soon", None, None),
        ("", "", None, None),
    ],
)
def test_a_period_has_a_first_and_a_last_day(qualifier, element, first, last):
    assert values.date_range(qualifier, element) == (first, last)


@pytest.mark.parametrize(
    ("composite", "procedure"),
    [
        ("HC:99213", ("HC", "99213", ())),
        ("HC:99213:25:GT:59:76", ("HC", "99213", ("25", "GT", "59", "76"))),
        ("HC:99213::GT", ("HC", "99213", ("GT",))),
        ("HC:99213:25:GT:59:76:OFFICE VISIT", ("HC", "99213", ("25", "GT", "59", "76"))),
        ("HC: 99213 :25 ", ("HC", "99213", ("25",))),
        ("NU:0120", ("NU", "0120", ())),
        ("99213", ("", "99213", ())),
        ("", ("", "", ())),
    ],
)
def test_a_procedure_has_a_system_a_code_and_modifiers(composite, procedure):
    assert values.procedure(composite, ":") == procedure


def test_a_component_that_is_not_there_is_blank():
    assert [values.component(["11", "B "], at) for at in range(3)] == ["11", "B", ""]
