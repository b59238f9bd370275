"""Where a claim stands: the fold of its events, a pure function of their *set*.

Hides what a life of submissions, decisions, take-backs and corrections amounts to. Neither the
order in which files came nor how often they came matters. The rules:

*One statement, one event.* Of two versions of a statement the one known later counts.

*One decision, told once.* A decision that an export tells and a remittance tells too is counted
by the remittance: same payer, same claim number or same money, at most 14 days apart. An export's
earlier denial is not the remittance's payment.

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

from typing import TYPE_CHECKING

from claimkit.claims.decisions import (
    DUPLICATE,
    REWORK,
    Decision,
    day_of_event,
    decision_date,
    first_parts,
    first_payers,
    last_parts,
    take_back,
    told_once,
)
from claimkit.claims.model import ClaimEvent, ClaimPosition, EventKind, Outcome

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence

    from claimkit.types import Cents

__all__ = ["fold", "in_order"]

#: On one day: sent, withdrawn, noted, taken back, decided (anew).
_ORDER = {
    EventKind.SUBMITTED: 0,
    EventKind.VOIDED: 1,
    EventKind.NOTED: 2,
    EventKind.REVERSED: 3,
    EventKind.DECIDED: 4,
}


def in_order(events: Iterable[ClaimEvent]) -> list[ClaimEvent]:
    """Return events by the day on which they happened, then in the order of a claim's life."""
    return sorted(
        events, key=lambda one: (day_of_event(one), _ORDER[one.kind], one.position, one.event_key)
    )


def fold(events: Iterable[ClaimEvent]) -> ClaimPosition:
    """Return the position of the one claim that all ``events`` are about.

    A pure function of the set of events; see the module for its rules.

    Raises:
        ValueError: there are no events.
    """
    known = list(events)
    if not known:
        raise ValueError("a claim without events has no position")
    if len(known) > 1:
        known = _latest_versions(known)
    if len(known) == 1 and known[0].kind in (EventKind.DECIDED, EventKind.SUBMITTED):
        return _alone(known[0])
    return _together(known)


def _alone(one: ClaimEvent) -> ClaimPosition:
    """Return what :func:`_together` says of a single statement, at a fifth of the cost.

    Most claims of a first import are told once, so this is where imports spend their time.
    """
    decided = one.kind is EventKind.DECIDED
    duplicate = decided and one.category == DUPLICATE and one.outcome is Outcome.DENIED
    outcome, category, reason, remark = (
        (one.outcome, one.category, one.reason, one.remark)
        if decided
        else (Outcome.PENDING, "", "", "")
    )
    decided_on = (one.decided_on or one.paid_on) if decided else None
    submitted_on = one.submitted_on or one.received_on
    lag_days = (decided_on - submitted_on).days if decided_on and submitted_on else -1
    return ClaimPosition(
        claim_key=one.claim_key,
        patient_control_number=one.patient_control_number,
        payer_claim_control_number=one.payer_claim_control_number,
        payer=one.payer,
        procedure_code=one.procedure_code,
        procedure_group=one.procedure_group,
        facility=one.facility,
        line_of_business=one.line_of_business,
        provider=one.provider,
        authorization_number=one.authorization_number,
        patient_token=one.patient_token,
        frequency=one.frequency,
        service_from=one.service_from,
        submitted_on=submitted_on,
        first_decided_on=decided_on,
        first_outcome=outcome,
        first_category=category,
        first_reason=reason,
        outcome=outcome,
        category=category,
        reason=reason,
        remark=remark,
        decided_on=decided_on,
        paid_on=one.paid_on if decided else None,
        charge=abs(one.charge),
        allowed=None if one.allowed is None else abs(one.allowed),
        paid=one.paid if decided else 0,
        patient_responsibility=one.patient_responsibility if decided and not duplicate else 0,
        lag_days=lag_days if lag_days >= 0 else None,
        has_submission=not decided or one.submitted_on is not None,
        has_decision=decided,
        first_pass=not duplicate and one.frequency not in REWORK,
        upload=one.upload,
        position=one.position,
    )


def _together(known: Sequence[ClaimEvent]) -> ClaimPosition:
    """Return the position by statements that differ, in the order of :func:`in_order`."""
    decisions, reversals = told_once(known)
    orphans = take_back(decisions, reversals)
    decisions.sort(key=lambda one: one.order)
    own = first_payers(decisions)
    sent = [one for one in known if one.kind in (EventKind.SUBMITTED, EventKind.VOIDED)]
    first = first_parts(own)
    standing = last_parts([one for one in own if not one.taken_back])
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


def _latest_versions(events: Iterable[ClaimEvent]) -> list[ClaimEvent]:
    latest: dict[int, ClaimEvent] = {}
    for one in events:
        other = latest.setdefault(one.event_key, one)
        if other is not one and _version(other) < _version(one):
            latest[one.event_key] = one
    return in_order(latest.values()) if len(latest) > 1 else list(latest.values())


def _version(event: ClaimEvent) -> tuple[dt.date, int, str, int]:
    return event.known_on, event.content, event.upload, event.position


def _basis(
    own: Sequence[Decision],
    reversals: Sequence[Decision],
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


def _owed(decisions: Sequence[Decision]) -> Cents:
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
    parts = last_parts([one for one in left if one.payer == last.payer])
    return sum(one.patient_responsibility for one in parts)


def _describe(known: Sequence[ClaimEvent], best_first: Sequence[ClaimEvent]) -> ClaimPosition:
    """Return a position with what the claim is about, told by the events that know it best."""
    ranked = [*best_first, *known]
    largest = max(
        best_first or known,
        key=lambda one: (one.procedure_group != "", abs(one.charge), one.procedure_code),
    )
    latest = max(
        known, key=lambda one: (one.known_on, day_of_event(one), one.position, one.event_key)
    )
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
    if noted and (not sent or day_of_event(noted[-1]) >= day_of_event(sent[-1])):
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
        position.first_decided_on = min(filter(None, map(decision_date, first)), default=None)
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
    reversals: Sequence[Decision],
    sent: Sequence[ClaimEvent],
    known: Sequence[ClaimEvent],
) -> None:
    taken_back = [event for one in reversals for event in one.events]
    latest = standing or taken_back
    position.decided_on = max(filter(None, map(decision_date, latest)), default=None)
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
    if standing and not (withdrawn and max(map(day_of_event, standing)) <= day_of_event(sent[-1])):
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
    own: Sequence[Decision],
    orphans: Sequence[Decision],
    sent: Sequence[ClaimEvent],
    known: Sequence[ClaimEvent],
) -> bool:
    if own:
        first = own[0]
        follows = any(one.payer == first.payer and one.day <= first.day for one in orphans)
        return not (follows or first.is_duplicate or _frequency(first, sent) in REWORK)
    if orphans:
        return False
    return any(one.frequency not in REWORK for one in sent or known)


def _frequency(first: Decision, sent: Sequence[ClaimEvent]) -> str:
    """Return the frequency of what was decided: as stated, else of what had been sent by then."""
    if first.lead.frequency or not sent:
        return first.lead.frequency
    by_then = [one for one in sent if day_of_event(one) <= first.day] or sent[:1]
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
