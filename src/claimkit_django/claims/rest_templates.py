"""CSV templates over HTTP: how a known export is read, recognized by its header."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db import IntegrityError, transaction
from drf_spectacular.utils import OpenApiExample, extend_schema_view
from rest_framework import exceptions, mixins, serializers

from claimkit.claims.columns import FIELDS
from claimkit.claims.templates import check_template
from claimkit.errors import ClaimkitError
from claimkit_django.claims.intake import template_of
from claimkit_django.claims.models import CsvTemplate
from claimkit_django.rest.fields import StrictTexts, TextField
from claimkit_django.rest.filters import Ordering
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.parsers import JSON_ONLY
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.tenants.directory import actor_of
from claimkit_django.tenants.rest import ANALYST_WRITES, TenantRowsView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from claimkit.tenants import Role

__all__ = ["CsvTemplateViewSet"]


def _text() -> serializers.CharField:
    return TextField(max_length=200)


class CsvTemplateSerializer(StrictTexts, serializers.ModelSerializer[CsvTemplate]):
    """How exports with one header are read."""

    header = serializers.ListField(
        child=_text(), allow_empty=False, max_length=500, help_text="Column names of the export."
    )
    columns = serializers.DictField(
        child=serializers.ChoiceField(choices=list(FIELDS)),
        required=False,
        help_text="Column name → field, where the name alone does not say it.",
    )
    nulls = serializers.ListField(
        child=_text(), required=False, max_length=50, help_text="Texts that mean `no value`."
    )
    _links = LinksField(
        {"self": ("template-detail", {"uid": "uid"}), "collection": ("template-list", {})}
    )

    class Meta:
        model = CsvTemplate
        fields = (
            "uid",
            "name",
            "header",
            "columns",
            "date_order",
            "nulls",
            "created_at",
            "changed_at",
            "_links",
        )
        read_only_fields = ("uid", "created_at", "changed_at")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a template with which no file could be read."""
        row = CsvTemplate(
            **{
                name: attrs.get(name, getattr(self.instance, name, default))
                for name, default in (
                    ("name", ""),
                    ("header", []),
                    ("columns", {}),
                    ("date_order", ""),
                    ("nulls", []),
                )
            }
        )
        try:
            check_template(template_of(row))
        except ClaimkitError as error:
            raise exceptions.ValidationError({"columns": [str(error)]}, code=error.code) from None
        return attrs


_TEMPLATE: dict[str, Any] = {
    "uid": "tpl_7r2c5m0k9v3t8x1q4w6y2b5d7f",
    "name": "Northside monthly export",
    "header": ["Acct", "Plan Nm", "CPT", "Svc Dt", "Tot Chg", "Pd", "Pd Dt"],
    "columns": {
        "Acct": "claim_id",
        "Plan Nm": "payer_name",
        "Svc Dt": "service_date",
        "Tot Chg": "billed",
        "Pd": "paid",
        "Pd Dt": "paid_date",
    },
    "date_order": "mdy",
    "nulls": ["n/a"],
    "created_at": "2026-04-12T14:05:00Z",
    "changed_at": "2026-04-12T14:05:00Z",
    "_links": {
        "self": "/api/v1/templates/tpl_7r2c5m0k9v3t8x1q4w6y2b5d7f/",
        "collection": "/api/v1/templates/",
    },
}
_SENT = {name: _TEMPLATE[name] for name in ("name", "header", "columns", "date_order", "nulls")}
_ONE = OpenApiExample("template", value=_TEMPLATE, response_only=True, status_codes=["200", "201"])
_ASKED = OpenApiExample("template sent", value=_SENT, request_only=True)


@extend_schema_view(
    list=operation(summary="List CSV templates", examples=[_ONE]),
    retrieve=operation(summary="Get a CSV template", examples=[_ONE]),
    create=operation(summary="Save a CSV template", examples=[_ASKED, _ONE]),
    update=operation(summary="Replace a CSV template", examples=[_ASKED, _ONE]),
    partial_update=operation(summary="Change a CSV template", examples=[_ASKED, _ONE]),
    destroy=operation(summary="Remove a CSV template"),
)
class CsvTemplateViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.CreateModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    ApiViewSet,
    TenantRowsView,
):
    """How known exports are read; a file is recognized by its header."""

    tag = "templates"
    parser_classes = JSON_ONLY
    model = CsvTemplate
    roles: ClassVar[Mapping[str, Role]] = ANALYST_WRITES
    serializer_class = CsvTemplateSerializer
    lookup_value_regex = "tpl_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = {"name": Ordering(SortKey("name"), SortKey("id"))}
    default_ordering = "name"

    def perform_create(self, serializer: serializers.BaseSerializer[Any]) -> None:
        """Save a template under a name that is free."""
        self._save(serializer, actor=actor_of(self.request.user))

    def perform_update(self, serializer: serializers.BaseSerializer[Any]) -> None:
        """Save a template under its name or another one that is free."""
        self._save(serializer)

    @staticmethod
    def _save(serializer: serializers.BaseSerializer[Any], **values: Any) -> None:
        try:
            with transaction.atomic():
                serializer.save(**values)
        except IntegrityError:
            taken = "there is a template of this name"
            raise exceptions.ValidationError({"name": [taken]}, code="unique") from None
