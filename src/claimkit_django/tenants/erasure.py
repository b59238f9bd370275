"""Remove everything of a tenant, and prove it: counts before and after, in every table and storage.

The story: :func:`erase_tenant` locks the tenant out (nobody enters an inactive one), counts what is
there, removes rows of referring models before those that they refer to, all in one transaction,
and counts again before the commit: whatever is left brings everything back. Files go after the
commit and are looked for once more. What was done in the tenant outlives it: the audit trail keeps
its chain, which holds no personal details, and gets one more entry, the tombstone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connections, transaction
from django.db.models import CharField
from django.db.models.functions import Cast

from claimkit.errors import StoreError
from claimkit_django import trail
from claimkit_django.migrations_kit.append_only import removal
from claimkit_django.tenants.holds import require_no_hold
from claimkit_django.tenants.models import Tenant
from claimkit_django.tenants.portability import tenant_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from claimkit.types import Progress
    from claimkit_django.tenants.portability import TenantTable

__all__ = ["Proof", "erase_tenant"]

#: Lines of the admin's log that are looked at at a time.
_LINES = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was there, and what is left."""

    tenant: str
    #: Label of the model → rows, of every table of tenants.
    before: dict[str, int]
    after: dict[str, int]
    files_before: int
    #: Names of files that the storage did not let go.
    files_left: tuple[str, ...]
    #: Labels of models that keep what was done: the audit trail.
    kept: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing is left but what must outlive the tenant."""
        left = [label for label, count in self.after.items() if count and label not in self.kept]
        return not left and not self.files_left


def erase_tenant(tenant: Tenant, *, using: str, progress: Progress | None = None) -> Proof:
    """Remove all rows and files of a tenant, and the tenant.

    Raises:
        HoldPlaced: a legal hold is placed on the tenant; nothing was removed.
        StoreError: something was left in a table; nothing was removed.
    """
    tables = _children_first(tenant_tables())
    key, tenant_id = tenant.key, tenant.pk
    require_no_hold(tenant_id, using)
    # Committed first: from now on nobody enters, so nobody writes what would be left.
    Tenant.objects.using(using).filter(pk=tenant_id).update(active=False)
    with transaction.atomic(using=using):
        Tenant.objects.using(using).select_for_update().get(pk=tenant_id)
        require_no_hold(tenant_id, using)
        _defer_constraints(using)
        before = _counts(tables, tenant_id, using)
        files = [one for table in tables for one in table.files(tenant_id, using)]
        for number, table in enumerate(tables):
            if progress is not None:
                progress(table.label, number, len(tables))
            if not table.outlives:
                _remove(table, tenant_id, using)
        trail.record(
            "tenant.erased",
            tenant_id=tenant_id,
            target=key,
            changes={"rows": (_sum(tables, before), 0), "files": (len(files), 0)},
            using=using,
        )
        Tenant.objects.using(using).filter(pk=tenant_id)._raw_delete(using)
        connections[using].check_constraints()
        after = _counts(tables, tenant_id, using)
        if left := [one.label for one in tables if after[one.label] and not one.outlives]:
            raise StoreError(f"rows of {left[0]} would be left", remedy="Tell its author")
    if progress is not None:
        progress("files", len(tables), len(tables))
    return Proof(
        tenant=key,
        before=before,
        after=after,
        files_before=len(files),
        files_left=tuple(_forget(files)),
        kept=tuple(one.label for one in tables if one.outlives),
    )


def _defer_constraints(using: str) -> None:
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def _counts(tables: Iterable[TenantTable], tenant_id: int, using: str) -> dict[str, int]:
    return {one.label: one.rows(tenant_id, using).count() for one in tables}


def _sum(tables: Iterable[TenantTable], counts: dict[str, int]) -> int:
    return sum(counts[one.label] for one in tables if not one.outlives)


def _remove(table: TenantTable, tenant_id: int, using: str) -> None:
    rows = table.rows(tenant_id, using)
    if apps.is_installed("django.contrib.admin"):
        _forget_admin_log(table, rows, using)
    with removal(table.model._meta.db_table, using):
        rows._raw_delete(using)


def _forget_admin_log(table: TenantTable, rows: Any, using: str) -> None:
    """Remove what the admin noted of the rows: it repeats their names."""
    if getattr(table.model._meta.pk, "columns", None):
        return  # The admin takes no composite keys.
    log = apps.get_model("admin", "LogEntry")
    content_types = apps.get_model("contenttypes", "ContentType")
    kind = content_types._default_manager.db_manager(using).get_for_model(table.model)
    lines = log._default_manager.using(using).filter(content_type=kind)
    told = list(lines.order_by().values_list("object_id", flat=True).distinct())
    keyed = rows.order_by().annotate(claimkit_key=Cast("pk", CharField()))
    for at in range(0, len(told), _LINES):
        # Two queries: row-level security shows no rows to a sub-query of a table without tenants.
        mine = keyed.filter(claimkit_key__in=told[at : at + _LINES])
        keys = list(mine.values_list("claimkit_key", flat=True))
        lines.filter(object_id__in=keys).delete()


def _forget(files: Sequence[tuple[Any, str]]) -> list[str]:
    left: list[str] = []
    for storage, name in files:
        try:
            storage.delete(name)
        except OSError:
            left.append(name)
            continue
        if storage.exists(name):
            left.append(name)
    return left


def _children_first(tables: Sequence[TenantTable]) -> list[TenantTable]:
    """Return tables so that each comes before those that it refers to; circles as they are."""
    models = {one.model: one for one in tables}
    ordered: list[TenantTable] = []
    seen: set[type[Any]] = set()

    def visit(model: type[Any]) -> None:
        if model in seen or model not in models:
            return
        seen.add(model)
        for related in _referring(model):
            visit(related)
        ordered.append(models[model])

    for one in tables:
        visit(one.model)
    return ordered


def _referring(model: type[Any]) -> Iterable[type[Any]]:
    """Return models that refer to a model: by fields, or by composite constraints."""
    for one in apps.get_models(include_auto_created=True):
        fields = any(field.related_model is model for field in one._meta.concrete_fields)
        targets = {getattr(rule, "to", None) for rule in one._meta.constraints}
        if one is not model and (fields or model._meta.label in targets):
            yield one
