"""The one query of every request: which tenants a person may enter, as what, and in which state.

To put it together and to compile it takes Django three times as long as the database takes to
answer it, and it is the same for everybody but for the person. So it is compiled once; a request
that finds nothing new (a 304) costs little more than this.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db import connections, models, router

from claimkit_django.tenants.changes import rooms_shown, state_columns
from claimkit_django.tenants.models import Membership, Tenant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["memberships_of"]

#: Stands among the parameters of the compiled query where the person's id belongs.
_PERSON: Final = object()


def memberships_of(person: Any) -> Iterator[Membership]:
    """Yield a person's memberships of active tenants, by tenant; one query.

    Each has its ``tenant`` at hand and the states of all rooms that show its rows, for
    :func:`claimkit_django.tenants.changes.states_of`.

    Args:
        person: Primary key of the user.
    """
    using = router.db_for_read(Membership)
    asked = _compiled(using, rooms_shown())
    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute(asked.sql, asked.parameters_for(person, connection))
        rows = cursor.fetchall()
    for row in rows:
        yield asked.member(row, connection, using)


class _Person(models.Expression):
    """The parameter that differs from request to request."""

    conditional = False

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        """Return a placeholder."""
        del compiler, connection
        return "%s", [_PERSON]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compiled:
    sql: str
    parameters: Sequence[Any]
    #: Column → what makes a value of Python of it, where the database has no such type.
    converters: Mapping[int, tuple[Sequence[Any], Any]]
    #: Names of the columns: those of the membership, of its tenant, and the states.
    member_fields: Sequence[str]
    tenant_fields: Sequence[str]
    states: Sequence[str]

    def parameters_for(self, person: Any, connection: BaseDatabaseWrapper) -> list[Any]:
        field = Membership._meta.get_field("user")
        value = field.get_db_prep_value(person, connection)
        return [value if one is _PERSON else one for one in self.parameters]

    def member(self, row: Sequence[Any], connection: BaseDatabaseWrapper, using: str) -> Membership:
        values = list(row)
        for column, (converters, expression) in self.converters.items():
            for convert in converters:
                values[column] = convert(values[column], expression, connection)
        first, last = len(self.member_fields), len(self.member_fields) + len(self.tenant_fields)
        member: Membership = Membership.from_db(using, self.member_fields, values[:first])
        member.tenant = Tenant.from_db(using, self.tenant_fields, values[first:last])
        for name, state in zip(self.states, values[last:], strict=True):
            setattr(member, name, state)
        return member


@functools.cache
def _compiled(using: str, rooms: tuple[str, ...]) -> _Compiled:
    """Return the query for one database, with the states of these rooms."""
    states = state_columns("tenant_id", rooms)
    member_fields = [field.attname for field in Membership._meta.concrete_fields]
    tenant_fields = [field.attname for field in Tenant._meta.concrete_fields]
    user = Membership._meta.get_field("user")
    person = _Person(output_field=user.target_field)
    rows = (
        Membership.objects.using(using)
        .filter(user_id=person, tenant__active=True)
        .annotate(**states)
        .order_by("tenant_id")
        .values_list(*member_fields, *(f"tenant__{name}" for name in tenant_fields), *states)
    )
    compiler = rows.query.get_compiler(using)
    sql, parameters = compiler.as_sql()
    columns = [selected[0] for selected in compiler.select]
    return _Compiled(
        sql=sql,
        parameters=parameters,
        converters=compiler.get_converters(columns),
        member_fields=member_fields,
        tenant_fields=tenant_fields,
        states=list(states),
    )
