"""The site's own page beside the dashboard: the mail that would have been sent.

It shows how a host adds a page to the dashboard's frame: `DashboardPage` signs people in, enters
their tenant and asks their role.
"""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from claimkit_django.dashboard.pages import DashboardPage

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


class MailPage(DashboardPage):
    """The mail that went to the tenant, the latest first."""

    template_name = "example/mail.html"
    section = "mail"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show it."""
        del request
        return self.show(mails=_mails_about(self.tenant.name))


def _mails_about(tenant: str) -> list[dict[str, str]]:
    """Return mails from the files of Django's file backend; the first line says whose they are."""
    found = []
    for path in sorted(Path(settings.MAIL_DIR).glob("*.log"), reverse=True):
        for text in path.read_text(encoding="utf-8").split("-" * 79 + "\n"):
            read = email.message_from_string(text.strip(), policy=email.policy.default)
            part = read.get_body(("plain",))
            body = part.get_content() if isinstance(part, EmailMessage) else ""
            if body.partition("\n")[0] == tenant:
                found.append({"subject": read["Subject"], "date": read["Date"], "text": body})
    return found[:50]
