"""The ledger of claims: what a batch adds to what is known, the same for every store.

A store keeps events, their service lines and one position per claim. It implements only the
primitives: load what is known of the claims that a batch touches, and write what
:func:`merge` says. The decisions are here:

1. :func:`~claimkit.claims.statements.statements_of` turns records into events with an identity.
2. :func:`merge` drops those that are known word for word, lets corrections replace,
   and folds every touched claim anew from all its events.
3. :func:`~claimkit.claims.standing.fold` says where a claim stands: a pure function of the set of
   its events, so that files may come in any order, overlap and come again.
4. :func:`facts_of` takes from a position what drift may know.

What happens in each case::

    same file again, overlapping files,        same identities: nothing changes
    files that a clearinghouse split
    pending row, then decided row              two events: submission, then decision
    corrected row of an export                 same identity, other content: replaces
    837 and 835 in either order                submission and decision of one claim
    paid, reversed, corrected                  net money, first and current decision
    primary and secondary payer                money of both, decision of the first
    frequency 7 and 8                          later submissions of the claim
    the same decision in CSV and 835           counted once, by the 835
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from claimkit.claims.model import Added
from claimkit.claims.standing import fold, in_order
from claimkit.claims.statements import Statement, claim_key, events_of, statements_of
from claimkit.events import ClaimFacts, FactsChange
from claimkit.types import PARTS_DAYS, day_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from claimkit.claims.model import Claim, ClaimEvent, ClaimPosition, ServiceLine
    from claimkit.types import Day

__all__ = [
    "FACT_FIELDS",
    "Changeset",
    "Statement",
    "claim_key",
    "day_numbers",
    "events_of",
    "facts_in",
    "facts_of",
    "fold",
    "in_order",
    "merge",
    "renamed",
    "sift",
    "statements_in",
    "statements_of",
]

#: Fields of a position that its facts are made of.
FACT_FIELDS: Final = (
    *("payer", "procedure_group", "facility", "line_of_business", "provider", "procedure_code"),
    *("submitted_on", "first_decided_on", "decided_on", "paid_on", "service_from"),
    *("first_outcome", "first_category", "first_reason", "reversals", "first_pass"),
    *("charge", "allowed", "paid", "authorization_number"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changeset:
    """What a store must write, and what to tell about it."""

    #: Events to insert, or to replace by claim key and event key.
    events: Sequence[ClaimEvent] = ()
    #: Claim key and event key → the service lines that from now on belong to the event.
    lines: Mapping[tuple[int, int], Sequence[ServiceLine]] = field(default_factory=dict)
    #: Events that replace one that is stored; their old lines must go.
    replaced: Sequence[ClaimEvent] = ()
    #: Positions to insert, or to replace by claim key.
    positions: Sequence[ClaimPosition] = ()
    added: Added = field(default_factory=Added)
    #: Facts before and after, only where they differ.
    changes: Sequence[FactsChange] = ()


def merge(
    statements: Iterable[Statement],
    events: Mapping[int, Sequence[ClaimEvent]],
    positions: Mapping[int, ClaimPosition],
) -> Changeset:
    """Return what a batch changes.

    Args:
        statements: The batch, in file order.
        events: Claim key → all stored events of the claim, for every claim of the batch.
        positions: Claim key → its stored position, for every stored claim of the batch.
    """
    batch, told = _by_claim(statements)
    written: list[Statement] = []
    replaced: list[ClaimEvent] = []
    folded: list[ClaimPosition] = []
    changes: list[FactsChange] = []
    for key, said in batch.items():
        stored_events = events.get(key)
        if stored_events is None:
            # Most claims of a first import: nothing is known, so everything is news.
            written += said.values()
            position = fold([one.event for one in said.values()])
            folded.append(position)
            changes.append(FactsChange(None, facts_of(position)))
            continue
        known = {one.event_key: one for one in stored_events}
        news = [one for one in said.values() if _is_news(one.event, known)]
        if not news:
            continue
        written += news
        replaced += [one.event for one in news if one.event.event_key in known]
        known |= {one.event.event_key: one.event for one in news}
        position = fold(known.values())
        folded.append(position)
        stored = positions.get(key)
        before = None if stored is None else facts_of(stored)
        after = facts_of(position)
        if before != after:
            changes.append(FactsChange(before, after))
    new = sum(one.claim_key not in positions for one in folded)
    return Changeset(
        events=[one.event for one in written],
        lines={(one.event.claim_key, one.event.event_key): one.lines for one in written},
        replaced=replaced,
        positions=folded,
        added=Added(
            new=new,
            changed=len(folded) - new,
            same=len(batch) - len(folded),
            statements_same=told - len(written),
        ),
        changes=changes,
    )


def _by_claim(statements: Iterable[Statement]) -> tuple[dict[int, dict[int, Statement]], int]:
    """Return claim key → event key → the last statement of it, and how many there were."""
    batch: dict[int, dict[int, Statement]] = defaultdict(dict)
    told = 0
    for one in statements:
        told += 1
        said = batch[one.event.claim_key]
        other = said.setdefault(one.event.event_key, one)
        if other.event.content != one.event.content:
            said[one.event.event_key] = one
    return batch, told


def renamed(
    news: Iterable[ClaimEvent],
    events: Mapping[int, Sequence[ClaimEvent]],
    positions: Mapping[int, ClaimPosition],
) -> Changeset:
    """Return what changes when stored statements get other names, and nothing else about them.

    Args:
        news: The statements under their new names.
        events: Claim key → all stored events of the claim, for every claim of ``news``.
        positions: Claim key → its stored position.
    """
    by_claim: dict[int, dict[int, ClaimEvent]] = defaultdict(dict)
    for one in news:
        by_claim[one.claim_key][one.event_key] = one
    folded: list[ClaimPosition] = []
    changes: list[FactsChange] = []
    for key, said in by_claim.items():
        known = {one.event_key: one for one in events[key]} | said
        position = fold(known.values())
        before, after = facts_of(positions[key]), facts_of(position)
        if position != positions[key]:
            folded.append(position)
        if before != after:
            changes.append(FactsChange(before, after))
    return Changeset(
        events=[one for said in by_claim.values() for one in said.values()],
        positions=folded,
        added=Added(changed=len(folded), same=len(by_claim) - len(folded)),
        changes=changes,
    )


def sift(
    statements: Sequence[Statement], known: Mapping[tuple[int, int], tuple[int, dt.date]]
) -> tuple[list[Statement], Added]:
    """Return the statements about claims of which there is news, and what the others count.

    Stores use it to load whole claims only where something changes: most of a file that comes
    again, or of an export that grows, is known word for word.

    Args:
        statements: The batch, in file order.
        known: Claim key and event key → content and day of becoming known, as stored.
    """
    touched: set[int] = set()
    for event, _ in statements:
        stored = known.get((event.claim_key, event.event_key))
        if stored is None or _supersedes(event, *stored):
            touched.add(event.claim_key)
    kept = [one for one in statements if one.event.claim_key in touched]
    claims = {one.event.claim_key for one in statements}
    same = Added(same=len(claims) - len(touched), statements_same=len(statements) - len(kept))
    return kept, same


def _is_news(event: ClaimEvent, known: Mapping[int, ClaimEvent]) -> bool:
    other = known.get(event.event_key)
    return other is None or _supersedes(event, other.content, other.known_on)


def _supersedes(event: ClaimEvent, content: int, known_on: dt.date) -> bool:
    """Whether an event corrects what is known and was not corrected since."""
    return event.content != content and known_on <= event.known_on


def facts_of(position: ClaimPosition) -> ClaimFacts:
    """Return what drift may know of a claim, in day numbers and cents."""
    return ClaimFacts(
        payer=position.payer,
        procedure_group=position.procedure_group,
        facility=position.facility,
        line_of_business=position.line_of_business,
        submitted_day=_DAY_OF[position.submitted_on],
        decided_day=_DAY_OF[position.first_decided_on],
        paid_day=_DAY_OF[position.paid_on],
        outcome=position.first_outcome.value,
        category=position.first_category,
        reason=position.first_reason,
        charge=position.charge,
        allowed=position.allowed,
        paid=position.paid,
        first_pass=position.first_pass,
        provider=position.provider,
        first_stands=_first_stands(
            position.first_decided_on, position.decided_on, position.reversals
        ),
        procedure_code=position.procedure_code,
        service_day=_DAY_OF[position.service_from],
        authorization=_authorization(position.authorization_number),
    )


def facts_in(told: Mapping[str, Sequence[Any]]) -> list[ClaimFacts]:
    """Return the facts of claims that are told as columns: what :func:`facts_of` says of each.

    A rebuild reads all claims, and a record for each is most of what that costs.

    Args:
        told: Field of :class:`~claimkit.claims.model.ClaimPosition` → its column; those in
            :data:`FACT_FIELDS`, of equal length.
    """
    day = _DAY_OF.__getitem__
    days = (map(day, told[name]) for name in ("submitted_on", "first_decided_on", "paid_on"))
    columns = (
        *(told[name] for name in ("payer", "procedure_group", "facility", "line_of_business")),
        *days,
        [one.value for one in told["first_outcome"]],
        *(told[name] for name in ("first_category", "first_reason", "charge", "allowed", "paid")),
        told["first_pass"],
        told["provider"],
        map(_authorization, told["authorization_number"]),
        map(_first_stands, told["first_decided_on"], told["decided_on"], told["reversals"]),
        told["procedure_code"],
        map(day, told["service_from"]),
    )
    return list(map(ClaimFacts._make, zip(*columns, strict=True)))


def _authorization(number: str) -> str:
    return "with number" if number else "without number"


def _first_stands(first: dt.date | None, last: dt.date | None, reversals: int) -> bool:
    """Whether what stands is the first decision: neither taken back nor followed by another one."""
    if reversals:
        return False
    return first is None or last is None or (last - first).days <= PARTS_DAYS


def day_numbers(dates: Iterable[dt.date | None]) -> list[Day | None]:
    """Return the numbers of days, None of none."""
    return list(map(_DAY_OF.__getitem__, dates))


class _DayNumbers(dict["dt.date | None", "Day | None"]):
    """Day numbers by date: a look-up costs a third of the arithmetic, and there are few days."""

    def __missing__(self, date: dt.date | None) -> Day | None:
        day = self[date] = None if date is None else day_of(date)
        return day


_DAY_OF = _DayNumbers()


def statements_in(claims: Iterable[Claim], *, upload: str, known_on: dt.date) -> list[Statement]:
    """Return the statements of many records, in their order."""
    return [
        statement
        for claim in claims
        for statement in statements_of(claim, upload=upload, known_on=known_on)
    ]
