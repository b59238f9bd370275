"""Report renderer port."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from claimkit.reports.document import Report

__all__ = ["ReportRenderer"]


class ReportRenderer(Protocol):
    """Turns a report into one output format. Registered by ``claimkit_register_renderers``."""

    #: Format name, such as ``html``.
    name: str
    media_type: str
    #: File name ending without the dot.
    extension: str

    def render(self, report: Report, out: BinaryIO) -> None:
        """Write the whole report to ``out``; the same report gives the same bytes."""
        ...
