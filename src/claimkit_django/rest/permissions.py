"""Roles: what each method of a view asks of a member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from rest_framework.permissions import BasePermission

from claimkit.tenants import Role, in_tenant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rest_framework.request import Request
    from rest_framework.views import APIView

__all__ = ["HasRole", "RoleAware"]


class RoleAware(Protocol):
    """What :class:`HasRole` asks of a view; ``claimkit_django.tenants.rest`` provides it."""

    #: Role of the caller in the tenant in scope; None for somebody who is no member.
    role: Role | None
    #: Method → role that it takes; methods that are not listed take :attr:`Role.OWNER`.
    roles: Mapping[str, Role]


class HasRole(BasePermission):
    """Lets members pass whose role includes what the view asks for the method.

    Fails closed: no sign-in, no tenant in scope, no role or a method that the view does not list
    for a lesser role are all refused.
    """

    message = "your role in this tenant does not allow it"

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether the caller's role is enough."""
        if not (request.user and request.user.is_authenticated and in_tenant()):
            return False
        aware = cast("RoleAware", view)
        needed = aware.roles.get(request.method or "", Role.OWNER)
        return aware.role is not None and aware.role.includes(needed)
