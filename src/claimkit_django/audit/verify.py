"""Walks the chains of tenants and finds the first link that does not hold."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils import timezone

from claimkit.audit import Break, Head, Link, verify
from claimkit_django.audit.cuts import Cut, last_cut
from claimkit_django.audit.models import AuditEntry, AuditHead, AuditLink
from claimkit_django.audit.record import unlinked
from claimkit_django.conf import config

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ChainReport", "chains", "copy_faults", "verify_chain"]

_BATCH = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """What walking one tenant's chain gave."""

    tenant_id: int
    #: The last link that holds.
    head: Head
    #: The first that does not.
    broken: Break | None = None
    #: Public identifier of the entry of the broken link, where it is there.
    entry: str = ""
    #: Entries that no link holds although there was time enough.
    unlinked: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing was tampered with, as far as the chain can show."""
        return self.broken is None and not self.unlinked


def chains(using: str) -> list[int]:
    """Return the database ids of all tenants that have a trail, deleted ones included."""
    heads = AuditHead.unscoped.using(using).values_list("tenant_id", flat=True)
    links = AuditLink.unscoped.using(using).order_by().values_list("tenant_id", flat=True)
    entries = AuditEntry.unscoped.using(using).order_by().values_list("tenant_id", flat=True)
    return sorted({*heads, *links.distinct(), *entries.distinct()})


def verify_chain(
    tenant_id: int, *, now: dt.datetime, anchor: Head | None = None, using: str
) -> ChainReport:
    """Walk a tenant's chain; two queries for each two thousand links.

    Args:
        tenant_id: Database id of the tenant.
        now: Entries of the last minutes need no link yet.
        anchor: A head that was kept elsewhere; it must be on the chain.
        using: Alias of the database.
    """
    row = AuditHead.unscoped.using(using).filter(tenant_id=tenant_id).first()
    kept = Head(number=row.number, digest=row.digest) if row is not None else Head()
    gone = last_cut(tenant_id, using)
    head, broken = verify(_links(tenant_id, gone, using), kept)
    if broken is None and head != kept:
        # Links that the head does not count were not added by us.
        broken = Break(number=kept.number + 1, reason="not_counted")
    if broken is None and anchor is not None:
        head, broken = verify(_links(tenant_id, gone, using), anchor)
    patience = dt.timedelta(minutes=config().audit.link_minutes)
    late = unlinked(using).filter(tenant_id=tenant_id, at__lt=now - patience)
    return ChainReport(
        tenant_id=tenant_id,
        head=head,
        broken=broken,
        entry=_entry_of(tenant_id, broken, using) if broken else "",
        unlinked=late.count(),
    )


def copy_faults(using: str) -> Iterator[str]:
    """Yield what is wrong with the chains of a restored copy; entries of the last minutes included."""
    now = timezone.now()
    for tenant_id in chains(using):
        report = verify_chain(tenant_id, now=now, using=using)
        if report.broken is not None:
            number, reason = report.broken.number, report.broken.reason
            yield f"link {number} of the audit chain of tenant {tenant_id} is {reason}"


def _links(tenant_id: int, gone: Cut, using: str) -> Iterator[Link]:
    after, rest = 0, gone.entries
    while True:
        mine = AuditLink.unscoped.using(using).filter(tenant_id=tenant_id, number__gt=after)
        rows = list(mine.order_by("number").values_list("number", "digest", "entry_key")[:_BATCH])
        entries = _entries(tenant_id, [key for *_, key in rows], using)
        for number, digest, key in rows:
            entry = entries.get(key)
            # As many as went on purpose; the first of the others is the break.
            is_removed = entry is None and number <= gone.up_to and rest > 0
            rest -= is_removed
            yield Link(number=number, digest=digest, entry=entry, is_removed=is_removed)
        if len(rows) < _BATCH:
            return
        after = rows[-1][0]


def _entries(tenant_id: int, keys: list[int], using: str) -> dict[int, Mapping[str, object]]:
    rows = AuditEntry.unscoped.using(using).filter(tenant_id=tenant_id, pk__in=keys)
    return {row.pk: row.to_entry() for row in rows.order_by()}


def _entry_of(tenant_id: int, broken: Break, using: str) -> str:
    links = AuditLink.unscoped.using(using).filter(tenant_id=tenant_id, number=broken.number)
    keys = list(links.values_list("entry_key", flat=True)[:1])
    entries = AuditEntry.unscoped.using(using).filter(tenant_id=tenant_id, pk__in=keys)
    return entries.values_list("uid", flat=True).first() or ""
