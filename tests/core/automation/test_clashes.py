"""Rules that meet, and what they are to each other."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from claimkit.automation.clashes import ClashKind, find_clashes
from claimkit.automation.rules import AutomationRule, Condition, Mode, Operator

NUMBERS = ("dollars_per_month", "age_days")
TEXTS = ("payer", "severity")


def rule(key, *conditions, **values):
    made = [
        Condition(fact=fact, operator=Operator(operator), operand=operand)
        for fact, operator, operand in conditions
    ]
    given = {"topic": "drift.detected", "action": "create_task", "mode": Mode.AUTOMATIC, **values}
    return AutomationRule(key=key, conditions=tuple(made), **given)


DEAR = ("dollars_per_month", "at_least", 1_000)
CHEAP = ("dollars_per_month", "below", 1_000)
MINE = rule("mine", DEAR)


@pytest.mark.parametrize(
    ("other", "kind"),
    [
        (rule("other", ("dollars_per_month", "above", 5_000)), ClashKind.TWICE),
        (rule("other", CHEAP), None),
        (rule("other", DEAR, ("payer", "equals", "AETNA")), ClashKind.TWICE),
        (rule("other", mode=Mode.OFF), None),
        (rule("other", topic="drift.resolved"), None),
        (rule("mine", priority=1), None),
        (rule("other", action="hold_for_review"), ClashKind.IS_HELD),
        (rule("other", CHEAP, action="hold_for_review"), None),
        (rule("other", action="open_alert"), None),
        (rule("other", priority=1, goes_on=False, action="open_alert"), ClashKind.NEVER_ASKED),
        (rule("other", DEAR, priority=1, goes_on=False), ClashKind.NEVER_ASKED),
        (
            rule("other", DEAR, ("payer", "is_known", None), priority=1, goes_on=False),
            ClashKind.TWICE,
        ),
        (rule("other", priority=200, goes_on=False, action="open_alert"), None),
    ],
)
def test_what_another_rule_is_to_this_one(other, kind):
    assert [one.kind for one in find_clashes(MINE, [other])] == ([kind] if kind else [])


def test_a_rule_that_holds_knows_what_it_holds():
    mine = rule("mine", action="hold_for_review")
    found = find_clashes(mine, [rule("a", action="open_alert"), rule("b", action="create_task")])

    assert [(one.kind, one.rule.key) for one in found] == [
        (ClashKind.HOLDS, "a"),
        (ClashKind.HOLDS, "b"),
    ]


numbers = st.tuples(
    st.sampled_from(NUMBERS),
    st.sampled_from(["equals", "not_equals", "at_least", "above", "at_most", "below"]),
    st.integers(0, 3),
)
words = st.sampled_from(["a", "b", "ab", "ba"])
texts = st.one_of(
    st.tuples(st.sampled_from(TEXTS), st.sampled_from(["equals", "not_equals", "contains"]), words),
    st.tuples(
        st.sampled_from(TEXTS),
        st.sampled_from(["one_of", "none_of"]),
        st.lists(words, min_size=1, max_size=2).map(tuple),
    ),
    st.tuples(
        st.sampled_from([*TEXTS, *NUMBERS]),
        st.sampled_from(["is_known", "is_missing"]),
        st.none(),
    ),
)
conditions = st.lists(numbers | texts, max_size=4)
facts = st.fixed_dictionaries(
    {
        **dict.fromkeys(NUMBERS, st.none() | st.sampled_from([-1, 0, 0.5, 1, 1.5, 2, 2.5, 3, 4])),
        **dict.fromkeys(TEXTS, st.none() | st.text("abc", max_size=4)),
    }
)


@given(conditions, conditions, facts)
def test_whatever_both_take_is_told_and_no_less(mine, others, event):
    """An event that both take is a clash; one that only this one takes is not kept from it."""
    this, other = rule("mine", *mine), rule("other", *others, priority=1, goes_on=False)
    assume(this.takes(event))

    kinds = {one.kind for one in find_clashes(this, [other])}
    if other.takes(event):
        assert kinds
    else:
        assert ClashKind.NEVER_ASKED not in kinds
