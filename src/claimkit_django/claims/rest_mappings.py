"""Mappings over HTTP: a tenant's names for payers and procedure groups, in versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema_view
from rest_framework import exceptions, mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.response import Response

from claimkit.claims.mapping import Match, Subject
from claimkit.errors import MappingRefused
from claimkit.tenants import current_tenant
from claimkit_django.claims.mapping_table import rules_of
from claimkit_django.claims.mappings import (
    keep_rules,
    payer_suggestions,
    preview_rules,
    restore_version,
)
from claimkit_django.claims.models import MappingVersion
from claimkit_django.claims.tasks import queue_mapping
from claimkit_django.rest.fields import StrictTexts, TextField
from claimkit_django.rest.filters import Ordering, refuse_unknown
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.parsers import JSON_ONLY
from claimkit_django.rest.problems import Conflict
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.tenants.directory import actor_of
from claimkit_django.tenants.rest import ANALYST_WRITES, TenantRowsView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rest_framework.request import Request

    from claimkit.claims.mapping import MappingRule
    from claimkit.tenants import Role

__all__ = ["MappingViewSet"]

#: More rules than this are a price list, not a mapping.
_MAX_RULES = 5_000
#: Renamings that a preview shows, most statements first; the counts are of all.
_SHOWN = 200


class RuleSerializer(serializers.Serializer[Any]):
    """What matches `value` is called `target`."""

    subject = serializers.ChoiceField(choices=[one.value for one in Subject])
    match = serializers.ChoiceField(
        choices=[one.value for one in Match], help_text="`range` is for procedure codes."
    )
    value = TextField(
        max_length=200, help_text="A payer's name, its `namespace:id`, or a procedure code."
    )
    last = TextField(max_length=200, required=False, help_text="Last code of a range, included.")
    target = TextField(max_length=200)


class RulesSerializer(serializers.Serializer[Any]):
    """All rules of a mapping; what is not among them is no longer in force."""

    rules = serializers.ListField(
        child=RuleSerializer(), max_length=_MAX_RULES, help_text="May be empty: no rules at all."
    )
    note = TextField(max_length=200, required=False, help_text="Why, for colleagues.")


class MappingSerializer(StrictTexts, serializers.ModelSerializer[MappingVersion]):
    """One version of the tenant's rules."""

    rules = RuleSerializer(many=True, read_only=True)
    status = serializers.CharField(read_only=True, help_text="`queued`, `applied` or `failed`.")
    error = serializers.CharField(source="error_message", read_only=True)
    _links = LinksField(
        {
            "self": ("mapping-detail", {"uid": "uid"}),
            "collection": ("mapping-list", {}),
        }
    )

    class Meta:
        model = MappingVersion
        fields = (
            "uid",
            "number",
            "status",
            "note",
            "restores",
            "statements_changed",
            "claims_changed",
            "created_at",
            "finished_at",
            "error",
            "rules",
            "_links",
        )
        read_only_fields = fields


class RenamingSerializer(serializers.Serializer[Any]):
    """What would be called otherwise."""

    subject = serializers.CharField()
    value = serializers.CharField(help_text="As files state it.")
    before = serializers.CharField()
    after = serializers.CharField()
    statements = serializers.IntegerField()


class PreviewSerializer(serializers.Serializer[Any]):
    """What rules would change; nothing was written."""

    statements = serializers.IntegerField(help_text="Statements that would change, of all names.")
    names = serializers.IntegerField(help_text="Names that would change.")
    renamings = RenamingSerializer(many=True, help_text="The 200 with the most statements.")


class SuggestionSerializer(serializers.Serializer[Any]):
    """A payer that is probably another spelling of a better known one."""

    value = serializers.CharField()
    targets = serializers.ListField(child=serializers.CharField(), help_text="Nearest first.")
    statements = serializers.IntegerField()


class SuggestionsSerializer(serializers.Serializer[Any]):
    """Suggestions, most used first; nothing is ever merged without a person."""

    results = SuggestionSerializer(many=True)


_RULE = {"subject": "payer", "match": "exact", "value": "BLM", "target": "Blue Lake Mutual"}
_VERSION: dict[str, Any] = {
    "uid": "map_7r2c5m0k9v3t8x1q4w6y2b5d7f",
    "number": 3,
    "status": "applied",
    "note": "the clearinghouse shortens it",
    "restores": None,
    "statements_changed": 1204,
    "claims_changed": 1198,
    "created_at": "2026-04-12T14:05:00Z",
    "finished_at": "2026-04-12T14:05:02Z",
    "error": "",
    "rules": [_RULE],
    "_links": {
        "self": "/api/v1/mappings/map_7r2c5m0k9v3t8x1q4w6y2b5d7f/",
        "collection": "/api/v1/mappings/",
    },
}
_APPLIED = OpenApiExample("applied", value=_VERSION, response_only=True, status_codes=["200"])
_KEPT = OpenApiExample(
    "queued",
    value={
        **_VERSION,
        "status": "queued",
        "statements_changed": 0,
        "claims_changed": 0,
        "finished_at": None,
    },
    response_only=True,
    status_codes=["202"],
)
_ASKED = OpenApiExample("one rule", value={"rules": [_RULE]}, request_only=True)
_PREVIEWED = OpenApiExample(
    "preview",
    value={
        "statements": 1204,
        "names": 1,
        "renamings": [
            {
                "subject": "payer",
                "value": "BLM",
                "before": "BLM",
                "after": "Blue Lake Mutual",
                "statements": 1204,
            }
        ],
    },
    response_only=True,
    status_codes=["200"],
)
_SUGGESTED = OpenApiExample(
    "suggestions",
    value={
        "results": [{"value": "BLUE LAKE MUTAL", "targets": ["BLUE LAKE MUTUAL"], "statements": 17}]
    },
    response_only=True,
    status_codes=["200"],
)


@extend_schema_view(
    list=operation(summary="List versions of the mapping", examples=[_APPLIED]),
    retrieve=operation(summary="Get a version of the mapping", examples=[_APPLIED]),
)
class MappingViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet, TenantRowsView):
    """Versions of the tenant's rules, the latest first; the highest applied one is in force."""

    tag = "mappings"
    parser_classes = JSON_ONLY
    model = MappingVersion
    roles: ClassVar[Mapping[str, Role]] = ANALYST_WRITES
    #: Set where an action needs the row in some state; for the schema.
    conflicts = False
    serializer_class = MappingSerializer
    lookup_value_regex = "map_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = {"number": Ordering(SortKey("number"))}
    default_ordering = "-number"

    @operation(
        summary="Put rules in force",
        request=RulesSerializer,
        responses={202: MappingSerializer},
        examples=[_ASKED, _KEPT],
    )
    def create(self, request: Request) -> Response:
        """Keep rules as the next version and rename all claims, past and future, in a task.

        History and the drift cube change in one transaction, so that a new name never looks like
        a payer that changed.
        """
        refuse_unknown(request, ())
        rules, note = _asked(request)
        try:
            version = keep_rules(rules, note=note, actor=actor_of(request.user))
        except MappingRefused as error:
            raise _refused(error) from None
        return self._queued(version)

    @operation(
        summary="Try rules",
        request=RulesSerializer,
        responses={200: PreviewSerializer},
        examples=[_ASKED, _PREVIEWED],
    )
    @action(detail=False, methods=["post"], filter_backends=[], pagination_class=None)
    def preview(self, request: Request) -> Response:
        """Say what rules would rename in all that is known; writes nothing."""
        refuse_unknown(request, ())
        rules, _ = _asked(request)
        try:
            found = preview_rules(current_tenant(), rules)
        except MappingRefused as error:
            raise _refused(error) from None
        body = {
            "statements": sum(one.statements for one in found),
            "names": len(found),
            "renamings": [one._asdict() for one in found[:_SHOWN]],
        }
        return Response(PreviewSerializer(body).data)

    @operation(
        summary="Suggest rules",
        responses={200: SuggestionsSerializer},
        examples=[_SUGGESTED],
    )
    @action(detail=False, methods=["get"], filter_backends=[], pagination_class=None)
    def suggestions(self, request: Request) -> Response:
        """Return payers that look like another spelling of one that is better known."""
        refuse_unknown(request, ())
        found = payer_suggestions(current_tenant())
        return Response(SuggestionsSerializer({"results": found}).data)

    @operation(
        summary="Bring a version back",
        request=None,
        responses={202: MappingSerializer},
        examples=[_KEPT],
    )
    @action(
        detail=True, methods=["post"], filter_backends=[], pagination_class=None, conflicts=True
    )
    def restore(self, request: Request, uid: str) -> Response:  # noqa: ARG002
        """Put the rules of an earlier version in force again, as a further version."""
        refuse_unknown(request, ())
        earlier = self.get_object()
        if earlier.status != MappingVersion.Status.APPLIED:
            raise Conflict("this version was never in force")
        return self._queued(restore_version(earlier.number, actor=actor_of(request.user)))

    def _queued(self, version: MappingVersion) -> Response:
        queue_mapping(version)
        body = self.get_serializer(version).data
        return Response(
            body,
            status=status.HTTP_202_ACCEPTED,
            headers={"Location": body["_links"]["self"], "Cache-Control": "no-store"},
        )


def _asked(request: Request) -> tuple[list[MappingRule], str]:
    sent = RulesSerializer(data=request.data)
    sent.is_valid(raise_exception=True)
    return rules_of(sent.validated_data["rules"]), sent.validated_data.get("note", "")


def _refused(error: MappingRefused) -> exceptions.ValidationError:
    return exceptions.ValidationError({"rules": [str(error)]}, code=error.code)
