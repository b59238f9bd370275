"""``manage.py claimkit_accept``: take the new level of a finding as normal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from claimkit.errors import FindingUnknown
from claimkit.types import TenantKey
from claimkit_django.drift.runs import run_accept
from claimkit_django.tenants.commands import find_active_tenant

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["Command"]


class Command(BaseCommand):
    """Close an open finding as the new normal; detectors compare with its level from now on."""

    help = "Take the new level of an open finding as normal; it is reported no more."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("finding", metavar="UID", help="fnd_… or its fingerprint")
        parser.add_argument("--tenant", metavar="KEY", required=True, help="whose finding")
        parser.add_argument("--by", metavar="NAME", default="command", help="who says so (command)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Accept one finding."""
        del args
        tenant = find_active_tenant(options["tenant"])
        try:
            finding = run_accept(TenantKey(tenant.key), options["finding"], by=options["by"])
        except FindingUnknown as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{tenant.key}: accepted as normal: {finding.summary}")
