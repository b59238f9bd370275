"""``manage.py claimkit_tenant``: create and list tenants, and make people members."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from claimkit.errors import ClaimkitError
from claimkit.tenants import Role
from claimkit_django.tenants.members import grant
from claimkit_django.tenants.models import Tenant

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["Command"]


class Command(BaseCommand):
    """Create and list tenants, and make people members."""

    help = "Create and list tenants, and make people members."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the three acts and their arguments."""
        acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
        create = acts.add_parser("create", help="make a tenant")
        create.add_argument("key", help="stable public name, such as northside")
        create.add_argument("--name", default="", help="what people call it (the key)")
        create.add_argument("--timezone", default="UTC", help="IANA name (UTC)")
        create.add_argument(
            "--owner", default="", metavar="USERNAME", help="make this user its owner"
        )
        listing = acts.add_parser("list", help="show all tenants")
        listing.add_argument("--format", choices=("text", "json"), default="text")
        member = acts.add_parser("add-member", help="make a user a member, or change the role")
        member.add_argument("key")
        member.add_argument("username")
        member.add_argument("--role", choices=[role.value for role in Role], default="viewer")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what was asked."""
        del args
        acts = {"create": self._create, "list": self._list, "add-member": self._add_member}
        acts[options["act"]](options)

    def _create(self, options: dict[str, Any]) -> None:
        tenant = Tenant(
            key=options["key"],
            name=options["name"] or options["key"],
            timezone=options["timezone"],
        )
        try:
            tenant.full_clean()
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        owner = _find_user(options["owner"]) if options["owner"] else None
        tenant.save()
        if owner is not None:
            grant(tenant=tenant, user=owner, role=Role.OWNER, by=Role.OWNER)
        self.stdout.write(f"created tenant {tenant.key}")

    def _list(self, options: dict[str, Any]) -> None:
        for tenant in Tenant.objects.all():
            if options["format"] == "json":
                row = {
                    "key": tenant.key,
                    "name": tenant.name,
                    "timezone": tenant.timezone,
                    "active": tenant.active,
                }
                self.stdout.write(json.dumps(row, ensure_ascii=False))
            else:
                state = "" if tenant.active else "  (inactive)"
                self.stdout.write(f"{tenant.key}  {tenant.name}  {tenant.timezone}{state}")

    def _add_member(self, options: dict[str, Any]) -> None:
        tenant = Tenant.objects.filter(key=options["key"]).first()
        if tenant is None:
            raise CommandError(f"there is no tenant {options['key']!r}")
        user = _find_user(options["username"])
        try:
            # Whoever runs commands on the server acts with the highest role.
            grant(tenant=tenant, user=user, role=Role(options["role"]), by=Role.OWNER)
        except ClaimkitError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{options['username']} is {options['role']} of {tenant.key}")


def _find_user(username: str) -> Any:
    users = get_user_model()
    user = users._default_manager.filter(**{users.USERNAME_FIELD: username}).first()
    if user is None:
        raise CommandError(f"there is no user {username!r}")
    return user
