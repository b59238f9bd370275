"""Rules: an event, conditions that all hold, and one action; everything is checked when it is saved.

The operators are a closed set. A fact that is missing fulfills no comparison, not even ``not_equals``:
only ``is_missing`` holds for it. So a rule never acts on what nobody knows.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from claimkit.automation.facts import FactType, fields_of
from claimkit.errors import RuleInvalid, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from claimkit.automation.facts import Fact
    from claimkit.types import Json

__all__ = [
    "AutomationRule",
    "Condition",
    "Mode",
    "Operand",
    "Operator",
    "find_circle",
    "telling_values",
]

#: Text, a number, texts for ``one_of`` and ``none_of``, None where nothing is compared.
Operand: TypeAlias = "str | float | tuple[str, ...] | None"


class Mode(StrEnum):
    """What happens when a rule takes an event."""

    OFF = "off"
    #: Only written down.
    DRY_RUN = "dry_run"
    #: A person is asked first.
    APPROVAL = "approval"
    AUTOMATIC = "automatic"


class Operator(StrEnum):
    """How a fact is compared."""

    EQUALS = "equals"
    NOT_EQUALS = "not_equals"
    ONE_OF = "one_of"
    NONE_OF = "none_of"
    CONTAINS = "contains"
    AT_LEAST = "at_least"
    ABOVE = "above"
    AT_MOST = "at_most"
    BELOW = "below"
    IS_KNOWN = "is_known"
    IS_MISSING = "is_missing"


_UNARY: Final = frozenset({Operator.IS_KNOWN, Operator.IS_MISSING})
_SETS: Final = frozenset({Operator.ONE_OF, Operator.NONE_OF})
_FOR: Final[Mapping[FactType, frozenset[Operator]]] = {
    FactType.TEXT: frozenset({Operator.EQUALS, Operator.NOT_EQUALS, Operator.CONTAINS})
    | _SETS
    | _UNARY,
    FactType.NUMBER: frozenset(
        {Operator.EQUALS, Operator.NOT_EQUALS, Operator.AT_LEAST, Operator.ABOVE}
    )
    | {Operator.AT_MOST, Operator.BELOW}
    | _UNARY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One comparison; text without regard to case."""

    fact: str
    operator: Operator
    operand: Operand = None

    def check(self, topic: str) -> None:
        """Check that events of a topic tell the fact, and that it can be compared so.

        Raises:
            RuleInvalid: they do not, or the operand is not of its type.
            UnknownName: there is no such trigger.
        """
        known = fields_of(topic)
        if self.fact not in known:
            raise RuleInvalid(
                f"{topic} tells no fact {self.fact!r}{did_you_mean(self.fact, known)}",
                code="fact_unknown",
            )
        kind = known[self.fact]
        if self.operator not in _FOR[kind]:
            raise RuleInvalid(
                f"{self.fact} is a {kind.value} and cannot be compared by {self.operator.value}",
                code="operator_unfit",
            )
        if not _fits(self.operand, self.operator, kind):
            raise RuleInvalid(
                f"{self.operator.value} of {self.fact} needs {_wanted(self.operator, kind)}",
                code="operand_invalid",
            )

    def holds(self, facts: Mapping[str, Fact]) -> bool:
        """Whether it holds; a missing fact fulfills ``is_missing`` only."""
        value = facts.get(self.fact)
        if self.operator in _UNARY:
            return (value is None) == (self.operator is Operator.IS_MISSING)
        if value is None:
            return False
        if isinstance(value, str):
            return _text_holds(value.casefold(), self.operator, self.operand)
        return _number_holds(value, self.operator, self.operand)


def _fits(operand: Operand, operator: Operator, kind: FactType) -> bool:
    if operator in _UNARY:
        return operand is None
    if operator in _SETS:
        return isinstance(operand, tuple) and bool(operand) and all(operand)
    if kind is FactType.TEXT:
        return isinstance(operand, str) and bool(operand)
    is_number = isinstance(operand, (int, float)) and not isinstance(operand, bool)
    return is_number and math.isfinite(operand)  # type: ignore[arg-type]


def _wanted(operator: Operator, kind: FactType) -> str:
    if operator in _UNARY:
        return "nothing to compare with"
    if operator in _SETS:
        return "a list of texts"
    return "a text" if kind is FactType.TEXT else "a finite number"


def _text_holds(value: str, operator: Operator, operand: Operand) -> bool:
    if isinstance(operand, tuple):
        is_in = value in {one.casefold() for one in operand}
        return is_in == (operator is Operator.ONE_OF)
    wanted = str(operand).casefold()
    if operator is Operator.CONTAINS:
        return wanted in value
    return (value == wanted) == (operator is Operator.EQUALS)


def _number_holds(value: float, operator: Operator, operand: Operand) -> bool:
    if not isinstance(operand, (int, float)):
        return False
    return {
        Operator.EQUALS: value == operand,
        Operator.NOT_EQUALS: value != operand,
        Operator.AT_LEAST: value >= operand,
        Operator.ABOVE: value > operand,
        Operator.AT_MOST: value <= operand,
        Operator.BELOW: value < operand,
    }.get(operator, False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomationRule:
    """What happens when; made by :meth:`check` before it is saved."""

    key: str
    name: str = ""
    #: Topic of the event.
    topic: str
    #: All must hold; none: every event of the topic.
    conditions: tuple[Condition, ...] = ()
    #: Name of a registered action.
    action: str
    settings: Mapping[str, Json] = field(default_factory=dict)
    mode: Mode = Mode.OFF
    #: Lower ones are asked first.
    priority: int = 100
    #: Whether rules after it are asked too.
    goes_on: bool = True
    #: Actions in an hour; 0 for no limit.
    max_per_hour: int = 20
    #: Dollars from which a person is asked though it is automatic: money at risk per 30 days, or the
    #: charge of a claim that was scored.
    ask_from_dollars: float | None = None
    #: Confidence, 0 to 1, below which a person is asked though it is automatic.
    ask_below_confidence: float | None = None

    def check(self) -> None:
        """Check the conditions, each and together.

        Raises:
            RuleInvalid: one cannot be used, or they never hold together.
            UnknownName: there is no such trigger.
        """
        fields_of(self.topic)
        for one in self.conditions:
            one.check(self.topic)
        for fact in {one.fact for one in self.conditions}:
            if _contradict([one for one in self.conditions if one.fact == fact]):
                raise RuleInvalid(
                    f"the conditions on {fact} never hold together", code="rule_contradictory"
                )

    def takes(self, facts: Mapping[str, Fact]) -> bool:
        """Whether all conditions hold."""
        return all(one.holds(facts) for one in self.conditions)


def _contradict(conditions: Sequence[Condition]) -> bool:
    """Whether no value of one fact fulfills all conditions."""
    name = conditions[0].fact
    return not any(
        all(one.holds({name: value}) for one in conditions) for value in telling_values(conditions)
    )


def telling_values(conditions: Sequence[Condition]) -> list[Fact]:
    """Return one value of each kind that comparisons of one fact tell apart, none among them."""
    numbers = sorted(
        {float(one.operand) for one in conditions if isinstance(one.operand, (int, float))}
    )
    if numbers:
        between = [(first + second) / 2 for first, second in itertools.pairwise(numbers)]
        return [None, numbers[0] - 1, *numbers, numbers[-1] + 1, *between]
    texts = [one.operand for one in conditions if isinstance(one.operand, str)]
    for one in conditions:
        if isinstance(one.operand, tuple):
            texts += one.operand
    # A text that is none of them, alone and with all that must be contained in it.
    parts = [str(one.operand) for one in conditions if one.operator is Operator.CONTAINS]
    return [None, *texts, "\x00", "\x00".join(["", *parts, ""])]


def find_circle(
    rules: Iterable[AutomationRule], emits: Mapping[str, Iterable[str]]
) -> tuple[str, ...]:
    """Return the topics of a circle in which rules would trigger each other for ever; none if there is none.

    Args:
        rules: Those that are not off count.
        emits: Action → topics of events that it causes.

    >>> one = AutomationRule(key="a", topic="alerts.opened", action="open_alert", mode=Mode.AUTOMATIC)
    >>> find_circle([one], {"open_alert": ["alerts.opened"]})
    ('alerts.opened', 'alerts.opened')
    """
    follows: dict[str, set[str]] = {}
    for rule in rules:
        if rule.mode is not Mode.OFF:
            follows.setdefault(rule.topic, set()).update(emits.get(rule.action, ()))

    def walk(path: tuple[str, ...]) -> tuple[str, ...]:
        for following in sorted(follows.get(path[-1], ())):
            if following in path:
                return (*path[path.index(following) :], following)
            if found := walk((*path, following)):
                return found
        return ()

    return next((found for topic in sorted(follows) if (found := walk((topic,)))), ())
