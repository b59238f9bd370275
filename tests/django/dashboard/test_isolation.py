from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from claimkit_django.authorizations.models import Authorization
from claimkit_django.automation.models import Approval, Execution, Rule
from claimkit_django.claims.models import MappingVersion
from claimkit_django.drift.models import BacktestRun
from claimkit_django.reports.models import ReportRun
from claimkit_django.tenants.scope import enter
from claimkit_django.testing.isolation import Side, assert_views_isolated
from tests.alerting import report, signal

pytestmark = pytest.mark.django_db


@pytest.fixture
def side(make_member, make_upload, find):
    """Fill a tenant with one of everything that pages show, under names of its own."""

    def make(tenant):
        word = tenant.key
        find(tenant, summary=f"{word} denies more", payer=f"{word} health", fingerprint=f"{word}-1")
        report(tenant, signal("high", payer=f"{word} health", summary=f"{word} is alarmed"))
        make_upload(tenant, name=f"{word}.835")
        with enter(tenant):
            Authorization.objects.create(
                number=f"{word}-417",
                payer=f"{word} health",
                procedure="97110",
                valid_from=dt.date(2026, 1, 1),
                valid_until=dt.date(2046, 1, 1),
                units_authorized=24,
            )
            ReportRun.objects.create(
                kind="monthly",
                first=dt.date(2026, 3, 1),
                last=dt.date(2026, 3, 31),
                headline=f"{word} in March",
            )
            rule = Rule.objects.create(name=f"{word} rule", topic="drift.detected", action="tag")
            about = {
                "rule": rule.uid,
                "rule_name": f"{word} rule",
                "action": "create_task",
                "topic": "drift.detected",
                "event_key": f"{word}-event",
            }
            Execution.objects.create(**about, result="success", at=timezone.now())
            Approval.objects.create(**about, asked_at=timezone.now())
            BacktestRun.objects.create(actor=f"{word}-person")
            MappingVersion.objects.create(number=1, status="applied", note=f"why {word}")
        return Side(
            tenant=tenant,
            user=make_member(f"{word}-ada", (tenant, "owner")),
            values={"act": ["comment", "judge"], "renderer": ["html"], "answer": ["approve"]},
        )

    return make


def test_pages_keep_tenants_apart(northside, lakeview, side, settings):
    walk = assert_views_isolated(
        side(northside),
        side(lakeview),
        urlconf="claimkit_django.dashboard.urls",
        skip=[],
    )

    assert len({one.split(" ", 1)[1] for one in walk.asked}) >= 15
