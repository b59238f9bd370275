"""Rows of the tenants room, and the abstract row that everything of a tenant descends from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from claimkit.tenants import Role
from claimkit.tenants import Tenant as TenantValue
from claimkit.types import TenantKey
from claimkit_django.tenants.changes import note_change
from claimkit_django.tenants.guards import guard_delete, guard_save, remember_tenant
from claimkit_django.tenants.members import MembershipQuerySet, guard_membership
from claimkit_django.tenants.scope import TenantManager, UnscopedManager
from claimkit_django.tenants.timezones import validate_timezone
from claimkit_django.trail import Audited, AuditedQuerySet, Tracked

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = [
    "DataChange",
    "IdempotencyKey",
    "LegalHold",
    "Membership",
    "RetentionMark",
    "Tenant",
    "TenantModel",
    "narrow_tenant",
]

_KEY = r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?"


class Tenant(Tracked, models.Model):
    """An organization whose claims are kept apart from everyone else's."""

    audited = Audited(
        kind="tenant", shown=("key", "name", "timezone", "active"), target="key", tenant="pk"
    )

    key = models.CharField(
        max_length=63,
        validators=[
            RegexValidator(
                rf"^{_KEY}\Z", _("Use lower-case letters, digits, hyphens, underscores.")
            )
        ],
        help_text=_("Stable public name, such as northside. It never changes."),
    )
    name = models.CharField(max_length=200)
    timezone = models.CharField(max_length=64, default="UTC", validators=[validate_timezone])
    active = models.BooleanField(
        default=True, help_text=_("Nobody works in an inactive tenant; its data stays.")
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    #: The membership that was read along with the row; spares the query that asks for the role.
    known_member: Membership | None = None

    objects = AuditedQuerySet.as_manager()

    class Meta:
        ordering = ["key"]
        constraints = [
            models.UniqueConstraint(fields=["key"], name="tenants_tenant_key"),
            models.CheckConstraint(condition=~models.Q(key=""), name="tenants_tenant_key_given"),
            models.CheckConstraint(condition=~models.Q(name=""), name="tenants_tenant_name_given"),
            models.CheckConstraint(
                condition=~models.Q(timezone=""), name="tenants_tenant_timezone_given"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def to_value(self) -> TenantValue:
        """Return the tenant as the core knows it."""
        return TenantValue(
            key=TenantKey(self.key), name=self.name, timezone=self.timezone, active=self.active
        )


class RoleChoices(models.TextChoices):
    """The roles of :class:`claimkit.tenants.Role`, with labels for people."""

    VIEWER = Role.VIEWER.value, _("Viewer")
    ANALYST = Role.ANALYST.value, _("Analyst")
    ADMIN = Role.ADMIN.value, _("Admin")
    OWNER = Role.OWNER.value, _("Owner")


class Membership(Tracked, models.Model):
    """One person's role in one tenant; a person may belong to several."""

    audited = Audited(kind="membership", shown=("user_id", "role"), target="actor")

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="memberships", db_index=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="claimkit_memberships",
    )
    role = models.CharField(
        max_length=16, choices=RoleChoices.choices, default=RoleChoices.VIEWER.value
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        ordering = ["tenant_id", "user_id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "user"], name="tenants_membership_once"),
            models.CheckConstraint(
                condition=models.Q(role__in=[role.value for role in Role]),
                name="tenants_membership_role",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.get_role_display()})"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, unless that would leave the tenant without an owner.

        Raises:
            LastOwner: this is the tenant's only owner and would stop being one.
        """
        with guard_membership(self):
            super().save(*args, **kwargs)

    @property
    def actor(self) -> str:
        """The key by which rows remember the person."""
        return f"user:{self.user_id}"

    def to_role(self) -> Role:
        """Return the role as the core knows it."""
        return Role(self.role)


def narrow_tenant() -> models.ForeignKey[Tenant, Tenant]:
    """Return the field ``tenant`` of a table that takes rows by the hundred thousand.

    Without Django's constraint, which is checked when the transaction ends and halves an import; a
    :class:`claimkit_django.tenants.keys.TenantForeignKey` is in its place.
    """
    return models.ForeignKey(
        Tenant,
        on_delete=models.DO_NOTHING,
        related_name="+",
        db_index=False,
        db_constraint=False,
        editable=False,
    )


class TenantModel(Tracked, models.Model):
    """A row that belongs to one tenant.

    ``objects`` is bound to the tenant in scope and raises
    :class:`claimkit.errors.TenantRequired` without one; ``unscoped`` sees every tenant and is
    for code that is about all of them. A row never changes its tenant.
    """

    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, related_name="+", db_index=False, editable=False
    )

    #: Room whose answers to readers change with these rows; empty for rows that nobody reads.
    shown_in: ClassVar[str] = ""
    #: Rows about the tenant itself, which do not keep it from being deleted.
    goes_with_tenant: ClassVar[bool] = False
    #: Rows that stay when the tenant is deleted: what was done in it.
    outlives_tenant: ClassVar[bool] = False

    objects = TenantManager()
    unscoped = UnscopedManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"
        default_manager_name = "objects"

    @classmethod
    def from_db(
        cls,
        db: str | None,
        field_names: Collection[str],
        values: Collection[Any],
        **options: Any,
    ) -> Any:
        """Remember whose row was read, so that a save can refuse to give it to someone else."""
        # Django 6.1 added ``fetch_mode``; 5.2 passes nothing.
        return remember_tenant(super().from_db(db, field_names, values, **options))

    def save_base(self, *args: Any, **kwargs: Any) -> None:
        """Write the row, in the scope of its tenant only.

        Raises:
            TenantRequired: no tenant is in scope.
            TenantForbidden: the row belongs, or would belong, to another tenant.
        """
        guard_save(self, kwargs.get("using"))
        super().save_base(*args, **kwargs)
        remember_tenant(self)
        self._note_change()

    save_base.alters_data = True  # type: ignore[attr-defined]

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete the row, in the scope of its tenant only.

        Raises:
            TenantRequired: no tenant is in scope.
            TenantForbidden: the row belongs to another tenant.
        """
        guard_delete(self, kwargs.get("using"))
        self._note_change()
        return super().delete(*args, **kwargs)

    delete.alters_data = True  # type: ignore[attr-defined]

    def _note_change(self) -> None:
        if self.shown_in and self._state.db:
            note_change([self.tenant_id], self.shown_in, self._state.db)


class DataChange(models.Model):
    """Changes of what a room shows of a tenant; see :mod:`claimkit_django.tenants.changes`."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="+", db_index=False, editable=False
    )
    room = models.CharField(max_length=32)
    changes = models.BigIntegerField(default=1)

    class Meta:
        indexes = [models.Index(fields=["tenant", "room"], name="tenants_change_room")]

    def __str__(self) -> str:
        return f"{self.room}: {self.changes}"


class IdempotencyKey(TenantModel):
    """The answer to a request that may be repeated; :mod:`claimkit_django.tenants.idempotency`."""

    goes_with_tenant: ClassVar[bool] = True

    #: Of person, method, address and key.
    digest = models.CharField(max_length=64)
    #: Of query and body.
    fingerprint = models.CharField(max_length=64)
    status = models.SmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        abstract = False
        indexes = [models.Index(fields=["tenant", "created_at"], name="tenants_idempotency_age")]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "digest"], name="tenants_idempotency_once"),
            models.CheckConstraint(
                condition=models.Q(status__gte=200, status__lt=400),
                name="tenants_idempotency_status",
            ),
        ]

    def __str__(self) -> str:
        return self.digest


class LegalHold(TenantModel):
    """Why nothing of a tenant may be removed: neither retention nor erasure touches it."""

    goes_with_tenant: ClassVar[bool] = True
    #: Reasons are free text and may name people.
    audited = Audited(kind="legal_hold", shown=("placed_by", "released_by"), target="pk")

    reason = models.CharField(max_length=500)
    placed_by = models.CharField(max_length=150)
    placed_at = models.DateTimeField(auto_now_add=True)
    released_by = models.CharField(max_length=150, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["placed_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant"],
                condition=models.Q(released_at__isnull=True),
                name="tenants_hold_once",
            ),
            models.CheckConstraint(
                condition=~models.Q(reason="") & ~models.Q(placed_by=""),
                name="tenants_hold_given",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.placed_at:%Y-%m-%d}"


class RetentionMark(TenantModel):
    """Until when a class of a tenant's data was removed, and how much of it."""

    goes_with_tenant: ClassVar[bool] = True

    #: Name of the class, such as ``claims``.
    name = models.CharField(max_length=64)
    #: What is older than this instant is gone.
    until = models.DateTimeField()
    rows = models.BigIntegerField(default=0)

    class Meta(TenantModel.Meta):
        abstract = False
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="tenants_mark_once"),
            models.CheckConstraint(condition=models.Q(rows__gte=0), name="tenants_mark_rows"),
        ]

    def __str__(self) -> str:
        return self.name
