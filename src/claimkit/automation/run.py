"""What becomes of an event: which rules take it, and what each may do about it.

``decide`` asks the rules by priority; a rule that takes the event is told why it may not act by
itself: it is tried out, a person is asked, it acted often enough this hour, or it failed too often and rests.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from claimkit.automation.rules import Mode

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from claimkit.automation.facts import Fact
    from claimkit.automation.rules import AutomationRule

__all__ = ["Decision", "Record", "Verdict", "decide", "fail", "succeed"]


class Verdict(StrEnum):
    """What a rule that takes an event does."""

    ACT = "act"
    DRY_RUN = "dry_run"
    ASK = "ask"
    LIMITED = "limited"
    #: It failed too often and rests.
    CIRCUIT_OPEN = "circuit_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a rule did lately."""

    #: Actions within the last hour.
    acted: int = 0
    #: Failures since the last success.
    failures: int = 0
    #: Until when it rests.
    rests_until: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one rule does."""

    rule: AutomationRule
    verdict: Verdict


def decide(
    rules: Iterable[AutomationRule],
    *,
    topic: str,
    facts: Mapping[str, Fact],
    records: Mapping[str, Record],
    now: dt.datetime,
) -> tuple[Decision, ...]:
    """Return what each rule that takes an event does, the first by priority first.

    Args:
        rules: In any order; equal priorities stay in it.
        topic: Of the event.
        facts: What is known of it.
        records: Key of a rule → what it did lately.
        now: The present.
    """
    found = []
    for rule in sorted(rules, key=lambda one: one.priority):
        if rule.mode is Mode.OFF or rule.topic != topic or not rule.takes(facts):
            continue
        record = records.get(rule.key, Record())
        found.append(Decision(rule=rule, verdict=_verdict(rule, facts, record, now)))
        if not rule.goes_on:
            break
    return tuple(found)


def _verdict(
    rule: AutomationRule, facts: Mapping[str, Fact], record: Record, now: dt.datetime
) -> Verdict:
    if rule.mode is Mode.DRY_RUN:
        return Verdict.DRY_RUN
    if record.rests_until is not None and now < record.rests_until:
        return Verdict.CIRCUIT_OPEN
    if rule.max_per_hour and record.acted >= rule.max_per_hour:
        return Verdict.LIMITED
    if rule.mode is Mode.APPROVAL:
        return Verdict.ASK
    dollars = facts.get("dollars_per_month")
    if rule.ask_from_dollars is not None and (
        not isinstance(dollars, (int, float)) or dollars >= rule.ask_from_dollars
    ):
        # What nobody knows the price of may be dear.
        return Verdict.ASK
    return Verdict.ACT


def succeed(record: Record) -> Record:
    """Return the record after a success: failures are forgotten."""
    return Record(acted=record.acted + 1)


def fail(record: Record, *, now: dt.datetime, after_failures: int, rest: dt.timedelta) -> Record:
    """Return the record after a failure; so many in a row let the rule rest.

    After the rest one more failure is enough.
    """
    failures = record.failures + 1
    return Record(
        acted=record.acted + 1,
        failures=failures,
        rests_until=now + rest if failures >= after_failures else None,
    )
