"""OpenAPI: one problem schema for all errors, tags, and settings that a host can take over.

``SETTINGS`` is for drf-spectacular: our own schema view applies it for itself only, a host that
generates its own document may copy from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from claimkit import __version__
from claimkit_django.http.problems import MEDIA_TYPE, TYPES, Problem
from claimkit_django.http.versions import HEADER as API_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["SETTINGS", "TAGS", "FieldProblemSerializer", "KitSchema", "ProblemSerializer", "ours"]

#: Tag → what its operations are about.
TAGS = {
    "tenants": "The organizations that you are a member of.",
    "uploads": "Files of claims: send one, follow its progress, repair what was rejected.",
    "claims": "What is known of each claim, and sums per payer.",
    "drift": "What changed in how payers treat claims, since when, and how much money it is.",
    "meta": "The API itself: its root, its kinds of problems.",
}

SETTINGS: dict[str, Any] = {
    "TITLE": "claimkit",
    "DESCRIPTION": "Tells a revenue team early that a payer has changed how it treats claims.",
    "VERSION": __version__,
    "OAS_VERSION": "3.1.0",
    "TAGS": [{"name": name, "description": text} for name, text in TAGS.items()],
    "PREPROCESSING_HOOKS": ["claimkit_django.rest.schema.ours"],
    "COMPONENT_SPLIT_REQUEST": True,
    "SORT_OPERATION_PARAMETERS": False,
    "SERVE_INCLUDE_SCHEMA": False,
}


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
    """Adds what all of claimkit's operations share: tag, error responses, version header."""

    def get_tags(self) -> list[str]:
        """Return the view's ``tag``, or that of drf-spectacular."""
        tag = getattr(self.view, "tag", "")
        return [tag] if tag else super().get_tags()

    def get_response_serializers(self) -> Any:
        """Add the problems that the operation can answer to what the view declares."""
        declared: Any = super().get_response_serializers()
        method = self.method
        if not isinstance(declared, dict):
            declared = {"201" if self._is_create_operation() else "200": declared}
        problems = {(str(code), MEDIA_TYPE): self._problem(code) for code in self._statuses(method)}
        named = {str(key[0] if isinstance(key, tuple) else key) for key in declared}
        return {
            **declared,
            **{key: response for key, response in problems.items() if key[0] not in named},
        }

    def _statuses(self, method: str) -> Sequence[int]:
        statuses = [400, 401, 403, 406, 429, 500]
        if "{" in self.path or self.view.kwargs.get("uid"):
            statuses.append(404)
        if method in {"POST", "PUT", "PATCH"}:
            statuses += [413, 415]
        return sorted(statuses)

    @staticmethod
    def _problem(status: int) -> OpenApiResponse:
        kind = next(one for one in TYPES.values() if one.status == status)
        example = Problem.of(kind.code).body(None) | {
            "type": f"https://example.org/api/v1/problems/{kind.code}",
            "request_id": "0f9e6c1b4f6f4d0f8f6b5a4c3d2e1f00",
        }
        return OpenApiResponse(
            response=ProblemSerializer,
            description=kind.title,
            examples=[OpenApiExample(kind.code, value=example, media_type=MEDIA_TYPE)],
        )

    def get_override_parameters(self) -> list[Any]:
        """Describe the version header."""
        return [
            OpenApiParameter(
                name=API_VERSION,
                location=OpenApiParameter.HEADER,
                description="Which version of the API should answer; the current one by default.",
                required=False,
                type=str,
            )
        ]


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
