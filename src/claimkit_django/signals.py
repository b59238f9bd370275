"""Django signals for hosts that would rather not write a plugin; sent after the commit.

Each is sent with ``sender`` = the event's class and ``event`` = the event itself, once the
outermost transaction has committed. Receivers are isolated from each other and from the work:
what must not be lost belongs in a listener of phase ``transaction``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from django.db import transaction
from django.dispatch import Signal

from claimkit.events import (
    ClaimsImported,
    DriftAccepted,
    DriftDetected,
    DriftResolved,
    DriftWorsened,
    ExportMade,
    ReportReady,
)

if TYPE_CHECKING:
    from claimkit.events import Event, Phase

__all__ = [
    "SIGNALS",
    "SignalSender",
    "claims_imported",
    "drift_accepted",
    "drift_detected",
    "drift_resolved",
    "drift_worsened",
    "export_made",
    "report_ready",
]

logger = logging.getLogger(__name__)

#: A file is in: :class:`claimkit.events.ClaimsImported`.
claims_imported = Signal()
#: A payer changed: :class:`claimkit.events.DriftDetected`.
drift_detected = Signal()
#: An open drift became more severe: :class:`claimkit.events.DriftWorsened`.
drift_worsened = Signal()
#: A drift ended: :class:`claimkit.events.DriftResolved`.
drift_resolved = Signal()
#: A person took a new level as normal: :class:`claimkit.events.DriftAccepted`.
drift_accepted = Signal()
#: The report of a period can be read: :class:`claimkit.events.ReportReady`.
report_ready = Signal()
#: Rows left the site as a file: :class:`claimkit.events.ExportMade`.
export_made = Signal()

#: Topic → signal.
SIGNALS: Final[dict[str, Signal]] = {
    ClaimsImported.topic: claims_imported,
    DriftDetected.topic: drift_detected,
    DriftWorsened.topic: drift_worsened,
    DriftResolved.topic: drift_resolved,
    DriftAccepted.topic: drift_accepted,
    ReportReady.topic: report_ready,
    ExportMade.topic: export_made,
}


class SignalSender:
    """The listener that turns events into signals."""

    name = "django_signals"
    topics = frozenset(SIGNALS)
    phase: Phase = "committed"

    def __init__(self, using: str) -> None:
        self._using = using

    def handle(self, event: Event) -> None:
        """Send the event's signal once the outermost transaction has committed."""
        transaction.on_commit(lambda: _send(event), using=self._using)


def _send(event: Event) -> None:
    signal = SIGNALS[event.topic]
    for receiver, answer in signal.send_robust(sender=type(event), event=event):
        if isinstance(answer, Exception):
            logger.error(
                "signal receiver failed",
                exc_info=answer,
                extra={
                    "receiver": getattr(receiver, "__qualname__", type(receiver).__qualname__),
                    "topic": event.topic,
                },
            )
