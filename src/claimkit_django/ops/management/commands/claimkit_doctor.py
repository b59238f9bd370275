"""``manage.py claimkit_doctor``: whether a site is set up for people, and is well, in one look."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from django.core import checks
from django.core.management.base import BaseCommand
from django.db import DEFAULT_DB_ALIAS

from claimkit.ops.health import Status
from claimkit_django.ops.health import examine
from claimkit_django.vitals import row_checks

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator

    from claimkit.ops.health import Vital

__all__ = ["Command"]

#: Severity of the findings, the worst first.
_BAD, _DOUBTFUL, _GOOD = "error", "warning", "ok"
_LEVELS = (_BAD, _DOUBTFUL, _GOOD)
_MARKS = {_BAD: "ERROR", _DOUBTFUL: "WARNING", _GOOD: "ok"}


class Command(BaseCommand):
    """Run every system check, those of deployment too, and every health check."""

    help = (
        "Run every system check, those for deployment included, and every health check. "
        "The exit status is 1 where something is wrong, and with --strict also where something "
        "is doubtful."
    )
    # Those that would stop it are what it is to tell.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--strict", action="store_true", help="warnings fail too")
        parser.add_argument("--format", choices=("text", "json"), default="text")
        parser.add_argument(
            "--rows",
            action="store_true",
            help="also look whether rows that belong together are all there; reads whole tables",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Examine, tell, and judge."""
        del args
        # What is wrong comes first, wherever it was found; sorting keeps the rest in order.
        told = [*_settings(), *_health(), *(_rows() if options["rows"] else ())]
        found = sorted(told, key=lambda one: _LEVELS.index(one["level"]))
        levels = {one["level"] for one in found}
        if options["format"] == "json":
            self.stdout.write(json.dumps({"findings": found, "ok": _BAD not in levels}))
        else:
            for one in found:
                hint = f"\n          {one['remedy']}" if one["remedy"] else ""
                self.stdout.write(f"{_MARKS[one['level']]:8}  {one['check']}: {one['told']}{hint}")
        if _BAD in levels or (options["strict"] and _DOUBTFUL in levels):
            sys.exit(1)


def _settings() -> Iterator[dict[str, str]]:
    """Yield what the system checks say; one line where they say nothing."""
    told = [
        one
        for one in checks.run_checks(include_deployment_checks=True)
        if one.level >= checks.WARNING and not one.is_silenced()
    ]
    if not told:
        yield {"check": "settings", "level": _GOOD, "told": "nothing to say", "remedy": ""}
    for one in sorted(told, key=lambda one: (-one.level, str(one.id))):
        yield {
            "check": str(one.id),
            "level": _BAD if one.is_serious() else _DOUBTFUL,
            "told": " ".join(str(one.msg).split()),
            "remedy": " ".join(str(one.hint or "").split()),
        }


def _health() -> Iterator[dict[str, str]]:
    for one in examine().answers:
        yield _told(one.check, one.vital)


def _rows() -> Iterator[dict[str, str]]:
    """Yield what is found by reading whole tables, however long that takes."""
    for one in row_checks(DEFAULT_DB_ALIAS):
        yield _told(one.name, one.look())


def _told(check: str, vital: Vital) -> dict[str, str]:
    levels = {Status.FAILING: _BAD, Status.DEGRADED: _DOUBTFUL}
    figures = ", ".join(f"{name} {value}" for name, value in vital.figures.items())
    return {
        "check": check,
        "level": levels.get(vital.status, _GOOD),
        "told": "; ".join(part for part in (vital.note, figures) if part) or "well",
        "remedy": "",
    }
