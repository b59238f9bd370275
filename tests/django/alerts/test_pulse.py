"""What should come again and does not."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import DEFAULT_DB_ALIAS as USING
from django.db import transaction
from django.utils import timezone

from claimkit.events import ClaimsImported, WatchEnded
from claimkit.types import TenantKey
from claimkit_django.alerts.models import Alert, Heartbeat
from claimkit_django.alerts.notify import notify_due
from claimkit_django.alerts.pulse import beat, find_late
from claimkit_django.runtime import make_bus, open_store
from claimkit_django.tenants.scope import enter

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)
NOW = dt.datetime(2026, 4, 12, 9, tzinfo=dt.UTC)
IMPORT, AETNA = ("import", ""), ("payer", "Aetna")


def stage(event):
    bus = make_bus(open_store(USING))
    with bus.transaction(transaction.atomic(using=USING)):
        bus.stage(event)


def alerts(tenant):
    with enter(tenant):
        rows = Alert.objects.order_by("pk")
        return [(one.kind, one.payer, one.state, one.inhibited_by != "") for one in rows]


def test_no_file_for_ten_days_is_an_alert_until_one_comes(northside):
    key = TenantKey(northside.key)
    beat(key, {IMPORT}, now=NOW, using=USING)

    assert find_late(now=NOW + 9 * DAY, using=USING) == 0
    assert find_late(now=NOW + 10 * DAY, using=USING) == 1
    assert find_late(now=NOW + 11 * DAY, using=USING) == 0
    assert alerts(northside) == [("import_missing", "", "open", False)]
    with enter(northside):
        assert Alert.objects.get().summary == "No file with claims came for 10 days."

    beat(key, {IMPORT}, now=NOW + 12 * DAY, using=USING)

    assert alerts(northside) == [("import_missing", "", "resolved", False)]
    assert find_late(now=NOW + 22 * DAY, using=USING) == 1


def test_a_payer_is_waited_for_as_long_as_it_is_usually_away(northside):
    key = TenantKey(northside.key)
    for day in (0, 1, 2, 3):
        beat(key, {AETNA}, now=NOW + day * DAY, using=USING)
    assert find_late(now=NOW + 90 * DAY, using=USING) == 0

    beat(key, {AETNA}, now=NOW + 18 * DAY, using=USING)

    # Fifteen days away once: it is late after thirty.
    assert find_late(now=NOW + 47 * DAY, using=USING) == 0
    assert find_late(now=NOW + 48 * DAY, using=USING) == 1
    assert alerts(northside) == [("payer_silent", "Aetna", "open", False)]


def test_where_no_file_comes_no_payer_is_said_to_be_silent(northside, mailed, mailbox):
    key = TenantKey(northside.key)
    then = timezone.now() - 40 * DAY
    for day in range(6):
        beat(key, {IMPORT, AETNA}, now=then + day * DAY, using=USING)

    notify_due(using=USING)

    assert sorted(alerts(northside)) == [
        ("import_missing", "", "open", False),
        ("payer_silent", "Aetna", "open", True),
    ]
    assert [mail["Subject"] for mail in mailbox.mails] == ["[high] import missing"]

    # Once files come again it is told of, if the payer is not in them.
    beat(key, {IMPORT}, now=timezone.now(), using=USING)
    notify_due(using=USING)

    assert mailbox.mails[-1]["Subject"].endswith("and 1 more")
    assert alerts(northside)[-1] == ("payer_silent", "Aetna", "open", False)


def test_events_of_other_rooms_beat(northside):
    key, now = TenantKey(northside.key), timezone.now()
    stage(ClaimsImported(tenant=key, at=now, upload="upl_1", new=1, changed=0, same=0, rejected=0))
    stage(WatchEnded(tenant=key, at=now, status="failed", seconds=1.0))
    with enter(northside):
        assert list(Heartbeat.objects.values_list("name", flat=True)) == ["import"]

    stage(WatchEnded(tenant=key, at=now, status="success", seconds=1.0))
    with enter(northside):
        assert list(Heartbeat.objects.values_list("name", flat=True)) == ["import", "watch"]


def test_nobody_is_waited_for_where_the_setting_is_zero(northside, settings):
    settings.CLAIMKIT = {**settings.CLAIMKIT, "ALERTS": {"NO_IMPORT_DAYS": 0}}
    beat(TenantKey(northside.key), {IMPORT}, now=NOW, using=USING)

    assert find_late(now=NOW + 900 * DAY, using=USING) == 0


def test_a_tenant_that_was_deactivated_is_left_alone(northside):
    beat(TenantKey(northside.key), {IMPORT}, now=NOW, using=USING)
    northside.active = False
    northside.save()

    beat(TenantKey(northside.key), {IMPORT}, now=NOW, using=USING)

    assert find_late(now=NOW + 90 * DAY, using=USING) == 0


def test_tenants_beat_apart(northside, lakeview):
    for tenant, at in ((northside, NOW), (lakeview, NOW + 5 * DAY)):
        beat(TenantKey(tenant.key), {IMPORT}, now=at, using=USING)

    assert find_late(now=NOW + 10 * DAY, using=USING) == 1
    assert (len(alerts(northside)), len(alerts(lakeview))) == (1, 0)
