from __future__ import annotations

import datetime as dt

import pytest

from claimkit_django.alerts.models import Alert
from claimkit_django.tenants.scope import enter
from tests.alerting import report, signal

pytestmark = pytest.mark.django_db

URL = "/dashboard/alerts/"


@pytest.fixture
def alert(northside):
    report(northside, signal("high"))
    with enter(northside):
        return Alert.objects.get()


def again(northside):
    with enter(northside):
        return Alert.objects.prefetch_related("judgments", "history").get()


def test_the_inbox_shows_what_waits(northside, browse, alert, text_of):
    text = text_of(browse(northside, "viewer").get(URL))

    assert "Aetna denies 21 % of MRI claims instead of 8 %." in text
    assert "$48,210 a month" in text
    assert "nobody deals with it" in text


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 1),
        ("?severity=low", 0),
        ("?whose=nobody", 1),
        ("?whose=mine", 0),
        ("?state=resolved", 0),
    ],
)
def test_the_inbox_filters(northside, browse, alert, query, count):
    assert len(browse(northside).get(URL + query).context["rows"]) == count


def test_an_empty_inbox_says_so(northside, browse, text_of):
    assert "Nothing waits" in text_of(browse(northside).get(URL))


@pytest.mark.parametrize(
    ("act", "values", "state"),
    [
        ("acknowledge", {}, "acknowledged"),
        ("resolve", {}, "resolved"),
        ("comment", {"text": "Called the payer."}, "open"),
        ("judge", {"verdict": "noise"}, "open"),
    ],
)
def test_analysts_act_and_viewers_do_not(northside, browse, alert, act, values, state):
    address = f"{URL}{alert.uid}/{act}/"

    assert browse(northside, "viewer").post(address, values).status_code == 403
    assert again(northside).state == "open"
    done = browse(northside, "analyst").post(address, values)

    assert done.headers["Location"] == f"{URL}{alert.uid}/"
    assert again(northside).state == state


def test_an_alert_is_assigned_to_a_member_by_a_day(northside, browse, alert, make_member, text_of):
    bertram = make_member("bertram", (northside, "analyst"))
    browser = browse(northside)

    page = browser.post(
        f"{URL}{alert.uid}/assign/",
        {"assignee": f"user:{bertram.pk}", "due_on": "2026-04-30"},
        follow=True,
    )

    assert again(northside).due_on == dt.date(2026, 4, 30)
    assert "with bertram" in text_of(page)
    assert "Due 30 Apr 2026" in text_of(page)


def test_nobody_else_can_be_assigned(northside, browse, alert):
    answer = browse(northside).post(f"{URL}{alert.uid}/assign/", {"assignee": "user:999999"})

    assert answer.status_code == 422
    assert again(northside).assignee == ""


def test_money_that_came_back_is_kept_to_the_cent(northside, browse, alert, text_of):
    browser = browse(northside)

    page = browser.post(
        f"{URL}{alert.uid}/judge/",
        {
            "verdict": "real",
            "reason": "Contract change",
            "recovered": "1234.56",
            "recovered_on": "2026-04-20",
        },
        follow=True,
    )

    judgment = again(northside).judgments.get()
    assert (judgment.recovered, judgment.reason) == (123_456, "contract_change")
    assert "$1,235 came back on 20 Apr 2026" in text_of(page)
    assert "$1,235" in text_of(browser.get("/dashboard/"))


def test_a_form_that_needs_correction_comes_back_with_what_was_written(
    northside, browse, alert, text_of
):
    page = browse(northside).post(
        f"{URL}{alert.uid}/judge/",
        {"verdict": "real", "note": "They owe us.", "recovered": "12"},
    )

    assert page.status_code == 422
    assert "Say when it came, too." in text_of(page)
    assert "They owe us." in page.content.decode()
    assert not again(northside).judgments.exists()


def test_what_cannot_be_done_any_more_is_told(northside, browse, alert, text_of):
    browser = browse(northside)
    browser.post(f"{URL}{alert.uid}/resolve/")

    page = browser.post(f"{URL}{alert.uid}/acknowledge/", follow=True)

    assert "resolved" in text_of(page)
    assert page.status_code == 200


def test_a_form_leads_back_to_where_it_stood_and_nowhere_else(northside, browse, alert, find):
    row = find(northside, fingerprint="fp-1")
    browser = browse(northside)
    address = f"{URL}{alert.uid}/comment/"
    here = f"/dashboard/findings/{row.uid}/"

    assert f'value="{here}"' in browser.get(here).content.decode()
    back = browser.post(address, {"text": "x", "next": here})
    away = browser.post(address, {"text": "x", "next": "https://evil.example/"})

    assert back.headers["Location"] == here
    assert away.headers["Location"] == f"{URL}{alert.uid}/"


def test_an_alert_leads_to_its_evidence(northside, browse, alert, find):
    row = find(northside, fingerprint="fp-1")

    assert browse(northside).get(f"{URL}{alert.uid}/").context["finding"] == row


def test_alerts_of_others_and_acts_that_there_are_not_are_not_there(
    northside, lakeview, browse, alert
):
    theirs = browse(lakeview)

    for address in (f"{URL}{alert.uid}/", f"{URL}alr_marsupilami/"):
        assert theirs.get(address).status_code == 404
        assert theirs.post(f"{address}comment/", {"text": "x"}).status_code == 404
    assert browse(northside).post(f"{URL}{alert.uid}/delete/").status_code == 404


def test_the_page_of_an_alert_costs_the_same_whatever_happened(
    northside, browse, alert, django_assert_num_queries
):
    browser = browse(northside)
    for number in range(5):
        browser.post(f"{URL}{alert.uid}/comment/", {"text": f"comment {number}"})
    browser.get(f"{URL}{alert.uid}/")  # Tells the messages.

    # Session, person and tenant; alert, history, judgments; finding; people.
    with django_assert_num_queries(3 + 3 + 1 + 1):
        browser.get(f"{URL}{alert.uid}/")
