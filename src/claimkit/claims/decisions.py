"""Which decisions a claim has seen, what was taken back, and what the parts amount to.

Hides the matching of statements: an export's rows that echo a remittance, reversals with what they
take back, rows that are parts of one decision. The rules are told in
:mod:`claimkit.claims.standing`, which folds what is left.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from claimkit.claims.model import ClaimEvent, ClaimKind, EventKind, Outcome
from claimkit.types import PARTS_DAYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from claimkit.types import Cents

__all__ = [
    "DUPLICATE",
    "REWORK",
    "Decision",
    "day_of_event",
    "decision_date",
    "first_parts",
    "first_payers",
    "last_parts",
    "take_back",
    "told_once",
]

#: Posting in a billing system trails the remittance by up to two weeks.
_SAME_DECISION_DAYS = 14
#: Frequencies of claims that replace or withdraw an earlier one.
REWORK = frozenset({"7", "8"})
#: CLP02: processed as secondary or tertiary, forwarded or not.
_AFTER_ANOTHER_PAYER = frozenset({"2", "3", "20", "21"})
#: Denial category of CARC 18: the payer has the claim already.
DUPLICATE = "duplicate"
#: What a source is worth where two tell the same decision; more wins.
_AUTHORITY = {ClaimKind.REMITTANCE: 2, ClaimKind.FHIR: 1, ClaimKind.CSV: 0}


@dataclass(slots=True)
class Decision:
    """Events that tell one decision or one reversal."""

    events: list[ClaimEvent]
    day: dt.date
    charge: Cents
    paid: Cents
    taken_back: bool = False

    @property
    def lead(self) -> ClaimEvent:
        """The first of its events, which speaks for all."""
        return self.events[0]

    @property
    def payer(self) -> str:
        """The canonical payer, ``""`` where the source tells none."""
        return self.lead.payer

    @property
    def number(self) -> str:
        """The payer's own claim number."""
        return self.lead.payer_claim_control_number

    @property
    def after_another_payer(self) -> bool:
        """Whether the payer says that another one paid before it."""
        return self.lead.status in _AFTER_ANOTHER_PAYER

    @property
    def is_duplicate(self) -> bool:
        """Whether it only says that the payer has the claim already."""
        return all(
            one.category == DUPLICATE and one.outcome is Outcome.DENIED for one in self.events
        )

    @property
    def order(self) -> tuple[dt.date, bool, int, int]:
        """By day; on one day what was taken back came before what stands."""
        return self.day, not self.taken_back, self.lead.position, self.lead.event_key


def day_of_event(event: ClaimEvent) -> dt.date:
    """Return the day on which the event happened, as far as it tells."""
    if event.kind in (EventKind.SUBMITTED, EventKind.VOIDED):
        return event.submitted_on or event.received_on or event.known_on
    return event.decided_on or event.paid_on or event.received_on or event.known_on


def decision_date(event: ClaimEvent) -> dt.date | None:
    """Return the day of a decision as stated; None where there is none."""
    return event.decided_on or event.paid_on


# Which decisions there are


def told_once(known: Sequence[ClaimEvent]) -> tuple[list[Decision], list[Decision]]:
    """Return decisions and reversals, without those that a better source tells too."""
    return (
        _without_echoes(_grouped(known, EventKind.DECIDED)),
        _without_echoes(_grouped(known, EventKind.REVERSED)),
    )


def _grouped(known: Sequence[ClaimEvent], kind: EventKind) -> list[Decision]:
    groups: dict[int, list[ClaimEvent]] = {}
    for one in known:
        if one.kind is kind:
            groups.setdefault(one.decision_key, []).append(one)
    return [
        Decision(
            events=events,
            day=min(map(day_of_event, events)),
            charge=sum(one.charge for one in events),
            paid=sum(one.paid for one in events),
        )
        for events in groups.values()
    ]


def _without_echoes(decisions: list[Decision]) -> list[Decision]:
    if len(decisions) < 2:
        return decisions
    return [one for one in decisions if not any(_is_echo(one, better) for better in decisions)]


def _is_echo(one: Decision, better: Decision) -> bool:
    if _AUTHORITY[one.lead.source] >= _AUTHORITY[better.lead.source]:
        return False
    dated = all(map(decision_date, (one.lead, better.lead)))
    if dated and abs((one.day - better.day).days) > _SAME_DECISION_DAYS:
        return False
    # Postings trail: a denial before a payment is a decision of its own, of which no remittance came.
    if dated and one.day < better.day and (one.paid == 0) != (better.paid == 0):
        return False
    return (
        one.payer in ("", better.payer)
        or (one.number != "" and one.number == better.number)
        or (one.paid != 0 and (one.charge, one.paid) == (better.charge, better.paid))
    )


def take_back(decisions: list[Decision], reversals: list[Decision]) -> list[Decision]:
    """Mark what reversals take back; return the reversals whose decision was never seen."""
    orphans = []
    for reversal in sorted(reversals, key=lambda one: one.order):
        open_ones = [one for one in decisions if not one.taken_back]
        fits = [(fit, one) for one in open_ones if (fit := _fit(one, reversal)) is not None]
        if fits:
            max(fits, key=lambda pair: pair[0])[1].taken_back = True
        else:
            orphans.append(reversal)
    return orphans


def _fit(one: Decision, reversal: Decision) -> tuple[bool, bool, bool, dt.date, int, int] | None:
    """Return how well a decision fits a reversal, more is better; None where it cannot be."""
    same_number = one.number != "" and one.number in (
        reversal.number,
        reversal.lead.original_reference,
    )
    same_money = (one.charge, one.paid) == (-reversal.charge, -reversal.paid)
    same_charge = one.charge == -reversal.charge
    earlier = one.day < reversal.day
    if not same_number and (one.payer != reversal.payer or not same_charge):
        return None
    if not earlier and not (same_money and one.day == reversal.day and _precedes(one, reversal)):
        return None
    # Before its own day the latest, on its own day the first: the correction comes after it.
    day = one.day if earlier else dt.date.min
    return same_money, same_number, same_charge, day, -one.lead.position, one.lead.event_key


def _precedes(one: Decision, reversal: Decision) -> bool:
    same_file = one.lead.upload == reversal.lead.upload
    return not same_file or one.lead.position < reversal.lead.position


def first_payers(decisions: Sequence[Decision]) -> list[Decision]:
    """Return the first payer's decisions in order, mere duplicates only if there is nothing else."""
    real = [one for one in decisions if not one.is_duplicate] or decisions
    if not real:
        return []
    payer = min(real, key=lambda one: (one.after_another_payer, one.order)).payer
    return [one for one in real if one.payer in (payer, "")]


# What they amount to


def _slots(decision: Decision) -> dict[tuple[str, dt.date | None], list[ClaimEvent]]:
    """Return the events by the part of the claim that they are about."""
    slots: dict[tuple[str, dt.date | None], list[ClaimEvent]] = {}
    for one in decision.events:
        by_line = one.source is ClaimKind.CSV
        slot = (one.procedure_code, one.service_from) if by_line else ("", None)
        slots.setdefault(slot, []).append(one)
    return slots


def _continues(one: Decision, start: Decision) -> bool:
    """Whether a decision may be a further part of the one that began with ``start``."""
    by_line = one.lead.source is ClaimKind.CSV and start.lead.source is ClaimKind.CSV
    near = (one.day - start.day).days <= PARTS_DAYS
    return by_line and near and one.lead.frequency not in REWORK


def first_parts(own: Sequence[Decision]) -> list[ClaimEvent]:
    """Return the events of the first decision: for every part of the claim its earliest."""
    if not own:
        return []
    slots = _slots(own[0])
    for one in own[1:]:
        if _continues(one, own[0]):
            for slot, events in _slots(one).items():
                slots.setdefault(slot, events)
    return [event for events in slots.values() for event in events]


def last_parts(standing: Sequence[Decision]) -> list[ClaimEvent]:
    """Return the events of the current decision: for every part of the claim its latest."""
    if not standing:
        return []
    start, slots = standing[0], _slots(standing[0])
    for one in standing[1:]:
        new = _slots(one)
        if _continues(one, start) or (new.keys() < slots.keys()):
            slots |= new
        else:
            start, slots = one, new
    return [event for events in slots.values() for event in events]
