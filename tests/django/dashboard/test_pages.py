from __future__ import annotations

import pytest

from claimkit_django.http.security import PAGE_POLICY

pytestmark = pytest.mark.django_db

URL = "/dashboard/"


def test_a_stranger_signs_in_first(client):
    answer = client.get(f"{URL}findings/?state=open")

    assert answer.status_code == 302
    assert answer.headers["Location"].endswith("?next=/dashboard/findings/%3Fstate%3Dopen")


def test_whoever_signs_in_after_a_form_starts_at_the_overview(client):
    answer = client.post(f"{URL}findings/fnd_marsupilami/accept/")

    assert answer.headers["Location"] == "/accounts/login/?next=/dashboard/"


def test_a_part_of_a_page_sends_the_whole_page_to_sign_in(client):
    answer = client.get(URL, headers={"HX-Request": "true"})

    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/accounts/login/"


def test_pages_run_and_load_nothing_from_elsewhere_and_stay_out_of_caches(northside, browse):
    answer = browse(northside).get(URL)

    assert answer.headers["Content-Security-Policy"] == PAGE_POLICY
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert {"Cookie", "HX-Request"} <= set(answer.headers["Vary"].split(", "))
    body = answer.content.decode()
    assert "<style" not in body
    assert " style=" not in body
    assert " onclick=" not in body
    assert "http://" not in body.replace("http://testserver", "")
    assert "https://" not in body


def test_a_site_may_send_a_policy_of_its_own(northside, browse, settings):
    settings.CLAIMKIT = {"DASHBOARD": {"STRICT_POLICY": False}}

    assert "Content-Security-Policy" not in browse(northside).get(URL).headers


def test_what_is_not_there_is_a_page_that_helps(northside, lakeview, browse, find, text_of):
    theirs = find(lakeview)
    browser = browse(northside)

    for uid in (theirs.uid, "fnd_marsupilami"):
        answer = browser.get(f"{URL}findings/{uid}/")

        assert answer.status_code == 404
        assert "There is nothing here" in text_of(answer)


def test_forms_are_protected_whatever_the_site_lists(northside, browse, find, settings):
    settings.MIDDLEWARE = [one for one in settings.MIDDLEWARE if "Csrf" not in one]
    row = find(northside)

    answer = browse(northside, enforce_csrf_checks=True).post(f"{URL}findings/{row.uid}/accept/")

    assert answer.status_code == 403


def test_it_needs_no_tenant_middleware(northside, browse, find, settings, text_of):
    settings.MIDDLEWARE = [one for one in settings.MIDDLEWARE if "Tenant" not in one]
    find(northside)

    assert "$18,250 a month" in text_of(browse(northside).get(URL))


def test_a_member_of_several_chooses_whose_claims(
    northside, lakeview, make_member, client, text_of
):
    client.force_login(make_member("ada", (northside, "analyst"), (lakeview, "viewer")))

    choice = client.get(URL, follow=True)

    assert choice.redirect_chain == [("/dashboard/organizations/", 302)]
    assert "Lakeview Clinic" in text_of(choice)
    page = client.post("/dashboard/organizations/", {"tenant": "lakeview"}, follow=True)
    assert page.context["tenant"] == lakeview


def test_nobody_chooses_what_is_not_theirs(northside, lakeview, browse):
    browser = browse(northside)

    answer = browser.post("/dashboard/organizations/", {"tenant": "lakeview"})

    assert answer.headers["Location"] == "/dashboard/organizations/"
    assert browser.get(URL).context["tenant"] == northside


def test_somebody_without_a_tenant_is_told_whom_to_ask(make_member, client, text_of):
    client.force_login(make_member("ada"))

    assert "do not belong to an organization yet" in text_of(client.get(URL, follow=True))
