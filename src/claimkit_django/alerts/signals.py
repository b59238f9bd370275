"""What becomes an alert: events of other rooms, in the transaction of whoever staged them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.utils import timezone

from claimkit.alerts.lifecycle import AlertSignal, Subject
from claimkit.events import (
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
#: What the alert is called of which webhooks are no longer sent.
_WEBHOOKS = "webhooks"


class DriftListener:
    """Opens, escalates and resolves alerts as drifts and endpoints do."""

    name = "alerts"
    topics: ClassVar[frozenset[str]] = frozenset(
        one.topic for one in (*_BEGINS, *_ENDS, EndpointDisabled)
    )
    phase: Phase = "transaction"

    def __init__(self, using: str) -> None:
        self._using = using

    def handle(self, event: Event) -> Iterable[Event] | None:
        """Apply the signal; return the events of alerts that follow."""
        signal = _signal_of(event)
        if signal is None:
            return None
        return receive(event.tenant, [signal], now=timezone.now(), using=self._using)


def _signal_of(event: Event) -> AlertSignal | None:
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
