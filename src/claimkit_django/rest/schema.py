"""OpenAPI: one problem schema for all errors, tags, and settings that a host can take over.

``SETTINGS`` is for drf-spectacular: our own schema view applies it for itself only, a host that
generates its own document may copy from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.validators import RegexValidator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import force_instance
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
)
from rest_framework import serializers
from rest_framework.permissions import AllowAny

from claimkit import __version__
from claimkit_django.http import versions
from claimkit_django.http.problems import MEDIA_TYPE, TYPES, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "SETTINGS",
    "TAGS",
    "FieldProblemSerializer",
    "KitSchema",
    "ProblemSerializer",
    "operation",
    "ours",
]

#: Tag → what its operations are about.
TAGS = {
    "tenants": "The organizations that you are a member of.",
    "memberships": "Who else is a member, and in which role.",
    "tokens": "Secrets by which programs act as you.",
    "uploads": "Files of claims: send one, follow its progress, repair what was rejected.",
    "mappings": "Your own names for payers and procedure groups, in versions.",
    "templates": "How your known CSV exports are read; recognized by their header.",
    "claims": "What is known of each claim, and first decisions summed per payer.",
    "drift": "What changed in how payers treat claims, since when, and how much money it is.",
    "dashboard": "Figures of the whole tenant.",
    "alerts": "What people deal with, who is told of it, and what came of it.",
    "authorizations": "What payers allow until when, what was used of it, and when to ask again.",
    "reports": "What a week, a month or a quarter brought, to read, forward and schedule.",
    "exports": "Rows as files: ask for them, follow them, download them while they are there.",
    "automation": "What happens by itself, when, who is asked before, and what was done.",
    "webhooks": "Who is told what happened, and what was delivered to them.",
    "audit": "Who did what, in a trail that shows tampering.",
    "meta": "The API itself: its root, its kinds of problems.",
}

SETTINGS: dict[str, Any] = {
    "TITLE": "claimkit",
    "DESCRIPTION": "Tells a revenue team early that a payer has changed how it treats claims.",
    "VERSION": __version__,
    "OAS_VERSION": "3.1.0",
    "TAGS": [{"name": name, "description": text} for name, text in TAGS.items()],
    "ENUM_NAME_OVERRIDES": {
        # Two fields called "status"; said by value, because a room may not be installed.
        "UploadStatus": [
            (word, word.title())
            for word in ("queued", "processing", "success", "partial", "failed")
        ],
        "AlertState": [(word, word.title()) for word in ("open", "acknowledged", "resolved")],
        "ApprovalState": [("waiting", "Waits"), ("approved", "Approved"), ("rejected", "Rejected")],
        "WorkKind": [("task", "Task"), ("tag", "Tag"), ("hold", "Held for review")],
        "WarningKind": [("expiry", "Ends soon"), ("exhaustion", "Units run out")],
        "FindingState": [(word, word.title()) for word in ("open", "resolved", "accepted")],
        "Severity": [(word, word.title()) for word in ("low", "medium", "high", "critical")],
        "RunStatus": [(word, word.title()) for word in ("running", "success", "failed")],
    },
    "PREPROCESSING_HOOKS": ["claimkit_django.rest.schema.ours"],
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums"],
    "COMPONENT_SPLIT_REQUEST": True,
    "SORT_OPERATION_PARAMETERS": False,
    "SERVE_INCLUDE_SCHEMA": False,
}


#: Header → what it must look like; others are any text.
_HEADERS: dict[str, dict[str, Any]] = {
    versions.HEADER: {"type": "string", "enum": list(versions.SUPPORTED)},
    "Idempotency-Key": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": "^[!#-~]+$",
    },
    "If-Match": {"type": "string", "minLength": 1, "pattern": r'^(\*|"[!#-~]*")$'},
}
_REQUIRED = frozenset({"If-Match"})


#: What a text must hold one of. Written out: JSON Schema's `\\s` leaves out what Python strips too.
_NOT_BLANK = r"[^\s\x1c-\x1f\x85]"
_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
#: What no form can write, empty or nested; null neither.
_STRUCTURED = (serializers.ListField, serializers.DictField, serializers.BaseSerializer)
#: Where the schema of a text says more than how long it is.
_SAID = frozenset({"enum", "format", "pattern", "$ref", "allOf", "oneOf"})


class FieldProblemSerializer(serializers.Serializer[Any]):
    """What is wrong with one field, parameter or header."""

    code = serializers.CharField(help_text="Stable, snake_case.")
    detail = serializers.CharField(help_text="For people.")
    attr = serializers.CharField(
        allow_null=True, help_text="Dotted path of the field, or name of the parameter."
    )


class ProblemSerializer(serializers.Serializer[Any]):
    """An error (RFC 9457)."""

    type = serializers.CharField(help_text="URI that explains this kind of problem.")
    title = serializers.CharField(help_text="The same for every problem of the type.")
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What happened, and what to do about it.")
    code = serializers.CharField(help_text="Stable, snake_case.")
    request_id = serializers.CharField(
        allow_blank=True, help_text="Quote it to the operator; also in `X-Request-ID`."
    )
    errors = FieldProblemSerializer(many=True)  # type: ignore[assignment]


class KitSchema(AutoSchema):
    """Adds what all of claimkit's operations share: tag, headers, and problems for all errors."""

    def get_tags(self) -> list[str]:
        """Return the view's ``tag``, or that of drf-spectacular."""
        tag = getattr(self.view, "tag", "")
        return [tag] if tag else super().get_tags()

    def is_deprecated(self) -> bool:
        """Say so where the view does."""
        return bool(getattr(self.view, "deprecation", None)) or super().is_deprecated()

    def get_override_parameters(self) -> list[Any]:
        """Describe the request headers that the view reads."""
        return [
            OpenApiParameter(
                name=name,
                location=OpenApiParameter.HEADER,
                description=description,
                required=name in _REQUIRED,
                type=_HEADERS.get(name, {"type": "string"}),
            )
            for name, description in self._headers().items()
        ]

    def _map_serializer_field(self, field: Any, direction: Any, *more: Any) -> dict[str, Any]:
        # What DRF refuses and drf-spectacular does not tell: empty lists, and numbers without digits.
        told: dict[str, Any] = super()._map_serializer_field(  # type: ignore[no-untyped-call]
            field, direction, *more
        )
        takes_none = not getattr(field, "allow_empty", True)
        if direction == "request" and takes_none and told.get("type") == "array":
            told.setdefault("minItems", 1)
        if direction == "request" and _must_say_something(field) and told.keys().isdisjoint(_SAID):
            told["pattern"] = _NOT_BLANK
        if isinstance(field, serializers.DecimalField) and "pattern" in told:
            sign = "-?" if field.min_value is None or field.min_value < 0 else ""
            told["pattern"] = told["pattern"].replace(r"-?\d{0,", rf"{sign}\d{{1,")
        return told

    def map_parsers(self) -> list[str]:
        """Return the media types of bodies; forms only where a form can write every body."""
        told: list[str] = super().map_parsers()
        plain = [one for one in told if one not in _FORMS]
        asked = force_instance(self.get_request_serializer())  # type: ignore[no-untyped-call]
        is_formless = isinstance(asked, serializers.Serializer) and any(
            field.allow_null or isinstance(field, _STRUCTURED)
            for field in asked.fields.values()
            if not field.read_only
        )
        return plain if plain and is_formless else told

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        # Here and not in get_response_serializers(), which @extend_schema overrides.
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        if direction == "response":
            for status in self._statuses():
                bodies.setdefault(
                    str(status),
                    self._get_response_for_code(  # type: ignore[no-untyped-call]
                        _problem(status), str(status), [MEDIA_TYPE]
                    ),
                )
        return dict(sorted(bodies.items()))

    def _statuses(self) -> Sequence[int]:
        statuses = [400, 406, 429, 500]
        if AllowAny not in self.view.permission_classes:
            statuses += [401, 403]
        headers = self._headers()
        if "{" in self.path or "tenant" in str(headers).lower():
            statuses.append(404)
        if getattr(self.view, "conflicts", False):
            statuses.append(409)
        if self.method in {"POST", "PUT", "PATCH"}:
            statuses += [413, 415, 422]
        if "Idempotency-Key" in headers:
            statuses.append(409)
        if "If-Match" in headers:
            statuses += [409, 412, 428]
        statuses += getattr(self.view, "also_answers", {}).get(self.method, ())
        return statuses

    def _headers(self) -> dict[str, str]:
        view: Any = self.view
        headers: dict[str, str] = view.request_headers(self.method)
        return headers


def _must_say_something(field: Any) -> bool:
    """Whether a text of white space alone is refused: it is cut off, and nothing is left."""
    return (
        isinstance(field, serializers.CharField)
        and field.trim_whitespace
        and not field.allow_blank
        # Whose pattern drf-spectacular tells.
        and not any(isinstance(one, RegexValidator) for one in field.validators)
    )


def operation(**told: Any) -> Callable[[Any], Any]:
    """Describe an operation: ``extend_schema`` of drf-spectacular on top of :class:`KitSchema`.

    ``extend_schema`` on a method otherwise builds on the host's ``DEFAULT_SCHEMA_CLASS``.
    """

    def describe(method: Any) -> Any:
        method.schema = KitSchema
        return extend_schema(**told)(method)

    return describe


def _problem(status: int) -> OpenApiResponse:
    kind = next(one for one in TYPES.values() if one.status == status)
    example = Problem.of(kind.code).body(None) | {
        "type": f"https://example.org/api/v1/problems/{kind.code}/",
        "request_id": "0f9e6c1b4f6f4d0f8f6b5a4c3d2e1f00",
    }
    return OpenApiResponse(
        response=ProblemSerializer,
        description=kind.title,
        examples=[OpenApiExample(kind.code, value=example, media_type=MEDIA_TYPE)],
    )


def ours(
    endpoints: Sequence[tuple[str, str, str, Callable[..., Any]]], **kwargs: Any
) -> list[tuple[str, str, str, Callable[..., Any]]]:
    """Keep the endpoints whose views carry :class:`KitSchema`; the host's own are not ours to tell."""
    del kwargs
    return [
        one
        for one in endpoints
        if isinstance(getattr(getattr(one[3], "cls", None), "schema", None), KitSchema)
    ]
