"""The rows of a billing CSV as claims: typed cells, adjacent rows of one claim put together.

What a column means is decided once, from a sample; afterwards each cell is one dictionary look-up
and a row that does not fit is taken apart again, slowly, to say everything that is wrong with it.
"""

from __future__ import annotations

import re
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from claimkit.claims.codes import (
    parse_claim_type,
    parse_leading_reason,
    parse_modifiers,
    parse_procedure,
    parse_reasons,
    parse_remarks,
    parse_status,
)
from claimkit.claims.columns import fold_header
from claimkit.claims.dates import (
    DateParser,
    count_date_orders,
    decide_day_first,
    is_serial_column,
)
from claimkit.claims.model import Claim, ClaimKind, Notice, ServiceLine
from claimkit.claims.optional_columns import OptionalColumns
from claimkit.claims.values import (
    BadCell,
    Memo,
    MoneyMemo,
    clean,
    parse_identifier,
    parse_text,
    parse_units,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from claimkit.claims.columns import ColumnMap
    from claimkit.claims.readers import ReadOptions

__all__ = ["CORE_FIELDS", "IDENTIFYING_FIELDS", "STATED_PAID", "BadRow", "ClaimRows"]

#: Fields whose values never appear in messages.
IDENTIFYING_FIELDS = frozenset({"member_id", "patient_id"})
#: Fields that every row is asked for; a column that is not there reads as blank.
CORE_FIELDS = (
    "payer_name", "payer_id", "procedure_code", "service_date", "submitted_date", "decided_date",
    "paid_date", "billed", "allowed", "paid", "status",
)  # fmt: skip
_DATES = (
    "service_date", "service_to", "submitted_date", "received_date", "decided_date", "paid_date",
)  # fmt: skip
_MONEY = (
    "billed", "allowed", "paid", "patient_resp", "copay", "deductible", "coinsurance",
    "adjustment", "contractual",
)  # fmt: skip
_IDENTIFIERS = (
    "claim_id", "icn", "original_reference", "payment_reference", "auth_number", "rendering_npi",
    "billing_npi", "member_id", "patient_id", "payer_id", "line_number", "revenue_code",
    "frequency",
)  # fmt: skip
#: More rows than this are another record of the same claim; bounds memory.
_MAX_LINES = 1_000
_TOTALS = re.compile(
    r"(?:(?:grand|sub|report|page|overall)[\s-]*)?totals?\b|sums?\b|end of report\b"
    r"|[\d,]+ (?:rows?|records?|claims?|lines?)\b|(?:record|row|claim) count\b",
    re.IGNORECASE,
)
#: Statuses that make no sense without an amount paid.
STATED_PAID = frozenset({"paid", "partial"})
#: Statuses of rows that are not a payer's decision; the others may be lines of one claim.
_APART = frozenset({"pending", "rejected", "reversed", "other"})


class BadRow(Exception):  # noqa: N818 - not an error of the program but news of a row
    """A row that cannot be taken: the first thing wrong with it, and the other columns."""

    def __init__(self, code: str, message: str, remedy: str, *, column: int = -1) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.remedy = remedy
        #: Number of the column, -1 where the row as a whole is wrong.
        self.column = column


def _date_parsers(
    columns: ColumnMap, sample: Sequence[Sequence[str]], options: ReadOptions
) -> tuple[dict[str, DateParser], list[Notice]]:
    """Decide how each date column is read, and what to tell of it."""
    nulls = {null.casefold() for null in options.nulls}
    cells = {
        name: [
            row[columns.one(name)]
            for row in sample
            if len(row) == len(columns.header)
            and clean(row[columns.one(name)]).casefold() not in nulls
        ]
        for name in _DATES
        if name in columns
    }
    counts = {name: count_date_orders(texts) for name, texts in cells.items()}
    parsers, notices = {}, []
    for name, own in counts.items():
        header = columns.header[columns.one(name)]
        day_first = decide_day_first(own, tuple(counts.values()))
        if options.date_order:
            day_first = options.date_order == "dmy"
        elif own.day_first and own.month_first:
            notices.append(_notice("date_order_mixed", f"column {header!r} mixes date orders"))
        elif day_first and (own.day_first or own.either):
            notices.append(_notice("date_order_dmy", f"column {header!r} is read as day/month"))
        elif own.either and not own.month_first:
            notices.append(_notice("date_order_assumed", f"column {header!r} is read as month/day"))
        parsers[name] = DateParser(day_first=day_first, serials=is_serial_column(cells[name]))
    return parsers, notices


def _notice(code: str, message: str, position: int = 0) -> Notice:
    return Notice(code=code, message=message, position=position, kind=ClaimKind.CSV)


class ClaimRows:
    """Turns rows into claims; the claim that is still growing is kept back until :meth:`close`.

    Attributes:
        claims: Finished claims since they were last taken away.
        notices: What was odd since then.
        accepted, skipped: Rows so far.
        columns: Where each field is.
        memos: Field → its converter.
        optional: The columns that only some files have.
        claim_id_of: The converter of claim ids.
    """

    def __init__(
        self, columns: ColumnMap, sample: Sequence[Sequence[str]], options: ReadOptions
    ) -> None:
        self.claims: list[Claim] = []
        self.notices: list[Notice] = []
        self.accepted = 0
        self.skipped = 0
        self.columns = columns
        self._width = len(columns.header)
        self._folded = [fold_header(cell) for cell in columns.header]
        dates, notices = _date_parsers(columns, sample, options)
        self.notices.extend(notices)
        self.memos = _memos(columns, dates, options)
        #: Fields that every file has, by column; an absent one reads the blank after the row.
        self._pick = itemgetter(*(columns.one(name) for name in CORE_FIELDS))
        self._memos_of_core = tuple(self.memos[name] for name in CORE_FIELDS)
        self._claim_id = columns.one("claim_id")
        self.claim_id_of = _claim_ids(options.nulls)
        self.optional = OptionalColumns(columns, self.memos)
        self._open: Claim | None = None
        self._key: tuple[object, ...] = ()
        self._rows: list[list[str]] = []

    def take(self, number: int, row: list[str]) -> None:
        """Take one row.

        Raises:
            BadRow: it cannot be taken; nothing of it was.
        """
        if len(row) != self._width:
            row = self._fitted(row)
        row.append("")  # What columns read that the file does not have.
        try:
            claim_id = self.claim_id_of(row[self._claim_id])
            core = [
                memo[cell] for memo, cell in zip(self._memos_of_core, self._pick(row), strict=False)
            ]
            optional = self.optional.read(row)
        except BadCell:
            row.pop()
            raise self._explained(row) from None
        row.pop()
        status = core[-1]
        if not claim_id or _lacks(core):
            if self._is_blank(row):
                self.skipped += 1
                return
            status = self._checked(claim_id, core, optional, number, row)
        if core[2].repaired:
            self._tell("procedure_repaired", "a procedure code had become a number", number)
        self._place(number, row, claim_id, core, status, optional)

    def pass_by(self, rows: int) -> None:
        """Count rows that are claims of their own, between the last row and the next one."""
        self.close()
        self.accepted += rows

    def close(self) -> None:
        """Finish the claim that was still growing."""
        if self._open is not None:
            self.claims.append(self._open)
            self._open, self._key, self._rows = None, (), []

    # -- the good way -----------------------------------------------------------------------

    def _place(
        self,
        number: int,
        row: list[str],
        claim_id: str,
        core: list[Any],
        status: str,
        optional: list[Any],
    ) -> None:
        """Put a typed row into the growing claim, or start the next one."""
        payer_name, payer_id, procedure, service, submitted, decided, paid_on, *money, _ = core
        charge, allowed, paid = money
        line = ServiceLine(
            number="1",
            procedure_system=procedure.system,
            procedure_code=procedure.code,
            modifiers=procedure.modifiers,
            service_from=service,
            charge=charge,
            allowed=allowed,
            paid=paid or 0,
            position=number,
        )
        stage = status if status in _APART else ""
        identity = self.optional.identity(optional)
        key = (claim_id, payer_name, payer_id, submitted, decided, paid_on, stage, identity)
        claim = self._open
        if claim is not None and key == self._key and len(claim.lines) < _MAX_LINES:
            if row in self._rows:
                self.skipped += 1
                self._tell("duplicate_row", "the same row again, word for word", number)
                return
            self._rows.append(row)
            line.number = str(len(claim.lines) + 1)
            self.optional.complete(line, claim, optional)
            _grow(claim, line, status, paid_on)
        else:
            if claim is not None:
                self.claims.append(claim)
            claim = self._open = Claim(
                kind=ClaimKind.CSV,
                position=number,
                patient_control_number=claim_id,
                payer_name=payer_name,
                payer_id=f"PI:{payer_id}" if payer_id else "",
                service_from=service,
                submitted_on=submitted,
                decided_on=decided or paid_on,
                paid_on=paid_on if paid else None,
                status=status,
                charge=charge,
                allowed=allowed,
                paid=paid or 0,
                lines=[line],
            )
            self._key, self._rows = key, [row]
            self.optional.fill(claim, optional)
            self.optional.complete(line, claim, optional)
            claim.service_to = line.service_to or service
        self.accepted += 1

    def _tell(self, code: str, message: str, number: int) -> None:
        self.notices.append(_notice(code, message, number))

    # -- the slow way, for rows that do not fit -----------------------------------------------

    def _fitted(self, row: list[str]) -> list[str]:
        """Return the row at its right width, when only blank cells are too many."""
        if self._is_blank(row):
            return [""] * self._width
        self._refuse_totals(row)
        if len(row) < self._width:
            raise BadRow(
                "row_short",
                f"the row has {len(row)} columns, the header {self._width}",
                "A delimiter or a quote is missing, or the line was broken in two",
            )
        if any(clean(cell) for cell in row[self._width :]):
            raise BadRow(
                "row_long",
                f"the row has {len(row)} columns, the header {self._width}",
                "Put texts that hold the delimiter in quotes",
            )
        return row[: self._width]

    @staticmethod
    def _is_blank(row: Sequence[str]) -> bool:
        return not any(map(clean, row))

    def _refuse_totals(self, row: Sequence[str]) -> None:
        first = next((text for text in map(clean, row) if text), "")
        own = clean(row[self._claim_id]) if self._claim_id < len(row) else ""
        if _TOTALS.match(first) and (not own or _TOTALS.match(own)):
            raise BadRow(
                "totals_row", "this is a totals row, not a claim", "Nothing to do; it is left out"
            )

    def _explained(self, row: list[str]) -> BadRow:
        """Say what is wrong with a row of which a cell cannot be read."""
        if self._is_repeated_header(row):
            return BadRow(
                "header_repeated", "the header is repeated", "Nothing to do; it is left out"
            )
        try:
            self._refuse_totals(row)
        except BadRow as totals:
            return totals
        bad: list[tuple[int, BadCell]] = []
        for name, where in self.columns.fields.items():
            for index in where:
                try:
                    self.memos[name][row[index]]
                except BadCell as cell:
                    bad.append((index, cell))
        bad.sort(key=itemgetter(0))
        index, worst = bad[0]
        others = ", ".join(repr(self.columns.header[also]) for also, _ in bad[1:])
        message = f"{worst.message} (and see {others})" if others else worst.message
        return BadRow(worst.code, message, worst.remedy, column=index)

    def _is_repeated_header(self, row: Sequence[str]) -> bool:
        return [fold_header(cell) for cell in row] == self._folded

    def _checked(
        self,
        claim_id: str,
        core: list[Any],
        optional: list[Any],
        number: int,
        row: list[str],
    ) -> str:
        """Return the status of a row that lacks something it may lack; refuse the others."""
        payer_name, payer_id, _, service, submitted, decided, paid_on, *money, status = core
        charge, _, paid = money
        self._refuse_totals(row)
        if not claim_id:
            raise self._missing("claim_id", "claim_id_missing", "the row has no claim id")
        if not (payer_name or payer_id):
            raise self._missing("payer_name", "payer_missing", "the row has no payer")
        if service is None and submitted is None:
            raise self._missing("service_date", "date_missing", "the row has no service date")
        if charge is None:
            raise self._missing("billed", "charge_missing", "the row has no billed amount")
        if paid is None and status in STATED_PAID:
            raise self._missing(
                "paid", "paid_missing", f"status is {status} without an amount paid"
            )
        if status != "?":
            return str(status)
        if not (paid or decided or paid_on or self.optional.reasons(optional)):
            raise BadRow(
                "status_unknown",
                "nobody knows this status, and nothing else tells what became of the claim",
                "Use words such as paid, denied, partial, pending, rejected, reversed",
                column=self.columns.one("status"),
            )
        self._tell("status_unknown", "an unknown status; amounts and dates decided", number)
        return ""

    def _missing(self, name: str, code: str, message: str) -> BadRow:
        column = self.columns.one(name)
        known = column < self._width
        return BadRow(code, message, "Fill the cell", column=column if known else -1)


def _lacks(core: list[Any]) -> bool:
    """Whether a row has no payer, date or charge, or a status that needs a second look."""
    status = core[-1]
    return (
        status == "?"
        or (core[9] is None and status in STATED_PAID)
        or core[7] is None
        or (core[3] is None and core[4] is None)
        or not (core[0] or core[1])
    )


def _grow(claim: Claim, line: ServiceLine, status: str, paid_on: dt.date | None) -> None:
    """Add a further line to a claim and its amounts to the claim's."""
    claim.charge += line.charge
    claim.paid += line.paid
    if line.allowed is not None:
        claim.allowed = (claim.allowed or 0) + line.allowed
    if line.paid and paid_on is not None:
        claim.paid_on = paid_on
    claim.status = _together(claim.status, status)
    first = line.service_from
    if first and (claim.service_from is None or first < claim.service_from):
        claim.service_from = first
    last = line.service_to or line.service_from
    if last and (claim.service_to is None or last > claim.service_to):
        claim.service_to = last
    claim.lines.append(line)


def _together(one: str, two: str) -> str:
    """Return the status of a claim whose lines say ``one`` and ``two``."""
    if one == two:
        return one
    if "denied" in (one, two) or "partial" in (one, two):
        return "partial"
    return "paid" if "paid" in (one, two) else one or two


def _claim_ids(nulls: frozenset[str]) -> Callable[[str], str]:
    """Return the converter of claim ids: without a memo, because every claim has another."""
    if not nulls:
        return parse_identifier
    blanks = {null.casefold() for null in nulls}
    return lambda cell: "" if clean(cell).casefold() in blanks else parse_identifier(cell)


# -- converters -------------------------------------------------------------------------------


def _memos(
    columns: ColumnMap, dates: dict[str, DateParser], options: ReadOptions
) -> dict[str, Memo[Any]]:
    """Return one converter per field, shared by all its columns."""
    converters: dict[str, Callable[[str], Any]] = {
        **{name: dates.get(name, DateParser()) for name in _DATES},
        "procedure_code": partial(parse_procedure, strict=columns.strict_procedure),
        "modifiers": parse_modifiers,
        "units": parse_units,
        "claim_type": parse_claim_type,
        "status": parse_status,
        "denial_code": parse_reasons,
        "denial_text": parse_leading_reason,
        "remark_code": parse_remarks,
        **dict.fromkeys(_IDENTIFIERS, parse_identifier),
    }
    return {
        name: MoneyMemo(blanks=options.nulls)
        if name in _MONEY
        else Memo(converters.get(name, parse_text), blanks=options.nulls)
        for name in {*columns.fields, *CORE_FIELDS}
    }
