from __future__ import annotations

import datetime as dt

import pytest

from claimkit.testing.factories import make_batch, make_claim
from claimkit.types import TenantKey
from claimkit_django.claims import tasks
from claimkit_django.claims.mappings import payer_suggestions
from claimkit_django.claims.models import MappingVersion
from claimkit_django.runtime import open_store
from claimkit_django.tenants.scope import enter

pytestmark = pytest.mark.django_db

URL = "/dashboard/mappings/"
NORTHSIDE = TenantKey("northside")


@pytest.fixture
def two_spellings(northside, monkeypatch):
    """Claims of one payer under two names; rules are put in force at once."""
    monkeypatch.setattr(tasks, "shared_task", None)
    names = ["BLUE LAKE MUTUAL"] * 5 + ["BLUE LAKE MUTAL"]
    claims = [
        make_claim(patient_control_number=f"SPIP{number}", payer=name, payer_name=name, payer_id="")
        for number, name in enumerate(names)
    ]
    open_store().claims.add(
        NORTHSIDE, make_batch(claims), upload="upl_x", known_on=dt.date(2026, 3, 1)
    )


def rule(value, target, **values):
    return {"subject": "payer", "match": "exact", "value": value, "target": target, **values}


@pytest.fixture
def decide(browse, northside, django_capture_on_commit_callbacks):
    browser = browse(northside)

    def send(values):
        # What starts with the commit is done before the next page is asked for.
        with django_capture_on_commit_callbacks(execute=True):
            sent = browser.post(f"{URL}rules/", values)
        return sent if sent.status_code == 422 else browser.get(sent.headers["Location"])

    return send


def test_a_suggestion_is_accepted(northside, browse, two_spellings, decide, text_of):
    assert "is BLUE LAKE MUTUAL" in text_of(browse(northside, "admin").get(URL))

    page = decide(rule("BLUE LAKE MUTAL", "BLUE LAKE MUTUAL"))

    assert "BLUE LAKE MUTAL is called BLUE LAKE MUTUAL from now on." in text_of(page)
    with enter(northside):
        version = MappingVersion.objects.get()
    assert (version.status, version.claims_changed) == ("applied", 1)
    assert payer_suggestions(NORTHSIDE) == []


def test_a_suggestion_is_rejected_and_never_comes_again(two_spellings, decide, text_of):
    page = decide(rule("BLUE LAKE MUTAL", "BLUE LAKE MUTAL"))

    assert "BLUE LAKE MUTAL stays a name of its own." in text_of(page)
    assert page.context["suggestions"] == []
    assert page.context["in_force"].claims_changed == 0


def test_a_further_rule_keeps_those_before_and_takes_the_place_of_one_about_the_same(
    northside, two_spellings, decide
):
    decide(rule("BLUE LAKE MUTAL", "BLUE LAKE MUTUAL"))
    decide(rule("72", "imaging", subject="procedure_group", match="prefix"))
    page = decide(rule("Blue Lake Mutal", "BLM"))

    kept = [(one["value"], one["target"]) for one in page.context["in_force"].rules]
    assert kept == [("72", "imaging"), ("Blue Lake Mutal", "BLM")]


def test_a_rule_that_makes_no_sense_is_told(two_spellings, decide, text_of):
    page = decide(rule("100", "imaging", match="range", last="200"))

    assert page.status_code == 422
    assert "Payers have names and ids, no ranges" in text_of(page)


def test_an_earlier_version_comes_back(northside, browse, two_spellings, decide, text_of):
    decide(rule("BLUE LAKE MUTAL", "BLUE LAKE MUTUAL"))
    decide(rule("BLUE LAKE MUTUAL", "BLM"))
    with enter(northside):
        first = MappingVersion.objects.get(number=1)

    page = browse(northside, "admin").post(f"{URL}{first.uid}/restore/", follow=True)

    assert "The rules of version 1 come back." in text_of(page)
    with enter(northside):
        assert MappingVersion.objects.get(number=3).rules == first.rules


def test_viewers_see_and_decide_nothing(northside, browse, two_spellings, text_of):
    viewer = browse(northside, "viewer")

    assert "perhaps BLUE LAKE MUTUAL" in text_of(viewer.get(URL))
    assert viewer.post(f"{URL}rules/", rule("A", "B")).status_code == 403
