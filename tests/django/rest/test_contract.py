"""The OpenAPI document against a running server: schemathesis asks what no person would."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import subprocess
import sys
import urllib.request

import pytest
from django.core.servers.basehttp import WSGIRequestHandler
from django.db import connection
from django.urls import include, path
from pytest_django.live_server_helper import LiveServer

from claimkit.tenants import Role
from claimkit_django.accounts.rest import TokenViewSet
from claimkit_django.alerts.rest_rules import RuleViewSet
from claimkit_django.drift.rest_runs import RunViewSet
from claimkit_django.tenants.rest_members import MembershipViewSet

pytestmark = [
    pytest.mark.urls(__name__),
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("schemathesis") is None,
        reason="schemathesis is not installed; `tox run -e contract` brings it",
    ),
    pytest.mark.skipif(
        connection.vendor == "sqlite", reason="a server of many threads wants PostgreSQL"
    ),
]

urlpatterns = [path("", include("claimkit_django.urls"))]

#: Examples per operation; the full run of tox sets it to more.
EXAMPLES = os.environ.get("CLAIMKIT_CONTRACT_EXAMPLES", "10")


#: What is in the data, and what a schema cannot say: a cursor comes from a page, a change is based
#: on what was read, and some names are of people or places that there are or are not.
CONFIG = """
[parameters]
"query.cursor" = ""
"query.payer" = "Aetna"
"query.procedure_group" = "Imaging: MRI"

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "412", "422"]

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "412", "415", "422", "428"]

[checks.missing_required_header]
expected-statuses = ["400", "401", "403", "404", "406", "415", "428"]
"""


#: Members of different tenants: what one of them may read, no other may.
PEERS = ("owner@northside", "owner@southside", "owner@westside")


@pytest.fixture
def server(settings, transactional_db, request, monkeypatch):
    """Serve three tenants full of everything, without limits; passwords are cheap to check."""
    settings.ALLOWED_HOSTS = ["localhost"]
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    for view in (RunViewSet, MembershipViewSet, RuleViewSet, TokenViewSet):
        monkeypatch.setattr(view, "rates", {})
    rates = ("read_rate", "write_rate", "anonymous_rate", "refused_rate")
    settings.CLAIMKIT = {"REST": dict.fromkeys(rates, "")}
    world = request.getfixturevalue("world")
    for house in (world.north, world.south, request.getfixturevalue("west")):
        house.furnish()
    # Headers leave in many small pieces, each of which waited 40 ms for the one before it.
    monkeypatch.setattr(WSGIRequestHandler, "disable_nagle_algorithm", True)
    # Not the fixture: that one may run since before this test said which middleware there is.
    serving = LiveServer("localhost")
    yield serving.url
    serving.stop()


def ask(server, folder, *told, config=""):
    """Run schemathesis with all its checks; return what it says, where it finds anything."""
    (folder / "schemathesis.toml").write_text(CONFIG + config)
    # Fetched here: schemathesis waits for ten seconds, which a busy machine does not keep to.
    with urllib.request.urlopen(f"{server}/api/v1/schema/?format=json", timeout=300) as document:
        (folder / "openapi.json").write_bytes(document.read())
    with (folder / "told.txt").open("w+") as said:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run"),
                *("openapi.json", "--url", server),
                *("--checks", "all", "--max-examples", EXAMPLES, "--seed", "20260406"),
                *("--generation-database", "none", "--suppress-health-check", "all"),
                *("--request-timeout", "20", "--no-color", "--continue-on-failure"),
                *told,
            ],
            cwd=folder,
            stdout=said,
            stderr=subprocess.STDOUT,
            check=False,
        )
        said.seek(0)
        return "" if done.returncode == 0 else said.read()


@pytest.mark.parametrize("role", Role)
def test_schemathesis_finds_nothing(server, role, tmp_path):
    told = ("--phases", "examples,coverage,fuzzing", "--auth", f"{role.value}@northside:x")

    _refuse(ask(server, tmp_path, *told))


def test_schemathesis_finds_nothing_of_another_tenant(server, tmp_path):
    """Three people in turn, following links from what one of them sees to what another gets."""
    people = [
        {
            "name": one,
            "fixedHeaders": [
                {
                    "name": "Authorization",
                    "value": f"Basic {base64.b64encode(f'{one}:x'.encode()).decode()}",
                }
            ],
        }
        for one in PEERS
    ]
    (tmp_path / "people.json").write_text(json.dumps({"auth": people}))
    peers = f"""
[auth.wfc]
path = "people.json"
peers = {json.dumps(PEERS)}
"""

    _refuse(ask(server, tmp_path, "--phases", "examples,fuzzing,stateful", config=peers))


def _refuse(found):
    """Fail with the whole of what was found: a comparison would show its first lines."""
    if found:
        pytest.fail(found, pytrace=False)
