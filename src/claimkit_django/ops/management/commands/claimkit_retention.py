"""``manage.py claimkit_retention``: show policies, remove what is old, place and release legal holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS

from claimkit.errors import ClaimkitError
from claimkit_django.ops.retention import apply_retention, policies
from claimkit_django.tenants.holds import place_hold, release_hold
from claimkit_django.tenants.models import Tenant
from claimkit_django.terminal import progress_for

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from claimkit_django.ops.retention import Removed

__all__ = ["Command"]


class Command(BaseCommand):
    """Show for how long data is kept, remove what is older, place and release legal holds."""

    help = "Show for how long data is kept, remove what is older, place and release legal holds."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the acts and their arguments."""
        acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
        show = acts.add_parser("policies", help="show every class of data and its days")
        run = acts.add_parser("apply", help="count what is too old; with --remove, remove it")
        run.add_argument("--remove", action="store_true", help="not only count")
        run.add_argument(
            "--class", action="append", default=[], dest="classes", metavar="NAME",
            help="only this class; may be repeated",
        )  # fmt: skip
        hold = acts.add_parser("hold", help="keep everything of a tenant until released")
        hold.add_argument("key")
        hold.add_argument("--reason", required=True)
        hold.add_argument("--by", default="command", help="who decided it")
        free = acts.add_parser("release", help="release the hold on a tenant")
        free.add_argument("key")
        free.add_argument("--by", default="command", help="who decided it")
        for one in (show, run, hold, free):
            one.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS")
            one.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what was asked."""
        del args
        acts = {"policies": self._policies, "apply": self._apply}
        acts |= {"hold": self._hold, "release": self._release}
        try:
            acts[options["act"]](options)
        except (ClaimkitError, LookupError) as error:
            raise CommandError(str(error)) from None

    def _policies(self, options: dict[str, Any]) -> None:
        for one in policies():
            told = {"class": one.kept.name, "days": one.days, "holds": one.kept.holds}
            days = "for ever" if one.days is None else f"{one.days:,} days"
            self._say(options, told, f"{one.kept.name:20} {days:12} {one.kept.holds}")

    def _apply(self, options: dict[str, Any]) -> None:
        removed = apply_retention(
            using=options["database"],
            is_dry_run=not options["remove"],
            only=options["classes"],
            progress=progress_for(self.stderr, verbosity=options["verbosity"]),
        )
        for one in removed:
            self._tell(one, options)
        if not removed and options["format"] == "text":
            self.stdout.write("nothing is too old")

    def _tell(self, one: Removed, options: dict[str, Any]) -> None:
        told = {
            "class": one.name,
            "tenant": one.tenant,
            "before": one.before.isoformat(),
            "rows": one.rows,
            "held": one.is_held,
            "removed": bool(options["remove"]),
        }
        done = "removed" if options["remove"] else "would be removed"
        became = "stay: a legal hold is placed" if one.is_held else done
        text = f"{one.tenant}: {one.rows:,} {one.name} before {one.before:%Y-%m-%d} {became}"
        self._say(options, told, text)

    def _hold(self, options: dict[str, Any]) -> None:
        tenant, using = _tenant(options), options["database"]
        hold = place_hold(tenant, reason=options["reason"], by=options["by"], using=using)
        told = {"tenant": tenant.key, "held": True, "since": hold.placed_at.isoformat()}
        self._say(options, told, f"nothing of {tenant.key} is removed from now on")

    def _release(self, options: dict[str, Any]) -> None:
        tenant = _tenant(options)
        if not release_hold(tenant, by=options["by"], using=options["database"]):
            raise CommandError(f"no hold is placed on {tenant.key}")
        told = {"tenant": tenant.key, "held": False}
        self._say(options, told, f"what is too old of {tenant.key} is removed again")

    def _say(self, options: dict[str, Any], told: dict[str, Any], text: str) -> None:
        self.stdout.write(json.dumps(told) if options["format"] == "json" else text)


def _tenant(options: dict[str, Any]) -> Tenant:
    tenant = Tenant.objects.using(options["database"]).filter(key=options["key"]).first()
    if tenant is None:
        raise CommandError(f"there is no tenant {options['key']!r}")
    return tenant
