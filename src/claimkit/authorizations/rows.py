"""Reads CSV exports of authorizations; a bad row is a value and never loses the file.

Columns are found by name, in any order and case. The cell that names the patient is handed on once, to be made a
token of, and is in no problem, message or ``repr``.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from claimkit.authorizations.model import Authorization
from claimkit.errors import AuthorizationInvalid, FileRefused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["COLUMNS", "AuthorizationRow", "RowTrouble", "read_rows"]

#: Field → names of columns, folded to letters and digits.
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "number": ("authorizationnumber", "authnumber", "authno", "auth", "authorization", "priorauth",
               "priorauthorization", "referencenumber", "number"),
    "payer": ("payer", "payername", "insurance", "plan", "carrier"),
    "procedure": ("procedure", "procedurecode", "cpt", "hcpcs", "code", "servicecode"),
    "member_id": ("memberid", "member", "subscriberid", "patientid", "insuredid", "policynumber"),
    "valid_from": ("validfrom", "startdate", "start", "effectivedate", "from", "begindate"),
    "valid_until": ("validuntil", "enddate", "end", "expirationdate", "expires", "until", "thru", "to"),
    "units_authorized": ("unitsauthorized", "authorizedunits", "unitsapproved", "approvedunits",
                         "units", "visitsauthorized", "visits"),
    "units_used": ("unitsused", "usedunits", "used", "visitsused"),
}  # fmt: skip
_OPTIONAL: Final = frozenset({"member_id", "units_used"})
_LONGEST: Final[Mapping[str, int]] = {"number": 64, "payer": 200, "procedure": 16, "member_id": 64}
_MOST_CELL: Final = 131_072
_DATES: Final = ("%Y-%m-%d", "%m/%d/%Y", "%Y%m%d")
_FIRST_YEAR, _LAST_YEAR = 1970, 2069


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRow:
    """One row of a file, in order."""

    #: Line of the file, from 1.
    line: int
    authorization: Authorization
    #: Who it is for, to be made a token of and forgotten; empty where the file does not tell.
    member_id: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTrouble:
    """One row that could not be taken, and how to repair it; nothing of the row's text."""

    #: Stable, documented in ``reference/authorizations``.
    code: str
    message: str
    remedy: str
    #: Line of the file, from 1.
    line: int
    #: Our name of the field; empty where it is the row as a whole.
    field_name: str = ""


class _Bad(Exception):
    def __init__(self, code: str, message: str, remedy: str, field_name: str = "") -> None:
        super().__init__(message)
        self.told = (code, message, remedy, field_name)


def read_rows(content: bytes) -> Iterator[AuthorizationRow | RowTrouble]:
    """Yield the rows of a file, taken or not, in order; a number that stands twice is taken once.

    Args:
        content: The file: UTF-8 or cp1252, separated by commas, semicolons, tabs or pipes.

    Raises:
        FileRefused: it is empty, or its first row does not name the columns that are needed.
    """
    text = _text(content)
    head = next((line for line in text.splitlines() if line.strip()), "")
    if not head:
        raise FileRefused("the file is empty", remedy="Export it again", code="file_empty")
    delimiter = max(",;\t|", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return _rows(reader)


def _text(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    # Whatever is NUL was damaged on its way, and no database stores it.
    return text.replace("\0", "\ufffd")


def _rows(reader: Iterator[list[str]]) -> Iterator[AuthorizationRow | RowTrouble]:
    places: dict[str, int] | None = None
    seen: dict[str, int] = {}
    line = 0
    while True:
        begins = line + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error:
            line = reader.line_num  # type: ignore[attr-defined]
            if places is not None:
                yield _trouble(begins, _Bad("row_broken", "the row is no CSV", "Export it again"))
            continue
        line = reader.line_num  # type: ignore[attr-defined]
        if not any(one.strip() for one in cells):
            continue
        if places is None:
            places = _places(cells)
            continue
        try:
            row = _row(cells, places, begins)
            number = row.authorization.number
            if number in seen:
                raise _Bad(
                    "number_repeated",
                    f"the number stands in line {seen[number]} already",
                    "Leave one of the two",
                    "number",
                )
        except _Bad as bad:
            yield _trouble(begins, bad)
            continue
        seen[number] = begins
        yield row
    if places is None:
        _places([])


def _places(header: Sequence[str]) -> dict[str, int]:
    folded = [re.sub(r"[\W_]", "", one).casefold() for one in header]
    places: dict[str, int] = {}
    for name, known in COLUMNS.items():
        found = [folded.index(one) for one in known if one in folded]
        free = [one for one in found if one not in places.values()]
        if free:
            places[name] = free[0]
    missing = [one for one in COLUMNS if one not in places and one not in _OPTIONAL]
    if missing:
        raise FileRefused(
            f"the first row names no column of {', '.join(missing)}",
            remedy="Name them, such as number, payer, procedure, valid from, valid until, units",
            code="header_missing",
        )
    return places


def _row(cells: Sequence[str], places: Mapping[str, int], line: int) -> AuthorizationRow:
    told = {
        name: cells[place].strip() if place < len(cells) else "" for name, place in places.items()
    }
    for name, longest in _LONGEST.items():
        value = told.get(name, "")
        if not value and name not in _OPTIONAL:
            raise _Bad("cell_missing", f"there is no {name}", "Fill it in", name)
        if len(value) > longest:
            raise _Bad(
                "text_too_long",
                f"{name} has more than {longest} characters",
                "The columns of the row are probably shifted",
                name,
            )
    try:
        authorization = Authorization(
            number=told["number"],
            payer=told["payer"],
            procedure=told["procedure"].upper(),
            valid_from=_date(told["valid_from"], "valid_from"),
            valid_until=_date(told["valid_until"], "valid_until"),
            units_authorized=_units(told["units_authorized"], "units_authorized"),
            units_used=_units(told.get("units_used", "") or "0", "units_used"),
        )
    except AuthorizationInvalid as error:
        raise _Bad(error.code, error.message, error.remedy or "Correct the row") from None
    return AuthorizationRow(
        line=line, authorization=authorization, member_id=told.get("member_id", "")
    )


def _date(cell: str, name: str) -> dt.date:
    for form in _DATES:
        try:
            found = dt.datetime.strptime(cell, form).date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
        if _FIRST_YEAR <= found.year <= _LAST_YEAR:
            return found
    raise _Bad(
        "date_invalid",
        f"{name} is no day between {_FIRST_YEAR} and {_LAST_YEAR}",
        "Write 2026-01-31 or 01/31/2026",
        name,
    )


def _units(cell: str, name: str) -> Decimal:
    # Not what Decimal takes: 1_000, 1e3 and NaN are no numbers of units.
    if re.fullmatch(r"\d{1,9}(?:\.\d{1,3}0*)?", cell, re.ASCII):
        try:
            return Decimal(cell).quantize(Decimal("0.001"))
        except InvalidOperation:
            pass
    raise _Bad(
        "units_invalid",
        f"{name} is no number of units with at most three decimals",
        "Write 24 or 24.5",
        name,
    )


def _trouble(line: int, bad: _Bad) -> RowTrouble:
    code, message, remedy, field_name = bad.told
    return RowTrouble(code=code, message=message, remedy=remedy, line=line, field_name=field_name)
