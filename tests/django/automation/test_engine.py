"""Rules at work, on events of the bus."""

from __future__ import annotations

import datetime as dt
import threading
import time

import pytest
from django.db import DEFAULT_DB_ALIAS as USING
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from claimkit.errors import ApprovalConflict
from claimkit.events import AuthorizationExpiring, DriftDetected
from claimkit.hookspecs import hookimpl
from claimkit.plugins import load_plugins
from claimkit.types import TenantKey
from claimkit_django.alerts.models import Alert
from claimkit_django.automation import checks, engine
from claimkit_django.automation.engine import approve, finish, reject
from claimkit_django.automation.models import Approval, Execution, Rule, Work
from claimkit_django.migrations_kit.append_only import removal
from claimkit_django.ops.retention import apply_retention
from claimkit_django.runtime import make_bus, open_store
from claimkit_django.tenants.erasure import erase_tenant
from claimkit_django.tenants.scope import enter
from claimkit_django.webhooks.models import Endpoint, Message

pytestmark = pytest.mark.django_db

AT = dt.datetime(2026, 4, 12, 9, 30, tzinfo=dt.UTC)
_CHEAP = {"fact": "dollars_per_month", "operator": "below", "operand": 100}


def drift(tenant, number=1, **values):
    return DriftDetected(
        **{
            "tenant": TenantKey(tenant.key),
            "at": AT,
            "finding": f"fp-{number}",
            "signal": "denial_rate",
            "payer": "AETNA",
            "severity": "high",
            "onset": dt.date(2026, 4, 2),
            "dollars_per_month": 4_821_050,
            "summary": "AETNA denies more.",
            **values,
        }
    )


def tell(*events):
    bus = make_bus(open_store(USING))
    with bus.transaction(transaction.atomic(using=USING)):
        for one in events:
            bus.stage(one)


@pytest.fixture
def add_rule():
    def make(tenant, name="Dear ones", **values):
        with enter(tenant):
            return Rule.objects.create(
                **{
                    "name": name,
                    "topic": "drift.detected",
                    "action": "create_task",
                    "settings": {"text": "Call the payer", "due_days": 3},
                    "mode": "automatic",
                    **values,
                }
            )

    return make


@pytest.fixture
def broken(monkeypatch):
    """Actions of a plugin: one fails, one asks the database, one hangs."""

    class Broken:
        name = "broken"
        emits = frozenset()

        def check(self, settings):
            return settings

        def run(self, call):
            raise RuntimeError("marsupilami W12345")

    class Impure(Broken):
        name = "impure"

        def run(self, call):
            Work.objects.create(
                kind="task", text="half done", topic="x", rule="x", rule_name="x", created_at=AT
            )

    class Hanging(Broken):
        name = "hanging"

        def run(self, call):
            threading.Event().wait(30)

    class Plugin:
        @hookimpl
        def claimkit_register_actions(self):
            return (Broken(), Impure(), Hanging())

    loaded = load_plugins(entry_points=False, extra=[("broken", Plugin())])
    monkeypatch.setattr(engine, "plugins", lambda: loaded)


def log(tenant):
    with enter(tenant):
        rows = Execution.objects.order_by("pk")
        return [(one.rule_name, one.step, one.result) for one in rows]


def work(tenant):
    with enter(tenant):
        return list(Work.objects.order_by("pk").values_list("kind", "text", "subject"))


def test_a_rule_leaves_a_task_and_a_line(northside, add_rule):
    rule = add_rule(northside)
    tell(drift(northside))

    assert work(northside) == [("task", "Call the payer", "fp-1")]
    with enter(northside):
        line, task = Execution.objects.get(), Work.objects.get()
    assert (line.rule, line.result, line.subject) == (rule.uid, "success", "fp-1")
    assert line.facts["dollars_per_month"] == 48_210.5
    assert task.due_on == line.at.date() + dt.timedelta(days=3)


def test_the_same_event_again_acts_once(northside, add_rule):
    add_rule(northside)
    tell(drift(northside))
    tell(drift(northside), drift(northside))
    tell(drift(northside, at=AT + dt.timedelta(days=1)))

    assert len(work(northside)) == 2


def test_a_line_per_rule_and_event_is_enforced_by_the_database(northside, add_rule):
    add_rule(northside)
    tell(drift(northside))
    with enter(northside):
        line = Execution.objects.get()
        again = {"rule": line.rule, "event_key": line.event_key, "at": AT, "result": "success"}
        with pytest.raises(IntegrityError), transaction.atomic():
            Execution.objects.create(**again)


def test_rules_of_another_tenant_do_nothing(northside, lakeview, add_rule):
    add_rule(lakeview)
    tell(drift(northside))

    assert log(northside) == log(lakeview) == []


def test_an_alert_is_opened_and_a_rule_about_alerts_follows(northside, add_rule):
    add_rule(northside, action="open_alert", settings={"severity": "critical"})
    add_rule(
        northside,
        "Critical ones",
        topic="alerts.opened",
        action="hold_for_review",
        settings={"text": "Look"},
        conditions=[{"fact": "severity", "operator": "equals", "operand": "critical"}],
    )
    tell(drift(northside))

    with enter(northside):
        found = set(Alert.objects.values_list("source", "kind", "severity"))
        wanted = Alert.objects.get(source="automation")
    assert found == {
        ("drift", "denial_rate", "high"),
        ("automation", "rule_matched", "critical"),
    }
    assert work(northside) == [("hold", "Look", wanted.uid)]


def test_a_webhook_is_called(northside, add_rule):
    pytest.importorskip("cryptography")
    add_rule(northside, action="call_webhook", settings={"label": "open a ticket"})
    with enter(northside):
        Endpoint.objects.create(
            url="https://hooks.example.org/in", event_types=["automation.requested"]
        )
    tell(drift(northside))

    with enter(northside):
        assert b"open a ticket" in bytes(Message.objects.get().body)


def test_modes_are_written_down(northside, add_rule):
    add_rule(northside, "Off", mode="off")
    add_rule(northside, "Dry", mode="dry_run")
    add_rule(northside, "Ask", mode="approval")
    add_rule(northside, "Dear", ask_from_dollars=1_000)
    add_rule(northside, "Cheap", conditions=[_CHEAP])
    tell(drift(northside))

    assert log(northside) == [("Dry", 0, "dry_run"), ("Ask", 0, "waiting"), ("Dear", 0, "waiting")]
    assert work(northside) == []


def test_a_person_says_yes_though_the_rule_is_gone(northside, add_rule):
    rule = add_rule(northside, mode="approval")
    tell(drift(northside))
    with enter(northside):
        rule.delete()
        waiting = Approval.objects.get()
        done = approve(waiting.uid, actor="user:7", note="fine", using=USING)
        with pytest.raises(ApprovalConflict):
            reject(waiting.uid, actor="user:8", using=USING)
        line = Execution.objects.get(step=1)

    assert (done.state, done.actor, done.note) == ("approved", "user:7", "fine")
    assert (line.result, line.actor, line.rule_name) == ("success", "user:7", "Dear ones")
    assert len(work(northside)) == 1


def test_a_person_says_no(northside, add_rule):
    add_rule(northside, mode="approval")
    tell(drift(northside))
    with enter(northside):
        reject(Approval.objects.get().uid, actor="user:7", using=USING)

    assert log(northside) == [("Dear ones", 0, "waiting"), ("Dear ones", 1, "rejected")]
    assert work(northside) == []


def test_what_is_approved_tells_its_events(northside, add_rule):
    add_rule(northside, mode="approval", action="open_alert", settings={"severity": "low"})
    tell(drift(northside))
    with enter(northside):
        approve(Approval.objects.get().uid, actor="user:7", using=USING)
        assert Alert.objects.filter(source="automation").count() == 1


def test_an_action_that_fails_is_undone_alone(northside, add_rule, broken, caplog):
    add_rule(northside, "Broken", action="broken", priority=1)
    add_rule(northside, "Whole")
    tell(drift(northside))

    assert log(northside) == [("Broken", 0, "failed"), ("Whole", 0, "success")]
    assert work(northside) == [("task", "Call the payer", "fp-1")]
    with enter(northside):
        assert Execution.objects.get(result="failed").reason == "RuntimeError"
        assert "W12345" not in str(list(Execution.objects.values()))
    assert "an action failed" in caplog.text


def test_an_action_that_asks_the_database_fails(northside, add_rule, broken):
    add_rule(northside, action="impure")
    tell(drift(northside))

    assert work(northside) == []
    with enter(northside):
        assert Execution.objects.get().reason == "ActionImpure"


def test_an_action_that_hangs_is_left_behind(northside, add_rule, broken, settings):
    settings.CLAIMKIT = {**settings.CLAIMKIT, "AUTOMATION": {"ACTION_SECONDS": 0.2}}
    add_rule(northside, "Hanging", action="hanging", priority=1)
    add_rule(northside, "Whole")
    began = time.monotonic()
    tell(drift(northside))

    assert time.monotonic() - began < 10
    assert log(northside) == [("Hanging", 0, "failed"), ("Whole", 0, "success")]
    with enter(northside):
        assert Execution.objects.get(result="failed").reason == "TimeoutError"


@pytest.fixture
def held(northside, add_rule):
    """A rule that holds dear drifts, and one that would tell a receiver of every one."""
    add_rule(
        northside,
        "Hold dear ones",
        priority=1,
        action="hold_for_review",
        settings={"text": "Look"},
        conditions=[{"fact": "dollars_per_month", "operator": "at_least", "operand": 10_000}],
    )
    add_rule(northside, "Go on")
    return northside


def test_what_is_held_waits_and_the_rest_runs_alone(held):
    tell(drift(held, 1), drift(held, 2, dollars_per_month=5_000))

    assert log(held) == [
        ("Hold dear ones", 0, "success"),
        ("Go on", 0, "waiting"),
        ("Go on", 0, "success"),
    ]
    assert work(held) == [("hold", "Look", "fp-1"), ("task", "Call the payer", "fp-2")]
    with enter(held):
        assert Approval.objects.get().held
        assert Execution.objects.get(result="waiting").reason == "held"


def test_letting_go_does_what_waited_for_it_once(held):
    tell(drift(held, 1))
    with enter(held):
        hold = Work.objects.get()
        finish(hold.uid, actor="user:7", using=USING)
        again = finish(hold.uid, actor="user:8", using=USING)
        decided = Approval.objects.get()

    assert again.actor == "user:7"
    assert (decided.state, decided.actor) == ("approved", "user:7")
    assert work(held) == [("hold", "Look", "fp-1"), ("task", "Call the payer", "fp-1")]
    assert log(held)[-1] == ("Go on", 1, "success")


def test_a_second_hold_keeps_it_waiting(held, add_rule):
    tell(drift(held, 1))
    with enter(held):
        first = Work.objects.get()
        second = Work.objects.create(
            kind="hold", text="Look too", topic="x", subject="fp-1", rule="x", rule_name="x",
            created_at=AT,
        )  # fmt: skip
        finish(first.uid, actor="user:7", using=USING)
        assert Approval.objects.get().state == "waiting"
        finish(second.uid, actor="user:7", using=USING)
        assert Approval.objects.get().state == "approved"


def test_what_was_rejected_meanwhile_is_not_done_by_letting_go(held):
    tell(drift(held, 1))
    with enter(held):
        reject(Approval.objects.get().uid, actor="user:7", using=USING)
        finish(Work.objects.get().uid, actor="user:7", using=USING)

    assert work(held) == [("hold", "Look", "fp-1")]


def test_a_later_event_about_what_is_held_waits_too(held):
    tell(drift(held, 1))
    tell(drift(held, 1, at=AT + dt.timedelta(days=1), dollars_per_month=5_000))

    assert [result for name, _, result in log(held) if name == "Go on"] == ["waiting", "waiting"]


def test_a_payer_is_asked_again_in_time(northside, add_rule):
    add_rule(
        northside,
        topic="authorizations.expiring",
        action="request_reauthorization",
        settings={"due_days": 7},
    )
    tell(
        AuthorizationExpiring(
            tenant=TenantKey("northside"), at=AT, authorization="aut_1", payer="AETNA",
            procedure="97110", step=30, days_left=30, ends_on=AT.date() + dt.timedelta(days=30),
        )
    )  # fmt: skip

    assert work(northside) == [("task", "Ask AETNA again to authorize 97110", "aut_1")]
    with enter(northside):
        line, task = Execution.objects.get(), Work.objects.get()
    assert (task.due_on - line.at.date()).days == 23


@pytest.mark.usefixtures("walls")
@pytest.mark.parametrize("write", ["UPDATE {} SET result = 'rejected'", "DELETE FROM {}"])
def test_the_database_keeps_the_log_from_being_rewritten(northside, add_rule, write):
    add_rule(northside)
    tell(drift(northside))
    table = connection.ops.quote_name(Execution._meta.db_table)

    with pytest.raises(DatabaseError, match="neither changed nor deleted"), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(write.format(table))
    assert log(northside) == [("Dear ones", 0, "success")]


@pytest.mark.usefixtures("walls")
def test_retention_and_the_end_of_a_tenant_remove_lines(northside, lakeview, add_rule):
    for tenant in (northside, lakeview):
        add_rule(tenant)
        tell(drift(tenant))
    later = timezone.now() + dt.timedelta(days=366)
    keep = {"using": USING, "is_dry_run": False, "only": ["executions"]}
    assert apply_retention(**keep, now=timezone.now()) == []
    erase_tenant(lakeview, using=USING)
    assert len(log(northside)) == Execution.unscoped.count() == 1

    (gone,) = apply_retention(**keep, now=later)
    assert (gone.rows, Execution.unscoped.count()) == (1, 0)
    tell(drift(northside, 2))
    with pytest.raises(DatabaseError, match="neither changed nor deleted"), transaction.atomic():
        Execution.unscoped.all()._raw_delete(USING)
    assert len(log(northside)) == 1


@pytest.mark.usefixtures("walls")
def test_a_removal_opens_nothing_but_its_table(northside, add_rule):
    add_rule(northside)
    tell(drift(northside))
    table = Execution._meta.db_table
    with pytest.raises(DatabaseError, match="neither"), transaction.atomic(), removal(table, USING):
        Execution.unscoped.update(result="rejected")
    with pytest.raises(DatabaseError, match="neither"), transaction.atomic():
        with removal("claimkit_automation_work", USING):
            Execution.unscoped.all()._raw_delete(USING)
    assert log(northside) == [("Dear ones", 0, "success")]


def test_a_rule_that_fails_too_often_rests(northside, add_rule, broken):
    rule = add_rule(northside, action="broken")
    tell(*(drift(northside, number) for number in range(5)))

    assert [result for _, _, result in log(northside)] == ["failed"] * 3 + ["circuit_open"] * 2
    with enter(northside):
        rule.refresh_from_db()
    assert rule.failures == 3
    assert rule.rests_until is not None


def test_an_action_that_nobody_knows_any_more_fails(northside, add_rule):
    add_rule(northside, action="gone")
    tell(drift(northside))

    with enter(northside):
        assert Execution.objects.get().reason == "action_unknown"


def test_a_rule_acts_so_often_an_hour(northside, add_rule):
    add_rule(northside, max_per_hour=2)
    tell(*(drift(northside, number) for number in range(4)))

    assert [result for _, _, result in log(northside)] == ["success"] * 2 + ["limited"] * 2


def test_a_host_can_keep_all_rules_from_acting(northside, add_rule, settings):
    settings.CLAIMKIT = {**settings.CLAIMKIT, "AUTOMATION": {"MAY_ACT": False}}
    add_rule(northside)
    add_rule(northside, "Ask", mode="approval")
    tell(drift(northside))

    assert {result for _, _, result in log(northside)} == {"dry_run"}
    with enter(northside):
        assert not Approval.objects.exists()


def test_the_log_outlasts_the_rule_and_is_never_changed(northside, add_rule):
    rule = add_rule(northside)
    tell(drift(northside))
    with enter(northside):
        rule.delete()
        line = Execution.objects.get()
        line.result = "rejected"
        with pytest.raises(TypeError):
            line.save()
        with pytest.raises(TypeError):
            line.delete()
    assert log(northside) == [("Dear ones", 0, "success")]


def test_what_is_rolled_back_was_never_done(northside, add_rule):
    add_rule(northside)
    bus = make_bus(open_store(USING))
    with pytest.raises(RuntimeError), bus.transaction(transaction.atomic(using=USING)):
        bus.stage(drift(northside))
        raise RuntimeError("marsupilami")

    assert log(northside) == work(northside) == []


def test_queries_do_not_grow_with_rules_that_do_not_take_an_event(northside, add_rule):
    def count(number):
        with CaptureQueriesContext(connection) as queries:
            tell(drift(northside, number))
        return len(queries)

    add_rule(northside, conditions=[_CHEAP])
    count(0)
    few = count(1)
    for number in range(20):
        add_rule(northside, f"Rule {number}", conditions=[_CHEAP])

    assert count(2) == few


@pytest.mark.parametrize(
    "name", ["ACTION_SECONDS", "CIRCUIT_FAILURES", "CIRCUIT_MINUTES", "MAX_RULES"]
)
def test_a_setting_that_cannot_be_used_is_told(settings, name):
    assert checks.check_settings() == []
    settings.CLAIMKIT = {**settings.CLAIMKIT, "AUTOMATION": {name: 0}}

    assert [one.id for one in checks.check_settings()] == ["claimkit_automation.E001"]
