"""What the API says about itself: its root, and what each kind of problem means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.utils.html import format_html
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    inline_serializer,
)
from rest_framework import exceptions, serializers
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.response import Response

from claimkit_django.http.problems import TYPES
from claimkit_django.http.versions import CURRENT
from claimkit_django.rest.filters import refuse_unknown
from claimkit_django.rest.links import link, may_follow
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiView

if TYPE_CHECKING:
    from collections.abc import Callable

    from rest_framework.request import Request

    from claimkit.tenants import Role

__all__ = ["NotHereView", "ProblemTypeView", "RootView"]

#: App → names of the listings that it adds to the root.
_LISTINGS = {
    "claimkit_django.tenants": {"tenants": "tenant-list", "memberships": "membership-list"},
    "claimkit_django.accounts": {"tokens": "token-list"},
    "claimkit_django.claims": {
        "uploads": "upload-list",
        "claims": "claim-list",
        "mappings": "mapping-list",
        "mapping_suggestions": "mapping-suggestions",
        "templates": "template-list",
    },
    "claimkit_django.drift": {
        "dashboard": "dashboard",
        "payer_summary": "claim-payer-summary",
        "active_drift": "drift-active",
        "drift_settings": "drift-settings",
        "watched_payers": "drift-payers",
        "contracts": "contract-list",
        "findings": "finding-list",
        "runs": "run-list",
        "backtests": "backtest-list",
        "risk_calibration": "drift-risk-calibration",
    },
    "claimkit_django.alerts": {
        "alerts": "alert-list",
        "alert_channels": "alert-channel-list",
        "alert_routes": "alert-route-list",
        "alert_rules": "alert-rule-list",
        "alert_digests": "alert-digest-list",
        "alert_silences": "alert-silence-list",
        "recoveries": "alert-recoveries",
    },
    "claimkit_django.authorizations": {
        "authorizations": "authorization-list",
        "authorization_imports": "authorization-import-list",
        "authorization_lead_times": "authorization-lead-time-list",
        "authorization_calendar": "authorization-calendar",
    },
    "claimkit_django.reports": {
        "reports": "report-list",
        "report_schedules": "report-schedule-list",
        "exports": "export-list",
        "export_sources": "export-sources",
    },
    "claimkit_django.automation": {
        "automation_rules": "automation-rule-list",
        "automation_executions": "automation-execution-list",
        "automation_approvals": "automation-approval-list",
        "automation_answers": "automation-approval-answers",
        "automation_work": "automation-work-list",
    },
    "claimkit_django.webhooks": {
        "webhook_endpoints": "webhook-endpoint-list",
        "webhook_deliveries": "webhook-delivery-list",
        "webhook_event_types": "webhook-event-type-list",
    },
    "claimkit_django.audit": {"audit": "audit-list"},
}


class RootView(ApiView):
    """Where a client starts."""

    permission_classes = (AllowAny,)
    tag = "meta"
    #: Tells in which role the caller is in their tenant; None where they are in none yet.
    role_in: Callable[[Request], Role | None] | None = None

    @operation(
        operation_id="root",
        summary="List what there is",
        responses=inline_serializer(
            "Root",
            {
                "version": serializers.CharField(),
                "_links": serializers.DictField(child=serializers.CharField()),
            },
        ),
        examples=[
            OpenApiExample(
                "root",
                value={"version": CURRENT, "_links": {"uploads": "/api/v1/uploads/"}},
                response_only=True,
                status_codes=["200"],
            )
        ],
    )
    def get(self, request: Request) -> Response:
        """Return the current version and a link to every listing that you may read."""
        refuse_unknown(request, ())
        names = {"self": "root", "schema": "schema", "swagger_ui": "swagger-ui", "redoc": "redoc"}
        for app, listings in _LISTINGS.items():
            if apps.is_installed(app):
                names |= listings
        role = self.role_in(request) if self.role_in else None
        links = {
            name: link(request, target)
            for name, target in names.items()
            if may_follow(request, target, role)
        }
        return Response({"version": CURRENT, "_links": links})


class ProblemPageRenderer(BaseRenderer):
    """The same for people who follow the link in a browser."""

    media_type = "text/html"
    format = "html"
    charset = "utf-8"

    def render(self, data: Any, *_args: Any, **_kwargs: Any) -> str:
        """Return a page that loads nothing; a description of the view is told as it is."""
        if "remedy" not in data:
            return format_html("<!doctype html><html lang=en><pre>{}</pre></html>", str(data))
        return format_html(
            "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
            "<h1>{title}</h1><p>{remedy}</p><p><code>{code}</code>, HTTP {status}</p></html>",
            **data,
        )


class ProblemTypeView(ApiView):
    """Where the ``type`` of a problem leads: data for clients, a page for people."""

    renderer_classes = (JSONRenderer, ProblemPageRenderer)

    permission_classes = (AllowAny,)
    tag = "meta"
    cache_control = "public, max-age=86400"

    @operation(
        operation_id="problem_types_retrieve",
        summary="Explain a kind of problem",
        parameters=[OpenApiParameter("code", str, OpenApiParameter.PATH, enum=sorted(TYPES))],
        responses={
            (200, "application/json"): inline_serializer(
                "ProblemType",
                {
                    "code": serializers.CharField(),
                    "status": serializers.IntegerField(),
                    "title": serializers.CharField(),
                    "remedy": serializers.CharField(),
                },
            ),
            (200, "text/html"): OpenApiResponse(
                str, examples=[OpenApiExample("page", value="<!doctype html>…")]
            ),
        },
        examples=[
            OpenApiExample(
                "not_found",
                value={
                    "code": "not_found",
                    "status": 404,
                    "title": TYPES["not_found"].title,
                    "remedy": TYPES["not_found"].remedy,
                },
                response_only=True,
                status_codes=["200"],
            )
        ],
    )
    def get(self, request: Request, code: str) -> Response:
        """Return what the kind of problem means and what to do about it."""
        refuse_unknown(request, ())
        if code not in TYPES:
            raise exceptions.NotFound("no kind of problem has this code")
        kind = TYPES[code]
        return Response(
            {
                "code": kind.code,
                "status": kind.status,
                "title": kind.title,
                "remedy": kind.remedy,
            }
        )


class NotHereView(ApiView):
    """Answers every address under the API's root that nothing else answers."""

    permission_classes = (AllowAny,)
    schema = None

    def initial(self, *_args: Any, **_kwargs: Any) -> None:
        """Refuse, whatever the method: an address that is not there has no methods."""
        raise exceptions.NotFound
