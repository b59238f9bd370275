from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from claimkit.drift.findings import Tier
from claimkit.testing.factories import make_payer_watch
from claimkit_django.drift.models import WatchRun
from claimkit_django.drift.runs import _payer_json
from claimkit_django.tenants.scope import enter

pytestmark = pytest.mark.django_db

URL = "/dashboard/"


@pytest.fixture
def watched(northside):
    """Keep a watch of one payer that is watched and one that is learning."""
    payers = [
        make_payer_watch(payer="MERIDIAN OHIO"),
        make_payer_watch(payer="TIMBERLINE", state="learning", ready_on=dt.date(2027, 1, 4)),
    ]
    now = timezone.now()
    with enter(northside):
        return WatchRun.objects.create(
            status="success",
            started_at=now,
            heartbeat_at=now,
            finished_at=now,
            details={"watched": [_payer_json(one) for one in payers]},
        )


def test_it_says_how_much_money_changed_since_when(northside, browse, find, text_of):
    find(northside)
    find(northside, fingerprint="fp-late", unit="days", dollars_per_month=4_914_800)

    text = text_of(browse(northside, "viewer").get(URL))

    assert "$18,250 a month is at risk" in text
    assert "2 changes in how payers treat the claims of Northside Hospital" in text
    assert "Another $49,148 comes late; it is still owed" in text
    assert "2 Mar 2026" in text


def test_the_most_expensive_change_comes_first_and_is_drawn(northside, browse, find):
    find(northside, dollars_per_month=1_00)
    dear = find(northside, fingerprint="fp-dear", dollars_per_month=9_000_000)

    page = browse(northside).get(URL)

    assert page.context["findings"][0].row.uid == dear.uid
    assert page.content.decode().count('<svg class="chart"') == 2


def test_weak_signs_stand_apart(northside, browse, find):
    find(northside, tier=Tier.WATCH)

    page = browse(northside).get(URL)

    assert page.context["findings"] == []
    assert len(page.context["watch_list"]) == 1
    assert "Watch list" in page.content.decode()


def test_it_says_what_could_be_seen_of_each_payer(northside, browse, watched, text_of):
    text = text_of(browse(northside).get(URL))

    assert "1 payer is still learning what is normal" in text
    assert "until 4 Jan 2027" in text
    assert "+5.1 pp" in text


def test_an_empty_tenant_is_told_what_to_do_next(northside, browse, text_of):
    text = text_of(browse(northside).get(URL))

    assert "There are no decisions of payers yet" in text
    assert "Upload the remittances (835)" in text


def test_the_number_of_queries_does_not_depend_on_what_was_found(
    northside, browse, find, watched, django_assert_num_queries
):
    browser = browse(northside)
    for number in range(30):
        find(northside, fingerprint=f"fp-{number}", tier=Tier.WATCH if number % 2 else Tier.ALERT)

    # Session, person and tenant; cube, findings three times, watch; alerts twice; uploads twice.
    with django_assert_num_queries(3 + 5 + 2 + 2):
        assert browser.get(URL).status_code == 200


def test_only_charts_styles_need_no_sign_in(client):
    styles = client.get("/dashboard/charts.css")

    assert styles.headers["Content-Type"] == "text/css; charset=utf-8"
    assert ".chart .observed" in styles.content.decode()
    assert client.get(URL).status_code == 302
