"""A JSON element that knows where it stands: values of the right type, or a clear complaint.

Hides how JSON disappoints: wrong types, blank texts, lone surrogates, dates without a day, amounts
in other currencies. Nothing that a resource says gets into a message; its path does.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from claimkit.types import Cents

__all__ = ["MAX_IDENTIFIER", "MAX_TEXT", "Node", "Spoiled", "cents_of"]

#: Longest identifier and longest text that a claim keeps.
MAX_IDENTIFIER = 64
MAX_TEXT = 200
#: Digits before the point of an amount that may be true.
_MAX_DIGITS = 10
_CENT = Decimal("0.01")
_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T\S*)?)?)?", re.ASCII)
_YEARS = range(1970, 2100)


class Spoiled(Exception):
    """The resource at hand cannot be taken; the file goes on."""

    def __init__(self, code: str, message: str, remedy: str, where: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy
        self.where = where


def cents_of(number: Decimal) -> tuple[Cents, bool]:
    """Return an amount in cents, half to even, and whether it was exact.

    Raises:
        ValueError: more than ten digits before the point.

    >>> cents_of(Decimal("12.5")), cents_of(Decimal("0.125"))
    ((1250, True), (12, False))
    """
    if not number.is_finite() or (number and number.adjusted() >= _MAX_DIGITS):
        raise ValueError("too large")
    rounded = number.quantize(_CENT, ROUND_HALF_EVEN)
    return int(rounded.scaleb(2)), rounded == number


class Node:
    """One JSON object of a resource.

    Attributes:
        value: The object; empty where the resource does not have it.
        path: Where it stands, as FHIRPath writes it.
        note: Takes code and message of what is odd and can be used.
    """

    __slots__ = ("note", "path", "value")

    def __init__(
        self, value: Mapping[str, Any], path: str, note: Callable[[str, str], None]
    ) -> None:
        self.value = value
        self.path = path
        self.note = note

    def __bool__(self) -> bool:
        return bool(self.value)

    def child(self, name: str) -> Node:
        """Return the object of that name, an empty one where there is none."""
        found = self.value.get(name)
        where = f"{self.path}.{name}"
        if found is None:
            found = {}
        elif not isinstance(found, dict):
            raise _wrong_type(where, "an object")
        return Node(found, where, self.note)

    def children(self, name: str) -> Iterator[Node]:
        """Yield the objects of the list of that name."""
        found = self.value.get(name)
        if found is None:
            return
        where = f"{self.path}.{name}"
        if not isinstance(found, list):
            raise _wrong_type(where, "a list")
        for at, one in enumerate(found):
            if not isinstance(one, dict):
                raise _wrong_type(f"{where}[{at}]", "an object")
            yield Node(one, f"{where}[{at}]", self.note)

    def text(self, name: str, longest: int = MAX_IDENTIFIER) -> str:
        """Return the text of that name without blanks around it, ``""`` where there is none."""
        found = self.value.get(name)
        if found is None:
            return ""
        return _clean(found, f"{self.path}.{name}", longest)

    def first_text(self, name: str) -> str:
        """Return the first of the texts of that name; a text that is no list counts as one."""
        found = self.value.get(name)
        if isinstance(found, list):
            for at, one in enumerate(found):
                if one is not None and (text := _clean(one, f"{self.path}.{name}[{at}]")):
                    return text
            return ""
        return self.text(name)

    def number(self, name: str) -> Decimal | None:
        """Return the number of that name."""
        found = self.value.get(name)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | Decimal):
            raise _wrong_type(f"{self.path}.{name}", "a number")
        return Decimal(found)

    def quantity(self, name: str) -> Decimal | None:
        """Return the value of a Quantity that may be true, with at most twelve decimals."""
        found = self.child(name).number("value")
        if found is None or (found and not -12 <= found.adjusted() < 12):
            return None
        return found if found.as_tuple().exponent >= -12 else None  # type: ignore[operator]

    def money(self, name: str) -> Cents | None:
        """Return a Money as cents, None where it has no value."""
        money = self.child(name)
        where = f"{money.path}.value"
        found = money.value.get("value")
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | Decimal):
            raise Spoiled(
                "money_invalid", "an amount is not a number", "Ask the sender to correct it", where
            )
        if money.text("currency") not in ("", "USD"):
            raise Spoiled(
                "currency_unsupported",
                "an amount is not in US dollars",
                "Convert the amounts before the import; currencies cannot be added up",
                f"{money.path}.currency",
            )
        try:
            cents, is_exact = cents_of(Decimal(found))
        except ValueError:
            raise Spoiled(
                "money_out_of_range",
                "an amount is too large to be true",
                "Ask the sender to correct it",
                where,
            ) from None
        if not is_exact:
            self.note("money_precision", f"{where} has more than two decimals")
        return cents

    def day(self, name: str) -> dt.date | None:
        """Return the day of a date or dateTime; None, with a notice, where it tells no day."""
        where = f"{self.path}.{name}"
        found = self.value.get(name)
        if found is None:
            return None
        match = _DATE.fullmatch(found.strip()) if isinstance(found, str) else None
        if match is None:
            self.note("date_invalid", f"{where} is not a date")
            return None
        year, month, day = match.groups()
        if day is None:
            self.note("date_partial", f"{where} tells no day")
            return None
        try:
            told = dt.date(int(year), int(month), int(day))
        except ValueError:
            self.note("date_invalid", f"{where} is not a date")
            return None
        if told.year not in _YEARS:
            self.note("date_invalid", f"{where} is not between 1970 and 2099")
            return None
        return told

    def codings(self, name: str) -> list[tuple[str, str]]:
        """Return system and code of each coding of the CodeableConcept of that name."""
        return self.child(name).own_codings()

    def own_codings(self) -> list[tuple[str, str]]:
        """Return system and code of each coding, where this is a CodeableConcept itself."""
        found = ((one.text("system", MAX_TEXT), one) for one in self.children("coding"))
        return [(system, code) for system, one in found if (code := one.text("code", MAX_TEXT))]


def _clean(found: object, where: str, longest: int = MAX_IDENTIFIER) -> str:
    if not isinstance(found, str):
        raise _wrong_type(where, "a text")
    text = found.strip()
    if not text.isprintable():
        # NUL, lone surrogates and line ends: no store takes them all.
        text = "".join(mark if mark.isprintable() else " " for mark in text).strip()
    if len(text) > longest:
        raise Spoiled(
            "identifier_too_long" if longest == MAX_IDENTIFIER else "text_too_long",
            f"the text has more than {longest} characters",
            "Ask the sender to correct the resource",
            where,
        )
    return text


def _wrong_type(where: str, wanted: str) -> Spoiled:
    return Spoiled(
        "resource_invalid",
        f"the element is not {wanted}",
        "Ask the sender for resources that follow FHIR R4",
        where,
    )
