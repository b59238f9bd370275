"""Turns: writers of one tenant go one after the other.

The turn is a lock on the tenant's own row, which PostgreSQL holds until the transaction ends
and which other tenants' writers and foreign keys to the row do not feel (``FOR NO KEY UPDATE``).
It also reads the row's id, and cannot collide as hashed advisory locks can. SQLite has one
writer at a time; there, a write as first statement waits for its turn instead of failing later.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import connections, models

from claimkit.errors import TenantUnknown
from claimkit_django.tenants.models import Tenant
from claimkit_django.tenants.scope import TenantScope, enter, reenter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from claimkit.types import TenantKey

__all__ = ["find_tenant", "having_turn", "reading", "take_turn"]


def take_turn(key: TenantKey, using: str) -> Tenant:
    """Wait for the tenant's turn, hold it until the transaction ends, and return the row.

    Raises:
        TenantUnknown: there is no such tenant, or it is not active.
    """
    rows = Tenant.objects.using(using).filter(key=key)
    if connections[using].features.has_select_for_update:
        rows = rows.select_for_update(no_key=True)
    else:
        rows.update(key=models.F("key"))
    tenant = rows.first()
    if tenant is None:
        raise TenantUnknown("there is no such tenant")
    if not tenant.active:
        raise TenantUnknown("this tenant is not active")
    return tenant


def find_tenant(key: TenantKey, using: str) -> Tenant:
    """Return the tenant's row, active or not.

    Raises:
        TenantUnknown: there is no such tenant.
    """
    tenant = Tenant.objects.using(using).filter(key=key).first()
    if tenant is None:
        raise TenantUnknown("there is no such tenant")
    return tenant


@contextmanager
def having_turn(key: TenantKey, using: str) -> Iterator[int]:
    """Wait for the tenant's turn and enter its scope; yields its id. The turn outlasts the block.

    Raises:
        TenantUnknown: there is no such tenant, or it is not active.
    """
    tenant = take_turn(key, using)
    with enter(tenant):
        yield tenant.pk


@contextmanager
def reading(key: TenantKey, using: str) -> Iterator[int]:
    """Enter the scope of a tenant, active or not, for SQL of a store; yields its id.

    Raises:
        TenantUnknown: there is no such tenant.
    """
    tenant = find_tenant(key, using)
    with reenter(TenantScope(key, tenant.pk)):
        yield tenant.pk
