from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.automation.facts import FactType, fields_of
from claimkit.automation.rules import AutomationRule, Condition, Mode, Operator, find_circle
from claimkit.errors import RuleInvalid, UnknownName

TOPIC = "drift.detected"


def rule(*conditions, **values):
    made = [
        Condition(fact=fact, operator=Operator(operator), operand=operand)
        for fact, operator, operand in conditions
    ]
    return AutomationRule(
        **{"key": "aur_1", "topic": TOPIC, "action": "create_task", **values},
        conditions=tuple(made),
    )


@pytest.mark.parametrize(
    ("operator", "operand", "value", "holds"),
    [
        ("equals", "aetna", "Aetna", True),
        ("equals", "aetna", "Cigna", False),
        ("not_equals", "aetna", "Cigna", True),
        ("one_of", ("Cigna", "AETNA"), "Aetna", True),
        ("none_of", ("Cigna", "AETNA"), "Aetna", False),
        ("contains", "etn", "AETNA", True),
        ("is_known", None, "Aetna", True),
        ("is_missing", None, "Aetna", False),
        ("equals", 3, 3.0, True),
        ("not_equals", 3, 3.0, False),
        ("at_least", 3, 3.0, True),
        ("above", 3, 3.0, False),
        ("at_most", 3, 3.0, True),
        ("below", 3, 2.9, True),
    ],
)
def test_operators(operator, operand, value, holds):
    name = "payer" if isinstance(value, str) else "dollars_per_month"

    assert rule((name, operator, operand)).takes({name: value}) is holds


@pytest.mark.parametrize("operator", Operator)
def test_what_is_missing_fulfills_nothing_but_is_missing(operator):
    operand = ("a",) if operator in {Operator.ONE_OF, Operator.NONE_OF} else "a"
    asked = Condition(fact="payer", operator=operator, operand=operand)

    assert asked.holds({"payer": None}) is (operator is Operator.IS_MISSING)
    assert asked.holds({}) is (operator is Operator.IS_MISSING)


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        (("payor", "equals", "Aetna"), "fact_unknown"),
        (("payer", "at_least", 3), "operator_unfit"),
        (("dollars_per_month", "contains", "3"), "operator_unfit"),
        (("payer", "equals", 3), "operand_invalid"),
        (("payer", "equals", ""), "operand_invalid"),
        (("payer", "one_of", "Aetna"), "operand_invalid"),
        (("payer", "one_of", ()), "operand_invalid"),
        (("dollars_per_month", "above", "3"), "operand_invalid"),
        (("dollars_per_month", "above", True), "operand_invalid"),
        (("dollars_per_month", "above", float("nan")), "operand_invalid"),
        (("payer", "is_known", "x"), "operand_invalid"),
    ],
)
def test_what_cannot_be_compared_is_refused(condition, code):
    with pytest.raises(RuleInvalid) as told:
        rule(condition).check()

    assert told.value.code == code


def test_a_typing_error_names_what_was_meant():
    with pytest.raises(RuleInvalid, match="did you mean 'payer'"):
        rule(("payor", "equals", "Aetna")).check()
    with pytest.raises(UnknownName, match=r"drift\.detected"):
        rule(topic="drift.detect").check()


@pytest.mark.parametrize(
    "conditions",
    [
        (("payer", "equals", "Aetna"), ("payer", "equals", "Cigna")),
        (("payer", "equals", "Aetna"), ("payer", "none_of", ("AETNA",))),
        (("payer", "is_missing", None), ("payer", "contains", "a")),
        (("dollars_per_month", "above", 5), ("dollars_per_month", "below", 5)),
        (("dollars_per_month", "at_least", 5), ("dollars_per_month", "below", 5)),
    ],
)
def test_a_rule_that_never_holds_is_refused(conditions):
    with pytest.raises(RuleInvalid) as told:
        rule(*conditions).check()

    assert told.value.code == "rule_contradictory"


def test_rules_that_hold_are_taken():
    rule().check()
    rule(("payer", "contains", "a"), ("payer", "contains", "b")).check()
    rule(("dollars_per_month", "at_least", 5), ("dollars_per_month", "at_most", 5)).check()
    rule(("dollars_per_month", "above", 5), ("dollars_per_month", "below", 6)).check()


_NUMERIC = st.sampled_from(["equals", "not_equals", "at_least", "above", "at_most", "below"])


@given(
    st.lists(st.tuples(st.just("age_days"), _NUMERIC, st.integers(-3, 3)), min_size=1, max_size=4)
)
def test_a_refused_rule_is_one_that_no_value_fulfills(conditions):
    made = rule(*conditions)
    can_hold = any(made.takes({"age_days": step / 4}) for step in range(-20, 21))
    try:
        made.check()
    except RuleInvalid:
        assert not can_hold
    else:
        assert can_hold


def test_a_circle_is_found_over_several_rules_and_not_through_one_that_is_off():
    emits = {"a": ["alerts.opened"], "b": ["drift.detected"]}
    first = rule(action="a", mode=Mode.APPROVAL)
    second = rule(topic="alerts.opened", action="b", mode=Mode.AUTOMATIC)
    off = rule(topic="alerts.opened", action="b", mode=Mode.OFF)

    assert find_circle([first, second], emits) == (
        "alerts.opened",
        "drift.detected",
        "alerts.opened",
    )
    assert find_circle([first, off], emits) == ()
    assert find_circle([first, rule(topic="alerts.opened", action="c")], emits) == ()


def test_facts_have_types():
    assert fields_of(TOPIC)["dollars_per_month"] is FactType.NUMBER
    assert fields_of(TOPIC)["payer"] is FactType.TEXT
