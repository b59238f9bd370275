"""The audit trail of a tenant over HTTP: for its admins, to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import django_filters
from drf_spectacular.utils import OpenApiExample, extend_schema_view
from rest_framework import mixins, serializers

from claimkit.tenants import Role
from claimkit_django.audit.models import AuditEntry
from claimkit_django.rest.filters import Ordering, StrictFilterSet
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.tenants.rest import TenantRowsView

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AuditEntryViewSet"]

_UID = "aud_7r2c5m0k9v3t8x1q4w6y2b5d7f"


class AuditEntryFilters(StrictFilterSet):
    """What entries can be filtered by."""

    action = django_filters.CharFilter(help_text="Such as `api_token.made`, exactly.")
    target = django_filters.CharFilter(help_text="What it was done to, such as `tok_…`.")
    actor = django_filters.CharFilter(help_text="Who did it, such as `user:7` or `system`.")
    at_from = django_filters.IsoDateTimeFilter(field_name="at", lookup_expr="gte")
    at_to = django_filters.IsoDateTimeFilter(field_name="at", lookup_expr="lt")

    class Meta:
        model = AuditEntry
        fields: ClassVar[list[str]] = []


class ChangeSerializer(serializers.Serializer[Any]):
    """What a field was, and is now; what is secret is a digest."""

    old = serializers.JSONField()
    new = serializers.JSONField()


class AuditEntrySerializer(serializers.ModelSerializer[AuditEntry]):
    """One thing that somebody did."""

    changes = serializers.DictField(child=ChangeSerializer(), read_only=True)
    _links = LinksField(
        {"self": ("audit-detail", {"uid": "uid"}), "collection": ("audit-list", {})}
    )

    class Meta:
        model = AuditEntry
        fields = (
            *("uid", "at", "action", "target", "actor", "via", "network", "request_id"),
            *("changes", "_links"),
        )
        read_only_fields = fields


_ENTRY = OpenApiExample(
    "entry",
    value={
        "uid": _UID,
        "at": "2026-04-12T09:30:00Z",
        "action": "membership.changed",
        "target": "user:12",
        "actor": "user:7",
        "via": "session",
        "network": "203.0.113.0/24",
        "request_id": "5b8f1c0a6c1d4e0f9c3a7b2d1e0f4a55",
        "changes": {"role": {"old": "viewer", "new": "admin"}},
        "_links": {"self": f"/api/v1/audit/{_UID}/", "collection": "/api/v1/audit/"},
    },
    response_only=True,
    status_codes=["200"],
)


@extend_schema_view(
    list=operation(summary="List what was done", examples=[_ENTRY]),
    retrieve=operation(summary="Get one thing that was done", examples=[_ENTRY]),
)
class AuditEntryViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet, TenantRowsView
):
    """Who did what, the latest first; nothing here can be changed."""

    tag = "audit"
    model = AuditEntry
    serializer_class = AuditEntrySerializer
    filterset_class = AuditEntryFilters
    roles: ClassVar[Mapping[str, Role]] = dict.fromkeys(("GET", "HEAD", "OPTIONS"), Role.ADMIN)
    cache_control = "no-store"
    lookup_value_regex = "aud_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = {"at": Ordering(SortKey("at"), SortKey("id"))}
    default_ordering = "-at"
