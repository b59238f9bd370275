"""The channel ``pagerduty``: one event of Events API v2 per alert, and its end.

Each episode of an alert has one ``dedup_key``, so that a repetition, a reminder or a change of
severity updates the incident that there is, and the end resolves that one and no other.
https://developer.pagerduty.com/docs/events-api-v2-overview
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Final

from claimkit import hookimpl
from claimkit.alerts.channels import SendResult, check_names
from claimkit.errors import ConfigError
from claimkit.types import Severity, from_cents
from claimkit.webhooks.posts import Posted, post_json
from claimkit.webhooks.targets import TargetPolicy
from claimkit.webhooks.transport import HttpTransport, Limits, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from claimkit.alerts.channels import Channel, Notification, NotificationItem
    from claimkit.types import Json

__all__ = ["PagerDutyChannel", "claimkit_register_channels", "dedup_key_of", "event_of"]

#: Service region → where its events go.
ENDPOINTS: Final[Mapping[str, str]] = {
    "us": "https://events.pagerduty.com/v2/enqueue",
    "eu": "https://events.eu.pagerduty.com/v2/enqueue",
}
SEVERITIES: Final[Mapping[str, str]] = {
    Severity.CRITICAL: "critical",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "info",
}
_ROUTING_KEY: Final = re.compile(r"[A-Za-z0-9]{32}", re.ASCII)
#: Characters that PagerDuty takes.
_DEDUP_KEY, _SUMMARY = 255, 1_024
#: Ours, for what PagerDuty does not limit.
_FIELD, _LINK = 255, 2_000
_DIGEST: Final = 64
#: Refused for what is in the event; the next event may be taken.
_INVALID_EVENT: Final = "http_400"


@hookimpl
def claimkit_register_channels() -> Iterable[Channel]:
    """Register the PagerDuty channel."""
    return [PagerDutyChannel()]


class PagerDutyChannel:
    """Triggers and resolves an incident per alert and episode.

    Args:
        endpoints: Region → where its events go; nothing else is ever connected to.
        policy: Which addresses may be reached; the default is ``https`` to the public internet.
        limits: What one event may take.
        most_seconds: What all events of one notification may take.
        clock: Seconds that only ever grow.
    """

    name = "pagerduty"
    secrets: frozenset[str] = frozenset({"routing_key"})
    #: An event per alert would wake somebody with what is only listed.
    takes_digests = False

    def __init__(
        self,
        *,
        endpoints: Mapping[str, str] = ENDPOINTS,
        policy: TargetPolicy | None = None,
        limits: Limits | None = None,
        most_seconds: float = 20.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoints = endpoints
        self._policy = policy or TargetPolicy(ports=frozenset({443}))
        self._limits = limits or Limits(total_seconds=10.0)
        self._most_seconds = most_seconds
        self._clock = clock

    def check(self, settings: Mapping[str, Json]) -> Mapping[str, Json]:
        """Return ``{"routing_key": …, "region": "us", "severities": {…}}``.

        ``region`` is ``us`` or ``eu``. ``severities`` says which severity of PagerDuty one of
        claimkit's is; those that are left out are as in :data:`SEVERITIES`.

        Raises:
            ConfigError: the routing key is missing or none, or another setting cannot be used.
        """
        check_names(settings, needed=["routing_key"], optional=["region", "severities"])
        routing_key, region = settings["routing_key"], settings.get("region", "us")
        if not isinstance(routing_key, str) or not _ROUTING_KEY.fullmatch(routing_key):
            raise ConfigError(
                "the setting 'routing_key' is no integration key of 32 letters and digits",
                remedy="Add the integration Events API V2 to the service and copy its key",
            )
        if not isinstance(region, str) or region not in self._endpoints:
            regions = " or ".join(repr(one) for one in self._endpoints)
            raise ConfigError(f"the setting 'region' must be {regions}")
        severities = _severities(settings.get("severities", {}))
        return {"routing_key": routing_key, "region": region, "severities": severities}

    def send(self, notification: Notification, settings: Mapping[str, Json]) -> SendResult:
        """Send one event per alert, the most severe first.

        What was taken is known again, so a notification that failed half way is sent whole again.
        A digest is none of it, and refused.
        """
        if notification.digest:
            return SendResult(is_sent=False, reason="digest", is_permanent=True)
        try:
            plain = self.check(settings)
        except ConfigError as error:
            # Kept from when other settings were allowed.
            return SendResult(is_sent=False, reason=error.code, is_permanent=True)
        routing_key, url = str(plain["routing_key"]), self._endpoints[str(plain["region"])]
        severities = _severities(plain["severities"])
        ends = self._clock() + self._most_seconds
        worst = Posted()
        with closing(HttpTransport(self._policy, limits=self._limits)) as transport:
            for item in notification.items:
                if self._clock() > ends:
                    worst = Posted(reason=Reason.DEADLINE.value)
                    break
                event = event_of(item, notification, severities)
                posted = post_json(transport, url, {"routing_key": routing_key, **event})
                if posted.is_taken:
                    continue
                worst = posted
                # One event that is refused holds no other up; a service that is gone holds all.
                if posted.reason != _INVALID_EVENT:
                    break
        return SendResult(
            is_sent=worst.is_taken,
            reason=worst.reason,
            is_permanent=worst.is_permanent,
            retry_after=worst.retry_after,
        )


def event_of(
    item: NotificationItem, notification: Notification, severities: Mapping[str, str] = SEVERITIES
) -> Mapping[str, Json]:
    """Return the event of one alert, without the routing key."""
    known = {"dedup_key": dedup_key_of(item.alert, item.episode)}
    if item.is_over:
        return {"event_action": "resolve", **known}
    kind = item.kind.replace("_", " ")
    details: dict[str, Json] = {
        "told_because": item.word,
        "notification": notification.id,
        "dollars_per_month": str(from_cents(item.dollars_per_month)),
    }
    if item.onset is not None:
        details["since"] = item.onset.isoformat()
    payload: dict[str, Json] = {
        "summary": _line(item.summary or f"{item.payer} {kind}", _SUMMARY) or "Alert",
        "source": _line(notification.tenant_name, _FIELD) or "claimkit",
        "severity": {**SEVERITIES, **severities}[item.severity],
        "component": _line(item.payer, _FIELD),
        "class": _line(kind, _FIELD),
        "custom_details": details,
    }
    event: dict[str, Json] = {
        "event_action": "trigger",
        **known,
        "payload": {name: value for name, value in payload.items() if value},
        "client": "claimkit",
    }
    if 0 < len(item.link) <= _LINK:
        event["client_url"] = item.link
        event["links"] = [{"href": item.link, "text": "Open the alert"}]
    return event


def dedup_key_of(alert: str, episode: int) -> str:
    """Return the key of an alert's episode, 255 bytes at most; no two episodes have the same.

    >>> dedup_key_of("alr_fantasio", 2)
    'claimkit:alr_fantasio:2'
    """
    key = f"claimkit:{alert}:{episode}"
    whole = key.encode("utf-8", "surrogatepass")
    if len(whole) <= _DEDUP_KEY:
        return key
    # Cut, two keys could become one. A whole key ends with a colon and a number, this one does not.
    head = whole[: _DEDUP_KEY - _DIGEST - 1].decode("utf-8", "ignore")
    return f"{head}~{hashlib.sha256(whole).hexdigest()}"


def _severities(asked: Json) -> dict[str, str]:
    """Return the severities that settings name, as they are.

    Raises:
        ConfigError: this is no table of severities.
    """
    if not isinstance(asked, Mapping):
        raise ConfigError("the setting 'severities' must be an object")
    ours, theirs = [one.value for one in Severity], list(SEVERITIES.values())
    found: dict[str, str] = {}
    for name, value in asked.items():
        if name not in ours or value not in theirs:
            raise ConfigError(
                "the setting 'severities' has something that is no severity",
                remedy=f"It maps {', '.join(ours)} to {', '.join(theirs)}",
            )
        found[name] = str(value)
    return found


def _line(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
