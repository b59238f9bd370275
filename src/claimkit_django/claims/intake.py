"""From a stored upload to kept claims: idempotent, restartable, with visible progress.

The story: :func:`run_import` takes the upload over (:func:`_take_over`), streams its file through
:func:`claimkit.claims.intake.import_claims`, and notes each batch, its counts and its rejected rows
in the batch's own transaction (:class:`_Notes`). So whatever happens, the row tells what is in.
A run that was killed is simply run again: batches that are noted are read over, and the
result is that of one whole run. A run that finds a later one at work leaves the field to it.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, transaction
from django.db.models import F
from django.utils import timezone

from claimkit.claims.intake import import_claims
from claimkit.claims.model import ClaimKind, RowProblem
from claimkit.claims.readers import ReadOptions
from claimkit.claims.templates import CsvTemplate
from claimkit.errors import ClaimkitError
from claimkit.events import ImportFailed
from claimkit.tenants import use_tenant
from claimkit.types import SystemClock
from claimkit_django.claims import models
from claimkit_django.claims.models import RejectedRow, Upload
from claimkit_django.claims.quality import assess_upload
from claimkit_django.claims.rows import clean
from claimkit_django.conf import config
from claimkit_django.runtime import make_bus, open_store, patient_key, plugins

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator

    from claimkit.claims.intake import ImportReport
    from claimkit.claims.model import Added, ClaimBatch
    from claimkit.types import Clock, Progress, TenantKey

__all__ = [
    "csv_templates",
    "problem_of",
    "problems_of",
    "run_import",
    "template_of",
    "unfinished_uploads",
]

logger = logging.getLogger(__name__)

_DONE = (Upload.Status.SUCCESS, Upload.Status.PARTIAL)
#: Rejected rows that are read at a time for the repair file.
_CHUNK = 2_000


class _Overtaken(Exception):
    """A later run took the upload over; this one must not write another word."""


def run_import(
    tenant: TenantKey,
    uid: str,
    *,
    using: str = DEFAULT_DB_ALIAS,
    clock: Clock | None = None,
    progress: Progress | None = None,
) -> Upload:
    """Import an upload's file and return the upload as it ended.

    An upload that is in already is returned unchanged. A failed one is tried again.

    Raises:
        Upload.DoesNotExist: the tenant has no such upload.
        Exception: whatever was not foreseen, after the upload was marked as failed.
    """
    with use_tenant(tenant):
        upload = _take_over(uid, using)
        if upload.status in _DONE:
            return upload
        notes = _Notes(tenant, upload, using)
        try:
            report = _read(tenant, upload, using, clock or SystemClock(), progress, notes)
            notes.finish(report)
        except _Overtaken:
            logger.info("import overtaken by a later run", extra={"upload": uid})
        except ClaimkitError as error:
            notes.fail(error.code, str(error))
        except FileNotFoundError:
            notes.fail("file_missing", "the stored file is gone. Upload it again")
        except Exception as error:
            # Isolation point: the row must not say "processing" for ever.
            logger.exception("import failed", extra={"upload": uid, "tenant": tenant})
            _fail_somehow(notes, using, _NO_ROOM if _is_full(error) else _UNFORESEEN)
            raise
        finished: Upload = Upload.objects.using(using).get(uid=uid)
        return finished


def unfinished_uploads(
    *, using: str = DEFAULT_DB_ALIAS, silent_since: dt.datetime
) -> list[tuple[str, str]]:
    """Return (tenant key, uid) of uploads of all tenants that nobody has worked on since."""
    waiting = Upload.unscoped.using(using).filter(
        status__in=[Upload.Status.QUEUED, Upload.Status.PROCESSING], tenant__active=True
    )
    silent = waiting.exclude(heartbeat_at__gte=silent_since)
    return list(silent.order_by("created_at", "pk").values_list("tenant__key", "uid"))


def problems_of(upload: Upload) -> Iterator[RowProblem]:
    """Yield the rejected rows of an upload, in file order, in constant memory."""
    rows = RejectedRow.objects.using(upload._state.db).filter(upload=upload).order_by("ordinal")
    return map(problem_of, rows.iterator(chunk_size=_CHUNK))


def problem_of(row: RejectedRow) -> RowProblem:
    """Return the rejected row as the core knows it."""
    return RowProblem(
        code=row.code,
        message=row.message,
        remedy=row.remedy,
        position=row.position,
        kind=ClaimKind(row.kind),
        field_name=row.field_name,
        value=row.value,
        raw=tuple(row.raw),
    )


def _take_over(uid: str, using: str) -> Upload:
    """Mark the upload as processed by this run, from whatever unfinished state it is in."""
    now = timezone.now()
    with transaction.atomic(using=using):
        rows = Upload.objects.using(using).select_for_update(no_key=True)
        upload: Upload = rows.get(uid=uid)
        if upload.status in _DONE:
            return upload
        upload.status = Upload.Status.PROCESSING
        upload.attempts += 1
        upload.started_at = upload.started_at or now
        upload.heartbeat_at = now
        upload.finished_at = None
        upload.error_code = upload.error_message = ""
        upload.save(using=using)
    return upload


def _read(
    tenant: TenantKey,
    upload: Upload,
    using: str,
    clock: Clock,
    progress: Progress | None,
    notes: _Notes,
) -> ImportReport:
    store = open_store(using)
    with upload.file.open("rb") as stream:
        return import_claims(
            cast("BinaryIO", stream),
            name=upload.name,
            tenant=tenant,
            store=store,
            plugins=plugins(),
            bus=make_bus(store),
            clock=clock,
            patient_key=patient_key(tenant),
            upload=upload.uid,
            known_on=upload.known_on,
            options=_options(upload, using),
            reader=upload.reader,
            progress=progress,
            on_batch=notes.take_batch,
        )


def csv_templates(*, using: str = DEFAULT_DB_ALIAS) -> list[CsvTemplate]:
    """Return the templates of the tenant in scope, by name; one query."""
    rows = models.CsvTemplate.objects.using(using).order_by("name")
    return [template_of(row) for row in rows]


def template_of(row: models.CsvTemplate) -> CsvTemplate:
    """Return the template as the core knows it."""
    return CsvTemplate(
        name=row.name,
        header=tuple(row.header),
        columns=row.columns,
        date_order=row.date_order,
        nulls=frozenset(row.nulls),
    )


def _options(upload: Upload, using: str) -> ReadOptions:
    claims = config().claims
    asked: dict[str, Any] = upload.options
    return ReadOptions(
        templates=csv_templates(using=using),
        batch_size=claims.batch_size,
        max_problems=claims.max_problems,
        max_problem_share=claims.max_problem_share,
        columns=asked.get("columns", {}),
        date_order=asked.get("date_order", ""),
        nulls=frozenset(asked.get("nulls", ())),
    )


class _Notes:
    """What one run writes in the upload's row, as long as no later run has taken over."""

    def __init__(self, tenant: TenantKey, upload: Upload, using: str) -> None:
        self._tenant = tenant
        self._upload = upload
        self._using = using
        self._known_batches = upload.batches_done
        self._batches = 0
        self._rejected = 0

    def take_batch(self, batch: ClaimBatch, added: Added) -> None:
        """Note a batch inside its transaction; one that an earlier run noted only passes by.

        Raises:
            _Overtaken: a later run is at work; rolls the batch back.
        """
        self._batches += 1
        ordinal = self._rejected
        self._rejected += len(batch.problems)
        if self._batches <= self._known_batches:
            self._write(heartbeat_at=timezone.now())
            return
        self._write(
            heartbeat_at=timezone.now(),
            batches_done=self._batches,
            bytes_done=min(batch.bytes_read, self._upload.bytes_total),
            rows_rejected=self._rejected,
            claims_new=F("claims_new") + added.new,
            claims_changed=F("claims_changed") + added.changed,
            claims_same=F("claims_same") + added.same,
            statements_same=F("statements_same") + added.statements_same,
        )
        self._keep(batch.problems, ordinal)

    def finish(self, report: ImportReport) -> None:
        """Close the row: the file is in, whole or without its rejected rows."""
        partial = report.rejected > 0
        self._upload.reader = report.reader
        quality = assess_upload(self._upload, report.profile, self._using)
        self._write(
            quality=quality,
            holds_alerts=quality["holds"],
            status=Upload.Status.PARTIAL if partial else Upload.Status.SUCCESS,
            finished_at=timezone.now(),
            bytes_done=F("bytes_total"),
            sha256=report.sha256,
            reader=report.reader,
            options=self._options(report),
            rows_rejected=report.rejected,
            header=list(map(clean, report.header)),
            kinds={str(kind): asdict(tally) for kind, tally in report.kinds.items()},
        )

    def _options(self, report: ImportReport) -> dict[str, Any]:
        template = {"template": report.template} if report.template else {}
        return {**self._upload.options, **template}

    def fail(self, code: str, message: str) -> None:
        """Close the row with a reason for people, and tell; what is in stays in."""
        now = timezone.now()
        with_rows = Upload.objects.using(self._using).filter(pk=self._upload.pk)
        closed = with_rows.filter(attempts=self._upload.attempts).update(
            status=Upload.Status.FAILED,
            finished_at=now,
            error_code=code,
            error_message=message,
        )
        if closed:
            bus = make_bus(open_store(self._using))
            with bus.transaction():
                bus.stage(
                    ImportFailed(tenant=self._tenant, at=now, upload=self._upload.uid, code=code)
                )

    def _write(self, **values: Any) -> None:
        mine = Upload.objects.using(self._using).filter(
            pk=self._upload.pk,
            attempts=self._upload.attempts,
            status=Upload.Status.PROCESSING,
        )
        if not mine.update(**values):
            raise _Overtaken

    def _keep(self, problems: Iterable[RowProblem], start: int) -> None:
        RejectedRow.objects.using(self._using).bulk_create(
            [
                RejectedRow(
                    tenant_id=self._upload.tenant_id,
                    upload=self._upload,
                    ordinal=ordinal,
                    position=one.position,
                    kind=one.kind.value,
                    code=one.code,
                    message=clean(one.message),
                    remedy=clean(one.remedy),
                    field_name=clean(one.field_name)[:200],
                    value=clean(one.value)[:64],
                    raw=list(map(clean, one.raw)),
                )
                for ordinal, one in enumerate(problems, start=start)
            ],
            batch_size=500,
        )


#: Code and words for people where the program, and not the file, is what failed.
_UNFORESEEN = (
    "internal_error",
    "something unexpected stopped the import; what was read so far is in. "
    "Start it again, and ask the operator if it fails again",
)
_NO_ROOM = (
    "database_full",
    "the database has no room left; what was read so far is in, in whole batches. "
    "Ask the operator to make room, then start it again",
)
#: SQLSTATE of PostgreSQL, and code of SQLite.
_DISK_FULL, _SQLITE_FULL = "53100", 13


def _is_full(error: BaseException) -> bool:
    """Whether the database stopped because its disk is full."""
    cause = error.__cause__
    return isinstance(error, DatabaseError) and (
        getattr(cause, "sqlstate", "") == _DISK_FULL
        or getattr(cause, "sqlite_errorcode", 0) == _SQLITE_FULL
    )


def _fail_somehow(notes: _Notes, using: str, why: tuple[str, str]) -> None:
    """Mark the upload as failed, even if the connection is what failed."""
    connection = connections[using]
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
    elif connection.needs_rollback:
        return
    try:
        notes.fail(*why)
    except DatabaseError:
        logger.exception("upload could not be marked as failed")
