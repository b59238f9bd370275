"""Claims as rows and back: columns in the order in which they are written, codes for names.

Rows are made by the hundred thousand: each column is made by one pass in C.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from claimkit.claims.model import Adjustment, ClaimEvent, ClaimPosition, ServiceLine
from claimkit_django.bulk import BulkTable
from claimkit_django.claims import models
from claimkit_django.claims.codes import EVENT_KINDS, OUTCOMES, SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from claimkit_django.dictionaries import Dictionary

__all__ = [
    "ADJUSTMENTS",
    "CLAIMS",
    "EVENTS",
    "EVENTS_ALONE",
    "LINES",
    "Encoder",
    "adjustment_columns",
    "adjustment_of",
    "decoded",
    "event_of",
    "line_columns",
    "line_of",
    "lone_line_columns",
    "names_in",
    "position_of",
    "told_by_events",
    "told_by_positions",
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
_EVENT_NAMES: Final = (
    *((axis, axis) for axis in _AXES),
    ("status", "status"),
    ("payer_name", "payer_name"),
    ("payer_id", "payer_id"),
    ("base_payer", "payer"),
    ("base_group", "procedure_group"),
)
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
    columns=(
        "tenant_id",
        *_columns(_EVENT_PLAIN, _EVENT_TEXTS, _EVENT_NAMES, _EVENT_WORDS),
        "stands_for_line",
    ),
    key=("tenant_id", "claim_key", "event_key"),
)
#: The same for events whose lines stay as they are.
EVENTS_ALONE: Final = replace(EVENTS, columns=EVENTS.columns[:-1])
CLAIMS: Final = BulkTable(
    name=models.Claim._meta.db_table,
    columns=(
        "tenant_id",
        *_columns(_CLAIM_PLAIN, _CLAIM_TEXTS, _CLAIM_NAMES, _CLAIM_WORDS),
        "listed_on",
    ),
    key=("tenant_id", "claim_key"),
)
_LINE_PLAIN: Final = (
    "units",
    "service_from",
    "service_to",
    "charge",
    "allowed",
    "paid",
    "position",
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
        *_LINE_PLAIN,
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

_EVENT_DECODERS = {
    name: {code: word for word, code in words.items()} for name, words in _EVENT_WORDS
}
_CLAIM_DECODERS = {
    name: {code: word for word, code in words.items()} for name, words in _CLAIM_WORDS
}


#: Field → its column, of events or positions.
_Told = Mapping[str, Sequence[Any]]
_EVENT_FIELDS: Final = EVENTS_ALONE.columns[1:]
_CLAIM_FIELDS: Final = CLAIMS.columns[1:-1]


def told_by_events(events: Sequence[ClaimEvent]) -> dict[str, Sequence[Any]]:
    """Return the columns of events, by field."""
    return {name: list(map(attrgetter(name), events)) for name in _EVENT_FIELDS}


def told_by_positions(positions: Sequence[ClaimPosition]) -> dict[str, Sequence[Any]]:
    """Return the columns of positions, by field."""
    return {name: list(map(attrgetter(name), positions)) for name in _CLAIM_FIELDS}


def names_in(events: _Told, positions: _Told) -> dict[str, set[str]]:
    """Return axis → the names that rows of these refer to."""
    found: dict[str, set[str]] = {axis: set() for _, axis in (*_EVENT_NAMES, *_CLAIM_NAMES)}
    for name, axis in _EVENT_NAMES:
        found[axis].update(events[name])
    for name, axis in _CLAIM_NAMES:
        found[axis].update(positions[name])
    return found


class Encoder:
    """Turns the values of one batch of one tenant into columns of tables."""

    def __init__(self, tenant_id: int, names: Dictionary, wanted: dict[str, set[str]]) -> None:
        self._codes: _Codes = {
            axis: {text: names.code(axis, clean(text)) for text in texts}
            for axis, texts in wanted.items()
        }
        self._tenant_id = tenant_id

    def event_columns(self, told: _Told) -> list[Sequence[Any]]:
        """Return the columns of events, in the order of :data:`EVENTS_ALONE`."""
        return [
            [self._tenant_id] * len(told["claim_key"]),
            *(told[name] for name in _EVENT_PLAIN),
            *(_texts(told[name]) for name in _EVENT_TEXTS),
            *self._coded(told, _EVENT_NAMES),
            *_worded(told, _EVENT_WORDS),
        ]

    def claim_columns(self, told: _Told) -> list[Sequence[Any]]:
        """Return the columns of positions, in the order of :data:`CLAIMS`."""
        days = zip(told["decided_on"], told["submitted_on"], told["service_from"], strict=True)
        return [
            [self._tenant_id] * len(told["claim_key"]),
            *(told[name] for name in _CLAIM_PLAIN),
            *(_texts(told[name]) for name in _CLAIM_TEXTS),
            *self._coded(told, _CLAIM_NAMES),
            *_worded(told, _CLAIM_WORDS),
            [decided or submitted or served or _EPOCH for decided, submitted, served in days],
        ]

    def _coded(self, told: _Told, names: tuple[tuple[str, str], ...]) -> Iterator[list[int]]:
        for name, axis in names:
            yield list(map(self._codes[axis].__getitem__, told[name]))


def _worded(told: _Told, words: tuple[tuple[str, Mapping[Any, int]], ...]) -> Iterator[list[int]]:
    for name, codes in words:
        # By identity: hashing a member of an enumeration is a call of Python.
        by_id = {id(word): code for word, code in codes.items()}
        yield list(map(by_id.__getitem__, map(id, told[name])))


def _texts(column: Iterable[str]) -> Sequence[str]:
    """Return a column of texts as every database takes them; see :func:`clean`."""
    texts = column if isinstance(column, list) else list(column)
    joined = "".join(texts)
    return texts if joined.isascii() and "\0" not in joined else list(map(clean, texts))


def clean(text: str) -> str:
    """Return text as every database takes it: without NUL and without lone surrogates."""
    if text.isascii():
        return text.replace("\0", "") if "\0" in text else text
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def event_of(row: Sequence[Any], names: Dictionary) -> ClaimEvent:
    """Return the event of a row of :data:`EVENTS_ALONE` without its tenant."""
    values = dict(zip(EVENTS_ALONE.columns[1:], row, strict=True))
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


def decoded(columns: Mapping[str, Sequence[Any]], names: Dictionary) -> dict[str, Sequence[Any]]:
    """Return columns of claims, by field, with names and words in the place of codes."""
    told = dict(columns)
    for name, _ in _CLAIM_NAMES:
        if name in told:
            told[name] = list(map(names.name, told[name]))
    for name, word_of in _CLAIM_DECODERS.items():
        if name in told:
            told[name] = list(map(word_of.__getitem__, told[name]))
    return told


#: Claim key and event key → the service lines of the event, in the order of the keys.
_LinesOf = Sequence[tuple[tuple[int, int], Sequence[ServiceLine]]]


def line_columns(tenant_id: int, ordered: _LinesOf) -> list[Sequence[Any]]:
    """Return the columns of events' service lines, in the order of :data:`LINES`."""
    lines = [line for _, its in ordered for line in its]
    return [
        [tenant_id] * len(lines),
        [key for (key, _), its in ordered for _ in its],
        [key for (_, key), its in ordered for _ in its],
        [ordinal for _, its in ordered for ordinal in range(len(its))],
        _texts(one.number for one in lines),
        _texts(one.procedure_system for one in lines),
        _texts(one.procedure_code for one in lines),
        _texts(" ".join(one.modifiers) for one in lines),
        _texts(one.revenue_code for one in lines),
        _texts(one.billed_procedure for one in lines),
        _texts(" ".join(one.remarks) for one in lines),
        *(list(map(attrgetter(name), lines)) for name in _LINE_PLAIN),
    ]


def lone_line_columns(
    tenant_id: int,
    claim_keys: Sequence[int],
    event_keys: Sequence[int],
    told: Callable[[str], Sequence[Any]],
) -> list[Sequence[Any]]:
    """Return the same where each event has one line, of which ``told`` returns the columns."""
    size = len(claim_keys)
    return [
        [tenant_id] * size,
        claim_keys,
        event_keys,
        [0] * size,
        _texts(told("number")),
        _texts(told("procedure_system")),
        _texts(told("procedure_code")),
        _texts(" ".join(one) if one else "" for one in told("modifiers")),
        _texts(told("revenue_code")),
        _texts(told("billed_procedure")),
        [""] * size,
        *map(told, _LINE_PLAIN),
    ]


def adjustment_columns(tenant_id: int, ordered: _LinesOf) -> list[Sequence[Any]]:
    """Return the columns of the adjustments of events' lines, as :data:`ADJUSTMENTS`."""
    rows = [
        (tenant_id, *key, at, ordinal, clean(one.group), clean(one.reason), *one[2:])
        for key, lines in ordered
        for at, line in enumerate(lines)
        for ordinal, one in enumerate(line.adjustments)
    ]
    return list(zip(*rows, strict=True))


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
