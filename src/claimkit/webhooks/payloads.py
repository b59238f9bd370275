"""What a webhook says: event types with versions and JSON Schemas, thin unless asked for more.

The body is what Standard Webhooks proposes, ``type``, ``timestamp`` and ``data``, made into bytes
once: every attempt sends, and every signature covers, the same bytes. No event type carries
anything about a patient, in either form. *Thin* data are identifiers and words of ours; *full*
data add what people would otherwise look up, and an endpoint must ask for them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, cast

from claimkit.errors import ConfigError, InvalidPayload, UnknownName
from claimkit.events import (
    AlertNotified,
    AlertOpened,
    AlertResolved,
    AuthorizationExhausting,
    AuthorizationExpiring,
    AuthorizationRenewed,
    AutomationRequested,
    ClaimsImported,
    DriftAccepted,
    DriftDetected,
    DriftResolved,
    DriftWorsened,
    EndpointDisabled,
    EndpointPinged,
    ReportReady,
)
from claimkit.types import Severity, from_cents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from claimkit.events import Event
    from claimkit.types import Json

__all__ = [
    "MAX_BODY_BYTES",
    "Detail",
    "EventType",
    "body_schema",
    "builtin_event_types",
    "check_subscriptions",
    "example_body",
    "make_body",
    "subject_of",
]

#: Receivers expect small requests; more is an error of whoever made the event.
MAX_BODY_BYTES: Final = 65_536
#: Subscribes to everything.
_ALL: Final = "*"
_SHOWN_AT: Final = "2026-04-12T09:30:00Z"
_NAME = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)+", re.ASCII)


class Detail(StrEnum):
    """How much an endpoint is told."""

    THIN = "thin"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """One kind of webhook, in one version of its form.

    Raises:
        ConfigError: the name is not ``room.what_happened``, the version is below 1, or the subject
            is no member of thin data.
    """

    #: Topic of the event; ``type`` of the body.
    name: str
    #: Goes up when the form changes in a way that receivers must know of; ``data.version``.
    version: int = 1
    #: One sentence for people.
    description: str
    #: Makes ``data`` of an event; nothing about a patient, nothing that is not needed to look up more.
    thin: Callable[[Any], Mapping[str, Json]] = field(repr=False)
    #: What full data add; None where there is no more to tell.
    more: Callable[[Any], Mapping[str, Json]] | None = field(default=None, repr=False)
    #: JSON Schema (2020-12) of the properties of thin data, all of them required.
    properties: Mapping[str, Json] = field(repr=False)
    #: The same for what full data add.
    more_properties: Mapping[str, Json] = field(default_factory=dict, repr=False)
    #: Thin data to show, and what full data add to them.
    example: Mapping[str, Json] = field(repr=False)
    more_example: Mapping[str, Json] = field(default_factory=dict, repr=False)
    #: Member of thin data that names what it is about: endpoints may ask for one webhook after the
    #: other about the same thing. Empty: it is about nothing that others are about too.
    subject: str = ""
    #: False where an endpoint gets it without, and cannot ask for it.
    can_subscribe: bool = True

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"{self.name!r} is no name of an event type such as 'claims.imported'"
            )
        if self.version < 1:
            raise ConfigError("versions of event types begin at 1")
        if self.subject and self.subject not in self.properties:
            raise ConfigError(f"thin data of {self.name} have no member {self.subject!r}")

    def data(self, event: Event, detail: Detail) -> dict[str, Json]:
        """Return ``data`` of the body."""
        data: dict[str, Json] = {"version": self.version, **self.thin(event)}
        if detail is Detail.FULL and self.more is not None:
            data |= self.more(event)
        return data


def subject_of(event_type: EventType, event: Event) -> str:
    """Return what an event is about, such as ``alert:alr_3f8k…``; empty if it is about nothing."""
    if not event_type.subject:
        return ""
    return f"{event_type.subject}:{event_type.thin(event)[event_type.subject]}"


def make_body(event_type: EventType, event: Event, detail: Detail) -> bytes:
    """Return the bytes of the body, in UTF-8.

    Raises:
        InvalidPayload: not JSON, or more than 64 KiB.
    """
    body = {
        "type": event_type.name,
        "timestamp": event.at.isoformat().replace("+00:00", "Z"),
        "data": event_type.data(event, detail),
    }
    try:
        text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        raw = text.encode()
    except (TypeError, ValueError):
        raise InvalidPayload(f"an event of type {event_type.name} is not JSON") from None
    if len(raw) > MAX_BODY_BYTES:
        raise InvalidPayload(f"an event of type {event_type.name} is larger than 64 KiB")
    return raw


def body_schema(event_type: EventType, detail: Detail = Detail.THIN) -> dict[str, Json]:
    """Return the JSON Schema (2020-12) of the whole body."""
    properties: dict[str, Json] = {
        "version": {"const": event_type.version},
        **event_type.properties,
    }
    if detail is Detail.FULL:
        properties |= event_type.more_properties
    return {
        "type": "object",
        "description": event_type.description,
        "properties": {
            "type": {"const": event_type.name},
            "timestamp": {
                "type": "string",
                "format": "date-time",
                "description": "When it happened, not when it was sent.",
            },
            "data": {
                "type": "object",
                "properties": properties,
                "required": sorted(properties),
                "additionalProperties": False,
            },
        },
        "required": ["type", "timestamp", "data"],
        "additionalProperties": False,
    }


def example_body(event_type: EventType, detail: Detail = Detail.THIN) -> dict[str, Json]:
    """Return a body to show, as :func:`body_schema` describes it."""
    data: dict[str, Json] = {"version": event_type.version, **event_type.example}
    if detail is Detail.FULL:
        data |= event_type.more_example
    return {"type": event_type.name, "timestamp": _SHOWN_AT, "data": data}


def check_subscriptions(names: Iterable[str], known: Mapping[str, EventType]) -> tuple[str, ...]:
    """Return what an endpoint subscribes to, sorted and once; ``*`` stands for everything.

    Raises:
        UnknownName: nobody registered such an event type, or it cannot be subscribed to.
        ConfigError: nothing is left.
    """
    wanted = tuple(sorted(set(names)))
    if not wanted:
        raise ConfigError("an endpoint subscribes to at least one event type")
    offered = [name for name, one in known.items() if one.can_subscribe]
    for name in wanted:
        if name != _ALL and name not in offered:
            raise UnknownName.of("event type", name, offered)
    return wanted


# -- ours -------------------------------------------------------------------------------------


def builtin_event_types() -> tuple[EventType, ...]:
    """Return the event types of claimkit itself."""
    return (
        EventType(
            name=ClaimsImported.topic,
            description="A file of claims is in, whole or with rejected rows.",
            subject="upload",
            thin=_members("upload", "new", "changed", "same", "rejected"),
            properties={
                "upload": _text("Identifier of the upload."),
                "new": _count("Claims that were not known before."),
                "changed": _count("Claims of which something changed."),
                "same": _count("Claims that were known already."),
                "rejected": _count("Rows that could not be used."),
            },
            example={
                "upload": "upl_0cw4nq8r1v6j3m7x2t9k5hyd0b",
                "new": 412,
                "changed": 7,
                "same": 0,
                "rejected": 3,
            },
        ),
        _drift(DriftDetected.topic, "A payer changed how it treats claims."),
        _drift(DriftWorsened.topic, "A drift that is already open became more severe."),
        _drift(DriftResolved.topic, "A drift ended, or later data no longer supports it."),
        _drift(DriftAccepted.topic, "A person took the new level of a drift as normal."),
        _alert(AlertOpened.topic, "There is something that people should deal with.", {}),
        _alert(AlertResolved.topic, "An alert is over, by itself or by a person.", {}),
        _alert(AlertNotified.topic, "A route tells of an alert by webhooks.", _TOLD),
        *_authorizations(),
        _requested_type(),
        _endpoint_disabled(),
        _report_ready(),
        _ping(),
    )


def _text(description: str) -> dict[str, Json]:
    return {"type": "string", "description": description}


def _members(*names: str) -> Callable[[Any], Mapping[str, Json]]:
    """Return what takes these members of an event as they are."""
    return lambda event: {one: getattr(event, one) for one in names}


def _count(description: str) -> dict[str, Json]:
    return {"type": "integer", "minimum": 0, "description": description}


def _endpoint_disabled() -> EventType:
    return EventType(
        name=EndpointDisabled.topic,
        description="Webhooks are no longer sent to an endpoint of yours.",
        subject="endpoint",
        thin=_members("endpoint", "reason"),
        properties={
            "endpoint": _text("Identifier of the endpoint."),
            "reason": {
                "enum": ["gone", "failing"],
                "description": "It answered 410, or failed for days.",
            },
        },
        example={"endpoint": "whe_3f8k1d6z0q5v9m2r7x4t1nyc8b", "reason": "failing"},
    )


def _ping() -> EventType:
    return EventType(
        name=EndpointPinged.topic,
        description="A test, or the question whether the endpoint wants webhooks.",
        thin=_members("endpoint", "challenge"),
        properties={
            "endpoint": _text("Identifier of the endpoint."),
            "challenge": _text(
                "To be repeated in the body of the answer; empty where the endpoint is confirmed."
            ),
        },
        example={
            "endpoint": "whe_3f8k1d6z0q5v9m2r7x4t1nyc8b",
            "challenge": "chl_9m2r7x4t1nyc8b3f8k1d6z0q5v",
        },
        can_subscribe=False,
    )


#: What full data of drifts and alerts add.
_MONEY_AND_PAYER: Final[Mapping[str, Json]] = {
    "payer": {"type": "string", "description": "Name of the payer."},
    "dollars_per_month": {
        "type": "string",
        "pattern": r"^-?\d+\.\d{2}$",
        "description": "Money at risk per 30 days.",
    },
    "summary": {"type": "string", "description": "What happened in one sentence."},
}
_MONEY_AND_PAYER_SHOWN: Final[Mapping[str, Json]] = {
    "payer": "Meridian Health Plan",
    "dollars_per_month": "18450.00",
    "summary": "Meridian Health Plan denies more imaging claims since 2 March 2026.",
}
_SEVERITY: Final[Mapping[str, Json]] = {"enum": [one.value for one in Severity]}


#: What a notification adds to its alert: name → what it is, and an example.
_TOLD: Final[Mapping[str, tuple[Json, Json]]] = {
    "notification": (_text("The same if told twice."), "ntf_3f8k1d6z0q5v9m2r7x4t1nyc8b"),
    "episode": (_count("How often the alert was opened."), 1),
    "reason": (_text("first, escalated, repeated, step or resolved."), "first"),
}


def _alert(name: str, description: str, told: Mapping[str, tuple[Json, Json]]) -> EventType:
    return EventType(
        name=name,
        description=description,
        subject="alert",
        thin=lambda event: {**_alert_thin(event), **{one: getattr(event, one) for one in told}},
        more=_money_and_payer,
        properties={
            "alert": _text("Identifier of the alert."),
            "kind": _text("What it is about, such as denial_rate."),
            "severity": _SEVERITY,
            **{one: meaning for one, (meaning, _) in told.items()},
        },
        more_properties=_MONEY_AND_PAYER,
        example={
            "alert": "alr_3f8k1d6z0q5v9m2r7x4t1nyc8b",
            "kind": "denial_rate",
            "severity": "high",
            **{one: shown for one, (_, shown) in told.items()},
        },
        more_example=_MONEY_AND_PAYER_SHOWN,
    )


def _report_ready() -> EventType:
    return EventType(
        name=ReportReady.topic,
        description="The report of a period is made and can be read.",
        subject="report",
        thin=_report,
        more=lambda event: {"headline": event.headline},
        properties={
            "report": _text("Identifier of the report."),
            "kind": {"enum": ["weekly", "monthly", "quarterly", "custom"]},
            "first": {"type": "string", "format": "date", "description": "First day."},
            "last": {"type": "string", "format": "date", "description": "Last day."},
        },
        more_properties={"headline": _text("The report in one sentence.")},
        example={
            "report": "rpt_3f8k1d6z0q5v9m2r7x4t1nyc8b",
            "kind": "monthly",
            "first": "2026-03-01",
            "last": "2026-03-31",
        },
        more_example={
            "headline": "1 payer treats your claims worse than before: about $48,000 a month."
        },
    )


def _report(event: ReportReady) -> Mapping[str, Json]:
    return {
        "report": event.report,
        "kind": event.kind,
        "first": event.first.isoformat(),
        "last": event.last.isoformat(),
    }


def _alert_thin(event: Event) -> Mapping[str, Json]:
    alert = cast("AlertOpened", event)
    return {"alert": alert.alert, "kind": alert.kind, "severity": alert.severity}


def _authorizations() -> tuple[EventType, ...]:
    return (
        _ending(AuthorizationExpiring.topic, "The period of an authorization ends soon."),
        _ending(AuthorizationExhausting.topic, "Units of an authorization may run out too early."),
        EventType(
            name=AuthorizationRenewed.topic,
            description="An authorization has a successor.",
            subject="authorization",
            thin=_members("authorization", "renewal"),
            properties={
                "authorization": _text("Identifier of the authorization."),
                "renewal": _text("Identifier of its successor."),
            },
            example={
                "authorization": "aut_3f8k1d6z0q5v9m2r7x4t1nyc8b",
                "renewal": "aut_7m2r7x4t1nyc8b3f8k1d6z0q5v",
            },
        ),
    )


def _requested_type() -> EventType:
    return EventType(
        name=AutomationRequested.topic,
        description="A rule of automation asks you to do something.",
        subject="subject",
        thin=_members("rule", "label", "trigger", "subject"),
        properties={
            "rule": _text("Identifier of the rule."),
            "label": _text("What the author of the rule called it."),
            "trigger": _text("Topic of the event that triggered the rule."),
            "subject": _text("Identifier of what the event is about."),
        },
        example={
            "rule": "aur_3f8k1d6z0q5v9m2r7x4t1nyc8b",
            "label": "open a ticket",
            "trigger": "drift.detected",
            "subject": "5f0c2a7d91",
        },
    )


def _ending(name: str, description: str) -> EventType:
    return EventType(
        name=name,
        description=description,
        subject="authorization",
        thin=_ending_thin,
        properties={
            "authorization": _text("Identifier of the authorization."),
            "step": _count("Days before the end at which this is told, once."),
            "days_left": _count("Days that are left."),
            "ends_on": {"type": "string", "format": "date", "description": "When it ends."},
        },
        example={
            "authorization": "aut_3f8k1d6z0q5v9m2r7x4t1nyc8b",
            "step": 14,
            "days_left": 13,
            "ends_on": "2026-04-25",
        },
    )


def _ending_thin(event: Event) -> Mapping[str, Json]:
    ending = cast("AuthorizationExpiring | AuthorizationExhausting", event)
    return {
        "authorization": ending.authorization,
        "step": ending.step,
        "days_left": ending.days_left,
        "ends_on": ending.ends_on.isoformat(),
    }


def _drift(name: str, description: str) -> EventType:
    return EventType(
        name=name,
        description=description,
        subject="fingerprint",
        thin=_drift_thin,
        more=_money_and_payer,
        properties={
            "fingerprint": _text("Identifies the incident; the same while it lasts."),
            "signal": _text("What changed, such as denial_rate."),
            "severity": _SEVERITY,
            "onset": {"type": "string", "format": "date", "description": "Since when."},
        },
        more_properties=_MONEY_AND_PAYER,
        example={
            "fingerprint": "5f0c2a7d91",
            "signal": "denial_rate",
            "severity": "high",
            "onset": "2026-03-02",
        },
        more_example=_MONEY_AND_PAYER_SHOWN,
    )


def _drift_thin(event: Event) -> Mapping[str, Json]:
    drift = cast("DriftDetected", event)
    return {
        "fingerprint": drift.finding,
        "signal": drift.signal,
        "severity": drift.severity,
        "onset": drift.onset.isoformat(),
    }


def _money_and_payer(event: Event) -> Mapping[str, Json]:
    told = cast("DriftDetected | AlertOpened", event)
    return {
        "payer": told.payer,
        "dollars_per_month": str(from_cents(told.dollars_per_month)),
        "summary": told.summary,
    }
