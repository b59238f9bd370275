"""Prometheus rules, made of the registry of series: what is recorded, and what wakes somebody."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from claimkit.ops import metrics
from claimkit.ops.dashboards import gauge, quantile, rate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from claimkit.types import Json

__all__ = ["AlertRule", "Recording", "alert_rules", "recordings", "rules_yaml"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A series that Prometheus computes ahead, for long views."""

    #: ``level:metric:operations``, as Prometheus has it.
    record: str
    expr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """When somebody is told, and what to do."""

    name: str
    expr: str
    #: How long it must hold, such as ``10m``.
    lasts: str
    #: ``page`` wakes somebody, ``ticket`` waits until morning.
    severity: str
    summary: str
    action: str


def recordings() -> tuple[Recording, ...]:
    """Return what is recorded."""
    return (
        Recording(
            record="route:claimkit_http_requests:rate5m",
            expr=rate(metrics.HTTP_REQUESTS, by=("route",), per="5m"),
        ),
        Recording(
            record="route:claimkit_http_request_duration_seconds:p95_5m",
            expr=quantile(0.95, metrics.HTTP_SECONDS, by=("route",), per="5m"),
        ),
        Recording(
            record="result:claimkit_claims:rate5m",
            expr=rate(metrics.CLAIMS, by=("result",), per="5m"),
        ),
    )


def alert_rules(*, lag_seconds: int = 300) -> tuple[AlertRule, ...]:
    """Return what wakes somebody.

    Args:
        lag_seconds: For how long something may be due, ``OPS.OUTBOX_LAG_SECONDS``.
    """
    return (*_of_the_site(), *_of_outboxes(lag_seconds), *_of_the_pipeline(), *_of_the_work())


def _of_the_site() -> tuple[AlertRule, ...]:
    errors = rate(metrics.HTTP_REQUESTS, where='status=~"5.."', per="5m")
    requests = rate(metrics.HTTP_REQUESTS, per="5m")
    failed = rate(metrics.TASKS, by=("task",), where='state="failure"', per="15m")
    return (
        AlertRule(
            name="ClaimkitErrors", severity="page", lasts="5m",
            expr=f"{errors} / {requests} > 0.05",
            summary="More than 5 % of requests fail.",
            action="Look at the dashboard of the API, then at the log by request_id.",
        ),
        AlertRule(
            name="ClaimkitSlow", severity="ticket", lasts="15m",
            expr=f"{quantile(0.95, metrics.HTTP_SECONDS, per='15m')} > 1",
            summary="One request in twenty takes longer than a second.",
            action="Look at the slowest routes, and at the database.",
        ),
        AlertRule(
            name="ClaimkitTasksFail", severity="ticket", lasts="15m",
            expr=f"{failed} > 0",
            summary="The task {{ $labels.task }} keeps failing.",
            action="Look at the log by task.",
        ),
        AlertRule(
            name="ClaimkitBlind", severity="page", lasts="10m",
            expr=f"{gauge(metrics.SCRAPE_FAILED, by=('source',))} > 0",
            summary="The gauges of {{ $labels.source }} cannot be read.",
            action="See the log of whoever is scraped; mostly the database is away.",
        ),
        AlertRule(
            name="ClaimkitBackupOld", severity="page", lasts="5m",
            expr=f"{gauge(metrics.BACKUP_AGE)} > 93600",
            summary="No backup of the last 26 hours was restored and compared.",
            action="Run manage.py claimkit_backup by hand, and see what it says.",
        ),
    )  # fmt: skip


def _of_outboxes(lag_seconds: int) -> tuple[AlertRule, ...]:
    dead = rate(metrics.DELIVERIES, by=("outbox",), where='result="dead"', per="1h")
    return (
        AlertRule(
            name="ClaimkitOutboxLate", severity="page", lasts="5m",
            expr=f"{gauge(metrics.OUTBOX_OLDEST_DUE, by=('outbox',))} > {lag_seconds}",
            summary="Nothing is sent from the outbox {{ $labels.outbox }}.",
            action="See that claimkit_deliver and claimkit_notify run.",
        ),
        AlertRule(
            name="ClaimkitGivenUp", severity="ticket", lasts="0m",
            expr=f"{dead} > 0",
            summary="Deliveries of {{ $labels.outbox }} were given up.",
            action="See which receivers fail, and replay when they are back.",
        ),
    )  # fmt: skip


def _of_the_pipeline() -> tuple[AlertRule, ...]:
    rejected = rate(metrics.CLAIMS, where='result="rejected"', per="1h")
    failed = rate(metrics.DRIFT_RUNS, where='status="failed"', per="1h")
    return (
        AlertRule(
            name="ClaimkitUploadsWait", severity="page", lasts="5m",
            expr=f"{gauge(metrics.UPLOADS_OLDEST_WAITING)} > 3600",
            summary="A file has waited for more than an hour.",
            action="See that workers run; manage.py claimkit_health tells more.",
        ),
        AlertRule(
            name="ClaimkitRejects", severity="ticket", lasts="0m",
            expr=f"{rejected} / {rate(metrics.CLAIMS, per='1h')} > 0.2",
            summary="More than a fifth of the rows of an hour were rejected.",
            action="See which upload, and repair its mapping.",
        ),
        AlertRule(
            name="ClaimkitNotWatched", severity="ticket", lasts="30m",
            expr=f"{gauge(metrics.DRIFT_OLDEST_WATCH)} > 129600",
            summary="A tenant was not watched for a day and a half.",
            action="See the schedule of claimkit.drift.watch_all, and failed runs.",
        ),
        AlertRule(
            name="ClaimkitWatchFails", severity="ticket", lasts="0m",
            expr=f"{failed} > 0",
            summary="Watches fail.",
            action="See the runs; each says why.",
        ),
    )  # fmt: skip


def _of_the_work() -> tuple[AlertRule, ...]:
    reports = rate(metrics.REPORT_RUNS, by=("kind",), where='status="failed"', per="1h")
    rules = rate(metrics.EXECUTIONS, where='result="failed"', per="1h")
    files = rate(metrics.FILES_FAILED, by=("code",), per="1h")
    return (
        AlertRule(
            name="ClaimkitFilesFail", severity="ticket", lasts="0m",
            expr=f"{files} > 0",
            summary="Files fail with {{ $labels.code }}.",
            action="See the uploads; each says why, and can be started again.",
        ),
        AlertRule(
            name="ClaimkitReportsFail", severity="ticket", lasts="0m",
            expr=f"{reports} > 0",
            summary="Runs of the kind {{ $labels.kind }} fail.",
            action="See the runs; each says why.",
        ),
        AlertRule(
            name="ClaimkitReportsWait", severity="ticket", lasts="5m",
            expr=f"{gauge(metrics.REPORTS_OLDEST_WAITING, by=('kind',))} > 3600",
            summary="A {{ $labels.kind }} has waited for more than an hour.",
            action="See that workers run; manage.py claimkit_report --due finds what waits.",
        ),
        AlertRule(
            name="ClaimkitRulesFail", severity="ticket", lasts="0m",
            expr=f"{rules} > 0",
            summary="Actions of automation fail.",
            action="See the log of the rules, then the log by rule.",
        ),
        AlertRule(
            name="ClaimkitAuditLags", severity="page", lasts="5m",
            expr=f"{gauge(metrics.AUDIT_OLDEST_UNLINKED)} > 300",
            summary="What was done is not in the chain of the audit trail.",
            action="Run manage.py claimkit_audit_verify --link, and see the log for why.",
        ),
    )  # fmt: skip


def rules_yaml(*, lag_seconds: int = 300) -> str:
    """Return a file of rules as Prometheus reads it."""
    groups: list[Json] = [
        {
            "name": "claimkit_recordings",
            "rules": [{"record": one.record, "expr": one.expr} for one in recordings()],
        },
        {
            "name": "claimkit_alerts",
            "rules": [
                {
                    "alert": one.name,
                    "expr": one.expr,
                    "for": one.lasts,
                    "labels": {"severity": one.severity},
                    "annotations": {"summary": one.summary, "action": one.action},
                }
                for one in alert_rules(lag_seconds=lag_seconds)
            ],
        },
    ]
    return "\n".join(_yaml({"groups": groups})) + "\n"


def _yaml(value: Json, indent: str = "") -> Iterator[str]:
    """Yield block YAML; scalars are JSON, which YAML takes."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _member(f"{indent}{name}:", one, indent)
    elif isinstance(value, list):
        for one in value:
            first, *rest = _yaml(one, f"{indent}  ")
            yield f"{indent}- {first.lstrip()}"
            yield from rest
    else:
        yield f"{indent}{json.dumps(value)}"


def _member(label: str, value: Json, indent: str) -> Iterator[str]:
    if isinstance(value, dict | list):
        yield label
        yield from _yaml(value, f"{indent}  ")
    else:
        yield f"{label} {json.dumps(value)}"
