"""Rules that get in each other's way: what whoever saves one should know of the others.

Two rules meet where one event can fulfill the conditions of both. Nothing of this is an error: doing the
same twice, holding what another acts on, and never being asked can each be meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from claimkit.automation.rules import Mode, telling_values
from claimkit.automation.run import HOLDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from claimkit.automation.rules import AutomationRule, Condition

__all__ = ["Clash", "ClashKind", "find_clashes"]


class ClashKind(StrEnum):
    """How two rules get in each other's way."""

    #: Both do the same to the same event.
    TWICE = "twice"
    #: The other holds what this one acts on.
    IS_HELD = "is_held"
    #: This one holds what the other acts on.
    HOLDS = "holds"
    #: The other comes first, takes every event of this one, and lets none go on.
    NEVER_ASKED = "never_asked"


@dataclass(frozen=True, slots=True)
class Clash:
    """What one rule is to another."""

    kind: ClashKind
    rule: AutomationRule


def find_clashes(rule: AutomationRule, others: Iterable[AutomationRule]) -> tuple[Clash, ...]:
    """Return which others get in the way of a rule, or it in theirs, at most one of a kind for each.

    Args:
        rule: Whether it is off does not matter.
        others: Those that are off, and the rule itself, are left out.
    """
    found = []
    for other in others:
        if other.mode is Mode.OFF or other.key == rule.key or other.topic != rule.topic:
            continue
        if not _can_hold([*rule.conditions, *other.conditions]):
            continue
        is_first = other.priority < rule.priority and not other.goes_on
        if is_first and not _can_miss(rule.conditions, other.conditions):
            found.append(Clash(ClashKind.NEVER_ASKED, other))
            continue
        if other.action == rule.action:
            found.append(Clash(ClashKind.TWICE, other))
        elif other.action in HOLDS:
            found.append(Clash(ClashKind.IS_HELD, other))
        elif rule.action in HOLDS:
            found.append(Clash(ClashKind.HOLDS, other))
    return tuple(found)


def _can_hold(conditions: Sequence[Condition]) -> bool:
    """Whether one event can fulfill all; facts do not depend on each other."""
    return all(
        _has_value([one for one in conditions if one.fact == fact], ())
        for fact in {one.fact for one in conditions}
    )


def _can_miss(taken: Sequence[Condition], asked: Sequence[Condition]) -> bool:
    """Whether an event can fulfill all of ``taken`` and not all of ``asked``."""
    return any(
        _has_value([one for one in taken if one.fact == failing.fact], (failing,))
        for failing in asked
    )


def _has_value(holding: Sequence[Condition], failing: Sequence[Condition]) -> bool:
    """Whether one value of a fact fulfills these and none of those."""
    fact = (*holding, *failing)[0].fact
    return any(
        all(one.holds({fact: value}) for one in holding)
        and not any(one.holds({fact: value}) for one in failing)
        for value in (*telling_values([*holding, *failing]), *telling_values(holding))
    )
