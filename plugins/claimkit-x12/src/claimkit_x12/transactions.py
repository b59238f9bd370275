"""What remittances and submissions share: claims in the making, and what goes wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claimkit.claims.model import Adjustment, Claim, ClaimKind, Notice, RowProblem
from claimkit.claims.privacy import mask
from claimkit_x12 import values

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from claimkit.claims.model import ServiceLine
    from claimkit.types import Cents
    from claimkit_x12.segments import Delimiters, Segments

__all__ = ["Collector", "Spoiled", "claim_adjustments", "element", "line_unbalanced"]


class Spoiled(Exception):
    """The claim at hand cannot be taken; the file goes on."""

    def __init__(self, code: str, message: str, remedy: str, where: str, value: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy
        self.where = where
        self.value = value


def element(segment: Sequence[str], at: int) -> str:
    """Return an element of a segment, ``""`` where the segment ends before it."""
    return segment[at] if at < len(segment) else ""


class Collector:
    """Collects the claims, problems and notices of a file until a batch is cut."""

    def __init__(self, segments: Segments) -> None:
        self.segments = segments
        self.claims: list[Claim] = []
        self.problems: list[RowProblem] = []
        self.notices: list[Notice] = []
        self.kinds: dict[ClaimKind, None] = {}

    @property
    def delimiters(self) -> Delimiters:
        """Delimiters of the interchange at hand."""
        return self.segments.delimiters

    def note(self, code: str, message: str, kind: ClaimKind | None = None) -> None:
        """Take note of something odd at the segment at hand."""
        self.notices.append(
            Notice(code=code, message=message, position=self.segments.number, kind=kind)
        )

    def reject(self, spoiled: Spoiled, kind: ClaimKind, raw: Sequence[str]) -> None:
        """Take a claim that cannot be read as a value to repair."""
        self.problems.append(
            RowProblem(
                code=spoiled.code,
                message=spoiled.message,
                remedy=spoiled.remedy,
                position=self.segments.number,
                kind=kind,
                field_name=spoiled.where,
                value=mask(spoiled.value, words=False),
                raw=tuple(raw),
            )
        )

    def amount(self, segment: Sequence[str], at: int, kind: ClaimKind) -> Cents:
        """Return an amount that a claim cannot do without; an absent one is zero.

        Raises:
            Spoiled: the element is not an amount.
        """
        raw = element(segment, at).strip()
        if not raw:
            return 0
        try:
            cents, rounded = values.amount(raw)
        except ValueError:
            raise Spoiled(
                "money_invalid",
                "an amount is not a plain decimal number",
                "Correct the amount in the file, or ask the sender for a new one",
                f"{segment[0]}{at:02d}",
                raw,
            ) from None
        if rounded:
            self.note("money_precision", "an amount has more than two decimals", kind)
        return cents

    def optional_amount(self, segment: Sequence[str], at: int, kind: ClaimKind) -> Cents | None:
        """Return an amount that a claim can do without; None, with a notice, if it is not one."""
        try:
            return self.amount(segment, at, kind) if element(segment, at).strip() else None
        except Spoiled:
            self.note("money_invalid", f"{segment[0]}{at:02d} is not an amount", kind)
            return None

    def day(self, segment: Sequence[str], at: int, kind: ClaimKind) -> dt.date | None:
        """Return a date; None, with a notice, if the element is not one."""
        raw = element(segment, at).strip()
        if not raw:
            return None
        found = values.date(raw)
        if found is None:
            self.note("date_invalid", f"{segment[0]}{at:02d} is not a date", kind)
        return found

    def adjustments(self, segment: Sequence[str], kind: ClaimKind) -> list[Adjustment]:
        """Return the up to six triplets of a CAS segment."""
        group = element(segment, 1).strip()
        found = []
        for at in range(2, min(len(segment), 20), 3):
            reason = segment[at].strip()
            if not reason:
                continue
            amount = self.optional_amount(segment, at + 1, kind)
            if amount is None:
                if element(segment, at + 1).strip() == "":
                    self.note("adjustment_without_amount", "a CAS triplet has no amount", kind)
                continue
            found.append(
                Adjustment(group, reason, amount, values.quantity(element(segment, at + 2)))
            )
        return found


def claim_adjustments(claim: Claim) -> tuple[Cents, Cents]:
    """Return the sums of claim-level and of line-level adjustments."""
    own = sum(one.amount for one in claim.adjustments)
    lines = sum(one.amount for line in claim.lines for one in line.adjustments)
    return own, lines


def line_unbalanced(line: ServiceLine) -> bool:
    """Whether charge less adjustments is not what was paid (835, balancing at the line)."""
    return line.charge - sum(one.amount for one in line.adjustments) != line.paid
