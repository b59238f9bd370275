"""Ways of telling people: what is told, the port that plugins implement, and the built-in log.

A :class:`Notification` has no place for anything of a patient, so no channel can tell it. A channel
returns what happened and raises for nothing that a receiver does; back-off is not its business.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from claimkit.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Mapping, Sequence

    from claimkit.types import Cents, Json, Severity

__all__ = [
    "Channel",
    "LogChannel",
    "Notification",
    "NotificationItem",
    "SendResult",
    "as_text",
    "check_names",
    "subject_line",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationItem:
    """One alert of a notification."""

    #: Identifier of the alert; with :attr:`episode` the key by which a pager knows it again.
    alert: str
    episode: int
    #: ``first``, ``escalated``, ``repeated``, ``step`` or ``resolved``; in a digest ``open`` or
    #: ``muted``.
    reason: str
    severity: Severity
    #: What changed, such as ``denial_rate``.
    kind: str
    payer: str
    summary: str
    onset: dt.date | None
    dollars_per_month: Cents
    #: Where to look; asks for a sign-in. Empty where the site has no page.
    link: str = ""

    @property
    def is_over(self) -> bool:
        """Whether it tells of the end."""
        return self.reason == "resolved"

    @property
    def word(self) -> str:
        """Why it is told, in a word or three for people."""
        return _WORDS[self.reason]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What a channel tells at once: the alerts of one route that came together."""

    #: The same for every attempt.
    id: str
    tenant_name: str
    #: At least one, the most severe first.
    items: Sequence[NotificationItem]
    #: What a digest says in a sentence; empty for notifications that wake somebody.
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """What happened to a notification."""

    is_sent: bool
    #: A word for people, such as ``http_500``; empty where it was sent.
    reason: str = ""
    #: It will never work: wrong address, credentials refused.
    is_permanent: bool = False
    #: What the receiver asked to wait.
    retry_after: dt.timedelta | None = None


class Channel(Protocol):
    """One kind of channel; the settings of each use are given to it."""

    #: Unique among channels, such as ``slack``.
    name: str
    #: Names of settings that are secrets, which are never shown again.
    secrets: frozenset[str]

    def check(self, settings: Mapping[str, Json]) -> Mapping[str, Json]:
        """Return the settings in their plain form.

        Raises:
            ConfigError: a setting is missing, unknown or unusable; the message names it.
        """
        ...

    def send(self, notification: Notification, settings: Mapping[str, Json]) -> SendResult:
        """Tell the notification once, within some seconds."""
        ...


class LogChannel:
    """Writes notifications to the log of this site, for sites whose people watch that."""

    name = "log"
    secrets: frozenset[str] = frozenset()

    def check(self, settings: Mapping[str, Json]) -> Mapping[str, Json]:
        """Return no settings: there are none.

        Raises:
            ConfigError: there is one.
        """
        check_names(settings)
        return {}

    def send(self, notification: Notification, settings: Mapping[str, Json]) -> SendResult:
        """Log one line per alert."""
        del settings
        for one in notification.items:
            logger.warning(
                "alert",
                extra={"alert": one.alert, "reason": one.reason, "severity": one.severity.value},
            )
        return SendResult(is_sent=True)


def check_names(
    settings: Mapping[str, Json],
    *,
    needed: Collection[str] = (),
    optional: Collection[str] = (),
) -> None:
    """Check that the settings of a channel are those that it has.

    Raises:
        ConfigError: one is missing or unknown; the message names it, and no value.

    >>> check_names({"url": "https://..."}, needed=["url"])
    """
    known = [*needed, *optional]
    for name in sorted(settings.keys() - set(known)):
        raise ConfigError(f"the channel has no setting {name!r}{did_you_mean(name, known)}")
    for name in needed:
        if name not in settings:
            raise ConfigError(f"the setting {name!r} of the channel is missing")


def subject_line(notification: Notification) -> str:
    """Return one line for a subject: what is worst, and how many there are."""
    if notification.digest:
        return f"[digest] {notification.digest}"
    worst = notification.items[0]
    more = f" and {len(notification.items) - 1} more" if len(notification.items) > 1 else ""
    word = "over" if worst.is_over else worst.severity.value
    kind = worst.kind.replace("_", " ")
    about = f"{worst.payer}: {kind}" if worst.payer else kind
    return " ".join(f"[{word}] {about}{more}".split())


def as_text(notification: Notification) -> str:
    """Return the notification as plain text."""
    lines = [notification.tenant_name, ""]
    if notification.digest:
        lines += [notification.digest, ""]
    for one in notification.items:
        lines.append(f"{one.word} ({one.severity.value}): {one.summary or one.kind}")
        if one.onset is not None:
            lines.append(f"  since {one.onset.isoformat()}")
        if one.link:
            lines.append(f"  {one.link}")
        lines.append("")
    return "\n".join(lines)


_WORDS = {
    "first": "New",
    "escalated": "Worse",
    "repeated": "Still open",
    "step": "Nobody has answered",
    "resolved": "Over",
    "open": "Open",
    "muted": "Muted",
}
