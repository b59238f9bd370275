"""Keeps what the trail tells: the entry with the deed, its link in the chain once that is committed.

:func:`keep` writes entries in the transaction of the deed, and locks nothing, so nobody waits for
anybody. :func:`link_entries` runs right after the commit, in a short transaction of its own that
holds the tenant's head, so chains do not fork. A process that dies between the two leaves an
entry that :func:`link_rest` finds.
"""

from __future__ import annotations

import functools
import logging
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from django.db import connections, models, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from claimkit.audit import BEGINNING, Head, make_link
from claimkit_django.audit.models import AuditEntry, AuditHead, AuditLink
from claimkit_django.conf import config
from claimkit_django.http.request_ids import current_request_id
from claimkit_django.trail import current_actor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

    from claimkit_django.trail import Deed

__all__ = ["keep", "link_entries", "link_rest", "unlinked"]

logger = logging.getLogger(__name__)

#: Entries that one transaction links.
_BATCH = 1_000


def keep(*, deeds: Sequence[Deed], using: str, **_kwargs: Any) -> None:
    """Write deeds down, in the caller's transaction, and link them once that is committed."""
    if not config().audit.reads:
        deeds = [one for one in deeds if not one.is_read]
    actor, now = current_actor(), timezone.now()
    entries = AuditEntry.unscoped.using(using).bulk_create(
        [
            AuditEntry(
                tenant_id=deed.tenant_id,
                at=now,
                actor=actor.key[:150],
                via=actor.via[:64],
                network=_network(actor.address),
                request_id=current_request_id()[:64],
                action=deed.action,
                target=deed.target[:150],
                changes={
                    name: {"old": old, "new": new} for name, (old, new) in deed.changes.items()
                },
            )
            for deed in deeds
        ]
    )
    keys: dict[int, list[int]] = {}
    for one in entries:
        keys.setdefault(one.tenant_id, []).append(one.pk)
    for tenant_id, mine in keys.items():
        transaction.on_commit(functools.partial(_link_now, tenant_id, mine, using), using=using)


def link_entries(tenant_id: int, keys: Sequence[int], *, using: str) -> int:
    """Add entries of a tenant to its chain, in the order they were made; return how many were new.

    Five statements for up to a thousand; others who link in this tenant wait, nobody else.

    Args:
        tenant_id: Database id of the tenant.
        keys: Database ids of its entries; those that the chain holds already are left alone.
        using: Alias of the database.
    """
    with transaction.atomic(using=using):
        row = _locked_head(tenant_id, using)
        entries = unlinked(using).filter(tenant_id=tenant_id, pk__in=keys).order_by("pk")
        head = Head(number=row.number, digest=row.digest)
        links: list[AuditLink] = []
        for entry in entries:
            link = make_link(head, entry.to_entry())
            head = Head(number=link.number, digest=link.digest)
            links.append(
                AuditLink(
                    tenant_id=tenant_id,
                    number=link.number,
                    entry_key=entry.pk,
                    digest=link.digest,
                )
            )
        if links:
            AuditLink.unscoped.using(using).bulk_create(links)
            AuditHead.unscoped.using(using).filter(pk=row.pk).update(
                number=head.number, digest=head.digest
            )
    return len(links)


def link_rest(tenant_id: int, *, using: str) -> int:
    """Add what died between commit and link to the chain; return how many entries that were."""
    count = 0
    while True:
        rest = unlinked(using).filter(tenant_id=tenant_id).order_by("pk")
        keys = list(rest.values_list("pk", flat=True)[:_BATCH])
        if not keys:
            return count
        count += link_entries(tenant_id, keys, using=using)


def unlinked(using: str) -> QuerySet[AuditEntry]:
    """Return the entries of all tenants that no link holds."""
    links = AuditLink.unscoped.using(using).filter(
        tenant_id=OuterRef("tenant_id"), entry_key=OuterRef("pk")
    )
    found: QuerySet[AuditEntry] = AuditEntry.unscoped.using(using).filter(~Exists(links))
    return found


def _link_now(tenant_id: int, keys: Sequence[int], using: str) -> None:
    try:
        for at in range(0, len(keys), _BATCH):
            link_entries(tenant_id, keys[at : at + _BATCH], using=using)
    except Exception:
        # Isolation point: what was done is committed, and the entry with it; the command
        # claimkit_audit_verify --link finds it.
        logger.exception("entries of the audit trail are not linked yet")


def _locked_head(tenant_id: int, using: str) -> AuditHead:
    """Return the tenant's head, which nobody else changes until the transaction ends."""
    heads = AuditHead.unscoped.using(using)
    # A write first: SQLite then waits for its turn here and does not fail later.
    heads.bulk_create([AuditHead(tenant_id=tenant_id, digest=BEGINNING)], ignore_conflicts=True)
    mine = heads.filter(tenant_id=tenant_id)
    if connections[using].features.has_select_for_update:
        mine = mine.select_for_update(no_key=True)
    else:
        mine.update(number=models.F("number"))
    head: AuditHead = mine.get()
    return head


def _network(address: str) -> str:
    if not address:
        return ""
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    room = config().audit
    bits = room.ipv4_bits if parsed.version == 4 else room.ipv6_bits
    return str(ip_network((parsed.packed, bits), strict=False)) if bits else ""
