"""A mail that comes back after the server took it has a state of its own."""

from __future__ import annotations

import datetime as dt
import io
import sys
from email.message import EmailMessage, Message
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command

from claimkit.errors import ConfigError
from claimkit_django.reports.bounces import read_bounce, take_bounce
from claimkit_django.reports.mails import send_due
from claimkit_django.reports.models import ReportMail
from tests.reporting import make

pytestmark = pytest.mark.django_db
USING = "default"


@pytest.fixture
def sent(clinic, mailbox):
    """Return a mail of a report that the server took."""
    make(clinic, recipients=["cfo@example.org"])
    send_due(using=USING)
    [mail] = mailbox.mails
    return mail


def notice(mail, *, action="failed", status="5.1.1", returned="message/rfc822"):
    """Return what a mail server sends back, as Postfix and Exchange write it."""
    told = EmailMessage()
    told["From"] = "MAILER-DAEMON@mail.example.org"
    told["To"] = "reports@claims.example.org"
    told["Subject"] = "Undelivered Mail Returned to Sender"
    told["Message-ID"] = "<20260401.417@mail.example.org>"
    told.set_content("I'm sorry to have to inform you that your message could not be delivered.")
    report = Message()
    report["Content-Type"] = "message/delivery-status"
    host, person = Message(), Message()
    host["Reporting-MTA"] = "dns; mail.example.org"
    person["Final-Recipient"] = "rfc822; cfo@example.org"
    person["Action"] = action
    person["Status"] = status
    person["Diagnostic-Code"] = "smtp; 550 5.1.1 user unknown"
    report.set_payload([host, person])
    told.make_mixed()
    told.set_type("multipart/report")
    told.set_param("report-type", "delivery-status")
    told.attach(report)
    if returned == "message/rfc822":
        told.add_attachment(mail)
    else:
        headers = Message()
        headers["Content-Type"] = returned
        headers.set_payload(f"Subject: {mail['Subject']}\nMessage-ID: {mail['Message-ID']}\n")
        told.attach(headers)
    return told.as_bytes()


def state():
    row = ReportMail.unscoped.get()
    return row.status, row.reason, row.sent_at is not None


@pytest.mark.parametrize("returned", ["message/rfc822", "text/rfc822-headers"])
def test_a_mail_that_comes_back_is_bounced_and_says_why(sent, returned):
    raw = notice(sent, returned=returned)

    assert state() == ("sent", "", True)
    assert take_bounce(raw) == "bounced"
    assert state() == ("bounced", "bounced_5.1.1", True)
    # The same notice again, and what is due: nothing happens.
    assert take_bounce(raw) == "bounced"
    assert send_due(using=USING) == 0


@pytest.mark.parametrize(
    ("action", "status"), [("delayed", "4.4.1"), ("delivered", "2.0.0"), ("relayed", "2.0.0")]
)
def test_a_mail_that_is_late_or_arrived_is_not_bounced(sent, action, status):
    assert take_bounce(notice(sent, action=action, status=status)) == "sent"
    assert state() == ("sent", "", True)


def test_a_notice_of_a_mail_that_is_not_kept_changes_nothing(sent):
    raw = notice(sent)
    ReportMail.unscoped.all().delete()

    assert take_bounce(raw) == "unknown"


def test_a_notice_about_another_mail_is_refused(sent):
    with pytest.raises(ConfigError, match="not about the mail of a report"):
        read_bounce(notice(sent).replace(b"@claimkit.invalid", b"@elsewhere.example"))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\x00",
        b"Subject: hello\n\nyou",
        b"Content-Type: multipart/report; boundary=x\n\n--x",
    ],
)
def test_what_is_no_notice_is_refused(raw):
    with pytest.raises(ConfigError, match="no delivery status"):
        read_bounce(raw)


def test_the_command_reads_a_notice_as_a_mail_server_hands_it_over(sent, monkeypatch, capsys):
    raw = notice(sent)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(raw)))
    call_command("claimkit_report", "--bounced")

    assert capsys.readouterr().out == "bounced\n"

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"hello")))
    with pytest.raises(CommandError, match="RFC 3464"):
        call_command("claimkit_report", "--bounced")


def test_the_next_report_is_mailed_all_the_same(sent, clinic, mailbox):
    take_bounce(notice(sent))
    make(clinic, recipients=["cfo@example.org", "cmo@example.org"])
    send_due(using=USING, now=dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1))

    # Who bounced is not mailed the same report twice.
    assert mailbox.recipients == [["cfo@example.org"], ["cmo@example.org"]]
