"""Deliveries of webhooks over HTTP, and the event types that can be subscribed to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import django_filters
from django.db import DEFAULT_DB_ALIAS
from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.response import Response

from claimkit.tenants import Role, current_tenant
from claimkit.webhooks.payloads import Detail, body_schema
from claimkit_django.rest.filters import Ordering, StrictFilterSet, refuse_unknown
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.runtime import plugins
from claimkit_django.tenants.rest import TenantRowsView, TenantView
from claimkit_django.webhooks.enqueue import replay
from claimkit_django.webhooks.models import Attempt, Delivery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet
    from rest_framework.request import Request

__all__ = [
    "ADMINS",
    "CREATED_AT",
    "ENDPOINT",
    "REPLAYED",
    "DeliveryViewSet",
    "EventTypesView",
    "ReplayedSerializer",
    "shown",
]

#: Method → role; all of webhooks is for admins.
ADMINS: Mapping[str, Role] = dict.fromkeys(
    ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"), Role.ADMIN
)
#: How rows of this room can be ordered.
CREATED_AT = {"created_at": Ordering(SortKey("created_at"), SortKey("id"))}
#: An endpoint of the examples.
ENDPOINT = "whe_3f8k1d6z0q5v9m2r7x4t1nyc8b"
_DELIVERY = "whd_7m2r7x4t1nyc8b3f8k1d6z0q5v"


class ReplayedSerializer(serializers.Serializer[Any]):
    """How many deliveries are on their way again."""

    replayed = serializers.IntegerField()


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    """What happened once."""

    class Meta:
        model = Attempt
        fields = ("number", "started_at", "milliseconds", "status", "reason", "key_fingerprints")
        read_only_fields = fields


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """One message for one endpoint."""

    endpoint = serializers.CharField(source="lane.uid", read_only=True)
    state = serializers.CharField(
        read_only=True, help_text="`due`, `leased`, `done`, `dead` or `cancelled`."
    )
    message_id = serializers.CharField(source="message.uid", read_only=True)
    event_type = serializers.CharField(source="message.event_type", read_only=True)
    _links = LinksField(
        {
            "self": ("webhook-delivery-detail", {"uid": "uid"}),
            "collection": ("webhook-delivery-list", {}),
            "endpoint": ("webhook-endpoint-detail", {"uid": "lane.uid"}),
        }
    )

    class Meta:
        model = Delivery
        fields = (
            *("uid", "endpoint", "message_id", "event_type", "state", "reason", "attempts"),
            *("due_at", "replay", "created_at", "_links"),
        )
        read_only_fields = fields


class DeliveryDetailSerializer(DeliverySerializer):
    """A delivery with its attempts."""

    attempts_made = AttemptSerializer(many=True, read_only=True)

    class Meta(DeliverySerializer.Meta):
        fields = (*DeliverySerializer.Meta.fields, "attempts_made")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


class EventTypeSerializer(serializers.Serializer[Any]):
    """What can be subscribed to."""

    name = serializers.CharField()
    version = serializers.IntegerField()
    description = serializers.CharField()
    schema = serializers.SerializerMethodField(
        help_text="JSON Schema of the whole body in its thin form; `webhooks` of the OpenAPI"
        " document has both."
    )
    example = serializers.SerializerMethodField(help_text="An example of thin `data`.")

    @extend_schema_field({"type": "object", "additionalProperties": True})
    def get_schema(self, event_type: Any) -> dict[str, Any]:
        """Return the schema of the thin form."""
        return body_schema(event_type, Detail.THIN)

    @extend_schema_field({"type": "object", "additionalProperties": True})
    def get_example(self, event_type: Any) -> dict[str, Any]:
        """Return thin data."""
        return {"version": event_type.version, **event_type.example}


class DeliveryFilters(StrictFilterSet):
    """What deliveries can be filtered by."""

    state = django_filters.ChoiceFilter(choices=Delivery.State.choices)
    endpoint = django_filters.CharFilter(field_name="lane__uid")
    message_id = django_filters.CharFilter(field_name="message__uid")
    event_type = django_filters.CharFilter(field_name="message__event_type")
    created_from = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_to = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Delivery
        fields: ClassVar[list[str]] = []


_DELIVERY_VALUE: dict[str, Any] = {
    "uid": _DELIVERY,
    "endpoint": ENDPOINT,
    "message_id": "msg_0cw4nq8r1v6j3m7x2t9k5hyd0b",
    "event_type": "drift.detected",
    "state": "done",
    "reason": "",
    "attempts": 1,
    "due_at": "2026-04-12T09:30:00Z",
    "replay": 0,
    "created_at": "2026-04-12T09:30:00Z",
    "_links": {
        "self": f"/api/v1/webhooks/deliveries/{_DELIVERY}/",
        "collection": "/api/v1/webhooks/deliveries/",
        "endpoint": f"/api/v1/webhooks/endpoints/{ENDPOINT}/",
    },
}


def shown(name: str, value: Any, code: int = 200) -> list[OpenApiExample]:
    """Return the example of an answer with this status."""
    return [OpenApiExample(name, value=value, response_only=True, status_codes=[str(code)])]


#: The example of :class:`ReplayedSerializer`.
REPLAYED = shown("replayed", {"replayed": 3})


@extend_schema_view(
    list=operation(
        summary="List deliveries of webhooks", examples=shown("delivery", _DELIVERY_VALUE)
    ),
    retrieve=operation(
        summary="Get a delivery with its attempts",
        examples=shown("delivery", {**_DELIVERY_VALUE, "attempts_made": []}),
    ),
)
class DeliveryViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet, TenantRowsView):
    """What was told to whom, the latest first."""

    tag = "webhooks"
    model = Delivery
    roles: ClassVar[Mapping[str, Role]] = ADMINS
    filterset_class = DeliveryFilters
    lookup_value_regex = "whd_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = CREATED_AT
    default_ordering = "-created_at"

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        """Return the short form for lists."""
        return DeliverySerializer if self.action == "list" else DeliveryDetailSerializer

    def get_queryset(self) -> QuerySet[Any]:
        """Read what a page shows at once, and leave the bodies in the database."""
        rows = super().get_queryset().select_related("lane", "message").defer("message__body")
        return rows if self.action == "list" else rows.prefetch_related("attempts_made")

    @operation(
        summary="Send a delivery again",
        request=None,
        responses=ReplayedSerializer,
        examples=REPLAYED,
    )
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, uid: str) -> Response:
        """Send the message to the endpoint again, with the same id."""
        del request, uid
        count = replay(current_tenant(), [self.get_object()], using=DEFAULT_DB_ALIAS)
        return Response({"replayed": count})


class EventTypesView(TenantView):
    """What can be subscribed to."""

    tag = "webhooks"

    @operation(
        operation_id="webhooks_event_types_list",
        summary="List event types of webhooks",
        responses=EventTypeSerializer(many=True),
        examples=[
            OpenApiExample(
                "ping",
                value={
                    "name": "claims.imported",
                    "version": 1,
                    "description": "A file of claims is in.",
                    "schema": {"type": "object"},
                    "example": {"version": 1, "upload": "upl_0cw4nq8r1v6j3m7x2t9k5hyd0b"},
                },
                response_only=True,
                status_codes=["200"],
            )
        ],
    )
    def get(self, request: Request) -> Response:
        """Return each event type with its JSON Schema and an example."""
        refuse_unknown(request, ())
        offered = [one for one in plugins().event_types.values() if one.can_subscribe]
        return Response(EventTypeSerializer(offered, many=True).data)
