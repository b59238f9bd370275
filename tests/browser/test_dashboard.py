"""The dashboard in real Chromium: by mouse, by keyboard, without JavaScript, and under axe."""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client
from django.utils import timezone

from claimkit.drift.findings import FindingState, Segment, Signal
from claimkit.testing.factories import make_batch, make_claim, make_evidence, make_finding
from claimkit.types import TenantKey
from claimkit_django.authorizations.models import Authorization
from claimkit_django.claims.models import Upload
from claimkit_django.drift.models import Finding
from claimkit_django.drift.rows import write_finding
from claimkit_django.runtime import open_store
from claimkit_django.tenants.models import Tenant
from claimkit_django.tenants.scope import enter
from tests.alerting import report, signal

pytestmark = pytest.mark.django_db(transaction=True)

_PAYER = "MERIDIAN OF OHIO"
#: Sections of the navigation.
_SECTIONS = (
    *("", "findings/", "alerts/", "uploads/", "mappings/", "authorizations/"),
    *("automation/", "reports/", "backtests/", "organizations/"),
)


@pytest.fixture
def northside(transactional_db):
    """Make a hospital in which something changed, with claims, alert, upload and authorization."""
    tenant = Tenant.objects.create(key="northside", name="Northside Hospital")
    decided = dt.date(2026, 3, 9)
    claims = [
        make_claim(patient_control_number=f"SPIP{number}", payer=_PAYER, decided_on=decided)
        for number in range(25)
    ]
    open_store().claims.add(
        TenantKey("northside"), make_batch(claims), upload="upl_x", known_on=decided
    )
    report(tenant, signal("high", payer=_PAYER))
    now = timezone.now()
    with enter(tenant):
        finding = make_finding(
            fingerprint="fp-1",
            signal=Signal.DECISION_TIME,
            segment=Segment(payer=_PAYER),
            unit="days",
            evidence=make_evidence(),
        )
        write_finding(Finding(), finding, FindingState.OPEN).save()
        Upload.objects.create(
            name="era_0412.835",
            known_on=decided,
            status="processing",
            started_at=now,
            heartbeat_at=now,
            bytes_total=200,
            bytes_done=84,
        )
        Authorization.objects.create(
            number="A-417",
            payer=_PAYER,
            procedure="97110",
            valid_from=dt.date(2026, 1, 1),
            valid_until=timezone.localdate() + dt.timedelta(days=9),
            units_authorized=24,
            units_stated=18,
        )
    return tenant


@pytest.fixture
def visit(chromium, northside, django_user_model, live_server):
    """Open a window of a signed-in analyst; whatever it asks of other sites is noted."""
    user = django_user_model.objects.create_user("ada", password="marsupilami")
    northside.memberships.create(user=user, role="analyst")
    windows = []

    def open_page(path="", **values):
        client = Client()
        client.force_login(user)
        window = chromium.new_context(base_url=f"{live_server.url}/dashboard/", **values)
        cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value}
        window.add_cookies([{**cookie, "url": live_server.url}])
        page = window.new_page()
        page.set_default_timeout(90_000)
        page.complaints = []
        page.on(
            "request",
            lambda one: (
                page.complaints.append(one.url) if not one.url.startswith(live_server.url) else None
            ),
        )
        page.on(
            "console",
            lambda one: page.complaints.append(one.text) if one.type == "error" else None,
        )
        windows.append(window)
        page.goto(path)
        return page

    yield open_page
    for window in windows:
        window.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_page_is_accessible_fits_and_loads_nothing_from_elsewhere(
    visit, violations, width, scheme
):
    page = visit(viewport={"width": width, "height": 844}, color_scheme=scheme)
    more = [
        page.get_attribute("h2 a", "href"),
        *(
            (page.goto(section), page.get_attribute("#list a", "href"))[1]
            for section in ("alerts/", "uploads/", "authorizations/")
        ),
    ]
    wrong = []
    for path in (*_SECTIONS, *more):
        page.goto(path)
        wrong += [(path, *one) for one in violations(page)]

    assert wrong == []
    assert page.complaints == []


def test_an_alert_is_dealt_with_on_the_page_of_its_finding_without_leaving_it(visit):
    page = visit("findings/")
    page.click("#list a")
    page.evaluate("window.isTheSamePage = true")

    page.click("text=I deal with it")
    page.wait_for_selector("text=Acknowledged, with ada")
    page.check("text=Real")
    page.click("text=Keep judgment")
    page.wait_for_selector("text=your judgment is kept")

    assert page.evaluate("window.isTheSamePage")
    assert page.complaints == []


def test_the_claims_behind_a_finding_are_turned_in_place(visit):
    page = visit("findings/")
    page.click("#list a")
    first = page.inner_text("#claims tbody tr th")

    page.click("#claims >> text=Older")
    page.wait_for_function(
        "first => document.querySelector('#claims tbody th').innerText != first", arg=first
    )
    page.wait_for_selector("#claims >> text=Newer")

    assert "/findings/fnd_" in page.url
    assert "cursor" not in page.url


def test_an_upload_is_followed_until_it_is_in(visit, northside):
    page = visit("uploads/")
    page.click("text=era_0412.835")
    page.wait_for_selector("text=Reading the file")
    with enter(northside):
        Upload.objects.update(
            status="success", finished_at=timezone.now(), bytes_done=200, claims_new=4_417
        )

    page.wait_for_selector("text=4,417", timeout=15_000)

    assert page.query_selector("progress") is None


def test_everything_is_reached_and_done_by_keyboard(visit):
    page = visit("alerts/")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to content"
    page.keyboard.press("Enter")
    for _ in range(8):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('#list') != null"):
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Was it worth it?")
    page.focus("text=I deal with it")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Acknowledged, with ada")

    # The button is gone; whoever works by keyboard is still at the alert.
    assert page.evaluate("document.activeElement.closest('#alert') != null")


def test_without_javascript_everything_works_too(visit):
    page = visit("alerts/", java_script_enabled=False)

    page.select_option("#severity", "low")
    page.click("text=Show")
    assert page.is_visible("text=No alert fits")
    page.goto("alerts/")
    page.click("#list a")
    page.click("text=I deal with it")

    assert page.is_visible("text=This is yours now.")
    assert page.is_visible("text=Acknowledged, with ada")
