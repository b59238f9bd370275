"""What rules may know of an event: named facts of closed types, and nothing of a patient."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import fields
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from claimkit.errors import UnknownName
from claimkit.events import (
    AlertOpened,
    AlertResolved,
    AuthorizationExhausting,
    AuthorizationExpiring,
    AuthorizationRenewed,
    ClaimRiskScored,
    ClaimsImported,
    DriftAccepted,
    DriftDetected,
    DriftResolved,
    DriftWorsened,
    EndpointDisabled,
)
from claimkit.types import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from claimkit.events import Event

__all__ = ["TRIGGERS", "Fact", "FactType", "Trigger", "event_key", "facts_of", "fields_of"]

#: Text, or a number; None where the event does not tell.
Fact: TypeAlias = str | float | None


class FactType(StrEnum):
    """What a fact is, and thereby how it can be compared."""

    TEXT = "text"
    NUMBER = "number"


class Trigger:
    """An event that rules can begin with.

    Args:
        kind: The event.
        subject: Field with the public identifier of what it is about.
        **reads: Name of a fact → its type and how it is read.
    """

    def __init__(
        self, kind: type[Event], subject: str, **reads: tuple[FactType, Callable[[Any], Fact]]
    ) -> None:
        self.kind = kind
        self.subject = subject
        self.reads = reads


def _text(name: str) -> tuple[FactType, Callable[[Any], Fact]]:
    return FactType.TEXT, lambda event: str(getattr(event, name)) or None


def _number(name: str) -> tuple[FactType, Callable[[Any], Fact]]:
    return FactType.NUMBER, lambda event: float(getattr(event, name))


_MONEY = (FactType.NUMBER, lambda event: event.dollars_per_month / 100)
_RANK = (FactType.NUMBER, lambda event: float(Severity(event.severity).rank))
_AGE = (FactType.NUMBER, lambda event: float((event.at.date() - event.onset).days))


def _drift(kind: type[Event]) -> Trigger:
    return Trigger(
        kind,
        "finding",
        payer=_text("payer"),
        kind_of_change=_text("signal"),
        severity=_text("severity"),
        severity_rank=_RANK,
        dollars_per_month=_MONEY,
        age_days=_AGE,
    )


def _alert(kind: type[Event]) -> Trigger:
    return Trigger(
        kind,
        "alert",
        payer=_text("payer"),
        kind_of_change=_text("kind"),
        severity=_text("severity"),
        severity_rank=_RANK,
        dollars_per_month=_MONEY,
    )


def _ending(kind: type[Event]) -> Trigger:
    return Trigger(
        kind,
        "authorization",
        payer=_text("payer"),
        procedure=_text("procedure"),
        step=_number("step"),
        days_left=_number("days_left"),
    )


_ALL = (
    *map(_drift, (DriftDetected, DriftWorsened, DriftResolved, DriftAccepted)),
    *map(_alert, (AlertOpened, AlertResolved)),
    *map(_ending, (AuthorizationExpiring, AuthorizationExhausting)),
    Trigger(
        AuthorizationRenewed, "authorization", payer=_text("payer"), procedure=_text("procedure")
    ),
    Trigger(
        ClaimRiskScored,
        "claim",
        payer=_text("payer"),
        procedure_group=_text("procedure_group"),
        authorization=_text("authorization"),
        denial_risk=_number("probability"),
        confidence=(FactType.NUMBER, lambda event: 1 - (event.high - event.low)),
        dollars=(FactType.NUMBER, lambda event: event.charge / 100),
        dollars_at_risk=(FactType.NUMBER, lambda event: event.probability * event.charge / 100),
    ),
    Trigger(
        ClaimsImported,
        "upload",
        new=_number("new"),
        changed=_number("changed"),
        same=_number("same"),
        rejected=_number("rejected"),
    ),
    Trigger(EndpointDisabled, "endpoint", reason=_text("reason")),
)
#: Topic → what rules may begin with.
TRIGGERS: Final[Mapping[str, Trigger]] = {one.kind.topic: one for one in _ALL}


def fields_of(topic: str) -> Mapping[str, FactType]:
    """Return the facts that an event of a topic tells, by name.

    Raises:
        UnknownName: no rule can begin with it.

    >>> fields_of("webhooks.endpoint_disabled")
    {'reason': <FactType.TEXT: 'text'>}
    """
    if topic not in TRIGGERS:
        raise UnknownName.of("trigger", topic, TRIGGERS)
    return {name: kind for name, (kind, _) in TRIGGERS[topic].reads.items()}


def facts_of(event: Event) -> dict[str, Fact]:
    """Return what rules may know of an event, None for what it does not tell.

    Raises:
        UnknownName: no rule can begin with it.
    """
    fields_of(event.topic)
    return {name: read(event) for name, (_, read) in TRIGGERS[event.topic].reads.items()}


def event_key(event: Event) -> str:
    """Return what tells events apart: 32 hex digits, the same for the same event told again."""
    told = {one.name: getattr(event, one.name) for one in fields(event)}
    text = json.dumps([event.topic, told], default=_plain, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, dt.date) else str(value)
