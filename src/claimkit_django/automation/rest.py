"""Automation over HTTP: rules and what they would do, what waits, what was done, what is left."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, ClassVar

import django_filters
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Count, Max, Q
from django.http import Http404, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema_view,
)
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.renderers import BaseRenderer
from rest_framework.response import Response

from claimkit.errors import ApprovalConflict
from claimkit.types import TenantKey
from claimkit_django.automation.engine import approve, finish, reject
from claimkit_django.automation.models import Approval, Execution, Work
from claimkit_django.automation.packets import make_packet
from claimkit_django.rest.fields import TextField
from claimkit_django.rest.filters import Ordering, StrictFilterSet, refuse_unknown
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.problems import Conflict
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.runtime import plugins
from claimkit_django.tenants.directory import actor_of
from claimkit_django.tenants.rest import ANALYST_WRITES, READ, TenantRowsView
from claimkit_django.trail import record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rest_framework.request import Request

    from claimkit.tenants import Role

__all__ = ["ApprovalViewSet", "ExecutionViewSet", "WorkViewSet"]


class _AnyRenderer(BaseRenderer):
    """Lets any ``Accept`` pass; the view answers with the file itself."""

    media_type = "*/*"
    format = "file"
    charset = None

    def render(self, data: Any, *_args: Any, **_kwargs: Any) -> Any:
        """Return what the view wrote."""
        return data


def _links(name: str) -> LinksField:
    return LinksField(
        {
            "self": (f"automation-{name}-detail", {"uid": "uid"}),
            "collection": (f"automation-{name}-list", {}),
        }
    )


class ExecutionSerializer(serializers.ModelSerializer[Execution]):
    """One line of the log."""

    facts = serializers.DictField(read_only=True, help_text="What the rule saw.")
    _links = _links("execution")

    class Meta:
        model = Execution
        fields = (
            *("uid", "at", "rule", "rule_name", "action", "topic", "subject", "step", "result"),
            *("reason", "facts", "actor", "duration_ms", "_links"),
        )
        read_only_fields = fields


class ApprovalSerializer(serializers.ModelSerializer[Approval]):
    """What waits for a person, or waited."""

    facts = serializers.DictField(read_only=True, help_text="What the rule saw.")
    settings = serializers.DictField(read_only=True, help_text="Of the action.")
    state = serializers.ChoiceField(choices=Approval.State.choices, read_only=True)
    _links = _links("approval")

    class Meta:
        model = Approval
        fields = (
            *("uid", "asked_at", "rule", "rule_name", "action", "settings", "topic", "subject"),
            *("facts", "held", "state", "actor", "note", "decided_at", "_links"),
        )
        read_only_fields = fields


class NoteSerializer(serializers.Serializer[Any]):
    """Why."""

    note = TextField(max_length=500, required=False, default="", allow_blank=True)


class AnswersSerializer(serializers.Serializer[Any]):
    """What people said to one rule."""

    rule = serializers.CharField(help_text="Uid of the rule, which may be gone.")
    rule_name = serializers.CharField()
    waiting = serializers.IntegerField()
    approved = serializers.IntegerField()
    rejected = serializers.IntegerField()
    overruled = serializers.FloatField(
        allow_null=True, help_text="Share of the decided ones that were rejected."
    )
    last_at = serializers.DateTimeField(allow_null=True)


def _share(part: int, rest: int) -> float | None:
    return part / (part + rest) if part + rest else None


class WorkSerializer(serializers.ModelSerializer[Work]):
    """A task, a tag or a hold."""

    kind = serializers.ChoiceField(choices=Work.Kind.choices, read_only=True)
    _links = _links("work")

    class Meta:
        model = Work
        fields = (
            *("uid", "kind", "text", "topic", "subject", "rule", "rule_name", "due_on"),
            *("created_at", "done_at", "actor", "_links"),
        )
        read_only_fields = fields


class ExecutionFilters(StrictFilterSet):
    """What the log can be filtered by."""

    rule = django_filters.CharFilter(help_text="Uid of the rule, which may be gone.")
    result = django_filters.ChoiceFilter(choices=Execution.Result.choices)
    subject = django_filters.CharFilter()
    at_from = django_filters.IsoDateTimeFilter(field_name="at", lookup_expr="gte")
    at_to = django_filters.IsoDateTimeFilter(field_name="at", lookup_expr="lt")

    class Meta:
        model = Execution
        fields: ClassVar[list[str]] = []


class ApprovalFilters(StrictFilterSet):
    """What the queue can be filtered by."""

    state = django_filters.ChoiceFilter(choices=Approval.State.choices)
    rule = django_filters.CharFilter()

    class Meta:
        model = Approval
        fields: ClassVar[list[str]] = []


class WorkFilters(StrictFilterSet):
    """What work can be filtered by."""

    kind = django_filters.ChoiceFilter(choices=Work.Kind.choices)
    subject = django_filters.CharFilter()
    done = django_filters.BooleanFilter(field_name="done_at", lookup_expr="isnull", exclude=True)

    class Meta:
        model = Work
        fields: ClassVar[list[str]] = []


_SAW: dict[str, Any] = {
    "payer": "AETNA",
    "kind_of_change": "denial_rate",
    "severity": "high",
    "severity_rank": 2.0,
    "dollars_per_month": 48210.5,
    "age_days": 10.0,
}
_RULE: dict[str, Any] = {
    "rule": "aur_7m2r7x4t1nyc8b3f8k1d6z0q5v",
    "rule_name": "Dear ones",
    "topic": "drift.detected",
    "subject": "5f0c2a7d91",
}


def example(name: str, uid: str, /, **value: Any) -> list[OpenApiExample]:
    """Return the example of an object of the room."""
    where = f"/api/v1/automation/{name}/"
    whole = {"uid": uid, **value, "_links": {"self": f"{where}{uid}/", "collection": where}}
    return [OpenApiExample(name, value=whole, response_only=True, status_codes=["200", "201"])]


_EXECUTION = example(
    "executions",
    "axe_3f8k1d6z0q5v9m2r7x4t1nyc8b",
    **_RULE,
    at="2026-04-12T09:30:00Z",
    action="create_task",
    step=0,
    result="success",
    reason="",
    facts=_SAW,
    actor="",
    duration_ms=2,
)
_APPROVAL = example(
    "approvals",
    "apv_3f8k1d6z0q5v9m2r7x4t1nyc8b",
    **_RULE,
    asked_at="2026-04-12T09:30:00Z",
    action="create_task",
    settings={"text": "Call the payer", "due_days": 3},
    facts=_SAW,
    held=False,
    state="waiting",
    actor="",
    note="",
    decided_at=None,
)
_ANSWERS = OpenApiExample(
    "answers",
    value={
        "rule": _RULE["rule"],
        "rule_name": _RULE["rule_name"],
        "waiting": 1,
        "approved": 9,
        "rejected": 3,
        "overruled": 0.25,
        "last_at": "2026-04-12T09:30:00Z",
    },
    response_only=True,
    status_codes=["200"],
)
_WORK = example(
    "work",
    "wrk_3f8k1d6z0q5v9m2r7x4t1nyc8b",
    **_RULE,
    kind="task",
    text="Call the payer",
    due_on="2026-04-15",
    created_at="2026-04-12T09:30:00Z",
    done_at=None,
    actor="",
)


@extend_schema_view(
    list=operation(summary="List what rules did", examples=_EXECUTION),
    retrieve=operation(summary="Get a line of the log", examples=_EXECUTION),
)
class ExecutionViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet, TenantRowsView
):
    """The log: what ran, why, and how it ended; also of rules that are gone."""

    tag = "automation"
    model = Execution
    roles: ClassVar[Mapping[str, Role]] = READ
    serializer_class = ExecutionSerializer
    filterset_class = ExecutionFilters
    lookup_value_regex = "axe_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = {"at": Ordering(SortKey("at"), SortKey("id"))}
    default_ordering = "-at"


@extend_schema_view(
    list=operation(summary="List what waits for a person", examples=_APPROVAL),
    retrieve=operation(summary="Get what waits for a person", examples=_APPROVAL),
)
class ApprovalViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet, TenantRowsView):
    """What rules ask a person for, and who decided."""

    tag = "automation"
    model = Approval
    conflicts = True
    roles: ClassVar[Mapping[str, Role]] = ANALYST_WRITES
    serializer_class = ApprovalSerializer
    filterset_class = ApprovalFilters
    lookup_value_regex = "apv_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = {
        "asked_at": Ordering(SortKey("asked_at"), SortKey("id"))
    }
    default_ordering = "-asked_at"

    @operation(
        summary="Approve it",
        request=NoteSerializer,
        responses=ApprovalSerializer,
        examples=_APPROVAL,
    )
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, uid: str) -> Response:
        """Do it now, in your name; how it ended is in the log."""
        return self._answer(request, uid, approve)

    @operation(
        summary="Reject it",
        request=NoteSerializer,
        responses=ApprovalSerializer,
        examples=_APPROVAL,
    )
    @action(detail=True, methods=["post"])
    def reject(self, request: Request, uid: str) -> Response:
        """Say that it shall not be done."""
        return self._answer(request, uid, reject)

    @operation(
        summary="Say how often people overruled each rule",
        responses=AnswersSerializer(many=True),
        examples=[_ANSWERS],
    )
    @action(detail=False, methods=["get"], filter_backends=[], pagination_class=None)
    def answers(self, request: Request) -> Response:
        """Count what people said to each rule, the most overruled first: what to change, or to trust."""
        refuse_unknown(request, ())
        state = Approval.State
        told = (
            Approval.objects.order_by()
            .values("rule")
            .annotate(
                rule_name=Max("rule_name"),
                waiting=Count("pk", filter=Q(state=state.WAITING)),
                approved=Count("pk", filter=Q(state=state.APPROVED)),
                rejected=Count("pk", filter=Q(state=state.REJECTED)),
                last_at=Max("decided_at"),
            )
        )
        rows = [{**one, "overruled": _share(one["rejected"], one["approved"])} for one in told]
        rows.sort(key=lambda one: (-(one["overruled"] or 0), one["rule_name"]))
        return Response(AnswersSerializer(rows, many=True).data)

    def _answer(self, request: Request, uid: str, act: Callable[..., Approval]) -> Response:
        refuse_unknown(request, ())
        # First: what is wrong with a body must not tell whose it is.
        self.get_object()
        sent = NoteSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        try:
            row = act(
                uid,
                actor=actor_of(request.user),
                note=sent.validated_data["note"],
                using=DEFAULT_DB_ALIAS,
            )
        except ApprovalConflict as error:
            raise Conflict(str(error)) from None
        return Response(self.get_serializer(row).data)


@extend_schema_view(
    list=operation(summary="List work that rules left", examples=_WORK),
    retrieve=operation(summary="Get work that a rule left", examples=_WORK),
)
class WorkViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet, TenantRowsView):
    """Tasks, tags and holds, the latest first."""

    tag = "automation"
    model = Work
    roles: ClassVar[Mapping[str, Role]] = ANALYST_WRITES
    serializer_class = WorkSerializer
    filterset_class = WorkFilters
    lookup_value_regex = "wrk_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = {
        "created_at": Ordering(SortKey("created_at"), SortKey("id"))
    }
    default_ordering = "-created_at"

    @operation(
        summary="Say that it is done", request=None, responses=WorkSerializer, examples=_WORK
    )
    @action(detail=True, methods=["post"])
    def done(self, request: Request, uid: str) -> Response:
        """End a task, take off a tag, or let go what is held; again changes nothing.

        What waited for the hold is done now.
        """
        del uid
        refuse_unknown(request, ())
        found = self.get_object()
        row = finish(found.uid, actor=actor_of(request.user), using=DEFAULT_DB_ALIAS)
        return Response(self.get_serializer(row).data)

    @operation(
        operation_id="automation_work_packet",
        summary="Download the packet of an appeal",
        parameters=[
            OpenApiParameter("renderer", str, OpenApiParameter.PATH, description="Format.")
        ],
        responses={
            (200, one): OpenApiResponse(
                OpenApiTypes.BINARY,
                "The file.",
                examples=[OpenApiExample("a file", value="…", media_type=one)],
            )
            # Plugins bring renderers; first what clients know to keep.
            for one in ("application/octet-stream", "*/*")
        },
    )
    @action(
        detail=True,
        url_path=r"packet/(?P<renderer>[a-z0-9_-]{1,64})",
        # It names claims: not for viewers.
        roles=dict.fromkeys(READ, ANALYST_WRITES["POST"]),
        renderer_classes=[*ApiViewSet.renderer_classes, _AnyRenderer],
        filter_backends=[],
        pagination_class=None,
    )
    def packet(self, request: Request, uid: str, renderer: str) -> HttpResponse:
        """Make the letter of an appeal with its claims, reasons and evidence; it is kept nowhere."""
        refuse_unknown(request, ())
        work = self.get_object()
        known = plugins().renderers.get(renderer)
        report = None
        if known is not None:
            report = make_packet(
                work,
                tenant=TenantKey(self.tenant.key),
                name=self.tenant.name,
                using=DEFAULT_DB_ALIAS,
            )
        if known is None or report is None:
            raise Http404
        record(
            "appeal_packet.read",
            tenant_id=self.tenant.pk,
            target=uid,
            is_read=True,
            using=DEFAULT_DB_ALIAS,
        )
        body = io.BytesIO()
        known.render(report, body)
        return HttpResponse(
            body.getvalue(),
            content_type=known.media_type,
            headers={
                "Content-Disposition": f'attachment; filename="{uid}.{known.extension}"',
                "Cache-Control": "no-store",
                "Content-Security-Policy": "sandbox",
            },
        )
