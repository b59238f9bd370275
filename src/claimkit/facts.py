"""What rooms tell each other of claims: facts without anything personal, and doubts about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from claimkit.types import Cents, Day

__all__ = ["ClaimFacts", "DataHold", "FactsChange"]


class ClaimFacts(NamedTuple):
    """What drift may know of one claim: its current position, without anything personal.

    Days are day numbers (:data:`claimkit.types.Day`), money is in cents.
    """

    payer: str
    procedure_group: str
    facility: str
    line_of_business: str
    #: First submission, or the payer's receipt where no submission is known; None if neither.
    submitted_day: Day | None
    #: Day of the *first* decision; None while pending.
    decided_day: Day | None
    paid_day: Day | None
    #: :class:`claimkit.claims.model.Outcome` of the first decision; ``"pending"`` before it.
    outcome: str
    #: Denial category of the first decision, such as ``authorization_referral``; ``""`` if none.
    category: str
    #: CARC of the first decision with its group, such as ``CO-197``; ``""`` if none.
    reason: str
    charge: Cents
    #: None where no source tells it.
    allowed: Cents | None
    paid: Cents
    #: False for replacements, voids and payer-side duplicates: rework has its own counters.
    first_pass: bool
    #: Who rendered or billed, as far as the tenant's files tell.
    provider: str = ""
    #: ``"with number"`` where a file states an authorization number, else ``"without number"``.
    authorization: str = ""
    #: False where the first decision was taken back or replaced, and the payment is another one's.
    first_stands: bool = True
    procedure_code: str = ""
    service_day: Day | None = None


class FactsChange(NamedTuple):
    """One claim's facts before and after; None stands for "there was no such claim"."""

    before: ClaimFacts | None
    after: ClaimFacts | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataHold:
    """Why drift alerts wait: what a room that takes data in says to the room that watches it."""

    #: In plain words, such as what is unusual about which file.
    reason: str
    #: First day whose numbers may be wrong; alerts about changes since then wait.
    since: Day
    #: Last such day; None while that is not known. A change that began long after is none of it.
    until: Day | None = None
