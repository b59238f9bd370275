"""Reports over HTTP: ask for the report of a period, follow it, download it in each format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import django_filters
from django.http import FileResponse, Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema_field,
    extend_schema_view,
)
from rest_framework import exceptions, mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.renderers import BaseRenderer
from rest_framework.response import Response

from claimkit.errors import ClaimkitError
from claimkit.reports.document import ValueKind
from claimkit.reports.periods import Period, PeriodKind, period_of
from claimkit.types import from_cents
from claimkit_django.reports.downloads import file_answer, report_name
from claimkit_django.reports.models import ReportFile, ReportMail, ReportRun
from claimkit_django.reports.rest_numbers import NumbersMixin
from claimkit_django.reports.runs import ask_report
from claimkit_django.reports.tasks import queue_report
from claimkit_django.rest.fields import TextField
from claimkit_django.rest.filters import Ordering, StrictFilterSet, refuse_unknown
from claimkit_django.rest.links import LinksField, link
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.tenants.directory import actor_of
from claimkit_django.tenants.rest import ANALYST_WRITES, TenantRowsView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet
    from rest_framework.request import Request

    from claimkit.tenants import Role

__all__ = [
    "ERROR_SCHEMA",
    "FileRenderer",
    "ReportViewSet",
    "error_field",
    "file_of",
    "formats_field",
    "recipients_field",
    "refused",
]

#: What a renderer's file may be, since plugins bring renderers; first what clients know to keep.
_ANY_FILE = ("application/octet-stream", "*/*")
#: A mailing list is the better way from here on.
_MOST_RECIPIENTS = 50


def file_of(media_type: str) -> OpenApiResponse:
    """Describe a download."""
    return OpenApiResponse(
        OpenApiTypes.BINARY,
        "The file.",
        examples=[OpenApiExample(media_type, value="…", media_type=media_type)],
    )


class FileRenderer(BaseRenderer):
    """Lets any ``Accept`` pass; the view answers with the file itself."""

    media_type = "*/*"
    format = "file"
    charset = None

    def render(self, data: Any, *_args: Any, **_kwargs: Any) -> Any:
        """Return what the view wrote."""
        return data


def formats_field(**more: Any) -> serializers.ListField:
    """Return the field for names of renderers; those that are not there are refused by the verb."""
    return serializers.ListField(
        child=TextField(max_length=64),
        allow_empty=False,
        max_length=12,
        help_text="Formats, such as html, pdf, xlsx, csv, json and markdown.",
        **more,
    )


def recipients_field() -> serializers.ListField:
    """Return the field for mail addresses."""
    return serializers.ListField(
        child=serializers.EmailField(),
        required=False,
        max_length=_MOST_RECIPIENTS,
        help_text="Mail addresses that get it; admins choose them.",
    )


def error_field(row: Any) -> dict[str, str] | None:
    """Return why a failed run failed."""
    if not row.error_code:
        return None
    return {"code": row.error_code, "detail": row.error_message}


#: JSON Schema of :func:`error_field`.
ERROR_SCHEMA = {
    "type": ["object", "null"],
    "required": ["code", "detail"],
    "properties": {"code": {"type": "string"}, "detail": {"type": "string"}},
}


def refused(name: str, error: ClaimkitError) -> exceptions.ValidationError:
    """Return an error of ours as one about a field of the request."""
    return exceptions.ValidationError({name: [exceptions.ErrorDetail(str(error), error.code)]})


class ReportFilters(StrictFilterSet):
    """What reports can be filtered by."""

    kind = django_filters.ChoiceFilter(choices=[(one.value, one.value) for one in PeriodKind])
    status = django_filters.ChoiceFilter(choices=ReportRun.Status.choices)

    class Meta:
        model = ReportRun
        fields: ClassVar[list[str]] = []


class ReportAskSerializer(serializers.Serializer[Any]):
    """The report of which period, in which formats."""

    kind = serializers.ChoiceField(choices=[one.value for one in PeriodKind])
    first = serializers.DateField(
        help_text="First day of a custom period; else any day of the week, month or quarter."
    )
    last = serializers.DateField(required=False, help_text="Last day of a custom period.")
    formats = formats_field(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Make the period, or say what is wrong with it."""
        kind = PeriodKind(attrs["kind"])
        if (kind is PeriodKind.CUSTOM) != ("last" in attrs):
            raise exceptions.ValidationError(
                {"last": ["A custom period has a last day, and no other period has."]},
                code="inconsistent",
            )
        try:
            attrs["period"] = (
                Period(kind=kind, first=attrs["first"], last=attrs["last"])
                if kind is PeriodKind.CUSTOM
                else period_of(kind, attrs["first"])
            )
        except ClaimkitError as error:
            raise refused("first", error) from None
        return attrs


class ReportFileSerializer(serializers.ModelSerializer[ReportFile]):
    """The report in one format."""

    format = serializers.CharField(source="renderer")
    href = serializers.SerializerMethodField(help_text="Where to download it.")

    class Meta:
        model = ReportFile
        fields = ("format", "media_type", "bytes", "sha256", "href")
        read_only_fields = fields

    def get_href(self, file: ReportFile) -> str:
        """Return the address of the download."""
        return link(
            self.context["request"], "report-file", uid=file.run.uid, renderer=file.renderer
        )


class ReportMailSerializer(serializers.ModelSerializer[ReportMail]):
    """One mailbox, and whether it got the report."""

    #: Words, not choices: the schema would name two enumerations "status" by chance.
    status = serializers.CharField(help_text="pending, sent, refused, failed or bounced.")

    class Meta:
        model = ReportMail
        fields = ("address", "status", "attempts", "reason", "sent_at")
        read_only_fields = fields


class ReportSerializer(serializers.ModelSerializer[ReportRun]):
    """The report of one period and how far it is."""

    kind = serializers.CharField(help_text="weekly, monthly, quarterly or custom.")
    status = serializers.CharField(help_text="queued, running, success or failed.")
    error = serializers.SerializerMethodField()
    _links = LinksField(
        {
            "self": ("report-detail", {"uid": "uid"}),
            "collection": ("report-list", {}),
            "numbers": ("report-numbers", {"uid": "uid"}),
        }
    )

    class Meta:
        model = ReportRun
        fields = (
            *("uid", "kind", "first", "last", "status", "headline", "content_hash"),
            *("created_at", "finished_at", "error", "_links"),
        )
        read_only_fields = fields

    @extend_schema_field(ERROR_SCHEMA)
    def get_error(self, run: ReportRun) -> dict[str, str] | None:
        """Return why a failed report failed."""
        return error_field(run)


class ComparedFigureSerializer(serializers.Serializer[Any]):
    """One figure of both reports."""

    label = serializers.CharField()  # type: ignore[assignment]
    kind = serializers.CharField(help_text="money, share, count or days.")
    value = serializers.CharField(
        allow_null=True, help_text="Dollars with cents, a share from 0 to 1, or a number."
    )
    before = serializers.CharField(allow_null=True)


class ComparisonSerializer(serializers.Serializer[Any]):
    """What is different from the report of the period before."""

    report = serializers.CharField(help_text="Identifier of that report; empty if there is none.")
    came = serializers.ListField(child=serializers.CharField(), help_text="New findings.")
    went = serializers.ListField(child=serializers.CharField(), help_text="No longer so.")
    at_risk_per_month = serializers.CharField(allow_null=True)
    at_risk_per_month_before = serializers.CharField(allow_null=True)
    figures = ComparedFigureSerializer(many=True)


class ReportDetailSerializer(ReportSerializer):
    """A report with its files, who got it, and what is different from the one before."""

    files = serializers.SerializerMethodField()
    mails = serializers.SerializerMethodField()
    compared = serializers.SerializerMethodField()
    up_to = serializers.SerializerMethodField()

    class Meta(ReportSerializer.Meta):
        fields = (  # type: ignore[assignment]
            *ReportSerializer.Meta.fields,
            *("files", "mails", "compared", "up_to"),
        )
        read_only_fields = fields  # type: ignore[assignment]

    @extend_schema_field(ReportFileSerializer(many=True))
    def get_files(self, run: ReportRun) -> Any:
        """Return each format."""
        rows = ReportFile.objects.filter(run=run).select_related("run")
        return ReportFileSerializer(rows, many=True, context=self.context).data

    @extend_schema_field(ReportMailSerializer(many=True))
    def get_mails(self, run: ReportRun) -> Any:
        """Return each mailbox."""
        return ReportMailSerializer(ReportMail.objects.filter(run=run), many=True).data

    @extend_schema_field(ComparisonSerializer(allow_null=True))
    def get_compared(self, run: ReportRun) -> Any:
        """Return the comparison; null until the report is made."""
        if not run.changes:
            return None
        risk = [
            run.changes.get(name, {}).get("At risk a month")
            for name in ("figures", "figures_before")
        ]
        money = [None if one is None else str(from_cents(one)) for one in risk]
        return {
            "report": run.changes["compared_with"],
            "came": run.changes["came"],
            "went": run.changes["went"],
            "at_risk_per_month": money[0],
            "at_risk_per_month_before": money[1],
            "figures": _compared_figures(run.changes),
        }

    @extend_schema_field(serializers.DateField(allow_null=True))
    def get_up_to(self, run: ReportRun) -> str | None:
        """Return the day up to which it tells; null where the period had ended."""
        up_to: str | None = run.changes.get("up_to")
        return up_to


def _compared_figures(changes: Mapping[str, Any]) -> list[dict[str, str | None]]:
    """Return figures of both reports; none where there is no report of the period before."""
    before = changes.get("figures_before", {})
    return [
        {
            "label": label,
            "kind": kind,
            "value": _written(changes["figures"].get(label), kind),
            "before": _written(before[label], kind),
        }
        for label, kind in changes.get("kinds", {}).items()
        if label in before
    ]


def _written(value: float | None, kind: str) -> str | None:
    if value is None:
        return None
    return str(from_cents(int(value)) if kind == ValueKind.MONEY else value)


_UID = "rpt_7r2c5m0k9v3t8x1q4w6y2b5d7f"
_REPORT: dict[str, Any] = {
    "uid": _UID,
    "kind": "monthly",
    "first": "2026-03-01",
    "last": "2026-03-31",
    "status": "success",
    "headline": "1 payer treats your claims worse than before: about $48,000 a month.",
    "content_hash": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "created_at": "2026-04-01T10:00:00Z",
    "finished_at": "2026-04-01T10:00:02Z",
    "error": None,
    "_links": {
        "self": f"/api/v1/reports/{_UID}/",
        "collection": "/api/v1/reports/",
        "numbers": f"/api/v1/reports/{_UID}/numbers/",
    },
}
_MORE: dict[str, Any] = {
    "files": [
        {
            "format": "pdf",
            "media_type": "application/pdf",
            "bytes": 64997,
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "href": f"/api/v1/reports/{_UID}/files/pdf/",
        }
    ],
    "mails": [
        {
            "address": "cfo@example.org",
            "status": "sent",
            "attempts": 1,
            "reason": "",
            "sent_at": "2026-04-01T10:00:04Z",
        }
    ],
    "compared": {
        "report": "rpt_1q4w6y2b5d7f7r2c5m0k9v3t8x",
        "came": ["Aetna denies 21 % of MRI claims instead of 8 % since March 2, 2026."],
        "went": [],
        "at_risk_per_month": "48210.00",
        "at_risk_per_month_before": "0.00",
        "figures": [
            {
                "label": "Denial rate",
                "kind": "share",
                "value": "0.4",
                "before": "0.08",
            }
        ],
    },
    "up_to": None,
}
_ONE = OpenApiExample("made", value=_REPORT, response_only=True, status_codes=["200"])
_WHOLE = OpenApiExample(
    "made", value={**_REPORT, **_MORE}, response_only=True, status_codes=["200"]
)
_QUEUED = OpenApiExample(
    "queued",
    value={
        **_REPORT,
        "status": "queued",
        "headline": "",
        "content_hash": "",
        "finished_at": None,
        "files": [],
        "mails": [],
        "compared": None,
        "up_to": None,
    },
    response_only=True,
    status_codes=["202"],
)


@extend_schema_view(
    list=operation(summary="List reports", examples=[_ONE]),
    retrieve=operation(summary="Follow a report and read its figures", examples=[_WHOLE]),
)
class ReportViewSet(
    NumbersMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet, TenantRowsView
):
    """Reports of periods, the latest period first."""

    tag = "reports"
    validated_by = ("reports",)
    model = ReportRun
    roles: ClassVar[Mapping[str, Role]] = ANALYST_WRITES
    filterset_class = ReportFilters
    lookup_value_regex = "rpt_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = {"last": Ordering(SortKey("last"), SortKey("id"))}
    default_ordering = "-last"

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        """Return the short form for lists."""
        return ReportSerializer if self.action == "list" else ReportDetailSerializer

    def get_queryset(self) -> QuerySet[Any]:
        """Leave what differs in the database where it is not shown."""
        rows = super().get_queryset()
        return rows.defer("changes") if self.action == "list" else rows

    @operation(
        summary="Make the report of a period",
        request=ReportAskSerializer,
        responses={202: ReportDetailSerializer},
        examples=[
            _QUEUED,
            OpenApiExample(
                "March",
                value={"kind": "monthly", "first": "2026-03-01", "formats": ["pdf", "xlsx"]},
                request_only=True,
            ),
        ],
    )
    def create(self, request: Request) -> Response:
        """Queue a report; `Location` says where to follow it.

        A report that was made is made again, under the same identifier; its files stay until then.
        """
        refuse_unknown(request, ())
        asked = ReportAskSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            run, must_start = ask_report(
                asked.validated_data["period"],
                formats=asked.validated_data.get("formats", ["html"]),
                actor=actor_of(request.user),
            )
        except ClaimkitError as error:
            raise refused("formats", error) from None
        if must_start:
            queue_report(run)
            run.refresh_from_db()
        body = self.get_serializer(run).data
        return Response(
            body,
            status=status.HTTP_202_ACCEPTED,
            headers={"Location": body["_links"]["self"], "Cache-Control": "no-store"},
        )

    @operation(
        operation_id="reports_files_retrieve",
        summary="Download a report",
        parameters=[
            OpenApiParameter("renderer", str, OpenApiParameter.PATH, description="Format.")
        ],
        responses={(200, one): file_of(one) for one in _ANY_FILE},
    )
    @action(
        detail=True,
        url_path=r"files/(?P<renderer>[a-z0-9_-]{1,64})",
        url_name="file",
        renderer_classes=[*ApiViewSet.renderer_classes, FileRenderer],
        filter_backends=[],
        pagination_class=None,
        # Not kept by browsers, so there is nothing to validate.
        validated_by=(),
    )
    def file(self, request: Request, uid: str, renderer: str) -> FileResponse:  # noqa: ARG002
        """Return the report in one format, as it was last made."""
        refuse_unknown(request, ())
        run = self.get_object()
        found = ReportFile.objects.filter(run=run, renderer=renderer).first()
        if found is None:
            raise Http404("the report was not made in this format")
        return file_answer(found, report_name(run, renderer), found.media_type)
