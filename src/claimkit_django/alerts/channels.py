"""Kinds of channels of this site: those of plugins, and e-mail by the site's own mail settings."""

from __future__ import annotations

import datetime as dt
import json
import smtplib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.validators import validate_email
from django.template.loader import render_to_string

from claimkit.alerts.channels import SendResult, as_text, check_names, subject_line
from claimkit.errors import ConfigError, UnknownName
from claimkit_django.runtime import plugins
from claimkit_django.sealing import open_sealed, seal

if TYPE_CHECKING:
    from claimkit.alerts.channels import Channel, Notification
    from claimkit.types import Json

__all__ = [
    "EmailChannel",
    "check_settings",
    "find_kind",
    "kinds",
    "opened",
    "sealed",
    "shown",
    "takes_digests",
]

_MOST_RECIPIENTS = 50
_LONGEST_SUBJECT = 200
#: Replies of a mail server that say "never", by their first digit.
_PERMANENT = 5


class EmailChannel:
    """Mails a notification as text and HTML; every recipient sees only their own address."""

    name = "email"
    secrets: frozenset[str] = frozenset()

    def check(self, settings: Mapping[str, Json]) -> Mapping[str, Json]:
        """Return ``{"to": [address, …]}``, 1 to 50 addresses, each once.

        Raises:
            ConfigError: no addresses, too many, or one that is none.
        """
        check_names(settings, needed=["to"])
        to = settings["to"]
        if isinstance(to, str) or not isinstance(to, Sequence):
            raise ConfigError('e-mail has one setting, "to": a list of addresses')
        addresses = list(dict.fromkeys(str(one).strip() for one in to))
        if not 1 <= len(addresses) <= _MOST_RECIPIENTS:
            raise ConfigError(f"e-mail goes to 1 to {_MOST_RECIPIENTS} addresses")
        for one in addresses:
            try:
                validate_email(one)
            except ValidationError:
                raise ConfigError("an address is no e-mail address") from None
        return {"to": addresses}

    def send(self, notification: Notification, settings: Mapping[str, Json]) -> SendResult:
        """Hand the mail to the site's mail server."""
        to: Any = settings["to"]
        mail = EmailMultiAlternatives(
            subject=subject_line(notification)[:_LONGEST_SUBJECT],
            body=as_text(notification),
            bcc=list(to),
            # The same for every attempt: mailboxes show a repetition once.
            headers={"Message-ID": f"<{notification.id}@claimkit.invalid>"},
        )
        mail.attach_alternative(
            render_to_string(
                "claimkit_django/alerts/notification.html", {"notification": notification}
            ),
            "text/html",
        )
        try:
            mail.send()
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            never = all(code // 100 == _PERMANENT for code in codes)
            return SendResult(is_sent=False, reason="recipients_refused", is_permanent=never)
        except smtplib.SMTPResponseException as error:
            never = error.smtp_code // 100 == _PERMANENT
            return SendResult(is_sent=False, reason=f"smtp_{error.smtp_code}", is_permanent=never)
        except (smtplib.SMTPException, OSError):
            return SendResult(
                is_sent=False, reason="smtp_failed", retry_after=dt.timedelta(minutes=1)
            )
        return SendResult(is_sent=True)


def kinds() -> Mapping[str, Channel]:
    """Return the kinds of channels by name."""
    return {**plugins().channels, EmailChannel.name: EmailChannel()}


def find_kind(name: str) -> Channel:
    """Return a kind of channel.

    Raises:
        UnknownName: no plugin registers it.
    """
    known = kinds()
    if name not in known:
        raise UnknownName.of("channel", name, known)
    return known[name]


def takes_digests(kind: str) -> bool:
    """Whether a kind tells digests; pagers say ``takes_digests = False``, since they wake somebody."""
    return bool(getattr(kinds().get(kind), "takes_digests", True))


def check_settings(kind: str, settings: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return settings of a channel in their plain form.

    Raises:
        UnknownName: there is no such kind.
        ConfigError: a setting cannot be used.
    """
    return find_kind(kind).check(settings)


def sealed(settings: Mapping[str, Json]) -> bytes:
    """Return settings as rows keep them."""
    return seal(json.dumps(dict(settings)).encode())


def opened(text: bytes | memoryview) -> Mapping[str, Json]:
    """Return settings of a row."""
    found: Mapping[str, Json] = json.loads(open_sealed(text) or b"{}")
    return found


def shown(kind: str, settings: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return settings without their secrets, also of a kind that is no longer there."""
    known = kinds().get(kind)
    if known is None:
        return {}
    return {name: value for name, value in settings.items() if name not in known.secrets}
