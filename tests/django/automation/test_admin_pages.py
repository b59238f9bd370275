"""The pages of the room in the admin, as somebody sees them who works in one tenant."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from claimkit_django.automation.models import Approval, Execution, Rule, Work
from claimkit_django.tenants.scope import enter

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.projects.urls_bare")]


@pytest.fixture
def working(client, northside, django_user_model):
    client.force_login(django_user_model.objects.create_superuser("root"))
    page = reverse("admin:claimkit_tenants_tenant_changelist")
    client.post(page, {"action": "work_in", "_selected_action": [northside.pk]})
    return client


@pytest.fixture
def rows(northside, lakeview):
    made = {"rule": {}, "execution": {}, "approval": {}, "work": {}}
    now = timezone.now()
    told = {"rule": "aur_1", "rule_name": "Dear ones", "topic": "drift.detected"}
    for tenant in (northside, lakeview):
        with enter(tenant):
            made["rule"][tenant.key] = Rule.objects.create(
                name="Dear ones", topic="drift.detected", action="create_task"
            )
            made["execution"][tenant.key] = Execution.objects.create(
                **told, action="create_task", event_key="k", result="success", at=now
            )
            made["approval"][tenant.key] = Approval.objects.create(
                **told, action="create_task", event_key="k", asked_at=now
            )
            made["work"][tenant.key] = Work.objects.create(
                **told, kind="task", text="Call", created_at=now
            )
    return made


@pytest.mark.parametrize("name", ["rule", "execution", "approval", "work"])
def test_a_row_is_shown_and_none_is_added_or_changed(working, rows, name):
    base = f"admin:claimkit_automation_{name}"
    listed = working.get(reverse(f"{base}_changelist"))
    shown = working.get(reverse(f"{base}_change", args=[rows[name]["northside"].pk]))
    changed = working.post(reverse(f"{base}_change", args=[rows[name]["northside"].pk]), {})
    other = working.get(reverse(f"{base}_change", args=[rows[name]["lakeview"].pk]))

    assert (listed.status_code, shown.status_code) == (200, 200)
    assert listed.context["cl"].result_count == 1
    assert changed.status_code == 403
    assert other.status_code == 302
    assert working.get(reverse(f"{base}_add")).status_code == 403
