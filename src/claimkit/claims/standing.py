"""Where a claim stands: the fold of its events, a pure function of their *set*.

Hides what a life of submissions, decisions, take-backs and corrections amounts to. Neither the
order in which files came nor how often they came matters. The rules:

*One statement, one event.* Of two versions of a statement the one known later counts.

*One decision, told once.* A decision that an export tells and a remittance tells too is counted
by the remittance: same payer, same claim number or same money, at most 14 days apart.

*Reversals net out.* A reversal (CLP02 22) takes back one decision: the same money and claim number
first, then the same claim number, then the same charge, always on or before its own day. On the
same day it must repeat the money, because the correction that follows it has the same date and
often the same claim number. Money is the sum over decisions and reversals of all payers, so it is
right even where the decision that a reversal takes back was never seen.

*First and current decision.* The first decision is the first payer's earliest one, taken back or not;
the current one is its latest that was not taken back. Decisions of secondary payers add money only.
Denials as a duplicate (CARC 18) are never first or current unless there is nothing else.

*Lines of an export.* Rows of one claim that are decided within 30 days are parts of one decision; a later
row for the same procedure and service date takes the place of the earlier one.

*Rework.* Where the first decision is on a replacement or void (frequency 7 or 8), or on a claim
whose earlier decision was taken back but never seen, or a mere duplicate, the claim is no first pass.

*Voids.* A claim that its provider withdrew is ``REVERSED`` once the payer took its decision back and
``OTHER`` until then, unless the payer decided anew after the void.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from claimkit.claims.model import ClaimEvent, ClaimKind, ClaimPosition, EventKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from claimkit.types import Cents

__all__ = ["fold", "in_order"]

#: Posting in a billing system trails the remittance by up to two weeks.
_SAME_DECISION_DAYS = 14
#: Lines of one submission that are decided further apart are not one decision.
_PARTS_DAYS = 30
_REWORK = frozenset({"7", "8"})
#: CLP02: processed as secondary or tertiary, forwarded or not.
_AFTER_ANOTHER_PAYER = frozenset({"2", "3", "20", "21"})
_DUPLICATE = "duplicate"
#: What a source is worth where two tell the same decision; more wins.
_AUTHORITY = {ClaimKind.REMITTANCE: 2, ClaimKind.FHIR: 1, ClaimKind.CSV: 0}
#: On one day: sent, withdrawn, noted, taken back, decided (anew).
_ORDER = {
    EventKind.SUBMITTED: 0,
    EventKind.VOIDED: 1,
    EventKind.NOTED: 2,
    EventKind.REVERSED: 3,
    EventKind.DECIDED: 4,
}


@dataclass(slots=True)
class _Decision:
    """Events that tell one decision or one reversal."""

    events: list[ClaimEvent]
    day: dt.date
    charge: Cents
    paid: Cents
    taken_back: bool = False

    @property
    def lead(self) -> ClaimEvent:
        return self.events[0]

    @property
    def payer(self) -> str:
        return self.lead.payer

    @property
    def number(self) -> str:
        return self.lead.payer_claim_control_number

    @property
    def after_another_payer(self) -> bool:
        return self.lead.status in _AFTER_ANOTHER_PAYER

    @property
    def is_duplicate(self) -> bool:
        return all(
            one.category == _DUPLICATE and one.outcome is Outcome.DENIED for one in self.events
        )

    @property
    def order(self) -> tuple[dt.date, bool, int, int]:
        """By day; on one day what was taken back came before what stands."""
        return self.day, not self.taken_back, self.lead.position, self.lead.event_key


def in_order(events: Iterable[ClaimEvent]) -> list[ClaimEvent]:
    """Return events by the day on which they happened, then in the order of a claim's life."""
    return sorted(
        events, key=lambda one: (_day(one), _ORDER[one.kind], one.position, one.event_key)
    )


def fold(events: Iterable[ClaimEvent]) -> ClaimPosition:
    """Return the position of the one claim that all ``events`` are about.

    A pure function of the set of events; see the module for its rules.

    Raises:
        ValueError: there are no events.
    """
    known = _latest_versions(events)
    if not known:
        raise ValueError("a claim without events has no position")
    decisions, reversals = _told_once(known)
    orphans = _take_back(decisions, reversals)
    decisions.sort(key=lambda one: one.order)
    own = _first_payers(decisions)
    sent = [one for one in known if one.kind in (EventKind.SUBMITTED, EventKind.VOIDED)]
    first = _first_parts(own)
    standing = _last_parts([one for one in own if not one.taken_back])
    basis = standing or _basis(own, reversals, sent, known)

    position = _describe(known, [*first, *standing, *sent])
    position.paid = sum(one.paid for one in decisions) + sum(one.paid for one in reversals)
    position.reversals = len(reversals)
    position.has_decision = bool(decisions or reversals)
    position.has_submission = bool(sent) or any(one.submitted_on for one in known)
    position.patient_responsibility = _owed(decisions)
    position.charge = abs(sum(one.charge for one in basis))
    position.allowed = _allowed(basis)
    _state_first(position, first, sent, known)
    _state_current(position, standing, reversals, sent, known)
    position.first_pass = _is_first_pass(own, orphans, sent, known)
    _state_lag(position, first, known)
    return position


def _day(event: ClaimEvent) -> dt.date:
    """Return the day on which the event happened, as far as it tells."""
    if event.kind in (EventKind.SUBMITTED, EventKind.VOIDED):
        return event.submitted_on or event.received_on or event.known_on
    return event.decided_on or event.paid_on or event.received_on or event.known_on


def _decided(event: ClaimEvent) -> dt.date | None:
    return event.decided_on or event.paid_on


def _latest_versions(events: Iterable[ClaimEvent]) -> list[ClaimEvent]:
    latest: dict[int, ClaimEvent] = {}
    for one in events:
        other = latest.setdefault(one.event_key, one)
        if other is not one and _version(other) < _version(one):
            latest[one.event_key] = one
    return in_order(latest.values()) if len(latest) > 1 else list(latest.values())


def _version(event: ClaimEvent) -> tuple[dt.date, int, str, int]:
    return event.known_on, event.content, event.upload, event.position


# Which decisions there are


def _told_once(known: Sequence[ClaimEvent]) -> tuple[list[_Decision], list[_Decision]]:
    """Return decisions and reversals, without those that a better source tells too."""
    return (
        _without_echoes(_grouped(known, EventKind.DECIDED)),
        _without_echoes(_grouped(known, EventKind.REVERSED)),
    )


def _grouped(known: Sequence[ClaimEvent], kind: EventKind) -> list[_Decision]:
    groups: dict[int, list[ClaimEvent]] = {}
    for one in known:
        if one.kind is kind:
            groups.setdefault(one.decision_key, []).append(one)
    return [
        _Decision(
            events=events,
            day=min(map(_day, events)),
            charge=sum(one.charge for one in events),
            paid=sum(one.paid for one in events),
        )
        for events in groups.values()
    ]


def _without_echoes(decisions: list[_Decision]) -> list[_Decision]:
    if len(decisions) < 2:
        return decisions
    return [one for one in decisions if not any(_is_echo(one, better) for better in decisions)]


def _is_echo(one: _Decision, better: _Decision) -> bool:
    if _AUTHORITY[one.lead.source] >= _AUTHORITY[better.lead.source]:
        return False
    dated = all(map(_decided, (one.lead, better.lead)))
    if dated and abs((one.day - better.day).days) > _SAME_DECISION_DAYS:
        return False
    return (
        one.payer in ("", better.payer)
        or (one.number != "" and one.number == better.number)
        or (one.paid != 0 and (one.charge, one.paid) == (better.charge, better.paid))
    )


def _take_back(decisions: list[_Decision], reversals: list[_Decision]) -> list[_Decision]:
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


def _fit(one: _Decision, reversal: _Decision) -> tuple[bool, bool, bool, dt.date, int, int] | None:
    """Return how well a decision fits a reversal, more is better; None where it cannot be."""
    numbers = {reversal.number, reversal.lead.original_reference} - {""}
    same_number = one.number in numbers
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


def _precedes(one: _Decision, reversal: _Decision) -> bool:
    same_file = one.lead.upload == reversal.lead.upload
    return not same_file or one.lead.position < reversal.lead.position


def _first_payers(decisions: Sequence[_Decision]) -> list[_Decision]:
    """Return the first payer's decisions in order, mere duplicates only if there is nothing else."""
    real = [one for one in decisions if not one.is_duplicate] or decisions
    if not real:
        return []
    payer = min(real, key=lambda one: (one.after_another_payer, one.order)).payer
    return [one for one in real if one.payer in (payer, "")]


# What they amount to


def _slots(decision: _Decision) -> dict[tuple[str, dt.date | None], list[ClaimEvent]]:
    """Return the events by the part of the claim that they are about."""
    slots: dict[tuple[str, dt.date | None], list[ClaimEvent]] = {}
    for one in decision.events:
        by_line = one.source is ClaimKind.CSV
        slot = (one.procedure_code, one.service_from) if by_line else ("", None)
        slots.setdefault(slot, []).append(one)
    return slots


def _continues(one: _Decision, start: _Decision) -> bool:
    """Whether a decision may be a further part of the one that began with ``start``."""
    by_line = one.lead.source is ClaimKind.CSV and start.lead.source is ClaimKind.CSV
    near = (one.day - start.day).days <= _PARTS_DAYS
    return by_line and near and one.lead.frequency not in _REWORK


def _first_parts(own: Sequence[_Decision]) -> list[ClaimEvent]:
    if not own:
        return []
    slots = _slots(own[0])
    for one in own[1:]:
        if _continues(one, own[0]):
            for slot, events in _slots(one).items():
                slots.setdefault(slot, events)
    return [event for events in slots.values() for event in events]


def _last_parts(standing: Sequence[_Decision]) -> list[ClaimEvent]:
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


def _basis(
    own: Sequence[_Decision],
    reversals: Sequence[_Decision],
    sent: Sequence[ClaimEvent],
    known: Sequence[ClaimEvent],
) -> Sequence[ClaimEvent]:
    """Return the events that tell charge and allowed amount where no decision stands."""
    if own:
        return own[-1].events
    if sent:
        return [one for one in sent if one.decision_key == sent[-1].decision_key]
    if reversals:
        return reversals[-1].events
    return known[-1:]


def _allowed(events: Sequence[ClaimEvent]) -> Cents | None:
    """Sum what is allowed; None where no line tells it, or where a paid one does not."""
    told = [one.allowed for one in events if one.allowed is not None]
    if not told or any(one.allowed is None and one.paid for one in events):
        return None
    return abs(sum(told))


def _owed(decisions: Sequence[_Decision]) -> Cents:
    """Return what the patient owes by the last payer that left the patient anything.

    Each payer states the rest that its own decision leaves, so the statements do not add up.
    """
    left = [one for one in decisions if not one.taken_back and not one.is_duplicate]
    if not left:
        return 0
    telling = [
        one
        for one in left
        if any(event.patient_responsibility or event.paid for event in one.events)
    ] or left
    last = max(telling, key=lambda one: (one.after_another_payer, one.order))
    parts = _last_parts([one for one in left if one.payer == last.payer])
    return sum(one.patient_responsibility for one in parts)


def _describe(known: Sequence[ClaimEvent], best_first: Sequence[ClaimEvent]) -> ClaimPosition:
    """Return a position with what the claim is about, told by the events that know it best."""
    ranked = [*best_first, *known]
    largest = max(
        best_first or known,
        key=lambda one: (one.procedure_group != "", abs(one.charge), one.procedure_code),
    )
    latest = max(known, key=lambda one: (one.known_on, _day(one), one.position, one.event_key))
    return ClaimPosition(
        claim_key=known[0].claim_key,
        patient_control_number=known[0].patient_control_number,
        payer=next((one.payer for one in ranked if one.payer), ""),
        procedure_code=largest.procedure_code,
        procedure_group=largest.procedure_group,
        facility=next((one.facility for one in ranked if one.facility), ""),
        line_of_business=next((one.line_of_business for one in ranked if one.line_of_business), ""),
        provider=next((one.provider for one in ranked if one.provider), ""),
        authorization_number=next(
            (one.authorization_number for one in ranked if one.authorization_number), ""
        ),
        patient_token=next((one.patient_token for one in ranked if one.patient_token), ""),
        frequency=next((one.frequency for one in reversed(known) if one.frequency), ""),
        service_from=min((one.service_from for one in known if one.service_from), default=None),
        upload=latest.upload,
        position=latest.position,
    )


def _outcome(parts: Sequence[ClaimEvent]) -> Outcome:
    """Return what became of a claim whose parts became these."""
    outcomes = {one.outcome for one in parts}
    if len(outcomes) == 1:
        return outcomes.pop()
    if Outcome.DENIED in outcomes or Outcome.PARTIAL in outcomes:
        return Outcome.PARTIAL
    return Outcome.PAID


def _telling(parts: Sequence[ClaimEvent]) -> ClaimEvent:
    """Return the largest part that has a reason, else the largest."""
    return max(
        parts,
        key=lambda one: (one.category != "", one.reason != "", one.charge, one.reason, one.remark),
    )


def _undecided(sent: Sequence[ClaimEvent], known: Sequence[ClaimEvent]) -> Outcome:
    """Return where a claim stands that no payer has decided."""
    if sent and sent[-1].kind is EventKind.VOIDED:
        return Outcome.OTHER
    noted = [one for one in known if one.kind is EventKind.NOTED]
    if noted and (not sent or _day(noted[-1]) >= _day(sent[-1])):
        return noted[-1].outcome
    return Outcome.PENDING


def _state_first(
    position: ClaimPosition,
    first: Sequence[ClaimEvent],
    sent: Sequence[ClaimEvent],
    known: Sequence[ClaimEvent],
) -> None:
    if first:
        telling = _telling(first)
        position.first_decided_on = min(filter(None, map(_decided, first)), default=None)
        position.first_outcome = _outcome(first)
        position.first_category = telling.category
        position.first_reason = telling.reason
    elif position.reversals:
        position.first_outcome = Outcome.REVERSED
    else:
        position.first_outcome = _undecided(sent, known)


def _state_current(
    position: ClaimPosition,
    standing: Sequence[ClaimEvent],
    reversals: Sequence[_Decision],
    sent: Sequence[ClaimEvent],
    known: Sequence[ClaimEvent],
) -> None:
    taken_back = [event for one in reversals for event in one.events]
    latest = standing or taken_back
    position.decided_on = max(filter(None, map(_decided, latest)), default=None)
    position.paid_on = max((one.paid_on for one in latest if one.paid_on), default=None)
    position.payer_claim_control_number = next(
        (
            one.payer_claim_control_number
            for one in [*reversed(standing), *reversed(known)]
            if one.payer_claim_control_number
        ),
        "",
    )
    withdrawn = bool(sent) and sent[-1].kind is EventKind.VOIDED
    if standing and not (withdrawn and max(map(_day, standing)) <= _day(sent[-1])):
        telling = _telling(standing)
        position.outcome = _outcome(standing)
        position.category = telling.category
        position.reason = telling.reason
        position.remark = telling.remark
    elif taken_back:
        position.outcome = Outcome.REVERSED
    elif standing:
        position.outcome = Outcome.OTHER
    else:
        position.outcome = _undecided(sent, known)


def _is_first_pass(
    own: Sequence[_Decision],
    orphans: Sequence[_Decision],
    sent: Sequence[ClaimEvent],
    known: Sequence[ClaimEvent],
) -> bool:
    if own:
        first = own[0]
        follows = any(one.payer == first.payer and one.day <= first.day for one in orphans)
        return not (follows or first.is_duplicate or _frequency(first, sent) in _REWORK)
    if orphans:
        return False
    return any(one.frequency not in _REWORK for one in sent or known)


def _frequency(first: _Decision, sent: Sequence[ClaimEvent]) -> str:
    """Return the frequency of what was decided: as stated, else of what had been sent by then."""
    if first.lead.frequency or not sent:
        return first.lead.frequency
    by_then = [one for one in sent if _day(one) <= first.day] or sent[:1]
    return by_then[-1].frequency


def _state_lag(
    position: ClaimPosition, first: Sequence[ClaimEvent], known: Sequence[ClaimEvent]
) -> None:
    sent = [one.submitted_on for one in known if one.submitted_on]
    kept = [one.submitted_on for one in known if one.submitted_on and one.frequency != "8"]
    received = [one.received_on for one in (first or known) if one.received_on]
    position.submitted_on = min(kept or sent or received, default=None)
    if position.submitted_on and position.first_decided_on:
        days = (position.first_decided_on - position.submitted_on).days
        position.lag_days = days if days >= 0 else None
