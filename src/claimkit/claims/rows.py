"""The rows of a billing CSV as claims: typed cells, adjacent rows of one claim put together.

What a column means is decided once, from a sample; afterwards each cell is one dictionary look-up
and a row that does not fit is taken apart again, slowly, to say everything that is wrong with it.
"""

from __future__ import annotations

import re
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from claimkit.claims.carc import default_carc_table
from claimkit.claims.columns import fold_header
from claimkit.claims.model import Adjustment, Claim, ClaimKind, Notice, ServiceLine
from claimkit.claims.values import (
    BadCell,
    DateParser,
    Memo,
    Reason,
    clean,
    decide_date_order,
    is_serial_column,
    parse_identifier,
    parse_modifiers,
    parse_money,
    parse_procedure,
    parse_reasons,
    parse_remarks,
    parse_status,
    parse_text,
    parse_units,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from claimkit.claims.columns import ColumnMap
    from claimkit.claims.readers import ReadOptions

__all__ = ["IDENTIFYING_FIELDS", "BadRow", "ClaimRows", "DateDecisions"]

#: Fields whose values never appear in messages.
IDENTIFYING_FIELDS = frozenset({"member_id", "patient_id"})
_DATES = (
    "service_date",
    "service_to",
    "submitted_date",
    "received_date",
    "decided_date",
    "paid_date",
)
_MONEY = (
    "billed", "allowed", "paid", "patient_resp", "copay", "deductible", "coinsurance",
    "adjustment", "contractual",
)  # fmt: skip
#: Field → attribute of a claim, for what is copied as it is.
_CLAIM_TEXTS = {
    "icn": "payer_claim_control_number",
    "original_reference": "original_reference",
    "payment_reference": "payment_reference",
    "auth_number": "authorization_number",
    "rendering_npi": "rendering_npi",
    "billing_npi": "billing_npi",
    "line_of_business": "filing_indicator",
    "frequency": "frequency",
}
_IDENTIFIERS = frozenset(
    {"icn", "original_reference", "payment_reference", "auth_number", "rendering_npi",
     "billing_npi", "member_id", "patient_id", "payer_id", "line_number", "revenue_code",
     "frequency"}
)  # fmt: skip
#: More rows than this are another record of the same claim; bounds memory.
_MAX_LINES = 1_000
_TOTALS = re.compile(
    r"(?:(?:grand|sub|report|page|overall)[\s-]*)?totals?\b|sums?\b|end of report\b"
    r"|[\d,]+ (?:rows?|records?|claims?|lines?)\b|(?:record|row|claim) count\b",
    re.IGNORECASE,
)
_DECIDED, _OPEN = "decided", "pending"


class BadRow(Exception):  # noqa: N818 - not an error of the program but news of a row
    """A row that cannot be taken: the first thing wrong with it, and the other columns."""

    def __init__(self, code: str, message: str, remedy: str, *, column: int = -1) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.remedy = remedy
        #: Number of the column, -1 where the row as a whole is wrong.
        self.column = column


class DateDecisions(NamedTuple):
    """How each date column is read, and what to tell of it."""

    parsers: dict[str, DateParser]
    notices: list[Notice]


def decide_dates(
    columns: ColumnMap, sample: Sequence[Sequence[str]], options: ReadOptions
) -> DateDecisions:
    """Decide, once per column, between month/day and day/month and on Excel day numbers.

    A column is month/day, as in the United States, unless at least three of its sampled dates
    can only be day/month and they are the majority; a column that says nothing follows the
    others. The decision holds for the whole file: a later date that does not fit is a bad row.
    """
    nulls = {null.casefold() for null in options.nulls}
    counts, serial = {}, {}
    for name in _DATES:
        if name in columns:
            index = columns.one(name)
            cells = [
                row[index]
                for row in sample
                if len(row) > index and clean(row[index]).casefold() not in nulls
            ]
            counts[name] = decide_date_order(cells)
            serial[name] = is_serial_column(cells)
    pooled = (sum(one[0] for one in counts.values()), sum(one[1] for one in counts.values()))
    parsers, notices = {}, []
    for name, (day_first, month_first, either) in counts.items():
        header = columns.header[columns.one(name)]
        evidence = (day_first, month_first) if day_first or month_first else pooled
        wants_day = evidence[0] >= 3 and evidence[0] > evidence[1]
        if options.date_order:
            wants_day = options.date_order == "dmy"
        elif day_first and month_first:
            notices.append(_notice("date_order_mixed", f"column {header!r} mixes date orders"))
        elif wants_day:
            notices.append(_notice("date_order_dmy", f"column {header!r} is read as day/month"))
        elif either and not any(evidence):
            notices.append(_notice("date_order_assumed", f"column {header!r} is read as month/day"))
        parsers[name] = DateParser(day_first=wants_day, serials=serial[name])
    return DateDecisions(parsers, notices)


def _notice(code: str, message: str, position: int = 0) -> Notice:
    return Notice(code=code, message=message, position=position, kind=ClaimKind.CSV)


class ClaimRows:
    """Turns rows into claims; the claim that is still growing is kept back until :meth:`close`.

    Attributes:
        claims: Finished claims since they were last taken away.
        notices: What was odd since then.
        accepted, skipped: Rows so far.
    """

    def __init__(
        self, columns: ColumnMap, sample: Sequence[Sequence[str]], options: ReadOptions
    ) -> None:
        self.claims: list[Claim] = []
        self.notices: list[Notice] = []
        self.accepted = 0
        self.skipped = 0
        self._columns = columns
        self._width = len(columns.header)
        self._folded = [fold_header(cell) for cell in columns.header]
        dates = decide_dates(columns, sample, options)
        self.notices.extend(dates.notices)
        self._memos = _memos(columns, dates.parsers, options)
        #: Fields that every file has, by column; an absent one reads the blank after the row.
        self._core = tuple(
            (columns.one(name), self._memos[name])
            for name in (
                "payer_name", "payer_id", "procedure_code", "service_date", "submitted_date",
                "decided_date", "paid_date", "billed", "allowed", "paid", "status",
            )
        )  # fmt: skip
        self._claim_id = columns.one("claim_id")
        self._extra = _Extras(columns, self._memos)
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
        cells = [*row, ""]
        try:
            claim_id = parse_identifier(cells[self._claim_id])
            core = [memo[cells[index]] for index, memo in self._core]
            extra = self._extra.read(cells) if self._extra else None
        except BadCell:
            raise self._explained(row) from None
        payer_name, payer_id, procedure, service, submitted, _decided, _paid_on = core[:7]
        charge, _allowed, paid, status = core[7:]
        if (
            not claim_id
            or charge is None
            or (service is None and submitted is None)
            or not (payer_name or payer_id)
            or (paid is None and status in ("paid", "partial"))
            or status == "?"
        ):
            if self._is_blank(row):
                self.skipped += 1
                return
            status = self._checked(claim_id, core, extra, number, row)
        if procedure.repaired:
            self._tell("procedure_repaired", "a procedure code had become a number", number)
        self._place(number, row, claim_id, core, status, extra)

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
        extra: _ExtraValues | None,
    ) -> None:
        """Put a typed row into the growing claim, or start the next one."""
        payer_name, payer_id, procedure, service, submitted, decided, paid_on = core[:7]
        charge, allowed, paid, _ = core[7:]
        paid = paid or 0
        stage = status if status in (_OPEN, "rejected", "reversed", "other") else _DECIDED
        key: tuple[object, ...] = (
            claim_id, payer_name, payer_id, submitted, decided, paid_on, stage
        )  # fmt: skip
        if extra is not None:
            key += extra.identity
        claim = self._open
        if key == self._key and claim is not None and len(claim.lines) < _MAX_LINES:
            if row in self._rows:
                self.skipped += 1
                self._tell("duplicate_row", "the same row again, word for word", number)
                return
            self._rows.append(row)
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
                status=status,
            )
            self._key, self._rows = key, [row]
            if extra is not None:
                extra.fill(claim)
        line = ServiceLine(
            number=str(len(claim.lines) + 1),
            procedure_system=procedure.system,
            procedure_code=procedure.code,
            modifiers=procedure.modifiers,
            service_from=service,
            charge=charge,
            allowed=allowed,
            paid=paid,
            position=number,
        )
        if extra is not None:
            extra.complete(line, claim)
        _grow(claim, line, status, paid_on)
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

    def _is_blank(self, row: Sequence[str]) -> bool:
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
        for name, where in self._columns.fields.items():
            for index in where:
                try:
                    if name == "claim_id":
                        parse_identifier(row[index])
                    else:
                        self._memos[name][row[index]]
                except BadCell as cell:
                    bad.append((index, cell))
        bad.sort(key=itemgetter(0))
        index, worst = bad[0]
        others = ", ".join(repr(self._columns.header[also]) for also, _ in bad[1:])
        message = f"{worst.message} (and see {others})" if others else worst.message
        return BadRow(worst.code, message, worst.remedy, column=index)

    def _is_repeated_header(self, row: Sequence[str]) -> bool:
        return [fold_header(cell) for cell in row] == self._folded

    def _checked(
        self,
        claim_id: str,
        core: list[Any],
        extra: _ExtraValues | None,
        number: int,
        row: list[str],
    ) -> str:
        """Return the status of a row that lacks something it may lack; refuse the others."""
        payer_name, payer_id, _, service, submitted, decided, paid_on, charge, _, paid, status = (
            core
        )
        self._refuse_totals(row)
        if not claim_id:
            raise self._missing("claim_id", "claim_id_missing", "the row has no claim id")
        if not (payer_name or payer_id):
            raise self._missing("payer_name", "payer_missing", "the row has no payer")
        if service is None and submitted is None:
            raise self._missing("service_date", "date_missing", "the row has no service date")
        if charge is None:
            raise self._missing("billed", "charge_missing", "the row has no billed amount")
        if paid is None and status in ("paid", "partial"):
            raise self._missing(
                "paid", "paid_missing", f"status is {status} without an amount paid"
            )
        if status != "?":
            return str(status)
        if not (paid or decided or paid_on or (extra is not None and extra.reasons)):
            raise BadRow(
                "status_unknown",
                "nobody knows this status, and nothing else tells what became of the claim",
                "Use words such as paid, denied, partial, pending, rejected, reversed",
                column=self._columns.one("status"),
            )
        self._tell("status_unknown", "an unknown status; amounts and dates decided", number)
        return ""

    def _missing(self, name: str, code: str, message: str) -> BadRow:
        column = self._columns.one(name)
        known = column < self._width
        return BadRow(code, message, "Fill the cell", column=column if known else -1)


def _grow(claim: Claim, line: ServiceLine, status: str, paid_on: dt.date | None) -> None:
    """Add a line to a claim and its amounts to the claim's."""
    claim.charge += line.charge
    claim.paid += line.paid
    if line.allowed is not None:
        claim.allowed = (claim.allowed or 0) + line.allowed
    if line.paid and paid_on is not None:
        claim.paid_on = paid_on
    if claim.lines:
        claim.status = _together(claim.status, status)
        if line.service_from and (
            claim.service_from is None or line.service_from < claim.service_from
        ):
            claim.service_from = line.service_from
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


# -- converters -------------------------------------------------------------------------------


def _memos(
    columns: ColumnMap, dates: dict[str, DateParser], options: ReadOptions
) -> dict[str, Memo[Any]]:
    """Return one converter per field, shared by all its columns."""
    converters: dict[str, Callable[[str], Any]] = {
        **dict.fromkeys(_MONEY, parse_money),
        **{name: dates.get(name, DateParser()) for name in _DATES},
        "procedure_code": partial(parse_procedure, strict=columns.strict_procedure),
        "modifiers": parse_modifiers,
        "units": parse_units,
        "status": parse_status,
        "denial_code": parse_reasons,
        "remark_code": parse_remarks,
        **dict.fromkeys(_IDENTIFIERS, parse_identifier),
    }
    return {
        name: Memo(converters.get(name, parse_text), blanks=options.nulls)
        for name in {*columns.fields, *_CORE_FIELDS}
    }


_CORE_FIELDS = (
    "payer_name", "payer_id", "procedure_code", "service_date", "submitted_date", "decided_date",
    "paid_date", "billed", "allowed", "paid", "status",
)  # fmt: skip
_EXTRA_FIELDS = (
    *_CLAIM_TEXTS, "line_number", "modifiers", "revenue_code", "units", "service_to",
    "received_date", "patient_resp", "copay", "deductible", "coinsurance", "adjustment",
    "contractual", "denial_code", "remark_code", "diagnosis", "place_of_service", "facility",
    "member_id", "patient_id", "claim_type",
)  # fmt: skip
_SHARES = (("deductible", "1"), ("coinsurance", "2"), ("copay", "3"))


class _Extras:
    """The columns that only some files have."""

    def __init__(self, columns: ColumnMap, memos: dict[str, Memo[Any]]) -> None:
        self._columns = tuple(
            (name, index, memos[name])
            for name in _EXTRA_FIELDS
            if name in columns
            for index in columns.fields[name]
        )
        # Columns that are there to be checked and ignored still must not hold dirt unseen.

    def __bool__(self) -> bool:
        return bool(self._columns)

    def read(self, cells: list[str]) -> _ExtraValues:
        values: dict[str, Any] = {}
        for name, index, memo in self._columns:
            value = memo[cells[index]]
            if value:
                if name in values:
                    if isinstance(value, tuple):
                        values[name] += value
                else:
                    values[name] = value
        return _ExtraValues(values)


class _ExtraValues:
    """What the optional columns of one row say; only fields with a value are present."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    @property
    def identity(self) -> tuple[object, ...]:
        """What tells two decisions on one claim apart, beside dates and payer."""
        return (self._values.get("icn"), self._values.get("frequency"))

    @property
    def reasons(self) -> tuple[Reason, ...]:
        found: tuple[Reason, ...] = self._values.get("denial_code", ())
        return found

    def fill(self, claim: Claim) -> None:
        """Set what belongs to the claim."""
        values = self._values
        for name, attribute in _CLAIM_TEXTS.items():
            if name in values:
                setattr(claim, attribute, values[name])
        claim.received_on = values.get("received_date")
        claim.diagnosis = values.get("diagnosis", "")
        claim.facility = values.get("facility") or values.get("place_of_service", "")
        claim.member_id = values.get("member_id") or values.get("patient_id", "")
        claim.claim_type = _claim_type(values.get("claim_type", ""))

    def complete(self, line: ServiceLine, claim: Claim) -> None:
        """Set what belongs to the line, and add its patient share to the claim."""
        values = self._values
        line.number = values.get("line_number", line.number)
        line.modifiers += values.get("modifiers", ())
        line.revenue_code = values.get("revenue_code", "")
        line.units = values.get("units")
        line.service_to = values.get("service_to")
        line.remarks.extend(values.get("remark_code", ()))
        shares = [(code, values[name]) for name, code in _SHARES if name in values]
        patient = values.get("patient_resp", sum(amount for _, amount in shares))
        claim.patient_responsibility += patient
        if self.reasons or shares or "contractual" in values:
            line.adjustments.extend(
                _adjustments(
                    line,
                    patient,
                    shares,
                    values.get("contractual"),
                    values.get("adjustment"),
                    self.reasons,
                )
            )


def _claim_type(text: str) -> str:
    folded = text.upper()
    for kind, marks in (("I", ("UB", "INST", "837I")), ("D", ("ADA", "DENT", "837D"))):
        if folded == kind or any(mark in folded for mark in marks):
            return kind
    return "P" if folded == "P" or any(m in folded for m in ("1500", "CMS", "HCFA", "PROF")) else ""


def _adjustments(
    line: ServiceLine,
    patient: int,
    shares: list[tuple[str, int]],
    contractual: int | None,
    stated: int | None,
    reasons: tuple[Reason, ...],
) -> list[Adjustment]:
    """Return adjustments for a row that names reasons but not what each of them took.

    A claim balances: charge less adjustments is paid. What contract and patient do not explain
    goes to the first reason that can be a denial, so that the sum is exact even where the split
    among several reasons is not known.
    """
    table = default_carc_table()
    found = [Adjustment("PR", code, amount) for code, amount in shares]
    if contractual:
        found.append(Adjustment("CO", "45", contractual))
    allowed_cut = line.charge - line.allowed if line.allowed is not None else 0
    cut = contractual or (allowed_cut if line.paid > 0 or _names(reasons, "contractual") else 0)
    rest = line.charge - line.paid - patient - cut
    denial = next((one for one in reasons if table.category(one.code).denial_when_unpaid), None)
    for reason in reasons:
        category = table.category(reason.code).name
        if category == "contractual":
            amount, cut = (0 if contractual else cut), 0
        elif category == "patient_share":
            amount, patient = (0 if shares else patient or (rest if denial is None else 0)), 0
        elif reason is denial or denial is None:
            amount, rest = (stated if stated and len(reasons) == 1 else rest), 0
        else:
            amount = 0
        if amount or category not in ("contractual", "patient_share"):
            found.append(Adjustment(reason.group, reason.code, amount))
    return found


def _names(reasons: tuple[Reason, ...], category: str) -> bool:
    table = default_carc_table()
    return any(table.category(one.code).name == category for one in reasons)
