"""``manage.py claimkit_import``: read claims files into a tenant."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.files import File
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from claimkit.claims.intake import ImportReport, preview_claims
from claimkit.claims.readers import ReadOptions
from claimkit.errors import ClaimkitError
from claimkit.tenants import use_tenant
from claimkit.types import TenantKey, from_cents
from claimkit_django.claims.intake import csv_templates, run_import, unfinished_uploads
from claimkit_django.claims.models import Upload
from claimkit_django.runtime import plugins
from claimkit_django.tenants.commands import find_active_tenant
from claimkit_django.terminal import progress_for

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator

    from claimkit.claims.templates import CsvTemplate
    from claimkit.types import Progress
    from claimkit_django.tenants.models import Tenant

__all__ = ["Command"]

#: An upload whose heart has not beaten for so long has no worker any more.
_SILENCE = dt.timedelta(minutes=15)


class Command(BaseCommand):
    """Read claims files into a tenant; the same file again changes nothing."""

    help = "Read CSV, 835 and 837 files into a tenant; safe to repeat."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
        parser.add_argument("--tenant", metavar="KEY", help="whose claims")
        parser.add_argument("--dry-run", action="store_true", help="only say what is in the files")
        parser.add_argument("--reader", default="", metavar="NAME", help="do not guess the format")
        parser.add_argument("--format", choices=("text", "json"), default="text")
        parser.add_argument(
            "--resume",
            action="store_true",
            help="run uploads of all tenants that are queued or whose worker died",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Read each file; a file that is refused does not stop the others."""
        del args
        self._json: bool = options["format"] == "json"
        self._progress: Progress | None = progress_for(self.stderr, verbosity=options["verbosity"])
        if options["resume"]:
            failed = self._resume()
        elif options["dry_run"]:
            templates = self._templates(options["tenant"])
            failed = sum(
                not self._preview(path, options["reader"], templates) for path in options["files"]
            )
        else:
            tenant = find_active_tenant(options["tenant"])
            failed = sum(
                not self._import(tenant, path, options["reader"]) for path in options["files"]
            )
        if failed:
            raise CommandError(f"{failed} of the files could not be read")

    def _templates(self, key: str | None) -> list[CsvTemplate]:
        """Return the tenant's templates; none where a dry run names no tenant."""
        if key is None:
            return []
        with use_tenant(TenantKey(find_active_tenant(key).key)):
            return csv_templates()

    def _preview(self, path: Path, reader: str, templates: list[CsvTemplate]) -> bool:
        try:
            with path.open("rb") as stream:
                report = preview_claims(
                    stream,
                    name=str(path),
                    plugins=plugins(),
                    options=ReadOptions(templates=templates),
                    reader=reader,
                    progress=self._progress,
                )
        except (ClaimkitError, OSError) as error:
            return self._refuse(str(path), _public(error))
        for row in _report_rows(report):
            self._show(row)
        return True

    def _import(self, tenant: Tenant, path: Path, reader: str) -> bool:
        try:
            with path.open("rb") as stream, use_tenant(TenantKey(tenant.key)):
                upload = Upload.objects.create(
                    tenant=tenant,
                    file=File(stream, name=path.name),
                    name=path.name,
                    bytes_total=path.stat().st_size,
                    reader=reader,
                    source="command",
                    known_on=timezone.localdate(),
                )
        except OSError as error:
            return self._refuse(str(path), _public(error))
        return self._run(tenant.key, upload.uid, str(path))

    def _resume(self) -> int:
        waiting = unfinished_uploads(silent_since=timezone.now() - _SILENCE)
        return sum(not self._run(key, uid, uid) for key, uid in waiting)

    def _run(self, key: str, uid: str, shown: str) -> bool:
        upload = run_import(TenantKey(key), uid, progress=self._progress)
        if upload.status == Upload.Status.FAILED:
            return self._refuse(shown, upload.error_message)
        for row in _upload_rows(upload, shown):
            self._show(row)
        for issue in [] if self._json else upload.quality.get("issues", []):
            waits = "; drift alerts wait" if issue["holds"] else ""
            self.stderr.write(f"{shown}: {issue['message']}{waits}")
        return True

    def _refuse(self, shown: str, message: str) -> bool:
        if self._json:
            self.stdout.write(json.dumps({"file": shown, "error": message}))
        self.stderr.write(self.style.ERROR(f"{shown}: {message}"))
        return False

    def _show(self, row: dict[str, Any]) -> None:
        if self._json:
            self.stdout.write(json.dumps(row, ensure_ascii=False))
            return
        line = (
            f"{row['file']}: {row['kind']}: {row['claims']:,} claims, {row['lines']:,} lines, "
            f"charged {row['charge']}, paid {row['paid']}, {row['rejected']:,} rejected"
        )
        if row.get("template"):
            line += f"; read with template {row['template']!r}"
        if "new" in row:
            line += f"; {row['new']:,} new, {row['changed']:,} changed, {row['same']:,} the same"
        self.stdout.write(line)


def _report_rows(report: ImportReport) -> Iterator[dict[str, Any]]:
    for kind, tally in report.kinds.items():
        yield {
            "file": report.name,
            "kind": str(kind),
            "claims": tally.claims,
            "lines": tally.lines,
            "charge": str(from_cents(tally.charge)),
            "paid": str(from_cents(tally.paid)),
            "rejected": tally.rejected,
            "notices": dict(tally.notices),
            **({"template": report.template} if report.template else {}),
        }


def _upload_rows(upload: Upload, shown: str) -> Iterator[dict[str, Any]]:
    for kind, tally in upload.kinds.items():
        yield {
            "file": shown,
            "kind": kind,
            **tally,
            "charge": str(from_cents(tally["charge"])),
            "paid": str(from_cents(tally["paid"])),
            "upload": upload.uid,
            "status": upload.status,
            "new": upload.claims_new,
            "changed": upload.claims_changed,
            "same": upload.claims_same,
            **({"template": template} if (template := upload.options.get("template")) else {}),
        }


def _public(error: Exception) -> str:
    if isinstance(error, OSError) and not isinstance(error, ClaimkitError):
        return error.strerror or type(error).__name__
    return str(error)
