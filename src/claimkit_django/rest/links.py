"""Links of a resource to itself and to what belongs to it: ``_links``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest
    from rest_framework.request import Request

__all__ = ["LinksField", "link"]


def link(request: Request | HttpRequest, name: str, **kwargs: Any) -> str:
    """Return the path of a named claimkit address, in the namespace that the request came by.

    Paths, not URLs: a forged ``Host`` header must not come back as a link.
    """
    match = request.resolver_match
    namespace = match.namespace if match else "claimkit"
    return reverse(f"{namespace}:{name}" if namespace else name, kwargs=kwargs or None)


@extend_schema_field(
    {"type": "object", "additionalProperties": {"type": "string", "format": "uri-reference"}}
)
class LinksField(serializers.Field[Any, Any, Any, Any]):
    """Read-only ``_links``.

    Args:
        targets: Relation → name of the address and its arguments, each with the dotted path from
            the instance to what fills it, such as ``{"self": ("upload-detail", {"uid": "uid"})}``.
    """

    def __init__(self, targets: Mapping[str, tuple[str, Mapping[str, str]]], **kwargs: Any) -> None:
        super().__init__(source="*", read_only=True, **kwargs)
        self.targets = targets

    def to_representation(self, value: Any) -> dict[str, str]:
        """Return the paths that resolve for ``value``."""
        request = self.context["request"]
        return {
            relation: link(
                request, name, **{arg: _read(value, path) for arg, path in arguments.items()}
            )
            for relation, (name, arguments) in self.targets.items()
        }


def _read(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    return value() if callable(value) else value
