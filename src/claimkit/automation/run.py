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

__all__ = ["HOLDS", "Decision", "Record", "Verdict", "decide", "fail", "succeed"]

#: Actions that hold what an event is about; they never wait themselves.
HOLDS = frozenset({"hold_for_review"})


class Verdict(StrEnum):
    """What a rule that takes an event does."""

    ACT = "act"
    DRY_RUN = "dry_run"
    ASK = "ask"
    #: What it is about is held for review: it waits until somebody lets it go.
    HELD = "held"
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
    held: bool = False,
) -> tuple[Decision, ...]:
    """Return what each rule that takes an event does, the first by priority first.

    Args:
        rules: In any order; equal priorities stay in it.
        topic: Of the event.
        facts: What is known of it.
        records: Key of a rule → what it did lately.
        now: The present.
        held: Whether what the event is about is held for review. A rule that holds it lets those
            after it wait as well.
    """
    found = []
    for rule in sorted(rules, key=lambda one: one.priority):
        if rule.mode is Mode.OFF or rule.topic != topic or not rule.takes(facts):
            continue
        record = records.get(rule.key, Record())
        verdict = _verdict(rule, facts, record, now)
        if verdict is Verdict.ACT and rule.action in HOLDS:
            held = True
        elif verdict is Verdict.ACT and held:
            verdict = Verdict.HELD
        found.append(Decision(rule=rule, verdict=verdict))
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
    dollars = _number(facts, "dollars_per_month", "dollars")
    if rule.ask_from_dollars is not None and (dollars is None or dollars >= rule.ask_from_dollars):
        # What nobody knows the price of may be dear.
        return Verdict.ASK
    sure = _number(facts, "confidence")
    if rule.ask_below_confidence is not None and (sure is None or sure < rule.ask_below_confidence):
        return Verdict.ASK
    return Verdict.ACT


def _number(facts: Mapping[str, Fact], *names: str) -> float | None:
    """Return the first of the facts that is a known number."""
    found = (facts.get(name) for name in names)
    return next((one for one in found if isinstance(one, (int, float))), None)


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
