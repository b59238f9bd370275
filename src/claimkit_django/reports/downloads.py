"""Reports and exports as downloads: streamed, and neither run nor kept by browsers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import FileResponse, Http404

from claimkit_django.runtime import plugins

if TYPE_CHECKING:
    from claimkit_django.reports.models import ReportRun

__all__ = ["file_answer", "report_name"]


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
