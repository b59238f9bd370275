"""Health over HTTP: who is told what, and when it is a 503."""

from __future__ import annotations

import json
import threading

import pytest
from django.core.management import call_command
from django.urls import reverse

from claimkit.ops.health import Examiner, Status, Vital
from claimkit_django.ops import health


class Looks:
    def __init__(self, name, status=Status.OK):
        self.name, self._found = (
            name,
            Vital(status=status, note="nobody sends", figures={"due": 7}),
        )

    def look(self):
        return self._found


@pytest.fixture
def found(ops, monkeypatch):
    """Let a site have checks of which so many are not well."""

    def make(**statuses):
        checks = [Looks(name.replace("__", ":"), Status(one)) for name, one in statuses.items()]
        monkeypatch.setattr(health._made, "_examiner", Examiner(checks, seconds=10))

    return make


def test_a_living_process_says_so_without_asking_anything(client, django_assert_num_queries, db):
    with django_assert_num_queries(0):
        answer = client.get("/livez")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer["Cache-Control"] == "no-store"
    assert client.head("/livez").status_code == 200
    assert client.post("/livez").status_code == 405


@pytest.mark.parametrize(
    ("statuses", "ready", "healthy"),
    [
        ({"database": "ok", "disk": "ok"}, 200, 200),
        ({"database": "failing", "disk": "ok"}, 503, 503),
        ({"database": "ok", "disk": "failing"}, 200, 503),
        ({"database": "degraded", "disk": "degraded"}, 200, 200),
        ({"database": "ok", "database__replica": "failing"}, 503, 503),
        ({"cache": "failing"}, 503, 503),
        ({"migrations": "failing"}, 503, 503),
        ({"row_security": "failing"}, 503, 503),
    ],
)
def test_what_is_not_well_is_a_503_where_it_matters(client, found, statuses, ready, healthy):
    found(**statuses)

    assert client.get("/readyz").status_code == ready
    assert client.get("/health/").status_code == healthy


def test_a_site_says_what_it_cannot_do_without(client, found, ops):
    ops(READY=["disk"])
    found(database="failing", disk="ok")

    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("path", ["/readyz", "/health/"])
def test_strangers_are_told_the_status_alone(client, found, path):
    found(database="failing")

    assert client.get(path).json() == {"status": "failing"}
    wrong = {"Authorization": "Bearer wrong"}
    assert client.get(path, headers=wrong).json() == {"status": "failing"}


def test_bearers_are_told_details(client, found, bearer):
    found(database="failing")
    told = client.get("/health/", headers=bearer).json()["checks"]["database"]

    assert (told["status"], told["note"], told["figures"]) == (
        "failing",
        "nobody sends",
        {"due": 7},
    )


def test_an_old_token_still_opens_and_an_empty_one_never(client, found, ops):
    ops(TOKENS=["new-" + "n" * 20, "old-" + "o" * 20])
    found(database="ok")

    assert (
        "checks"
        in client.get("/health/", headers={"Authorization": "bearer old-" + "o" * 20}).json()
    )
    ops(TOKENS=[""])
    found(database="ok")
    for value in ("Bearer ", "Bearer", "Basic eDp5", "Bearer \u00e9"):
        assert "checks" not in client.get("/health/", HTTP_AUTHORIZATION=value).json()


@pytest.mark.parametrize(("staff", "active", "told"), [(True, True, True), (False, True, False)])
def test_staff_is_told_details(client, found, make_member, northside, staff, active, told):
    found(database="ok")
    client.force_login(make_member("gaston", is_staff=staff, is_active=active))

    assert ("checks" in client.get("/health/").json()) == told


@pytest.mark.parametrize(
    ("networks", "address", "told"),
    [
        (["192.0.2.0/24"], "192.0.2.7", True),
        (["192.0.2.0/24"], "198.51.100.7", False),
        (["192.0.2.0/24"], "::ffff:192.0.2.7", True),
        (["2001:db8::/32"], "2001:db8::7", True),
        (["2001:db8::/32"], "192.0.2.7", False),
        (["192.0.2.0/24"], "", False),
        ([], "192.0.2.7", False),
    ],
)
def test_chosen_networks_are_told_details(client, found, ops, networks, address, told):
    ops(ALLOWED_NETWORKS=networks)
    found(database="ok")

    assert ("checks" in client.get("/health/", REMOTE_ADDR=address).json()) == told


def test_a_header_does_not_make_a_caller_near(client, found, ops, settings):
    ops(ALLOWED_NETWORKS=["192.0.2.0/24"])
    found(database="ok")
    headers = {"X-Forwarded-For": "192.0.2.7"}

    assert (
        "checks" not in client.get("/health/", REMOTE_ADDR="198.51.100.7", headers=headers).json()
    )


@pytest.mark.django_db(transaction=True)
def test_a_real_site_is_ready_and_well(client, ops, bearer):
    answer = client.get("/readyz", headers=bearer)

    assert answer.status_code == 200, answer.json()
    assert {"database", "cache", "migrations"} <= answer.json()["checks"].keys()
    assert "disk" not in answer.json()["checks"]
    before = threading.active_count()
    told = client.get("/health/", headers=bearer).json()
    assert {"broker", "disk", "webhooks", "alerts"} <= told["checks"].keys()
    assert threading.active_count() <= before


def test_names_of_the_addresses():
    names = ("livez", "readyz", "health")

    assert [reverse(f"claimkit_ops:{one}") for one in names] == ["/livez", "/readyz", "/health/"]


# -- the command --------------------------------------------------------------------------------


def test_the_command_tells_each_check(found, capsys):
    found(database="ok", disk="degraded")
    call_command("claimkit_health")

    assert capsys.readouterr().out.splitlines() == [
        "ok        database: nobody sends, due 7".replace("sends, ", "sends; "),
        "degraded  disk: nobody sends; due 7",
    ]


def test_the_command_fails_where_something_does(found, capsys):
    found(database="ok", disk="failing")

    with pytest.raises(SystemExit) as ended:
        call_command("claimkit_health", "--format", "json")
    told = json.loads(capsys.readouterr().out)
    assert ended.value.code == 1
    assert (told["status"], told["checks"]["disk"]["status"]) == ("failing", "failing")
    call_command("claimkit_health", "--ready", "--format", "json")
    assert json.loads(capsys.readouterr().out)["checks"].keys() == {"database"}
