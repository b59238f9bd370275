"""The series that claimkit writes: one registry, which exposition, dashboards and alert rules share.

Names follow Prometheus: base units, ``_total`` for what only grows. Labels have few values, which
come from the code, never from claims: no payer, no person, no file, no address. A tenant is a label
only where the site asks for it (``OPS.TENANT_LABEL``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

__all__ = [
    "ALERTS",
    "ALERTS_OPEN",
    "AUDIT_OLDEST_UNLINKED",
    "AUDIT_UNLINKED",
    "BACKUP_AGE",
    "CLAIMS",
    "CUBE_CHANGES",
    "CUBE_REFRESH_SECONDS",
    "DATABASE_BYTES",
    "DATABASE_CONNECTIONS",
    "DATABASE_CONNECTIONS_LIMIT",
    "DELIVERIES",
    "DELIVERY_SECONDS",
    "DRIFT_FINDINGS",
    "DRIFT_OLDEST_WATCH",
    "DRIFT_RUNS",
    "DRIFT_RUN_SECONDS",
    "EXECUTIONS",
    "EXECUTION_SECONDS",
    "FILES",
    "FILES_FAILED",
    "HTTP_REQUESTS",
    "HTTP_SECONDS",
    "OUTBOX_DUE",
    "OUTBOX_OLDEST_DUE",
    "PLATFORM_FAULTS",
    "PLATFORM_OLDEST_WATCH",
    "REPORTS_OLDEST_WAITING",
    "REPORTS_WAITING",
    "REPORT_RUNS",
    "REPORT_RUN_SECONDS",
    "SCRAPE_FAILED",
    "SERIES",
    "TASKS",
    "TASK_SECONDS",
    "UPLOADS_OLDEST_WAITING",
    "UPLOADS_WAITING",
    "WEBHOOK_ENDPOINTS",
    "Kind",
    "Sample",
    "Series",
]


class Kind(StrEnum):
    """What a series means."""

    #: Only grows; every process counts its own.
    COUNTER = "counter"
    #: How things are now; read from the database when a server scrapes.
    GAUGE = "gauge"
    #: How long things took; every process counts its own.
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series, in all values of its labels."""

    name: str
    kind: Kind
    #: One sentence.
    help: str
    labels: tuple[str, ...] = ()
    #: Upper bounds of a histogram, in seconds.
    buckets: tuple[float, ...] = ()
    #: Has the label ``tenant`` where the site asks for it.
    per_tenant: bool = False


class Sample(NamedTuple):
    """One value of a gauge."""

    series: Series
    value: float
    #: Values of its labels, in their order.
    labels: tuple[str, ...] = ()


HTTP_REQUESTS: Final = Series(
    name="claimkit_http_requests_total",
    kind=Kind.COUNTER,
    help="Requests by method, template of the route, and status of the answer.",
    labels=("method", "route", "status"),
)
HTTP_SECONDS: Final = Series(
    name="claimkit_http_request_duration_seconds",
    kind=Kind.HISTOGRAM,
    help="Time from the request to the head of its answer.",
    labels=("method", "route"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
TASKS: Final = Series(
    name="claimkit_tasks_total",
    kind=Kind.COUNTER,
    help="Celery tasks that ended, by name and state.",
    labels=("task", "state"),
)
TASK_SECONDS: Final = Series(
    name="claimkit_task_duration_seconds",
    kind=Kind.HISTOGRAM,
    help="Time that a Celery task ran.",
    labels=("task",),
    buckets=(0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0),
)
FILES: Final = Series(
    name="claimkit_files_imported_total",
    kind=Kind.COUNTER,
    help="Files that are in, whole or with rejected rows.",
    per_tenant=True,
)
FILES_FAILED: Final = Series(
    name="claimkit_files_failed_total",
    kind=Kind.COUNTER,
    help="Files that could not be imported to their end, by the code of the error.",
    labels=("code",),
    per_tenant=True,
)
CLAIMS: Final = Series(
    name="claimkit_claims_total",
    kind=Kind.COUNTER,
    help="Claims read from files by what became of them: new, changed, same or rejected.",
    labels=("result",),
    per_tenant=True,
)
CUBE_CHANGES: Final = Series(
    name="claimkit_cube_changes_total",
    kind=Kind.COUNTER,
    help="Claims whose changed facts were posted to the cube.",
    per_tenant=True,
)
CUBE_REFRESH_SECONDS: Final = Series(
    name="claimkit_cube_refresh_duration_seconds",
    kind=Kind.HISTOGRAM,
    help="Time that posting one batch of claims to the cube took.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)
DRIFT_RUNS: Final = Series(
    name="claimkit_drift_runs_total",
    kind=Kind.COUNTER,
    help="Watches that ended, by status.",
    labels=("status",),
    per_tenant=True,
)
DRIFT_RUN_SECONDS: Final = Series(
    name="claimkit_drift_run_duration_seconds",
    kind=Kind.HISTOGRAM,
    help="Time that a watch of one tenant took.",
    buckets=(0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0),
)
DRIFT_FINDINGS: Final = Series(
    name="claimkit_drift_findings_total",
    kind=Kind.COUNTER,
    help="Drifts by what happened to them and how severe they are.",
    labels=("change", "severity"),
    per_tenant=True,
)
DRIFT_OLDEST_WATCH: Final = Series(
    name="claimkit_drift_oldest_watch_seconds",
    kind=Kind.GAUGE,
    help="Age of the last good watch of the tenant that waits the longest.",
)
ALERTS: Final = Series(
    name="claimkit_alerts_total",
    kind=Kind.COUNTER,
    help="Alerts that were opened or resolved, by severity.",
    labels=("change", "severity"),
    per_tenant=True,
)
ALERTS_OPEN: Final = Series(
    name="claimkit_alerts_open",
    kind=Kind.GAUGE,
    help="Alerts that are not resolved, by severity.",
    labels=("severity",),
)
REPORT_RUNS: Final = Series(
    name="claimkit_report_runs_total",
    kind=Kind.COUNTER,
    help="Runs of reports and exports that ended, by status.",
    labels=("kind", "status"),
    per_tenant=True,
)
REPORT_RUN_SECONDS: Final = Series(
    name="claimkit_report_run_duration_seconds",
    kind=Kind.HISTOGRAM,
    help="Time that a run of a report or of an export took.",
    labels=("kind",),
    buckets=(0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0),
)
REPORTS_WAITING: Final = Series(
    name="claimkit_reports_waiting",
    kind=Kind.GAUGE,
    help="Reports and exports that are queued or being made.",
    labels=("kind",),
)
REPORTS_OLDEST_WAITING: Final = Series(
    name="claimkit_reports_oldest_waiting_seconds",
    kind=Kind.GAUGE,
    help="For how long nobody has worked on the report or export that waits the longest.",
    labels=("kind",),
)
EXECUTIONS: Final = Series(
    name="claimkit_automation_executions_total",
    kind=Kind.COUNTER,
    help="What rules of automation did, by result.",
    labels=("result",),
    per_tenant=True,
)
EXECUTION_SECONDS: Final = Series(
    name="claimkit_automation_action_duration_seconds",
    kind=Kind.HISTOGRAM,
    help="Time that one action of automation took.",
    buckets=(0.005, 0.025, 0.1, 0.25, 1.0, 5.0, 15.0),
)
AUDIT_UNLINKED: Final = Series(
    name="claimkit_audit_unlinked",
    kind=Kind.GAUGE,
    help="Entries among the newest of the audit trail that its chains do not hold yet.",
)
AUDIT_OLDEST_UNLINKED: Final = Series(
    name="claimkit_audit_oldest_unlinked_seconds",
    kind=Kind.GAUGE,
    help="Age of the oldest of them: how far the chains lag behind.",
)
DELIVERIES: Final = Series(
    name="claimkit_deliveries_total",
    kind=Kind.COUNTER,
    help="Attempts to deliver from an outbox, by how they ended: done, retry, dead, cancelled.",
    labels=("outbox", "result"),
    per_tenant=True,
)
DELIVERY_SECONDS: Final = Series(
    name="claimkit_delivery_duration_seconds",
    kind=Kind.HISTOGRAM,
    help="Time that one attempt to deliver a webhook took.",
    labels=("outbox",),
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0),
)
OUTBOX_DUE: Final = Series(
    name="claimkit_outbox_due",
    kind=Kind.GAUGE,
    help="Deliveries that are due now.",
    labels=("outbox",),
)
OUTBOX_OLDEST_DUE: Final = Series(
    name="claimkit_outbox_oldest_due_seconds",
    kind=Kind.GAUGE,
    help="For how long the oldest delivery is due that a worker could take.",
    labels=("outbox",),
)
WEBHOOK_ENDPOINTS: Final = Series(
    name="claimkit_webhook_endpoints",
    kind=Kind.GAUGE,
    help="Endpoints of webhooks: sending, held after failures, unconfirmed or disabled.",
    labels=("state",),
)
UPLOADS_WAITING: Final = Series(
    name="claimkit_uploads_waiting",
    kind=Kind.GAUGE,
    help="Files that are queued or being imported.",
    labels=("status",),
)
UPLOADS_OLDEST_WAITING: Final = Series(
    name="claimkit_uploads_oldest_waiting_seconds",
    kind=Kind.GAUGE,
    help="Age of the oldest file that is not imported yet.",
)
DATABASE_BYTES: Final = Series(
    name="claimkit_database_bytes",
    kind=Kind.GAUGE,
    help="Size of the database.",
)
DATABASE_CONNECTIONS: Final = Series(
    name="claimkit_database_connections",
    kind=Kind.GAUGE,
    help="Connections to the database by state, of all clients; PostgreSQL only.",
    labels=("state",),
)
DATABASE_CONNECTIONS_LIMIT: Final = Series(
    name="claimkit_database_connections_limit",
    kind=Kind.GAUGE,
    help="Connections that the database takes; PostgreSQL only.",
)
PLATFORM_FAULTS: Final = Series(
    name="claimkit_platform_faults",
    kind=Kind.GAUGE,
    help="Watches of the site itself that failed since the last that did not.",
)
PLATFORM_OLDEST_WATCH: Final = Series(
    name="claimkit_platform_oldest_watch_seconds",
    kind=Kind.GAUGE,
    help="Age of the last watch of the site itself that did not fail, once there was one.",
)
SCRAPE_FAILED: Final = Series(
    name="claimkit_scrape_failed",
    kind=Kind.GAUGE,
    help="Whether the gauges of an app could not be read this time.",
    labels=("source",),
)

BACKUP_AGE: Final = Series(
    name="claimkit_backup_verified_age_seconds",
    kind=Kind.GAUGE,
    help="Age of the newest backup that was restored and compared; +Inf where there is none.",
)

#: All of them, by name.
SERIES: Final = {
    one.name: one
    for one in (
        *(HTTP_REQUESTS, HTTP_SECONDS, TASKS, TASK_SECONDS, FILES, FILES_FAILED, CLAIMS),
        *(CUBE_CHANGES, CUBE_REFRESH_SECONDS),
        *(DRIFT_RUNS, DRIFT_RUN_SECONDS, DRIFT_FINDINGS, DRIFT_OLDEST_WATCH),
        *(ALERTS, ALERTS_OPEN, DELIVERIES, DELIVERY_SECONDS, OUTBOX_DUE, OUTBOX_OLDEST_DUE),
        *(WEBHOOK_ENDPOINTS,),
        *(REPORT_RUNS, REPORT_RUN_SECONDS, REPORTS_WAITING, REPORTS_OLDEST_WAITING),
        *(EXECUTIONS, EXECUTION_SECONDS, AUDIT_UNLINKED, AUDIT_OLDEST_UNLINKED),
        *(UPLOADS_WAITING, UPLOADS_OLDEST_WAITING, SCRAPE_FAILED),
        *(DATABASE_BYTES, DATABASE_CONNECTIONS, DATABASE_CONNECTIONS_LIMIT, BACKUP_AGE),
        *(PLATFORM_FAULTS, PLATFORM_OLDEST_WATCH),
    )
}
