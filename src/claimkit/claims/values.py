"""Cells of a billing CSV as exact values: money, identifiers, names, units.

A cell either becomes a value or raises :class:`BadCell` with what is wrong and what to do: nothing
dirty silently becomes "no value". Each column converts through a :class:`Memo`, because a million
rows hold a few thousand distinct cells. Dates are in :mod:`claimkit.claims.dates`, codes and
status words in :mod:`claimkit.claims.codes`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from claimkit.types import Cents

__all__ = [
    "MAX_IDENTIFIER",
    "BadCell",
    "Memo",
    "MoneyMemo",
    "clean",
    "parse_identifier",
    "parse_money",
    "parse_text",
    "parse_units",
    "without_float",
]

_T = TypeVar("_T")

#: Amounts as nearly all exports write them: ``1234.50``, ``$1,234.50``.
_USUAL_MONEY = re.compile(r"\$?(\d{1,3}(?:,\d{3})+|\d{1,10})\.(\d\d)\Z", re.ASCII)
#: Ten digits and their commas.
_USUAL_LENGTH = 13

#: Longest text that a claim keeps (names, places) and longest identifier (CLP01 has 38).
MAX_TEXT = 200
MAX_IDENTIFIER = 64

#: Zero-width characters vanish, exotic blanks become blanks.
_INVISIBLE = dict.fromkeys((0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x00AD)) | dict.fromkeys(
    (0x00A0, 0x2007, 0x202F), " "
)


class BadCell(ValueError):
    """A cell that cannot be taken as what its column holds.

    Args:
        code: Stable code of the problem, such as ``money_invalid``.
        message: What is wrong, without the value itself.
        remedy: What to do about it.
    """

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy


class Memo(dict[str, _T], Generic[_T]):
    """Cell → value, converting each distinct cell once; forgets everything when it is full.

    >>> cents = Memo(parse_money)
    >>> cents["12.50"], cents["12.50"], len(cents)
    (1250, 1250, 1)
    """

    def __init__(
        self, convert: Callable[[str], _T], *, blanks: Iterable[str] = (), limit: int = 20_000
    ) -> None:
        super().__init__()
        self._convert = convert
        self._blanks = frozenset(blank.casefold() for blank in blanks)
        self._limit = limit

    def __missing__(self, cell: str) -> _T:
        text = clean(cell)
        if text and text.casefold() in self._blanks:
            text = ""
        value = self._convert(text)
        if len(self) >= self._limit:
            self.clear()
        self[cell] = value
        return value


class MoneyMemo(Memo["Cents | None"]):
    """The same for amounts, of which a file has many: the plain ones take a short way."""

    def __init__(self, *, blanks: Iterable[str] = ()) -> None:
        super().__init__(parse_money, blanks=blanks)

    def __missing__(self, cell: str) -> Cents | None:
        usual = _USUAL_MONEY.match(cell)
        # Beyond ten digits nothing is usual, and any text may be one that means "no value".
        if usual is None or len(usual[1]) > _USUAL_LENGTH or self._blanks:
            return super().__missing__(cell)
        if len(self) >= self._limit:
            self.clear()
        cents = self[cell] = int(usual[1].replace(",", "") + usual[2])
        return cents


def clean(cell: str) -> str:
    r"""Return ``cell`` without surrounding blanks, no-break blanks and zero-width characters.

    >>> clean("\u00a0BLUE\u200b LAKE ")
    'BLUE LAKE'
    """
    return cell.strip() if cell.isascii() else cell.translate(_INVISIBLE).strip()


# -- money ------------------------------------------------------------------------------------

_PLAIN_MONEY = re.compile(r"(\d{0,10})(?:\.(\d{0,2}))?\Z", re.ASCII)
_GROUPED_MONEY = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d{0,2})?\Z", re.ASCII)
_DECIMALS = re.compile(r"\d*(?:,\d{3})*\.\d{3,}\Z", re.ASCII)
_DECIMAL_COMMA = re.compile(r"\d[\d.]*,\d{1,2}\Z|\d{1,3}(?:\.\d{3})+(?:,\d+)?\Z", re.ASCII)


def parse_money(text: str) -> Cents | None:
    """Return the exact cents of ``text``, None of an empty text.

    Takes ``$1,234.50``, ``(12.50)``, ``12.50-``, ``-12.50``, U+2212, ``1234.5``, ``.5``,
    ``60 USD``. Never rounds and never guesses a decimal comma.

    Raises:
        BadCell: anything else.

    >>> parse_money("$1,234.50"), parse_money("(12.50)"), parse_money("12.50-"), parse_money("")
    (123450, -1250, -1250, None)
    """
    if not text:
        return None
    digits, negative = _unsigned(text)
    match = _PLAIN_MONEY.match(digits)
    if match is None or digits in {"", "."}:
        if not _GROUPED_MONEY.match(digits):
            raise _bad_money(digits)
        match = _PLAIN_MONEY.match(digits.replace(",", ""))
        if match is None:
            raise _bad_money(digits)
    cents = int(match[1] or "0") * 100 + int((match[2] or "").ljust(2, "0"))
    return -cents if negative else cents


def _unsigned(text: str) -> tuple[str, bool]:
    """Split a money text into its digits part and whether it is negative."""
    digits = text.replace("\u2212", "-")
    negative = False
    if digits[0] == "(" and digits[-1] == ")":
        negative, digits = True, digits[1:-1].strip()
    digits = digits.removesuffix("USD").removeprefix("USD").strip()
    if digits[:1] == "-":
        # A sign inside parentheses would be negative twice: no accountant writes that.
        digits = "?" if negative else digits[1:].lstrip()
        negative = True
    elif digits[:1] == "+":
        digits = digits[1:].lstrip()
    digits = digits.removeprefix("US$").removeprefix("$").lstrip()
    if digits[:1] == "-" and not negative:
        negative, digits = True, digits[1:].lstrip()
    if digits[-1:] == "-" and not negative:
        negative, digits = True, digits[:-1].rstrip()
    return digits, negative


def _bad_money(digits: str) -> BadCell:
    bare = digits.replace(",", "")
    if re.fullmatch(r"\d{11,}(?:\.\d{0,2})?", bare, re.ASCII):
        return BadCell(
            "money_out_of_range",
            "the amount is too large to be true",
            "Check that the column really holds amounts",
        )
    if _DECIMALS.match(digits):
        return BadCell(
            "money_decimals",
            "the amount has more than two decimals",
            "Round it in the source, so that the choice is yours",
        )
    if _DECIMAL_COMMA.match(digits):
        return BadCell(
            "money_decimal_comma",
            "a comma as the decimal sign is ambiguous",
            "Export amounts as 1234.50",
        )
    return BadCell(
        "money_invalid",
        "this is not an amount",
        "Write amounts as 1234.50; declare texts that mean 'no value' as null texts",
    )


# -- identifiers and text ---------------------------------------------------------------------

_SCIENTIFIC = re.compile(r"\d(?:[.,]\d+)?E[+]?\d{1,3}\Z", re.ASCII | re.IGNORECASE)
_TRAILING_ZERO = re.compile(r"(\d+)\.0+\Z", re.ASCII)


def parse_identifier(cell: str) -> str:
    """Return an identifier as text, exactly as written but for surrounding blanks.

    Raises:
        BadCell: a spreadsheet destroyed it (``1.23457E+12``), or it is too long to be one.
    """
    text = clean(cell)
    if len(text) > MAX_IDENTIFIER:
        raise BadCell("identifier_too_long", "this is too long to be an identifier", _ONE_ROW)
    if "+" in text and _SCIENTIFIC.match(text):
        raise BadCell(
            "identifier_destroyed",
            "a spreadsheet turned the number into scientific notation and lost digits",
            "Export again with the column formatted as text",
        )
    if "\ufffd" in text:
        raise _undecodable()
    return text


_ONE_ROW = "Check that the row's columns are not shifted"


def parse_text(text: str) -> str:
    """Return a name or another short text.

    Raises:
        BadCell: characters that could not be decoded, or a text that is too long.
    """
    if "\ufffd" in text:
        raise _undecodable()
    if len(text) > MAX_TEXT:
        raise BadCell("text_too_long", f"the text is longer than {MAX_TEXT} characters", _ONE_ROW)
    return text


def _undecodable() -> BadCell:
    return BadCell(
        "encoding_invalid",
        "the cell holds bytes that are text in no usual encoding",
        "Export the file as UTF-8",
    )


def parse_units(text: str) -> Decimal | None:
    """Return units as an exact number, None of an empty text.

    Raises:
        BadCell: not a plain number of at most six digits and three decimals.
    """
    if not text:
        return None
    if not re.fullmatch(r"-?\d{1,6}(?:\.\d{1,3}0*)?", text, re.ASCII):
        raise BadCell("units_invalid", "this is not a number of units", "Write units as 1 or 1.5")
    return Decimal(text)


def without_float(text: str) -> str:
    """Return ``text`` without the ``.0`` that a spreadsheet puts behind whole numbers."""
    match = _TRAILING_ZERO.match(text)
    return match[1] if match else text
