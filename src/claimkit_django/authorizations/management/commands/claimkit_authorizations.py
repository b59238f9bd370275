"""``manage.py claimkit_authorizations``: import authorizations, and check which end soon."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from claimkit.errors import FileRefused
from claimkit.types import TenantKey
from claimkit_django.authorizations.intake import import_authorizations
from claimkit_django.authorizations.watch import check_authorizations
from claimkit_django.conf import config
from claimkit_django.tenants.commands import (
    add_tenant_arguments,
    chosen_tenants,
    find_active_tenant,
)
from claimkit_django.tenants.scope import enter

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["Command"]


class Command(BaseCommand):
    """Two commands: ``import`` and ``check``."""

    help = "Import prior authorizations from CSV, and warn of those that end."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the commands and their arguments."""
        commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
        importing = commands.add_parser("import", help="take in a CSV file")
        importing.add_argument("file", type=Path)
        importing.add_argument("--tenant", required=True, metavar="KEY")
        checking = commands.add_parser("check", help="link claims, forecast, and warn once a step")
        add_tenant_arguments(checking)
        for one in (importing, checking):
            one.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the chosen command."""
        del args
        if options["command"] == "import":
            self._import(options)
        else:
            self._check(options)

    def _import(self, options: dict[str, Any]) -> None:
        tenant = find_active_tenant(options["tenant"])
        path, most = options["file"], config().authorizations.max_import_bytes
        try:
            if path.stat().st_size > most:
                raise CommandError(f"the file is larger than {most:,} bytes; split it")
            content = path.read_bytes()
        except OSError as error:
            raise CommandError(f"the file cannot be read: {error.strerror}") from None
        try:
            done = import_authorizations(
                TenantKey(tenant.key),
                content,
                name=path.name,
                actor="command",
                now=timezone.now(),
                using=DEFAULT_DB_ALIAS,
            )
        except FileRefused as error:
            raise CommandError(str(error)) from None
        counts = {name: getattr(done, name) for name in ("new", "changed", "same", "rejected")}
        with enter(tenant):
            problems = list(done.problems.values("line", "code", "field_name", "message", "remedy"))
        if options["format"] == "json":
            self.stdout.write(json.dumps({"import": done.uid, **counts, "problems": problems}))
            return
        self.stdout.write(", ".join(f"{count} {name}" for name, count in counts.items()))
        for one in problems:
            self.stderr.write(f"line {one['line']}: {one['message']}. {one['remedy']}")

    def _check(self, options: dict[str, Any]) -> None:
        for tenant in chosen_tenants(options):
            done = check_authorizations(
                TenantKey(tenant.key), now=timezone.now(), using=DEFAULT_DB_ALIAS
            )
            if options["format"] == "json":
                self.stdout.write(json.dumps({"tenant": tenant.key, **asdict(done)}))
                continue
            self.stdout.write(
                f"{tenant.key}: {done.checked} checked, {done.linked} claims linked, "
                f"{done.warned} warnings"
            )
