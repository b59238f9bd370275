"""What remittances and submissions share: claims in the making, and what goes wrong with them."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

from claimkit.claims.model import Adjustment, Claim, Notice, RowProblem
from claimkit.claims.privacy import mask
from claimkit_x12 import values

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from claimkit.claims.model import ClaimKind, ServiceLine
    from claimkit.types import Cents
    from claimkit_x12.segments import Delimiters

__all__ = ["PADDING", "Collector", "Seen", "Spoiled", "Transaction", "element"]

#: Behind a segment, so that elements left out at its end read as blank.
PADDING = [""] * 12


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


class Seen:
    """Tells how often a key came before, among at least the latest 20,000; memory is bounded."""

    def __init__(self, remembered: int = 20_000) -> None:
        self._remembered = remembered
        self._times: dict[int, int] = {}
        self._times_before: dict[int, int] = {}

    def again(self, key: Hashable) -> int:
        """Take note of a key and return how often it came before."""
        short = hash(key)
        times = self._times.get(short)
        if times is None:
            times = self._times_before.get(short, 0)
            if len(self._times) >= self._remembered:
                self._times_before, self._times = self._times, {}
        self._times[short] = times + 1
        return times


class Collector:
    """Collects the claims, problems and notices of a file until a batch is cut.

    Attributes:
        position: 1-based ordinal of the segment at hand in its file.
        delimiters: Those of the interchange at hand.
        is_cut: Whether the file ended inside the segment at hand.
    """

    def __init__(self, delimiters: Delimiters) -> None:
        self.delimiters = delimiters
        self.position = 0
        self.is_cut = False
        self.claims: list[Claim] = []
        self.problems: list[RowProblem] = []
        self.notices: list[Notice] = []
        self.kinds: dict[ClaimKind, None] = {}

    def note(self, code: str, message: str, kind: ClaimKind | None = None) -> None:
        """Take note of something odd at the segment at hand."""
        self.notices.append(Notice(code=code, message=message, position=self.position, kind=kind))

    def reject(
        self, spoiled: Spoiled, kind: ClaimKind, raw: Sequence[str], position: int = 0
    ) -> None:
        """Take a claim that cannot be read as a value to repair."""
        self.problems.append(
            RowProblem(
                code=spoiled.code,
                message=spoiled.message,
                remedy=spoiled.remedy,
                position=position or self.position,
                kind=kind,
                field_name=spoiled.where,
                value=mask(spoiled.value, words=False),
                raw=tuple(raw),
            )
        )

    def amount(self, segment: Sequence[str], at: int, kind: ClaimKind) -> Cents:
        """Return an amount that a claim cannot do without; an absent one is zero.

        Raises:
            Spoiled: the element is not an amount, or the file ends before it.
        """
        try:
            return values.amount(segment[at])
        except (IndexError, ValueError):
            return self._odd_amount(segment, at, kind)

    def _odd_amount(self, segment: Sequence[str], at: int, kind: ClaimKind) -> Cents:
        where = f"{segment[0]}{at:02d}"
        if self.is_cut and at >= len(segment):
            raise Spoiled(
                "claim_truncated",
                "the file ends inside a claim",
                "Ask the sender for the whole file",
                where,
            )
        raw = element(segment, at).strip()
        if not raw:
            return 0
        try:
            cents, is_exact = values.rounded(raw)
        except ValueError:
            raise Spoiled(
                "money_invalid",
                "an amount is not a plain decimal number",
                "Correct the amount in the file, or ask the sender for a new one",
                where,
                raw,
            ) from None
        if not is_exact:
            self.note("money_precision", f"{where} has more than two decimals", kind)
        return cents

    def optional_amount(self, segment: Sequence[str], at: int, kind: ClaimKind) -> Cents | None:
        """Return an amount that a claim can do without; None, with a notice, if it is not one."""
        try:
            return values.amount(segment[at])
        except (IndexError, ValueError):
            if not element(segment, at).strip():
                return None
        try:
            return self._odd_amount(segment, at, kind)
        except Spoiled:
            self.note("money_invalid", f"{segment[0]}{at:02d} is not an amount", kind)
            return None

    def day(self, segment: Sequence[str], at: int, kind: ClaimKind) -> dt.date | None:
        """Return a date; None, with a notice, if the element is not one."""
        raw = element(segment, at)
        found = values.date(raw)
        if found is None and raw.strip():
            self.note("date_invalid", f"{segment[0]}{at:02d} is not a date", kind)
        return found

    def adjust(self, taken: list[Adjustment], segment: Sequence[str], kind: ClaimKind) -> None:
        """Add the up to six triplets of a CAS segment to ``taken``."""
        count = len(segment)
        for at in range(2, min(count, 20), 3):
            reason = segment[at]
            if not reason:
                continue
            quantity = values.quantity(segment[at + 2]) if at + 2 < count else None
            try:
                amount: Cents | None = values.amount(segment[at + 1])
            except (IndexError, ValueError):
                amount = self.optional_amount(segment, at + 1, kind)
            if amount is not None:
                taken.append(Adjustment(segment[1], reason, amount, quantity))
            elif not element(segment, at + 1):
                self.note("adjustment_without_amount", "a CAS triplet has no amount", kind)


class Transaction(abc.ABC):
    """One transaction set (ST to SE): knows the claim and the service line at hand.

    A claim that turns out to be spoiled is filled to its end all the same, so that what belongs to
    it goes nowhere else, and is dropped then.

    Attributes:
        kind: What its claims are.
        handlers: What to do with a segment, by its tag; others are passed over.
        claim: The claim at hand.
    """

    kind: ClaimKind

    def __init__(self, collector: Collector) -> None:
        self._to = collector
        self.claim: Claim | None = None
        self._line: ServiceLine | None = None
        self._is_spoiled = False
        self.handlers: Mapping[str, Callable[[list[str]], None]] = {}

    def spoil(self, spoiled: Spoiled, segment: Sequence[str] = ()) -> None:
        """Give up the claim at hand and say why, once."""
        claim = self.claim
        if not self._is_spoiled:
            started = claim.position if claim is not None and not segment else 0
            self._to.reject(spoiled, self.kind, segment, started)
        self._is_spoiled = True
        self.claim = Claim(kind=self.kind, position=self._to.position, patient_control_number="")
        self._line = None

    def close(self) -> None:
        """Close the claim at hand."""
        claim, self.claim, self._line = self.claim, None, None
        if claim is not None and not self._is_spoiled:
            self._complete(claim)
            self._to.claims.append(claim)
        self._is_spoiled = False

    @abc.abstractmethod
    def _complete(self, claim: Claim) -> None:
        """Say of a claim what is known only at its end."""
