"""Arguments that name tenants, the same for every management command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from claimkit_django.tenants.models import Tenant

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["add_tenant_arguments", "chosen_tenants", "find_active_tenant"]


def add_tenant_arguments(parser: ArgumentParser) -> None:
    """Declare ``--tenant KEY`` and ``--all``, of which one must be given."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--tenant", metavar="KEY", help="one tenant")
    which.add_argument("--all", action="store_true", help="every active tenant")


def chosen_tenants(options: dict[str, Any]) -> list[Tenant]:
    """Return the tenants that the arguments name.

    Raises:
        CommandError: there is no such active tenant.
    """
    if options["all"]:
        return list(Tenant.objects.filter(active=True))
    return [find_active_tenant(options["tenant"])]


def find_active_tenant(key: str | None) -> Tenant:
    """Return the active tenant called ``key``.

    Raises:
        CommandError: no key was given, or there is no such active tenant.
    """
    if not key:
        raise CommandError("--tenant KEY is required")
    tenant = Tenant.objects.filter(key=key, active=True).first()
    if tenant is None:
        raise CommandError(
            f"there is no active tenant {key!r}; see: manage.py claimkit_tenant list"
        )
    return tenant
