"""The people of the demo: one of every role in each hospital, one in both, one who runs the site.

They share one password, made once per demo folder and printed: it protects nothing but synthetic
claims, and it is still none that anybody could know beforehand. Where ``DEBUG`` is off it opens
nothing (:mod:`example.posture`).
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import DEFAULT_DB_ALIAS

from claimkit.tenants import Role
from claimkit_django.alerts.channels import sealed
from claimkit_django.alerts.models import Channel, Route
from claimkit_django.tenants.models import Membership, Tenant
from claimkit_django.tenants.scope import enter
from claimkit_django.webhooks.endpoints import add_endpoint
from claimkit_django.webhooks.models import Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.contrib.auth.models import User

#: Belongs to every hospital, and chooses one on the site.
GROUP_ANALYST = "group-analyst"
#: Superuser: the admin, and every hospital.
SITE_ADMIN = "site-admin"


def password() -> str:
    """Return the demo's password, made at first use."""
    path = settings.DEMO_DIR / "demo-password"
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return str(path.read_text(encoding="ascii"))
    with os.fdopen(file, "w", encoding="ascii") as made:
        made.write(f"demo-{secrets.token_hex(5)}")
    return str(path.read_text(encoding="ascii"))


def make_tenant(*, key: str, name: str, timezone: str) -> Tenant:
    """Make a hospital and its people, or leave them as they are."""
    tenant, _ = Tenant.objects.get_or_create(key=key, defaults={"name": name, "timezone": timezone})
    # The owner first: a tenant is never without one.
    for role in reversed(Role):
        _join(tenant, _user(f"{key}-{role.value}"), role)
    _join(tenant, _user(GROUP_ANALYST), Role.ANALYST)
    _user(SITE_ADMIN, staff=True)
    return tenant


def tell_by_mail(tenant: Tenant) -> None:
    """Send the tenant's alerts to its revenue team, or leave who is told as it is."""
    with enter(tenant):
        if Route.objects.exists():
            return
        team = Channel.objects.create(
            name="Revenue team",
            kind="email",
            sealed_settings=sealed({"to": [f"revenue@{tenant.key}.example"]}),
        )
        Route.objects.create(
            name="Everything that was found",
            channels=[team.uid],
            repeat_hours=7 * 24,
        )


def tell_by_webhook(tenant: Tenant, *, port: int) -> None:
    """Send the tenant's events to the partner's program on this machine, or leave it as it is.

    The partner gets the key of the endpoint in a file, as it would by a letter.
    """
    with enter(tenant):
        if Endpoint.objects.exists():
            return
        _, key = add_endpoint(
            url=f"http://127.0.0.1:{port}/{tenant.key}",
            description="Data warehouse of a partner",
            event_types=["claims.imported", "drift.detected", "alerts.opened", "reports.ready"],
            using=DEFAULT_DB_ALIAS,
        )
    path = settings.PARTNER_DIR / f"{tenant.key}.key"
    path.parent.mkdir(exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(key, encoding="ascii")


def who_is_who() -> Mapping[str, str]:
    """Return user name → what the user may do, for printing."""
    rows = Membership.objects.select_related("tenant", "user").order_by("tenant__name", "pk")
    told: dict[str, list[str]] = {}
    for row in rows:
        told.setdefault(row.user.get_username(), []).append(f"{row.role} of {row.tenant.name}")
    return {name: ", ".join(roles) for name, roles in told.items()} | {
        SITE_ADMIN: "superuser, with the admin at /admin/"
    }


def _user(name: str, *, staff: bool = False) -> User:
    user: User | None = get_user_model().objects.filter(username=name).first()
    if user is None:
        user = get_user_model().objects.create_user(
            name,
            email=f"{name}@lakeshore.example",
            password=password(),
            is_staff=staff,
            is_superuser=staff,
        )
    return user


def _join(tenant: Tenant, user: User, role: Role) -> None:
    Membership.objects.get_or_create(tenant=tenant, user=user, defaults={"role": role.value})
