"""What rooms tell each other: events, and the bus that stages, commits and tells them.

Hides when a listener runs. ``transaction`` listeners run inside the transaction of whoever
staged the event: what must happen becomes a row there, or the whole work rolls back.
``committed`` listeners run after the commit, best effort, isolated from each other.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from claimkit.facts import ClaimFacts, DataHold, FactsChange

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from claimkit.types import Cents, Day, TenantKey

__all__ = [
    "AlertNotified",
    "AlertOpened",
    "AlertResolved",
    "AlertWanted",
    "AuthorizationExhausting",
    "AuthorizationExpiring",
    "AuthorizationRenewed",
    "AutomationRequested",
    "Bus",
    "ClaimFacts",
    "ClaimRiskScored",
    "ClaimsChanged",
    "ClaimsImported",
    "CubeRefreshed",
    "DataHold",
    "DriftAccepted",
    "DriftDetected",
    "DriftResolved",
    "DriftWorsened",
    "EndpointDisabled",
    "EndpointPinged",
    "Event",
    "ExportMade",
    "FactsChange",
    "ImportFailed",
    "Listener",
    "OutboxSettled",
    "Phase",
    "ReportEnded",
    "ReportFailed",
    "ReportReady",
    "RulesRan",
    "WatchEnded",
]

logger = logging.getLogger(__name__)

Phase = Literal["transaction", "committed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to one tenant."""

    #: Stable topic, such as ``claims.imported``; documented, used by webhooks and rules.
    topic: ClassVar[str] = ""

    tenant: TenantKey
    #: Aware UTC instant.
    at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsChanged(Event):
    """A batch changed what is known of some claims; told once per batch, in its transaction.

    In-process only: it is never stored or sent, so it may carry the facts themselves.
    """

    topic: ClassVar[str] = "claims.changed"

    #: Only claims whose facts really differ.
    changes: Sequence[FactsChange] = field(repr=False)
    #: The day on which the source became known, for replays "as known then".
    known_day: Day


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsImported(Event):
    """One file is in, whole or with rejected rows."""

    topic: ClassVar[str] = "claims.imported"

    upload: str
    new: int
    changed: int
    same: int
    rejected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFailed(Event):
    """A file could not be imported to its end; for those who count failures."""

    topic: ClassVar[str] = "claims.import_failed"

    upload: str
    #: Stable code of the error, such as ``file_unreadable``.
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeRefreshed(Event):
    """What a batch of claims changed was posted to the cube; for those who count refreshes."""

    topic: ClassVar[str] = "drift.cube_refreshed"

    #: Claims whose facts changed.
    changes: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _DriftEvent(Event):
    finding: str
    signal: str
    payer: str
    severity: str
    onset: dt.date
    dollars_per_month: Cents
    summary: str
    #: Further dimension → its values, where it is about a part of the payer's claims.
    dimensions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftDetected(_DriftEvent):
    """A payer changed how it treats claims, and nobody had been told yet."""

    topic: ClassVar[str] = "drift.detected"


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftWorsened(_DriftEvent):
    """A drift that is already open became more severe."""

    topic: ClassVar[str] = "drift.worsened"


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftResolved(_DriftEvent):
    """A drift ended, or later data no longer supports it."""

    topic: ClassVar[str] = "drift.resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftAccepted(_DriftEvent):
    """A person took the new level of a drift as normal; detectors compare with it from now on."""

    topic: ClassVar[str] = "drift.accepted"

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRiskScored(Event):
    """Somebody asked how probable a denial of a claim is that was not sent yet, for rules to act on it."""

    topic: ClassVar[str] = "drift.risk_scored"

    #: What the asker calls it.
    claim: str
    payer: str
    procedure_group: str
    authorization: str
    #: 0 to 1, and the ends of its interval.
    probability: float
    low: float
    high: float
    charge: Cents


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointDisabled(Event):
    """Webhooks are no longer sent to an endpoint, until somebody enables it again."""

    topic: ClassVar[str] = "webhooks.endpoint_disabled"

    endpoint: str
    #: ``gone`` where it answered 410, ``failing`` after days of nothing but failures.
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPinged(Event):
    """A test webhook for one endpoint, whatever it subscribes to: by hand, or to confirm it."""

    topic: ClassVar[str] = "webhooks.ping"

    endpoint: str
    #: What an endpoint answers with to show that it wants webhooks; empty once it has.
    challenge: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _AlertEvent(Event):
    #: Public identifier, ``alr_…``.
    alert: str
    kind: str
    severity: str
    payer: str
    summary: str
    dollars_per_month: Cents


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertOpened(_AlertEvent):
    """There is something that people should deal with, for the first time or again."""

    topic: ClassVar[str] = "alerts.opened"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertResolved(_AlertEvent):
    """An alert is over, by itself or by a person."""

    topic: ClassVar[str] = "alerts.resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertNotified(_AlertEvent):
    """A route tells of an alert by webhooks: what a channel of kind ``webhook`` sends."""

    topic: ClassVar[str] = "alerts.notified"

    #: Public identifier, ``ntf_…``; the same where it is told twice.
    notification: str
    episode: int
    #: first, escalated, repeated, step or resolved.
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEnded(Event):
    """A watch looked at a tenant's claims, or failed to; for those who count runs."""

    topic: ClassVar[str] = "drift.watched"

    #: ``success`` or ``failed``.
    status: str
    seconds: float
    #: Changes that are told as alerts only when people have looked at a doubtful file.
    held: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxSettled(Event):
    """Attempts to tell somebody ended, and how; for those who count deliveries."""

    topic: ClassVar[str] = "outbox.settled"

    #: The room whose outbox it is: ``webhooks`` or ``alerts``.
    outbox: str
    #: :class:`claimkit.outbox.Ending` → how many of them.
    endings: Mapping[str, int]
    #: How long each attempt took.
    seconds: Sequence[float] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _AuthorizationEvent(Event):
    #: Public identifier, ``aut_…``; never the payer's number.
    authorization: str
    payer: str
    procedure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _AuthorizationEnding(_AuthorizationEvent):
    #: Days before the end at which this is told, once.
    step: int
    days_left: int
    ends_on: dt.date


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationExpiring(_AuthorizationEnding):
    """The period of an authorization ends soon, and it was not renewed."""

    topic: ClassVar[str] = "authorizations.expiring"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationExhausting(_AuthorizationEnding):
    """The units of an authorization may run out before its period ends; at step 0 they did."""

    topic: ClassVar[str] = "authorizations.exhausting"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRenewed(_AuthorizationEvent):
    """An authorization has a successor; warnings of it are over."""

    topic: ClassVar[str] = "authorizations.renewed"

    #: Public identifier of the successor.
    renewal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportReady(Event):
    """The report of a period is made, for the first time or again, and can be read."""

    topic: ClassVar[str] = "reports.ready"

    #: Public identifier, ``rpt_…``.
    report: str
    #: weekly, monthly, quarterly or custom.
    kind: str
    first: dt.date
    last: dt.date
    headline: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportEnded(Event):
    """A run of a report or of an export ended, well or not; for those who count runs."""

    topic: ClassVar[str] = "reports.ended"

    #: ``report`` or ``export``.
    kind: str
    #: ``success`` or ``failed``.
    status: str
    #: How long it took.
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFailed(Event):
    """The report of a period could not be made, or its schedule cannot be kept."""

    topic: ClassVar[str] = "reports.failed"

    #: Public identifier of the report, ``rpt_…``, or of its schedule, ``sch_…``.
    report: str
    #: weekly, monthly, quarterly or custom.
    kind: str
    first: dt.date
    last: dt.date
    #: Stable code of the error.
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportMade(Event):
    """Rows left the site as a file."""

    topic: ClassVar[str] = "exports.made"

    #: Public identifier, ``exp_…``.
    export: str
    #: What was exported, such as claims.
    source: str
    rows: int
    columns: tuple[str, ...]
    #: Who asked for it.
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertWanted(Event):
    """A rule of automation wants an alert about what triggered it."""

    topic: ClassVar[str] = "automation.alert_wanted"

    #: Public identifier of the rule, ``aur_…``, and its name.
    rule: str
    rule_name: str
    #: Public identifier of what the rule was triggered by.
    subject: str
    payer: str
    severity: str
    dollars_per_month: Cents


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomationRequested(Event):
    """A rule of automation asks another system to do something."""

    topic: ClassVar[str] = "automation.requested"

    rule: str
    #: What the rule's author called it.
    label: str
    #: Topic of the event that triggered the rule.
    trigger: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesRan(Event):
    """Rules of automation looked at something, or a person answered one; for those who count them."""

    topic: ClassVar[str] = "automation.rules_ran"

    #: Result, such as ``success`` or ``dry_run`` → how many lines of the log.
    endings: Mapping[str, int]
    #: How long each action took that was run.
    seconds: Sequence[float] = ()


class Listener(Protocol):
    """Someone to tell. Handlers must be quick; long work becomes a row or a task."""

    name: str
    #: Topics to be told of; empty means all.
    topics: frozenset[str]
    phase: Phase

    def handle(self, event: Event) -> Iterable[Event] | None:
        """Take the event. In phase ``transaction``, raising aborts the whole transaction.

        Returns:
            In phase ``transaction``, events that follow from it, which are staged next.
        """
        ...


class Bus:
    """Tells listeners what was staged, in two phases.

    >>> from claimkit.types import SystemClock
    >>> bus, now = Bus([]), SystemClock().now()
    >>> with bus.transaction():
    ...     bus.stage(
    ...         ClaimsImported(
    ...             tenant="northside", at=now, upload="upl_1", new=3, changed=0, same=0, rejected=0
    ...         )
    ...     )
    """

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self._by_phase: dict[Phase, list[Listener]] = defaultdict(list)
        for listener in listeners:
            self._by_phase[listener.phase].append(listener)
        self._staged: list[Event] | None = None

    def stage(self, event: Event) -> None:
        """Tell ``transaction`` listeners now and ``committed`` listeners after the commit.

        Raises:
            RuntimeError: outside :meth:`transaction`.
        """
        if self._staged is None:
            raise RuntimeError("stage() outside of Bus.transaction()")
        self._staged.append(event)
        for listener in self._listeners("transaction", event):
            for following in listener.handle(event) or ():
                self.stage(following)

    @contextmanager
    def transaction(self, atomic: AbstractContextManager[object] | None = None) -> Iterator[None]:
        """Run the block inside ``atomic``; tell ``committed`` listeners once it is committed.

        Nothing is told when the block or the commit raises. Transactions do not nest.
        """
        if self._staged is not None:
            raise RuntimeError("Bus.transaction() does not nest")
        self._staged = []
        try:
            if atomic is None:
                yield
            else:
                with atomic:
                    yield
            staged = self._staged
        finally:
            self._staged = None
        for event in staged:
            for listener in self._listeners("committed", event):
                self._tell(listener, event)

    def _listeners(self, phase: Phase, event: Event) -> Iterator[Listener]:
        return (one for one in self._by_phase[phase] if not one.topics or event.topic in one.topics)

    @staticmethod
    def _tell(listener: Listener, event: Event) -> None:
        try:
            listener.handle(event)
        except Exception:
            # Isolation point: what was committed stays, and the others must still hear of it.
            logger.exception(
                "listener failed", extra={"listener": listener.name, "topic": event.topic}
            )
