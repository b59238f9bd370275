"""Schedules make what is due, once, catch up after an outage, and mail it to each mailbox."""

from __future__ import annotations

import datetime as dt
import threading

import pytest
from django.db import connection, connections

from claimkit_django.reports.mails import send_due
from claimkit_django.reports.models import ReportMail, ReportRun, ReportSchedule
from claimkit_django.reports.schedules import make_due, next_due, queue_due
from claimkit_django.tenants.models import Tenant
from claimkit_django.tenants.scope import enter
from tests.reporting import MARCH, make

USING = "default"
NOW = dt.datetime(2026, 4, 3, 12, tzinfo=dt.UTC)


@pytest.fixture
def schedule(clinic):
    return add(clinic)


def add(tenant, **values):
    with enter(tenant):
        return ReportSchedule.objects.create(
            **{
                "kind": "monthly",
                "formats": ["json"],
                "recipients": ["cfo@example.org"],
                **values,
            }
        )


def periods():
    return list(ReportRun.unscoped.order_by("first").values_list("first", flat=True))


@pytest.mark.django_db
def test_what_is_due_is_made_and_mailed_once(schedule, mailbox):
    first = make_due(using=USING, now=NOW)
    again = make_due(using=USING, now=NOW + dt.timedelta(minutes=5))

    assert (first.queued, first.made, first.mailed) == (1, 1, 1)
    assert (again.queued, again.made, again.mailed) == (0, 0, 0)
    [mail] = mailbox.mails
    assert mail["Subject"] == "Monthly payer report, March 2026: Northside Hospital"
    assert mailbox.recipients == [["cfo@example.org"]]


@pytest.mark.django_db
def test_a_mail_has_words_markup_and_the_report(schedule, mailbox, settings):
    settings.CLAIMKIT = {"REPORTS": {"PAGE": "https://claims.example.org/reports/{uid}/"}}
    make_due(using=USING, now=NOW)

    [mail] = mailbox.mails
    row = ReportRun.unscoped.get()
    text = mail.get_body(("plain",)).get_content()
    assert "about $48,000 a month" in text
    assert f"https://claims.example.org/reports/{row.uid}/" in text
    assert "about $48,000 a month" in mail.get_body(("html",)).get_content()
    [attached] = mail.iter_attachments()
    assert attached.get_filename() == "monthly-2026-03-01-2026-03-31.json"
    assert row.content_hash.encode() in attached.get_payload(decode=True)


@pytest.mark.django_db
def test_what_is_too_large_is_told_and_not_attached(schedule, mailbox, settings):
    settings.CLAIMKIT = {"REPORTS": {"MAX_ATTACHMENT_BYTES": 10}}
    make_due(using=USING, now=NOW)

    [mail] = mailbox.mails
    assert list(mail.iter_attachments()) == []
    assert "Too large to attach: json." in mail.get_body(("plain",)).get_content()


@pytest.mark.django_db
def test_after_an_outage_the_latest_periods_are_caught_up(schedule):
    queue_due(now=NOW, using=USING)

    queue_due(now=NOW + dt.timedelta(days=250), using=USING)

    assert periods() == [
        dt.date(2026, 3, 1),
        dt.date(2026, 9, 1),
        dt.date(2026, 10, 1),
        dt.date(2026, 11, 1),
    ]


@pytest.mark.django_db
def test_a_report_is_due_by_the_clock_of_its_tenant(lakeview):
    add(lakeview, at="07:30")
    # 07:30 in Chicago is 12:30 in UTC then.
    early = dt.datetime(2026, 4, 1, 12, 29, tzinfo=dt.UTC)

    queue_due(now=early, using=USING)
    assert periods() == [dt.date(2026, 2, 1)]
    queue_due(now=early + dt.timedelta(minutes=1), using=USING)
    assert periods() == [dt.date(2026, 2, 1), dt.date(2026, 3, 1)]


@pytest.mark.django_db
def test_the_next_report_is_known(schedule, clinic):
    assert next_due(schedule, clinic, NOW) < NOW
    queue_due(now=NOW, using=USING)
    schedule = ReportSchedule.unscoped.get()

    assert next_due(schedule, clinic, NOW) == dt.datetime(2026, 5, 1, 6, tzinfo=dt.UTC)


@pytest.mark.django_db
def test_one_broken_time_zone_keeps_nobody_else_from_their_report(schedule, lakeview):
    add(lakeview)
    Tenant.objects.filter(key="northside").update(timezone="Mars/Olympus")

    done = make_due(using=USING, now=NOW)

    assert (done.made, done.broken) == (1, 1)
    assert ReportRun.unscoped.get().tenant == lakeview


@pytest.mark.django_db
@pytest.mark.parametrize("off", ["schedule", "tenant"])
def test_what_is_switched_off_makes_nothing(schedule, clinic, off):
    if off == "schedule":
        with enter(clinic):
            ReportSchedule.objects.update(enabled=False)
    else:
        Tenant.objects.update(active=False)

    assert make_due(using=USING, now=NOW).queued == 0


@pytest.mark.django_db(transaction=True)
def test_many_workers_queue_and_make_a_report_once(schedule, mailbox):
    done = []

    def work():
        try:
            done.append(make_due(using=USING, now=NOW))
        finally:
            connections.close_all()

    workers = [
        threading.Thread(target=work) for _ in range(4 if connection.vendor != "sqlite" else 2)
    ]
    for one in workers:
        one.start()
    for one in workers:
        one.join()

    assert sum(one.queued for one in done) == 1
    assert sum(one.made for one in done) == 1
    assert len(mailbox.mails) == 1


# -- mailboxes --------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_mailbox_that_does_not_exist_is_given_up_at_once(clinic, mailbox):
    mailbox.refuse = "550 no such user"
    make(clinic, MARCH, recipients=["gone@example.org"])

    assert send_due(using=USING) == 0

    mail = ReportMail.unscoped.get()
    assert (mail.status, mail.reason, mail.attempts) == ("refused", "recipient_refused", 1)


@pytest.mark.django_db
def test_a_server_that_is_busy_is_asked_again_later_and_not_for_ever(clinic, mailbox):
    mailbox.refuse = "450 try again later"
    make(clinic, MARCH, recipients=["cfo@example.org"])
    now = ReportMail.unscoped.get().due_at

    for attempt in range(1, 7):
        send_due(using=USING, now=now)
        mail = ReportMail.unscoped.get()
        assert mail.attempts == attempt
        assert mail.due_at > now
        send_due(using=USING, now=now)
        assert ReportMail.unscoped.get().attempts == attempt
        now = mail.due_at

    assert mail.status == "failed"
    mailbox.refuse = ""
    assert send_due(using=USING, now=now + dt.timedelta(days=9)) == 0


@pytest.mark.django_db
def test_one_mailbox_that_fails_keeps_no_other_from_its_mail(clinic, mailbox):
    make(clinic, MARCH, recipients=["a@example.org", "b@example.org"])
    send_due(using=USING)
    make(clinic, MARCH, recipients=["a@example.org", "b@example.org", "c@example.org"])
    send_due(using=USING)

    # A report that is made again is not mailed twice to anybody.
    assert mailbox.recipients == [["a@example.org"], ["b@example.org"], ["c@example.org"]]
