"""Claims as rows and back: columns in the order in which they are written, codes for names.

Rows are made by the hundred thousand: attributes are fetched in blocks, in C.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from claimkit.claims.model import Adjustment, ClaimEvent, ClaimPosition, ServiceLine
from claimkit_django.bulk import BulkTable
from claimkit_django.claims import models
from claimkit_django.claims.codes import EVENT_KINDS, OUTCOMES, SOURCES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from claimkit_django.dictionaries import Dictionary

__all__ = [
    "ADJUSTMENTS",
    "CLAIMS",
    "EVENTS",
    "LINES",
    "Encoder",
    "adjustment_of",
    "adjustment_rows",
    "event_of",
    "line_of",
    "line_rows",
    "names_in",
    "position_of",
]

_EPOCH: Final = dt.date(1970, 1, 1)
#: An axis → name → code.
_Codes = dict[str, dict[str, int]]

_AXES: Final = (
    "payer",
    "procedure_code",
    "procedure_group",
    "facility",
    "line_of_business",
    "provider",
    "category",
    "reason",
    "remark",
    "upload",
)
#: (attribute, axis) of every attribute that holds a name.
_EVENT_NAMES: Final = (*((axis, axis) for axis in _AXES), ("status", "status"))
_CLAIM_NAMES: Final = (
    *((axis, axis) for axis in _AXES),
    ("first_category", "category"),
    ("first_reason", "reason"),
)
#: (attribute, word → code) of every attribute from a closed set.
_EVENT_WORDS: Final[tuple[tuple[str, Mapping[Any, int]], ...]] = (
    ("kind", EVENT_KINDS),
    ("source", SOURCES),
    ("outcome", OUTCOMES),
)
_CLAIM_WORDS: Final[tuple[tuple[str, Mapping[Any, int]], ...]] = (
    ("outcome", OUTCOMES),
    ("first_outcome", OUTCOMES),
)
_CLAIM_TEXTS: Final = (
    "patient_control_number",
    "payer_claim_control_number",
    "authorization_number",
    "patient_token",
    "frequency",
)
_EVENT_TEXTS: Final = (*_CLAIM_TEXTS, "original_reference")
_MONEY: Final = ("charge", "allowed", "paid", "patient_responsibility")
_EVENT_PLAIN: Final = (
    "claim_key",
    "event_key",
    "content",
    "decision_key",
    "service_from",
    "submitted_on",
    "received_on",
    "decided_on",
    "paid_on",
    "known_on",
    "position",
    *_MONEY,
)
_CLAIM_PLAIN: Final = (
    "claim_key",
    "service_from",
    "submitted_on",
    "first_decided_on",
    "decided_on",
    "paid_on",
    "lag_days",
    "reversals",
    "has_submission",
    "has_decision",
    "first_pass",
    "position",
    *_MONEY,
)


def _columns(
    plain: tuple[str, ...],
    texts: tuple[str, ...],
    names: tuple[tuple[str, str], ...],
    words: tuple[tuple[str, Mapping[Any, int]], ...],
) -> tuple[str, ...]:
    return (*plain, *texts, *(one for one, _ in names), *(one for one, _ in words))


EVENTS: Final = BulkTable(
    name=models.ClaimEvent._meta.db_table,
    columns=("tenant_id", *_columns(_EVENT_PLAIN, _EVENT_TEXTS, _EVENT_NAMES, _EVENT_WORDS)),
    key=("tenant_id", "claim_key", "event_key"),
)
CLAIMS: Final = BulkTable(
    name=models.Claim._meta.db_table,
    columns=(
        "tenant_id",
        *_columns(_CLAIM_PLAIN, _CLAIM_TEXTS, _CLAIM_NAMES, _CLAIM_WORDS),
        "listed_on",
    ),
    key=("tenant_id", "claim_key"),
)
LINES: Final = BulkTable(
    name=models.ServiceLine._meta.db_table,
    columns=(
        "tenant_id",
        "claim_key",
        "event_key",
        "ordinal",
        "number",
        "procedure_system",
        "procedure_code",
        "modifiers",
        "revenue_code",
        "billed_procedure",
        "remarks",
        "units",
        "service_from",
        "service_to",
        "charge",
        "allowed",
        "paid",
        "position",
    ),
    key=("tenant_id", "claim_key", "event_key", "ordinal"),
)
ADJUSTMENTS: Final = BulkTable(
    name=models.Adjustment._meta.db_table,
    columns=(
        "tenant_id",
        "claim_key",
        "event_key",
        "line",
        "ordinal",
        "group",
        "reason",
        "amount",
        "quantity",
    ),
    key=("tenant_id", "claim_key", "event_key", "line", "ordinal"),
)

_event_plain = attrgetter(*_EVENT_PLAIN)
_event_texts = attrgetter(*_EVENT_TEXTS)
_event_names = attrgetter(*(one for one, _ in _EVENT_NAMES))
_event_words = attrgetter(*(one for one, _ in _EVENT_WORDS))
_claim_plain = attrgetter(*_CLAIM_PLAIN)
_claim_texts = attrgetter(*_CLAIM_TEXTS)
_claim_names = attrgetter(*(one for one, _ in _CLAIM_NAMES))
_claim_words = attrgetter(*(one for one, _ in _CLAIM_WORDS))

_EVENT_DECODERS = {
    name: {code: word for word, code in words.items()} for name, words in _EVENT_WORDS
}
_CLAIM_DECODERS = {
    name: {code: word for word, code in words.items()} for name, words in _CLAIM_WORDS
}


def names_in(
    events: Sequence[ClaimEvent], positions: Sequence[ClaimPosition]
) -> dict[str, set[str]]:
    """Return axis → the names that rows of these refer to."""
    found: dict[str, set[str]] = {axis: set() for _, axis in (*_EVENT_NAMES, *_CLAIM_NAMES)}
    for name, axis in _EVENT_NAMES:
        found[axis].update(map(attrgetter(name), events))
    for name, axis in _CLAIM_NAMES:
        found[axis].update(map(attrgetter(name), positions))
    return found


class Encoder:
    """Makes the rows of one batch of one tenant."""

    def __init__(self, tenant_id: int, names: Dictionary, wanted: dict[str, set[str]]) -> None:
        codes: _Codes = {
            axis: {text: names.code(axis, clean(text)) for text in texts}
            for axis, texts in wanted.items()
        }
        self._tenant_id = tenant_id
        self._event_codes = [codes[axis] for _, axis in _EVENT_NAMES]
        self._claim_codes = [codes[axis] for _, axis in _CLAIM_NAMES]

    def event_row(self, event: ClaimEvent) -> tuple[Any, ...]:
        """Return the row of an event, in the order of :data:`EVENTS`."""
        return (
            self._tenant_id,
            *_event_plain(event),
            *map(clean, _event_texts(event)),
            *(
                codes[text]
                for codes, text in zip(self._event_codes, _event_names(event), strict=True)
            ),
            *(
                codes[word]
                for (_, codes), word in zip(_EVENT_WORDS, _event_words(event), strict=True)
            ),
        )

    def claim_row(self, position: ClaimPosition) -> tuple[Any, ...]:
        """Return the row of a position, in the order of :data:`CLAIMS`."""
        return (
            self._tenant_id,
            *_claim_plain(position),
            *map(clean, _claim_texts(position)),
            *(
                codes[text]
                for codes, text in zip(self._claim_codes, _claim_names(position), strict=True)
            ),
            *(
                codes[word]
                for (_, codes), word in zip(_CLAIM_WORDS, _claim_words(position), strict=True)
            ),
            position.decided_on or position.submitted_on or position.service_from or _EPOCH,
        )


def clean(text: str) -> str:
    """Return text as every database takes it: without NUL and without lone surrogates."""
    if text.isascii():
        return text.replace("\0", "") if "\0" in text else text
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def event_of(row: Sequence[Any], names: Dictionary) -> ClaimEvent:
    """Return the event of a row without its tenant."""
    values = dict(zip(EVENTS.columns[1:], row, strict=True))
    for name, _ in _EVENT_NAMES:
        values[name] = names.name(values[name])
    for name, word_of in _EVENT_DECODERS.items():
        values[name] = word_of[values[name]]
    return ClaimEvent(**values)


def position_of(row: Sequence[Any], names: Dictionary) -> ClaimPosition:
    """Return the position of a row without its tenant and ``listed_on``."""
    values = dict(zip(CLAIMS.columns[1:-1], row, strict=True))
    for name, _ in _CLAIM_NAMES:
        values[name] = names.name(values[name])
    for name, word_of in _CLAIM_DECODERS.items():
        values[name] = word_of[values[name]]
    return ClaimPosition(**values)


def line_rows(
    tenant_id: int, key: tuple[int, int], lines: Sequence[ServiceLine]
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of an event's service lines, in the order of :data:`LINES`."""
    for ordinal, line in enumerate(lines):
        yield (
            tenant_id,
            *key,
            ordinal,
            clean(line.number),
            clean(line.procedure_system),
            clean(line.procedure_code),
            clean(" ".join(line.modifiers)),
            clean(line.revenue_code),
            clean(line.billed_procedure),
            clean(" ".join(line.remarks)),
            line.units,
            line.service_from,
            line.service_to,
            line.charge,
            line.allowed,
            line.paid,
            line.position,
        )


def adjustment_rows(
    tenant_id: int, key: tuple[int, int], lines: Sequence[ServiceLine]
) -> Iterator[tuple[Any, ...]]:
    """Yield rows of the adjustments of an event's lines, in the order of :data:`ADJUSTMENTS`."""
    for at, line in enumerate(lines):
        for ordinal, one in enumerate(line.adjustments):
            yield (
                tenant_id,
                *key,
                at,
                ordinal,
                clean(one.group),
                clean(one.reason),
                one.amount,
                one.quantity,
            )


def line_of(row: Sequence[Any], adjustments: list[Adjustment]) -> ServiceLine:
    """Return the line of a row without its tenant, claim, event and ordinal."""
    values = dict(zip(LINES.columns[4:], row, strict=True))
    values["modifiers"] = tuple(values["modifiers"].split())
    values["remarks"] = values["remarks"].split()
    values["units"] = _decimal(values["units"])
    return ServiceLine(**values, adjustments=adjustments)


def adjustment_of(row: Sequence[Any]) -> Adjustment:
    """Return the adjustment of (group, reason, amount, quantity)."""
    group, reason, amount, quantity = row
    return Adjustment(group, reason, amount, _decimal(quantity))


def _decimal(value: Any) -> Decimal | None:
    # SQLite keeps decimals as numbers; their shortest text is what was written.
    return None if value is None else Decimal(str(value))
