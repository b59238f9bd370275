"""Claims that nothing is known of and that one statement tells: most of a first import, as columns.

Hides a short way past statements and fold. What :func:`~claimkit.claims.statements.statements_of`,
:func:`~claimkit.claims.standing.fold` and :func:`~claimkit.claims.ledger.facts_of` make record by
record is made column by column here, at a quarter of the cost, and must be the same: whoever
changes a rule there changes it here, and the tests compare both on any claims.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from claimkit.claims.decisions import DUPLICATE, REWORK
from claimkit.claims.ledger import day_numbers
from claimkit.claims.model import ClaimKind, EventKind, Outcome
from claimkit.claims.statements import claim_key, is_alone, keys_alone, kind_of
from claimkit.events import ClaimFacts, FactsChange

if TYPE_CHECKING:
    import datetime as dt
    from collections import Counter
    from collections.abc import Callable, Collection, Mapping, Sequence

    from claimkit.claims.model import Claim, ServiceLine

__all__ = [
    "NEW_KINDS",
    "SAME_FIELDS",
    "Newcomers",
    "claim_keys",
    "newcomers",
    "position_columns",
]

NEW_KINDS = frozenset({EventKind.DECIDED, EventKind.SUBMITTED})
#: Fields that an event takes from its record as they are.
SAME_FIELDS = (
    "patient_control_number", "payer_claim_control_number", "original_reference", "frequency",
    "status", "payer_name", "payer_id", "payer", "procedure_code", "procedure_group", "facility",
    "authorization_number", "patient_token", "outcome", "category", "reason", "remark",
    "submitted_on", "received_on", "decided_on", "paid_on", "charge", "allowed", "paid",
    "patient_responsibility",
)  # fmt: skip
#: Fields that a position takes from its only event.
_KEPT = (
    "claim_key", "patient_control_number", "payer_claim_control_number", "payer",
    "procedure_code", "procedure_group", "facility", "line_of_business", "provider",
    "authorization_number", "patient_token", "frequency", "service_from", "upload", "position",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomers:
    """Claims that are new, each told by one statement; all columns in the order of the keys."""

    #: Field of :class:`~claimkit.claims.model.ClaimEvent` → its column.
    events: Mapping[str, Sequence[Any]]
    #: Field of :class:`~claimkit.claims.model.ClaimPosition` → its column.
    positions: Mapping[str, Sequence[Any]]
    #: Service lines of each event.
    lines: Sequence[Sequence[ServiceLine]] = ()
    #: Where each event has one line without adjustments, and all came as columns: returns the
    #: column of a field of :class:`~claimkit.claims.model.ServiceLine`, instead of ``lines``.
    lone_lines: Callable[[str], Sequence[Any]] | None = None

    def __len__(self) -> int:
        return len(self.events["claim_key"])

    def changes(self) -> list[FactsChange]:
        """Return what drift may know of them, as :func:`~claimkit.claims.ledger.facts_of` says."""
        its = self.positions
        columns = (
            its["payer"],
            its["procedure_group"],
            its["facility"],
            its["line_of_business"],
            day_numbers(its["submitted_on"]),
            day_numbers(its["first_decided_on"]),
            day_numbers(its["paid_on"]),
            [one._value_ for one in its["first_outcome"]],
            its["first_category"],
            its["first_reason"],
            its["charge"],
            its["allowed"],
            its["paid"],
            its["first_pass"],
            its["provider"],
            ["with number" if one else "without number" for one in its["authorization_number"]],
            # Nothing was taken back and no other decision followed.
            repeat(True, len(self)),
            its["procedure_code"],
            day_numbers(its["service_from"]),
        )
        # Made as plain tuples are, in C: the classes' own ways are a call of Python for each.
        facts = map(tuple.__new__, repeat(ClaimFacts), zip(*columns, strict=True))
        return list(map(tuple.__new__, repeat(FactsChange), zip(repeat(None), facts, strict=False)))


def claim_keys(claims: Sequence[Claim]) -> list[int]:
    """Return the keys of records' claims, in their order."""
    return [claim_key(one.patient_control_number) for one in claims]


def newcomers(
    claims: Sequence[Claim],
    keys: Sequence[int],
    told: Counter[int],
    known: Collection[int],
    *,
    upload: str,
    known_on: dt.date,
) -> tuple[Newcomers, list[Claim]]:
    """Return the newcomers of a batch, and its other records in their order.

    Args:
        claims: Normalized records.
        keys: The keys of their claims.
        told: Claim key → how often the batch tells it.
        known: Keys of claims of which anything is stored.
        upload: Public id of the upload.
        known_on: The day on which it became known.
    """
    found: list[tuple[int, EventKind, Claim]] = []
    others: list[Claim] = []
    for key, claim in zip(keys, claims, strict=True):
        if told[key] == 1 and key not in known and is_alone(claim):
            kind = kind_of(claim)
            if kind in NEW_KINDS:
                found.append((key, kind, claim))
                continue
        others.append(claim)
    # Keys differ, so nothing else is compared.
    found.sort()
    events = _events(found, upload, known_on)
    lines = [claim.lines for _, _, claim in found]
    return Newcomers(events=events, positions=position_columns(events), lines=lines), others


def _events(
    found: Sequence[tuple[int, EventKind, Claim]], upload: str, known_on: dt.date
) -> dict[str, list[Any]]:
    """Return the columns of :func:`~claimkit.claims.statements.statements_of`."""
    claims = [claim for _, _, claim in found]
    keys = [keys_alone(claim, key, kind) for key, kind, claim in found]
    own = [one.lines[0] if one.kind is ClaimKind.CSV else None for one in claims]
    return {
        **{name: list(map(attrgetter(name), claims)) for name in SAME_FIELDS},
        "claim_key": [key for key, _, _ in found],
        "event_key": [event for event, _, _ in keys],
        "content": [content for _, content, _ in keys],
        "decision_key": [decision for _, _, decision in keys],
        "kind": [kind for _, kind, _ in found],
        "source": [one.kind for one in claims],
        "base_payer": [one.base_payer or one.payer for one in claims],
        "base_group": [one.base_group or one.procedure_group for one in claims],
        "line_of_business": [one.filing_indicator for one in claims],
        "provider": [one.rendering_npi or one.billing_npi or one.billing_tin for one in claims],
        "service_from": [
            (line and line.service_from) or one.service_from
            for line, one in zip(own, claims, strict=True)
        ],
        "position": [
            (line and line.position) or one.position for line, one in zip(own, claims, strict=True)
        ],
        "upload": [upload] * len(claims),
        "known_on": [known_on] * len(claims),
    }


def position_columns(events: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the columns of :func:`~claimkit.claims.standing.fold`, of single events."""
    decided = [kind is EventKind.DECIDED for kind in events["kind"]]

    def told(column: list[Any], otherwise: Any) -> list[Any]:
        return [one if yes else otherwise for one, yes in zip(column, decided, strict=True)]

    outcome = told(events["outcome"], Outcome.PENDING)
    category, reason = told(events["category"], ""), told(events["reason"], "")
    decided_on = told(
        [one or paid for one, paid in zip(events["decided_on"], events["paid_on"], strict=True)],
        None,
    )
    submitted_on = [
        one or received
        for one, received in zip(events["submitted_on"], events["received_on"], strict=True)
    ]
    duplicate = _duplicates(category, outcome)
    return {
        **{name: events[name] for name in _KEPT},
        "submitted_on": submitted_on,
        "first_decided_on": decided_on,
        "first_outcome": outcome,
        "first_category": category,
        "first_reason": reason,
        "outcome": outcome,
        "category": category,
        "reason": reason,
        "remark": told(events["remark"], ""),
        "decided_on": decided_on,
        "paid_on": told(events["paid_on"], None),
        "charge": list(map(abs, events["charge"])),
        "allowed": [None if one is None else abs(one) for one in events["allowed"]],
        "paid": told(events["paid"], 0),
        "patient_responsibility": [
            0 if again else one
            for one, again in zip(told(events["patient_responsibility"], 0), duplicate, strict=True)
        ],
        "lag_days": _lags(submitted_on, decided_on),
        "has_submission": [
            not yes or sent is not None
            for yes, sent in zip(decided, events["submitted_on"], strict=True)
        ],
        "has_decision": decided,
        "reversals": [0] * len(decided),
        "first_pass": [
            not again and frequency not in REWORK
            for again, frequency in zip(duplicate, events["frequency"], strict=True)
        ],
    }


def _duplicates(category: list[str], outcome: list[Outcome]) -> list[bool]:
    return [
        one == DUPLICATE and then is Outcome.DENIED
        for one, then in zip(category, outcome, strict=True)
    ]


def _lags(submitted_on: list[dt.date | None], decided_on: list[dt.date | None]) -> list[int | None]:
    return [
        days if first and then and (days := (then - first).days) >= 0 else None
        for first, then in zip(submitted_on, decided_on, strict=True)
    ]
