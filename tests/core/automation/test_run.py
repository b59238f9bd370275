from __future__ import annotations

import datetime as dt

import pytest

from claimkit.automation.actions import ActionCall, WorkKind, builtin_actions
from claimkit.automation.facts import TRIGGERS, event_key, facts_of
from claimkit.automation.rules import AutomationRule, Condition, Mode, Operator
from claimkit.automation.run import Record, Verdict, decide, fail, succeed
from claimkit.errors import ConfigError, UnknownName
from claimkit.events import (
    AlertWanted,
    AutomationRequested,
    ClaimRiskScored,
    DriftDetected,
    EndpointPinged,
)
from claimkit.plugins import load_plugins

NOW = dt.datetime(2026, 4, 12, 9, 30, tzinfo=dt.UTC)
ACTIONS = {one.name: one for one in builtin_actions()}


def drift(**values):
    return DriftDetected(
        **{
            "tenant": "northside",
            "at": NOW,
            "finding": "fp-1",
            "signal": "denial_rate",
            "payer": "Aetna",
            "severity": "high",
            "onset": dt.date(2026, 4, 2),
            "dollars_per_month": 4_821_050,
            "summary": "Aetna denies more.",
            **values,
        }
    )


def rule(key="aur_1", **values):
    return AutomationRule(
        **{
            "key": key,
            "topic": "drift.detected",
            "action": "create_task",
            "mode": Mode.AUTOMATIC,
            **values,
        }
    )


def verdicts(*rules, records=None, event=None):
    event = event or drift()
    told = decide(rules, topic=event.topic, facts=facts_of(event), records=records or {}, now=NOW)
    return [(one.rule.key, one.verdict) for one in told]


def test_facts_of_a_drift():
    assert facts_of(drift(payer="")) == {
        "payer": None,
        "kind_of_change": "denial_rate",
        "severity": "high",
        "severity_rank": 2.0,
        "dollars_per_month": 48_210.5,
        "age_days": 10.0,
    }


def test_nothing_else_triggers():
    with pytest.raises(UnknownName):
        facts_of(EndpointPinged(tenant="northside", at=NOW, endpoint="whe_1"))
    assert len(TRIGGERS) == 12
    assert all(hasattr(one.kind, "topic") for one in TRIGGERS.values())


def test_the_same_event_has_the_same_key_and_no_other_has():
    assert event_key(drift()) == event_key(drift())
    assert event_key(drift()) != event_key(drift(severity="low"))
    assert event_key(drift()) != event_key(drift(at=NOW + dt.timedelta(seconds=1)))


def test_modes():
    assert verdicts(
        rule("a", mode=Mode.OFF),
        rule("b", mode=Mode.DRY_RUN),
        rule("c", mode=Mode.APPROVAL),
        rule("d"),
    ) == [("b", Verdict.DRY_RUN), ("c", Verdict.ASK), ("d", Verdict.ACT)]


def test_rules_go_by_priority_and_one_may_be_the_last():
    first, last, never = rule("z", priority=1), rule("y", priority=2, goes_on=False), rule("x")

    assert [key for key, _ in verdicts(never, last, first)] == ["z", "y"]


def test_a_rule_that_does_not_take_the_event_is_not_the_last():
    other = Condition(fact="payer", operator=Operator.EQUALS, operand="Cigna")
    passed = rule("a", conditions=(other,), goes_on=False)

    assert verdicts(passed, rule("b"), rule("c", topic="drift.resolved")) == [("b", Verdict.ACT)]


def test_money_lets_a_person_be_asked():
    assert verdicts(rule(ask_from_dollars=50_000)) == [("aur_1", Verdict.ACT)]
    assert verdicts(rule(ask_from_dollars=48_210.5)) == [("aur_1", Verdict.ASK)]


def test_limits_and_rests():
    often = {"aur_1": Record(acted=20)}
    rests = {"aur_1": Record(rests_until=NOW + dt.timedelta(seconds=1))}
    rested = {"aur_1": Record(rests_until=NOW)}

    assert verdicts(rule(), records=often) == [("aur_1", Verdict.LIMITED)]
    assert verdicts(rule(max_per_hour=0), records=often) == [("aur_1", Verdict.ACT)]
    assert verdicts(rule(), records=rests) == [("aur_1", Verdict.CIRCUIT_OPEN)]
    assert verdicts(rule(), records=rested) == [("aur_1", Verdict.ACT)]


def test_failures_in_a_row_let_a_rule_rest():
    record, rest = Record(), dt.timedelta(hours=1)
    for _ in range(2):
        record = fail(record, now=NOW, after_failures=3, rest=rest)
    assert record.rests_until is None
    assert fail(record, now=NOW, after_failures=3, rest=rest).rests_until == NOW + rest
    assert succeed(record).failures == 0


def call(name, settings):
    action = ACTIONS[name]
    return action.run(
        ActionCall(
            tenant="northside",
            at=NOW,
            rule="aur_1",
            rule_name="Dear ones",
            topic="drift.detected",
            subject="fp-1",
            facts=facts_of(drift()),
            settings=action.check(settings),
        )
    )


def test_an_alert_is_wanted():
    (event,) = call("open_alert", {}).events

    assert isinstance(event, AlertWanted)
    assert (event.severity, event.dollars_per_month, event.payer) == ("medium", 4_821_050, "Aetna")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("create_task", WorkKind.TASK),
        ("tag_finding", WorkKind.TAG),
        ("hold_for_review", WorkKind.HOLD),
    ],
)
def test_work_is_left(name, kind):
    (work,) = call(name, {"text": " Call Aetna "}).work

    assert (work.kind, work.text, work.due_days) == (kind, "Call Aetna", None)


def test_a_webhook_is_called_by_an_event():
    (event,) = call("call_webhook", {"label": "open a ticket"}).events

    assert isinstance(event, AutomationRequested)
    assert (event.label, event.trigger, event.subject) == (
        "open a ticket",
        "drift.detected",
        "fp-1",
    )


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("open_alert", {"severity": "huge"}),
        ("open_alert", {"severityy": "low"}),
        ("create_task", {}),
        ("create_task", {"text": " "}),
        ("create_task", {"text": "x" * 201}),
        ("create_task", {"text": "x", "due_days": True}),
        ("create_task", {"text": "x", "due_days": 366}),
        ("tag_finding", {"text": "x", "due_days": 1}),
        ("call_webhook", {"label": 3}),
    ],
)
def test_settings_that_cannot_be_used_are_refused(name, settings):
    with pytest.raises(ConfigError):
        ACTIONS[name].check(settings)


def test_actions_are_registered_like_any_plugins():
    assert load_plugins(entry_points=False).actions.keys() == ACTIONS.keys()


def scored(**values):
    return ClaimRiskScored(
        **{
            "tenant": "northside",
            "at": NOW,
            "claim": "A-1007",
            "payer": "Aetna",
            "procedure_group": "imaging",
            "authorization": "without number",
            "probability": 0.3,
            "low": 0.25,
            "high": 0.35,
            "charge": 183_000,
            **values,
        }
    )


def test_facts_of_a_score():
    assert facts_of(scored(authorization="")) == {
        "payer": "Aetna",
        "procedure_group": "imaging",
        "authorization": None,
        "denial_risk": 0.3,
        "confidence": pytest.approx(0.9),
        "dollars": 1830.0,
        "dollars_at_risk": pytest.approx(549.0),
    }


@pytest.mark.parametrize(
    ("asked", "event", "verdict"),
    [
        ({"ask_below_confidence": 0.8}, scored(), Verdict.ACT),
        ({"ask_below_confidence": 0.95}, scored(), Verdict.ASK),
        ({"ask_from_dollars": 2_000}, scored(), Verdict.ACT),
        ({"ask_from_dollars": 1_830}, scored(), Verdict.ASK),
        ({"ask_from_dollars": 2_000, "ask_below_confidence": 0.95}, scored(), Verdict.ASK),
        # A drift does not say how sure it is: what nobody knows is asked about.
        ({"ask_below_confidence": 0.1}, drift(), Verdict.ASK),
    ],
)
def test_what_is_sure_and_cheap_runs_alone_and_the_rest_asks(asked, event, verdict):
    assert verdicts(rule("a", topic=event.topic, **asked), event=event) == [("a", verdict)]


def test_what_is_held_waits_and_holding_does_not():
    hold = rule("hold", action="hold_for_review", priority=1)
    others = [rule("act"), rule("ask", mode=Mode.APPROVAL), rule("try", mode=Mode.DRY_RUN)]

    assert verdicts(hold, *others) == [
        ("hold", Verdict.ACT),
        ("act", Verdict.HELD),
        ("ask", Verdict.ASK),
        ("try", Verdict.DRY_RUN),
    ]
    told = decide(
        [rule("a"), hold], topic="drift.detected", facts=facts_of(drift()), records={}, now=NOW,
        held=True,
    )  # fmt: skip
    assert [one.verdict for one in told] == [Verdict.ACT, Verdict.HELD]


def test_a_payer_is_asked_again_before_the_end():
    action = ACTIONS["request_reauthorization"]
    call = ActionCall(
        tenant="northside", at=NOW, rule="aur_1", rule_name="Renew", subject="aut_1",
        topic="authorizations.expiring", settings=action.check({}),
        facts={"payer": "Aetna", "procedure": "97110", "days_left": 3.0},
    )  # fmt: skip
    result = action.run(call)

    (task,), (event,) = result.work, result.events
    assert (task.kind, task.due_days) == (WorkKind.TASK, 0)
    assert event.label == "request_reauthorization"
    with pytest.raises(ConfigError):
        action.check({"due_days": 181})
    with pytest.raises(ConfigError):
        action.check({"days": 3})
