"""The pages of the room in the admin, as somebody sees them who works in one tenant."""

from __future__ import annotations

import datetime as dt

import pytest
from django.urls import reverse
from django.utils import timezone

from claimkit_django.authorizations.models import (
    AuthorizationImport,
    AuthorizationWarning,
    ImportProblem,
    LeadTime,
)
from claimkit_django.tenants.scope import enter

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.projects.urls_bare")]


@pytest.fixture
def working(client, northside, django_user_model):
    client.force_login(django_user_model.objects.create_superuser("root"))
    page = reverse("admin:claimkit_tenants_tenant_changelist")
    client.post(page, {"action": "work_in", "_selected_action": [northside.pk]})
    return client


@pytest.fixture
def rows(northside, lakeview, authorize):
    made = {"authorization": {}, "authorizationimport": {}, "leadtime": {}}
    now = timezone.now()
    for tenant in (northside, lakeview):
        row = made["authorization"][tenant.key] = authorize(tenant)
        with enter(tenant):
            AuthorizationWarning.objects.create(
                authorization=row,
                kind="expiry",
                step=3,
                basis="x",
                days_left=3,
                ends_on=dt.date(2026, 4, 30),
                told_at=now,
            )
            taken = AuthorizationImport.objects.create(imported_at=now)
            ImportProblem.objects.create(
                of_import=taken, line=2, code="date_invalid", message="m", remedy="r"
            )
            made["authorizationimport"][tenant.key] = taken
            made["leadtime"][tenant.key] = LeadTime.objects.create(payer="Aetna", days=3)
    return made


@pytest.mark.parametrize("name", ["authorization", "authorizationimport", "leadtime"])
def test_a_row_is_shown_and_none_is_added_or_changed(working, rows, name):
    base = f"admin:claimkit_authorizations_{name}"
    listed = working.get(reverse(f"{base}_changelist"))
    shown = working.get(reverse(f"{base}_change", args=[rows[name]["northside"].pk]))
    changed = working.post(reverse(f"{base}_change", args=[rows[name]["northside"].pk]), {})
    other = working.get(reverse(f"{base}_change", args=[rows[name]["lakeview"].pk]))

    assert (listed.status_code, shown.status_code) == (200, 200)
    assert listed.context["cl"].result_count == 1
    assert changed.status_code == 403
    assert other.status_code == 302
    assert working.get(reverse(f"{base}_add")).status_code == 403
