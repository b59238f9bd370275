"""Mails reports: each mailbox on its own, tried again for a while, and never twice on purpose."""

from __future__ import annotations

import datetime as dt
import smtplib
from typing import TYPE_CHECKING

from django.core.mail import EmailMultiAlternatives
from django.db.models import F
from django.template.loader import render_to_string
from django.utils import timezone

from claimkit.reports.periods import PeriodKind
from claimkit_django.conf import config
from claimkit_django.reports.models import ReportMail, ReportRun
from claimkit_django.reports.runs import period_of_run
from claimkit_django.runtime import plugins
from claimkit_django.tenants.scope import enter

if TYPE_CHECKING:
    from claimkit_django.tenants.models import Tenant

__all__ = ["send_due"]

#: Wait before the second attempt; each next one is twice as long.
_FIRST_WAIT = dt.timedelta(minutes=10)
#: Replies of a mail server that say "never", by their first digit.
_PERMANENT = 5
_MOST_AT_ONCE = 200
_WORDS = {
    PeriodKind.WEEKLY.value: "Weekly payer report",
    PeriodKind.MONTHLY.value: "Monthly payer report",
    PeriodKind.QUARTERLY.value: "Quarterly payer report",
    PeriodKind.CUSTOM.value: "Payer report",
}


def send_due(*, using: str, now: dt.datetime | None = None) -> int:
    """Mail what is due, of all tenants; return how many mails went out.

    A worker that dies after a mail was sent and before that is written down sends it once more,
    with the same ``Message-ID``.
    """
    moment = now or timezone.now()
    rows = ReportMail.unscoped.using(using).filter(
        status="pending", due_at__lte=moment, run__status="success", run__tenant__active=True
    )
    due = rows.select_related("run__tenant").order_by("due_at", "id")[:_MOST_AT_ONCE]
    return sum(_send(mail, moment, using) for mail in due)


def _send(mail: ReportMail, now: dt.datetime, using: str) -> bool:
    tenant: Tenant = mail.run.tenant
    with enter(tenant):
        mine = ReportMail.objects.using(using).filter(pk=mail.pk)
        wait = _FIRST_WAIT * 2**mail.attempts
        taken = mine.filter(status="pending", attempts=mail.attempts).update(
            attempts=F("attempts") + 1, due_at=now + wait
        )
        if not taken:
            return False
        reason, is_permanent = _hand_over(mail, tenant, using)
        if not reason:
            mine.update(status="sent", sent_at=timezone.now(), reason="")
            return True
        is_last = mail.attempts + 1 >= config().reports.mail_attempts
        status = "refused" if is_permanent else "failed" if is_last else "pending"
        mine.update(status=status, reason=reason)
        return False


def _hand_over(mail: ReportMail, tenant: Tenant, using: str) -> tuple[str, bool]:
    """Give the mail to the site's server; return why it did not take it, and whether it never will."""
    try:
        _message(mail, tenant, using).send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        return "recipient_refused", all(code // 100 == _PERMANENT for code in codes)
    except smtplib.SMTPResponseException as error:
        return f"smtp_{error.smtp_code}", error.smtp_code // 100 == _PERMANENT
    except FileNotFoundError:
        return "file_missing", True
    except (smtplib.SMTPException, OSError):
        return "smtp_failed", False
    return "", False


def _message(mail: ReportMail, tenant: Tenant, using: str) -> EmailMultiAlternatives:
    run: ReportRun = mail.run
    room = config().reports
    context = {
        "tenant": tenant.name,
        "title": _WORDS[run.kind],
        "period": period_of_run(run).words,
        "headline": run.headline,
        "came": run.changes.get("came", []),
        "went": run.changes.get("went", []),
        "link": room.page.replace("{uid}", run.uid) if room.page else "",
        "left_out": [],
    }
    files = list(run.files.using(using).order_by("id")) if run.attach else []
    kept = [one for one in files if one.bytes <= room.max_attachment_bytes]
    context["left_out"] = [one.renderer for one in files if one not in kept]
    message = EmailMultiAlternatives(
        subject=f"{_WORDS[run.kind]}, {context['period']}: {tenant.name}",
        body=render_to_string("claimkit_django/reports/mail.txt", context),
        to=[mail.address],
        headers={"Message-ID": f"<{run.uid}.{mail.pk}.{run.content_hash[:12]}@claimkit.invalid>"},
    )
    message.attach_alternative(
        render_to_string("claimkit_django/reports/mail.html", context), "text/html"
    )
    for one in kept:
        with one.file.open() as file:
            ending = plugins().renderers[one.renderer].extension
            name = f"{run.kind}-{run.first}-{run.last}.{ending}"
            message.attach(name, file.read(), one.media_type.partition(";")[0])
    return message
