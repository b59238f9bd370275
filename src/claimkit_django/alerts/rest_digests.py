"""Digests over HTTP: what is open and what was muted, once a day or week."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema_view
from rest_framework import mixins, serializers

from claimkit_django.alerts.channels import takes_digests
from claimkit_django.alerts.digests import start
from claimkit_django.alerts.models import Channel, Digest
from claimkit_django.alerts.rest_parts import (
    READ_BY_ALL,
    GuardedWrites,
    NoFilters,
    refuse_strangers,
)
from claimkit_django.rest.fields import ClockField, StrictTexts, TextField
from claimkit_django.rest.filters import Ordering
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.parsers import JSON_ONLY
from claimkit_django.rest.schema import operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from claimkit.tenants import Role

__all__ = ["DigestViewSet"]


class DigestSerializer(StrictTexts, serializers.ModelSerializer[Digest]):
    """What is told when, and to whom."""

    channels = serializers.ListField(
        child=TextField(max_length=32),
        allow_empty=False,
        max_length=20,
        help_text="Uids of channels.",
    )
    at = ClockField(help_text="By the clock of the tenant.")
    _links = LinksField(
        {"self": ("alert-digest-detail", {"uid": "uid"}), "collection": ("alert-digest-list", {})}
    )

    class Meta:
        model = Digest
        fields = (
            *("uid", "name", "enabled", "channels", "every", "weekday", "at", "next_at"),
            *("created_at", "_links"),
        )
        read_only_fields = ("uid", "next_at", "created_at", "_links")
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "weekday": {"help_text": "0 for Monday; of weekly ones."},
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse channels that are not there, and pagers, which wake somebody with everything."""
        uids = attrs.get("channels", ())
        refuse_strangers(uids)
        for channel in Channel.objects.filter(uid__in=uids):
            if not takes_digests(channel.kind):
                raise serializers.ValidationError(
                    {"channels": f"{channel.kind} takes no digests"}, code="channel_unfit"
                )
        return attrs


_DIGEST = [
    OpenApiExample(
        "digest",
        value={
            "uid": "dig_7m2r7x4t1nyc8b3f8k1d6z0q5v",
            "name": "Monday morning",
            "enabled": True,
            "channels": ["chn_3f8k1d6z0q5v9m2r7x4t1nyc8b"],
            "every": "week",
            "weekday": 0,
            "at": "07:00:00",
            "next_at": "2026-04-13T11:00:00Z",
            "created_at": "2026-04-12T09:30:00Z",
            "_links": {
                "self": "/api/v1/alerts/digests/dig_7m2r7x4t1nyc8b3f8k1d6z0q5v/",
                "collection": "/api/v1/alerts/digests/",
            },
        },
        response_only=True,
        status_codes=["200", "201"],
    )
]


@extend_schema_view(
    list=operation(summary="List digests of alerts", examples=_DIGEST),
    retrieve=operation(summary="Get a digest of alerts", examples=_DIGEST),
    create=operation(
        summary="Add a digest of alerts", responses={201: DigestSerializer}, examples=_DIGEST
    ),
    update=operation(summary="Replace a digest of alerts", examples=_DIGEST),
    partial_update=operation(summary="Change a digest of alerts", examples=_DIGEST),
    destroy=operation(summary="Remove a digest of alerts"),
)
class DigestViewSet(mixins.ListModelMixin, mixins.DestroyModelMixin, GuardedWrites):
    """What is open and what was muted, once a day or week, by the tenant's clock."""

    tag = "alerts"
    parser_classes = JSON_ONLY
    model = Digest
    roles: ClassVar[Mapping[str, Role]] = READ_BY_ALL
    serializer_class = DigestSerializer
    filterset_class = NoFilters
    lookup_value_regex = "dig_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = {"name": Ordering(SortKey("name"), SortKey("id"))}
    default_ordering = "name"

    def keep(self, sent: serializers.BaseSerializer[Any]) -> None:
        """Save a digest under a name that is free, and say when the next is due."""
        now = timezone.now()
        row = sent.instance or Digest()
        for name, value in sent.validated_data.items():
            setattr(row, name, value)
        start(row, self.tenant, now)
        times = {"next_at": row.next_at, "told_until": row.told_until}
        sent.validated_data.update(times)
        super().keep(sent)
