"""Channels, routes and silences over HTTP: who is told of alerts, how, and when not."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import DEFAULT_DB_ALIAS, transaction
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_view
from rest_framework import exceptions, mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.response import Response

from claimkit.alerts.channels import Notification, NotificationItem
from claimkit.errors import ClaimkitError
from claimkit.tenants import Role
from claimkit.types import Severity
from claimkit_django.alerts.board import look_again
from claimkit_django.alerts.channels import check_settings, kinds, opened, sealed, shown
from claimkit_django.alerts.models import Alert, Channel, Route, Silence
from claimkit_django.alerts.notify import send
from claimkit_django.alerts.rest_parts import (
    READ_BY_ALL,
    Guarded,
    GuardedWrites,
    NoFilters,
    dimensions_field,
    kinds_field,
    payers_field,
    refuse_strangers,
    save_named,
)
from claimkit_django.conf import config
from claimkit_django.rest.fields import ClockField, PartSerializer, StrictTexts, TextField
from claimkit_django.rest.filters import Ordering, refuse_unknown
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.parsers import JSON_ONLY
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.tenants.directory import actor_of
from claimkit_django.tenants.rest import ANALYST_WRITES, TenantRowsView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rest_framework.request import Request

__all__ = ["ChannelViewSet", "RouteViewSet", "SilenceViewSet"]

_ADMINS: Mapping[str, Role] = dict.fromkeys(
    ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"), Role.ADMIN
)
_CHANNEL_UID = "chn_3f8k1d6z0q5v9m2r7x4t1nyc8b"


class ChannelSerializer(StrictTexts, serializers.ModelSerializer[Channel]):
    """A mailbox, a room or a pager."""

    settings = serializers.SerializerMethodField(help_text="Without secrets.")
    _links = LinksField(
        {
            "self": ("alert-channel-detail", {"uid": "uid"}),
            "collection": ("alert-channel-list", {}),
        }
    )

    class Meta:
        model = Channel
        fields = ("uid", "name", "kind", "settings", "enabled", "created_at", "_links")
        read_only_fields = fields

    @extend_schema_field({"type": "object", "additionalProperties": True})
    def get_settings(self, channel: Channel) -> Mapping[str, Any]:
        """Return what may be shown of the settings."""
        return shown(channel.kind, opened(channel.sealed_settings))


class ChannelSentSerializer(serializers.Serializer[Any]):
    """What a channel is made of."""

    name = TextField(max_length=100)
    kind = TextField(max_length=64, help_text="`email`, `log`, or one of a plugin.")
    settings = serializers.DictField(help_text='Of e-mail: `{"to": ["ada@example.org"]}`.')
    enabled = serializers.BooleanField(required=False, default=True)


class TestedSerializer(serializers.Serializer[Any]):
    """What happened to a test."""

    is_sent = serializers.BooleanField()
    reason = serializers.CharField(allow_blank=True)


class StepSerializer(PartSerializer):
    """Who else is told when nobody acknowledges."""

    after_minutes = serializers.IntegerField(min_value=1, max_value=60 * 24 * 30)
    channels = serializers.ListField(
        child=TextField(max_length=32), allow_empty=False, max_length=20
    )


class RouteSerializer(StrictTexts, serializers.ModelSerializer[Route]):
    """Which alerts go to which channels."""

    payers = payers_field()
    kinds = kinds_field()
    dimensions = dimensions_field()
    channels = serializers.ListField(
        child=TextField(max_length=32), max_length=20, help_text="Uids of channels."
    )
    steps = StepSerializer(many=True, required=False)
    quiet_from = ClockField(required=False, allow_null=True)
    quiet_until = ClockField(required=False, allow_null=True)
    _links = LinksField(
        {"self": ("alert-route-detail", {"uid": "uid"}), "collection": ("alert-route-list", {})}
    )

    class Meta:
        model = Route
        fields = (
            *("uid", "name", "priority", "enabled", "payers", "kinds", "dimensions"),
            *(
                "least_severity",
                "channels",
                "steps",
                "goes_on",
                "tells_end",
                "wait_minutes",
                "interval_minutes",
            ),
            *("repeat_hours", "quiet_from", "quiet_until", "created_at", "_links"),
        )
        read_only_fields = ("uid", "created_at", "_links")
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "wait_minutes": {"min_value": 0, "max_value": 24 * 60},
            "interval_minutes": {"min_value": 0, "max_value": 7 * 24 * 60},
            "priority": {"min_value": 0, "max_value": 1_000_000},
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse channels that are not there, and quiet hours that are none."""
        of_steps = (uid for one in attrs.get("steps", ()) for uid in one["channels"])
        refuse_strangers([*attrs.get("channels", ()), *of_steps])
        ends = [
            attrs.get(name, getattr(self.instance, name, None))
            for name in ("quiet_from", "quiet_until")
        ]
        if (ends[0] is None) != (ends[1] is None) or (ends[0] is not None and ends[0] == ends[1]):
            raise serializers.ValidationError(
                {"quiet_until": "quiet hours have a begin and another end"}, code="inconsistent"
            )
        return attrs


class SilenceSerializer(StrictTexts, serializers.ModelSerializer[Silence]):
    """What nobody wants to hear of for a while."""

    payers = payers_field()
    kinds = kinds_field()
    dimensions = dimensions_field()
    begins_at = serializers.DateTimeField(required=False, help_text="Now if not given.")
    _links = LinksField(
        {
            "self": ("alert-silence-detail", {"uid": "uid"}),
            "collection": ("alert-silence-list", {}),
        }
    )

    class Meta:
        model = Silence
        fields = (
            *(
                "uid",
                "payers",
                "kinds",
                "dimensions",
                "fingerprint",
                "begins_at",
                "ends_at",
                "reason",
            ),
            *("actor", "created_at", "_links"),
        )
        read_only_fields = ("uid", "actor", "created_at", "_links")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a silence of everything, one that never was, and one without end."""
        attrs.setdefault("begins_at", timezone.now())
        if attrs["ends_at"] <= max(attrs["begins_at"], timezone.now()):
            raise serializers.ValidationError(
                {"ends_at": "a silence ends after it begins"}, code="inconsistent"
            )
        most = config().alerts.max_silence_days
        if attrs["ends_at"] - attrs["begins_at"] > dt.timedelta(days=most):
            raise serializers.ValidationError(
                {"ends_at": f"a silence lasts {most} days at most"}, code="silence_too_long"
            )
        if not any(attrs.get(name) for name in ("payers", "kinds", "dimensions", "fingerprint")):
            raise serializers.ValidationError(
                {"payers": "name payers, kinds, dimensions or one alert's fingerprint"},
                code="silence_of_everything",
            )
        return attrs


def _shown(name: str, value: Any, *codes: str) -> list[OpenApiExample]:
    return [OpenApiExample(name, value=value, response_only=True, status_codes=list(codes))]


_CHANNEL = _shown(
    "channel",
    {
        "uid": _CHANNEL_UID,
        "name": "Revenue team",
        "kind": "email",
        "settings": {"to": ["revenue@example.org"]},
        "enabled": True,
        "created_at": "2026-04-12T09:30:00Z",
        "_links": {
            "self": f"/api/v1/alerts/channels/{_CHANNEL_UID}/",
            "collection": "/api/v1/alerts/channels/",
        },
    },
    *("200", "201"),
)
_ROUTE = _shown(
    "route",
    {
        "uid": "rte_7m2r7x4t1nyc8b3f8k1d6z0q5v",
        "name": "Everything that costs money",
        "priority": 100,
        "enabled": True,
        "payers": [],
        "kinds": ["denial_rate"],
        "dimensions": {},
        "least_severity": "medium",
        "channels": [_CHANNEL_UID],
        "steps": [{"after_minutes": 1440, "channels": [_CHANNEL_UID]}],
        "goes_on": False,
        "tells_end": True,
        "wait_minutes": 0,
        "interval_minutes": 5,
        "repeat_hours": 168,
        "quiet_from": "20:00:00",
        "quiet_until": "07:00:00",
        "created_at": "2026-04-12T09:30:00Z",
        "_links": {
            "self": "/api/v1/alerts/routes/rte_7m2r7x4t1nyc8b3f8k1d6z0q5v/",
            "collection": "/api/v1/alerts/routes/",
        },
    },
    *("200", "201"),
)
_SILENCE = _shown(
    "silence",
    {
        "uid": "sil_2x4t1nyc8b3f8k1d6z0q5v7m2r",
        "payers": ["Aetna"],
        "kinds": [],
        "dimensions": {},
        "fingerprint": "",
        "begins_at": "2026-04-12T09:30:00Z",
        "ends_at": "2026-04-26T09:30:00Z",
        "reason": "Their new portal is being set up; they said so.",
        "actor": "user:7",
        "created_at": "2026-04-12T09:30:00Z",
        "_links": {
            "self": "/api/v1/alerts/silences/sil_2x4t1nyc8b3f8k1d6z0q5v7m2r/",
            "collection": "/api/v1/alerts/silences/",
        },
    },
    *("200", "201"),
)
_BY_NAME = {"name": Ordering(SortKey("name"), SortKey("id"))}


@extend_schema_view(
    list=operation(summary="List channels of alerts", examples=_CHANNEL),
    retrieve=operation(summary="Get a channel of alerts", examples=_CHANNEL),
    destroy=operation(summary="Remove a channel of alerts"),
)
class ChannelViewSet(mixins.ListModelMixin, mixins.DestroyModelMixin, Guarded):
    """Ways of telling people; for admins, who alone may see where notifications go."""

    tag = "alerts"
    parser_classes = JSON_ONLY
    model = Channel
    roles: ClassVar[Mapping[str, Role]] = _ADMINS
    serializer_class = ChannelSerializer
    filterset_class = NoFilters
    lookup_value_regex = "chn_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = _BY_NAME
    default_ordering = "name"

    @operation(
        summary="Add a channel of alerts",
        request=ChannelSentSerializer,
        responses={201: ChannelSerializer},
        examples=_CHANNEL,
    )
    def create(self, request: Request) -> Response:
        """Add a mailbox, a room or a pager."""
        refuse_unknown(request, ())
        row = Channel()
        self._put(row, request, partial=False)
        return self.answer(self.get_queryset().get(pk=row.pk), status.HTTP_201_CREATED)

    @operation(
        summary="Change a channel of alerts",
        request=ChannelSentSerializer,
        responses=ChannelSerializer,
        examples=_CHANNEL,
    )
    def partial_update(self, request: Request, uid: str) -> Response:
        """Change its name or its settings, or switch it off; settings are replaced as a whole."""
        del uid
        refuse_unknown(request, ())
        with transaction.atomic():
            row = self.locked(request)
            self._put(row, request, partial=True)
        return self.answer(self.get_queryset().get(pk=row.pk))

    @operation(
        summary="Send a test notification",
        request=None,
        responses=TestedSerializer,
        examples=_shown("tested", {"is_sent": True, "reason": ""}, "200"),
    )
    @action(detail=True, methods=["post"])
    def test(self, request: Request, uid: str) -> Response:
        """Send a test notification now, and say what happened."""
        del request
        row = self.get_object()
        item = NotificationItem(
            alert=uid,
            episode=1,
            reason="first",
            severity=Severity.LOW,
            kind="test",
            payer="",
            summary="This is a test that somebody asked for.",
            onset=None,
            dollars_per_month=0,
        )
        notification = Notification(id=f"{uid}.test", tenant_name=self.tenant.name, items=[item])
        result = send(row, notification)
        return Response({"is_sent": result.is_sent, "reason": result.reason})

    def _put(self, row: Channel, request: Request, *, partial: bool) -> None:
        asked = ChannelSentSerializer(data=request.data, partial=partial)
        asked.is_valid(raise_exception=True)
        values = dict(asked.validated_data)
        kind = values.get("kind", row.kind)
        if "settings" in values or kind != row.kind:
            try:
                settings = check_settings(kind, values.pop("settings", {}))
            except ClaimkitError as error:
                field = "settings" if kind in kinds() else "kind"
                raise exceptions.ValidationError({field: str(error)}, code=error.code) from None
            values["sealed_settings"] = sealed(settings)
        for name, value in values.items():
            setattr(row, name, value)
        save_named(row)
        look_again(using=DEFAULT_DB_ALIAS)


@extend_schema_view(
    list=operation(summary="List routes of alerts", examples=_ROUTE),
    retrieve=operation(summary="Get a route of alerts", examples=_ROUTE),
    create=operation(summary="Add a route of alerts", examples=_ROUTE),
    update=operation(summary="Replace a route of alerts", examples=_ROUTE),
    partial_update=operation(summary="Change a route of alerts", examples=_ROUTE),
    destroy=operation(summary="Remove a route of alerts"),
)
class RouteViewSet(mixins.ListModelMixin, mixins.DestroyModelMixin, GuardedWrites):
    """Which alerts go to which channels, and how often; asked by priority, then by age."""

    tag = "alerts"
    parser_classes = JSON_ONLY
    model = Route
    roles: ClassVar[Mapping[str, Role]] = READ_BY_ALL
    serializer_class = RouteSerializer
    filterset_class = NoFilters
    lookup_value_regex = "rte_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = {
        "priority": Ordering(SortKey("priority"), SortKey("id"))
    }
    default_ordering = "priority"

    def keep(self, sent: serializers.BaseSerializer[Any]) -> None:
        """Save a route under a name that is free; what is open may concern it."""
        super().keep(sent)
        look_again(using=DEFAULT_DB_ALIAS)


@extend_schema_view(
    list=operation(summary="List silences", examples=_SILENCE),
    retrieve=operation(summary="Get a silence", examples=_SILENCE),
    create=operation(summary="Silence alerts for a while", examples=_SILENCE),
)
class SilenceViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.CreateModelMixin,
    ApiViewSet,
    TenantRowsView,
):
    """What nobody wants to hear of for a while; silences are ended, never deleted."""

    tag = "alerts"
    parser_classes = JSON_ONLY
    model = Silence
    roles: ClassVar[Mapping[str, Role]] = ANALYST_WRITES
    serializer_class = SilenceSerializer
    filterset_class = NoFilters
    lookup_value_regex = "sil_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = {
        "created_at": Ordering(SortKey("created_at"), SortKey("id"))
    }
    default_ordering = "-created_at"

    def perform_create(self, serializer: serializers.BaseSerializer[Any]) -> None:
        """Save who wants to hear nothing."""
        serializer.save(actor=actor_of(self.request.user))

    @operation(
        summary="End a silence", request=None, responses=SilenceSerializer, examples=_SILENCE
    )
    @action(detail=True, methods=["post"])
    def end(self, request: Request, uid: str) -> Response:
        """Hear of it again from now on; one that is over stays as it is."""
        del request, uid
        row, now = self.get_object(), timezone.now()
        # What it muted waits for its end: look again at once.
        Alert.objects.filter(look_at=row.ends_at).update(look_at=now)
        if row.begins_at >= now:
            row.begins_at = now - dt.timedelta(microseconds=1)
        row.ends_at = min(row.ends_at, now)
        row.save(using=DEFAULT_DB_ALIAS, update_fields=["begins_at", "ends_at"])
        return Response(self.get_serializer(row).data)
