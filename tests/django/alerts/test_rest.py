"""Alerts over HTTP, as people of each role see them."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.cache import caches
from django.db import DEFAULT_DB_ALIAS as USING
from django.urls import include, path
from django.utils import timezone
from rest_framework.test import APIClient

from claimkit.tenants import Role
from claimkit_django.alerts.board import evaluate_due
from claimkit_django.alerts.models import Alert, Channel
from claimkit_django.alerts.notify import notify_due
from claimkit_django.tenants.scope import enter
from tests.alerting import report, signal, told

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]
urlpatterns = [path("", include("claimkit_django.urls"))]

ROOT = "/api/v1/alerts/"


@pytest.fixture(autouse=True)
def _no_one_counted_yet():
    caches["default"].clear()


@pytest.fixture
def client_of(make_member):
    def make(tenant, role=Role.ANALYST, name=""):
        client = APIClient()
        client.force_authenticate(make_member(f"{name or role}@{tenant.key}", (tenant, role)))
        return client

    return make


def one_alert(tenant):
    report(tenant, signal())
    with enter(tenant):
        return Alert.objects.get()


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


def test_an_alert_tells_why_nobody_was_told(northside, client_of):
    alert = one_alert(northside)
    client = client_of(northside, Role.VIEWER)

    (listed,) = client.get(ROOT, {"state": "open"}).json()["results"]
    shown = client.get(f"{ROOT}{alert.uid}/").json()

    assert listed["dollars_per_month"] == "48210.50"
    assert [(one["what"], one["reason"]) for one in shown["history"]] == [
        ("opened", ""),
        ("mute", "no_route"),
    ]


def test_what_people_do_is_in_the_history(northside, mailed, client_of):
    alert = one_alert(northside)
    client, where = client_of(northside), f"{ROOT}{alert.uid}/"

    taken = client.post(f"{where}acknowledge/").json()
    due = {"assignee": "maria", "due_on": "2026-04-20"}
    assigned = client.post(f"{where}assign/", due, format="json").json()
    client.post(f"{where}comment/", {"text": "Called them."}, format="json")
    ended = client.post(f"{where}resolve/").json()
    again = client.post(f"{where}resolve/")

    assert (taken["state"], taken["assignee"][:5]) == ("acknowledged", "user:")
    assert (assigned["assignee"], assigned["due_on"]) == ("maria", "2026-04-20")
    assert ended["state"] == "resolved"
    assert again.status_code == 409
    people = [(one["what"], one["text"]) for one in ended["history"] if one["actor"]]
    assert people == [
        ("acknowledged", ""),
        ("assigned", "maria"),
        ("commented", "Called them."),
        ("resolved", ""),
    ]


def test_acknowledging_stops_repeats_and_not_what_becomes_worse(northside, mailed, client_of):
    alert = one_alert(northside)
    notify_due(using=USING)
    client_of(northside).post(f"{ROOT}{alert.uid}/acknowledge/")
    report(northside, signal("medium"))
    assert told(northside)[-1] == "mute:acknowledged"
    report(northside, signal("critical"))
    assert told(northside)[-1] == "notify:escalated"


def test_judgments_fill_the_ledger_and_mute(northside, mailed, client_of):
    alert = one_alert(northside)
    client, where = client_of(northside), f"{ROOT}{alert.uid}/judge/"
    money = {"verdict": "real", "recovered": "51200.00", "recovered_on": "2026-04-20"}
    assert client.post(where, money, format="json").status_code == 200
    noise = {"verdict": "noise", "reason": "contract_change"}
    client_of(northside, Role.ADMIN).post(where, noise, format="json")

    ledger = client.get(f"{ROOT}recoveries/").json()
    assert ledger["recovered"] == "51200.00"
    assert ledger["months"] == [{"month": "2026-04-01", "recovered": "51200.00", "alerts": 1}]
    assert ledger["last_30_days"] == "0.00"
    assert ledger["kinds"] == [{"kind": "denial_rate", "real": 1, "noise": 1, "precision": 0.5}]
    assert ledger["rules"] == []
    assert told(northside)[-1] == "mute:judged_noise"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"verdict": "maybe"}, ("verdict", "invalid_choice")),
        ({"verdict": "real", "recovered": "12.00"}, ("recovered_on", "inconsistent")),
        ({"verdict": "real", "recovered": 12.5}, ("recovered", "invalid")),
        (
            {"verdict": "real", "recovered": "-1.00", "recovered_on": "2026-04-20"},
            ("recovered", "amount_negative"),
        ),
    ],
)
def test_a_judgment_that_cannot_be_kept(northside, client_of, sent, expected):
    alert = one_alert(northside)

    answer = client_of(northside).post(f"{ROOT}{alert.uid}/judge/", sent, format="json")

    assert errors(answer) == [expected]


def test_a_way_from_a_channel_to_a_mail(northside, client_of, mailbox):
    client = client_of(northside, Role.ADMIN)
    made = client.post(
        f"{ROOT}channels/",
        {"name": "Revenue", "kind": "email", "settings": {"to": ["ada@example.org"]}},
        format="json",
    )
    uid = made.json()["uid"]
    route = {"name": "All", "channels": [uid], "least_severity": "medium"}
    assert client.post(f"{ROOT}routes/", route, format="json").status_code == 201
    assert client.post(f"{ROOT}channels/{uid}/test/").json() == {"is_sent": True, "reason": ""}
    report(northside, signal("low", number=1), signal("high", number=2))
    notify_due(using=USING)

    assert [one["Subject"][:10] for one in mailbox.mails] == ["[low] test", "[high] Aet"]
    with enter(northside):
        assert b"ada@" not in bytes(Channel.objects.get().sealed_settings)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"kind": "pigeon"}, ("kind", "unknown_name")),
        ({"settings": {"to": []}}, ("settings", "config_invalid")),
        ({"settings": {"to": ["nobody"]}}, ("settings", "config_invalid")),
        ({"settings": {"to": ["a@b.org"], "cc": []}}, ("settings", "config_invalid")),
        ({"settings": {"to": "a@b.org"}}, ("settings", "config_invalid")),
        ({"name": "Taken"}, ("name", "unique")),
    ],
)
def test_a_channel_that_cannot_work(northside, client_of, add_channel, sent, expected):
    add_channel(northside, "Taken")
    whole = {"name": "New", "kind": "email", "settings": {"to": ["ada@example.org"]}, **sent}

    answer = client_of(northside, Role.ADMIN).post(f"{ROOT}channels/", whole, format="json")

    assert errors(answer) == [expected]


@pytest.mark.parametrize(
    ("sent", "attr"),
    [
        ({"channels": ["chn_nobody"]}, "channels"),
        ({"kinds": ["denail_rate"]}, "kinds.0"),
        ({"quiet_from": "20:00"}, "quiet_until"),
        ({"quiet_from": "20:00", "quiet_until": "20:00"}, "quiet_until"),
        ({"steps": [{"after_minutes": 5, "channels": ["chn_nobody"]}]}, "channels"),
        ({"repeat_hours": -1}, "repeat_hours"),
    ],
)
def test_a_route_that_leads_nowhere(northside, lakeview, client_of, add_channel, sent, attr):
    other = add_channel(lakeview)
    client = client_of(northside, Role.ADMIN)
    foreign = client.post(f"{ROOT}routes/", {"name": "x", "channels": [other.uid]}, format="json")
    answer = client.post(f"{ROOT}routes/", {"name": "x", "channels": [], **sent}, format="json")

    assert errors(foreign)[0][0] == "channels"
    assert errors(answer)[0][0] == attr


def test_a_silence_that_ends_early_lets_its_alerts_through(northside, mailed, client_of):
    client = client_of(northside)
    until = (timezone.now() + dt.timedelta(days=3)).isoformat()
    sent = {"payers": ["Aetna"], "ends_at": until, "reason": "New portal"}
    silence = client.post(f"{ROOT}silences/", sent, format="json").json()
    report(northside, signal())
    assert notify_due(using=USING).evaluated == 0

    ended = client.post(f"{ROOT}silences/{silence['uid']}/end/")
    assert ended.status_code == 200
    assert evaluate_due(now=timezone.now(), using=USING) == 1
    assert told(northside)[-1] == "notify:first"


@pytest.mark.parametrize(
    ("sent", "attr"),
    [
        ({"payers": []}, "payers"),
        ({"days": -1}, "ends_at"),
        ({"days": 91}, "ends_at"),
        ({"reason": ""}, "reason"),
    ],
)
def test_a_silence_has_an_object_a_reason_and_an_end(northside, client_of, sent, attr):
    until = timezone.now() + dt.timedelta(days=sent.pop("days", 3))
    whole = {"payers": ["Aetna"], "ends_at": until.isoformat(), "reason": "x", **sent}

    answer = client_of(northside).post(f"{ROOT}silences/", whole, format="json")

    assert errors(answer)[0][0] == attr


def test_roles(northside, client_of, add_channel):
    alert = one_alert(northside)
    viewer, analyst = client_of(northside, Role.VIEWER), client_of(northside)

    assert viewer.post(f"{ROOT}{alert.uid}/acknowledge/").status_code == 403
    assert viewer.post(f"{ROOT}silences/", {}).status_code == 403
    assert analyst.get(f"{ROOT}channels/").status_code == 403
    assert analyst.get(f"{ROOT}routes/").status_code == 200
    assert analyst.post(f"{ROOT}routes/", {}).status_code == 403


def test_what_belongs_to_others_does_not_exist(northside, lakeview, client_of, add_channel, mailed):
    alert, channel = one_alert(northside), add_channel(northside, "Secret")
    client = client_of(lakeview, Role.OWNER)

    for where in (alert.uid, f"channels/{channel.uid}", f"routes/{mailed.uid}"):
        assert client.get(f"{ROOT}{where}/").status_code == 404
    for act in ("acknowledge", "resolve", "judge", "comment", "assign"):
        assert client.post(f"{ROOT}{alert.uid}/{act}/", {}, format="json").status_code == 404
    assert client.get(ROOT).json()["results"] == []
    assert client.get(f"{ROOT}recoveries/").json()["recovered"] == "0.00"


RULE = {
    "name": "Dear",
    "metric": "dollars_per_month",
    "comparison": "at_least",
    "threshold": "40000.00",
    "severity": "critical",
}


def test_rules_decide_how_severe_and_whether(northside, client_of):
    client = client_of(northside, Role.ADMIN)
    assert client.post(f"{ROOT}rules/", RULE, format="json").status_code == 201
    cheap = {**RULE, "name": "Cheap", "comparison": "below", "threshold": "100.00", "severity": ""}
    assert client.post(f"{ROOT}rules/", cheap, format="json").status_code == 201

    report(northside, signal("low", number=1), signal("low", number=2, dollars_per_month=9_999))
    with enter(northside):
        assert [(one.fingerprint, one.severity) for one in Alert.objects.all()] == [
            ("fp-1", "critical")
        ]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"metric": "dolars"}, ("metric", "invalid_choice")),
        ({"comparison": "equals"}, ("comparison", "invalid_choice")),
        ({"severity": "fatal"}, ("severity", "invalid_choice")),
        ({"threshold": "NaN"}, ("threshold", "invalid")),
        ({"kinds": ["denail_rate"]}, ("kinds.0", "invalid_choice")),
    ],
)
def test_a_rule_that_could_never_fire_is_an_error_when_it_is_saved(
    northside, client_of, sent, expected
):
    answer = client_of(northside, Role.ADMIN).post(f"{ROOT}rules/", {**RULE, **sent}, format="json")

    assert errors(answer) == [expected]


def test_a_preview_says_what_a_rule_would_have_done(northside, client_of, monkeypatch):
    client = client_of(northside, Role.ADMIN)

    told = client.post(f"{ROOT}rules/preview/", RULE, format="json").json()

    assert told == {"days": 90, "fired": 0, "alerts": 0, "findings": []}
    assert client.get(f"{ROOT}rules/").json()["results"] == []


def test_a_preview_counts_what_other_rooms_reported(northside, client_of):
    client = client_of(northside, Role.ADMIN)
    for number, percent in enumerate((2.0, 8.0, 30.0)):
        about = {"source": "claims", "kind": "rejected_rows", "payer": "", "figure": percent}
        report(northside, signal(number=number, **about))
    rule = {**RULE, "metric": "figure", "threshold": "5", "kinds": ["rejected_rows"]}

    told = client.post(f"{ROOT}rules/preview/", rule, format="json").json()

    assert (told["fired"], told["alerts"]) == (2, 3)
    assert {one["kind"] for one in told["findings"]} == {"rejected_rows"}


def test_precision_is_told_per_rule(northside, client_of):
    client = client_of(northside, Role.ADMIN)
    uid = client.post(f"{ROOT}rules/", RULE, format="json").json()["uid"]
    report(northside, signal("low", number=1), signal("low", number=2))
    with enter(northside):
        for alert, verdict in zip(Alert.objects.all(), ("real", "noise"), strict=True):
            where = f"{ROOT}{alert.uid}/judge/"
            client.post(where, {"verdict": verdict}, format="json")

    told = client.get(f"{ROOT}recoveries/").json()["rules"]

    assert told == [{"rule": uid, "name": "Dear", "real": 1, "noise": 1, "precision": 0.5}]


def test_a_clear_threshold_that_is_harder_to_reach_is_an_error(northside, client_of):
    client = client_of(northside, Role.ADMIN)
    sent = {**RULE, "clear_threshold": "50000.00"}
    assert errors(client.post(f"{ROOT}rules/", sent, format="json"))[0][0] == "clear_threshold"

    made = client.post(f"{ROOT}rules/", {**RULE, "clear_threshold": "30000.00"}, format="json")
    where, match = f"{ROOT}rules/{made.json()['uid']}/", {"If-Match": made["ETag"]}
    wrong = client.patch(where, {"threshold": "20000.00"}, format="json", headers=match)
    assert errors(wrong)[0][0] == "clear_threshold"


@pytest.mark.parametrize("what", ["channels", "routes", "rules", "digests"])
def test_a_change_is_based_on_what_is_there(northside, client_of, add_channel, what):
    client, channel = client_of(northside, Role.ADMIN), add_channel(northside, "Other")
    body = {
        "channels": {"name": "One", "kind": "log", "settings": {}},
        "routes": {"name": "One", "channels": [channel.uid]},
        "rules": {**RULE, "name": "One"},
        "digests": {"name": "One", "channels": [channel.uid], "at": "07:00"},
    }[what]
    made = client.post(f"{ROOT}{what}/", body, format="json")
    assert made.status_code == 201, made.content
    where = f"{ROOT}{what}/{made.json()['uid']}/"
    etag = client.get(where)["ETag"]
    assert made["ETag"] == etag

    def rename(name, **headers):
        return client.patch(where, {"name": name}, format="json", headers=headers)

    assert rename("Two").status_code == 428
    changed = rename("Two", **{"If-Match": etag})
    assert (changed.status_code, changed.json()["name"]) == (200, "Two")
    assert rename("Three", **{"If-Match": etag}).status_code == 412
    assert rename("Three", **{"If-Match": changed["ETag"]}).status_code == 200


def test_a_new_secret_is_a_change(northside, client_of):
    client = client_of(northside, Role.ADMIN)
    to = {"name": "One", "kind": "email", "settings": {"to": ["ada@example.org"]}}
    made = client.post(f"{ROOT}channels/", to, format="json")
    where = f"{ROOT}channels/{made.json()['uid']}/"
    other = {"settings": {"to": ["eve@example.org"]}}

    changed = client.patch(where, other, format="json", headers={"If-Match": made["ETag"]})

    assert changed["ETag"] != made["ETag"]


@pytest.mark.parametrize(
    ("sent", "attr"),
    [
        ({"channels": []}, "channels"),
        ({"channels": ["chn_nobody"]}, "channels"),
        ({"every": "hour"}, "every"),
        ({"weekday": 7}, "weekday"),
        ({"at": "25:00"}, "at"),
    ],
)
def test_a_digest_that_nobody_could_get(northside, client_of, add_channel, sent, attr):
    whole = {"name": "One", "channels": [add_channel(northside).uid], "at": "07:00", **sent}

    answer = client_of(northside, Role.ADMIN).post(f"{ROOT}digests/", whole, format="json")

    assert errors(answer)[0][0] == attr


def test_pagers_get_no_digests(northside, client_of, add_channel):
    pager = add_channel(northside, "Pager", "pagerduty")
    sent = {"name": "One", "channels": [pager.uid], "at": "07:00"}

    answer = client_of(northside, Role.ADMIN).post(f"{ROOT}digests/", sent, format="json")

    assert errors(answer)[0][0] == "channels"
