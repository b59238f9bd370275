"""The OpenAPI document against a running server: schemathesis asks what no person would."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest
from django.db import connection
from django.urls import include, path

from claimkit_django.accounts.rest import TokenViewSet
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

[[operations]]
include-path = "/api/v1/memberships/"
include-method = "POST"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "403", "409", "422"]

[[operations]]
include-path = "/api/v1/tenants/{key}/"
include-method = "PATCH"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "403", "404", "412"]
"""


@pytest.fixture
def server(settings, live_server, request, monkeypatch):
    """Serve two tenants without limits; passwords are cheap to check."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    for view in (RunViewSet, MembershipViewSet, TokenViewSet):
        monkeypatch.setattr(view, "rates", {})
    rates = ("read_rate", "write_rate", "anonymous_rate", "refused_rate")
    settings.CLAIMKIT = {"REST": dict.fromkeys(rates, "")}
    request.getfixturevalue("world")
    return live_server.url


@pytest.mark.parametrize("role", ["owner", "viewer"])
def test_schemathesis_finds_nothing(server, role, tmp_path):
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run"),
            f"{server}/api/v1/schema/?format=json",
            *("--checks", "all", "--max-examples", EXAMPLES, "--seed", "20260406"),
            *("--phases", "examples,coverage,fuzzing", "--generation-database", "none"),
            *("--suppress-health-check", "all", "--request-timeout", "20", "--no-color"),
            *("--auth", f"{role}@northside:x", "--continue-on-failure"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
