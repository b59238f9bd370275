"""Grafana dashboards and Prometheus rules, made of the registry of series.

Every query is built from a :class:`~claimkit.ops.metrics.Series`, and a label that it does not have is
an error: no panel and no alert can name what nobody writes.

>>> rate(metrics.TASKS, by=("state",))
'sum by (state) (rate(claimkit_tasks_total[$__rate_interval]))'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from claimkit.errors import ConfigError
from claimkit.ops import metrics
from claimkit.ops.metrics import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from claimkit.ops.metrics import Series
    from claimkit.types import Json

__all__ = ["Dashboard", "Panel", "dashboards", "gauge", "grafana_json", "quantile", "rate"]

#: Grafana's name for an interval that suits the resolution of a panel.
_INTERVAL: Final = "$__rate_interval"
_COLUMNS, _WIDTH, _HEIGHT = 2, 12, 8
_DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_ERRORS: Final = 'status=~"5.."'


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One graph: queries with their legends."""

    title: str
    #: PromQL → legend, such as ``{{route}}``.
    queries: Sequence[tuple[str, str]]
    #: Grafana's name of the unit: ``s``, ``percentunit``, ``ops``, ``short``, ``bytes``.
    unit: str = "short"
    #: Where a red line is drawn.
    limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """Panels about one thing."""

    #: Stable, ``claimkit-…``.
    uid: str
    title: str
    panels: Sequence[Panel]


def rate(
    series: Series,
    *,
    by: Sequence[str] = (),
    where: str = "",
    per: str = _INTERVAL,
    per_tenant: bool = False,
) -> str:
    """Return PromQL for how fast a counter grows, per second.

    Args:
        series: A counter.
        by: Labels to keep.
        where: Matchers of labels, such as ``status=~"5.."``.
        per: The time over which it is averaged.
        per_tenant: Whether the site asks for the label ``tenant``.

    Raises:
        ConfigError: the series has no such label, or is no counter.
    """
    _require(series, Kind.COUNTER, by, per_tenant=per_tenant)
    return f"sum{_by(by)} (rate({series.name}{_matching(series, where)}[{per}]))"


def quantile(
    share: float, series: Series, *, by: Sequence[str] = (), where: str = "", per: str = _INTERVAL
) -> str:
    """Return PromQL for the duration that ``share`` of all stay below; over all processes.

    Raises:
        ConfigError: the series has no such label, or is no histogram.
    """
    _require(series, Kind.HISTOGRAM, by)
    buckets = f"rate({series.name}_bucket{_matching(series, where)}[{per}])"
    return f"histogram_quantile({share}, sum{_by(('le', *by))} ({buckets}))"


def gauge(series: Series, *, by: Sequence[str] = (), where: str = "") -> str:
    """Return PromQL for a gauge: every process tells the same, so the highest counts, not the sum.

    Raises:
        ConfigError: the series has no such label, or is no gauge.
    """
    _require(series, Kind.GAUGE, by)
    return f"max{_by(by)} ({series.name}{_matching(series, where)})"


def _require(series: Series, kind: Kind, by: Sequence[str], *, per_tenant: bool = False) -> None:
    if series.kind is not kind:
        raise ConfigError(f"{series.name} is a {series.kind}, not a {kind}")
    has = {*series.labels, *(["tenant"] if per_tenant and series.per_tenant else [])}
    unknown = sorted(set(by) - has)
    if unknown:
        raise ConfigError(f"{series.name} has no label {unknown[0]!r}")


def _by(labels: Iterable[str]) -> str:
    told = ", ".join(labels)
    return f" by ({told})" if told else ""


def _matching(series: Series, where: str) -> str:
    label = where.partition("=")[0].rstrip("!~")
    if where and label not in series.labels:
        raise ConfigError(f"{series.name} has no label {label!r}")
    return f"{{{where}}}" if where else ""


def _durations(title: str, series: Series) -> Panel:
    shares = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    return Panel(
        title=title, unit="s", queries=[(quantile(one, series), legend) for one, legend in shares]
    )


def dashboards(*, per_tenant: bool = False) -> tuple[Dashboard, ...]:
    """Return all dashboards; that of tenants only where their label is asked for."""
    made = (_api(), _tasks(), _pipeline(), _work(), _delivery(), _database())
    return (*made, _tenants()) if per_tenant else made


def _api() -> Dashboard:
    errors = f"{rate(metrics.HTTP_REQUESTS, where=_ERRORS)} / {rate(metrics.HTTP_REQUESTS)}"
    slowest = quantile(0.95, metrics.HTTP_SECONDS, by=("route",))
    return Dashboard(
        uid="claimkit-api",
        title="claimkit: API",
        panels=[
            Panel(title="Requests by status", unit="ops",
                  queries=[(rate(metrics.HTTP_REQUESTS, by=("status",)), "{{status}}")]),
            # Zero, not nothing, where no request failed.
            Panel(title="Share of errors", unit="percentunit", limit=0.05,
                  queries=[(f"({errors}) or vector(0)", "5xx")]),
            _durations("Duration of requests", metrics.HTTP_SECONDS),
            Panel(title="Slowest routes (p95)", unit="s",
                  queries=[(f"topk(10, {slowest})", "{{route}}")]),
            Panel(title="Busiest routes", unit="ops", queries=[
                (f"topk(10, {rate(metrics.HTTP_REQUESTS, by=('method', 'route'))})",
                 "{{method}} {{route}}")]),
            Panel(title="Errors by route", unit="ops",
                  queries=[(rate(metrics.HTTP_REQUESTS, by=("route",), where=_ERRORS), "{{route}}")]),
        ],
    )  # fmt: skip


def _tasks() -> Dashboard:
    slowest = quantile(0.95, metrics.TASK_SECONDS, by=("task",))
    return Dashboard(
        uid="claimkit-tasks",
        title="claimkit: tasks",
        panels=[
            Panel(title="Tasks by state", unit="ops",
                  queries=[(rate(metrics.TASKS, by=("state",)), "{{state}}")]),
            Panel(title="Failures by task", unit="ops",
                  queries=[(rate(metrics.TASKS, by=("task",), where='state="failure"'), "{{task}}")]),
            _durations("Duration of tasks", metrics.TASK_SECONDS),
            Panel(title="Slowest tasks (p95)", unit="s",
                  queries=[(f"topk(10, {slowest})", "{{task}}")]),
        ],
    )  # fmt: skip


def _pipeline() -> Dashboard:
    return Dashboard(
        uid="claimkit-pipeline",
        title="claimkit: from file to alert",
        panels=[
            Panel(title="Claims read", unit="ops",
                  queries=[(rate(metrics.CLAIMS, by=("result",)), "{{result}}")]),
            Panel(title="Files that wait",
                  queries=[(gauge(metrics.UPLOADS_WAITING, by=("status",)), "{{status}}")]),
            Panel(title="Oldest file that waits", unit="s",
                  queries=[(gauge(metrics.UPLOADS_OLDEST_WAITING), "age")]),
            Panel(title="Watches", unit="ops",
                  queries=[(rate(metrics.DRIFT_RUNS, by=("status",)), "{{status}}")]),
            _durations("Duration of a watch", metrics.DRIFT_RUN_SECONDS),
            Panel(title="Tenant whose watch is longest ago", unit="s",
                  queries=[(gauge(metrics.DRIFT_OLDEST_WATCH), "age")]),
            Panel(title="Findings",
                  queries=[(rate(metrics.DRIFT_FINDINGS, by=("change",)), "{{change}}")]),
            Panel(title="Open alerts",
                  queries=[(gauge(metrics.ALERTS_OPEN, by=("severity",)), "{{severity}}")]),
            Panel(title="Alerts opened and resolved",
                  queries=[(rate(metrics.ALERTS, by=("change",)), "{{change}}")]),
            Panel(title="Files imported", unit="ops", queries=[(rate(metrics.FILES), "files")]),
            Panel(title="Files that failed", unit="ops",
                  queries=[(rate(metrics.FILES_FAILED, by=("code",)), "{{code}}")]),
            Panel(title="Claims posted to the cube", unit="ops",
                  queries=[(rate(metrics.CUBE_CHANGES), "claims")]),
            _durations("Duration of a refresh of the cube", metrics.CUBE_REFRESH_SECONDS),
        ],
    )  # fmt: skip


def _work() -> Dashboard:
    return Dashboard(
        uid="claimkit-work",
        title="claimkit: reports, automation, audit",
        panels=[
            Panel(title="Reports and exports", unit="ops",
                  queries=[(rate(metrics.REPORT_RUNS, by=("kind", "status")), "{{kind}} {{status}}")]),
            _durations("Duration of a report or export", metrics.REPORT_RUN_SECONDS),
            Panel(title="Reports and exports that wait",
                  queries=[(gauge(metrics.REPORTS_WAITING, by=("kind",)), "{{kind}}")]),
            Panel(title="Oldest report or export that waits", unit="s",
                  queries=[(gauge(metrics.REPORTS_OLDEST_WAITING, by=("kind",)), "{{kind}}")]),
            Panel(title="What rules did", unit="ops",
                  queries=[(rate(metrics.EXECUTIONS, by=("result",)), "{{result}}")]),
            _durations("Duration of an action", metrics.EXECUTION_SECONDS),
            Panel(title="Entries of the audit trail without a link",
                  queries=[(gauge(metrics.AUDIT_UNLINKED), "entries")]),
            Panel(title="Lag of the audit chains", unit="s", limit=300,
                  queries=[(gauge(metrics.AUDIT_OLDEST_UNLINKED), "age")]),
        ],
    )  # fmt: skip


def _delivery() -> Dashboard:
    ended = rate(metrics.DELIVERIES, by=("outbox", "result"))
    return Dashboard(
        uid="claimkit-delivery",
        title="claimkit: webhooks and notifications",
        panels=[
            Panel(title="Attempts by ending", unit="ops", queries=[(ended, "{{outbox}} {{result}}")]),
            Panel(title="Due now",
                  queries=[(gauge(metrics.OUTBOX_DUE, by=("outbox",)), "{{outbox}}")]),
            Panel(title="Oldest due", unit="s", limit=300,
                  queries=[(gauge(metrics.OUTBOX_OLDEST_DUE, by=("outbox",)), "{{outbox}}")]),
            _durations("Duration of an attempt", metrics.DELIVERY_SECONDS),
            Panel(title="Endpoints of webhooks",
                  queries=[(gauge(metrics.WEBHOOK_ENDPOINTS, by=("state",)), "{{state}}")]),
        ],
    )  # fmt: skip


def _database() -> Dashboard:
    return Dashboard(
        uid="claimkit-database",
        title="claimkit: database",
        panels=[
            Panel(title="Size", unit="bytes", queries=[(gauge(metrics.DATABASE_BYTES), "size")]),
            Panel(title="Connections",
                  queries=[(gauge(metrics.DATABASE_CONNECTIONS, by=("state",)), "{{state}}"),
                           (gauge(metrics.DATABASE_CONNECTIONS_LIMIT), "limit")]),
            Panel(title="Age of the last verified backup", unit="s", limit=93_600,
                  queries=[(gauge(metrics.BACKUP_AGE), "age")]),
            Panel(title="Watch of the site, last", unit="s",
                  queries=[(gauge(metrics.PLATFORM_OLDEST_WATCH), "age")]),
            Panel(title="Watches of the site that failed",
                  queries=[(gauge(metrics.PLATFORM_FAULTS), "faults")]),
            Panel(title="Gauges that could not be read",
                  queries=[(gauge(metrics.SCRAPE_FAILED, by=("source",)), "{{source}}")]),
        ],
    )  # fmt: skip


def _tenants() -> Dashboard:
    def of(series: Series, title: str) -> Panel:
        told = rate(series, by=("tenant",), per_tenant=True)
        return Panel(title=title, unit="ops", queries=[(f"topk(20, {told})", "{{tenant}}")])

    return Dashboard(
        uid="claimkit-tenants",
        title="claimkit: tenants",
        panels=[
            of(metrics.CLAIMS, "Claims read"),
            of(metrics.FILES, "Files imported"),
            of(metrics.FILES_FAILED, "Files that failed"),
            of(metrics.CUBE_CHANGES, "Claims posted to the cube"),
            of(metrics.REPORT_RUNS, "Reports and exports"),
            of(metrics.EXECUTIONS, "What rules did"),
            of(metrics.DRIFT_RUNS, "Watches"),
            of(metrics.DRIFT_FINDINGS, "Findings"),
            of(metrics.ALERTS, "Alerts opened and resolved"),
            of(metrics.DELIVERIES, "Attempts to deliver"),
        ],
    )


def grafana_json(dashboard: Dashboard) -> dict[str, Json]:
    """Return a dashboard as Grafana imports it; its data source is chosen in a variable."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["claimkit"],
        "timezone": "browser",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
            ]
        },
        "panels": [_panel_json(one, place) for place, one in enumerate(dashboard.panels)],
    }  # fmt: skip


def _panel_json(panel: Panel, place: int) -> dict[str, Json]:
    row, column = divmod(place, _COLUMNS)
    steps: list[Json] = [{"color": "green", "value": None}]
    if panel.limit is not None:
        steps.append({"color": "red", "value": panel.limit})
    return {
        "id": place + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": _DATASOURCE,
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "thresholds": {"mode": "absolute", "steps": steps},
                "custom": {"thresholdsStyle": {"mode": "off" if len(steps) == 1 else "line"}},
            },
            "overrides": [],
        },
        "targets": [
            {"refId": chr(ord("A") + n), "datasource": _DATASOURCE, "expr": query, "legendFormat": legend}
            for n, (query, legend) in enumerate(panel.queries)
        ],
    }  # fmt: skip
