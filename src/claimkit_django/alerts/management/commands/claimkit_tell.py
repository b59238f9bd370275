"""``manage.py claimkit_tell``: send a tenant's alerts to mailboxes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, IntegrityError, transaction

from claimkit.errors import ConfigError
from claimkit.types import Severity
from claimkit_django.alerts.board import look_again
from claimkit_django.alerts.channels import check_settings, sealed
from claimkit_django.alerts.models import Channel, Route
from claimkit_django.tenants.commands import find_active_tenant
from claimkit_django.tenants.scope import enter

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["Command"]


class Command(BaseCommand):
    """Make a channel and a route to it; the API has all that routes can do."""

    help = "Send a tenant's alerts to mailboxes, from a severity on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--tenant", required=True, metavar="KEY")
        parser.add_argument(
            "--mail", required=True, nargs="+", metavar="ADDRESS", help="who gets a mail"
        )
        parser.add_argument(
            "--least",
            choices=[one.value for one in Severity],
            default=Severity.LOW.value,
            help="the least severe that they are told of (low)",
        )
        parser.add_argument(
            "--name", default="Mail", help="name of the channel and of the route (Mail)"
        )
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make both, or neither."""
        del args
        tenant = find_active_tenant(options["tenant"])
        try:
            settings = check_settings("email", {"to": options["mail"]})
            with enter(tenant), transaction.atomic():
                channel = Channel.objects.create(
                    name=options["name"], kind="email", sealed_settings=sealed(settings)
                )
                route = Route.objects.create(
                    name=options["name"],
                    channels=[channel.uid],
                    least_severity=options["least"],
                )
                look_again(using=DEFAULT_DB_ALIAS)
        except ConfigError as error:
            raise CommandError(str(error)) from None
        except IntegrityError:
            raise CommandError(
                f"{tenant.key} has a channel or a route called {options['name']!r}; "
                "choose another --name"
            ) from None
        if options["format"] == "json":
            made = {"tenant": tenant.key, "channel": channel.uid, "route": route.uid}
            self.stdout.write(json.dumps(made))
            return
        self.stdout.write(f"{tenant.key}: alerts from {options['least']} on go by mail")
