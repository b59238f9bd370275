"""The queue of approvals, the rules and their log, as pages."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from claimkit.automation.rules import Mode
from claimkit_django.automation.models import Approval, Execution, Rule, Work
from claimkit_django.tenants.scope import enter

pytestmark = pytest.mark.django_db
PAGE = "/dashboard/automation/"


@pytest.fixture
def rule(northside):
    with enter(northside):
        return Rule.objects.create(
            name="Call about denials",
            topic="drift.detected",
            action="create_task",
            settings={"text": "Call the payer"},
            mode=Mode.APPROVAL.value,
        )


@pytest.fixture
def ask(northside, rule):
    """Let the rule ask about an event."""

    def make(key, **values):
        with enter(northside):
            return Approval.objects.create(
                rule=rule.uid,
                rule_name=rule.name,
                action=rule.action,
                settings=rule.settings,
                topic=rule.topic,
                event_key=key,
                subject=f"finding-{key}",
                facts={"payer": "MERIDIAN", "dollars_per_month": 48_210.5, "age_days": None},
                **{"asked_at": timezone.now(), **values},
            )

    return make


def test_what_waits_is_shown_with_what_the_rule_saw_oldest_first(northside, browse, ask, text_of):
    ask("late")
    ask("early", asked_at=timezone.now() - dt.timedelta(hours=3))

    page = browse(northside).get(PAGE)

    keys = [one["row"].event_key for one in page.context["waiting"]]
    assert keys == ["early", "late"]
    assert "payer MERIDIAN · dollars per month 48,210.5" in text_of(page)
    assert "age days" not in text_of(page)


def test_a_yes_does_it_and_a_second_one_is_told(northside, browse, ask, text_of):
    row = ask("one")
    browser = browse(northside)

    done = browser.post(f"{PAGE}{row.uid}/approve/", {"note": "agreed"}, follow=True)
    again = browser.post(f"{PAGE}{row.uid}/approve/", follow=True)

    assert "Approved." in text_of(done)
    assert "Approved." not in text_of(again)
    with enter(northside):
        kept = Approval.objects.get()
        assert (kept.state, kept.note) == (Approval.State.APPROVED, "agreed")
        assert kept.actor
        assert Work.objects.get().text == "Call the payer"
    assert "Done" in text_of(browser.get(PAGE))


def test_a_no_does_nothing(northside, browse, ask):
    row = ask("one")

    browse(northside).post(f"{PAGE}{row.uid}/reject/")

    with enter(northside):
        assert Approval.objects.get().state == Approval.State.REJECTED
        assert not Work.objects.exists()


def test_a_note_that_is_too_long_answers_nothing(northside, browse, ask, text_of):
    row = ask("one")

    page = browse(northside).post(f"{PAGE}{row.uid}/approve/", {"note": "x" * 501}, follow=True)

    assert "500 characters at most" in text_of(page)
    with enter(northside):
        assert Approval.objects.get().state == Approval.State.WAITING


@pytest.mark.parametrize("answer", ["approve", "reject"])
def test_a_viewer_reads_and_does_not_answer(northside, browse, ask, answer):
    row = ask("one")
    browser = browse(northside, "viewer")

    assert b"Approve" not in browser.get(PAGE).content
    assert browser.post(f"{PAGE}{row.uid}/{answer}/").status_code == 403


def test_an_answer_that_nobody_knows_is_not_there(northside, browse, ask):
    row = ask("one")

    assert browse(northside).post(f"{PAGE}{row.uid}/perhaps/").status_code == 404


def test_admins_see_the_rules_and_others_what_they_did(northside, browse, rule, text_of):
    with enter(northside):
        for number, result in enumerate(("success", "failed")):
            Execution.objects.create(
                rule=rule.uid,
                rule_name=rule.name,
                action=rule.action,
                topic=rule.topic,
                event_key=str(number),
                result=result,
                at=timezone.now(),
            )
    admin = text_of(browse(northside, "admin").get(PAGE))
    viewer = browse(northside, "viewer")

    assert "After approval 2 just now" in admin
    assert "After approval" not in text_of(viewer.get(PAGE))
    failed = viewer.get(f"{PAGE}?result=failed")
    assert [one.result for one in failed.context["rows"]] == ["failed"]


def test_rules_and_their_log_cost_the_same_however_many(
    northside, browse, ask, django_assert_max_num_queries
):
    browser = browse(northside, "admin")
    for number in range(12):
        ask(str(number))

    with django_assert_max_num_queries(12):
        browser.get(PAGE)
