"""Uploads over HTTP: send a file, follow its progress, repair what was rejected.

A request never reads a file of claims: it streams the bytes to storage, and a task does the rest.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, ClassVar

import django_filters
from django.db import DEFAULT_DB_ALIAS
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiResponse,
    extend_schema_field,
    extend_schema_view,
)
from rest_framework import exceptions, mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.renderers import BaseRenderer
from rest_framework.response import Response

from claimkit.claims.intake import repair_csv
from claimkit.errors import UnknownName
from claimkit_django.claims.intake import problems_of
from claimkit_django.claims.models import RejectedRow, Upload
from claimkit_django.claims.quality import release_holds
from claimkit_django.claims.repair import note_download
from claimkit_django.claims.tasks import queue_import
from claimkit_django.rest.fields import SentFileField, TextField
from claimkit_django.rest.filters import Ordering, StrictFilterSet, refuse_unknown
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.runtime import plugins
from claimkit_django.tenants.directory import actor_of
from claimkit_django.tenants.rest import ANALYST_WRITES, READ, TenantRowsView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rest_framework.request import Request

    from claimkit.tenants import Role

__all__ = ["UploadViewSet"]

#: Rejected rows that an upload shows by itself; the repair file has all.
PROBLEMS_SHOWN = 20
_DONE = {Upload.Status.SUCCESS, Upload.Status.PARTIAL, Upload.Status.FAILED}


class UploadFilters(StrictFilterSet):
    """What uploads can be filtered by."""

    status = django_filters.ChoiceFilter(choices=Upload.Status.choices)

    class Meta:
        model = Upload
        fields: ClassVar[list[str]] = []


class SendSerializer(serializers.Serializer[Any]):
    """A file of claims to take."""

    file = SentFileField(
        help_text="CSV of any billing system, or X12 835 or 837.", max_length=255, write_only=True
    )
    reader = TextField(
        required=False,
        allow_blank=True,
        help_text="Name of the reader; found out from the file by default.",
        write_only=True,
    )

    def validate_reader(self, name: str) -> str:
        """Refuse a reader that nothing registered, naming the nearest."""
        if name and name not in plugins().readers:
            error = UnknownName.of("reader", name, plugins().readers)
            raise exceptions.ValidationError(error.message, code=error.code)
        return name


class ProgressSerializer(serializers.Serializer[Upload]):
    """How far an upload is."""

    done = serializers.SerializerMethodField()
    percent = serializers.SerializerMethodField()
    bytes_done = serializers.IntegerField()
    bytes_total = serializers.IntegerField()

    def get_done(self, upload: Upload) -> bool:
        """Whether nothing more will happen."""
        return upload.status in _DONE

    def get_percent(self, upload: Upload) -> int:
        """Return whole percents; 100 only when it is done."""
        if upload.status in _DONE:
            return 100
        return min(99, 100 * upload.bytes_done // max(upload.bytes_total, 1))


class RejectedRowSerializer(serializers.ModelSerializer[RejectedRow]):
    """Why a row was rejected; without the row itself, which may name a patient."""

    class Meta:
        model = RejectedRow
        fields = ("position", "kind", "code", "message", "remedy", "field_name")
        read_only_fields = fields


class QualityIssueSerializer(serializers.Serializer[Any]):
    """One thing that is unusual about a file."""

    code = serializers.CharField()
    message = serializers.CharField()
    holds = serializers.BooleanField(help_text="Whether drift alerts wait because of it.")


class QualitySerializer(serializers.Serializer[Any]):
    """A file beside the tenant's earlier files of the same kind."""

    compared = serializers.IntegerField(help_text="Earlier files; fewer than three tell nothing.")
    issues = QualityIssueSerializer(many=True)
    released = serializers.DictField(
        required=False, help_text="Who let the alerts go that waited, and when."
    )


class UploadSerializer(serializers.ModelSerializer[Upload]):
    """One file, what became of it, and how far it is."""

    progress = ProgressSerializer(source="*", read_only=True)
    error = serializers.SerializerMethodField()
    template = serializers.SerializerMethodField(
        help_text="Name of the template by which a CSV was read; empty if none."
    )
    _links = LinksField(
        {
            "self": ("upload-detail", {"uid": "uid"}),
            "collection": ("upload-list", {}),
            "repair": ("upload-repair", {"uid": "uid"}),
        }
    )

    class Meta:
        model = Upload
        fields = (
            "uid",
            "name",
            "status",
            "source",
            "reader",
            "template",
            "holds_alerts",
            "sha256",
            "created_at",
            "started_at",
            "finished_at",
            "progress",
            "claims_new",
            "claims_changed",
            "claims_same",
            "rows_rejected",
            "error",
            "_links",
        )
        read_only_fields = fields

    def get_template(self, upload: Upload) -> str:
        """Return the template's name."""
        return str(upload.options.get("template", ""))

    @extend_schema_field(
        {
            "type": ["object", "null"],
            "required": ["code", "detail"],
            "properties": {"code": {"type": "string"}, "detail": {"type": "string"}},
        }
    )
    def get_error(self, upload: Upload) -> dict[str, str] | None:
        """Return why a failed upload failed."""
        if not upload.error_code:
            return None
        return {"code": upload.error_code, "detail": upload.error_message}


class UploadDetailSerializer(UploadSerializer):
    """An upload with its quality and the first of its rejected rows."""

    problems = serializers.SerializerMethodField()
    quality = serializers.SerializerMethodField()

    class Meta(UploadSerializer.Meta):
        fields = (*UploadSerializer.Meta.fields, "quality", "problems")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]

    @extend_schema_field(QualitySerializer(allow_null=True))
    def get_quality(self, upload: Upload) -> Any:
        """Return what is unusual about the file; null until it is in."""
        return QualitySerializer(upload.quality).data if upload.quality else None

    @extend_schema_field(RejectedRowSerializer(many=True))
    def get_problems(self, upload: Upload) -> Any:
        """Return the first rejected rows; one query."""
        if not upload.rows_rejected:
            return []
        rows = RejectedRow.objects.filter(upload=upload).order_by("ordinal")[:PROBLEMS_SHOWN]
        return RejectedRowSerializer(rows, many=True).data


class CsvRenderer(BaseRenderer):
    """Lets ``Accept: text/csv`` pass; the view writes the body itself."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def render(self, data: Any, *_args: Any, **_kwargs: Any) -> Any:
        """Return what the view wrote."""
        return data


_UPLOAD: dict[str, Any] = {
    "uid": "upl_7r2c5m0k9v3t8x1q4w6y2b5d7f",
    "name": "era_0412.835",
    "status": "partial",
    "source": "api",
    "reader": "x12",
    "template": "",
    "holds_alerts": False,
    "sha256": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "created_at": "2026-04-12T14:05:00Z",
    "started_at": "2026-04-12T14:05:01Z",
    "finished_at": "2026-04-12T14:05:04Z",
    "progress": {"done": True, "percent": 100, "bytes_done": 1048576, "bytes_total": 1048576},
    "claims_new": 2110,
    "claims_changed": 14,
    "claims_same": 0,
    "rows_rejected": 1,
    "error": None,
    "_links": {
        "self": "/api/v1/uploads/upl_7r2c5m0k9v3t8x1q4w6y2b5d7f/",
        "collection": "/api/v1/uploads/",
        "repair": "/api/v1/uploads/upl_7r2c5m0k9v3t8x1q4w6y2b5d7f/repair/",
    },
}
_PROBLEM = {
    "position": 812,
    "kind": "835",
    "code": "money_invalid",
    "message": "the amount is not a number",
    "remedy": "Correct the amount",
    "field_name": "CLP04",
}
_FINISHED = OpenApiExample("finished", value=_UPLOAD, response_only=True, status_codes=["200"])
_DETAIL = OpenApiExample(
    "finished",
    value={
        **_UPLOAD,
        "quality": {
            "compared": 12,
            "issues": [
                {
                    "code": "quality_late",
                    "message": "the file comes 9 days after the one before, usually 1",
                    "holds": False,
                }
            ],
        },
        "problems": [_PROBLEM],
    },
    response_only=True,
    status_codes=["200"],
)
_QUEUED = OpenApiExample(
    "queued",
    value={
        **_UPLOAD,
        "status": "queued",
        "reader": "",
        "sha256": "",
        "started_at": None,
        "finished_at": None,
        "progress": {"done": False, "percent": 0, "bytes_done": 0, "bytes_total": 1048576},
        "claims_new": 0,
        "claims_changed": 0,
        "rows_rejected": 0,
        "quality": None,
        "problems": [],
    },
    response_only=True,
    status_codes=["202"],
)


@extend_schema_view(
    list=operation(summary="List uploads", examples=[_FINISHED]),
    retrieve=operation(summary="Follow an upload", examples=[_DETAIL]),
)
class UploadViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet, TenantRowsView):
    """Files that were handed in, newest first."""

    tag = "uploads"
    validated_by = ("claims",)
    model = Upload
    parser_classes = (MultiPartParser,)
    roles: ClassVar[Mapping[str, Role]] = ANALYST_WRITES
    filterset_class = UploadFilters
    lookup_value_regex = "upl_[0-9a-z]{1,28}"
    orderings = {"created_at": Ordering(SortKey("created_at"), SortKey("id"))}
    default_ordering = "-created_at"

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        """Return the short form for lists."""
        return UploadSerializer if self.action == "list" else UploadDetailSerializer

    @operation(
        summary="Send a file",
        request={"multipart/form-data": SendSerializer},
        responses={202: UploadDetailSerializer},
        examples=[_QUEUED],
    )
    def create(self, request: Request) -> Response:
        """Take a file and queue its import; `Location` says where to follow it.

        Sending the same file again is harmless: what is known already stays as it is.
        """
        refuse_unknown(request, ())
        sent = SendSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        file = sent.validated_data["file"]
        upload = Upload.objects.create(
            file=file,
            name=file.name,
            bytes_total=file.size,
            reader=sent.validated_data.get("reader", ""),
            source="api",
            actor=actor_of(request.user),
            known_on=timezone.localdate(),
        )
        queue_import(upload)
        body = self.get_serializer(upload).data
        return Response(
            body,
            status=status.HTTP_202_ACCEPTED,
            headers={"Location": body["_links"]["self"], "Cache-Control": "no-store"},
        )

    @operation(
        summary="Let waiting alerts go",
        request=None,
        responses={200: UploadDetailSerializer},
        examples=[_DETAIL],
    )
    @action(detail=True, methods=["post"], filter_backends=[], pagination_class=None)
    def release(self, request: Request, uid: str) -> Response:  # noqa: ARG002
        """Say that the data is right: drift alerts that wait because of it are told next time.

        Doing it twice changes nothing.
        """
        refuse_unknown(request, ())
        upload = self.get_object()
        release_holds(upload, actor=actor_of(request.user), using=DEFAULT_DB_ALIAS)
        return Response(self.get_serializer(upload).data)

    @operation(
        summary="Download the rejected rows",
        responses={
            (200, "text/csv"): OpenApiResponse(
                OpenApiTypes.STR,
                examples=[
                    OpenApiExample(
                        "one row",
                        value="problem,remedy,line,field,Claim ID,Billed\r\n"
                        "the amount is not a number,Correct it,17,Billed,A1007,12..5\r\n",
                        media_type="text/csv",
                    )
                ],
            )
        },
    )
    @action(
        detail=True,
        # The rows are as they were sent, patients and all: not for viewers.
        roles=dict.fromkeys(READ, ANALYST_WRITES["POST"]),
        renderer_classes=[CsvRenderer, *ApiViewSet.renderer_classes],
        filter_backends=[],
        pagination_class=None,
        # Not kept by browsers, so there is nothing to validate.
        validated_by=(),
    )
    def repair(self, request: Request, uid: str) -> HttpResponse:  # noqa: ARG002
        """Return the rejected rows as they were sent, with what is wrong with each.

        Correct the rows, and send the file as a new upload: the columns in front are ignored.
        """
        refuse_unknown(request, ())
        # Another tenant's upload is not there, whatever the token may take.
        upload = self.get_object()
        self.refuse_personal()
        note_download(upload)
        body = io.BytesIO()
        repair_csv(problems_of(upload), body, header=upload.header)
        return HttpResponse(
            body.getvalue(),
            content_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="{upload.uid}-repair.csv"',
                "Cache-Control": "no-store",
                "Content-Security-Policy": "sandbox",
            },
        )
