"""Starts the SDK of Sentry so that nothing of a patient leaves, and leaves breadcrumbs of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from claimkit import hookimpl
from claimkit.errors import ConfigError
from claimkit_sentry.scrubbing import Scrubber

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from claimkit.events import Event, Listener, Phase

__all__ = ["SentryListener", "claimkit_register_listeners", "start"]

#: What the SDK is started with, whatever the site says: what is not collected cannot leave.
_FORCED: Final[dict[str, Any]] = {
    "include_local_variables": False,
    "include_source_context": False,
    "max_request_body_size": "never",
    "trace_propagation_targets": [],
}
#: Options that send what no function of ours is shown; they stay as they are by default.
_REFUSED: Final = (
    *("data_collection", "enable_logs", "profiles_sample_rate", "profiles_sampler"),
    *("profile_session_sample_rate", "send_default_pii", "spotlight", "trace_lifecycle"),
    "_experiments",
)
#: Options by which the SDK hands over what is sent; ours come last.
_HANDED: Final = ("before_send", "before_send_transaction", "before_breadcrumb")


@hookimpl
def claimkit_register_listeners() -> Iterable[Listener]:
    """Register what leaves breadcrumbs."""
    return [SentryListener()]


def start(
    dsn: str, *, tenant_secret: str = "", loggers: Collection[str] = (), **options: Any
) -> None:
    """Start Sentry's SDK, once, where the settings of a site are read.

    Args:
        dsn: Where events go.
        tenant_secret: By which the hash of a tenant's key is made, such as ``SECRET_KEY``.
        loggers: Loggers of yours whose messages never have data in them.
        **options: Any of ``sentry_sdk.init``; your own ``before_send`` runs before ours.

    Raises:
        ConfigError: an option would send what must stay, such as ``send_default_pii=True``.
    """
    import sentry_sdk
    from sentry_sdk.consts import DEFAULT_OPTIONS

    for name in options:
        is_other = name in _FORCED and options[name] != _FORCED[name]
        if is_other or (name in _REFUSED and options[name]):
            raise ConfigError(
                f"the option {name!r} of Sentry would send patients' data", remedy="Leave it out"
            )
    scrubber = Scrubber(secret=tenant_secret, loggers=loggers)
    ours: dict[str, Callable[[Any, Any], Any]] = {
        "before_send": scrubber.event,
        "before_send_transaction": scrubber.event,
        "before_breadcrumb": scrubber.breadcrumb,
    }
    for name in _HANDED:
        options[name] = _chained(options.get(name), ours[name])
    forced = dict(_FORCED)
    if "before_send_metric" in DEFAULT_OPTIONS:
        # Attributes of metrics are whatever somebody gave them.
        forced["before_send_metric"] = _nothing
    kept = {name: value for name, value in options.items() if name not in _REFUSED}
    sentry_sdk.init(dsn=dsn, **{**kept, **forced})


def _nothing(_sent: object, _hint: object) -> None:
    """Send none of it."""


def _chained(
    theirs: Callable[[Any, Any], Any] | None, ours: Callable[[Any, Any], Any]
) -> Callable[[Any, Any], Any]:
    def send(event: Any, hint: Any) -> Any:
        kept = theirs(event, hint) if theirs is not None else event
        return None if kept is None else ours(kept, hint)

    return send


class SentryListener:
    """Leaves a breadcrumb for every event, with its topic alone: what happened before an error."""

    name: str = "sentry.breadcrumbs"
    topics: frozenset[str] = frozenset()
    phase: Phase = "committed"

    def handle(self, event: Event) -> None:
        """Leave the breadcrumb; nothing where the SDK was not started."""
        import sentry_sdk

        sentry_sdk.add_breadcrumb(
            category="claimkit.event", message=event.topic, data={"tenant": str(event.tenant)}
        )
