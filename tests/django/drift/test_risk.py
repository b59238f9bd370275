"""The risk of planned claims on a site: under the tenant's own names, over HTTP and by command."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.cache import caches
from django.core.management import CommandError, call_command
from django.urls import include, path
from django.utils import timezone
from rest_framework.test import APIClient

from claimkit.claims.procedures import procedure_group
from claimkit.drift.cube import DECISIONS, Cells
from claimkit.tenants import Role
from claimkit.types import TenantKey, day_of
from claimkit_django.automation.models import Execution, Rule
from claimkit_django.claims.models import MappingVersion
from claimkit_django.runtime import open_store
from claimkit_django.tenants.scope import enter

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]
urlpatterns = [path("", include("claimkit_django.urls"))]

ROOT = "/api/v1/drift/risk/"
GROUP = procedure_group("74177")
ASKED = {"reference": "A-1007", "payer": "Lake Mutual", "procedure_group": GROUP}


@pytest.fixture(autouse=True)
def _no_one_counted_yet():
    caches["default"].clear()


@pytest.fixture
def told(northside):
    """Fill the cube: 30 weeks, of each of two payers 50 decisions, of which 15 or 5 denials."""
    today = day_of(timezone.now().date())
    rows = [
        (payer, outcome, reason, today - 7 * week, count)
        for week in range(1, 31)
        for payer, denied in (("LAKE MUTUAL", 15), ("BOREAL HMO", 5))
        for outcome, reason, count in (("paid", "", 50 - denied), ("bundling", "CO-97", denied))
    ]
    payer, outcome, reason, decided, claims = zip(*rows, strict=True)
    zero = [0] * len(rows)
    cells = Cells.from_columns(
        DECISIONS,
        labels={
            "payer": payer,
            "procedure_group": [GROUP] * len(rows),
            "outcome": outcome,
            "reason": reason,
        },
        numbers={"decided_day": decided, "age_days": [9] * len(rows)},
        measures={"claims": claims, "charge": zero, "allowed": zero, "paid": zero},
    )
    open_store().cube.post(TenantKey("northside"), cells.known_on(today))
    return northside


@pytest.fixture
def client(told, make_member):
    client = APIClient()
    client.force_authenticate(make_member("ada", (told, Role.ANALYST)))
    return client


def ask(client, *claims, **values):
    return client.post(ROOT, {"claims": claims or [ASKED], **values}, format="json")


def test_a_claim_is_scored_from_the_tenants_own_decisions(client):
    (found,) = ask(client).json()["scores"]

    assert found["payer"] == "LAKE MUTUAL"
    assert found["state"] == "scored"
    assert found["probability"] == pytest.approx(0.3, abs=0.02)
    assert found["interval"][0] < found["probability"] < found["interval"][1]
    assert (found["claims"], found["denied"]) == (1500, 450)
    assert found["codes"] == [{"code": "CO-97", "share": 1.0}]
    assert found["reasons"][0].startswith("LAKE MUTUAL denied 450 of 1,500 (30.0 %)")


def test_a_code_finds_its_group_and_a_payer_that_nobody_knows_gets_no_number(client):
    answer = ask(
        client,
        {"reference": "1", "payer": "lake mutual, inc.", "procedure_code": "74177"},
        {"reference": "2", "payer": "Dipper"},
    )
    first, second = answer.json()["scores"]

    assert (first["procedure_group"], first["claims"]) == (GROUP, 1500)
    assert (second["state"], second["probability"]) == ("too_little_history", None)


def test_payers_go_by_the_names_that_the_tenant_gave_them(client, told):
    rule = {"subject": "payer", "match": "exact", "value": "LM Health", "target": "LAKE MUTUAL"}
    with enter(told):
        MappingVersion.objects.create(
            number=1, rules=[rule], status="applied", finished_at=timezone.now()
        )

    (found,) = ask(client, {**ASKED, "payer": "LM Health"}).json()["scores"]

    assert (found["payer"], found["claims"]) == ("LAKE MUTUAL", 1500)


def test_scoring_is_a_fixed_number_of_queries(client, django_assert_max_num_queries):
    many = [{**ASKED, "reference": str(one)} for one in range(300)]
    ask(client)

    with django_assert_max_num_queries(16):
        answer = ask(client, *many)

    assert len(answer.json()["scores"]) == 300


@pytest.mark.parametrize(
    ("wrong", "attr"),
    [
        ({"payer": ""}, "claims.0.payer"),
        ({"reference": "Mary Smith"}, "claims.0.reference"),
        ({"charge": 12.5}, "claims.0.charge"),
        ({"has_authorization": "perhaps"}, "claims.0.has_authorization"),
    ],
)
def test_a_claim_that_cannot_be_scored_is_refused(client, wrong, attr):
    answer = ask(client, {**ASKED, **wrong})

    assert answer.status_code == 400
    assert [one["attr"] for one in answer.json()["errors"]] == [attr]
    assert "Mary" not in answer.content.decode()


def test_viewers_do_not_score(told, make_member):
    client = APIClient()
    client.force_authenticate(make_member("vic", (told, Role.VIEWER)))

    assert ask(client).status_code == 403
    assert client.get(f"{ROOT}calibration/").status_code == 200


def test_rules_see_a_score_only_where_they_shall(client, told):
    with enter(told):
        Rule.objects.create(
            name="Risky ones",
            topic="drift.risk_scored",
            conditions=[{"fact": "denial_risk", "operator": "at_least", "operand": 0.2}],
            action="hold_for_review",
            settings={"text": "Look at it before it is sent", "due_days": 1},
            mode="automatic",
        )

    ask(client)
    with enter(told):
        assert not Execution.objects.exists()

    ask(client, {**ASKED, "charge": "1830.00"}, {**ASKED, "payer": "Boreal HMO"}, tell_rules=True)

    with enter(told):
        (line,) = Execution.objects.all()
    assert (line.subject, line.result) == ("A-1007", "success")
    assert line.facts["denial_risk"] == pytest.approx(0.3, abs=0.02)
    assert line.facts["dollars"] == 1830.0


def test_more_claims_than_rules_are_told_of_are_refused(client):
    answer = ask(client, *([ASKED] * 101), tell_rules=True)

    assert answer.status_code == 422


def test_calibration_is_told_with_its_parts(client):
    found = client.get(f"{ROOT}calibration/").json()["calibration"]

    assert found["claims"] == 1200
    assert found["skill"] > 0
    parts = found["reliability"] - found["resolution"] + found["uncertainty"] + found["within"]
    assert found["brier"] == pytest.approx(parts)
    assert sum(one["claims"] for one in found["bins"]) == 1200


def test_too_little_history_has_no_calibration(lakeview, make_member):
    client = APIClient()
    client.force_authenticate(make_member("eve", (lakeview, Role.VIEWER)))

    assert client.get(f"{ROOT}calibration/").json() == {"calibration": None}


@pytest.fixture
def planned(tmp_path):
    where = tmp_path / "planned.csv"
    where.write_text(
        "Claim ID,Payer,DOS,CPT,Billed\nB-1,Lake Mutual,2026-03-02,74177,900.00\n", "utf-8"
    )
    return where


def test_a_file_of_planned_claims_is_scored_by_command(told, planned):
    out, plain = StringIO(), StringIO()
    call_command("claimkit_risk", planned, tenant="northside", calibration=True, stdout=out)
    call_command("claimkit_risk", planned, tenant="northside", format="json", stdout=plain)

    assert out.getvalue().startswith("B-1: 29.9 %")
    assert "1,200 decisions from" in out.getvalue()
    (score,) = json.loads(plain.getvalue())["scores"]
    assert score["claim"]["reference"] == "B-1"


def test_a_file_that_cannot_be_read_is_told(told, tmp_path):
    with pytest.raises(CommandError, match="No such file"):
        call_command("claimkit_risk", tmp_path / "gone.csv", tenant="northside")
