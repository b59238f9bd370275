"""Runs of the watch over HTTP: start one, follow it, see what the past ones changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import django_filters
from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.response import Response

from claimkit.types import TenantKey
from claimkit_django.drift.models import WatchRun
from claimkit_django.drift.tasks import queue_watch
from claimkit_django.rest.filters import Ordering, StrictFilterSet, refuse_unknown
from claimkit_django.rest.links import LinksField, link
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.tenants.rest import ANALYST_WRITES, TenantRowsView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rest_framework.request import Request

    from claimkit.tenants import Role

__all__ = ["RunViewSet"]


class RunFilters(StrictFilterSet):
    """What runs can be filtered by."""

    status = django_filters.ChoiceFilter(choices=WatchRun.Status.choices)

    class Meta:
        model = WatchRun
        fields: ClassVar[list[str]] = []


class RunSerializer(serializers.ModelSerializer[WatchRun]):
    """One run of the watch: what it looked at, and what it changed."""

    error = serializers.SerializerMethodField()
    _links = LinksField({"self": ("run-detail", {"uid": "uid"}), "collection": ("run-list", {})})

    class Meta:
        model = WatchRun
        fields = (
            "uid",
            "status",
            "as_of",
            "new",
            "worse",
            "same",
            "resolved",
            "cells",
            "started_at",
            "finished_at",
            "error",
            "_links",
        )
        read_only_fields = fields

    @extend_schema_field(
        {
            "type": ["object", "null"],
            "required": ["code", "detail"],
            "properties": {"code": {"type": "string"}, "detail": {"type": "string"}},
        }
    )
    def get_error(self, run: WatchRun) -> dict[str, str] | None:
        """Return why a failed run failed."""
        if not run.error_code:
            return None
        return {"code": run.error_code, "detail": run.error_message}


class StartedSerializer(serializers.Serializer[Any]):
    """A watch that was asked for."""

    _links = serializers.DictField(child=serializers.CharField())


class StartSerializer(serializers.Serializer[Any]):
    """A watch to start."""

    as_of = serializers.DateField(
        required=False,
        help_text="Look at what was known on this day; by default the day of the last decision.",
    )


_RUN = OpenApiExample(
    "success",
    value={
        "uid": "run_7r2c5m0k9v3t8x1q4w6y2b5d7f",
        "status": "success",
        "as_of": "2026-04-06",
        "new": 1,
        "worse": 0,
        "same": 3,
        "resolved": 1,
        "cells": 18211,
        "started_at": "2026-04-07T04:00:00Z",
        "finished_at": "2026-04-07T04:00:12Z",
        "error": None,
        "_links": {
            "self": "/api/v1/runs/run_7r2c5m0k9v3t8x1q4w6y2b5d7f/",
            "collection": "/api/v1/runs/",
        },
    },
    response_only=True,
    status_codes=["200"],
)
_STARTED = OpenApiExample(
    "started",
    value={"_links": {"collection": "/api/v1/runs/"}},
    response_only=True,
    status_codes=["202"],
)


@extend_schema_view(
    list=operation(summary="List runs of the watch", examples=[_RUN]),
    retrieve=operation(summary="Get a run of the watch", examples=[_RUN]),
)
class RunViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet, TenantRowsView):
    """Runs of the watch, the latest first."""

    tag = "drift"
    validated_by = ("drift",)
    model = WatchRun
    serializer_class = RunSerializer
    filterset_class = RunFilters
    roles: ClassVar[Mapping[str, Role]] = ANALYST_WRITES
    rates: ClassVar[Mapping[str, str]] = {"POST": "20/1h"}
    lookup_value_regex = "run_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = {
        "started_at": Ordering(SortKey("started_at"), SortKey("id"))
    }
    default_ordering = "-started_at"

    @operation(
        operation_id="runs_create",
        summary="Start a watch",
        request=StartSerializer,
        responses={202: StartedSerializer},
        examples=[_STARTED],
    )
    def create(self, request: Request) -> Response:
        """Queue a watch of the tenant; the newest entry of the list is then about it.

        Two watches at once, or the same one again, make one set of findings.
        """
        refuse_unknown(request, ())
        asked = StartSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        queue_watch(TenantKey(self.tenant.key), as_of=asked.validated_data.get("as_of"))
        return Response(
            {"_links": {"collection": link(request, "run-list")}}, status=status.HTTP_202_ACCEPTED
        )
