"""How rooms tell operators how they fare: health checks and gauges that are found by their apps.

A room names functions in ``AppConfig.health_checks`` and ``AppConfig.gauges``; each is called with
the database alias. The first return checks (:class:`claimkit.ops.health.Check`), the second samples
(:class:`claimkit.ops.metrics.Sample`), which they read when a server scrapes. So rooms stay independent, and a site without
``claimkit_django.ops`` simply asks nobody.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db.models import Count, Min, Q
from django.utils import timezone
from django.utils.module_loading import import_string

from claimkit.ops.health import Status, Vital
from claimkit.ops.metrics import OUTBOX_DUE, OUTBOX_OLDEST_DUE, SCRAPE_FAILED, Sample
from claimkit_django.conf import config

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from claimkit.ops.health import Check

__all__ = [
    "Backlog",
    "OutboxCheck",
    "backlog_of",
    "gauges",
    "health_checks",
    "outbox_samples",
    "row_checks",
]

logger = logging.getLogger(__name__)


def health_checks(using: str) -> list[Check]:
    """Return the checks of all installed apps, the host's included."""
    found: list[Check] = []
    for app in apps.get_app_configs():
        paths: tuple[str, ...] = getattr(app, "health_checks", ())
        for path in paths:
            found.extend(import_string(path)(using))
    return found


def row_checks(using: str) -> list[Check]:
    """Return the checks of all installed apps that read whole tables, for ``claimkit_doctor --rows``.

    A room names functions like those of ``health_checks`` in ``AppConfig.row_checks``; nobody asks
    them but people, or a job at night.
    """
    found: list[Check] = []
    for app in apps.get_app_configs():
        paths: tuple[str, ...] = getattr(app, "row_checks", ())
        for path in paths:
            found.extend(import_string(path)(using))
    return found


def gauges(using: str) -> Iterator[Sample]:
    """Yield the samples of all installed apps, and for each whether it could tell.

    What one cannot read is left out and said so by ``claimkit_scrape_failed``: a
    database that is away must not cost the series that a process keeps itself.
    """
    for app in apps.get_app_configs():
        paths: tuple[str, ...] = getattr(app, "gauges", ())
        if not paths:
            continue
        try:
            found = [sample for path in paths for sample in import_string(path)(using)]
        except Exception:
            # Isolation point: see above.
            logger.exception("gauges could not be read", extra={"source": app.label})
            yield Sample(SCRAPE_FAILED, 1, (app.label,))
            continue
        yield from found
        yield Sample(SCRAPE_FAILED, 0, (app.label,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What a room's outbox has to send now."""

    #: Rows that are due, those of receivers that are left alone for a while included.
    due: int
    #: For how long the oldest is due that a worker could take; 0 where there is none.
    oldest_seconds: float


def backlog_of(deliveries: Any, *, using: str, now: dt.datetime | None = None) -> Backlog:
    """Return what is due of all tenants in a room's :class:`~claimkit_django.outbox.OutboxRow`; one query."""
    now = now or timezone.now()
    can_be_taken = Q(lane__held_until=None) | Q(lane__held_until__lte=now)
    found = (
        deliveries.unscoped.using(using)
        .filter(deliveries.live(), due_at__lte=now)
        .order_by()
        .aggregate(due=Count("pk"), oldest=Min("due_at", filter=can_be_taken))
    )
    oldest = found["oldest"]
    return Backlog(
        due=found["due"], oldest_seconds=(now - oldest).total_seconds() if oldest else 0.0
    )


def outbox_samples(outbox: str, deliveries: Any, *, using: str) -> Iterator[Sample]:
    """Yield how much is due in a room's outbox and for how long; one query."""
    backlog = backlog_of(deliveries, using=using)
    yield Sample(OUTBOX_DUE, backlog.due, (outbox,))
    yield Sample(OUTBOX_OLDEST_DUE, backlog.oldest_seconds, (outbox,))


class OutboxCheck:
    """Fails where what is due in an outbox has waited for too long: no worker runs, or too few.

    Args:
        name: Name of the check.
        deliveries: The room's rows.
        using: Alias of the database.
        worker: What should be running, for the note.
    """

    def __init__(self, name: str, deliveries: Any, *, using: str, worker: str) -> None:
        self.name = name
        self._deliveries, self._using, self._worker = deliveries, using, worker

    def look(self) -> Vital:
        """Compare the age of the oldest with ``OPS.OUTBOX_LAG_SECONDS``; one query."""
        backlog = backlog_of(self._deliveries, using=self._using)
        is_late = backlog.oldest_seconds > config().ops.outbox_lag_seconds
        return Vital(
            status=Status.FAILING if is_late else Status.OK,
            note=f"nothing is sent; is manage.py {self._worker} running?" if is_late else "",
            figures={"due": backlog.due, "oldest_seconds": round(backlog.oldest_seconds)},
        )
