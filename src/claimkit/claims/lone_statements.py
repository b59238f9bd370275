"""What claims in columns say: their events, column by column, and which of them are news.

The same as :func:`~claimkit.claims.statements.statements_of` and
:func:`~claimkit.claims.ledger.sift` for records; whoever changes a rule there changes it here, and
the tests compare both on any rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from operator import itemgetter
from struct import unpack
from typing import TYPE_CHECKING, Any

from claimkit.claims.model import ClaimKind, EventKind, Outcome
from claimkit.claims.newcomers import NEW_KINDS, SAME_FIELDS, Newcomers, position_columns
from claimkit.claims.statements import DAY_TEXTS, TAKEN_BACK, VOID, folded_number

if TYPE_CHECKING:
    import datetime as dt
    from collections import Counter
    from collections.abc import Iterable, Mapping, Sequence

    from claimkit.claims.lone import LoneClaims
    from claimkit.claims.model import Claim

__all__ = ["LoneNews", "lone_claim_keys", "lone_news"]

_SENT = (EventKind.SUBMITTED, EventKind.VOIDED)
#: Fields of a claim in the order in which its content tells them, and its days behind them.
_TOLD = (
    "patient_control_number", "payer_claim_control_number", "original_reference", "frequency",
    "status", "base_payer", "payer", "facility", "filing_indicator", "rendering_npi",
    "billing_npi", "authorization_number", "patient_token", "procedure_code", "base_group",
    "procedure_group", "outcome", "category", "reason", "remark", "charge", "allowed", "paid",
    "patient_responsibility",
)  # fmt: skip
_TOLD_DAYS = ("service_from", "submitted_on", "received_on", "decided_on", "paid_on")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoneNews:
    """What a store has to do about claims that came as columns."""

    #: To be inserted.
    fresh: Newcomers
    #: How many are known word for word.
    same: int
    #: What has to be compared with more than its own statement, as records in file order.
    others: list[Claim]


def lone_claim_keys(lone: LoneClaims) -> list[int]:
    """Return the keys of the claims; see :func:`~claimkit.claims.statements.claim_key`."""
    numbers = lone.claim("patient_control_number")
    text = "".join(numbers)
    # Nearly all are letters and digits, so that only their case is folded.
    plain = text.isascii() and text.isalnum() and all(numbers)
    return _hashes(list(map(str.upper if plain else folded_number, numbers)))


def lone_news(
    lone: LoneClaims,
    keys: Sequence[int],
    told: Counter[int],
    known: Mapping[tuple[int, int], tuple[int, dt.date]],
    *,
    upload: str,
    known_on: dt.date,
) -> LoneNews:
    """Tell new claims, known ones and others apart.

    Args:
        lone: Normalized claims.
        keys: Their keys.
        told: Claim key → how often the batch tells it.
        known: Claim key and event key → content and day of becoming known, of claims of the batch.
        upload: Public id of the upload.
        known_on: The day on which it became known.
    """
    stored = {key for key, _ in known}
    kinds = _kinds(lone)
    events, contents, decisions = _keys(lone, keys, kinds)
    fresh, others, same = [], [], 0
    for row, (key, kind) in enumerate(zip(keys, kinds, strict=True)):
        if told[key] > 1 or kind not in NEW_KINDS:
            others.append(row)
        elif key not in stored:
            fresh.append(row)
        elif known.get((key, events[row]), (None,))[0] == contents[row]:
            same += 1
        else:
            others.append(row)
    fresh.sort(key=keys.__getitem__)
    own = {
        "claim_key": keys,
        "event_key": events,
        "content": contents,
        "decision_key": decisions,
        "kind": kinds,
    }
    return LoneNews(
        fresh=_newcomers(lone, own, fresh, upload, known_on),
        same=same,
        others=lone.records(others),
    )


def _newcomers(
    lone: LoneClaims,
    own: Mapping[str, Sequence[Any]],
    rows: Sequence[int],
    upload: str,
    known_on: dt.date,
) -> Newcomers:
    """Return some of the claims as what a store inserts."""
    chosen = lone.take(rows)
    size = len(rows)
    claims = chosen.claim
    groups, payers = claims("procedure_group"), claims("payer")
    events = {
        **{name: claims(name) for name in SAME_FIELDS},
        **{name: _picked(column, rows) for name, column in own.items()},
        "source": [ClaimKind.CSV] * size,
        "base_payer": [one or two for one, two in zip(claims("base_payer"), payers, strict=True)],
        "base_group": [one or two for one, two in zip(claims("base_group"), groups, strict=True)],
        "line_of_business": claims("filing_indicator"),
        "provider": [
            one or two
            for one, two in zip(claims("rendering_npi"), claims("billing_npi"), strict=True)
        ],
        "service_from": claims("service_from"),
        "position": claims("position"),
        "upload": [upload] * size,
        "known_on": [known_on] * size,
    }
    return Newcomers(
        events=events,
        positions=position_columns(events),
        lines=(),
        lone_lines=chosen.line if size else None,
    )


def _picked(column: Sequence[Any], rows: Sequence[int]) -> list[Any]:
    if len(rows) < 2:
        return [column[row] for row in rows]
    return list(itemgetter(*rows)(column))


def _kinds(lone: LoneClaims) -> list[EventKind]:
    """Return the same as :func:`~claimkit.claims.statements.kind_of`."""
    told = list(
        zip(lone.claim("outcome"), lone.claim("status"), lone.claim("frequency"), strict=True)
    )
    kinds = {one: _kind(*one) for one in set(told)}
    return list(map(kinds.__getitem__, told))


def _kind(outcome: Outcome, status: str, frequency: str) -> EventKind:
    if outcome is Outcome.REVERSED or status in TAKEN_BACK:
        return EventKind.REVERSED
    if outcome is Outcome.PENDING:
        return EventKind.VOIDED if frequency == VOID else EventKind.SUBMITTED
    return EventKind.NOTED if outcome is Outcome.OTHER else EventKind.DECIDED


def _hashes(texts: Sequence[str]) -> list[int]:
    """Return what :func:`~claimkit.claims.statements.claim_key` makes of each, at once."""
    try:
        raw = list(map(str.encode, texts))
    except UnicodeEncodeError:
        raw = [text.encode("utf-8", "surrogatepass") for text in texts]
    digests = [blake2b(one, digest_size=8).digest() for one in raw]
    return list(unpack(f">{len(digests)}q", b"".join(digests)))


def _keys(
    lone: LoneClaims, keys: Sequence[int], kinds: Sequence[EventKind]
) -> tuple[list[int], list[int], list[int]]:
    """Return the keys of event, content and decision, as of :func:`statements.keys_alone`."""
    decisions = _decisions(lone, keys, kinds)
    identities = [
        f"{decision}|{code}|{':'.join(modifiers) if modifiers else ''}|{revenue}|{day}|0|0"
        for decision, code, modifiers, revenue, day in zip(
            decisions,
            lone.line("procedure_code"),
            lone.line("modifiers"),
            lone.line("revenue_code"),
            _days(lone.claim("service_from")),
            strict=True,
        )
    ]
    contents = _contents(lone, identities)
    return _hashes(identities), _hashes(contents), _hashes(decisions)


def _days(column: Iterable[dt.date | None]) -> Iterable[str]:
    return map(DAY_TEXTS.__getitem__, column)


def _decisions(lone: LoneClaims, keys: Sequence[int], kinds: Sequence[EventKind]) -> list[str]:
    stated = [
        (one or two).upper()
        for one, two in zip(lone.claim("payer_id"), lone.claim("payer_name"), strict=True)
    ]
    return [
        f"{key}|{kind._value_}|csv|{payer}||{frequency}|{reference}|{sent}"
        if kind in _SENT
        # A CSV has the day of a payment only beside that of the decision.
        else f"{key}|{kind._value_}|csv|{payer}|{frequency}|{number}|{decided}"
        for key, kind, payer, frequency, reference, number, sent, decided in zip(
            keys,
            kinds,
            stated,
            lone.claim("frequency"),
            lone.claim("original_reference"),
            lone.claim("payer_claim_control_number"),
            _days(lone.claim("submitted_on")),
            _days(lone.claim("decided_on")),
            strict=True,
        )
    ]


def _contents(lone: LoneClaims, identities: Sequence[str]) -> list[str]:
    told = zip(
        identities,
        *map(lone.claim, _TOLD),
        *(_days(lone.claim(name)) for name in _TOLD_DAYS),
        *map(lone.line, ("procedure_system", "units", "allowed")),
        _days(lone.line("service_to")),
        strict=True,
    )
    return [
        f"{identity}{number}|{icn}|{reference}|{frequency}|{status}|{base_payer or payer}"
        f"|{facility}|{business}|{rendering}|{billing}||{authorization}|{token}"
        f"|{code}|{base_group or group}"
        f"|{outcome._value_}|{category}|{reason}|{remark}|{served}"
        f"|{sent}|{received}|{decided}|{paid_on}|"
        f"{charge}|{allowed}|{paid}|{owed}"
        f"|{system}|{units}|{served_to}|{charge}|{line_allowed}|{paid}|"
        for (
            identity, number, icn, reference, frequency, status, base_payer, payer, facility,
            business, rendering, billing, authorization, token, code, base_group, group, outcome,
            category, reason, remark, charge, allowed, paid, owed, served, sent, received, decided,
            paid_on, system, units, line_allowed, served_to,
        ) in told
    ]  # fmt: skip
