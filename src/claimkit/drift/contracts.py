"""Contracts: what a payer owes for a procedure, and claims that are allowed less.

A contract is a list of rates by payer, procedure code and day of service: a fixed amount, or a part of
the charge. :func:`read_contracts` reads it from CSV and says line by line what it cannot take;
:class:`FeeSchedule` answers what a claim should be allowed; :class:`ContractMeasure` turns that into a
:mod:`measure <claimkit.drift.measures>` whose reference is the contract. Claims with a rate are
compared with it, all others with the payer's own past (:mod:`claimkit.drift.allowed`).

A claim's facts hold its main procedure and one allowed amount. So a claim of several services is
compared with the rate of the main one: less than that is too little for sure, more is not compared.
"""

from __future__ import annotations

import bisect
import csv
import datetime as dt
import io
import math
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Literal

from claimkit.drift.cube import MONEY
from claimkit.drift.measures import MeasuredChange, Reading
from claimkit.drift.wording import date_words, group_words, money_words, share_words
from claimkit.errors import FileRefused, InvalidMoney, did_you_mean
from claimkit.types import day_of, from_cents, to_cents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from claimkit.events import ClaimFacts
    from claimkit.types import Cents, Day

__all__ = [
    "ANY_PROCEDURE",
    "COLUMNS",
    "ContractMeasure",
    "ContractRate",
    "Contracts",
    "FeeSchedule",
    "RateProblem",
    "contract_rows",
    "read_contracts",
]

#: Procedure code of a rate that holds for all procedures which have none of their own.
ANY_PROCEDURE = "*"
#: Columns of a file of contracts, in any order; the last four may be missing.
COLUMNS = (
    "payer",
    "procedure_code",
    "allowed",
    "percent_of_charge",
    "effective_from",
    "effective_until",
)
_NEEDED = ("payer", "procedure_code")
#: Allowed by more than this part above the rate, a claim holds more than one service.
_MORE_SERVICES = 0.10
_MAX_PERCENT = Decimal(1_000)
_MAX_TEXT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractRate:
    """What one payer owes for one procedure: either an amount or a part of the charge."""

    #: Canonical name, as on claims.
    payer: str
    #: Upper case, or :data:`ANY_PROCEDURE`.
    procedure_code: str
    allowed: Cents | None = None
    percent_of_charge: Decimal | None = None
    #: First and last day of service for which it holds; None means always.
    effective_from: dt.date | None = None
    effective_until: dt.date | None = None

    def expected(self, charge: Cents) -> Cents:
        """Return the amount to be allowed for a claim of this charge, in cents.

        >>> ContractRate(payer="M", procedure_code="*", percent_of_charge=Decimal(65)).expected(10_000)
        6500
        """
        if self.allowed is not None:
            return self.allowed
        return round(charge * (self.percent_of_charge or Decimal(0)) / 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateProblem:
    """One line of a file that could not be taken, and how to repair it."""

    #: Physical line, from 1; the header is one.
    line: int
    field: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contracts:
    """What was read from a file: what can be used, and what is wrong with the rest."""

    rates: tuple[ContractRate, ...]
    problems: tuple[RateProblem, ...]


class FeeSchedule:
    """The rates of one tenant, ready to look up.

    Args:
        rates: In any order. Of two for one payer and procedure the later ``effective_from`` counts.
    """

    def __init__(self, rates: Iterable[ContractRate] = ()) -> None:
        self._rates: dict[tuple[str, str], list[ContractRate]] = {}
        for one in sorted(rates, key=_since):
            self._rates.setdefault((one.payer, one.procedure_code), []).append(one)
        self._since = {key: [_since(one) for one in its] for key, its in self._rates.items()}
        self.payers = frozenset(payer for payer, _ in self._rates)

    def __bool__(self) -> bool:
        return bool(self._rates)

    def rate(self, payer: str, procedure_code: str, service_day: Day | None) -> ContractRate | None:
        """Return the rate that holds for a service, None where there is none.

        The procedure's own comes before the one for any procedure. Without a day of service, only
        rates that always hold are known to hold.
        """
        if payer not in self.payers:
            return None
        for code in (procedure_code.upper(), ANY_PROCEDURE):
            its = self._rates.get((payer, code), ())
            if not its:
                continue
            if service_day is None:
                found = its[0] if its[0] == its[-1] and _is_always(its[0]) else None
            else:
                at = bisect.bisect_right(self._since[payer, code], service_day) - 1
                found = its[at] if at >= 0 and _holds(its[at], service_day) else None
            if found is not None:
                return found
        return None

    def expected(self, facts: ClaimFacts) -> Cents | None:
        """Return what a claim should be allowed, in cents; None where no contract says."""
        rate = self.rate(facts.payer, facts.procedure_code, facts.service_day)
        return None if rate is None else rate.expected(facts.charge)


def _since(rate: ContractRate) -> Day:
    return -(10**7) if rate.effective_from is None else day_of(rate.effective_from)


def _is_always(rate: ContractRate) -> bool:
    return rate.effective_from is None and rate.effective_until is None


def _holds(rate: ContractRate, day: Day) -> bool:
    return rate.effective_until is None or day <= day_of(rate.effective_until)


class ContractMeasure:
    """Allowed amounts against a contract, as the logarithm of allowed over expected."""

    name = "contract"
    unit = "log_ratio"
    worse: Literal["up", "down"] = "down"
    scale = 1.0
    reference: float | None = 0.0
    supersedes: str = MONEY.name

    def __init__(self, schedule: FeeSchedule | None = None) -> None:
        self._schedule = schedule or FeeSchedule()

    def read(self, facts: Sequence[ClaimFacts]) -> Sequence[Reading | None]:
        """Return the reading of each claim that was paid in full and has a rate.

        Its cents are what it was allowed too little; negative where it was a little too much.
        """
        if not self._schedule:
            return [None] * len(facts)
        return [self._read(one) for one in facts]

    def _read(self, facts: ClaimFacts) -> Reading | None:
        allowed = facts.allowed
        if not facts.first_pass or facts.outcome != "paid" or facts.decided_day is None:
            return None
        if allowed is None or allowed <= 0:
            return None
        expected = self._schedule.expected(facts)
        if expected is None or expected <= 0 or allowed > expected * (1 + _MORE_SERVICES):
            return None
        return Reading(facts.decided_day, math.log(allowed / expected), expected - allowed)

    def dollars(self, change: MeasuredChange) -> Cents:
        """Return what was allowed too little since the onset, per 30 days."""
        return round(max(0, change.cents) / change.days * 30)

    def words(self, change: MeasuredChange) -> str:
        """Return how much was allowed below contract, since when, and how much that is a month."""
        text = (
            f"{change.payer} has allowed {money_words(max(0, change.cents))} below contract for "
            f"{group_words(change.procedure_groups)} since {date_words(change.onset)}"
        )
        if self.dollars(change):
            text = f"{text}, about {money_words(self.dollars(change))} a month"
        return f"{text}: {share_words(math.exp(min(change.since, 0.0)))} of what the contract says."


def read_contracts(text: str, *, payer_of: Callable[[str], str] | None = None) -> Contracts:
    """Return the rates of a CSV file with a header of :data:`COLUMNS`.

    Args:
        text: The file, decoded.
        payer_of: Returns the name on claims for a name as people write it.

    Raises:
        FileRefused: it is empty, or its header lacks a needed column or has an unknown one.
    """
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    rates: list[ContractRate] = []
    problems: list[RateProblem] = []
    seen: dict[tuple[str, str, dt.date | None], int] = {}
    try:
        header = _header(next(rows, []))
        for row in rows:
            line = rows.line_num
            if not any(cell.strip() for cell in row):
                continue
            found = _rate(dict(zip(header, row, strict=False)), line, payer_of or str)
            if isinstance(found, RateProblem):
                problems.append(found)
                continue
            key = found.payer, found.procedure_code, found.effective_from
            if key in seen:
                problems.append(_twice(line, seen[key]))
                continue
            seen[key] = line
            rates.append(found)
    except csv.Error as error:
        raise FileRefused(
            f"the file is no CSV at line {rows.line_num}: {error}",
            remedy="Export it again as comma-separated values in UTF-8",
        ) from None
    return Contracts(rates=tuple(rates), problems=tuple(problems))


def _header(cells: Sequence[str]) -> list[str]:
    names = [cell.strip().lower().replace(" ", "_") for cell in cells]
    missing = [name for name in _NEEDED if name not in names]
    unknown = [name for name in names if name not in COLUMNS]
    if missing or unknown or not {"allowed", "percent_of_charge"} & set(names):
        wrong = (
            f"unknown column {unknown[0]!r}{did_you_mean(unknown[0], COLUMNS)}"
            if unknown
            else f"no column {missing[0]!r}"
            if missing
            else "neither a column 'allowed' nor 'percent_of_charge'"
        )
        raise FileRefused(
            f"the file of contracts has {wrong}",
            remedy=f"Use a header of {', '.join(COLUMNS)}",
        )
    return names


def _twice(line: int, first: int) -> RateProblem:
    return RateProblem(
        line=line,
        field="effective_from",
        message=f"line {first} has a rate for this payer, procedure and first day already",
        remedy="Keep one of them",
    )


class _Wrong(Exception):  # noqa: N818 - never leaves this module
    def __init__(self, field: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.field, self.remedy = field, remedy


def _rate(
    row: Mapping[str, str], line: int, payer_of: Callable[[str], str]
) -> ContractRate | RateProblem:
    values = {name: row.get(name, "").strip() for name in COLUMNS}
    try:
        for name in _NEEDED:
            if not values[name] or len(values[name]) > _MAX_TEXT:
                raise _Wrong(name, f"{name} is empty or longer than {_MAX_TEXT}", "Fill it in")
        allowed, percent = _allowed(values["allowed"]), _percent(values["percent_of_charge"])
        if (allowed is None) == (percent is None):
            raise _Wrong(
                "allowed",
                "a rate is an amount or a percentage of the charge, one of them",
                "Fill in allowed or percent_of_charge, and leave the other empty",
            )
        first, last = (_day(values[name], name) for name in COLUMNS[-2:])
        if first is not None and last is not None and last < first:
            raise _Wrong("effective_until", "it ends before it begins", "Swap the two days")
    except _Wrong as wrong:
        return RateProblem(line=line, field=wrong.field, message=str(wrong), remedy=wrong.remedy)
    return ContractRate(
        payer=payer_of(values["payer"]),
        procedure_code=values["procedure_code"].upper(),
        allowed=allowed,
        percent_of_charge=percent,
        effective_from=first,
        effective_until=last,
    )


def _allowed(text: str) -> Cents | None:
    if not text:
        return None
    try:
        cents = to_cents(Decimal(text.replace("$", "").replace(",", "")))
    except (InvalidOperation, InvalidMoney):
        cents = 0
    if cents <= 0:
        raise _Wrong("allowed", "allowed is no amount above zero", "Write dollars, such as 182.40")
    return cents


def _percent(text: str) -> Decimal | None:
    if not text:
        return None
    try:
        percent = Decimal(text.replace("%", "").strip())
        is_good = percent.is_finite() and 0 < percent <= _MAX_PERCENT
    except InvalidOperation:
        is_good = False
    if not is_good:
        raise _Wrong(
            "percent_of_charge", "it is no percentage above zero", "Write percent, such as 65"
        )
    return percent


def _day(text: str, name: str) -> dt.date | None:
    if not text:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise _Wrong(name, f"{name} is no day", "Write days like 2026-01-31") from None


def contract_rows(rates: Iterable[ContractRate]) -> Iterator[dict[str, str]]:
    """Yield rates as rows of a file that :func:`read_contracts` reads."""
    for one in rates:
        yield {
            "payer": one.payer,
            "procedure_code": one.procedure_code,
            "allowed": "" if one.allowed is None else str(from_cents(one.allowed)),
            "percent_of_charge": ""
            if one.percent_of_charge is None
            else f"{one.percent_of_charge.normalize():f}",
            "effective_from": "" if one.effective_from is None else str(one.effective_from),
            "effective_until": "" if one.effective_until is None else str(one.effective_until),
        }
