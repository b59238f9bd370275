"""Rows of the accounts room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from claimkit_django.tenants.models import Tenant
from claimkit_django.trail import Audited, AuditedQuerySet, Tracked
from claimkit_django.uids import new_token_uid

if TYPE_CHECKING:
    import datetime as dt

__all__ = ["ApiToken"]

_READS = frozenset({"GET", "HEAD", "OPTIONS"})


class ApiToken(Tracked, models.Model):
    """A secret by which a program acts as one person in one tenant; only its digest is kept.

    What it may do is what the person may do now, within its scope.
    """

    audited = Audited(
        kind="api_token",
        shown=("user_id", "prefix", "scope", "personal", "expires_at", "revoked_at"),
    )

    class Scope(models.TextChoices):
        """What a token may do at most."""

        READ = "read", _("Read")
        WRITE = "write", _("Read and write")

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="+", db_index=False, editable=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="claimkit_tokens"
    )
    uid = models.CharField(max_length=32, default=new_token_uid, editable=False)
    #: For its owner: what uses it.
    name = models.CharField(max_length=100)
    #: How it begins, so that its owner recognizes it.
    prefix = models.CharField(max_length=16)
    #: SHA-256 of the whole.
    digest = models.CharField(max_length=64)
    scope = models.CharField(max_length=16, choices=Scope.choices, default=Scope.READ)
    #: Whether it may also take what singles out a patient: see :attr:`allows_personal`.
    personal = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    #: To the minute or so: noting each request would make every read a write.
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = AuditedQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(
                fields=["tenant", "user", "-created_at", "-id"], name="accounts_token_recent"
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["digest"], name="accounts_token_digest"),
            models.UniqueConstraint(fields=["tenant", "uid"], name="accounts_token_uid"),
            models.CheckConstraint(
                condition=Q(scope__in=["read", "write"]), name="accounts_token_scope"
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("created_at")), name="accounts_token_life"
            ),
            models.CheckConstraint(
                condition=~Q(name="") & ~Q(digest=""), name="accounts_token_given"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}…"

    def is_live(self, now: dt.datetime) -> bool:
        """Whether it may still be used."""
        return self.revoked_at is None and now < self.expires_at

    def allows(self, method: str) -> bool:
        """Whether its scope includes the method; the API asks this of whatever signed in."""
        return method in _READS or self.scope == self.Scope.WRITE

    @property
    def allows_personal(self) -> bool:
        """Whether its scope includes downloads of what singles out a patient, as ``allows`` does.

        Numbers of claims and authorizations in exports, and rejected rows as they were sent. The
        role of its person must include them too.
        """
        return self.personal
