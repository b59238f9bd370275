"""Rows of the audit room: what was done, and the chain that holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.db.models import Q

from claimkit_django.tenants.models import TenantModel, narrow_tenant
from claimkit_django.uids import new_audit_uid

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AuditEntry", "AuditHead", "AuditLink"]


class AuditEntry(TenantModel):
    """One thing that somebody did; never changed, never deleted."""

    outlives_tenant: ClassVar[bool] = True
    #: Without a constraint: what was done in a tenant outlives it.
    tenant = narrow_tenant()

    uid = models.CharField(max_length=32, default=new_audit_uid, editable=False)
    at = models.DateTimeField()
    #: ``user:7``, or ``system``.
    actor = models.CharField(max_length=150)
    #: What they signed in with.
    via = models.CharField(max_length=64, blank=True)
    #: Network that they came from, as much of the address as the settings keep.
    network = models.CharField(max_length=64, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    #: A noun, a dot and a verb in the past, such as ``api_token.made``.
    action = models.CharField(max_length=64)
    #: Public identifier of what it was done to.
    target = models.CharField(max_length=150, blank=True)
    #: Field → ``{"old": …, "new": …}``.
    changes = models.JSONField(default=dict, blank=True)

    class Meta(TenantModel.Meta):
        abstract = False
        verbose_name_plural = "audit entries"
        ordering = ["-at", "-id"]
        indexes = [
            models.Index(fields=["tenant", "-at", "-id"], name="audit_entry_recent"),
            models.Index(fields=["tenant", "action", "-at", "-id"], name="audit_entry_action"),
            models.Index(fields=["tenant", "target", "-at", "-id"], name="audit_entry_target"),
            models.Index(fields=["tenant", "actor", "-at", "-id"], name="audit_entry_actor"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="audit_entry_uid"),
            models.CheckConstraint(
                condition=~Q(actor="") & ~Q(action=""), name="audit_entry_given"
            ),
        ]

    def __str__(self) -> str:
        return self.uid

    def to_entry(self) -> Mapping[str, Any]:
        """Return what the chain holds of it: all of it."""
        return {
            "tenant": self.tenant_id,
            "uid": self.uid,
            "at": self.at,
            "actor": self.actor,
            "via": self.via,
            "network": self.network,
            "request_id": self.request_id,
            "action": self.action,
            "target": self.target,
            "changes": self.changes,
        }


class AuditLink(TenantModel):
    """An entry's place in its tenant's chain; never changed, never deleted."""

    outlives_tenant: ClassVar[bool] = True
    tenant = narrow_tenant()

    #: From 1, without gaps.
    number = models.BigIntegerField()
    #: Database id of the entry.
    entry_key = models.BigIntegerField()
    digest = models.CharField(max_length=64)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["number"]
        constraints = [
            # Two links after the same one would be a fork.
            models.UniqueConstraint(fields=["tenant", "number"], name="audit_link_number"),
            models.UniqueConstraint(fields=["tenant", "entry_key"], name="audit_link_entry"),
            models.CheckConstraint(condition=Q(number__gte=1), name="audit_link_from_one"),
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.digest}"


class AuditHead(TenantModel):
    """The end of a tenant's chain: whoever adds a link holds this row, and it counts them."""

    outlives_tenant: ClassVar[bool] = True
    tenant = narrow_tenant()

    number = models.BigIntegerField(default=0)
    digest = models.CharField(max_length=64)

    class Meta(TenantModel.Meta):
        abstract = False
        constraints = [models.UniqueConstraint(fields=["tenant"], name="audit_head_once")]

    def __str__(self) -> str:
        return f"{self.number}: {self.digest}"
