"""Elements to values: exact money, dates, quantities and text, each with a small cache."""

from __future__ import annotations

import datetime as dt
import functools
import re
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from claimkit.types import Cents

__all__ = ["amount", "component", "date", "date_range", "quantity", "text"]

_AMOUNT = re.compile(r"^[+-]?(?:\d{1,15}(?:\.\d*)?|\.\d+)$")
_QUANTITY = re.compile(r"^[+-]?(?:\d{1,12}(?:\.\d*)?|\.\d+)$")


@functools.lru_cache(maxsize=65_536)
def amount(element: str) -> tuple[Cents, bool]:
    """Return an R element as cents, and whether it had to be rounded (half even).

    Raises:
        ValueError: not a plain decimal number: NaN, infinities and exponents are none.
    """
    if not _AMOUNT.match(element):
        raise ValueError("not an amount")
    whole, _, fraction = element.partition(".")
    if len(fraction) <= 2:
        cents = int(whole.lstrip("+-") or "0") * 100 + int((fraction + "00")[:2])
        return (-cents if whole.startswith("-") else cents), False
    exact = Decimal(element).scaleb(2)
    cents = int(exact.to_integral_value())
    return cents, cents != exact


@functools.lru_cache(maxsize=4_096)
def quantity(element: str) -> Decimal | None:
    """Return an R element as a quantity, None if it is none."""
    return Decimal(element) if _QUANTITY.match(element) else None


@functools.lru_cache(maxsize=16_384)
def date(element: str) -> dt.date | None:
    """Return a CCYYMMDD or YYMMDD element as a date, None if it is none; sentinels are none."""
    try:
        if len(element) == 8 and element.isascii() and element.isdigit():
            found = dt.date(int(element[:4]), int(element[4:6]), int(element[6:]))
        elif len(element) == 6 and element.isascii() and element.isdigit():
            year = int(element[:2])
            found = dt.date(
                year + (1900 if year >= 70 else 2000), int(element[2:4]), int(element[4:])
            )
        else:
            return None
    except ValueError:
        return None
    return found if 1970 <= found.year <= 2099 else None


def date_range(qualifier: str, element: str) -> tuple[dt.date | None, dt.date | None]:
    """Return a DTP03 by its format qualifier (D8, RD8, DT): first and last day."""
    if qualifier == "RD8" or (len(element) == 17 and element[8] == "-"):
        first, _, last = element.partition("-")
        return date(first), date(last)
    day = date(element[:8])
    return day, day


@functools.lru_cache(maxsize=65_536)
def text(element: str) -> str:
    """Return an AN element as people wrote it: segments are read as Latin-1, files are not."""
    if element.isascii():
        return element.strip()
    raw = element.encode("latin-1")
    try:
        return raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace").strip()


def component(composite: list[str], at: int) -> str:
    """Return a component of a composite element, ``""`` where it is not there."""
    return composite[at] if at < len(composite) else ""
