"""Elements to values: exact money, dates, quantities and procedures.

Files say the same few days, quantities and procedures over and over, so these have small caches.
Elements come without blanks around them.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from claimkit.types import Cents

__all__ = ["amount", "component", "date", "date_range", "procedure", "quantity", "rounded"]

_AMOUNT = re.compile(r"([+-]?)(?=\.?[0-9])([0-9]{0,15})(?:\.([0-9]*))?")
_QUANTITY = re.compile(r"[+-]?(?:[0-9]{1,12}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})")


def amount(element: str) -> Cents:
    """Return an R element as cents.

    Raises:
        ValueError: not a plain decimal number with at most two decimals.

    >>> amount("1234.5"), amount("-.05"), amount("12.30000")
    (123450, -5, 1230)
    """
    # Nearly all amounts look like one of these, and there are fifteen in a claim.
    whole, point, fraction = element.partition(".")
    if whole.isdigit() and len(element) < 16 and element.isascii():
        if not point:
            return int(whole) * 100
        if fraction.isdigit():
            if len(fraction) == 2:
                return int(whole + fraction)
            if len(fraction) == 1:
                return int(whole + fraction) * 10
    cents, is_exact = rounded(element)
    if not is_exact:
        raise ValueError("more than two decimals")
    return cents


def rounded(element: str) -> tuple[Cents, bool]:
    """Return an R element as cents, half to even, and whether it was exact.

    Raises:
        ValueError: not a plain decimal number of at most 15 digits before the point: NaN,
            infinities, exponents and thousands separators are none.

    >>> rounded("0.125"), rounded("0.135")
    ((12, False), (14, False))
    """
    match = _AMOUNT.fullmatch(element)
    if match is None:
        raise ValueError("not an amount")
    sign, whole, fraction = match.groups("")
    cents = int(f"{whole}{fraction[:2]:0<2}")
    rest = fraction[2:].rstrip("0")
    if rest > "5" or (rest == "5" and cents % 2):
        cents += 1
    return (-cents if sign == "-" else cents), not rest


@functools.lru_cache(maxsize=4_096)
def quantity(element: str) -> Decimal | None:
    """Return an R element as a quantity, None if it is none.

    >>> quantity("1.5"), quantity(""), quantity("NaN")
    (Decimal('1.5'), None, None)
    """
    return Decimal(element) if _QUANTITY.fullmatch(element) else None


@functools.lru_cache(maxsize=8_192)
def date(element: str) -> dt.date | None:
    """Return a CCYYMMDD or YYMMDD element as a date, None if it is none.

    Years outside 1970 to 2099 are sentinels, such as 99991231 for "not yet"; two digits of a year
    are from 1970 on.

    >>> date("20260217"), date("690217"), date("99991231")
    (datetime.date(2026, 2, 17), datetime.date(2069, 2, 17), None)
    """
    if not (element.isascii() and element.isdigit()):
        return None
    try:
        if len(element) == 8:
            found = dt.date(int(element[:4]), int(element[4:6]), int(element[6:]))
        elif len(element) == 6:
            year = int(element[:2])
            century = 1900 if year >= 70 else 2000
            found = dt.date(century + year, int(element[2:4]), int(element[4:]))
        else:
            return None
    except ValueError:
        return None
    return found if 1970 <= found.year <= 2099 else None


def date_range(qualifier: str, element: str) -> tuple[dt.date | None, dt.date | None]:
    """Return a DTP03 by its format qualifier (D8, RD8, DT): first and last day.

    >>> date_range("RD8", "20260105-20260107")
    (datetime.date(2026, 1, 5), datetime.date(2026, 1, 7))
    """
    if qualifier == "RD8" or (len(element) == 17 and element[8] == "-"):
        first, _, last = element.partition("-")
        return date(first), date(last)
    day = date(element[:8])
    return day, day


@functools.lru_cache(maxsize=8_192)
def procedure(composite: str, separator: str) -> tuple[str, str, tuple[str, ...]]:
    """Return a composite medical procedure as system, code and up to four modifiers.

    >>> procedure("HC:99213:25:GT", ":"), procedure("99213", ":")
    (('HC', '99213', ('25', 'GT')), ('', '99213', ()))
    """
    parts = [one.strip() for one in composite.split(separator)]
    if len(parts) == 1:
        return "", parts[0], ()
    return parts[0], parts[1], tuple(filter(None, parts[2:6]))


def component(composite: list[str], at: int) -> str:
    """Return a component of a composite element, ``""`` where it is not there."""
    return composite[at].strip() if at < len(composite) else ""
