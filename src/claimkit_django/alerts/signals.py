"""What becomes an alert: events of other rooms, in the transaction of whoever staged them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, ClassVar

from django.utils import timezone

from claimkit.alerts.lifecycle import AlertSignal, Subject
from claimkit.events import (
    AlertWanted,
    AuthorizationExhausting,
    AuthorizationExpiring,
    AuthorizationRenewed,
    DriftAccepted,
    DriftDetected,
    DriftResolved,
    DriftWorsened,
    EndpointDisabled,
)
from claimkit.types import Severity
from claimkit_django.alerts.board import receive

if TYPE_CHECKING:
    from collections.abc import Iterable

    from claimkit.events import Event, Phase

__all__ = ["DriftListener"]

_BEGINS = (DriftDetected, DriftWorsened)
_ENDS = (DriftResolved, DriftAccepted)
#: Event of an end that comes near → kind of alert.
_ENDING: dict[type[Event], str] = {
    AuthorizationExpiring: "authorization_expiring",
    AuthorizationExhausting: "authorization_exhausting",
}
_TOLD: tuple[type[Event], ...] = (
    *_BEGINS,
    *_ENDS,
    *_ENDING,
    AlertWanted,
    AuthorizationRenewed,
    EndpointDisabled,
)
#: Steps from which an end is urgent, and from which it is soon.
_URGENT_DAYS, _SOON_DAYS = 3, 14
#: What the alert is called of which webhooks are no longer sent.
_WEBHOOKS = "webhooks"


class DriftListener:
    """Opens, escalates and resolves alerts as drifts, endpoints and authorizations do."""

    name = "alerts"
    topics: ClassVar[frozenset[str]] = frozenset(one.topic for one in _TOLD)
    phase: Phase = "transaction"

    def __init__(self, using: str) -> None:
        self._using = using

    def handle(self, event: Event) -> Iterable[Event] | None:
        """Apply the signal; return the events of alerts that follow."""
        signals = _signals_of(event)
        if not signals:
            return None
        return receive(event.tenant, signals, now=timezone.now(), using=self._using)


def _signals_of(event: Event) -> list[AlertSignal]:
    if isinstance(event, AuthorizationRenewed):
        return [
            _authorization(event, kind, is_firing=False, severity=Severity.LOW)
            for kind in _ENDING.values()
        ]
    if isinstance(event, (AuthorizationExpiring, AuthorizationExhausting)):
        return [
            _authorization(event, _ENDING[type(event)], is_firing=True, severity=_urgency(event))
        ]
    signal = _signal_of(event)
    return [] if signal is None else [signal]


def _urgency(event: AuthorizationExpiring | AuthorizationExhausting) -> Severity:
    if event.step <= _URGENT_DAYS:
        return Severity.HIGH
    return Severity.MEDIUM if event.step <= _SOON_DAYS else Severity.LOW


def _authorization(
    event: AuthorizationExpiring | AuthorizationExhausting | AuthorizationRenewed,
    kind: str,
    *,
    is_firing: bool,
    severity: Severity,
) -> AlertSignal:
    if isinstance(event, AuthorizationRenewed):
        summary = f"{event.authorization} of {event.payer} for {event.procedure} was renewed."
    else:
        what = "ends" if isinstance(event, AuthorizationExpiring) else "may run out of units"
        summary = (
            f"{event.authorization} of {event.payer} for {event.procedure} {what} on "
            f"{event.ends_on.isoformat()}."
        )
    return AlertSignal(
        fingerprint=f"{kind}:{event.authorization}"[:64],
        is_firing=is_firing,
        severity=severity,
        at=event.at,
        subject=Subject(source="authorizations", kind=kind, payer=event.payer, summary=summary),
    )


def _signal_of(event: Event) -> AlertSignal | None:
    if isinstance(event, AlertWanted):
        told = f"{event.rule}:{event.subject}".encode()
        return AlertSignal(
            fingerprint=f"rule:{hashlib.blake2b(told, digest_size=16).hexdigest()}",
            is_firing=True,
            severity=Severity(event.severity),
            at=event.at,
            subject=Subject(
                source="automation",
                kind="rule_matched",
                payer=event.payer,
                summary=f"The rule {event.rule_name!r} asks to look at {event.subject}.",
                dollars_per_month=event.dollars_per_month,
            ),
        )
    if isinstance(event, EndpointDisabled):
        return AlertSignal(
            fingerprint=f"endpoint:{event.endpoint}",
            is_firing=True,
            severity=Severity.MEDIUM,
            at=event.at,
            subject=Subject(
                source=_WEBHOOKS,
                kind="endpoint_disabled",
                summary=f"Webhooks are no longer sent to {event.endpoint}: {event.reason}.",
            ),
        )
    if not isinstance(event, (*_BEGINS, *_ENDS)):
        return None
    return AlertSignal(
        fingerprint=event.finding[:64],
        is_firing=isinstance(event, _BEGINS),
        severity=Severity(event.severity),
        at=event.at,
        subject=Subject(
            source="drift",
            kind=event.signal,
            payer=event.payer,
            summary=event.summary,
            onset=event.onset,
            dollars_per_month=event.dollars_per_month,
        ),
    )
