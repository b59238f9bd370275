"""Tables that are cut by month: the months ahead are made, and somebody is told where they are not.

Who cuts a table does so by ``migrations_kit.PartitionByMonth``; old months go by retention.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core import checks
from django.db import connections, router
from django.utils import timezone

from claimkit.errors import ClaimkitError
from claimkit_django.migrations_kit.partitions import MONTHS_AHEAD, add_months, months_of
from claimkit_django.ops.retention import policies

if TYPE_CHECKING:
    from claimkit_django.migrations_kit.partitions import Month

__all__ = ["add_all_months", "check_months", "partitioned_tables"]


def partitioned_tables(using: str) -> list[str]:
    """Return the tables of installed models that are cut into partitions; one query."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return []
    tables = {
        model._meta.db_table
        for model in apps.get_models(include_auto_created=True)
        if router.allow_migrate_model(using, model)
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'p' AND relname = ANY(%s)"
            " AND pg_table_is_visible(oid) ORDER BY relname",
            [sorted(tables)],
        )
        return [name for (name,) in cursor.fetchall()]


def add_all_months(using: str, *, ahead: int = MONTHS_AHEAD) -> list[Month]:
    """Make the months ahead of every table that is cut by month; return those that were made.

    Args:
        using: Alias of the database, as a role that owns the tables.
        ahead: Months after the running one.
    """
    return [
        month
        for table in partitioned_tables(using)
        for month in add_months(table, ahead=ahead, using=using)
    ]


def check_months(databases: Any = None, **_kwargs: Any) -> list[checks.CheckMessage]:
    """Return W009 where the next month has no partition, W010 where nothing will ever go."""
    found: list[checks.CheckMessage] = []
    for alias in databases or ():
        if connections[alias].vendor != "postgresql":
            continue
        cut = partitioned_tables(alias)
        found += [message for table in cut if (message := _next_month(table, alias)) is not None]
        found += _never_going(cut, alias)
    return found


def _next_month(table: str, alias: str) -> checks.CheckMessage | None:
    today = timezone.now().astimezone(dt.UTC).date()
    after_next = (today.replace(day=1) + dt.timedelta(days=63)).replace(day=1)
    edges = [one.until for one in months_of(table, alias) if one.until is not None]
    if edges and max(edges) >= after_next:
        return None
    return checks.Warning(
        f"{table} in the database {alias!r} has no partition for the next month; its rows will be"
        " kept with those that have none.",
        hint="As owner of the tables, run: manage.py claimkit_partitions, best every night.",
        id="claimkit_ops.W009",
    )


def _never_going(cut: list[str], alias: str) -> list[checks.CheckMessage]:
    try:
        asked = [one for one in policies() if one.days and one.kept.only_by_month]
    except ClaimkitError:
        return []  # The command says so.
    there = connections[alias].introspection.table_names() if asked else []
    return [
        checks.Warning(
            f"{one.kept.name} is to be kept for {one.days:,} days, but goes by whole months only,"
            " and its table is not cut by month.",
            hint="See the operation PartitionByMonth of claimkit_django.migrations_kit.",
            id="claimkit_ops.W010",
        )
        for one in asked
        if one.kept.model._meta.db_table in set(there) - set(cut)
    ]
