"""The pages of accounts in real Chromium: what a person does from signing in to signing out."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.cache import caches
from django.urls import include, path
from django.utils import timezone

from claimkit_django.accounts.models import ApiToken
from claimkit_django.accounts.tokens import issue_token
from claimkit_django.tenants.models import Tenant

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]

urlpatterns = [
    path("account/", include("claimkit_django.accounts.page_urls")),
    path("dashboard/", include("claimkit_django.dashboard.urls")),
]

_OLD, _NEW = "marsupilami", "tapirs-in-rain"


@pytest.fixture(autouse=True)
def _site(settings):
    caches["default"].clear()
    settings.LOGIN_URL = "claimkit_accounts:login"
    settings.LOGIN_REDIRECT_URL = "claimkit_dashboard:index"
    validators = ("UserAttributeSimilarity", "MinimumLength", "CommonPassword", "NumericPassword")
    settings.AUTH_PASSWORD_VALIDATORS = [
        {"NAME": f"django.contrib.auth.password_validation.{one}Validator"} for one in validators
    ]
    settings.MIDDLEWARE = [
        "claimkit_django.http.security.SecurityHeadersMiddleware",
        *settings.MIDDLEWARE,
    ]


@pytest.fixture
def ada(transactional_db, django_user_model):
    user = django_user_model.objects.create_user("ada", password=_OLD)
    tenant = Tenant.objects.create(key="northside", name="Northside Hospital")
    tenant.memberships.create(user=user, role="analyst")
    issue_token(
        user=user,
        tenant=tenant,
        name="nightly",
        scope="read",
        expires_at=timezone.now() + dt.timedelta(days=1),
    )
    return user


@pytest.fixture
def window(chromium, live_server, ada):
    """Open windows that have nothing in common, and note what any of them complains about."""
    opened = []

    def open_window(**values):
        context = chromium.new_context(base_url=live_server.url, **values)
        opened.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.complaints = []
        # The icon of a site is the site's own business.
        page.on(
            "console",
            lambda one: (
                page.complaints.append(one.text) if "favicon" not in one.location["url"] else None
            ),
        )
        return page

    yield open_window
    for one in opened:
        one.close()


def sign_in(page, password=_OLD):
    page.goto("/dashboard/")
    page.fill("#id_username", "ada")
    page.fill("#id_password", password)
    page.click("button")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_person_changes_the_password_and_is_signed_out_elsewhere(
    window, violations, ada, width, scheme
):
    look = {"viewport": {"width": width, "height": 844}, "color_scheme": scheme}
    here, elsewhere = window(**look), window(**look)
    for page in (here, elsewhere):
        sign_in(page)
        page.wait_for_selector("text=Northside Hospital")

    here.click("text=Password")
    assert violations(here) == []
    here.fill("#id_old_password", _OLD)
    here.fill("#id_new_password1", "12345")
    here.fill("#id_new_password2", "12345")
    here.click("button")
    here.wait_for_selector("text=This password is entirely numeric.")
    assert violations(here) == []
    here.fill("#id_old_password", _OLD)
    here.fill("#id_new_password1", _NEW)
    here.fill("#id_new_password2", _NEW)
    here.click("button")
    here.wait_for_selector("h1 >> text=Your password is changed")
    assert violations(here) == []

    here.goto("/dashboard/")
    assert here.is_visible("text=Northside Hospital")
    elsewhere.goto("/dashboard/")
    elsewhere.wait_for_selector("h1 >> text=Sign in")
    assert not ApiToken.objects.filter(revoked_at__isnull=True).exists()
    sign_in(elsewhere, _NEW)
    elsewhere.wait_for_selector("text=Northside Hospital")
    assert here.complaints == elsewhere.complaints == []


def test_the_password_is_changed_by_keyboard_alone(window, ada):
    page = window(java_script_enabled=False)
    sign_in(page)
    page.wait_for_selector("text=Northside Hospital")
    page.goto("/account/password/change/")
    for text in (_OLD, _NEW, _NEW):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1 >> text=Your password is changed")

    ada.refresh_from_db()
    assert ada.check_password(_NEW)
