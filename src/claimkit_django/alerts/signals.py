"""What becomes an alert: events of other rooms, in the transaction of whoever staged them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, ClassVar

from django.utils import timezone

from claimkit.alerts.lifecycle import AlertSignal, AlertState, Subject
from claimkit.events import (
    AlertWanted,
    AuthorizationExhausting,
    AuthorizationExpiring,
    AuthorizationRenewed,
    ClaimsImported,
    DriftAccepted,
    DriftDetected,
    DriftResolved,
    DriftWorsened,
    EndpointDisabled,
    ImportFailed,
    ReportFailed,
    ReportReady,
    WatchEnded,
)
from claimkit.tenants import use_tenant
from claimkit.types import Severity
from claimkit_django.alerts.board import DRIFT, receive
from claimkit_django.alerts.models import Alert
from claimkit_django.conf import config
from claimkit_django.tenants.turns import find_tenant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from claimkit.events import Event, Phase

__all__ = ["SignalListener"]

_BEGINS = (DriftDetected, DriftWorsened)
_ENDS = (DriftResolved, DriftAccepted)
#: What is told whether or not it ends anything.
_OFTEN = (ClaimsImported, WatchEnded)
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
    ClaimsImported,
    EndpointDisabled,
    ImportFailed,
    ReportFailed,
    ReportReady,
    WatchEnded,
)
#: Steps from which an end is urgent, and from which it is soon.
_URGENT_DAYS, _SOON_DAYS = 3, 14
#: Percent of a file's rows that are many.
_MANY_PERCENT = 20


class SignalListener:
    """Opens, escalates and resolves alerts as what other rooms tell of begins and ends."""

    name = "alerts"
    topics: ClassVar[frozenset[str]] = frozenset(one.topic for one in _TOLD)
    phase: Phase = "transaction"

    def __init__(self, using: str) -> None:
        self._using = using

    def handle(self, event: Event) -> Iterable[Event] | None:
        """Apply the signal; return the events of alerts that follow.

        A tenant that is no longer active gets no alerts. That a file is in and nothing waits is said every day,
        so it is passed on only where it ends something.
        """
        signals = [one for one in _signals_of(event) if self._says_something(event, one)]
        if not signals or not find_tenant(event.tenant, self._using).active:
            return None
        return receive(event.tenant, signals, now=timezone.now(), using=self._using)

    def _says_something(self, event: Event, signal: AlertSignal) -> bool:
        if signal.is_firing or not isinstance(event, _OFTEN):
            return True
        with use_tenant(event.tenant):
            known = Alert.objects.using(self._using).filter(fingerprint=signal.fingerprint)
            return bool(known.exclude(state=AlertState.RESOLVED.value).exists())


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
    makers = _MAKERS.get(type(event), ())
    return [signal for make in makers if (signal := make(event)) is not None]


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
        subject=Subject(
            source="authorizations",
            kind=kind,
            payer=event.payer,
            summary=summary,
            dimensions={"authorization": (event.authorization,)},
        ),
    )


def _of_rule(event: AlertWanted) -> AlertSignal:
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
            dimensions={"rule": (event.rule,)},
        ),
    )


def _of_endpoint(event: EndpointDisabled) -> AlertSignal:
    return AlertSignal(
        fingerprint=f"endpoint:{event.endpoint}",
        is_firing=True,
        severity=Severity.MEDIUM,
        at=event.at,
        subject=Subject(
            source="webhooks",
            kind="endpoint_disabled",
            summary=f"Webhooks are no longer sent to {event.endpoint}: {event.reason}.",
            dimensions={"endpoint": (event.endpoint,)},
        ),
    )


def _of_drift(
    event: DriftDetected | DriftWorsened | DriftResolved | DriftAccepted,
) -> AlertSignal:
    return AlertSignal(
        fingerprint=event.finding[:64],
        is_firing=isinstance(event, _BEGINS),
        severity=Severity(event.severity),
        at=event.at,
        subject=Subject(
            source=DRIFT,
            kind=event.signal,
            payer=event.payer,
            summary=event.summary,
            onset=event.onset,
            dollars_per_month=event.dollars_per_month,
            dimensions=dict(event.dimensions),
        ),
    )


def _of_import(event: ClaimsImported) -> AlertSignal | None:
    """Return what a file with rejected rows reports; too few of them need a rule."""
    if not event.rejected:
        return None
    read = event.new + event.changed + event.same + event.rejected
    percent = 100 * event.rejected / read
    return AlertSignal(
        fingerprint=f"rejected_rows:{event.upload}"[:64],
        is_firing=True,
        severity=Severity.HIGH if percent >= _MANY_PERCENT else Severity.MEDIUM,
        at=event.at,
        needs_rule=percent < config().alerts.rejected_percent,
        subject=Subject(
            source="claims",
            kind="rejected_rows",
            summary=f"{event.rejected} of {read} rows of the file {event.upload} were rejected.",
            figure=round(percent, 2),
            dimensions={"upload": (event.upload,)},
        ),
    )


def _of_failure(event: ImportFailed | ClaimsImported) -> AlertSignal:
    """Return that a file could not be imported to its end, or that it is in."""
    is_firing = isinstance(event, ImportFailed)
    what = f"could not be imported: {event.code}" if isinstance(event, ImportFailed) else "is in"
    return AlertSignal(
        fingerprint=f"import_failed:{event.upload}"[:64],
        is_firing=is_firing,
        severity=Severity.HIGH,
        at=event.at,
        subject=Subject(
            source="claims",
            kind="import_failed",
            summary=f"The file {event.upload} {what}.",
            dimensions={"upload": (event.upload,)},
        ),
    )


def _of_watch(event: WatchEnded) -> AlertSignal | None:
    """Return how many changes wait for a doubtful file; a watch that failed knows nothing of them."""
    if event.status != "success":
        return None
    return AlertSignal(
        fingerprint="alerts_held",
        is_firing=event.held > 0,
        severity=Severity.MEDIUM,
        at=event.at,
        subject=Subject(
            source=DRIFT,
            kind="alerts_held",
            summary=f"{event.held} changes wait until somebody has looked at a doubtful file.",
            figure=float(event.held),
        ),
    )


def _of_report(event: ReportFailed | ReportReady) -> AlertSignal:
    """Return that a kind of report could not be made, or that it is made again."""
    about = f"The {event.kind} report of {event.first.isoformat()} to {event.last.isoformat()}"
    what = f"could not be made: {event.reason}" if isinstance(event, ReportFailed) else "is made"
    return AlertSignal(
        fingerprint=f"report_failed:{event.kind}",
        is_firing=isinstance(event, ReportFailed),
        severity=Severity.MEDIUM,
        at=event.at,
        subject=Subject(
            source="reports",
            kind="report_failed",
            summary=f"{about} {what}.",
            dimensions={"report": (event.kind,)},
        ),
    )


_MAKERS: dict[type[Event], tuple[Callable[[Any], AlertSignal | None], ...]] = {
    **dict.fromkeys((*_BEGINS, *_ENDS), (_of_drift,)),
    **dict.fromkeys((ReportFailed, ReportReady), (_of_report,)),
    AlertWanted: (_of_rule,),
    ClaimsImported: (_of_import, _of_failure),
    EndpointDisabled: (_of_endpoint,),
    ImportFailed: (_of_failure,),
    WatchEnded: (_of_watch,),
}
