"""Who may give which role to whom, and why the last owner stays."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import router, transaction
from django.db.models.signals import post_delete, pre_delete

from claimkit.errors import ClaimkitError, TenantForbidden
from claimkit.tenants import Role
from claimkit_django.trail import AuditedQuerySet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.contrib.auth.models import AbstractBaseUser

    from claimkit_django.tenants.models import Membership, Tenant

__all__ = [
    "LastOwner",
    "MembershipQuerySet",
    "TenantInUse",
    "connect_guards",
    "grant",
    "guard_membership",
    "remove",
    "role_of",
]


class LastOwner(ClaimkitError, ValueError):
    """A tenant's only owner would be removed or demoted."""

    code = "last_owner"
    remedy = "Make someone else an owner first"


class TenantInUse(ClaimkitError, ValueError):
    """A tenant that still has rows would be deleted."""

    code = "tenant_in_use"
    remedy = "Set active to false; deleting would orphan the tenant's data"


class MembershipQuerySet(AuditedQuerySet["Membership"]):
    """Memberships; roles change one by one, so that the last owner is seen."""

    def update(self, **kwargs: Any) -> int:
        """Update, except what decides who owns a tenant.

        Raises:
            TenantForbidden: ``role``, ``tenant`` or ``user`` is among the fields.
        """
        if kwargs.keys() & {"role", "tenant", "tenant_id", "user", "user_id"}:
            raise TenantForbidden(
                "memberships do not change in bulk", remedy="Save them one by one, or use grant()"
            )
        return super().update(**kwargs)

    update.alters_data = True  # type: ignore[attr-defined]


@contextmanager
def guard_membership(member: Membership) -> Iterator[None]:
    """Hold the tenant's row while a membership is saved; refuse to lose the last owner.

    Raises:
        LastOwner: nobody would own the tenant afterwards.
    """
    model = type(member)
    using = member._state.db or router.db_for_write(model)
    with transaction.atomic(using=using):
        if not member._state.adding:
            owned = model._default_manager.using(using).filter(pk=member.pk, role=Role.OWNER.value)
            tenant_id = owned.values_list("tenant_id", flat=True).first()
            if tenant_id is not None and (member.role, member.tenant_id) != (Role.OWNER, tenant_id):
                _require_another_owner(member, tenant_id, using)
        yield


def _require_another_owner(member: Membership, tenant_id: int, using: str) -> None:
    # Two owners who leave at the same time must not both see the other one.
    tenants = apps.get_model("claimkit_tenants", "Tenant")._default_manager.using(using)
    list(tenants.select_for_update().filter(pk=tenant_id))
    owners = type(member)._default_manager.using(using).filter(role=Role.OWNER.value)
    if not owners.filter(tenant_id=tenant_id).exclude(pk=member.pk).exists():
        raise LastOwner("a tenant needs an owner")


def role_of(user: AbstractBaseUser | Any, tenant: Tenant) -> Role | None:
    """Return the user's role in the tenant, or None; superusers count as owners everywhere."""
    if not user.is_authenticated or not user.is_active:
        return None
    if getattr(user, "is_superuser", False):
        return Role.OWNER
    member = tenant.known_member
    if member is None or member.user_id != user.pk:
        member = tenant.memberships.filter(user_id=user.pk).first()
    return member.to_role() if member else None


def grant(*, tenant: Tenant, user: Any, role: Role, by: Role) -> Membership:
    """Make ``user`` a member with ``role``, on behalf of someone with role ``by``.

    Raises:
        TenantForbidden: ``by`` is below admin, below ``role``, or below the member's present role.
        LastOwner: the user is the only owner and would stop being one.
    """
    with transaction.atomic(using=tenant._state.db):
        member = tenant.memberships.select_for_update().filter(user_id=user.pk).first()
        if member is None:
            _require_authority(by, role)
            return tenant.memberships.create(user=user, role=role.value)
        _require_authority(by, role, member.to_role())
        member.role = role.value
        member.save(update_fields=["role"])
        return member


def remove(*, member: Membership, by: Role) -> None:
    """Remove a member, on behalf of someone with role ``by``.

    Raises:
        TenantForbidden: ``by`` is below admin or below the member's role.
        LastOwner: the member is the only owner.
    """
    _require_authority(by, member.to_role())
    member.delete()


def _require_authority(by: Role, *roles: Role) -> None:
    if not by.includes(Role.ADMIN) or not all(by.includes(role) for role in roles):
        raise TenantForbidden("nobody grants or removes a role above their own")


def connect_guards() -> None:
    """Watch deletions on every route, also of querysets and by cascade."""
    post_delete.connect(
        _keep_last_owner, sender="claimkit_tenants.Membership", dispatch_uid="claimkit_last_owner"
    )
    pre_delete.connect(
        _keep_tenant_in_use, sender="claimkit_tenants.Tenant", dispatch_uid="claimkit_in_use"
    )


def _keep_last_owner(instance: Membership, using: str, origin: Any = None, **_kwargs: Any) -> None:
    tenant_model = apps.get_model("claimkit_tenants", "Tenant")
    whole_tenant = getattr(origin, "model", type(origin)) is tenant_model
    # Told after the rows are gone and before the commit: raising brings all of them back.
    if instance.role == Role.OWNER and not whole_tenant:
        _require_another_owner(instance, instance.tenant_id, using)


def _keep_tenant_in_use(instance: Tenant, using: str, **_kwargs: Any) -> None:
    own = []
    for model in apps.get_models():
        unscoped = getattr(model, "unscoped", None)
        if unscoped is None:
            continue
        if getattr(model, "outlives_tenant", False):
            continue
        rows = unscoped.using(using).filter(tenant_id=instance.pk)
        if getattr(model, "goes_with_tenant", False):
            own.append(rows)
        elif rows.exists():
            raise TenantInUse("this tenant still has data")
    for rows in own:
        rows.delete()
