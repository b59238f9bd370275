"""What one record says, as events with an identity: the same statement again is the same event.

Hides how a statement is recognized. Every event has three hashes beside its claim's:

``event_key``
    Who says it about what. The same key again is the same statement, whatever file, upload or
    row it comes in, so that a second delivery, overlapping files and files that a clearinghouse
    split change nothing.
``content``
    All that it says. A known key with another content is a correction and replaces.
``decision_key``
    Which decision or submission it is part of, where several rows tell one.

What makes the identity depends on what the source can change:

=============  ====================================================================================
835            One event per CLP. Remittances are never edited, so amounts belong to the identity:
               claim, payer's claim number, status, payment reference (else raw payer), decision
               date, amounts, and the reader's ordinal of word-for-word repetitions.
837            One event per CLM: claim, raw payer, payer sequence, frequency, reference to the
               replaced claim, submission date, ordinal.
FHIR           One event per resource: claim, raw payer, kind, payer's claim number, date.
CSV            One event per service line, because exports come in any order and grouping: claim,
               raw payer, kind, frequency, date, payer's claim number, and the line's procedure,
               modifiers, revenue code and service date. Lines equal in all of these count by
               their rank. Amounts are no part of it: a corrected row replaces.
=============  ====================================================================================

Line numbers of a CSV are no part of the identity: where there is no such column they are ordinals,
which change when the export is sorted another way. Identities use the payer as *stated*, so that
a changed payer mapping corrects events and never doubles them.
"""

from __future__ import annotations

from collections import defaultdict
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from claimkit.claims.model import ClaimEvent, ClaimKind, EventKind, Outcome

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from claimkit.claims.model import Claim, ServiceLine
    from claimkit.types import Cents

__all__ = [
    "DAY_TEXTS",
    "TAKEN_BACK",
    "VOID",
    "Statement",
    "claim_key",
    "events_of",
    "folded_number",
    "is_alone",
    "keys_alone",
    "kind_of",
    "statements_of",
]

#: X12 claim frequency with which the provider withdraws the claim.
VOID = "8"
_SUBMISSIONS = frozenset({ClaimKind.PROFESSIONAL, ClaimKind.INSTITUTIONAL, ClaimKind.DENTAL})
#: CLP02 22, and the word that CSV status texts fold to.
TAKEN_BACK = frozenset({"22", "reversed"})


class _DayTexts(dict["dt.date | None", str]):
    """Days as text; a lookup costs a sixth of formatting, and there are few days."""

    def __missing__(self, day: dt.date | None) -> str:
        text = self[day] = str(day)
        return text


#: Day → its text, ``None`` of none.
DAY_TEXTS = _DayTexts()


class Statement(NamedTuple):
    """One event and the service lines that came with it."""

    event: ClaimEvent
    lines: Sequence[ServiceLine]


class _Amounts(NamedTuple):
    charge: Cents
    allowed: Cents | None
    paid: Cents
    patient_responsibility: Cents


class _Keys(NamedTuple):
    claim: int
    event: int
    content: int
    decision: int


class _Part(NamedTuple):
    """A record, or the line of it that is a statement of its own."""

    identity: str
    lines: list[ServiceLine]
    amounts: _Amounts
    procedure_code: str
    procedure_group: str
    base_group: str
    service_from: dt.date | None
    position: int


def claim_key(patient_control_number: str) -> int:
    """Return the 64-bit signed key of a claim, by its provider's own number.

    Payers return the number in upper case or without punctuation, so these do not count;
    leading zeros do.

    >>> claim_key("ab-0012 7") == claim_key("AB00127"), claim_key("0127") == claim_key("127")
    (True, False)
    """
    return _hash(folded_number(patient_control_number))


def folded_number(patient_control_number: str) -> str:
    """Return of a claim's number what counts; see :func:`claim_key`."""
    folded = patient_control_number.upper()
    if folded.isalnum():
        return folded
    return "".join(filter(str.isalnum, folded)) or folded.strip()


def events_of(claim: Claim, *, upload: str, known_on: dt.date) -> list[ClaimEvent]:
    """Return the events of one normalized record: one, or one per service line of a CSV.

    Args:
        claim: The record, after all normalizers.
        upload: Public id of the upload that it came with.
        known_on: The day on which the upload became known.
    """
    return [one.event for one in statements_of(claim, upload=upload, known_on=known_on)]


def statements_of(claim: Claim, *, upload: str, known_on: dt.date) -> list[Statement]:
    """Return the events of one record, each with its service lines; see :func:`events_of`."""
    key = claim_key(claim.patient_control_number)
    kind = kind_of(claim)
    decision = _decision(claim, key, kind)
    whole = claim.kind is not ClaimKind.CSV
    said = _content(claim)
    made = []
    for part in [_whole(claim)] if whole else _lines_apart(claim, kind):
        identity = f"{decision}|{part.identity}"
        event_key = _hash(identity)
        told = _amounts_and_lines(*part.amounts, part.lines, numbered=whole)
        keys = _Keys(
            claim=key,
            event=event_key,
            content=_hash(f"{identity}{said}{told}"),
            decision=event_key if whole else _hash(decision),
        )
        event = _event(claim, part, keys, kind, upload, known_on)
        made.append(Statement(event, part.lines))
    return made


def is_alone(claim: Claim) -> bool:
    """Whether a record is one statement whose line, if it has its own, is about the claim's procedure."""
    if claim.kind is not ClaimKind.CSV:
        return True
    return len(claim.lines) == 1 and claim.lines[0].procedure_code in ("", claim.procedure_code)


def keys_alone(claim: Claim, key: int, kind: EventKind) -> tuple[int, int, int]:
    """Return the keys of event, content and decision of a record that :func:`is_alone`.

    The same as those of :func:`statements_of`, which takes twice the time; take-backs are not
    for this function, because an export's change their sign.
    """
    decision = _decision(claim, key, kind)
    whole = claim.kind is not ClaimKind.CSV
    if whole:
        identity = f"{decision}|{_whole_identity(claim)}"
    else:
        identity = f"{decision}|{_place(claim.lines[0])}|0|{claim.ordinal}"
    told = _amounts_and_lines(
        claim.charge,
        claim.allowed,
        claim.paid,
        claim.patient_responsibility,
        claim.lines,
        numbered=whole,
    )
    event = _hash(identity)
    content = _hash(f"{identity}{_content(claim)}{told}")
    return event, content, event if whole else _hash(decision)


def _decision(claim: Claim, key: int, kind: EventKind) -> str:
    # By value: formatting a member of an enumeration costs ten times as much.
    return f"{key}|{kind._value_}|{_submission_or_decision(claim, kind)}"


def _event(
    claim: Claim, part: _Part, keys: _Keys, kind: EventKind, upload: str, known_on: dt.date
) -> ClaimEvent:
    return ClaimEvent(
        claim_key=keys.claim,
        event_key=keys.event,
        content=keys.content,
        decision_key=keys.decision,
        kind=kind,
        source=claim.kind,
        patient_control_number=claim.patient_control_number,
        payer_claim_control_number=claim.payer_claim_control_number,
        original_reference=claim.original_reference,
        frequency=claim.frequency,
        status=claim.status,
        payer_name=claim.payer_name,
        payer_id=claim.payer_id,
        base_payer=claim.base_payer or claim.payer,
        payer=claim.payer,
        procedure_code=part.procedure_code,
        base_group=part.base_group,
        procedure_group=part.procedure_group,
        facility=claim.facility,
        line_of_business=claim.filing_indicator,
        provider=claim.rendering_npi or claim.billing_npi or claim.billing_tin,
        authorization_number=claim.authorization_number,
        patient_token=claim.patient_token,
        outcome=claim.outcome,
        category=claim.category,
        reason=claim.reason,
        remark=claim.remark,
        service_from=part.service_from,
        submitted_on=claim.submitted_on,
        received_on=claim.received_on,
        decided_on=claim.decided_on,
        paid_on=claim.paid_on,
        charge=part.amounts.charge,
        allowed=part.amounts.allowed,
        paid=part.amounts.paid,
        patient_responsibility=part.amounts.patient_responsibility,
        upload=upload,
        position=part.position,
        known_on=known_on,
    )


def _hash(text: str) -> int:
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def kind_of(claim: Claim) -> EventKind:
    """Return what a normalized record does to its claim."""
    submission = EventKind.VOIDED if claim.frequency == VOID else EventKind.SUBMITTED
    if claim.kind is not ClaimKind.CSV and claim.kind in _SUBMISSIONS:
        return submission
    if claim.outcome is Outcome.REVERSED or claim.status in TAKEN_BACK:
        return EventKind.REVERSED
    if claim.outcome is Outcome.PENDING:
        # A payer that says "pended" has not been sent anything by saying so; an export has.
        return EventKind.NOTED if claim.kind is ClaimKind.REMITTANCE else submission
    return EventKind.NOTED if claim.outcome is Outcome.OTHER else EventKind.DECIDED


def _submission_or_decision(claim: Claim, kind: EventKind) -> str:
    """Return what tells this decision or submission of the claim from its others."""
    source = (
        "csv"
        if claim.kind is ClaimKind.CSV
        else "837"
        if claim.kind in _SUBMISSIONS
        else claim.kind.value
    )
    payer = (claim.payer_id or claim.payer_name).upper()
    decided = claim.decided_on or claim.paid_on
    number = claim.payer_claim_control_number
    if claim.kind is ClaimKind.REMITTANCE:
        sent_with = claim.payment_reference or payer
        return f"{source}|{number}|{claim.status}|{sent_with}|{DAY_TEXTS[decided]}"
    if kind in (EventKind.SUBMITTED, EventKind.VOIDED):
        return (
            f"{source}|{payer}|{claim.payer_sequence}|{claim.frequency}"
            f"|{claim.original_reference}|{DAY_TEXTS[claim.submitted_on]}"
        )
    return f"{source}|{payer}|{claim.frequency}|{number}|{DAY_TEXTS[decided]}"


def _whole(claim: Claim) -> _Part:
    return _Part(
        identity=_whole_identity(claim),
        lines=claim.lines,
        amounts=_Amounts(claim.charge, claim.allowed, claim.paid, claim.patient_responsibility),
        procedure_code=claim.procedure_code,
        procedure_group=claim.procedure_group,
        base_group=claim.base_group or claim.procedure_group,
        service_from=claim.service_from,
        position=claim.position,
    )


def _whole_identity(claim: Claim) -> str:
    if claim.kind is not ClaimKind.REMITTANCE:
        return f"{claim.ordinal}"
    return f"{claim.charge}|{claim.paid}|{claim.patient_responsibility}|{claim.ordinal}"


def _lines_apart(claim: Claim, kind: EventKind) -> list[_Part]:
    """Return a CSV record line by line, the record's own amounts split as the lines'."""
    amounts = _split(claim)
    if kind is EventKind.REVERSED:
        # Exports tell a take-back as a negative amount or as a status beside the old one.
        amounts = [_negated(one) for one in amounts]
    if len(claim.lines) < 2:
        line = claim.lines[0] if claim.lines else None
        place = (
            _place(line) if line else f"{claim.procedure_code}|||{DAY_TEXTS[claim.service_from]}"
        )
        return [_line_part(claim, line, amounts[0], f"{place}|0|{claim.ordinal}")]
    parts = []
    seen: dict[str, int] = defaultdict(int)
    ranked = sorted(
        zip(claim.lines, amounts, strict=True),
        key=lambda pair: (pair[0].number, pair[1].charge, pair[1].paid),
    )
    for line, its in ranked:
        place = _place(line)
        parts.append(_line_part(claim, line, its, f"{place}|{seen[place]}|{claim.ordinal}"))
        seen[place] += 1
    parts.sort(key=lambda part: part.position)
    return parts


def _place(line: ServiceLine) -> str:
    modifiers = ":".join(line.modifiers) if line.modifiers else ""
    return f"{line.procedure_code}|{modifiers}|{line.revenue_code}|{DAY_TEXTS[line.service_from]}"


def _line_part(claim: Claim, line: ServiceLine | None, its: _Amounts, identity: str) -> _Part:
    own = line is None or not line.procedure_code or line.procedure_code == claim.procedure_code
    return _Part(
        identity=identity,
        lines=[] if line is None else [line],
        amounts=its,
        procedure_code=claim.procedure_code if line is None or own else line.procedure_code,
        procedure_group=claim.procedure_group if own else "",
        base_group=(claim.base_group or claim.procedure_group) if own else "",
        service_from=(line and line.service_from) or claim.service_from,
        position=(line and line.position) or claim.position,
    )


def _split(claim: Claim) -> list[_Amounts]:
    """Split a record's amounts over its lines; what lines leave over goes to the largest one."""
    whole = _Amounts(claim.charge, claim.allowed, claim.paid, claim.patient_responsibility)
    lines = claim.lines
    if len(lines) < 2:
        return [whole]
    largest = max(range(len(lines)), key=lambda i: (lines[i].charge, _place(lines[i])))
    charge = _shares(whole.charge, [line.charge for line in lines], largest)
    paid = _shares(whole.paid, [line.paid for line in lines], largest)
    owed = [sum(a.amount for a in line.adjustments if a.group == "PR") for line in lines]
    owed = _shares(whole.patient_responsibility, owed, largest)
    allowed: Sequence[Cents | None] = [line.allowed for line in lines]
    if whole.allowed is not None:
        allowed = _shares(whole.allowed, [line.allowed or 0 for line in lines], largest)
    return [_Amounts(*one) for one in zip(charge, allowed, paid, owed, strict=True)]


def _shares(total: Cents, parts: list[Cents], largest: int) -> list[Cents]:
    parts[largest] += total - sum(parts)
    return parts


def _negated(amounts: _Amounts) -> _Amounts:
    charge, allowed, paid, owed = amounts
    return _Amounts(
        -abs(charge), None if allowed is None else -abs(allowed), -abs(paid), -abs(owed)
    )


def _content(claim: Claim) -> str:
    """Return all that a record says beyond amounts and lines; where it stood does not count."""
    return (
        f"{claim.patient_control_number}|{claim.payer_claim_control_number}"
        f"|{claim.original_reference}|{claim.frequency}|{claim.status}"
        # Without the tenant's mapping: another name for a payer corrects nothing.
        f"|{claim.base_payer or claim.payer}"
        f"|{claim.facility}|{claim.filing_indicator}|{claim.rendering_npi}|{claim.billing_npi}"
        f"|{claim.billing_tin}|{claim.authorization_number}|{claim.patient_token}"
        f"|{claim.procedure_code}|{claim.base_group or claim.procedure_group}"
        f"|{claim.outcome._value_}|{claim.category}|{claim.reason}|{claim.remark}|{DAY_TEXTS[claim.service_from]}"
        f"|{DAY_TEXTS[claim.submitted_on]}|{DAY_TEXTS[claim.received_on]}|{DAY_TEXTS[claim.decided_on]}|{DAY_TEXTS[claim.paid_on]}|"
    )


def _amounts_and_lines(
    charge: Cents,
    allowed: Cents | None,
    paid: Cents,
    owed: Cents,
    lines: Sequence[ServiceLine],
    *,
    numbered: bool,
) -> str:
    text = f"{charge}|{allowed}|{paid}|{owed}"
    for line in lines:
        # Where a line is a statement of its own, its place is in the identity.
        if numbered:
            text += f"|{line.number}|{_place(line)}"
        text += (
            f"|{line.procedure_system}|{line.units}|{DAY_TEXTS[line.service_to]}|{line.charge}"
            f"|{line.allowed}|{line.paid}|{line.billed_procedure}"
        )
        if line.adjustments:
            text += repr([tuple(map(str, one)) for one in line.adjustments])
        if line.remarks:
            text += repr(line.remarks)
    return text
