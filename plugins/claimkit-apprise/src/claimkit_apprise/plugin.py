"""The channel ``apprise``: one service that Apprise knows, of those that are allowed.

Apprise connects by itself, so what keeps it from where it should not go is decided before it is
asked: only schemes that are allowed, which by default are services at one address of their own,
and only parameters that neither read files, nor turn off TLS, nor lead elsewhere.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from claimkit import hookimpl
from claimkit.alerts.channels import SendResult, as_text, check_names, subject_line
from claimkit.errors import ConfigError
from claimkit.types import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from claimkit.alerts.channels import Channel, Notification
    from claimkit.types import Json

__all__ = [
    "PARAMETERS",
    "SCHEMES",
    "AppriseChannel",
    "allowed_schemes",
    "claimkit_register_channels",
]

#: Services that Apprise reaches at an address of their own, whatever the URL says.
SCHEMES: Final = frozenset(
    {
        *("discord", "gchat", "opsgenie", "pagertree", "pover", "signl4", "splunk", "tgram"),
        *("twilio", "victorops"),
    }
)
#: Parameters that a URL may have. Others can read a file of ours (``template``), turn off the
#: check of certificates (``verify``), or follow redirects.
PARAMETERS: Final = frozenset({"priority", "region", "tags", "thread", "to"})
#: Replaces :data:`SCHEMES`: schemes with commas between them.
VARIABLE: Final = "CLAIMKIT_APPRISE_SCHEMES"
_URL = re.compile(r"(?P<scheme>[a-z0-9]{2,32})://(?P<rest>[\x21-\x7e]{1,2000})", re.ASCII)
_BETWEEN = re.compile(r"[&;?]")
_TYPES: Final = {
    Severity.CRITICAL: "failure",
    Severity.HIGH: "failure",
    Severity.MEDIUM: "warning",
    Severity.LOW: "info",
}


class _NoDetails(logging.Filter):
    """Keeps the addresses of channels out of logs: they have secrets.

    Apprise and the client under it log them for developers, also after a send was given up; and
    Apprise says of a token that is none which one it is.
    """

    def __init__(self) -> None:
        super().__init__()
        self._of_thread = threading.local()

    @contextmanager
    def at_all(self) -> Iterator[None]:
        """Let nothing of this thread through."""
        self._of_thread.is_closed = True
        try:
            yield
        finally:
            self._of_thread.is_closed = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Let warnings and errors through."""
        is_closed = getattr(self._of_thread, "is_closed", False)
        return record.levelno >= logging.WARNING and not is_closed


_NO_DETAILS: Final = _NoDetails()


@hookimpl
def claimkit_register_channels() -> Iterable[Channel]:
    """Register the Apprise channel with the schemes that the environment allows."""
    return [AppriseChannel(schemes=allowed_schemes(os.environ))]


def allowed_schemes(environment: Mapping[str, str]) -> frozenset[str]:
    """Return the schemes that ``CLAIMKIT_APPRISE_SCHEMES`` names, or :data:`SCHEMES`.

    >>> sorted(allowed_schemes({"CLAIMKIT_APPRISE_SCHEMES": "tgram, pover"}))
    ['pover', 'tgram']
    """
    names = {one.strip().lower() for one in environment.get(VARIABLE, "").split(",")} - {""}
    return frozenset(names) or SCHEMES


class AppriseChannel:
    """Tells a notification by one URL of Apprise.

    Args:
        schemes: What URLs may begin with. A scheme whose URLs name a host, such as ``json``,
            lets whoever sets up a channel reach any address that this machine can.
        most_seconds: What one send may take; Apprise is not waited for any longer.
    """

    name = "apprise"
    secrets: frozenset[str] = frozenset({"url"})

    def __init__(self, *, schemes: Iterable[str] = SCHEMES, most_seconds: float = 15.0) -> None:
        self._schemes = frozenset(schemes)
        self._most_seconds = most_seconds

    def check(self, settings: Mapping[str, Json]) -> Mapping[str, Json]:
        """Return ``{"url": …}``.

        Raises:
            ConfigError: the URL is none, its scheme or one of its parameters is not allowed, or
                Apprise does not understand it.
        """
        check_names(settings, needed=["url"])
        url = settings["url"]
        self._service(url)
        return {"url": url}

    def send(self, notification: Notification, settings: Mapping[str, Json]) -> SendResult:
        """Let Apprise tell the notification; it says whether that worked, and not why not."""
        try:
            service = self._service(settings.get("url"))
        except ConfigError as error:
            # Kept from when other schemes were allowed.
            return SendResult(is_sent=False, reason=error.code, is_permanent=True)
        worst = notification.items[0]
        over = all(one.is_over for one in notification.items)
        library = _library()
        sender = library.Apprise(asset=_asset())
        sender.add(service)
        told = sender.notify(
            title=subject_line(notification),
            body=f"{as_text(notification)}\n{notification.id}",
            notify_type="success" if over else _TYPES[worst.severity],
            body_format="text",
            # Whatever payers are called, nothing of it is an escape.
            interpret_escapes=False,
            timeout=self._most_seconds,
        )
        if told:
            return SendResult(is_sent=True)
        is_late = told.status is library.AppriseResultStatus.TIMEOUT
        return SendResult(is_sent=False, reason="deadline" if is_late else "apprise_failed")

    def _service(self, url: Json) -> Any:
        """Return what Apprise makes of a URL that is allowed."""
        match = _URL.fullmatch(url) if isinstance(url, str) else None
        if match is None or match["scheme"] not in self._schemes:
            raise ConfigError(
                "the setting 'url' begins with no scheme that is allowed",
                remedy=f"Use one of: {', '.join(sorted(self._schemes))}",
            )
        # Apprise splits at semicolons too, and nobody needs a second question mark.
        pieces = _BETWEEN.split(match["rest"].partition("?")[2])
        names = {one.partition("=")[0] for one in pieces if one}
        if not names <= PARAMETERS:
            raise ConfigError(
                "the setting 'url' has a parameter that is not allowed",
                remedy=f"These are: {', '.join(sorted(PARAMETERS))}",
            )
        library = _library()
        with _NO_DETAILS.at_all():
            service = library.Apprise.instantiate(match[0], asset=_asset())
        if service is None or service.schema not in self._schemes:
            raise ConfigError("the setting 'url' is none that Apprise understands")
        return service


@functools.cache
def _library() -> Any:
    """Return Apprise with all its services, which it takes seconds to load, and quiet its log."""
    import apprise

    for name in (apprise.LOGGER_NAME, "urllib3.connectionpool"):
        logging.getLogger(name).addFilter(_NO_DETAILS)
    with warnings.catch_warnings():
        # One of them imports imghdr. Remove when Python 3.13 is the floor.
        warnings.simplefilter("ignore", DeprecationWarning)
        manager: Any = apprise.NotificationManager
        manager().load_modules()
    return apprise


@functools.cache
def _asset() -> Any:
    return _library().AppriseAsset(
        app_id="claimkit",
        app_desc="claimkit",
        app_url="",
        secure_logging=True,
        # Nothing is kept on disk, and nothing is loaded from it.
        storage_mode="memory",
        http_redirects=False,
    )
