"""The series of :mod:`claimkit.ops.metrics` in ``prometheus_client``, and what a server scrapes.

Counters and histograms are kept in the client's default registry, so that a site that has an endpoint
already shows them there too. Where ``PROMETHEUS_MULTIPROC_DIR`` is set, every process (of gunicorn and
of Celery) writes into that folder, and whichever is scraped tells the sum of all. Gauges are read from
the database at the scrape: they are the same whoever answers, and no process keeps them.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Protocol

from django.conf import settings

from claimkit.ops.logs import tenant_hash
from claimkit.ops.metrics import SERIES, Kind
from claimkit_django.conf import config
from claimkit_django.vitals import gauges

try:
    import prometheus_client
    from prometheus_client import exposition, multiprocess
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.registry import Collector

    _INSTALLED = True
except ImportError:  # prometheus-client is an extra.
    _INSTALLED = False

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from claimkit.ops.metrics import Series
    from claimkit.types import TenantKey

__all__ = ["Meter", "PrometheusMeter", "expose", "is_installed", "meter", "samples", "tenant_name"]

_TENANT = "tenant"


class Meter(Protocol):
    """Where counts and durations are written."""

    def count(
        self, series: Series, *labels: str, by: float = 1, tenant: TenantKey | None = None
    ) -> None:
        """Add to a counter."""
        ...

    def time(self, series: Series, *labels: str, seconds: float) -> None:
        """Add a duration to a histogram."""
        ...


class PrometheusMeter:
    """Writes series of the registry into a registry of ``prometheus_client``.

    Args:
        registry: Where they are registered; each may be there only once.
        tenant_label: ``""``, ``"key"`` or ``"hash"``.
    """

    def __init__(self, registry: Any, *, tenant_label: str = "") -> None:
        self._tenant_label = tenant_label
        self._made = {
            name: self._make(series, registry)
            for name, series in SERIES.items()
            if series.kind is not Kind.GAUGE
        }

    def count(
        self, series: Series, *labels: str, by: float = 1, tenant: TenantKey | None = None
    ) -> None:
        """See :meth:`Meter.count`."""
        values = [*labels, *self._tenants(series, tenant)]
        made = self._made[series.name]
        (made.labels(*values) if values else made).inc(by)

    def time(self, series: Series, *labels: str, seconds: float) -> None:
        """See :meth:`Meter.time`."""
        made = self._made[series.name]
        (made.labels(*labels) if labels else made).observe(seconds)

    def _make(self, series: Series, registry: Any) -> Any:
        has_tenant = series.per_tenant and self._tenant_label
        names = [*series.labels, *([_TENANT] if has_tenant else [])]
        if series.kind is Kind.COUNTER:
            return prometheus_client.Counter(series.name, series.help, names, registry=registry)
        return prometheus_client.Histogram(
            series.name, series.help, names, registry=registry, buckets=series.buckets
        )

    def _tenants(self, series: Series, tenant: TenantKey | None) -> list[str]:
        if not (series.per_tenant and self._tenant_label):
            return []
        return [tenant_name(tenant, self._tenant_label) if tenant else ""]


def tenant_name(tenant: TenantKey, label: str) -> str:
    """Return what a tenant is called in metrics: its key, or 12 hex digits that ``SECRET_KEY`` makes."""
    if label == "key":
        return str(tenant)
    return tenant_hash(tenant, secret=settings.SECRET_KEY)


class _Nothing:
    """What counts where ``prometheus_client`` is not installed."""

    def count(
        self, series: Series, *labels: str, by: float = 1, tenant: TenantKey | None = None
    ) -> None:
        """Count nothing."""

    def time(self, series: Series, *labels: str, seconds: float) -> None:
        """Time nothing."""


class _Made:
    """The meter of this process, made when first asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._meter: Meter | None = None

    def meter(self) -> Meter:
        if self._meter is None:
            with self._lock:
                if self._meter is None:
                    self._meter = self._make()
        return self._meter

    @staticmethod
    def _make() -> Meter:
        if not _INSTALLED:
            return _Nothing()
        label = config().ops.tenant_label
        return PrometheusMeter(prometheus_client.REGISTRY, tenant_label=label)


_made = _Made()


def meter() -> Meter:
    """Return the meter of this process; one that counts nothing without ``prometheus_client``."""
    return _made.meter()


def is_installed() -> bool:
    """Whether there is anything to expose."""
    return _INSTALLED


def expose(accept: str, *, using: str) -> tuple[bytes, str]:
    """Return all series as text with its content type, OpenMetrics where ``accept`` asks for it.

    A query or two per room, whatever there is to count.
    """
    encode, content_type = exposition.choose_encoder(accept)
    return encode(_Scrape(using)), content_type


def samples(using: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    """Yield name, labels and value of each sample of a scrape; without the client, of gauges only."""
    if not _INSTALLED:
        for series, value, labels in gauges(using):
            yield series.name, dict(zip(series.labels, labels, strict=True)), value
        return
    for family in _Scrape(using).collect():
        for one in family.samples:
            yield one.name, one.labels, one.value


if _INSTALLED:

    class _Scrape(Collector):
        """Everything that one scrape tells."""

        def __init__(self, using: str) -> None:
            self._using = using

        def collect(self) -> Iterator[Any]:
            meter()
            yield from _processes().collect()
            yield from _families(self._using)


def _processes() -> Any:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return prometheus_client.REGISTRY
    registry = prometheus_client.CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def _families(using: str) -> Iterable[Any]:
    found: dict[str, Any] = {}
    for series, value, labels in gauges(using):
        if series.name not in found:
            found[series.name] = GaugeMetricFamily(series.name, series.help, labels=series.labels)
        found[series.name].add_metric(labels, value)
    return found.values()
