"""Where the chains of tenants begin now: entries that are old enough go by month, their links stay.

A link is a number and two digests, so it is kept for ever. Before the entries of a month go, one
entry per tenant says so, :data:`CUT`, and becomes part of the chain: how many links have lost their
entries on purpose so far, and up to which one. More of them missing, or one beyond, is tampering.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db import connections

from claimkit.errors import StoreError
from claimkit_django import trail
from claimkit_django.audit.models import AuditEntry, AuditLink

if TYPE_CHECKING:
    import datetime as dt

__all__ = ["CUT", "Cut", "cut_chains", "last_cut"]

#: Action of the entry that says what went.
CUT: Final = "audit.cut"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What of a tenant's chain went on purpose, in all."""

    #: Links without their entries.
    entries: int = 0
    #: The last of them.
    up_to: int = 0


def last_cut(tenant_id: int, using: str) -> Cut:
    """Return what of a tenant's chain went on purpose so far; one query."""
    cuts = AuditEntry.unscoped.using(using).filter(tenant_id=tenant_id, action=CUT)
    told = cuts.order_by("-at", "-id").values_list("changes", flat=True).first()
    if told is None:
        return Cut()
    return Cut(entries=int(told["entries"]["new"]), up_to=int(told["up_to"]["new"]))


def cut_chains(table: str, before: dt.datetime, using: str) -> None:
    """Tell in each tenant's chain that the entries in ``table`` go; a fixed number of queries.

    Args:
        table: A partition of the entries.
        before: All of them are older.
        using: Alias of the database.

    Raises:
        StoreError: some of them are not in the chain yet.
    """
    connection = connections[using]
    links = connection.ops.quote_name(AuditLink._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT entry.tenant_id, count(link.number), count(*), max(link.number)"
            f" FROM {connection.ops.quote_name(table)} AS entry LEFT JOIN {links} AS link"
            " ON link.tenant_id = entry.tenant_id AND link.entry_key = entry.id"
            " GROUP BY entry.tenant_id ORDER BY entry.tenant_id"
        )
        rows = cursor.fetchall()
    loose = [tenant_id for tenant_id, linked, entries, _ in rows if linked < entries]
    if loose:
        raise StoreError(
            f"entries of {table} are in no chain yet",
            remedy="Run manage.py claimkit_audit_verify --link first",
        )
    for tenant_id, linked, _, up_to in rows:
        gone = last_cut(tenant_id, using)
        trail.record(
            CUT,
            tenant_id=tenant_id,
            changes={
                "before": (None, before.isoformat()),
                "entries": (gone.entries, gone.entries + linked),
                "up_to": (gone.up_to, max(gone.up_to, up_to)),
            },
            using=using,
        )
