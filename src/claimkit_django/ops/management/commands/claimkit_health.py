"""``manage.py claimkit_health``: whether the site is well, for people and for cron."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from claimkit.ops.health import Status
from claimkit_django.ops.health import examine, examine_readiness

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["Command"]


class Command(BaseCommand):
    """Ask every check and tell what it found; the exit status is 1 where one fails."""

    help = "Ask every health check and tell what it found; the exit status is 1 where one fails."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--ready", action="store_true", help="only the checks of OPS.READY")
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Examine."""
        del args
        found = examine_readiness() if options["ready"] else examine()
        if options["format"] == "json":
            self.stdout.write(json.dumps(found.as_json()))
        else:
            for one in found.answers:
                vital = one.vital
                figures = ", ".join(f"{name} {value}" for name, value in vital.figures.items())
                told = "; ".join(part for part in (vital.note, figures) if part)
                self.stdout.write(f"{vital.status:9} {one.check}{f': {told}' if told else ''}")
        if found.status is Status.FAILING:
            sys.exit(1)
