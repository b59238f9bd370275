"""Links of a resource to itself and to what belongs to it: ``_links``.

A link that the caller's role may not follow is not told: whoever walks gets no 403.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.urls import URLPattern, get_resolver, get_urlconf, reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from claimkit.tenants import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.http import HttpRequest
    from django.urls import URLResolver
    from rest_framework.request import Request

__all__ = ["LinksField", "link", "may_follow"]

#: What every row is known by outside; nothing of it is quoted in a path.
_UID = re.compile(r"[a-z]{3}_[0-9a-z]{1,28}")


def link(request: Request | HttpRequest, name: str, **kwargs: Any) -> str:
    """Return the path of a named claimkit address, in the namespace that the request came by.

    Paths, not URLs: a forged ``Host`` header must not come back as a link.
    """
    namespace = _namespace(request)
    return reverse(f"{namespace}:{name}" if namespace else name, kwargs=kwargs or None)


def may_follow(request: Request | HttpRequest, name: str, role: Role | None) -> bool:
    """Whether a member in this role may read what the named claimkit address leads to.

    With no role, because nobody signed in or no tenant is chosen yet, nothing is held back.
    """
    if role is None:
        return True
    urlconf = get_urlconf() or settings.ROOT_URLCONF
    needed = _least_role(urlconf, _namespace(request), name)
    return needed is None or role.includes(needed)


def _namespace(request: Request | HttpRequest) -> str:
    match = request.resolver_match
    return match.namespace if match else "claimkit"


@lru_cache(maxsize=1_024)
def _least_role(urlconf: str, namespace: str, name: str) -> Role | None:
    """Return the role that a read of the address takes; None where it asks for none."""
    resolver = get_resolver(urlconf)
    for part in filter(None, namespace.split(":")):
        resolver = resolver.namespace_dict[part][1]
    view: Any = _find(resolver, name)
    roles = getattr(view, "initkwargs", {}).get("roles") or getattr(
        getattr(view, "cls", None), "roles", None
    )
    needed: Role | None = None if roles is None else roles.get("GET", Role.OWNER)
    return needed


def _find(resolver: URLResolver, name: str) -> Callable[..., Any] | None:
    for one in resolver.url_patterns:
        if isinstance(one, URLPattern):
            if one.name == name:
                return one.callback
        elif not one.namespace and (found := _find(one, name)) is not None:
            return found
    return None


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
        """Return the paths that resolve for ``value``, without those that the role may not follow."""
        return {relation: path(value) for relation, path in self._paths.items()}

    @cached_property
    def _paths(self) -> dict[str, Callable[[Any], str]]:
        """Relation → what makes its path of an instance; decided once for all rows of a page."""
        request = self.context["request"]
        role = getattr(self.context.get("view"), "role", None)
        return {
            relation: _path_maker(request, name, arguments)
            for relation, (name, arguments) in self.targets.items()
            if may_follow(request, name, role)
        }


def _path_maker(
    request: Request | HttpRequest, name: str, arguments: Mapping[str, str]
) -> Callable[[Any], str]:
    """Return what makes the path of an instance; resolving it once does for all other uids."""
    if not arguments:
        path = link(request, name)
        return lambda _value: path
    around: list[str] = []

    def make(value: Any) -> str:
        filled = {arg: _read(value, where) for arg, where in arguments.items()}
        only: Any = next(iter(filled.values()))
        is_uid = len(filled) == 1 and isinstance(only, str) and _UID.fullmatch(only) is not None
        if is_uid and around:
            return str(only).join(around)
        path = link(request, name, **filled)
        if is_uid and path.count(only) == 1:
            around[:] = path.split(only)
        return path

    return make


def _read(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    return value() if callable(value) else value
