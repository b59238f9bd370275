"""The scope: queries on rows of a tenant are bound to one tenant or do not run.

A queryset takes the tenant in scope when it is *made*, so that a lazy or streamed one cannot run
into the next request's tenant. When it is *compiled*, the query must still guarantee that
tenant; a route that Django may add tomorrow therefore fails instead of leaking.

The predicate is ``tenant_id = 7`` where the scope was entered with :func:`enter`, and
``tenant_id = (SELECT id … WHERE key = …)`` where only the key is known: no query runs while a
queryset is made, so it can be made in coroutines too.
"""

from __future__ import annotations

import functools
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from django.apps import apps
from django.db import models
from django.db.models import sql
from django.db.models.expressions import Col, Exists
from django.db.models.lookups import Exact
from django.db.models.sql.query import RawQuery
from django.db.models.sql.where import AND

from claimkit.errors import TenantForbidden, TenantRequired, TenantUnknown
from claimkit.tenants import current_tenant, in_tenant, use_tenant
from claimkit.types import TenantKey
from claimkit_django.tenants.changes import note_change
from claimkit_django.trail import tell_made, updating

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from claimkit_django.tenants.models import Tenant

__all__ = [
    "TenantManager",
    "TenantQuerySet",
    "TenantScope",
    "UnscopedManager",
    "across_tenants",
    "current_scope",
    "enter",
    "find_tenant_id",
    "is_across_tenants",
    "reenter",
]

_T = TypeVar("_T", bound=models.Model)
_R = TypeVar("_R")


class TenantScope(NamedTuple):
    """The tenant that a query or a row is bound to."""

    key: TenantKey
    #: Database id, where it is known without a query.
    id: int | None


_entered: ContextVar[TenantScope | None] = ContextVar("claimkit_tenant_row", default=None)
#: Key of the tenant in scope (or None) where work across tenants began, in a list of one.
_across: ContextVar[tuple[TenantKey | None] | None] = ContextVar(
    "claimkit_across_tenants", default=None
)


@contextmanager
def enter(tenant: Tenant) -> Iterator[TenantScope]:
    """Run the block in the scope of a tenant whose row is at hand.

    Like :func:`claimkit.tenants.use_tenant`, and spares queries the look-up of the id.

    Raises:
        TenantUnknown: the tenant is not active.
    """
    if not tenant.active:
        raise TenantUnknown("this tenant is not active")
    scope = TenantScope(TenantKey(tenant.key), tenant.pk)
    token = _entered.set(scope)
    try:
        with use_tenant(scope.key):
            yield scope
    finally:
        _entered.reset(token)


@contextmanager
def reenter(scope: TenantScope) -> Iterator[None]:
    """Run the block in a scope that was entered before, whatever became of the tenant since."""
    token = _entered.set(scope if scope.id is not None else _entered.get())
    try:
        with use_tenant(scope.key):
            yield
    finally:
        _entered.reset(token)


@contextmanager
def across_tenants() -> Iterator[None]:
    """Let SQL text of the block see every tenant's rows where row-level security is on.

    For data migrations and reports of operators. ``Model.unscoped`` does it by itself; querysets of
    ``Model.objects`` stay with their tenant.
    """
    token = _across.set((_key_in_scope(),))
    try:
        yield
    finally:
        _across.reset(token)


def is_across_tenants() -> bool:
    """Whether what runs now is about all tenants, on purpose; a tenant entered since wins."""
    return _across.get() == (_key_in_scope(),)


def _key_in_scope() -> TenantKey | None:
    return current_tenant() if in_tenant() else None


def current_scope() -> TenantScope:
    """Return the scope in force.

    Raises:
        TenantRequired: no tenant is in scope.
    """
    key = current_tenant()
    entered = _entered.get()
    # use_tenant() may have been entered inside of enter(): the innermost wins.
    return entered if entered is not None and entered.key == key else TenantScope(key, None)


def find_tenant_id(scope: TenantScope, using: str | None) -> int:
    """Return the database id of the tenant; one query where the scope does not know it.

    Raises:
        TenantUnknown: there is no such tenant.
    """
    if scope.id is not None:
        return scope.id
    rows = apps.get_model("claimkit_tenants", "Tenant")._default_manager.using(using)
    found: int | None = rows.filter(key=scope.key).values_list("pk", flat=True).first()
    if found is None:
        raise TenantUnknown("there is no such tenant")
    return found


class _TenantIs(Exact):
    """The predicate that binds a query; the guard looks for this class, not for any ``=``."""

    #: Set by :meth:`_Guarded.bind`; copies of the node share it.
    scope: TenantScope


class _Guarded(sql.Query):
    """What makes a query refuse to compile without its tenant."""

    #: The tenant it is bound to.
    tenant_scope: TenantScope | None = None
    #: Made by :class:`UnscopedManager`: about all tenants, on purpose.
    is_unscoped: bool = False
    #: A sub-query that Django derives for exclude(); tied to rows of the guarded outer query.
    is_correlated: bool = False

    def bind(self, scope: TenantScope) -> None:
        """Restrict the query to the rows of one tenant, for good."""
        field = cast("models.ForeignKey[Any, Any]", self.get_meta().get_field("tenant"))
        column = Col(self.get_initial_alias(), field)
        node = _TenantIs(column, self._tenant_value(scope))
        node.scope = scope
        self.where.add(node, AND)
        self.tenant_scope = scope

    @staticmethod
    def _tenant_value(scope: TenantScope) -> Any:
        if scope.id is not None:
            return scope.id
        rows = apps.get_model("claimkit_tenants", "Tenant")._default_manager
        return rows.filter(key=scope.key).order_by().values("pk")[:1].query

    def require_scope(self) -> None:
        """Check that every row this query can touch is one of its tenant.

        Raises:
            TenantRequired: the query carries no tenant, or no longer guarantees it.
            TenantForbidden: it combines the rows of two tenants.
        """
        if self.is_unscoped or self.is_correlated or self.is_empty():
            return
        if self.combinator:
            # Each part is compiled, and thereby guarded, on its own.
            self._require_one_tenant()
            return
        if self.tenant_scope is None or not _guarantees(self.where, self.tenant_scope):
            raise TenantRequired("a query on rows of a tenant names no tenant")

    def _require_one_tenant(self) -> None:
        kinds = {
            (part.is_unscoped, part.tenant_scope and part.tenant_scope.key)
            for part in self.combined_queries
            if isinstance(part, _Guarded) and not part.is_empty()
        }
        if len(kinds) > 1:
            raise TenantForbidden("rows of two tenants cannot be combined")

    def get_compiler(self, *args: Any, **kwargs: Any) -> Any:
        """Return the compiler; every route from a query to the database asks for it."""
        self.require_scope()
        compiler: Any = super().get_compiler(*args, **kwargs)
        # What runs is told to the connection too (row-level security), and may run in another
        # scope than the one in which it was made.
        compiler.execute_sql = functools.partial(self.run, compiler.execute_sql)
        return compiler

    def run(self, act: Callable[..., _R], *args: Any, **kwargs: Any) -> _R:
        """Call ``act`` where the tenant in scope is the one that the query is bound to."""
        if self.is_unscoped:
            with across_tenants():
                return act(*args, **kwargs)
        if self.tenant_scope is None:
            return act(*args, **kwargs)
        with reenter(self.tenant_scope):
            return act(*args, **kwargs)

    def chain(self, klass: Any = None) -> Any:
        """Return a copy, which stays guarded when it becomes an UPDATE or DELETE."""
        return super().chain(_GUARDED.get(klass, klass))

    def combine(self, rhs: sql.Query, connector: str) -> None:
        """Merge ``rhs`` into this query (``|``, ``&``, ``^`` of querysets).

        Raises:
            TenantForbidden: the two are bound to different tenants.
        """
        if not isinstance(rhs, _Guarded) or self._binding() != rhs._binding():
            raise TenantForbidden("rows of two tenants cannot be combined")
        super().combine(rhs, connector)

    def _binding(self) -> tuple[bool, TenantKey | None]:
        return self.is_unscoped, self.tenant_scope.key if self.tenant_scope else None

    def split_exclude(self, *args: Any, **kwargs: Any) -> Any:
        """Let the sub-query that exclude() makes for to-many relations pass the guard."""
        condition, needed = super().split_exclude(*args, **kwargs)
        for node in _leaves(condition):
            # Django writes "EXISTS (...) = TRUE".
            found = getattr(node, "lhs", node)
            if isinstance(found, Exists) and isinstance(found.query, _Guarded):
                found.query.is_correlated = True
        return condition, needed


class TenantQuery(_Guarded):
    """SELECT on rows of a tenant."""


class _TenantUpdateQuery(_Guarded, sql.UpdateQuery):
    """UPDATE on rows of a tenant."""


class _TenantDeleteQuery(_Guarded, sql.DeleteQuery):
    """DELETE on rows of a tenant."""


#: What ``chain(klass)`` asks for → its guarded form.
_GUARDED: dict[type[sql.Query], type[sql.Query]] = {
    sql.Query: TenantQuery,
    sql.UpdateQuery: _TenantUpdateQuery,
    sql.DeleteQuery: _TenantDeleteQuery,
}


class _UnscopedRawQuery(RawQuery):
    """SQL text about all tenants."""

    def clone(self, using: str) -> Any:
        return type(self)(self.sql, using, params=self.params)

    def _execute_query(self) -> None:
        with across_tenants():
            super()._execute_query()  # type: ignore[misc]


def _leaves(node: Any) -> Iterator[Any]:
    children = getattr(node, "children", None)
    if children is None:
        yield node
        return
    for child in children:
        yield from _leaves(child)


def _guarantees(node: Any, scope: TenantScope) -> bool:
    """Whether every row for which ``node`` holds is one of the tenant."""
    children = getattr(node, "children", None)
    if children is None:
        return isinstance(node, _TenantIs) and node.scope.key == scope.key
    if node.negated:
        return False
    if node.connector == AND:
        return any(_guarantees(child, scope) for child in children)
    # OR, XOR: a row passes only if at least one child holds for it.
    return bool(children) and all(_guarantees(child, scope) for child in children)


class TenantQuerySet(models.QuerySet[_T]):
    """A queryset whose every query and write stays with one tenant."""

    def __init__(
        self,
        model: type[_T] | None = None,
        query: sql.Query | None = None,
        using: str | None = None,
        hints: dict[str, models.Model] | None = None,
    ) -> None:
        super().__init__(model, query if query is not None else TenantQuery(model), using, hints)

    @property
    def _guarded(self) -> _Guarded:
        return cast("_Guarded", self.query)

    def raw(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: SQL text cannot be scoped. ``Model.unscoped.raw()`` says so openly.

        Raises:
            TenantForbidden: unless the queryset is unscoped.
        """
        if not self._guarded.is_unscoped:
            raise TenantForbidden(
                "SQL text cannot be scoped to a tenant",
                remedy="Use Model.unscoped.raw() and name the tenant in the SQL",
            )
        rows: Any = super().raw(*args, **kwargs)
        query = rows.query
        rows.query = _UnscopedRawQuery(query.sql, query.using, params=query.params)
        return rows

    def update(self, **kwargs: Any) -> int:
        """Update the rows of the tenant; none can be given away.

        Raises:
            TenantForbidden: ``tenant`` is among the fields.
        """
        if kwargs.keys() & {"tenant", "tenant_id"}:
            raise TenantForbidden("a row never changes its tenant")
        tenants = self._tenants_shown()
        changed = updating(self, kwargs, functools.partial(super().update, **kwargs))
        self._note_change(tenants)
        return changed

    update.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete the rows, and what cascades from them."""
        tenants = self._tenants_shown()
        # Django deletes what it collected by primary key, with queries that are not ours.
        deleted: tuple[int, dict[str, int]] = self._guarded.run(super().delete)
        self._note_change(tenants)
        return deleted

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> list[_T]:
        """Insert many rows of the tenant in scope; rows without a tenant take it.

        Raises:
            TenantForbidden: a row names another tenant.
        """
        rows = list(objs)
        self._claim_rows(rows)
        made = super().bulk_create(rows, *args, **kwargs)
        tell_made(made, self.db)
        self._note_change({row.tenant_id for row in rows})
        return made

    bulk_create.alters_data = True  # type: ignore[attr-defined]

    def _insert(self, objs: Sequence[_T], *args: Any, **kwargs: Any) -> Any:
        # Every INSERT of the ORM comes through here: save, create, bulk_create, fixtures.
        self._claim_rows(objs)
        return self._guarded.run(super()._insert, objs, *args, **kwargs)  # type: ignore[misc]

    _insert.alters_data = True  # type: ignore[attr-defined]
    _insert.queryset_only = False  # type: ignore[attr-defined]

    def _raw_delete(self, using: str | None) -> int:
        # Django turns a clone into a DeleteQuery here without chain(), past the guard.
        self._guarded.require_scope()
        return self._guarded.run(super()._raw_delete, using)

    _raw_delete.alters_data = True  # type: ignore[attr-defined]

    def _tenants_shown(self) -> set[int]:
        """Return whose readers will notice a change of these rows; no query in a scope that is entered."""
        if not getattr(self.model, "shown_in", "") or self._guarded.is_empty():
            return set()
        if self._guarded.tenant_scope is not None:
            return {find_tenant_id(self._guarded.tenant_scope, self.db)}
        return set(self.order_by().values_list("tenant_id", flat=True).distinct())

    def _note_change(self, tenants: set[int]) -> None:
        room = getattr(self.model, "shown_in", "")
        if room and tenants:
            note_change(tenants, room, self.db)

    def _claim_rows(self, rows: Sequence[Any]) -> None:
        if self._guarded.is_unscoped:
            if any(row.tenant_id is None for row in rows):
                raise TenantRequired("a row names no tenant")
            return
        tenant = find_tenant_id(self._guarded.tenant_scope or current_scope(), self.db)
        for row in rows:
            if row.tenant_id is None:
                row.tenant_id = tenant
            elif row.tenant_id != tenant:
                raise TenantForbidden("a row belongs to another tenant")

    def _prefetch_related_objects(self) -> None:
        # Related managers look at the scope in force, which may be another one by now.
        scope = self._guarded.tenant_scope
        if scope is None:
            super()._prefetch_related_objects()  # type: ignore[misc]
            return
        with reenter(scope):
            super()._prefetch_related_objects()  # type: ignore[misc]


class TenantManager(models.Manager.from_queryset(TenantQuerySet)):  # type: ignore[misc]
    """``Model.objects``: rows of the tenant in scope, or :class:`TenantRequired`."""

    def get_queryset(self) -> TenantQuerySet[Any]:
        """Return a queryset bound to the tenant in scope.

        Raises:
            TenantRequired: no tenant is in scope.
        """
        rows: TenantQuerySet[Any] = super().get_queryset()
        rows._guarded.bind(current_scope())
        return rows

    def none(self) -> TenantQuerySet[Any]:
        """Return an empty queryset; needs no tenant."""
        rows: TenantQuerySet[Any] = super().get_queryset()
        return rows.none()


class UnscopedManager(models.Manager.from_queryset(TenantQuerySet)):  # type: ignore[misc]
    """``Model.unscoped``: rows of all tenants, for code that is about all of them."""

    def get_queryset(self) -> TenantQuerySet[Any]:
        """Return a queryset over every tenant's rows."""
        rows: TenantQuerySet[Any] = super().get_queryset()
        rows._guarded.is_unscoped = True
        return rows
