"""``manage.py claimkit_tenant``: create, list, export and erase tenants, and make people members."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS

from claimkit.errors import ClaimkitError
from claimkit.tenants import Role
from claimkit_django.tenants.erasure import erase_tenant
from claimkit_django.tenants.members import grant
from claimkit_django.tenants.models import Tenant
from claimkit_django.tenants.portability import check_archive, export_tenant
from claimkit_django.terminal import progress_for

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from claimkit_django.tenants.portability import Manifest

__all__ = ["Command"]


class Command(BaseCommand):
    """Create, list, export and erase tenants, and make people members."""

    help = "Create, list, export and erase tenants, and make people members."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the acts and their arguments."""
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
        export = acts.add_parser("export", help="write everything of a tenant into a ZIP file")
        export.add_argument("key")
        export.add_argument("file", type=Path, help="a new file, readable by its owner only")
        check = acts.add_parser("check-export", help="compare such a file with its manifest")
        check.add_argument("file", type=Path)
        erase = acts.add_parser("erase", help="remove everything of a tenant, with proof")
        erase.add_argument("key")
        erase.add_argument("--confirm", required=True, metavar="KEY", help="the key once more")
        for one in (export, check, erase):
            one.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS")
            one.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what was asked."""
        del args
        acts = {"create": self._create, "list": self._list, "add-member": self._add_member}
        acts |= {"export": self._export, "check-export": self._check, "erase": self._erase}
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

    def _export(self, options: dict[str, Any]) -> None:
        path: Path = options["file"]
        tenant, using = _find_tenant(options), options["database"]
        progress = progress_for(self.stderr, verbosity=options["verbosity"])
        try:
            made = export_tenant(tenant, path, using=using, progress=progress)
            # Read over: an archive that cannot be read is none.
            check_archive(path)
        except FileExistsError:
            raise CommandError(f"{path} is there already; name a new file") from None
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}") from None
        except ClaimkitError as error:
            path.unlink(missing_ok=True)
            raise CommandError(str(error)) from None
        self._tell(made, options, f"written to {path}")

    def _check(self, options: dict[str, Any]) -> None:
        try:
            found = check_archive(options["file"])
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}") from None
        except ClaimkitError as error:
            raise CommandError(str(error)) from None
        self._tell(found, options, "whole, as its manifest says")

    def _tell(self, found: Manifest, options: dict[str, Any], became: str) -> None:
        rows = sum(found.rows.values())
        if options["format"] == "json":
            told = {"tenant": found.tenant, "rows": found.rows, "files": found.files}
            self.stdout.write(json.dumps(told))
            return
        self.stdout.write(f"{found.tenant}: {rows:,} rows and {found.files:,} files {became}")

    def _erase(self, options: dict[str, Any]) -> None:
        tenant, using = _find_tenant(options), options["database"]
        if options["confirm"] != tenant.key:
            raise CommandError(f"--confirm must be {tenant.key!r}; nothing was removed")
        progress = progress_for(self.stderr, verbosity=options["verbosity"])
        try:
            proof = erase_tenant(tenant, using=using, progress=progress)
        except ClaimkitError as error:
            raise CommandError(str(error)) from None
        if options["format"] == "json":
            self.stdout.write(json.dumps({**asdict(proof), "holds": proof.holds}))
        else:
            for label, count in proof.before.items():
                self.stdout.write(f"{count:12,} → {proof.after[label]:,}  {label}")
            self.stdout.write(f"{proof.files_before:12,} → {len(proof.files_left):,}  files")
        if not proof.holds:
            raise CommandError(
                f"{len(proof.files_left)} files are left in the storage: "
                f"{', '.join(proof.files_left[:5])}; remove them by hand"
            )


def _find_tenant(options: dict[str, Any]) -> Tenant:
    tenant = Tenant.objects.using(options["database"]).filter(key=options["key"]).first()
    if tenant is None:
        raise CommandError(f"there is no tenant {options['key']!r}")
    return tenant


def _find_user(username: str) -> Any:
    users = get_user_model()
    user = users._default_manager.filter(**{users.USERNAME_FIELD: username}).first()
    if user is None:
        raise CommandError(f"there is no user {username!r}")
    return user
