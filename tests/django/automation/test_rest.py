"""Automation over HTTP."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from django.core.cache import caches
from django.db import transaction
from django.urls import include, path
from django.utils import timezone
from rest_framework.test import APIClient

from claimkit.claims.model import Adjustment
from claimkit.claims.normalize import NormalizeContext
from claimkit.drift.findings import Tier
from claimkit.events import DriftDetected
from claimkit.tenants import Role
from claimkit.testing.factories import make_batch, make_claim, make_finding
from claimkit.types import TenantKey
from claimkit_django.alerts.models import Alert
from claimkit_django.audit.models import AuditEntry
from claimkit_django.authorizations.models import Authorization, AuthorizationWarning
from claimkit_django.automation.models import Approval, Execution, Rule, Work
from claimkit_django.drift import past
from claimkit_django.runtime import make_bus, open_store, plugins
from claimkit_django.tenants.scope import enter

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]
urlpatterns = [path("", include("claimkit_django.urls"))]

ROOT = "/api/v1/automation/"
SENT = {
    "name": "Dear ones",
    "topic": "drift.detected",
    "conditions": [{"fact": "dollars_per_month", "operator": "at_least", "operand": 8000}],
    "action": "create_task",
    "settings": {"text": "Call the payer"},
    "mode": "automatic",
}


@pytest.fixture(autouse=True)
def _no_one_counted_yet():
    caches["default"].clear()


@pytest.fixture
def client(northside, make_member):
    client = APIClient()
    client.force_authenticate(make_member("ada", (northside, Role.ADMIN)))
    return client


def add(client, **values):
    return client.post(f"{ROOT}rules/", {**SENT, **values}, format="json")


#: Codes of what the schema says too: a 400. Anything else was understood, and is a 422.
MALFORMED = {
    "blank",
    "empty",
    "invalid",
    "invalid_choice",
    "max_length",
    "max_value",
    "min_value",
    "required",
}


def errors(answer):
    told = [(one["attr"], one["code"]) for one in answer.json()["errors"]]
    is_malformed = bool(MALFORMED & {code for _, code in told})
    assert answer.status_code == (400 if is_malformed else 422), answer.content
    return told


def test_a_rule_is_added_changed_and_removed(client, northside):
    made = add(client)
    where = made.json()["_links"]["self"]

    assert made.status_code == 201, made.content
    assert made.json()["settings"] == {"text": "Call the payer", "due_days": None}
    changed = client.patch(where, {"mode": "off"}, format="json")
    assert (changed.json()["mode"], changed.json()["conditions"]) == ("off", SENT["conditions"])
    assert client.delete(where).status_code == 204


def test_a_changed_rule_rests_no_more(client, northside):
    where = add(client).json()["_links"]["self"]
    with enter(northside):
        Rule.objects.update(failures=3, rests_until=timezone.now())

    assert client.patch(where, {"priority": 1}, format="json").json()["rests_until"] is None


@pytest.mark.parametrize(
    ("wrong", "field", "code"),
    [
        ({"topic": "drift.detect"}, "topic", "invalid_choice"),
        ({"action": "fly"}, "action", "unknown_name"),
        ({"settings": {}}, "settings.0", "config_invalid"),
        ({"mode": "loud"}, "mode", "invalid_choice"),
        (
            {"conditions": [{"fact": "x", "operator": "is_known"}]},
            "conditions.0",
            "fact_unknown",
        ),
        (
            {"conditions": [{"fact": "payer", "operator": "equals", "operand": {}}]},
            "conditions.0.operand",
            "invalid",
        ),
        (
            {"conditions": [{"fact": "payer", "operator": "equals", "operand": True}]},
            "conditions.0.operand",
            "invalid",
        ),
        (
            {
                "conditions": [
                    {"fact": "payer", "operator": "equals", "operand": one} for one in "ab"
                ]
            },
            "conditions.0",
            "rule_contradictory",
        ),
        (
            {
                "topic": "alerts.opened",
                "conditions": [],
                "action": "open_alert",
                "settings": {},
            },
            "action",
            "rule_triggers_itself",
        ),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused(client, northside, wrong, field, code):
    ((attr, told),) = errors(add(client, **wrong))

    assert attr.split(".")[0] == field.split(".")[0]
    assert told == code
    with enter(northside):
        assert not Rule.objects.exists()


def test_there_are_only_so_many_and_each_has_a_name(client, settings):
    assert add(client).status_code == 201
    assert errors(add(client)) == [("name", "unique")]
    settings.CLAIMKIT = {**settings.CLAIMKIT, "AUTOMATION": {"MAX_RULES": 1}}
    assert errors(add(client, name="Another")) == [("action", "too_many_rules")]


def test_a_preview_says_what_a_rule_would_have_taken(client, northside, monkeypatch):
    """The replay itself is tried in the drift room."""
    day = dt.date(2026, 4, 1)

    class Result:
        end = day
        findings = [
            make_finding(
                fingerprint=f"fp-{money}",
                dollars_per_month=money,
                detected_on=day,
                tier=Tier.ALERT,
            )
            for money in (100, 900_000)
        ]

    monkeypatch.setattr(past, "backtest", lambda **_: Result)
    told = client.post(f"{ROOT}rules/preview/", SENT, format="json").json()

    assert (told["taken"], told["events"]) == (1, 2)
    assert told["findings"][0]["subject"] == "fp-900000"
    with enter(northside):
        assert not Rule.objects.exists()
        assert not Execution.objects.exists()


@pytest.fixture
def waiting(northside):
    with enter(northside):
        return Approval.objects.create(
            rule="aur_1",
            rule_name="Dear ones",
            action="create_task",
            settings={"text": "Call", "due_days": None},
            topic="drift.detected",
            event_key="k",
            subject="fp-1",
            asked_at=timezone.now(),
        )


def test_a_person_decides_once(client, northside, waiting):
    where = f"{ROOT}approvals/{waiting.uid}/"
    done = client.post(f"{where}approve/", {"note": "fine"}, format="json")

    assert (done.json()["state"], done.json()["note"]) == ("approved", "fine")
    assert done.json()["actor"].startswith("user:")
    assert client.post(f"{where}reject/", {}, format="json").status_code == 409
    assert client.get(f"{ROOT}approvals/", {"state": "waiting"}).json()["results"] == []
    (line,) = client.get(f"{ROOT}executions/", {"result": "success"}).json()["results"]
    assert (line["step"], line["actor"]) == (1, done.json()["actor"])


def test_work_is_done_once(client, northside, waiting):
    client.post(f"{ROOT}approvals/{waiting.uid}/approve/", {}, format="json")
    (task,) = client.get(f"{ROOT}work/", {"kind": "task", "done": "false"}).json()["results"]
    first = client.post(f"{task['_links']['self']}done/").json()
    again = client.post(f"{task['_links']['self']}done/").json()

    assert first["done_at"] == again["done_at"] is not None
    assert client.get(f"{ROOT}work/", {"done": "false"}).json()["results"] == []
    with enter(northside):
        assert Work.objects.get().actor == first["actor"]


def test_how_often_people_overruled_a_rule_is_counted(client, northside, waiting):
    with enter(northside):
        for number, state in enumerate(("approved", "approved", "approved", "rejected")):
            Approval.objects.create(
                rule="aur_1", rule_name="Dear ones", action="create_task", topic="drift.detected",
                event_key=f"n{number}", asked_at=timezone.now(), state=state, actor="user:7",
                decided_at=timezone.now(),
            )  # fmt: skip
    (told,) = client.get(f"{ROOT}approvals/answers/").json()

    assert (told["waiting"], told["approved"], told["rejected"]) == (1, 3, 1)
    assert told["overruled"] == 0.25


def test_an_action_goes_with_its_topics_only(client):
    wrong = {"action": "request_reauthorization", "settings": {}}
    assert errors(add(client, **wrong)) == [("action", "action_unfit")]
    assert add(client, topic="authorizations.expiring", conditions=[], **wrong).status_code == 201


def preview(client, topic, fact, operand):
    asked = {
        **SENT,
        "topic": topic,
        "conditions": [{"fact": fact, "operator": "at_least", "operand": operand}],
    }
    told = client.post(f"{ROOT}rules/preview/", asked, format="json").json()
    return told["taken"], told["events"], [one["subject"] for one in told["findings"]]


def test_a_rule_is_tried_on_files_alerts_and_warnings(client, northside, make_upload):
    now = timezone.now()
    for number in (5, 50):
        make_upload(northside, status="success", claims_new=number, started_at=now, finished_at=now)
    with enter(northside):
        for number in (1, 2):
            Alert.objects.create(
                fingerprint=f"f{number}", severity="high", source="drift", kind="denial_rate",
                dollars_per_month=number * 100_000, opened_at=now, seen_at=now,
            )  # fmt: skip
        row = Authorization.objects.create(
            number="A-1", payer="AETNA", procedure="97110", valid_from=now.date(),
            valid_until=now.date(), units_authorized=4,
        )  # fmt: skip
        for step in (3, 30):
            AuthorizationWarning.objects.create(
                authorization=row, kind="expiry", step=step, basis="x", days_left=step,
                ends_on=now.date(), told_at=now,
            )  # fmt: skip

    assert preview(client, "claims.imported", "new", 50)[:2] == (1, 2)
    assert preview(client, "alerts.opened", "dollars_per_month", 2_000)[:2] == (1, 2)
    assert preview(client, "alerts.resolved", "dollars_per_month", 0) == (0, 0, [])
    assert preview(client, "authorizations.expiring", "days_left", 10) == (1, 2, [row.uid])
    assert preview(client, "authorizations.exhausting", "days_left", 0) == (0, 0, [])


def test_what_no_room_keeps_is_tried_on_what_rules_saw(client, northside):
    with enter(northside):
        for number, risk in enumerate((0.1, 0.4)):
            Execution.objects.create(
                rule="aur_1", rule_name="Risky", action="create_task", topic="drift.risk_scored",
                event_key=f"k{number}", subject=f"A-{number}", result="success",
                facts={"denial_risk": risk, "payer": "AETNA"}, at=timezone.now(),
            )  # fmt: skip

    assert preview(client, "drift.risk_scored", "denial_risk", 0.3) == (1, 2, ["A-1"])


@pytest.fixture
def appeal(client, northside):
    """A drift with denied claims, and the task that a rule left to appeal them."""
    store = open_store()
    claim = make_claim(status="4", paid=0, decided_on=dt.date(2026, 3, 9))
    claim.adjustments = [Adjustment("CO", "197", claim.charge)]
    batch = make_batch([claim])
    for one in plugins().normalizers:
        one.normalize(batch, NormalizeContext(patient_key=b"k" * 32))
    with enter(northside):
        store.claims.add(TenantKey("northside"), batch, upload="upl_x", known_on=claim.decided_on)
        finding = make_finding(payer=batch.claims[0].payer)
        store.findings.record(TenantKey("northside"), [finding], as_of=finding.as_of)
    settings = {"grounds": "The contract asks for no authorization.", "due_days": 14}
    assert (
        add(
            client, action="appeal_packet", settings=settings, conditions=[], mode="automatic"
        ).status_code
        == 201
    )
    bus = make_bus(store)
    with bus.transaction(transaction.atomic()):
        bus.stage(
            DriftDetected(
                tenant=TenantKey("northside"), at=timezone.now(), finding=finding.fingerprint,
                signal="denial_rate", payer=finding.segment.payer, severity="high",
                onset=finding.onset, dollars_per_month=1_825_000, summary=finding.summary,
            )
        )  # fmt: skip
    with enter(northside):
        return Work.objects.get()


def test_an_appeal_is_a_task_with_a_letter_of_any_format(client, northside, appeal):
    where = f"{ROOT}work/{appeal.uid}/packet/"
    page, plain = client.get(f"{where}html/"), client.get(f"{where}json/")

    assert appeal.text.startswith("Appeal denials of MERIDIAN")
    assert page.headers["Content-Type"].startswith("text/html")
    assert page.headers["Cache-Control"] == "no-store"
    letter, claims, evidence = json.loads(plain.content)["sections"]
    assert "The contract asks for no authorization." in letter["paragraphs"]
    (row,) = claims["tables"][0]["rows"]
    assert row[:2] == ["PCN-000417", "ICN88123"]
    assert row[4:] == ["CO-197", 32_000]
    assert "denies 17 %" in evidence["paragraphs"][0]
    assert client.get(f"{where}marsupilami/").status_code == 404
    with enter(northside):
        assert (
            AuditEntry.objects.filter(action="appeal_packet.read", target=appeal.uid).count() == 2
        )


def test_nothing_of_the_claims_is_kept_and_viewers_do_not_see_them(appeal, northside, make_member):
    viewer = APIClient()
    viewer.force_authenticate(make_member("vic", (northside, Role.VIEWER)))

    assert viewer.get(f"{ROOT}work/{appeal.uid}/packet/html/").status_code == 403
    with enter(northside):
        rows = [*Execution.objects.values(), *Work.objects.values()]
    assert "PCN-000417" not in str(rows)


def test_work_of_another_kind_has_no_packet(client, northside, waiting):
    client.post(f"{ROOT}approvals/{waiting.uid}/approve/", {}, format="json")
    with enter(northside):
        task = Work.objects.get()

    assert client.get(f"{ROOT}work/{task.uid}/packet/html/").status_code == 404


def test_a_preview_names_the_rules_that_it_meets(client, northside):
    for values in (
        {"name": "Hold", "action": "hold_for_review", "settings": {"text": "Look"}, "priority": 1},
        {"name": "Off", "mode": "off"},
        {"name": "Small ones", "conditions": [condition("dollars_per_month", "below", 10)]},
        {"name": "Dear ones too"},
    ):
        assert client.post(f"{ROOT}rules/", {**SENT, **values}, format="json").status_code == 201
    asked = {**SENT, "conditions": [condition("dollars_per_month", "at_least", 10)]}

    told = client.post(f"{ROOT}rules/preview/", asked, format="json").json()["clashes"]
    assert [(one["kind"], one["name"]) for one in told] == [
        ("is_held", "Hold"),
        ("twice", "Dear ones too"),
    ]


def condition(fact, operator, operand):
    return {"fact": fact, "operator": operator, "operand": operand}
