"""Which tenants a person may enter, and which one a request is about."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.core.cache import cache
from django.db import DEFAULT_DB_ALIAS

from claimkit.tenants import Tenant as TenantValue
from claimkit.tenants import TenantHint
from claimkit.types import TenantKey
from claimkit_django import runtime
from claimkit_django.conf import config
from claimkit_django.http.networks import client_address
from claimkit_django.tenants.models import Tenant
from claimkit_django.tenants.permits import memberships_of
from claimkit_django.trail import SYSTEM, Actor, record

if TYPE_CHECKING:
    from django.http import HttpRequest

__all__ = [
    "SESSION_KEY",
    "OrmTenantDirectory",
    "actor_of",
    "choose_tenant",
    "describe_actor",
    "permitted_tenants",
    "resolve",
]

logger = logging.getLogger(__name__)

#: Requests of one superuser in one tenant within this time are one entry.
_ENTRY_SECONDS = 900
#: Where the admin keeps the tenant that a person chose.
SESSION_KEY = "claimkit_tenant"


class OrmTenantDirectory:
    """:class:`claimkit.tenants.TenantDirectory` over the table of tenants."""

    def find(self, key: TenantKey) -> TenantValue | None:
        """Return the tenant called ``key``, or None."""
        row = Tenant.objects.filter(key=key).first()
        return row.to_value() if row else None


def permitted_tenants(user: Any) -> dict[TenantKey, Tenant]:
    """Return the active tenants that a person is a member of, by key; one query."""
    if not user.is_authenticated or not user.is_active:
        return {}
    permitted: dict[TenantKey, Tenant] = {}
    # What the API needs to know next comes along: the role, and the state of the data.
    for member in memberships_of(user.pk):
        member.tenant.known_member = member
        permitted[TenantKey(member.tenant.key)] = member.tenant
    return permitted


def resolve(user: Any, *, wanted: str) -> Tenant | None:
    """Return the tenant that plugins choose among those the person may enter, or None.

    A superuser may name any active tenant, and each such entry is logged.
    """
    permitted = permitted_tenants(user)
    if wanted and wanted not in permitted and getattr(user, "is_superuser", False):
        outside = Tenant.objects.filter(key=wanted, active=True).first() if user.is_active else None
        if outside is not None:
            permitted = {TenantKey(outside.key): outside}
            logger.warning(
                "superuser enters a tenant without membership",
                extra={"actor": actor_of(user), "tenant": outside.key},
            )
            _tell_of_entry(user, outside)
    if not permitted:
        return None
    hint = TenantHint(actor=actor_of(user), permitted=tuple(sorted(permitted)), wanted=wanted)
    chosen = runtime.plugins().resolve_tenant(hint)
    return permitted[chosen] if chosen is not None else None


def actor_of(user: Any) -> str:
    """Return the stable key by which rows remember a person; empty for nobody."""
    return f"user:{user.pk}" if user.is_authenticated else ""


def describe_actor(request: HttpRequest, user: Any, *, via: str) -> Actor:
    """Return who acts in a request, for the trail.

    Args:
        request: Where they come from.
        user: Whom the request signed in.
        via: With what: ``session``, ``token tok_…``.
    """
    rest = config().rest
    address = client_address(
        request, trusted_proxies=rest.trusted_proxies, header=rest.forwarded_header
    )
    if not user.is_authenticated:
        return Actor(key=SYSTEM.key, address=address)
    return Actor(key=actor_of(user), via=via, address=address)


def _tell_of_entry(user: Any, tenant: Tenant) -> None:
    """Tell the trail that somebody who does not belong there enters; once in a while for each."""
    using = tenant._state.db or DEFAULT_DB_ALIAS
    if cache.add(f"claimkit.entered.{tenant.pk}.{user.pk}", 1, timeout=_ENTRY_SECONDS):
        record(
            "tenant.entered_by_superuser",
            tenant_id=tenant.pk,
            target=tenant.key,
            changes={"actor": (None, actor_of(user))},
            using=using,
        )


def choose_tenant(request: HttpRequest) -> Tenant | None:
    """Return the tenant of a request: named by header, else chosen in the session, else the only one."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return None
    session = getattr(request, "session", {})
    wanted = request.headers.get(config().tenants.header, "") or session.get(SESSION_KEY, "")
    return resolve(user, wanted=wanted)
