"""``manage.py claimkit_drift_settings``: what a tenant watches."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from claimkit.errors import UnknownName
from claimkit.types import TenantKey
from claimkit_django.drift.runs import run_rebuild
from claimkit_django.drift.tenant_settings import choose, chosen, drift_config
from claimkit_django.tenants.commands import find_active_tenant
from claimkit_django.terminal import progress_for

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["Command"]

_SITE = "site"


class Command(BaseCommand):
    """Show or choose a tenant's detectors and further dimensions."""

    help = (
        "Show which detectors and further dimensions a tenant has, or choose them; the cube is made "
        "again for other dimensions. 'site' goes back to the site's settings."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--tenant", metavar="KEY", help="whose settings")
        for name, example in (("detectors", "lattice,volume"), ("dimensions", "facility")):
            parser.add_argument(
                f"--{name}", metavar="NAMES", help=f"such as {example}; '' for none, or 'site'"
            )
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Keep what was chosen, then show what holds."""
        del args
        tenant = TenantKey(find_active_tenant(options["tenant"]).key)
        given = {name: options[name] for name in ("detectors", "dimensions")}
        if any(value is not None for value in given.values()):
            choice = chosen(tenant) | {
                name: None if value == _SITE else [one for one in value.split(",") if one]
                for name, value in given.items()
                if value is not None
            }
            try:
                rebuilding = choose(tenant, **choice, actor="command")
            except UnknownName as error:
                raise CommandError(str(error)) from None
            if rebuilding:
                run_rebuild(
                    tenant, progress=progress_for(self.stderr, verbosity=options["verbosity"])
                )
        held = drift_config(tenant)
        told = {"detectors": list(held.detectors), "dimensions": list(held.dimensions)}
        if options["format"] == "json":
            self.stdout.write(json.dumps(told))
            return
        for name, values in told.items():
            self.stdout.write(f"{name}: {', '.join(values) or 'none'}")
