"""Where reports and exports lie, and how they leave: under their tenant, with a name that nobody can guess."""

from __future__ import annotations

import secrets
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from django.http import FileResponse, Http404

from claimkit.tenants import current_tenant
from claimkit_django.runtime import plugins

if TYPE_CHECKING:
    from django.db.models import Model

    from claimkit_django.reports.models import ReportRun

__all__ = ["export_path", "file_answer", "report_name", "report_path"]


def report_path(instance: Model, filename: str) -> str:
    """Return the storage path of a rendered report.

    Raises:
        TenantRequired: no tenant is in scope.
    """
    del instance  # The path says nothing but the tenant.
    return _path("reports", filename)


def export_path(instance: Model, filename: str) -> str:
    """Return the storage path of an export.

    Raises:
        TenantRequired: no tenant is in scope.
    """
    del instance
    return _path("exports", filename)


def _path(folder: str, filename: str) -> str:
    suffix = PurePosixPath(filename).suffix
    return f"claimkit/{current_tenant()}/{folder}/{secrets.token_hex(16)}{suffix}"


def file_answer(row: Any, name: str, media_type: str) -> FileResponse:
    """Stream a stored file as a download that no browser runs or keeps.

    Raises:
        Http404: the file is no longer in the storage.
    """
    try:
        file = row.file.open()
    except FileNotFoundError:
        raise Http404("the file is no longer there; have it made again") from None
    return FileResponse(
        file,
        as_attachment=True,
        filename=name,
        content_type=media_type,
        headers={
            "Cache-Control": "no-store",
            "Content-Security-Policy": "sandbox",
            "X-Content-Type-Options": "nosniff",
        },
    )


def report_name(run: ReportRun, renderer: str) -> str:
    """Return the name of a report's file for people, such as ``monthly-2026-03-01-2026-03-31.pdf``."""
    known = plugins().renderers.get(renderer)
    ending = known.extension if known else renderer
    return f"{run.kind}-{run.first}-{run.last}.{ending}"
