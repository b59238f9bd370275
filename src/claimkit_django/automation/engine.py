"""Rules at work: an event comes, rules decide, actions say what they want, and everything is written down.

All of it happens in the transaction of whoever staged the event, under the tenant's turn: what a rule did is undone
with what triggered it. A unique line of the log per rule and event keeps a repeated event from
acting twice. An action that fails is undone alone; the others and the event itself go on.
"""

from __future__ import annotations

import contextvars
import datetime as dt
import logging
import queue
import threading
import time
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import connections, transaction
from django.db.models import Count
from django.utils import timezone

from claimkit.automation.actions import ActionCall, ActionResult, WorkKind
from claimkit.automation.facts import TRIGGERS, event_key, facts_of
from claimkit.automation.rules import AutomationRule, Condition, Mode, Operator
from claimkit.automation.run import Record, Verdict, decide, fail, succeed
from claimkit.errors import ApprovalConflict
from claimkit.events import RulesRan
from claimkit.tenants import current_tenant, use_tenant
from claimkit_django.automation.models import Approval, Execution, Rule, Work
from claimkit_django.conf import config
from claimkit_django.runtime import make_bus, open_store, plugins
from claimkit_django.tenants.scope import enter
from claimkit_django.tenants.turns import take_turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from claimkit.automation.actions import RuleAction
    from claimkit.automation.run import Decision
    from claimkit.events import Event, Phase
    from claimkit.types import TenantKey

__all__ = ["RuleListener", "approve", "finish", "reject", "rule_of"]

logger = logging.getLogger(__name__)

_HOUR = dt.timedelta(hours=1)
_ACTED = (Execution.Result.SUCCESS, Execution.Result.FAILED, Execution.Result.WAITING)
#: Verdict that does nothing → how the log calls it.
_NOTHING = {
    Verdict.DRY_RUN: Execution.Result.DRY_RUN,
    Verdict.LIMITED: Execution.Result.LIMITED,
    Verdict.CIRCUIT_OPEN: Execution.Result.CIRCUIT_OPEN,
}


def rule_of(row: Rule) -> AutomationRule:
    """Return a rule as the core knows it."""
    return AutomationRule(
        key=row.uid,
        name=row.name,
        topic=row.topic,
        conditions=tuple(
            Condition(
                fact=one["fact"],
                operator=Operator(one["operator"]),
                operand=tuple(one["operand"])
                if isinstance(one.get("operand"), list)
                else one.get("operand"),
            )
            for one in row.conditions
        ),
        action=row.action,
        settings=row.settings,
        mode=Mode(row.mode),
        priority=row.priority,
        goes_on=row.goes_on,
        max_per_hour=row.max_per_hour,
        ask_from_dollars=float(row.ask_from_dollars) if row.ask_from_dollars is not None else None,
        ask_below_confidence=row.ask_below_confidence,
    )


class RuleListener:
    """Lets a tenant's rules act on events."""

    name = "automation"
    topics: ClassVar[frozenset[str]] = frozenset(TRIGGERS)
    phase: Phase = "transaction"

    def __init__(self, using: str) -> None:
        self._using = using
        #: Tenants and topics without rules; a listener lives as long as one piece of work.
        self._quiet: set[tuple[TenantKey, str]] = set()

    def handle(self, event: Event) -> Iterable[Event] | None:
        """Act, or write down why not; return the events that follow.

        Where there are no rules: one query for all events of a topic that one piece of work tells.
        """
        using, now = self._using, timezone.now()
        if (event.tenant, event.topic) in self._quiet:
            return None
        with use_tenant(event.tenant):
            wanted = Rule.objects.using(using).filter(topic=event.topic)
            if not wanted.exclude(mode=Mode.OFF.value).exists():
                self._quiet.add((event.tenant, event.topic))
                return None
        with transaction.atomic(using=using):
            tenant = take_turn(event.tenant, using)
            with enter(tenant):
                live = Rule.objects.using(using).filter(topic=event.topic)
                rows = {one.uid: one for one in live.exclude(mode=Mode.OFF.value)}
                if not rows:
                    return None
                return _apply(event, rows, now, using)


def _apply(event: Event, rows: Mapping[str, Rule], now: dt.datetime, using: str) -> list[Event]:
    facts, key = facts_of(event), event_key(event)
    log = Execution.objects.using(using)
    known = set(log.filter(rule__in=list(rows), event_key=key).values_list("rule", flat=True))
    records = _records(rows, now, using)
    subject = str(getattr(event, TRIGGERS[event.topic].subject))[:64]
    decisions = decide(
        [rule_of(one) for one in rows.values()],
        topic=event.topic,
        facts=facts,
        records=records,
        now=now,
        held=_is_held(subject, using),
    )
    following: list[Event] = []
    lines: list[Execution] = []
    for one in decisions:
        if one.rule.key in known:
            continue
        line = Execution(
            rule=one.rule.key,
            rule_name=one.rule.name,
            action=one.rule.action,
            topic=event.topic,
            event_key=key,
            subject=subject,
            facts=facts,
            at=now,
        )
        lines.append(line)
        following += _act(one, line, rows[one.rule.key], records[one.rule.key], using)
    log.bulk_create(lines)
    return [*following, *_told(event.tenant, lines, now)]


def _told(tenant: TenantKey, lines: Sequence[Execution], now: dt.datetime) -> list[Event]:
    """Return what those are told who count executions."""
    if not lines:
        return []
    return [
        RulesRan(
            tenant=tenant,
            at=now,
            endings=Counter(str(one.result) for one in lines),
            seconds=[one.duration_ms / 1_000 for one in lines if one.duration_ms is not None],
        )
    ]


def _records(rows: Mapping[str, Rule], now: dt.datetime, using: str) -> dict[str, Record]:
    counted = (
        Execution.objects.using(using)
        .filter(rule__in=list(rows), at__gt=now - _HOUR, step=0, result__in=_ACTED)
        .order_by()
        .values("rule")
        .annotate(acted=Count("pk"))
    )
    acted = {one["rule"]: one["acted"] for one in counted}
    return {
        uid: Record(acted=acted.get(uid, 0), failures=row.failures, rests_until=row.rests_until)
        for uid, row in rows.items()
    }


def _act(
    decision: Decision, line: Execution, row: Rule, record: Record, using: str
) -> Sequence[Event]:
    """Do what was decided, and say in the line how it ended."""
    verdict = decision.verdict
    if verdict in {Verdict.ACT, Verdict.ASK, Verdict.HELD} and not config().automation.may_act:
        verdict = Verdict.DRY_RUN
    if verdict in _NOTHING:
        line.result = _NOTHING[verdict].value
        return ()
    if verdict in {Verdict.ASK, Verdict.HELD}:
        line.result = Execution.Result.WAITING.value
        line.reason = "held" if verdict is Verdict.HELD else ""
        Approval.objects.using(using).create(
            rule=line.rule,
            rule_name=line.rule_name,
            action=line.action,
            settings=row.settings,
            topic=line.topic,
            event_key=line.event_key,
            subject=line.subject,
            facts=line.facts,
            held=verdict is Verdict.HELD,
            asked_at=line.at,
        )
        return ()
    events = _run(line, row.settings, using)
    room = config().automation
    if line.result == Execution.Result.SUCCESS:
        after = succeed(record)
    else:
        after = fail(
            record,
            now=line.at,
            after_failures=room.circuit_failures,
            rest=dt.timedelta(minutes=room.circuit_minutes),
        )
    if (row.failures, row.rests_until) != (after.failures, after.rests_until):
        row.failures, row.rests_until = after.failures, after.rests_until
        row.save(using=using, update_fields=["failures", "rests_until"])
    return events


def _run(line: Execution, settings: Mapping[str, Any], using: str) -> Sequence[Event]:
    """Run the action of a line, and say in it how that ended."""
    began = time.monotonic()
    action = plugins().actions.get(line.action)
    if action is None:
        line.result, line.reason = Execution.Result.FAILED.value, "action_unknown"
        return ()
    call = ActionCall(
        tenant=current_tenant(),
        at=line.at,
        rule=line.rule,
        rule_name=line.rule_name,
        topic=line.topic,
        subject=line.subject,
        facts=line.facts,
        settings=settings,
    )
    try:
        with transaction.atomic(using=using):
            wanted = _in_time(action, call)
            Work.objects.using(using).bulk_create(
                [
                    Work(
                        kind=one.kind.value,
                        text=one.text,
                        topic=line.topic,
                        subject=line.subject,
                        rule=line.rule,
                        rule_name=line.rule_name,
                        due_on=None
                        if one.due_days is None
                        else line.at.date() + dt.timedelta(days=one.due_days),
                        created_at=line.at,
                    )
                    for one in wanted.work
                ]
            )
            events = tuple(wanted.events)
        line.result = Execution.Result.SUCCESS.value
    except Exception as error:
        # Isolation point: an action of a plugin must not undo what triggered it.
        logger.exception("an action failed", extra={"action": line.action, "rule": line.rule})
        line.result = Execution.Result.FAILED.value
        line.reason, events = type(error).__name__[:64], ()
    line.duration_ms = round((time.monotonic() - began) * 1_000)
    return events


class ActionImpure(Exception):
    """An action asked a database: what it did there would not be undone with the event."""


def _refuse(*_args: Any) -> Any:
    raise ActionImpure("actions say what they want, and ask no database")


def _in_time(action: RuleAction, call: ActionCall) -> ActionResult:
    """Return what an action wants, unless it takes too long.

    Actions are pure, so one that hangs can be left behind in its thread; nothing waits for it.

    Raises:
        TimeoutError: it has not answered in time.
        Exception: whatever the action raised.
    """
    answers: queue.SimpleQueue[tuple[ActionResult | None, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            with ExitStack() as nothing_asked:
                for one in connections.all():
                    nothing_asked.enter_context(one.execute_wrapper(_refuse))
                answers.put((action.run(call), None))
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            answers.put((None, error))
        finally:
            # One that is refused may have been opened by whoever asked.
            connections.close_all()

    threading.Thread(
        target=contextvars.copy_context().run, args=(run,), name="claimkit-action", daemon=True
    ).start()
    try:
        result, error = answers.get(timeout=config().automation.action_seconds)
    except queue.Empty:
        raise TimeoutError(f"{action.name} has not answered in time") from None
    if error is not None:
        raise error
    return result or ActionResult()


def _is_held(subject: str, using: str) -> bool:
    """Whether somebody shall look at something first; one query."""
    if not subject:
        return False
    holds = Work.objects.using(using).filter(kind=WorkKind.HOLD.value, done_at=None)
    return bool(holds.filter(subject=subject).exists())


# -- people -----------------------------------------------------------------------------------


def approve(uid: str, *, actor: str, note: str = "", using: str) -> Approval:
    """Do what waits, in the scope of its tenant.

    Raises:
        ApprovalConflict: somebody decided already.
        Approval.DoesNotExist: the tenant has none of this name.
    """
    bus = make_bus(open_store(using))
    with bus.transaction(transaction.atomic(using=using)):
        row = _decide(uid, Approval.State.APPROVED, actor, note, using)
        line = _answer(row)
        for event in _run(line, row.settings, using):
            bus.stage(event)
        line.save(using=using)
        for event in _told(current_tenant(), [line], line.at):
            bus.stage(event)
    return row


def reject(uid: str, *, actor: str, note: str = "", using: str) -> Approval:
    """Say that what waits shall not be done, in the scope of its tenant.

    Raises:
        ApprovalConflict: somebody decided already.
        Approval.DoesNotExist: the tenant has none of this name.
    """
    bus = make_bus(open_store(using))
    with bus.transaction(transaction.atomic(using=using)):
        row = _decide(uid, Approval.State.REJECTED, actor, note, using)
        line = _answer(row)
        line.result = Execution.Result.REJECTED.value
        line.save(using=using)
        for event in _told(current_tenant(), [line], line.at):
            bus.stage(event)
    return row


def finish(uid: str, *, actor: str, using: str) -> Work:
    """End a task, take off a tag, or let go what is held, in the scope of its tenant; again changes nothing.

    Letting go the last hold on something does what waited for it, in the order in which it was wanted.

    Raises:
        Work.DoesNotExist: the tenant has none of this name.
    """
    with transaction.atomic(using=using):
        take_turn(current_tenant(), using)
        row: Work = Work.objects.using(using).get(uid=uid)
        if row.done_at is not None:
            return row
        row.done_at, row.actor = timezone.now(), actor
        row.save(using=using, update_fields=["done_at", "actor"])
        if row.kind != WorkKind.HOLD or _is_held(row.subject, using):
            return row
        waiting = Approval.objects.using(using).filter(
            subject=row.subject, held=True, state=Approval.State.WAITING
        )
        for one in list(waiting.order_by("id").values_list("uid", flat=True)):
            approve(one, actor=actor, note="no longer held", using=using)
    return row


def _decide(uid: str, state: Approval.State, actor: str, note: str, using: str) -> Approval:
    take_turn(current_tenant(), using)
    row: Approval = Approval.objects.using(using).get(uid=uid)
    if row.state != Approval.State.WAITING:
        raise ApprovalConflict("somebody decided already")
    row.state, row.actor, row.note = state.value, actor, note
    row.decided_at = timezone.now()
    row.save(using=using, update_fields=["state", "actor", "note", "decided_at"])
    return row


def _answer(row: Approval) -> Execution:
    return Execution(
        rule=row.rule,
        rule_name=row.rule_name,
        action=row.action,
        topic=row.topic,
        event_key=row.event_key,
        step=1,
        subject=row.subject,
        facts=row.facts,
        actor=row.actor,
        at=row.decided_at or timezone.now(),
    )
