"""``manage.py claimkit_rebuild_cube``: make the cube again from all claims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from claimkit.errors import StoreError
from claimkit.types import TenantKey
from claimkit_django.drift.runs import run_rebuild
from claimkit_django.tenants.commands import add_tenant_arguments, chosen_tenants
from claimkit_django.terminal import progress_for

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["Command"]


class Command(BaseCommand):
    """Make the cube again from all claims; gives the same cells."""

    help = "Make the cube again from all claims. Past nights 'as known then' are forgotten."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        add_tenant_arguments(parser)
        parser.add_argument(
            "--may-forget",
            action="store_true",
            help="lose the figures of claims that retention removed",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Rebuild each tenant's cube in one transaction of its own."""
        del args
        for tenant in chosen_tenants(options):
            try:
                claims = run_rebuild(
                    TenantKey(tenant.key),
                    progress=progress_for(self.stderr, verbosity=options["verbosity"]),
                    may_forget=options["may_forget"],
                )
            except StoreError as error:
                raise CommandError(f"{tenant.key}: {error}") from None
            self.stdout.write(f"{tenant.key}: cube rebuilt from {claims:,} claims")
