"""Exports over HTTP: what can be exported, ask for it, follow it, download it while it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import django_filters
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import F
from django.http import FileResponse, Http404
from drf_spectacular.utils import (
    OpenApiExample,
    extend_schema_field,
    extend_schema_view,
)
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.response import Response

from claimkit.errors import ClaimkitError
from claimkit.reports.exports import FORMATS
from claimkit.tenants import Role
from claimkit_django.reports.downloads import file_answer
from claimkit_django.reports.exports import Wanted, ask_export, has_personal, readable_sources
from claimkit_django.reports.models import ExportRun
from claimkit_django.reports.rest import (
    ERROR_SCHEMA,
    FileRenderer,
    error_field,
    file_of,
    refused,
)
from claimkit_django.reports.tasks import queue_export
from claimkit_django.rest.fields import TextField
from claimkit_django.rest.filters import Ordering, StrictFilterSet, refuse_unknown
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.tenants.directory import actor_of
from claimkit_django.tenants.rest import TenantRowsView, TenantView
from claimkit_django.trail import record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rest_framework.request import Request

__all__ = ["ExportSourcesView", "ExportViewSet"]

#: Exports are for those who work with claims, not for those who look at them.
_ANALYSTS: Mapping[str, Role] = dict.fromkeys(("GET", "HEAD", "OPTIONS", "POST"), Role.ANALYST)


class ExportFilters(StrictFilterSet):
    """What exports can be filtered by."""

    status = django_filters.ChoiceFilter(choices=ExportRun.Status.choices)

    class Meta:
        model = ExportRun
        fields: ClassVar[list[str]] = []


#: What an export comes as. First what a client that knows none of them takes it for.
_MEDIA_TYPES = (
    "application/octet-stream",
    *(one.media_type.partition(";")[0] for one in FORMATS.values()),
)


class ExportAskSerializer(serializers.Serializer[Any]):
    """What is exported, and how."""

    source = TextField(  # type: ignore[assignment]
        max_length=32, help_text="A name of the sources."
    )
    format = serializers.ChoiceField(choices=sorted(FORMATS))
    columns = serializers.ListField(
        child=TextField(max_length=64),
        required=False,
        max_length=100,
        help_text="In this order; all that are not personal by default.",
    )
    since = serializers.DateField(required=False, help_text="First day.")
    until = serializers.DateField(required=False, help_text="Last day.")


class ExportSerializer(serializers.ModelSerializer[ExportRun]):
    """One export, how far it is, and until when it can be downloaded."""

    format = serializers.CharField(source="form")
    #: Words, not choices: the schema would name two enumerations "status" by chance.
    status = serializers.CharField(help_text="queued, running, success or failed.")
    columns = serializers.ListField(child=serializers.CharField())
    error = serializers.SerializerMethodField()
    _links = LinksField(
        {
            "self": ("export-detail", {"uid": "uid"}),
            "collection": ("export-list", {}),
            "file": ("export-file", {"uid": "uid"}),
        }
    )

    class Meta:
        model = ExportRun
        fields = (
            *("uid", "source", "format", "columns", "since", "until", "status", "rows_total"),
            *("rows_done", "bytes", "sha256", "actor", "downloads", "created_at"),
            *("finished_at", "expires_at", "error", "_links"),
        )
        read_only_fields = fields

    @extend_schema_field(ERROR_SCHEMA)
    def get_error(self, run: ExportRun) -> dict[str, str] | None:
        """Return why a failed export failed."""
        return error_field(run)


class SourceColumnSerializer(serializers.Serializer[Any]):
    """One column that can be exported."""

    name = serializers.CharField()
    kind = serializers.CharField(help_text="text, money, integer, number, date, instant, boolean.")
    description = serializers.CharField()
    is_personal = serializers.BooleanField(help_text="Exported only when named.")


class SourceSerializer(serializers.Serializer[Any]):
    """What can be exported by the caller."""

    name = serializers.CharField()
    columns = SourceColumnSerializer(many=True)


class SourcesSerializer(serializers.Serializer[Any]):
    """Everything that can be exported, and the formats."""

    formats = serializers.ListField(child=serializers.CharField())
    sources = SourceSerializer(many=True)


_UID = "exp_7r2c5m0k9v3t8x1q4w6y2b5d7f"
_EXPORT: dict[str, Any] = {
    "uid": _UID,
    "source": "claims",
    "format": "csv",
    "columns": ["uid", "payer", "outcome", "paid"],
    "since": "2026-01-01",
    "until": "2026-03-31",
    "status": "success",
    "rows_total": 60123,
    "rows_done": 60123,
    "bytes": 4123456,
    "sha256": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "actor": "user:7",
    "downloads": 0,
    "created_at": "2026-04-01T10:00:00Z",
    "finished_at": "2026-04-01T10:00:02Z",
    "expires_at": "2026-04-04T10:00:02Z",
    "error": None,
    "_links": {
        "self": f"/api/v1/exports/{_UID}/",
        "collection": "/api/v1/exports/",
        "file": f"/api/v1/exports/{_UID}/file/",
    },
}
_ONE = OpenApiExample("made", value=_EXPORT, response_only=True, status_codes=["200"])
_QUEUED = OpenApiExample(
    "queued",
    value={
        **_EXPORT,
        "status": "queued",
        "rows_total": None,
        "rows_done": 0,
        "bytes": 0,
        "sha256": "",
        "finished_at": None,
        "expires_at": None,
    },
    response_only=True,
    status_codes=["202"],
)


class ExportSourcesView(TenantView):
    """What can be exported."""

    tag = "exports"
    roles: ClassVar[Mapping[str, Role]] = _ANALYSTS

    @operation(
        operation_id="exports_sources_retrieve",
        summary="List what can be exported",
        responses=SourcesSerializer,
        examples=[
            OpenApiExample(
                "claims",
                value={
                    "formats": ["csv", "json", "ndjson", "parquet", "xlsx"],
                    "sources": [
                        {
                            "name": "claims",
                            "columns": [
                                {
                                    "name": "payer",
                                    "kind": "text",
                                    "description": "Normalized name.",
                                    "is_personal": False,
                                }
                            ],
                        }
                    ],
                },
                response_only=True,
                status_codes=["200"],
            )
        ],
    )
    def get(self, request: Request) -> Response:
        """Return sources with the columns that the caller may have; no query."""
        refuse_unknown(request, ())
        role = self.role or Role.VIEWER
        body = {
            "formats": sorted(FORMATS),
            "sources": [
                {
                    "name": name,
                    "columns": [
                        one
                        for one in source.columns
                        if role.includes(one.least_role)
                        and (self.may_take_personal or not one.is_personal)
                    ],
                }
                for name, source in sorted(readable_sources(role).items())
            ],
        }
        return Response(SourcesSerializer(body).data)


@extend_schema_view(
    list=operation(summary="List exports", examples=[_ONE]),
    retrieve=operation(summary="Follow an export", examples=[_ONE]),
)
class ExportViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet, TenantRowsView):
    """Exports, the latest first."""

    tag = "exports"
    validated_by = ("reports",)
    model = ExportRun
    roles: ClassVar[Mapping[str, Role]] = _ANALYSTS
    serializer_class = ExportSerializer
    filterset_class = ExportFilters
    lookup_value_regex = "exp_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = {
        "created_at": Ordering(SortKey("created_at"), SortKey("id"))
    }
    default_ordering = "-created_at"

    @operation(
        summary="Export rows",
        request=ExportAskSerializer,
        responses={202: ExportSerializer},
        examples=[
            _QUEUED,
            OpenApiExample(
                "a quarter of claims",
                value={
                    "source": "claims",
                    "format": "csv",
                    "columns": ["uid", "payer", "outcome", "paid"],
                    "since": "2026-01-01",
                    "until": "2026-03-31",
                },
                request_only=True,
            ),
        ],
    )
    def create(self, request: Request) -> Response:
        """Queue an export; `Location` says where to follow it."""
        refuse_unknown(request, ())
        asked = ExportAskSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        values = dict(asked.validated_data)
        wanted = Wanted(form=values.pop("format"), **values)
        try:
            if has_personal(wanted.source, wanted.columns):
                self.refuse_personal()
            row = ask_export(wanted, role=self.role or Role.VIEWER, actor=actor_of(request.user))
        except ClaimkitError as error:
            names = {"export": "source", "column": "columns"}
            field = next((names[one] for one in names if f"unknown {one}" in str(error)), "until")
            raise refused(field, error) from None
        queue_export(row)
        row.refresh_from_db()
        body = self.get_serializer(row).data
        return Response(
            body,
            status=status.HTTP_202_ACCEPTED,
            headers={"Location": body["_links"]["self"], "Cache-Control": "no-store"},
        )

    @operation(
        operation_id="exports_file_retrieve",
        summary="Download an export",
        responses={(200, one): file_of(one) for one in _MEDIA_TYPES},
    )
    @action(
        detail=True,
        renderer_classes=[*ApiViewSet.renderer_classes, FileRenderer],
        filter_backends=[],
        pagination_class=None,
        # Not kept by browsers, so there is nothing to validate.
        validated_by=(),
    )
    def file(self, request: Request, uid: str) -> FileResponse:  # noqa: ARG002
        """Return the file, until it expires."""
        refuse_unknown(request, ())
        row = self.get_object()
        if not row.file:
            raise Http404("the export is not made, or it has expired; ask for it again")
        if has_personal(row.source, row.columns):
            self.refuse_personal()
        form = FORMATS[row.form]
        answer = file_answer(row, f"{row.source}-{row.uid}.{form.extension}", form.media_type)
        with transaction.atomic():
            ExportRun.objects.filter(pk=row.pk).update(downloads=F("downloads") + 1)
            record(
                "export.downloaded",
                tenant_id=row.tenant_id,
                target=row.uid,
                changes={"rows": (None, row.rows_done)},
                using=row._state.db or DEFAULT_DB_ALIAS,
            )
        return answer
