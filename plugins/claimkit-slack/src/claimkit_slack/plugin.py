"""The channel ``slack``: one Block Kit message per notification, by an incoming webhook.

An incoming webhook posts to the one Slack channel that it was made for; its address is its secret.
Slack knows no repetition, so each message ends with the notification's id.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from claimkit import hookimpl
from claimkit.alerts.channels import SendResult, check_names, subject_line
from claimkit.errors import ConfigError, InvalidTarget
from claimkit.types import Severity, from_cents
from claimkit.webhooks.posts import post_json
from claimkit.webhooks.targets import TargetPolicy, parse_target
from claimkit.webhooks.transport import HttpTransport, Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from claimkit.alerts.channels import Channel, Notification, NotificationItem
    from claimkit.types import Json

__all__ = ["SlackChannel", "claimkit_register_channels", "message_of"]

#: Block Kit takes 50 blocks: a header, two per alert, what was left out, and a foot.
_MOST_ITEMS: Final = 20
#: Characters, escaped: a header has 150, the text of a section 3,000.
_HEADER: Final = 150
_SUMMARY: Final = 600
_LINK: Final = 1_000
_NAME: Final = 200
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_PATH: Final = "/services/"
_SIGNS: Final = {
    Severity.CRITICAL: ":red_circle:",
    Severity.HIGH: ":large_orange_circle:",
    Severity.MEDIUM: ":large_yellow_circle:",
    Severity.LOW: ":white_circle:",
}


@hookimpl
def claimkit_register_channels() -> Iterable[Channel]:
    """Register the Slack channel."""
    return [SlackChannel()]


class SlackChannel:
    """Posts a notification to a channel of Slack.

    Args:
        hosts: Where webhooks may be; nothing else is ever connected to.
        policy: Which addresses may be reached; the default is ``https`` to the public internet.
        limits: What one send may take.
    """

    name = "slack"
    secrets: frozenset[str] = frozenset({"url"})

    def __init__(
        self,
        *,
        hosts: frozenset[str] = frozenset({"hooks.slack.com"}),
        policy: TargetPolicy | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._hosts = hosts
        self._policy = policy or TargetPolicy(ports=frozenset({443}))
        self._limits = limits or Limits(total_seconds=10.0)

    def check(self, settings: Mapping[str, Json]) -> Mapping[str, Json]:
        """Return ``{"url": "https://hooks.slack.com/services/…"}``.

        Raises:
            ConfigError: there is no such address in ``url``, or there is another setting.
        """
        check_names(settings, needed=["url"])
        url = settings["url"]
        try:
            target = parse_target(url if isinstance(url, str) else "", self._policy)
        except InvalidTarget as error:
            raise ConfigError(f"the setting 'url' cannot be used: {error.message}") from None
        if target.host not in self._hosts or not target.path.startswith(_PATH):
            raise ConfigError(
                "the setting 'url' is no incoming webhook of Slack",
                remedy=f"Copy it from your app's page; it begins with https://{min(self._hosts)}{_PATH}",
            )
        return {"url": url}

    def send(self, notification: Notification, settings: Mapping[str, Json]) -> SendResult:
        """Post one message."""
        try:
            url = str(self.check(settings)["url"])
        except ConfigError as error:
            # Kept from when other hosts were allowed.
            return SendResult(is_sent=False, reason=error.code, is_permanent=True)
        with closing(HttpTransport(self._policy, limits=self._limits)) as transport:
            posted = post_json(transport, url, message_of(notification))
        return SendResult(
            is_sent=posted.is_taken,
            reason=posted.reason,
            is_permanent=posted.is_permanent,
            retry_after=posted.retry_after,
        )


def message_of(notification: Notification) -> Mapping[str, Json]:
    """Return the message: a header, two blocks for each of the first 20 alerts, and a foot.

    Whatever names and summaries hold, they mention nobody and make no link.
    """
    subject = subject_line(notification)
    header = subject if len(subject) <= _HEADER else f"{subject[: _HEADER - 1]}…"
    blocks: list[Json] = [
        {"type": "header", "text": {"type": "plain_text", "text": header, "emoji": False}}
    ]
    for one in notification.items[:_MOST_ITEMS]:
        blocks += [_section(_text_of(one)), _context(_facts_of(one))]
    left = len(notification.items) - _MOST_ITEMS
    if left > 0:
        blocks.append(_section(f"_and {left} more_"))
    foot = f"{_escaped(notification.tenant_name, _NAME)} · {_escaped(notification.id, _NAME)}"
    blocks.append(_context(foot))
    # What phones and screen readers tell in the place of blocks.
    return {"text": _escaped(subject, _SUMMARY), "blocks": blocks}


def _text_of(item: NotificationItem) -> str:
    sign = ":white_check_mark:" if item.is_over else _SIGNS[item.severity]
    summary = _escaped(item.summary or item.kind.replace("_", " "), _SUMMARY)
    address = item.link.replace("&", "&amp;")
    # A bar or a bracket would end the link early, and half a link leads nowhere.
    is_plain = 0 < len(address) <= _LINK and not set(address) & set("<>|\r\n")
    link = f"\n<{address}|Open the alert>" if is_plain else ""
    return f"{sign} *{item.word}* {summary}{link}"


def _facts_of(item: NotificationItem) -> str:
    facts = [item.severity.value]
    if item.payer:
        facts.append(_escaped(item.payer, _NAME))
    if item.onset is not None:
        facts.append(f"since {item.onset.isoformat()}")
    if item.dollars_per_month:
        facts.append(f"${from_cents(item.dollars_per_month):,} a month")
    return " · ".join(facts)


def _section(text: str) -> Mapping[str, Json]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _context(text: str) -> Mapping[str, Json]:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text, "verbatim": True}]}


def _escaped(text: str, most: int) -> str:
    """Return one line that Slack takes for text, cut where it has so many characters escaped."""
    told: list[str] = []
    room = most - 1
    for sign in " ".join(text.split()):
        escaped = _ESCAPES.get(sign, sign)
        room -= len(escaped)
        if room < 0:
            return "".join([*told, "…"])
        told.append(escaped)
    return "".join(told)
