"""The columns that only some billing CSVs have: shares, reasons, identifiers, places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from claimkit.claims.carc import default_carc_table
from claimkit.claims.model import Adjustment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from claimkit.claims.codes import Reason
    from claimkit.claims.columns import ColumnMap
    from claimkit.claims.model import Claim, ServiceLine
    from claimkit.claims.values import Memo

__all__ = ["OptionalColumns", "OptionalValues"]

#: Attribute of a claim → fields that tell it; the first one with a value counts.
_OF_CLAIM = {
    "payer_claim_control_number": ("icn",),
    "original_reference": ("original_reference",),
    "payment_reference": ("payment_reference",),
    "authorization_number": ("auth_number",),
    "rendering_npi": ("rendering_npi",),
    "billing_npi": ("billing_npi",),
    "filing_indicator": ("line_of_business",),
    "frequency": ("frequency",),
    "claim_type": ("claim_type",),
    "received_on": ("received_date",),
    "diagnosis": ("diagnosis",),
    "facility": ("facility", "place_of_service"),
    "member_id": ("member_id", "patient_id"),
}
#: The same for a service line.
_OF_LINE = {
    "number": ("line_number",),
    "revenue_code": ("revenue_code",),
    "units": ("units",),
    "service_to": ("service_to",),
}
#: Patient shares with the CARC under which an 835 tells them.
_SHARES = (("deductible", "1"), ("coinsurance", "2"), ("copay", "3"))
_OTHERS = (
    "modifiers", "denial_code", "denial_text", "remark_code", "patient_resp", "adjustment",
    "contractual", *(name for name, _ in _SHARES),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionalValues:
    """The optional cells of many rows; a value that is not told is false, whatever its type."""

    #: Attribute → its column.
    claims: dict[str, list[Any]]
    lines: dict[str, list[Any]]
    modifiers: list[list[tuple[str, ...]]]
    #: The patient's share; None where there is no such column.
    patient: list[int | None] | None
    #: Columns that make adjustments or remarks where they tell anything.
    explained: list[list[Any]]


class OptionalColumns:
    """Reads the optional cells of a row and sets what they say.

    A row's values are a list in an order that only this class knows; absent fields cost nothing.
    """

    def __init__(self, columns: ColumnMap, memos: Mapping[str, Memo[Any]]) -> None:
        wanted = {
            *_OTHERS,
            *(name for table in (_OF_CLAIM, _OF_LINE) for ns in table.values() for name in ns),
        }
        placed: dict[str, list[int]] = {}
        cells: list[tuple[int, Memo[Any]]] = []
        for name in sorted(wanted & columns.fields.keys()):
            for index in columns.fields[name]:
                placed.setdefault(name, []).append(len(cells))
                cells.append((index, memos[name]))
        self._cells = tuple(cells)
        self._of_claim = _setters(_OF_CLAIM, placed)
        self._of_line = _setters(_OF_LINE, placed)
        self._identity = tuple(at for name in ("icn", "frequency") for at in placed.get(name, ()))
        self._modifiers = tuple(placed.get("modifiers", ()))
        self._remarks = tuple(placed.get("remark_code", ()))
        self._reasons = tuple(placed.get("denial_code", ()))
        self._texts = tuple(placed.get("denial_text", ()))
        self._shares = tuple((code, at) for name, code in _SHARES for at in placed.get(name, ()))
        self._patient = next(iter(placed.get("patient_resp", ())), None)
        self._contractual = next(iter(placed.get("contractual", ())), None)
        self._stated = next(iter(placed.get("adjustment", ())), None)
        self._explains = bool(
            self._reasons or self._texts or self._shares or self._contractual is not None
        )

    def read(self, row: Sequence[str]) -> list[Any]:
        """Convert a row's optional cells.

        Raises:
            BadCell: one of them cannot be taken.
        """
        return [memo[row[index]] for index, memo in self._cells]

    def columns(self, read: Callable[[int, Memo[Any]], list[Any]]) -> OptionalValues:
        """Return what many rows say beside the usual, column by column.

        Args:
            read: Returns the converted cells of a column of the file.
        """
        typed = [read(index, memo) for index, memo in self._cells]
        told = (*self._reasons, *self._texts, *self._remarks, *(at for _, at in self._shares))
        if self._contractual is not None:
            told = (*told, self._contractual)
        return OptionalValues(
            claims={name: _first_told([typed[at] for at in ns]) for name, ns in self._of_claim},
            lines={name: _first_told([typed[at] for at in ns]) for name, ns in self._of_line},
            modifiers=[typed[at] for at in self._modifiers],
            patient=None if self._patient is None else typed[self._patient],
            explained=[typed[at] for at in told],
        )

    def identity(self, values: Sequence[Any]) -> tuple[object, ...]:
        """Return what tells two decisions on one claim apart, beside dates and payer."""
        return tuple([values[at] for at in self._identity])

    def reasons(self, values: Sequence[Any]) -> tuple[Reason, ...]:
        """Return what a row names as reasons; a text that begins with one, if nothing else does."""
        found: tuple[Reason, ...] = ()
        for at in self._reasons:
            found += values[at]
        if not found:
            for at in self._texts:
                found += values[at]
        return found

    def fill(self, claim: Claim, values: Sequence[Any]) -> None:
        """Set what belongs to the claim."""
        for attribute, places in self._of_claim:
            for at in places:
                if values[at]:
                    setattr(claim, attribute, values[at])
                    break

    def complete(self, line: ServiceLine, claim: Claim, values: Sequence[Any]) -> None:
        """Set what belongs to the line, and add the patient's share to the claim."""
        for attribute, places in self._of_line:
            for at in places:
                if values[at]:
                    setattr(line, attribute, values[at])
        for at in self._modifiers:
            line.modifiers += values[at]
        for at in self._remarks:
            line.remarks.extend(values[at])
        shares = [(code, values[at]) for code, at in self._shares if values[at]]
        patient: int | None = None if self._patient is None else values[self._patient]
        if patient is None:
            patient = sum(amount for _, amount in shares)
        claim.patient_responsibility += patient
        if self._explains:
            contractual = 0 if self._contractual is None else values[self._contractual] or 0
            stated = 0 if self._stated is None else values[self._stated] or 0
            reasons = self.reasons(values)
            if reasons or shares or contractual:
                line.adjustments.extend(
                    _adjustments(line, patient, shares, contractual, stated, reasons)
                )


def _first_told(columns: list[list[Any]]) -> list[Any]:
    """Return the first value that is told in each row, else the last column's."""
    first, *others = columns
    for other in others:
        first = [one or two for one, two in zip(first, other, strict=True)]
    return first


def _setters(
    table: Mapping[str, tuple[str, ...]], placed: Mapping[str, list[int]]
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    found = (
        (attribute, tuple(at for name in names for at in placed.get(name, ())))
        for attribute, names in table.items()
    )
    return tuple((attribute, places) for attribute, places in found if places)


def _adjustments(
    line: ServiceLine,
    patient: int,
    shares: list[tuple[str, int]],
    contractual: int,
    stated: int,
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
            # Without an allowed amount only a denial beside it could claim a part of the rest.
            if not cut and denial is None:
                cut, rest = rest, 0
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
