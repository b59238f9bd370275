"""Checks and gauges of what every site stands on: databases, caches, migrations, disk, broker, workers."""

from __future__ import annotations

import math
import secrets
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.cache import caches
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from claimkit.ops.health import Status, Vital
from claimkit.ops.metrics import (
    BACKUP_AGE,
    DATABASE_BYTES,
    DATABASE_CONNECTIONS,
    DATABASE_CONNECTIONS_LIMIT,
    Sample,
)
from claimkit_django.conf import config
from claimkit_django.ops.backup import last_verified

try:
    import celery
except ImportError:  # Celery is an extra.
    celery = None

if TYPE_CHECKING:
    from collections.abc import Iterator

    from claimkit.ops.health import Check

__all__ = [
    "BrokerCheck",
    "CacheCheck",
    "DatabaseCheck",
    "DiskCheck",
    "MigrationsCheck",
    "WorkersCheck",
    "gauges",
    "health_checks",
]

_DUMMY = "dummy.DummyCache"
_CACHE_SECONDS = 30
_STATES = ("active", "idle", "idle in transaction")
_SIZE_POSTGRESQL = "SELECT pg_database_size(current_database())"
_SIZE_SQLITE = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
_LIMIT_POSTGRESQL = "SELECT current_setting('max_connections')::int"
_CONNECTIONS_POSTGRESQL = (
    "SELECT coalesce(state, ''), count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() GROUP BY 1"
)


def health_checks(using: str) -> Iterator[Check]:
    """Yield the checks of the site; those of Celery where it has a broker."""
    for alias in settings.DATABASES:
        yield DatabaseCheck(alias)
    for alias, entry in settings.CACHES.items():
        if not entry.get("BACKEND", "").endswith(_DUMMY):
            yield CacheCheck(alias)
    yield MigrationsCheck(using)
    yield DiskCheck(config().ops.disk_paths or _written_folders())
    if celery is not None and celery.current_app.conf.broker_url:
        yield BrokerCheck(celery.current_app)
        if config().ops.workers > 0:
            yield WorkersCheck(celery.current_app, least=config().ops.workers)


def gauges(using: str) -> Iterator[Sample]:
    """Yield the age of the last backup, the size of the database, and on PostgreSQL its connections.

    Three queries at most, and a small file where ``OPS.BACKUP_STATUS`` names one.
    """
    if config().ops.backup_status:
        last = last_verified()
        age = (timezone.now() - last).total_seconds() if last else math.inf
        yield Sample(BACKUP_AGE, age)
    connection = connections[using]
    is_postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute(_SIZE_POSTGRESQL if is_postgresql else _SIZE_SQLITE)
        yield Sample(DATABASE_BYTES, cursor.fetchone()[0])
        if is_postgresql:
            cursor.execute(_CONNECTIONS_POSTGRESQL)
            counts = dict(cursor.fetchall())
            # States of Django's connections; those of others' are told as one.
            for state in _STATES:
                yield Sample(DATABASE_CONNECTIONS, counts.pop(state, 0), (_label_of(state),))
            yield Sample(DATABASE_CONNECTIONS, sum(counts.values()), ("other",))
            cursor.execute(_LIMIT_POSTGRESQL)
            yield Sample(DATABASE_CONNECTIONS_LIMIT, cursor.fetchone()[0])


def _label_of(state: str) -> str:
    return state.replace(" ", "_")


def _named(name: str, alias: str) -> str:
    return name if alias == "default" else f"{name}:{alias}"


def _written_folders() -> tuple[str, ...]:
    return (tempfile.gettempdir(), *([str(settings.MEDIA_ROOT)] if settings.MEDIA_ROOT else []))


class DatabaseCheck:
    """A database answers a query, on a connection of its own."""

    def __init__(self, using: str) -> None:
        self.name = _named("database", using)
        self._using = using

    def look(self) -> Vital:
        """Ask for a constant; one query."""
        with connections[self._using].cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
        return Vital()


class CacheCheck:
    """What is put into a cache comes out again."""

    def __init__(self, alias: str) -> None:
        self.name = _named("cache", alias)
        self._alias = alias

    def look(self) -> Vital:
        """Put, get and delete a random value under a random key."""
        key, value = f"claimkit_health:{secrets.token_hex(8)}", secrets.token_hex(8)
        cache = caches[self._alias]
        cache.set(key, value, _CACHE_SECONDS)
        found = cache.get(key)
        cache.delete(key)
        if found != value:
            return Vital(status=Status.FAILING, note="what is put in does not come out")
        return Vital()


class MigrationsCheck:
    """Every migration of the code that runs is applied."""

    name = "migrations"

    def __init__(self, using: str) -> None:
        self._using = using
        self._complete: frozenset[tuple[str, str]] | None = None

    def look(self) -> Vital:
        """Compare the code with the database; two queries once nothing was pending.

        The code of a process does not change: migrations are read from disk until none is pending.
        """
        connection = connections[self._using]
        applied = frozenset(MigrationRecorder(connection).applied_migrations())
        if self._complete is not None and self._complete <= applied:
            return Vital()
        executor = MigrationExecutor(connection)
        pending = [one for one, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]
        if not pending:
            self._complete = applied
            return Vital()
        return Vital(
            status=Status.FAILING,
            note=f"run manage.py migrate; the first is {pending[0].app_label}.{pending[0].name}",
            figures={"pending": len(pending)},
        )


class DiskCheck:
    """Folders that the site writes to have room."""

    name = "disk"

    def __init__(self, folders: tuple[str, ...]) -> None:
        self._folders = folders

    def look(self) -> Vital:
        """Compare the free share of each with ``OPS.DISK_FREE_PERCENT``; below twice that, it is degraded."""
        least = config().ops.disk_free_percent
        free = [_free_percent(one) for one in self._folders]
        worst = min(free, default=100.0)
        figures = {"free_percent": round(worst, 1)}
        if worst < least:
            return Vital(status=Status.FAILING, note="the disk is full", figures=figures)
        if worst < 2 * least:
            return Vital(status=Status.DEGRADED, note="the disk fills up", figures=figures)
        return Vital(figures=figures)


def _free_percent(folder: str) -> float:
    usage = shutil.disk_usage(folder)
    return 100.0 * usage.free / usage.total


class BrokerCheck:
    """The broker of Celery takes connections."""

    name = "broker"

    def __init__(self, app: Any) -> None:
        self._app = app

    def look(self) -> Vital:
        """Connect, once."""
        with self._app.connection_for_write() as connection:
            connection.ensure_connection(
                max_retries=1, interval_start=0, timeout=config().ops.check_seconds
            )
        return Vital()


class WorkersCheck:
    """Enough workers of Celery answer."""

    name = "workers"

    def __init__(self, app: Any, *, least: int) -> None:
        self._app, self._least = app, least

    def look(self) -> Vital:
        """Ask all; takes half of ``OPS.CHECK_SECONDS``, since nobody knows how many there are."""
        seconds = config().ops.check_seconds / 2
        answers = self._app.control.ping(timeout=seconds)
        figures = {"workers": len(answers)}
        if len(answers) < self._least:
            note = f"fewer than {self._least} answer"
            return Vital(status=Status.FAILING, note=note, figures=figures)
        return Vital(figures=figures)
