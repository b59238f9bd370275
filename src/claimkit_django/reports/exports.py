"""Exports: rows that rooms offer, written to a file by a worker, there for a while.

The story: a room names what it offers in ``AppConfig.export_sources``; :func:`ask_export` checks
columns against the role of whoever asks and makes the row; :func:`run_export` streams batches
through :func:`claimkit.reports.exports.write_export` into the site's storage, telling how far it
is; :func:`prune_exports` removes what has expired. Who exported what is told as ``exports.made``.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import tempfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from django.apps import apps
from django.core.files import File
from django.db import DEFAULT_DB_ALIAS
from django.db.models import F
from django.utils import timezone
from django.utils.module_loading import import_string

from claimkit.errors import InvalidWindow, UnknownName
from claimkit.events import ExportMade
from claimkit.reports.exports import FORMATS, choose_columns, write_export
from claimkit.tenants import use_tenant
from claimkit_django.conf import config
from claimkit_django.reports.models import ExportRun
from claimkit_django.reports.runs import mark_failed, save_file, tell_end
from claimkit_django.runtime import make_bus, open_store
from claimkit_django.tenants.holds import held_tenants

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from claimkit.reports.exports import ExportColumn
    from claimkit.tenants import Role
    from claimkit.types import Progress, TenantKey

__all__ = [
    "ExportSource",
    "Wanted",
    "ask_export",
    "check_wanted",
    "find_source",
    "has_personal",
    "prune_exports",
    "readable_sources",
    "run_export",
    "sources",
]

logger = logging.getLogger(__name__)

#: Seconds between two notes of how far an export is.
_NOTE_SECONDS = 1.0


class ExportSource(Protocol):
    """Rows that a room offers; named in ``AppConfig.export_sources`` and made with the alias."""

    #: All columns, in the order in which they are usually wanted.
    columns: Sequence[ExportColumn]

    def count(self, since: dt.date | None, until: dt.date | None) -> int:
        """Return how many rows of the tenant in scope there are within some days."""
        ...

    def batches(
        self, names: Sequence[str], since: dt.date | None, until: dt.date | None
    ) -> Iterator[Sequence[Sequence[Any]]]:
        """Yield columns of a few thousand rows at a time, in an order that stays the same."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody wants exported."""

    source: str
    form: str
    columns: Sequence[str] = field(default=())
    since: dt.date | None = None
    until: dt.date | None = None


def sources(using: str = DEFAULT_DB_ALIAS) -> Mapping[str, ExportSource]:
    """Return what installed rooms offer, by name."""
    found: dict[str, ExportSource] = {}
    for app in apps.get_app_configs():
        offered: Mapping[str, str] = getattr(app, "export_sources", {})
        found.update({name: import_string(path)(using) for name, path in offered.items()})
    return found


def readable_sources(role: Role, using: str = DEFAULT_DB_ALIAS) -> Mapping[str, ExportSource]:
    """Return what somebody in this role may have at least one column of."""
    return {
        name: source
        for name, source in sources(using).items()
        if any(role.includes(one.least_role) for one in source.columns)
    }


def find_source(name: str, using: str = DEFAULT_DB_ALIAS) -> ExportSource:
    """Return what is offered under a name.

    Raises:
        UnknownName: no installed room offers it.
    """
    known = sources(using)
    if name not in known:
        raise UnknownName.of("export", name, known)
    return known[name]


def has_personal(source: str, names: Sequence[str], using: str = DEFAULT_DB_ALIAS) -> bool:
    """Whether columns by these names may single out a patient.

    Raises:
        UnknownName: no installed room offers the source.
    """
    offered = find_source(source, using).columns
    return any(one.is_personal for one in offered if one.name in set(names))


def check_wanted(
    wanted: Wanted, role: Role, using: str = DEFAULT_DB_ALIAS
) -> tuple[ExportColumn, ...]:
    """Return the columns that will be exported.

    Raises:
        UnknownName: there is no such export, format or column, or the role may not have it.
        InvalidWindow: the days are in the wrong order.
    """
    offered = find_source(wanted.source, using)
    if wanted.form not in FORMATS:
        raise UnknownName.of("format", wanted.form, FORMATS)
    if wanted.since and wanted.until and wanted.until < wanted.since:
        raise InvalidWindow(
            f"the export ends on {wanted.until}, before it begins on {wanted.since}"
        )
    chosen = choose_columns(offered.columns, wanted=wanted.columns, role=role)
    if not chosen:
        raise UnknownName.of("export", wanted.source, readable_sources(role, using))
    return chosen


def ask_export(
    wanted: Wanted, *, role: Role, actor: str = "", using: str = DEFAULT_DB_ALIAS
) -> ExportRun:
    """Queue an export of the tenant in scope.

    Raises:
        UnknownName, InvalidWindow: see :func:`check_wanted`.
    """
    chosen = check_wanted(wanted, role, using)
    row = ExportRun(
        source=wanted.source,
        form=wanted.form,
        columns=[one.name for one in chosen],
        since=wanted.since,
        until=wanted.until,
        actor=actor,
    )
    row.save(using=using)
    return row


def run_export(
    tenant: TenantKey,
    uid: str,
    *,
    using: str = DEFAULT_DB_ALIAS,
    progress: Progress | None = None,
) -> ExportRun | None:
    """Write one queued export; None if another worker has taken it.

    Raises:
        ClaimkitError: it cannot be written; the row says why, and no file is left behind.
    """
    with use_tenant(tenant):
        rows = ExportRun.objects.using(using)
        taken = rows.filter(uid=uid, status=ExportRun.Status.QUEUED).update(
            status=ExportRun.Status.RUNNING,
            heartbeat_at=timezone.now(),
            attempts=F("attempts") + 1,
        )
        if not taken:
            return None
        row: ExportRun = rows.get(uid=uid)
        began = time.monotonic()
        try:
            _write(row, using, progress)
            _finish(row, tenant, using)
        except Exception as error:
            # Isolation point: the row must not say "running" for ever. Told on, of course.
            if row.file:
                row.file.delete(save=False)
            mark_failed(row, using, error)
            tell_end(tenant, "export", "failed", time.monotonic() - began, using)
            raise
        tell_end(tenant, "export", "success", time.monotonic() - began, using)
    return row


def _write(row: ExportRun, using: str, progress: Progress | None) -> None:
    source = find_source(row.source, using)
    offered = {one.name: one for one in source.columns}
    columns = [offered[name] for name in row.columns]
    row.rows_total = source.count(row.since, row.until)
    with tempfile.TemporaryFile() as out:
        row.rows_done = write_export(
            row.form,
            columns,
            source.batches(row.columns, row.since, row.until),
            out,
            total=row.rows_total,
            progress=_Noted(row, using, progress),
        )
        row.bytes = out.tell()
        out.seek(0)
        row.sha256 = hashlib.file_digest(out, "sha256").hexdigest()
        out.seek(0)
        save_file(row, f"export.{FORMATS[row.form].extension}", File(out))


class _Noted:
    """Progress that the row shows: written at most once a second."""

    def __init__(self, row: ExportRun, using: str, other: Progress | None) -> None:
        self._row = row
        self._using = using
        self._other = other
        self._next = timezone.now()

    def __call__(self, step: str, done: int, total: int | None) -> None:
        if self._other is not None:
            self._other(step, done, total)
        now = timezone.now()
        if now >= self._next:
            self._next = now + dt.timedelta(seconds=_NOTE_SECONDS)
            ExportRun.objects.using(self._using).filter(pk=self._row.pk).update(
                rows_done=done, rows_total=total, heartbeat_at=now
            )


def _finish(row: ExportRun, tenant: TenantKey, using: str) -> None:
    store = open_store(using)
    bus = make_bus(store)
    now = timezone.now()
    row.status = ExportRun.Status.SUCCESS
    row.heartbeat_at = row.finished_at = now
    row.expires_at = now + dt.timedelta(hours=config().reports.keep_export_hours)
    with bus.transaction(store.atomic()):
        row.save(using=using)
        bus.stage(
            ExportMade(
                tenant=tenant,
                at=now,
                export=row.uid,
                source=row.source,
                rows=row.rows_done,
                columns=tuple(row.columns),
                actor=row.actor,
            )
        )


def prune_exports(*, now: dt.datetime, using: str = DEFAULT_DB_ALIAS) -> tuple[int, int]:
    """Remove files of all tenants that have expired, and give up exports whose run died.

    Returns how many files were removed, and how many runs were given up.
    """
    rows = ExportRun.unscoped.using(using)
    removed = 0
    # A legal hold keeps everything of its tenant.
    over = rows.filter(expires_at__lte=now).exclude(tenant_id__in=held_tenants(using))
    for row in over.exclude(file="").select_related("tenant"):
        with use_tenant(row.tenant.key):
            row.file.delete(save=False)
            ExportRun.objects.using(using).filter(pk=row.pk).update(file="")
        removed += 1
    silent = now - dt.timedelta(minutes=config().reports.dead_after_minutes)
    died = rows.filter(status="running", heartbeat_at__lt=silent).update(
        status="failed",
        finished_at=now,
        error_code="run_died",
        error_message="the export stopped without a word; ask for it again",
    )
    return removed, int(died)
