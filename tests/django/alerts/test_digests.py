"""What is open and what was muted, told by the tenant's clock."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import DEFAULT_DB_ALIAS as USING
from django.utils import timezone

from claimkit_django.alerts.digests import plan_due, start
from claimkit_django.alerts.models import Digest, Notification, NotificationItem, Silence
from claimkit_django.alerts.notify import notify_due
from claimkit_django.tenants.scope import enter
from tests.alerting import report, signal

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)


@pytest.fixture
def add_digest(northside):
    def make(*channels, now, **values):
        with enter(northside):
            digest = Digest(
                name="Daily",
                at=dt.time(7),
                channels=[one.uid for one in channels],
                **values,
            )
            start(digest, northside, now)
            digest.save()
            return digest

    return make


def test_a_digest_tells_what_is_open_and_what_was_muted(
    northside, add_channel, add_digest, mailbox
):
    channel = add_channel(northside, "Revenue", "email", to=["ada@example.org"])
    begin = timezone.now()
    digest = add_digest(channel, now=begin)
    with enter(northside):
        Silence.objects.create(
            payers=["Cigna"], reason="They said so.", begins_at=begin, ends_at=begin + 9 * DAY
        )
    report(northside, signal("high", number=1), signal("low", number=2, payer="Cigna"))

    assert plan_due(now=digest.next_at - dt.timedelta(seconds=1), using=USING) == 0
    assert plan_due(now=digest.next_at, using=USING) == 1
    assert plan_due(now=digest.next_at, using=USING) == 0
    with enter(northside):
        Notification.objects.update(due_at=timezone.now())
        reasons = NotificationItem.objects.values_list("reason", flat=True)
        # The first has no route: that is a mute too.
        assert list(reasons) == ["muted", "muted"]
    notify_due(using=USING)

    (mail,) = mailbox.mails
    note = "2 alerts are open; 2 were muted (1 no route, 1 silenced)."
    assert mail["Subject"] == f"[digest] {note}"
    for part in ("plain", "html"):
        assert note in mail.get_body((part,)).get_content()


def test_where_all_is_quiet_nothing_is_said(northside, add_channel, add_digest):
    digest = add_digest(add_channel(northside), now=timezone.now())

    assert plan_due(now=digest.next_at, using=USING) == 0
    with enter(northside):
        assert Digest.objects.get().next_at > digest.next_at


def test_days_without_a_worker_are_told_once(northside, add_channel, add_digest):
    channel = add_channel(northside)
    begin = timezone.now()
    add_digest(channel, now=begin, every="week", weekday=2)
    report(northside, signal("high"))

    assert plan_due(now=begin + 30 * DAY, using=USING) == 1
    assert plan_due(now=begin + 30 * DAY, using=USING) == 0
    with enter(northside):
        assert Notification.objects.count() == 1


def test_a_digest_that_nobody_could_get_gives_way_to_the_next(northside, add_channel, add_digest):
    channel = add_channel(northside)
    begin = timezone.now()
    add_digest(channel, now=begin)
    report(northside, signal("high"))
    for days in (2, 4):
        assert plan_due(now=begin + days * DAY, using=USING) == 1

    with enter(northside):
        states = Notification.objects.order_by("pk").values_list("state", "reason")
        assert list(states) == [("cancelled", "newer_digest"), ("due", "")]
