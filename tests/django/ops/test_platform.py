"""Alerts of the site itself, from real series to a real mail server."""

from __future__ import annotations

import datetime as dt
import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.db import DEFAULT_DB_ALIAS as USING
from django.db import connection  # noqa: F401 - named in skipif

from claimkit.ops import metrics
from claimkit.ops.platform import Readings
from claimkit_django.ops import platform
from claimkit_django.ops.checks import check_channels
from claimkit_django.ops.metrics import meter
from claimkit_django.ops.models import PlatformAlert, PlatformReading, PlatformTelling
from claimkit_django.ops.platform import gauges, read, watch

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 4, 12, 9, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
OPS = 'email {"to": ["ops@example.org"]}'


@pytest.fixture
def operators(settings):
    def choose(*channels):
        ops = settings.CLAIMKIT.get("OPS", {})
        settings.CLAIMKIT = {**settings.CLAIMKIT, "OPS": {**ops, "ALERT_CHANNELS": channels}}

    choose(OPS)
    return choose


@pytest.fixture
def site(monkeypatch):
    """Let the series of this site say what a test wants."""
    return lambda **values: monkeypatch.setattr(platform, "read", lambda _: Readings(**values))


def subjects(mailbox):
    return [mail["Subject"] for mail in mailbox.mails]


def test_an_alert_is_told_once_repeated_and_ended(operators, site, mailbox):
    site(oldest_due=301.0)
    for minutes in (0, 1, 5):
        assert watch(using=USING, now=NOW + minutes * MINUTE).fault == ""
    assert subjects(mailbox) == ["[high] platform deliveries"]
    watch(using=USING, now=NOW + 241 * MINUTE)
    # Between both thresholds it still holds.
    site(oldest_due=200.0)
    watch(using=USING, now=NOW + 242 * MINUTE)
    assert len(subjects(mailbox)) == 2

    site(oldest_due=0.0)
    for minutes in (243, 244):
        watch(using=USING, now=NOW + minutes * MINUTE)

    assert subjects(mailbox)[2:] == ["[over] platform deliveries"]
    text = mailbox.mails[0].get_body(("plain",)).get_content()
    assert "the oldest is due for: 301.0 s, where 300 s is the limit." in text


def test_one_channel_that_fails_repeats_no_other(operators, site, mailbox):
    """The original noted what it told also where every channel had failed."""
    operators(OPS, "log")
    mailbox.refuse = "451 try again"
    site(oldest_due=301.0)
    first = watch(using=USING, now=NOW)
    assert (first.told, first.retried) == (1, 1)

    mailbox.refuse = ""
    second = watch(using=USING, now=NOW + 5 * MINUTE)
    assert (second.told, second.retried) == (1, 0)
    assert len(subjects(mailbox)) == 1


def test_attempts_have_an_end(operators, site, mail_through):
    mail_through(9)
    site(oldest_due=301.0)
    counts = [watch(using=USING, now=NOW + hours * 60 * MINUTE) for hours in (0, 1, 2, 3, 9, 20)]

    assert sum(one.dead for one in counts) == 1
    first = PlatformTelling.objects.get(number=0)
    assert (first.state, first.attempts) == ("dead", 6)


def test_who_never_heard_of_the_beginning_hears_nothing_of_the_end(operators, site, mailbox):
    mailbox.refuse = "451 try again"
    site(oldest_due=301.0)
    watch(using=USING, now=NOW)
    mailbox.refuse = ""
    site(oldest_due=0.0)
    watch(using=USING, now=NOW + 10 * MINUTE)

    assert subjects(mailbox) == []
    assert list(PlatformTelling.objects.values_list("state", "reason")) == [("dead", "over")]


def test_shares_are_those_of_the_window(operators, site, mailbox):
    site(requests=1_000, errors=900, tasks=0)
    watch(using=USING, now=NOW)
    site(requests=1_100, errors=900, tasks=0)
    watch(using=USING, now=NOW + 5 * MINUTE)
    assert subjects(mailbox) == []

    site(requests=1_200, errors=912, tasks=0)
    watch(using=USING, now=NOW + 6 * MINUTE)

    assert subjects(mailbox) == ["[critical] platform errors"]
    assert PlatformAlert.objects.get(rule="errors").figure == 6.0


def test_real_series_are_read(ops):
    pytest.importorskip("prometheus_client")
    before = read(USING)
    for status in ("200", "503"):
        meter().count(metrics.HTTP_REQUESTS, "GET", "x", status)
    meter().time(metrics.HTTP_SECONDS, "GET", "x", seconds=0.3)
    meter().count(metrics.TASKS, "x", "failure")
    now = read(USING)

    assert now.requests - before.requests == 2
    assert now.errors - before.errors == 1
    assert now.failures - before.failures == 1
    assert now.seconds["+Inf"] - before.seconds.get("+Inf", 0) == 1
    assert (now.oldest_due, now.oldest_unlinked) == (0, 0)


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite counts no connections")
def test_connections_have_a_limit(ops):
    now = read(USING)

    assert 1 <= now.connections < now.connections_limit


def command(*arguments):
    out, err = io.StringIO(), io.StringIO()
    call_command("claimkit_watch_platform", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_command_tells_what_it_found(operators, site, mailbox):
    site(oldest_due=301.0)

    dry = command("--dry-run", "--verbose")[0]
    assert "firing   deliveries: Nothing is sent" in dry
    assert "unknown  errors" in dry
    assert (subjects(mailbox), PlatformReading.objects.count()) == ([], 0)

    told = json.loads(command("--rule", "deliveries", "--format", "json")[0])
    assert [one["rule"] for one in told["rules"]] == ["deliveries"]
    assert told["told"] == 1

    with pytest.raises(CommandError, match="there is no rule 'delivery'; did you mean"):
        command("--rule", "delivery")


def test_a_fault_of_the_watch_is_a_metric_and_no_failure(operators, site, monkeypatch, caplog):
    def broken(_):
        raise ZeroDivisionError

    monkeypatch.setattr(platform, "read", broken)
    for _ in range(2):
        assert "could not be watched: ZeroDivisionError" in command()[1]
    assert [(one.series.name, one.value) for one in gauges(USING)] == [
        ("claimkit_platform_faults", 2)
    ]

    site()
    command()
    assert gauges(USING)[0].value == 0
    assert gauges(USING)[1].value < 60


def test_what_was_read_is_kept_for_a_day(operators, site):
    site()
    for days in (0, 1, 3):
        watch(using=USING, now=NOW + dt.timedelta(days=days))

    assert PlatformReading.objects.count() == 1


@pytest.mark.parametrize(
    ("channel", "message"),
    [
        ("pigeon {}", "unknown channel 'pigeon'"),
        ("email {to: x}", "what follows 'email' in OPS.ALERT_CHANNELS is no JSON"),
        ('email {"to": []}', "e-mail goes to 1 to 50 addresses"),
    ],
)
def test_a_channel_that_cannot_be_used_is_an_error_of_the_site(operators, channel, message):
    operators(channel)

    (found,) = check_channels()

    assert found.id == "claimkit_ops.E003"
    assert message in found.msg


def test_a_channel_that_was_taken_away_is_told_nothing(operators, site, mailbox):
    mailbox.refuse = "451 try again"
    site(oldest_due=301.0)
    watch(using=USING, now=NOW)
    operators()

    assert watch(using=USING, now=NOW + 5 * MINUTE).dead == 1
