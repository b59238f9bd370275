"""``manage.py claimkit_intake_key``: with which key a program signs what it sends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.urls import NoReverseMatch, reverse

from claimkit_django.claims.senders import find_sender
from claimkit_django.tenants.commands import find_active_tenant

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["Command"]


class Command(BaseCommand):
    """Say a sender's key and address; changes nothing."""

    help = (
        "Say with which key a sender of CLAIMKIT['CLAIMS']['SIGNED_SENDERS'] signs, and where to."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("sender", metavar="NAME", help="as the settings list it")
        parser.add_argument("--tenant", metavar="KEY", required=True, help="whose")
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the key."""
        del args
        tenant = find_active_tenant(options["tenant"])
        sender, _ = find_sender(tenant.key, options["sender"])
        if sender is None:
            raise CommandError(
                f"no sender {options['sender']!r} of {tenant.key!r}; list it first:"
                f" CLAIMKIT['CLAIMS']['SIGNED_SENDERS'] = ['{tenant.key}:{options['sender']}']"
            )
        try:
            path = reverse(
                "claimkit:intake-fhir-signed",
                kwargs={"tenant": sender.tenant, "sender": sender.name},
            )
        except NoReverseMatch:
            path = ""
        told = {"sender": sender.name, "key": sender.key.text, "path": path}
        if options["format"] == "json":
            self.stdout.write(json.dumps(told))
            return
        for name, value in told.items():
            self.stdout.write(f"{name}: {value}")
