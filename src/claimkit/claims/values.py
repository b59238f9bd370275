"""Cells of a billing CSV as exact values: money, dates, codes, words, identifiers.

A cell either becomes a value or raises :class:`BadCell` with what is wrong and what to do: nothing
dirty silently becomes "no value". Each column converts through a :class:`Memo`, because a million
rows hold a few thousand distinct cells.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from claimkit.types import Cents

__all__ = [
    "MAX_CENTS",
    "STATUS_WORDS",
    "BadCell",
    "DateParser",
    "Memo",
    "Procedure",
    "Reason",
    "clean",
    "decide_date_order",
    "is_serial_column",
    "parse_identifier",
    "parse_modifiers",
    "parse_money",
    "parse_procedure",
    "parse_reasons",
    "parse_remarks",
    "parse_status",
    "parse_text",
    "parse_units",
]

_T = TypeVar("_T")

#: Amounts of ten billion dollars and more are typing errors or claim numbers in a wrong column.
MAX_CENTS = 10**12 - 1
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


def clean(cell: str) -> str:
    r"""Return ``cell`` without surrounding blanks, no-break blanks and zero-width characters.

    >>> clean("\\u00a0BLUE\\u200b LAKE ")
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


# -- dates ------------------------------------------------------------------------------------

_FIRST_YEAR, _LAST_YEAR = 1970, 2069  # What two-digit years can say with the pivot at 70.
_EXCEL_EPOCH = dt.date(1899, 12, 30)  # Serial 60 is the 29 February 1900 that never was.
_MAX_SERIAL = 60_000
_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})\Z", re.ASCII)
_SLASHED = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d{2})\Z", re.ASCII)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:\.0*)?\Z", re.ASCII)
_NAMED = re.compile(
    r"(?:(\d{1,2})[- ]([A-Za-z]{3,9})|([A-Za-z]{3,9})\.? (\d{1,2}),?)[-, ]+(\d{4}|\d{2})\Z",
    re.ASCII,
)
_CLOCK = re.compile(
    r"[T ]\s*\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?\s*(?:[AaPp]\.?[Mm]\.?)?\s*"
    r"(?:Z|UTC|GMT|[A-Z]{2,4}|[+-]\d{2}:?\d{2})?\Z",
    re.ASCII,
)
_SERIAL = re.compile(r"\d{1,5}(?:\.\d+)?\Z", re.ASCII)
_NUMERIC = re.compile(r"\d+(?:\.\d+)?\Z", re.ASCII)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
#: This many days above 12 before a column is read as day/month: one odd row must not turn a file.
_DAY_FIRST_EVIDENCE = 3


class DateParser:
    """Turns cells of one column into dates, by decisions made once for the column.

    Args:
        day_first: Whether ``03/04/2025`` is the third of April.
        serials: Whether bare numbers up to 60,000 are Excel day numbers (1900 system).

    >>> DateParser()("01/02/2025"), DateParser(day_first=True)("01/02/2025")
    (datetime.date(2025, 1, 2), datetime.date(2025, 2, 1))
    >>> DateParser(serials=True)("45659")
    datetime.date(2025, 1, 2)
    """

    def __init__(self, *, day_first: bool = False, serials: bool = False) -> None:
        self._day_first = day_first
        self._serials = serials

    def __call__(self, text: str) -> dt.date | None:
        """Return the local date as written, None of an empty text.

        Raises:
            BadCell: not a date, an impossible one, or one outside 1970 to 2069.
        """
        if not text:
            return None
        text = _CLOCK.sub("", text)
        parts = self._parts(text)
        if parts is None:
            if self._serials and _SERIAL.match(text) and 1 <= float(text) < _MAX_SERIAL + 1:
                return self._checked(_EXCEL_EPOCH + dt.timedelta(days=int(float(text))))
            raise BadCell(
                "date_invalid", "this is not a date", "Write dates as 2025-01-31 or 01/31/2025"
            )
        try:
            return self._checked(dt.date(*parts))
        except ValueError as error:
            if isinstance(error, BadCell):
                raise
            raise self._impossible(text) from None

    def _parts(self, text: str) -> tuple[int, int, int] | None:
        match = _ISO.match(text) or _COMPACT.match(text)
        if match:
            return int(match[1]), int(match[2]), int(match[3])
        match = _SLASHED.match(text)
        if match:
            month, day = (2, 1) if self._day_first else (1, 2)
            return _full_year(match[3]), int(match[month]), int(match[day])
        match = _NAMED.match(text)
        if match and (match[2] or match[3])[:3].lower() in _MONTHS:
            month = _MONTHS.index((match[2] or match[3])[:3].lower()) + 1
            return _full_year(match[5]), month, int(match[1] or match[4])
        return None

    def _impossible(self, text: str) -> BadCell:
        match = _SLASHED.match(text)
        if match and int(match[2 if self._day_first else 1]) > 12 >= int(
            match[1 if self._day_first else 2]
        ):
            order = "day/month" if self._day_first else "month/day"
            return BadCell(
                "date_order",
                f"the date does not fit the column, which is read as {order}/year",
                "Use one order throughout, or say which with the date order option",
            )
        return BadCell("date_impossible", "there is no such day", "Correct or empty the date")

    @staticmethod
    def _checked(date: dt.date) -> dt.date:
        if not _FIRST_YEAR <= date.year <= _LAST_YEAR:
            raise BadCell(
                "date_out_of_range",
                f"the year is not between {_FIRST_YEAR} and {_LAST_YEAR}",
                "Leave the cell empty where there is no date yet",
            )
        return date


def _full_year(text: str) -> int:
    year = int(text)
    if len(text) == 4:
        return year
    return year + (1900 if year >= 70 else 2000)


def is_serial_column(cells: Iterable[str]) -> bool:
    """Whether a date column holds Excel day numbers: all its cells are bare numbers."""
    filled = [text for text in map(clean, cells) if text]
    return bool(filled) and all(_NUMERIC.match(text) for text in filled)


def decide_date_order(cells: Iterable[str]) -> tuple[int, int, int]:
    """Count what a column says of its date order.

    Returns:
        How many dates can only be day/month, how many only month/day, and how many are open.

    >>> decide_date_order(["25/12/2025", "03/04/2025", "2025-02-01"])
    (1, 0, 1)
    """
    day_first = month_first = either = 0
    for cell in cells:
        match = _SLASHED.match(_CLOCK.sub("", clean(cell)))
        if match is None:
            continue
        one, two = int(match[1]), int(match[2])
        if one > 12 >= two:
            day_first += 1
        elif two > 12 >= one:
            month_first += 1
        else:
            either += 1
    return day_first, month_first, either


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


# -- codes ------------------------------------------------------------------------------------


class Procedure(NamedTuple):
    """A procedure cell taken apart; ``repaired`` when a spreadsheet had made it a number."""

    #: X12 qualifier: HC, AD, NU, N4, ZZ; empty where there is no code.
    system: str
    code: str
    modifiers: tuple[str, ...]
    repaired: bool


_HCPCS = re.compile(r"\d{4}[A-Z0-9]\Z|[A-Z]\d{4}\Z", re.ASCII)
_MODIFIER = re.compile(r"[A-Z0-9]{2}\Z", re.ASCII)
_BETWEEN = re.compile(r"[\s,:;*^/-]+", re.ASCII)
_QUALIFIERS = frozenset({"HC", "AD", "NU", "N4", "ZZ", "HP"})


def parse_procedure(text: str, *, strict: bool = True) -> Procedure:
    """Return code, code system and modifiers of ``99213``, ``99213-25`` or ``HC:99213:25``.

    ``99213.0`` is repaired; a code that lost its leading zeros is not, because ``213`` may have
    been anything.

    Args:
        text: The cell.
        strict: Whether the column promises CPT/HCPCS; else revenue codes, NDCs and a
            system's own charge codes are taken too.

    Raises:
        BadCell: not such a code.

    >>> parse_procedure("99213-25")
    Procedure(system='HC', code='99213', modifiers=('25',), repaired=False)
    """
    if not text:
        return Procedure("", "", (), repaired=False)
    upper = text.upper()
    number = _TRAILING_ZERO.match(upper)
    code, *rest = [part for part in _BETWEEN.split(number[1] if number else upper) if part] or [""]
    if code in _QUALIFIERS and rest:
        code, *rest = rest
    system = _system(code, strict=strict)
    if not system and number is None and not strict and len(upper) <= MAX_IDENTIFIER:
        return Procedure("ZZ", upper, (), repaired=False)
    if not system:
        raise BadCell(
            "procedure_invalid",
            "this is not a procedure code of five characters",
            "Export the column as text, so that leading zeros stay",
        )
    return Procedure(system, code, _modifiers(rest), repaired=number is not None)


def _system(code: str, *, strict: bool) -> str:
    if _HCPCS.match(code):
        return "AD" if code[0] == "D" else "HC"
    if not strict and code.isascii() and code.isdigit():
        return {4: "NU", 11: "N4"}.get(len(code), "")
    return ""


def parse_modifiers(text: str) -> tuple[str, ...]:
    """Return the two-character modifiers of ``25``, ``25,59`` or ``25 59``.

    Raises:
        BadCell: something else than modifiers.
    """
    return _modifiers(_BETWEEN.split(_undo_float(text.upper())) if text else ())


def _modifiers(parts: Iterable[str]) -> tuple[str, ...]:
    found = tuple(part for part in parts if part)
    if not all(_MODIFIER.match(part) for part in found):
        raise BadCell(
            "modifier_invalid", "this is not a modifier of two characters", "Correct the modifier"
        )
    return found


def _undo_float(text: str) -> str:
    match = _TRAILING_ZERO.match(text)
    return match[1] if match else text


class Reason(NamedTuple):
    """A claim adjustment reason as a CSV names it."""

    #: CO, PR, OA, PI or CR; empty where only the code is given.
    group: str
    code: str


_REASON = re.compile(r"(?:(CO|PR|OA|PI|CR)[-/: ]*)?([ABDPWY]?\d{1,3})(?!\w)", re.ASCII)
_REMARK = re.compile(r"(?:M|MA|N)\d{1,3}\Z", re.ASCII)
_REASON_GAP = re.compile(r"[\s,;|/&+]*\Z", re.ASCII)


def parse_reasons(text: str) -> tuple[Reason, ...]:
    """Return the adjustment reasons of ``CO-197``, ``CO197``, ``197`` or ``CO-45; PR-1``.

    Raises:
        BadCell: text that is not made of reason codes.

    >>> parse_reasons("co-16, PR1")
    (Reason(group='CO', code='16'), Reason(group='PR', code='1'))
    """
    if not text:
        return ()
    upper, at, found = _undo_float(text.upper()), 0, []
    for match in _REASON.finditer(upper):
        if not _REASON_GAP.match(upper[at : match.start()]):
            break
        code = match[2].lstrip("0") or "0"
        found.append(Reason(match[1] or "", code))
        at = match.end()
    rest = upper[at:]
    if not found or not _REASON_GAP.match(rest):
        # A code with its text ("197 - Precert absent") is a code; a text alone is not.
        if found and re.match(r"\s*[-:.]\s|\s+[A-Z(]", rest):
            return tuple(found)
        raise BadCell(
            "reason_invalid",
            "this is not an adjustment reason code such as CO-197",
            "Map the column that holds the code; free text is not read",
        )
    return tuple(found)


def parse_remarks(text: str) -> tuple[str, ...]:
    """Return the remark codes (RARC) of ``N130``, ``MA04 N30``; free text gives none.

    Remark columns often hold sentences, which are nobody's codes: they are passed over whole.
    """
    parts = [part for part in re.split(r"[\s,;|/]+", text.upper()) if part]
    return tuple(parts) if parts and all(_REMARK.match(part) for part in parts) else ()


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


# -- status -----------------------------------------------------------------------------------

#: Folded status texts and CLP02 codes → the words that claimkit uses.
STATUS_WORDS = {
    **dict.fromkeys(("paid", "paid in full", "payment posted", "paid full", "approved"), "paid"),
    **dict.fromkeys(
        ("closed", "processed", "finalized", "finalised", "complete", "completed", "adjudicated"),
        "processed",
    ),
    **dict.fromkeys(
        ("denied", "denial", "full denial", "fully denied", "denied in full", "4"), "denied"
    ),
    **dict.fromkeys(
        ("partial", "partially paid", "partial paid", "partial payment", "paid partial",
         "partially denied", "partial denial"), "partial",
    ),
    **dict.fromkeys(
        ("rejected", "reject", "clearinghouse rejected", "rejected by clearinghouse",
         "payer rejected"), "rejected",
    ),
    **dict.fromkeys(
        ("pending", "pend", "pended", "in process", "in progress", "processing", "in review",
         "billed", "open", "submitted", "sent", "accepted", "outstanding", "awaiting payment",
         "no response", "filed", "acknowledged", "unpaid"), "pending",
    ),
    **dict.fromkeys(
        ("void", "voided", "reversed", "reversal", "takeback", "take back", "recouped",
         "refunded", "22"), "reversed",
    ),
    **dict.fromkeys(("1", "2", "3", "19", "20", "21"), "processed"),
    **dict.fromkeys(("23", "25"), "other"),
}  # fmt: skip


def parse_status(text: str) -> str:
    """Return claimkit's word for a status text or CLP02 code; ``"?"`` where nobody knows it.

    >>> parse_status("Partially-Paid"), parse_status("1 - Processed as primary")
    ('partial', 'processed')
    """
    if not text:
        return ""
    folded = " ".join(re.sub(r"[^a-z0-9]+", " ", _undo_float(text.lower())).split())
    word = STATUS_WORDS.get(folded) or STATUS_WORDS.get(folded.removeprefix("claim ").strip())
    if word is None and folded[:1].isdigit():
        word = STATUS_WORDS.get(folded.split(" ", 1)[0])
    return word or "?"
