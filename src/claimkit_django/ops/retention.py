"""Remove what is older than the site keeps it: by class and tenant, in batches, told to the audit trail.

The story: :func:`policies` says how long each class is kept, :func:`apply_retention` counts what
is older with one query per class, and removes it tenant by tenant. Every batch is a transaction of
its own that first asks for legal holds (:mod:`claimkit_django.tenants.holds`), so a hold wins also
over a run that is under way, and an interrupted run has done what it said. Files go after the
commit: one that stays is found by nobody, a row without its file would be.

Where a table is cut by month (``migrations_kit.PartitionByMonth``), whole months of all tenants go at
once, each in one transaction, unless a tenant with rows in them is held.

The cube holds counts and sums and nobody's details; it keeps the figures of claims that went.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction
from django.db.models import Count, F, FileField
from django.utils import timezone

from claimkit.errors import ConfigError, UnknownName
from claimkit_django import trail
from claimkit_django.conf import config
from claimkit_django.migrations_kit.append_only import removal
from claimkit_django.migrations_kit.partitions import drop_month, months_of
from claimkit_django.retention import retention_classes
from claimkit_django.tenants.changes import note_change
from claimkit_django.tenants.holds import HoldPlaced, held_tenants, require_no_hold
from claimkit_django.tenants.models import RetentionMark, Tenant
from claimkit_django.tenants.scope import across_tenants

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from django.db.models import QuerySet

    from claimkit.types import Progress
    from claimkit_django.migrations_kit.partitions import Month
    from claimkit_django.retention import RetentionClass

__all__ = ["Policy", "Removed", "apply_retention", "policies"]

logger = logging.getLogger(__name__)

_BATCH = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """For how long a class is kept here."""

    kept: RetentionClass
    #: None: for ever.
    days: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What of one class and tenant went, or would go."""

    name: str
    tenant: str
    #: What is older went.
    before: dt.datetime
    #: Rows of the class; what belongs to them goes along.
    rows: int
    #: A legal hold is placed on the tenant: all of it stayed.
    is_held: bool


def policies() -> list[Policy]:
    """Return the policy of every class of the installed apps, by name.

    Raises:
        ConfigError: ``OPS.RETENTION_DAYS`` names a class that is not there, or too few days.
    """
    classes, asked = retention_classes(), config().ops.retention_days
    for name in asked:
        if name not in classes:
            raise ConfigError(str(UnknownName.of("class of data", name, classes)))
    return [_policy(one, asked.get(name)) for name, one in sorted(classes.items())]


def _policy(kept: RetentionClass, asked: int | None) -> Policy:
    days = kept.keep_days if asked is None else asked
    if days and days < kept.least_days:
        raise ConfigError(
            f"{kept.name} must be kept for {kept.least_days} days at least, not {days}",
            remedy=f"Set CLAIMKIT['OPS']['RETENTION_DAYS'][{kept.name!r}] to more, or to 0",
        )
    return Policy(kept=kept, days=(days or None) if kept.expired is not None else None)


def apply_retention(
    *,
    using: str,
    is_dry_run: bool,
    only: Collection[str] = (),
    now: dt.datetime | None = None,
    progress: Progress | None = None,
) -> list[Removed]:
    """Remove what is older than its class is kept, of all tenants without a legal hold.

    Args:
        using: Alias of the database.
        is_dry_run: Count only.
        only: Names of classes; all if empty.
        now: What ages are measured from.
        progress: Told of every batch.

    Raises:
        ConfigError: see :func:`policies`.
        UnknownName: ``only`` names a class that is not there.
    """
    chosen, now = policies(), now or timezone.now()
    names = [one.kept.name for one in chosen]
    for name in only:
        if name not in names:
            raise UnknownName.of("class of data", name, names)
    keys = dict(Tenant.objects.using(using).values_list("pk", "key"))
    held = held_tenants(using)
    found: list[Removed] = []
    for policy in chosen:
        if policy.days is None or (only and policy.kept.name not in only):
            continue
        before = now - dt.timedelta(days=policy.days)
        if policy.kept.by_month:
            found += _Months(policy.kept, before, using, keys).remove(held, is_dry_run=is_dry_run)
        if policy.kept.only_by_month:
            continue
        rows = _expired(policy.kept, before, using)
        counts = rows.order_by().values_list("tenant_id").annotate(count=Count("*"))
        for tenant_id, count in sorted(counts):
            is_held = tenant_id in held
            if not (is_dry_run or is_held):
                batches = _Batches(policy.kept, tenant_id, before, using, progress)
                count, is_held = batches.remove(rows, count)
            found.append(
                Removed(
                    name=policy.kept.name,
                    tenant=keys.get(tenant_id, ""),
                    before=before,
                    rows=count,
                    is_held=is_held,
                )
            )
    return found


def _expired(kept: RetentionClass, before: dt.datetime, using: str) -> QuerySet[Any]:
    if kept.expired is None:
        raise ValueError("nothing of this class is ever removed")
    rows: QuerySet[Any] = kept.model.unscoped.using(using).filter(kept.expired(before))
    return rows


class _Months:
    """The removal of whole months of a class, of all tenants at once."""

    def __init__(
        self, kept: RetentionClass, before: dt.datetime, using: str, keys: Mapping[int, str]
    ) -> None:
        self._kept, self._before, self._using, self._keys = kept, before, using, keys
        self._table = kept.model._meta.db_table

    def remove(self, held: Collection[int], *, is_dry_run: bool) -> list[Removed]:
        """Remove each month that is old enough and in which no tenant is held; tell of the others."""
        found: list[Removed] = []
        for month in months_of(self._table, self._using):
            if month.until is None or month.until > self._before.astimezone(dt.UTC).date():
                continue
            rows = self._count(month.table)
            is_held = bool(held & rows.keys())
            if not (is_dry_run or is_held):
                is_held = not self._drop(month, rows)
            found += [
                Removed(
                    name=self._kept.name,
                    tenant=self._keys.get(tenant_id, ""),
                    before=dt.datetime.combine(month.until, dt.time(), tzinfo=dt.UTC),
                    rows=count,
                    is_held=is_held,
                )
                for tenant_id, count in sorted(rows.items())
            ]
        return found

    def _count(self, part: str) -> dict[int, int]:
        connection = connections[self._using]
        with across_tenants(), connection.cursor() as cursor:
            cursor.execute(
                f"SELECT tenant_id, count(*) FROM {connection.ops.quote_name(part)}"
                " GROUP BY tenant_id"
            )
            return dict(cursor.fetchall())

    def _drop(self, month: Month, rows: Mapping[int, int]) -> bool:
        """Drop a month, unless a hold is placed meanwhile; return whether it went."""

        def also() -> None:
            for tenant_id in rows:
                require_no_hold(tenant_id, self._using)
            if self._kept.before_month_goes is not None:
                self._kept.before_month_goes(month.table, self._before, self._using)
            for tenant_id, count in sorted(rows.items()):
                _note(self._kept, tenant_id, self._before, count, self._using)

        try:
            with across_tenants():
                drop_month(self._table, month, using=self._using, also=also)
        except HoldPlaced:
            return False
        return True


class _Batches:
    """The removal of one class of one tenant."""

    def __init__(
        self,
        kept: RetentionClass,
        tenant_id: int,
        before: dt.datetime,
        using: str,
        progress: Progress | None,
    ) -> None:
        self._kept, self._tenant_id, self._before = kept, tenant_id, before
        self._using, self._progress = using, progress

    def remove(self, rows: QuerySet[Any], total: int) -> tuple[int, bool]:
        """Remove in batches; return how many rows went, and whether a hold came in between."""
        key, done = self._kept.key, 0
        mine = rows.filter(tenant_id=self._tenant_id).order_by(key)
        while keys := list(mine.values_list(key, flat=True)[:_BATCH]):
            try:
                with transaction.atomic(using=self._using):
                    require_no_hold(self._tenant_id, self._using)
                    done += self._remove(keys)
            except HoldPlaced:
                return done, True
            if self._progress is not None:
                self._progress(self._kept.name, min(done, total), total)
        return done, False

    def _remove(self, keys: Sequence[Any]) -> int:
        kept, using = self._kept, self._using
        files: list[tuple[Any, str]] = []
        for model, name in kept.children:
            gone = self._of(model).filter(**{f"{name}__in": keys})
            files += _files_of(gone)
            gone._raw_delete(using)
        rows = self._of(kept.model).filter(**{f"{kept.key}__in": keys})
        if kept.empties:
            files += _files_of(rows, kept.empties)
            count = rows.update(**{kept.empties: ""})
        else:
            files += _files_of(rows)
            with removal(kept.model._meta.db_table, using):
                count = rows._raw_delete(using)
        _note(kept, self._tenant_id, self._before, count, using)
        transaction.on_commit(partial(_forget, files), using=using, robust=True)
        return int(count)

    def _of(self, model: type[Any]) -> Any:
        return model.unscoped.using(self._using).filter(tenant_id=self._tenant_id)


def _note(
    kept: RetentionClass, tenant_id: int, before: dt.datetime, count: int, using: str
) -> None:
    """Note in the transaction that removes rows what went."""
    marks = RetentionMark.unscoped.using(using)
    mark = {"tenant_id": tenant_id, "name": kept.name}
    marks.bulk_create([RetentionMark(**mark, until=before)], ignore_conflicts=True)
    marks.filter(**mark).update(until=before, rows=F("rows") + count)
    if kept.model.shown_in:
        note_change([tenant_id], kept.model.shown_in, using)
    trail.record(
        "retention.applied",
        tenant_id=tenant_id,
        target=kept.name,
        changes={"rows": (count, 0), "before": (None, before.isoformat())},
        using=using,
    )


def _files_of(rows: QuerySet[Any], only: str = "") -> list[tuple[Any, str]]:
    """Return storage and name of the files of rows; a query per file field of their model."""
    fields = [one for one in rows.model._meta.concrete_fields if isinstance(one, FileField)]
    return [
        (field.storage, name)
        for field in fields
        if not only or field.name == only
        for name in rows.exclude(**{field.name: ""}).values_list(field.name, flat=True)
    ]


def _forget(files: Sequence[tuple[Any, str]]) -> None:
    for storage, name in files:
        try:
            storage.delete(name)
        except OSError:
            logger.warning("a file could not be removed", exc_info=True)
