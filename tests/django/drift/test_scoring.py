"""Claims that an EHR sends are scored without being asked, for rules to act on."""

from __future__ import annotations

import json

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from claimkit.claims.procedures import procedure_group
from claimkit.drift.cube import DECISIONS, Cells
from claimkit.types import TenantKey, day_of
from claimkit_django.automation.models import Execution, Rule, Work
from claimkit_django.claims.intake import run_import
from claimkit_django.claims.models import Claim, Upload
from claimkit_django.claims.uids import claim_uid
from claimkit_django.drift import tasks
from claimkit_django.drift.risk import score_upload
from claimkit_django.runtime import open_store
from claimkit_django.tenants.scope import enter

pytestmark = pytest.mark.django_db

NORTHSIDE = TenantKey("northside")


@pytest.fixture(autouse=True)
def _here_and_now(settings, tmp_path, monkeypatch):
    settings.MEDIA_ROOT = tmp_path
    monkeypatch.setattr(tasks, "shared_task", None)


@pytest.fixture
def history(northside):
    """Thirty weeks in which LAKE MUTUAL denied 15 of 50 office visits a week."""
    today = day_of(timezone.now().date())
    weeks = [today - 7 * week for week in range(1, 31)]
    cells = Cells.from_columns(
        DECISIONS,
        labels={
            "payer": ["LAKE MUTUAL"] * 60,
            "procedure_group": [procedure_group("99214")] * 60,
            "outcome": ["paid", "bundling"] * 30,
            "reason": ["", "CO-97"] * 30,
        },
        numbers={"decided_day": sorted(weeks * 2), "age_days": [9] * 60},
        measures={
            "claims": [35, 15] * 30,
            **{name: [0] * 60 for name in ("charge", "allowed", "paid")},
        },
    )
    open_store().cube.post(NORTHSIDE, cells.known_on(today))
    return northside


@pytest.fixture
def rule(history):
    with enter(history):
        return Rule.objects.create(
            name="look at what will be denied",
            topic="drift.risk_scored",
            conditions=[{"fact": "denial_risk", "operator": "at_least", "operand": 0.2}],
            action="hold_for_review",
            settings={"text": "Likely to be denied"},
            mode="automatic",
        )


def claim(number, payer="LAKE MUTUAL"):
    return {
        "resourceType": "Claim",
        "identifier": [{"value": number}],
        "status": "active",
        "use": "claim",
        "type": {"coding": [{"code": "professional"}]},
        "patient": {"display": "Marsupilami Franquin"},
        "created": timezone.localdate().isoformat(),
        "insurer": {"display": payer},
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"reference": "Coverage/1"}}],
        "item": [
            {
                "sequence": 1,
                "productOrService": {"coding": [{"code": "99214"}]},
                "servicedDate": timezone.localdate().isoformat(),
                "net": {"value": 320, "currency": "USD"},
            }
        ],
        "total": {"value": 320, "currency": "USD"},
    }


def send(tenant, *claims, source="fhir"):
    body = json.dumps({"resourceType": "Bundle", "entry": [{"resource": one} for one in claims]})
    with enter(tenant):
        upload = Upload.objects.create(
            file=ContentFile(body.encode(), "intake.json"),
            name="intake.json",
            bytes_total=len(body),
            reader="fhir",
            source=source,
            known_on=timezone.localdate(),
        )
    return run_import(NORTHSIDE, upload.uid)


@pytest.mark.django_db(transaction=True)
def test_what_an_ehr_sends_is_scored_and_held_by_a_rule(history, rule):
    send(history, claim("PCN-1"), claim("PCN-2", payer="NOBODY KNOWS ME"))

    with enter(history):
        (held,) = Work.objects.all()
        known = Claim.objects.get(patient_control_number="PCN-1")
    assert (held.kind, held.text) == ("hold", "Likely to be denied")
    # Under its public name: the number is the EHR's, and no one's business here.
    assert held.subject == claim_uid(known.claim_key)


@pytest.mark.django_db(transaction=True)
def test_the_same_again_changes_nothing(history, rule):
    upload = send(history, claim("PCN-1"))

    assert score_upload(NORTHSIDE, upload.uid) == 1
    send(history, claim("PCN-1"))
    with enter(history):
        assert Execution.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_files_of_other_sources_are_left_alone(history, rule, settings):
    upload = send(history, claim("PCN-1"), source="api")
    assert score_upload(NORTHSIDE, upload.uid) == 0

    settings.CLAIMKIT = {**settings.CLAIMKIT, "DRIFT": {"SCORE_SOURCES": []}}
    send(history, claim("PCN-2"))
    with enter(history):
        assert not Execution.objects.exists()


def test_queries_do_not_grow_with_the_claims(history, django_assert_max_num_queries):
    """Where no rule listens, a batch costs as much as a claim."""
    few = send(history, *(claim(f"PCN-{at}") for at in range(3)))
    many = send(history, *(claim(f"MANY-{at}") for at in range(40)))

    with django_assert_max_num_queries(20):
        assert score_upload(NORTHSIDE, few.uid) == 3
    with django_assert_max_num_queries(20):
        assert score_upload(NORTHSIDE, many.uid) == 40
