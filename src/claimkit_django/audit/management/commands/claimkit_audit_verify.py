"""``manage.py claimkit_audit_verify``: walk the chains and name the first broken link."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from claimkit.audit import Head
from claimkit_django.audit.checks import APPEND_ONLY
from claimkit_django.audit.record import link_rest
from claimkit_django.audit.verify import ChainReport, chains, verify_chain
from claimkit_django.migrations_kit.append_only import refuse_changes
from claimkit_django.tenants.models import Tenant

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["Command"]


class Command(BaseCommand):
    """Verify the trail of every tenant, deleted ones included, or of one."""

    help = "Walk the chains of the audit trail; fail naming the first broken link."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--tenant", metavar="KEY", help="one tenant (all)")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS")
        parser.add_argument(
            "--anchor",
            metavar="FILE",
            help="what this command printed earlier as JSON, kept elsewhere: shows cut-off ends",
        )
        parser.add_argument(
            "--link", action="store_true", help="first link what a killed process left"
        )
        parser.add_argument(
            "--repair-walls",
            action="store_true",
            help="first create the triggers again that refuse changes",
        )
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Verify each chain; one that is broken does not hide the others."""
        del args
        using = options["database"]
        anchors = _read_anchors(options["anchor"])
        if options["repair_walls"]:
            refuse_changes(APPEND_ONLY, using)
        names = dict(Tenant.objects.using(using).values_list("pk", "key"))
        reports = []
        for tenant_id in _chosen(options["tenant"], anchors, names, using):
            if options["link"]:
                link_rest(tenant_id, using=using)
            reports.append(
                verify_chain(
                    tenant_id, now=timezone.now(), anchor=anchors.get(tenant_id), using=using
                )
            )
        if options["format"] == "json":
            told = [_plain(one, names) for one in reports]
            self.stdout.write(json.dumps({"chains": told}))
        else:
            for one in reports:
                self.stdout.write(_line(one, names))
        broken = sum(not one.holds for one in reports)
        if broken:
            raise CommandError(f"{broken} of {len(reports)} chains do not hold")


def _chosen(
    key: str | None, anchors: dict[int, Head], names: dict[int, str], using: str
) -> list[int]:
    if key is None:
        # A trail that is gone altogether is known by its anchor alone.
        return sorted({*chains(using), *anchors})
    found = [pk for pk, name in names.items() if name == key]
    if not found:
        raise CommandError(f"there is no tenant {key!r}; see: manage.py claimkit_tenant list")
    return found


def _read_anchors(path: str | None) -> dict[int, Head]:
    if path is None:
        return {}
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8"))
        return {
            int(one["tenant_id"]): Head(number=int(one["links"]), digest=str(one["digest"]))
            for one in told["chains"]
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(
            f"--anchor {path} is not what this command prints with --format json: {error}"
        ) from None


def _plain(report: ChainReport, names: dict[int, str]) -> dict[str, Any]:
    broken = report.broken
    return {
        "tenant": names.get(report.tenant_id, ""),
        "tenant_id": report.tenant_id,
        "holds": report.holds,
        "links": report.head.number,
        "digest": report.head.digest,
        "unlinked": report.unlinked,
        "broken": {"link": broken.number, "reason": broken.reason, "entry": report.entry}
        if broken
        else None,
    }


def _line(report: ChainReport, names: dict[int, str]) -> str:
    name = names.get(report.tenant_id) or f"deleted tenant {report.tenant_id}"
    if report.broken is not None:
        entry = f", entry {report.entry}" if report.entry else ""
        return f"{name}: link {report.broken.number} is broken ({report.broken.reason}{entry})"
    if report.unlinked:
        return f"{name}: {report.unlinked} entries are not linked; see --link"
    return f"{name}: {report.head.number} links hold, the last is {report.head.digest}"
