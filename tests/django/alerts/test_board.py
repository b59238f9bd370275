"""From signals to notifications, through real tables."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import DEFAULT_DB_ALIAS as USING
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from claimkit.alerts.channels import LogChannel
from claimkit.events import DriftAccepted, DriftDetected, DriftResolved, DriftWorsened
from claimkit.types import TenantKey
from claimkit_django.alerts import notify
from claimkit_django.alerts.board import evaluate_due, look_again
from claimkit_django.alerts.models import (
    Alert,
    Channel,
    Judgment,
    Notification,
    NotificationItem,
    Route,
    Rule,
    Silence,
)
from claimkit_django.alerts.notify import notify_due
from claimkit_django.runtime import make_bus, open_store
from claimkit_django.tenants.scope import enter
from tests.alerting import report, signal, told

pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)


def alerts(tenant):
    with enter(tenant):
        return list(Alert.objects.order_by("pk"))


def notifications(tenant):
    with enter(tenant):
        return list(Notification.objects.order_by("pk").values_list("state", flat=True))


@pytest.fixture
def stage():
    def run(kind, tenant, **values):
        event = kind(
            tenant=TenantKey(tenant.key),
            at=timezone.now(),
            finding="fp-drift",
            signal="denial_rate",
            payer="Aetna",
            severity=values.pop("severity", "medium"),
            onset=dt.date(2026, 3, 2),
            dollars_per_month=4_821_050,
            summary="Aetna denies 21 % of MRI claims instead of 8 %.",
            **values,
        )
        bus = make_bus(open_store(USING))
        with bus.transaction(transaction.atomic(using=USING)):
            bus.stage(event)

    return run


def test_a_drift_becomes_a_mail_and_its_end_another(northside, mailed, mailbox, stage):
    stage(DriftDetected, northside)
    assert notify_due(using=USING).sent == 1
    stage(DriftResolved, northside)
    assert notify_due(using=USING).sent == 1

    first, second = mailbox.mails
    assert first["Subject"] == "[medium] Aetna: denial rate"
    assert second["Subject"].startswith("[over]")
    assert mailbox.recipients == [["ada@example.org"]] * 2
    for part in ("plain", "html"):
        text = first.get_body((part,)).get_content()
        assert "Aetna denies 21 % of MRI claims instead of 8 %." in text
        assert "Northside Hospital" in text
    (alert,) = alerts(northside)
    assert alert.state == "resolved"
    assert told(northside) == [
        *("opened", "notify:first", "sent:first"),
        *("resolved", "notify:resolved", "sent:resolved"),
    ]


def test_what_is_rolled_back_opens_nothing(northside, mailed, stage, monkeypatch):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        stage(DriftDetected, northside)
        raise ZeroDivisionError

    assert (alerts(northside), notifications(northside)) == ([], [])


def test_a_drift_that_worsens_is_told_again_and_an_accepted_one_is_over(northside, mailed, stage):
    stage(DriftDetected, northside)
    stage(DriftDetected, northside)
    notify_due(using=USING)
    stage(DriftWorsened, northside, severity="high")
    notify_due(using=USING)
    stage(DriftAccepted, northside, by="ada")

    (alert,) = alerts(northside)
    assert (alert.severity, alert.state, alert.count) == ("high", "resolved", 4)
    assert told(northside) == [
        *("opened", "notify:first", "sent:first"),
        *("escalated", "notify:escalated", "sent:escalated"),
        *("resolved", "notify:resolved"),
    ]


def test_a_tenant_hears_of_its_own_only(northside, lakeview, mailed, mailbox):
    report(lakeview, signal())
    notify_due(using=USING)

    assert mailbox.mails == []
    assert told(lakeview) == ["opened", "mute:no_route"]
    assert alerts(northside) == []


def test_one_alert_is_live_per_fingerprint(northside):
    report(northside, signal())
    with enter(northside), pytest.raises(IntegrityError), transaction.atomic():
        Alert.objects.create(
            fingerprint="fp-1",
            severity="low",
            source="x",
            kind="y",
            opened_at=timezone.now(),
            seen_at=timezone.now(),
        )


def test_what_comes_together_is_told_together(northside, mailed, mailbox):
    report(northside, signal("low", number=1), signal("high", number=2))
    report(northside, signal("medium", number=3))
    assert notifications(northside) == ["due"]
    notify_due(using=USING)

    (mail,) = mailbox.mails
    assert mail["Subject"].startswith("[high]")
    assert mail["Subject"].endswith("and 2 more")
    assert notifications(northside) == ["done"]


def test_a_critical_alert_does_not_wait_for_others(northside, add_channel, add_route):
    add_route(northside, add_channel(northside), wait_minutes=30, interval_minutes=60)
    report(northside, signal("low", number=1))
    assert notify_due(using=USING).sent == 0
    report(northside, signal("critical", number=2))

    assert notify_due(using=USING).sent == 1
    report(northside, signal("low", number=3))
    assert notify_due(using=USING).sent == 0
    assert notifications(northside) == ["done", "due"]


def test_a_silence_mutes_and_is_over_by_itself(northside, mailed):
    now = timezone.now()
    with enter(northside):
        Silence.objects.create(
            payers=["Aetna"], begins_at=now, ends_at=now + HOUR, reason="x", actor="user:1"
        )
    report(northside, signal("critical"), now=now)
    assert told(northside) == ["opened", "mute:silenced"]
    assert evaluate_due(now=now, using=USING) == 0

    assert evaluate_due(now=now + HOUR, using=USING) == 1
    assert told(northside)[2:] == ["notify:first"]


def test_noise_mutes_and_becoming_worse_does_not_ask(northside, mailed):
    report(northside, signal("low"))
    notify_due(using=USING)
    (alert,) = alerts(northside)
    with enter(northside):
        for actor in ("user:1", "user:2"):
            Judgment.objects.create(
                alert=alert,
                verdict="noise",
                actor=actor,
                judged_at=timezone.now(),
                severity=alert.severity,
            )
    report(northside, signal("low", is_firing=False))
    report(northside, signal("low", at=timezone.now()))
    assert told(northside)[-1] == "mute:judged_noise"
    report(northside, signal("high", at=timezone.now()))
    assert told(northside)[-2:] == ["escalated", "notify:first"]


def test_what_ends_before_anybody_was_told_is_not_told(northside, mailed):
    report(northside, signal())
    report(northside, signal(is_firing=False))

    assert notifications(northside) == ["cancelled"]
    assert told(northside)[-1] == "mute:never_told"
    assert notify_due(using=USING).sent == 0


def test_others_of_the_notification_stay(northside, mailed):
    report(northside, signal(number=1), signal(number=2))
    report(northside, signal(number=1, is_firing=False))

    assert notifications(northside) == ["due"]
    with enter(northside):
        assert NotificationItem.objects.get().alert.fingerprint == "fp-2"


def test_nobody_acknowledges_so_others_are_told(northside, add_channel, add_route):
    boss = add_channel(northside, "Boss")
    steps = [{"after_minutes": 60, "channels": [boss.uid]}]
    add_route(northside, add_channel(northside), steps=steps)
    now = timezone.now()
    report(northside, signal(at=now), now=now)
    notify_due(using=USING)

    assert evaluate_due(now=now + HOUR / 2, using=USING) == 0
    assert evaluate_due(now=now + HOUR, using=USING) == 1
    assert evaluate_due(now=now + 2 * HOUR, using=USING) == 0
    with enter(northside):
        assert [one.lane.name for one in Notification.objects.order_by("pk")] == ["Billing", "Boss"]


def test_a_channel_that_fails_repeats_itself_and_no_other(
    northside, add_channel, add_route, mailbox
):
    channels = [
        add_channel(northside, "Revenue", "email", to=["ada@example.org"]),
        add_channel(northside, "Log"),
    ]
    add_route(northside, *channels)
    mailbox.refuse = "451 try again"
    report(northside, signal())
    done = notify_due(using=USING)
    assert (done.sent, done.retried, done.dead) == (1, 1, 0)

    mailbox.refuse = ""
    with enter(northside):
        Notification.objects.filter(state="due").update(due_at=timezone.now())
    assert notify_due(using=USING).sent == 1
    assert len(mailbox.mails) == 1
    assert notifications(northside) == ["done", "done"]


def test_a_refused_address_is_given_up_and_seen(northside, mailed, mailbox):
    mailbox.refuse = "550 no such mailbox"
    report(northside, signal())

    assert notify_due(using=USING).dead == 1
    assert told(northside)[-1] == "failed:recipients_refused"


def test_attempts_have_an_end(northside, mailed, mail_through, settings):
    mail_through(9)
    settings.CLAIMKIT = {**settings.CLAIMKIT, "ALERTS": {"RETRY_WAITS": ["1s"]}}
    report(northside, signal())
    assert notify_due(using=USING).retried == 1
    with enter(northside):
        Notification.objects.update(due_at=timezone.now())

    assert notify_due(using=USING).dead == 1


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite takes rows by the hundred")
def test_signals_take_a_fixed_number_of_statements(northside, mailed):
    counts = []
    for first, size in ((0, 2), (10, 2), (100, 200)):
        signals = [signal(number=first + number) for number in range(size)]
        with CaptureQueriesContext(connection) as queries:
            report(northside, *signals)
        counts.append(len(queries))

    assert counts[1] == counts[2] <= 23, counts


def test_a_route_that_was_deleted_leaves_the_alert_visible(northside, mailed):
    with enter(northside):
        Route.objects.all().delete()
    report(northside, signal("critical"))

    assert told(northside) == ["opened", "mute:no_route"]


def test_a_tenant_that_was_deactivated_holds_nobody_up(northside, lakeview, add_channel, add_route):
    add_route(northside, add_channel(northside), repeat_hours=1)
    add_route(lakeview, add_channel(lakeview), repeat_hours=1)
    for tenant in (northside, lakeview):
        report(tenant, signal())
    northside.active = False
    northside.save()

    assert notify_due(using=USING).sent == 1
    states = Notification.unscoped.order_by("pk").values_list("state", flat=True)
    assert list(states) == ["cancelled", "done"]
    assert evaluate_due(now=timezone.now() + 2 * HOUR, using=USING) == 1


def test_a_channel_that_raises_is_a_failure_like_others(northside, add_channel, add_route, caplog):
    class Broken(LogChannel):
        def send(self, notification, settings):
            raise ZeroDivisionError

    add_route(northside, add_channel(northside), repeat_hours=1)
    report(northside, signal())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(notify, "kinds", lambda: {"log": Broken()})
        assert notify_due(using=USING).retried == 1

    assert told(northside)[-1] == "failed:internal"
    assert "a channel failed" in caplog.text


def test_a_rule_that_nobody_understands_opens_an_alert_rather_than_none(northside):
    with enter(northside):
        Rule.objects.create(name="Old", metric="gone", comparison="above", threshold=0)
    report(northside, signal())

    assert len(alerts(northside)) == 1


# -- once, and to all of them -------------------------------------------------------------------


def subjects(mailbox):
    return [one["Subject"].split("]")[0] + "]" for one in mailbox.mails]


@pytest.mark.parametrize("late", [{"is_firing": False, "after": 2}, {"after": 0.5}])
def test_an_end_is_told_once_whatever_is_reported_after_it(northside, mailed, mailbox, late):
    now = timezone.now()
    report(northside, signal(at=now))
    notify_due(using=USING)
    report(northside, signal(at=now + HOUR, is_firing=False))
    notify_due(using=USING)
    after = now + late.pop("after") * HOUR
    report(northside, signal(at=after, **late))
    notify_due(using=USING)

    assert subjects(mailbox) == ["[medium]", "[over]"]


def test_who_was_told_by_a_step_learns_of_the_end(northside, add_channel, add_route):
    boss, first = add_channel(northside, "Boss"), add_channel(northside, "First")
    add_route(northside, first, steps=[{"after_minutes": 60, "channels": [boss.uid]}])
    now = timezone.now()
    report(northside, signal(at=now), now=now)
    notify_due(using=USING)
    evaluate_due(now=now + HOUR, using=USING)
    with enter(northside):
        Notification.objects.filter(state="due").update(due_at=now)
    notify_due(using=USING)
    report(northside, signal(at=now + 2 * HOUR, is_firing=False), now=now + 2 * HOUR)

    with enter(northside):
        over = NotificationItem.objects.filter(reason="resolved")
        assert set(over.values_list("notification__lane__name", flat=True)) == {"First", "Boss"}


def test_flapping_is_damped(northside, mailed):
    now = timezone.now()
    for hour in range(20):
        at = now + hour * HOUR
        report(northside, signal(at=at, is_firing=hour % 2 == 0), now=at)
        with enter(northside):
            Notification.objects.filter(state="due").update(state="done", attempts=1)

    # Three episodes with their ends; then nothing for a day.
    assert len(notifications(northside)) == 6
    assert "mute:flapping" in told(northside)


def test_what_rose_and_ended_unheard_is_withdrawn(northside, mailed):
    now = timezone.now()
    report(northside, signal("low", at=now))
    report(northside, signal("medium", at=now + HOUR))
    with enter(northside):
        assert NotificationItem.objects.get().reason == "first"
    report(northside, signal(at=now + 2 * HOUR, is_firing=False))

    assert notifications(northside) == ["cancelled"]


def test_a_channel_that_heard_of_it_learns_of_the_end_though_another_had_not(
    northside, add_channel, add_route
):
    quick, late = add_channel(northside, "Quick"), add_channel(northside, "Late")
    add_route(northside, quick, late)
    report(northside, signal())
    with enter(northside):
        waiting = Notification.objects.get(lane=late)
        Notification.objects.filter(lane=quick).update(state="done", attempts=1)
    report(northside, signal(is_firing=False))

    with enter(northside):
        waiting.refresh_from_db()
        assert waiting.state == "cancelled"
        over = NotificationItem.objects.get(reason="resolved")
        assert over.notification.lane_id == quick.pk


def test_a_channel_that_is_off_was_told_nothing_and_is_told_when_it_is_on(
    northside, add_channel, add_route
):
    channel = add_channel(northside)
    add_route(northside, channel)
    with enter(northside):
        Channel.objects.update(enabled=False)
    report(northside, signal())
    assert told(northside) == ["opened", "mute:no_channel"]
    assert alerts(northside)[0].told == {}

    with enter(northside):
        Channel.objects.update(enabled=True)
        look_again(using=USING)
    assert notify_due(using=USING).sent == 1


def test_noise_mutes_nothing_that_became_worse_after_it_came_back(northside, mailed):
    now = timezone.now()
    report(northside, signal("low", at=now), now=now)
    (alert,) = alerts(northside)
    with enter(northside):
        for actor in ("user:1", "user:2"):
            Judgment.objects.create(
                alert=alert, verdict="noise", actor=actor, judged_at=now, severity="low"
            )
    report(northside, signal("low", at=now + HOUR, is_firing=False), now=now)
    report(northside, signal("low", at=now + 2 * HOUR), now=now)
    assert told(northside)[-1] == "mute:judged_noise"
    report(northside, signal("medium", at=now + 3 * HOUR), now=now)

    assert told(northside)[-1] == "notify:first"


# -- what is wider, what holds, what is old -----------------------------------------------------

PART = {"procedure_group": ("MRI",)}


def test_a_wider_alert_mutes_narrower_ones_until_it_ends(northside, mailed, mailbox):
    report(northside, signal("high", number=1))
    report(northside, signal("high", number=2, dimensions=PART))
    notify_due(using=USING)
    assert told(northside)[-3:] == ["opened", "mute:inhibited", "sent:first"]
    with enter(northside):
        assert Alert.objects.get(fingerprint="fp-2").inhibited_by == "fp-1"

    report(northside, signal("critical", number=2, dimensions=PART))
    assert told(northside)[-2:] == ["escalated", "notify:first"]
    report(northside, signal("high", number=3, dimensions=PART))
    report(northside, signal(number=1, is_firing=False))
    notify_due(using=USING)

    assert len(subjects(mailbox)) == 2
    assert [one.inhibited_by for one in alerts(northside)] == ["", "", ""]
    with enter(northside):
        sent = NotificationItem.objects.filter(alert__fingerprint="fp-3")
        assert list(sent.values_list("reason", flat=True)) == ["first"]


def test_wider_and_narrower_alerts_that_come_together_are_told_once(northside, mailed):
    report(northside, signal("high", number=2, dimensions=PART), signal("high", number=1))

    assert [line for line in told(northside) if line != "opened"] == [
        "mute:inhibited",
        "notify:first",
    ]


def test_an_alert_of_a_rule_stays_one_until_its_clear_threshold(northside):
    with enter(northside):
        Rule.objects.create(
            name="Dear",
            metric="dollars_per_month",
            comparison="at_least",
            threshold=50_000,
            clear_threshold=40_000,
            severity="critical",
        )
    seen = []
    for dollars in (45_000, 50_000, 45_000, 39_999, 45_000):
        report(northside, signal("low", dollars_per_month=dollars * 100))
        seen.append(alerts(northside)[0].severity)

    assert seen == ["low", "critical", "critical", "low", "low"]


def test_who_switched_a_channel_off_learns_of_the_end_when_it_is_on(northside, mailed, mailbox):
    report(northside, signal())
    notify_due(using=USING)
    with enter(northside):
        Channel.objects.update(enabled=False)
    report(northside, signal(is_firing=False))
    notify_due(using=USING)
    assert told(northside)[-1] == "mute:no_channel"

    with enter(northside):
        Channel.objects.update(enabled=True)
        look_again(using=USING)
    notify_due(using=USING)

    assert mailbox.mails[-1]["Subject"].startswith("[over]")


def test_what_failed_is_not_said_after_something_newer(northside, mailed, mailbox):
    """Tried again after the end, a pager would call somebody for nothing."""
    mailbox.refuse = "451 try again"
    report(northside, signal())
    notify_due(using=USING)
    mailbox.refuse = ""
    report(northside, signal(is_firing=False))
    notify_due(using=USING)
    with enter(northside):
        Notification.objects.filter(state="due").update(due_at=timezone.now())
    notify_due(using=USING)

    assert len(subjects(mailbox)) == 1
    assert mailbox.mails[0]["Subject"].startswith("[over]")
    assert notifications(northside) == ["cancelled", "done"]
