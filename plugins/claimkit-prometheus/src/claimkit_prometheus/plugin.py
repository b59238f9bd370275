"""Counts events in the default registry of ``prometheus_client``; labels are words of the code."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from claimkit import hookimpl
from claimkit.errors import ConfigError
from claimkit.events import ClaimsImported
from claimkit.ops.logs import tenant_hash

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import CollectorRegistry

    from claimkit.events import Event, Listener, Phase

__all__ = ["PrometheusListener", "claimkit_register_listeners", "push", "start"]

_OUTCOMES: Final = ("new", "changed", "same", "rejected")


@hookimpl
def claimkit_register_listeners() -> Iterable[Listener]:
    """Register what counts."""
    return [_counts]


class PrometheusListener:
    """Counts events by topic; it makes its series when the first one comes.

    Args:
        registry: Where they are kept; the default one of ``prometheus_client`` if None.
    """

    name: str = "prometheus.counts"
    topics: frozenset[str] = frozenset()
    phase: Phase = "committed"

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._series: _Series | None = None
        self._secret: str | None = None

    def with_tenant(self, secret: str) -> None:
        """Add the label ``tenant``, a hash of its key.

        Raises:
            ConfigError: something was counted without it already.
        """
        with self._lock:
            if self._series is not None and self._secret != secret:
                raise ConfigError(
                    "events were counted without the tenant already",
                    remedy="Call start() before anything happens",
                )
            self._secret = secret

    def handle(self, event: Event) -> None:
        """Count the event."""
        with self._lock:
            if self._series is None:
                self._series = _Series(self._registry, with_tenant=self._secret is not None)
            series, secret = self._series, self._secret
        tenant = () if secret is None else (tenant_hash(event.tenant, secret=secret),)
        series.events.labels(event.topic, *tenant).inc()
        series.last.labels(event.topic, *tenant).set(event.at.timestamp())
        if isinstance(event, ClaimsImported):
            for outcome in _OUTCOMES:
                series.claims.labels(outcome, *tenant).inc(getattr(event, outcome))


class _Series:
    def __init__(self, registry: CollectorRegistry | None, *, with_tenant: bool) -> None:
        import prometheus_client

        registry = registry or prometheus_client.REGISTRY
        more = ("tenant",) if with_tenant else ()
        self.events = prometheus_client.Counter(
            "claimkit_events", "Events by topic.", ("topic", *more), registry=registry
        )
        self.last = prometheus_client.Gauge(
            "claimkit_event_last_timestamp_seconds",
            "When the last event of a topic happened.",
            ("topic", *more),
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self.claims = prometheus_client.Counter(
            "claimkit_event_claims",
            "Claims of imports by what became of them.",
            ("outcome", *more),
            registry=registry,
        )


_counts = PrometheusListener()


def start(
    *, port: int | None = None, address: str = "127.0.0.1", tenant_secret: str | None = None
) -> None:
    """Choose the labels, and serve the default registry if a port is named.

    Args:
        port: Where a server scrapes ``/metrics``; None where something else serves the registry.
        address: Only this machine, if not named: the endpoint asks nobody who he is.
        tenant_secret: Adds the label ``tenant``, a hash made by this secret.

    Raises:
        ConfigError: events were counted with other labels already.
        OSError: the port is taken.
    """
    if tenant_secret is not None:
        _counts.with_tenant(tenant_secret)
    if port is not None:
        import prometheus_client

        prometheus_client.start_http_server(port, addr=address)


def push(gateway: str, *, job: str, timeout_seconds: float = 10.0) -> None:
    """Push the default registry to a Pushgateway, for a process that ends before anybody scrapes.

    Raises:
        OSError: the gateway does not take it in time.
    """
    import prometheus_client

    prometheus_client.push_to_gateway(
        gateway, job=job, registry=prometheus_client.REGISTRY, timeout=timeout_seconds
    )
