"""What a rule can do: actions that say what they want, and leave the doing to the host.

An action returns events to be told and work for people; it writes nothing, sends nothing and knows no
database. So it behaves the same in a preview, after an approval and by itself, and what it wants is undone with the
transaction that asked for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from claimkit.errors import ConfigError, did_you_mean
from claimkit.events import (
    AlertOpened,
    AlertWanted,
    AuthorizationExhausting,
    AuthorizationExpiring,
    AutomationRequested,
    DriftDetected,
    DriftWorsened,
)
from claimkit.types import Severity

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Mapping

    from claimkit.automation.facts import Fact
    from claimkit.events import Event
    from claimkit.types import Json, TenantKey

__all__ = [
    "ActionCall",
    "ActionResult",
    "AppealPacket",
    "CallWebhook",
    "LeaveWork",
    "OpenAlert",
    "RequestReauthorization",
    "RuleAction",
    "Work",
    "WorkKind",
    "builtin_actions",
]

_LONGEST = 200
#: Days until a task is due, at most.
_LONGEST_DAYS = 365


class WorkKind(StrEnum):
    """What is left for people."""

    TASK = "task"
    TAG = "tag"
    #: What it is about waits until somebody looked at it.
    HOLD = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Something for people: a task, a tag on what the event is about, or a hold."""

    kind: WorkKind
    #: What to do, the tag, or why it is held; at most 200 characters.
    text: str
    #: Days until it is due; None for never.
    due_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionCall:
    """What an action is told."""

    tenant: TenantKey
    at: dt.datetime
    #: Public identifier of the rule, and its name.
    rule: str
    rule_name: str
    topic: str
    #: Public identifier of what the event is about.
    subject: str
    facts: Mapping[str, Fact]
    #: As :meth:`RuleAction.check` returned them.
    settings: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionResult:
    """What an action wants."""

    events: tuple[Event, ...] = ()
    work: tuple[Work, ...] = ()


class RuleAction(Protocol):
    """One kind of action. It must be quick and pure; what takes long is a listener of its event."""

    name: str
    #: Topics of events that follow from it, so that no rule triggers itself.
    emits: frozenset[str]

    def check(self, settings: Mapping[str, Json]) -> Mapping[str, Json]:
        """Return settings with defaults filled in.

        Raises:
            ConfigError: they cannot be used.
        """
        ...

    def run(self, call: ActionCall) -> ActionResult:
        """Return what is wanted. Raising is a failure of this execution only."""
        ...


def builtin_actions() -> tuple[RuleAction, ...]:
    """Return the actions of claimkit itself."""
    return (
        OpenAlert(),
        LeaveWork("create_task", WorkKind.TASK),
        LeaveWork("tag_finding", WorkKind.TAG),
        LeaveWork("hold_for_review", WorkKind.HOLD),
        CallWebhook(),
        RequestReauthorization(),
        AppealPacket(),
    )


class OpenAlert:
    """Opens an alert with a severity of the rule's own."""

    name = "open_alert"
    emits = frozenset({AlertOpened.topic})

    def check(self, settings: Mapping[str, Json]) -> Mapping[str, Json]:
        """Take ``severity``, medium by default."""
        _known(settings, {"severity"})
        severity = settings.get("severity", Severity.MEDIUM.value)
        if severity not in [one.value for one in Severity]:
            raise ConfigError("severity is low, medium, high or critical")
        return {"severity": severity}

    def run(self, call: ActionCall) -> ActionResult:
        """Want one alert per rule and subject."""
        return ActionResult(
            events=(
                AlertWanted(
                    tenant=call.tenant,
                    at=call.at,
                    rule=call.rule,
                    rule_name=call.rule_name,
                    subject=call.subject,
                    payer=str(call.facts.get("payer") or ""),
                    severity=str(call.settings["severity"]),
                    dollars_per_month=round(float(call.facts.get("dollars_per_month") or 0) * 100),
                ),
            )
        )


class LeaveWork:
    """Leaves a task, a tag or a hold for people."""

    emits: frozenset[str] = frozenset()

    def __init__(self, name: str, kind: WorkKind) -> None:
        self.name = name
        self._kind = kind

    def check(self, settings: Mapping[str, Json]) -> Mapping[str, Json]:
        """Take ``text``, and for tasks and holds ``due_days``."""
        _known(settings, {"text"} if self._kind is WorkKind.TAG else {"text", "due_days"})
        text, days = settings.get("text"), settings.get("due_days")
        if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST:
            raise ConfigError(f"text has from 1 to {_LONGEST} characters")
        if days is not None and (isinstance(days, bool) or not isinstance(days, int)):
            raise ConfigError("due_days is a whole number")
        if isinstance(days, int) and not 0 <= days <= _LONGEST_DAYS:
            raise ConfigError("due_days is from 0 to 365")
        plain: dict[str, Json] = {"text": text.strip()}
        return plain if self._kind is WorkKind.TAG else {**plain, "due_days": days}

    def run(self, call: ActionCall) -> ActionResult:
        """Want the work."""
        days = call.settings.get("due_days")
        return ActionResult(
            work=(
                Work(
                    kind=self._kind,
                    text=str(call.settings["text"]),
                    due_days=days if isinstance(days, int) else None,
                ),
            )
        )


class CallWebhook:
    """Tells receivers of webhooks, who subscribe to ``automation.requested``."""

    name = "call_webhook"
    emits = frozenset({AutomationRequested.topic})

    def check(self, settings: Mapping[str, Json]) -> Mapping[str, Json]:
        """Take ``label``, by which a receiver knows what to do."""
        _known(settings, {"label"})
        label = settings.get("label")
        if not isinstance(label, str) or not label.strip() or len(label) > _LONGEST:
            raise ConfigError(f"label has from 1 to {_LONGEST} characters")
        return {"label": label.strip()}

    def run(self, call: ActionCall) -> ActionResult:
        """Want one event."""
        return ActionResult(
            events=(
                AutomationRequested(
                    tenant=call.tenant,
                    at=call.at,
                    rule=call.rule,
                    label=str(call.settings["label"]),
                    trigger=call.topic,
                    subject=call.subject,
                ),
            )
        )


class RequestReauthorization:
    """Asks people to ask a payer again before an authorization ends, and tells receivers of webhooks."""

    name = "request_reauthorization"
    emits = frozenset({AutomationRequested.topic})
    #: Topics that it goes with.
    topics = frozenset({AuthorizationExpiring.topic, AuthorizationExhausting.topic})

    def check(self, settings: Mapping[str, Json]) -> Mapping[str, Json]:
        """Take ``due_days`` before the end by which the payer must be asked, 7 by default."""
        _known(settings, {"due_days"})
        days = settings.get("due_days", 7)
        if isinstance(days, bool) or not isinstance(days, int) or not 0 <= days <= 180:
            raise ConfigError("due_days is a whole number from 0 to 180")
        return {"due_days": days}

    def run(self, call: ActionCall) -> ActionResult:
        """Want a task that is due so many days before the end, today at the latest, and one event."""
        left = int(float(call.facts.get("days_left") or 0))
        before = call.settings.get("due_days")
        payer, procedure = (str(call.facts.get(name) or "?") for name in ("payer", "procedure"))
        text = f"Ask {payer} again to authorize {procedure}"
        return ActionResult(
            events=(
                AutomationRequested(
                    tenant=call.tenant,
                    at=call.at,
                    rule=call.rule,
                    label=self.name,
                    trigger=call.topic,
                    subject=call.subject,
                ),
            ),
            work=(
                Work(
                    kind=WorkKind.TASK,
                    text=text[:_LONGEST],
                    due_days=min(
                        _LONGEST_DAYS, max(0, left - (before if isinstance(before, int) else 0))
                    ),
                ),
            ),
        )


class AppealPacket:
    """Leaves a task to appeal the denials of a drift; its packet is made when somebody asks for it.

    The packet names claims, so it is neither kept nor sent: it is made anew, for whoever may see them.
    """

    name = "appeal_packet"
    emits: frozenset[str] = frozenset()
    #: Topics that it goes with.
    topics = frozenset({DriftDetected.topic, DriftWorsened.topic})

    def check(self, settings: Mapping[str, Json]) -> Mapping[str, Json]:
        """Take ``grounds``, what the letter says why, and ``due_days``, 30 by default."""
        _known(settings, {"grounds", "due_days"})
        grounds, days = settings.get("grounds", ""), settings.get("due_days", 30)
        if not isinstance(grounds, str) or len(grounds) > 2_000:
            raise ConfigError("grounds has at most 2,000 characters")
        if isinstance(days, bool) or not isinstance(days, int) or not 0 <= days <= _LONGEST_DAYS:
            raise ConfigError("due_days is from 0 to 365")
        return {"grounds": grounds.strip(), "due_days": days}

    def run(self, call: ActionCall) -> ActionResult:
        """Want the task."""
        text = f"Appeal denials of {call.facts.get('payer') or 'the payer'}"
        days = call.settings.get("due_days")
        return ActionResult(
            work=(
                Work(
                    kind=WorkKind.TASK,
                    text=text[:_LONGEST],
                    due_days=days if isinstance(days, int) else None,
                ),
            )
        )


def _known(settings: Mapping[str, Json], names: Collection[str]) -> None:
    for name in settings:
        if name not in names:
            raise ConfigError(f"unknown setting {name!r}{did_you_mean(name, names)}")
