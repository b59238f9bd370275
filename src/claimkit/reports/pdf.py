"""The report as PDF: the HTML page, printed by WeasyPrint (extra ``reports``)."""

from __future__ import annotations

import logging
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from claimkit.errors import ConfigError
from claimkit.reports import charts
from claimkit.reports.html import PRINT_COLORS, page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from claimkit.reports.document import Report

__all__ = ["PdfRenderer"]

_VARIABLE = re.compile(r"var\(--([a-z-]+)\)")
#: A tag, or a piece of a word that fills a line: WeasyPrint takes quadratic time to break one that
#: gives it no place to.
_LONG_WORD = re.compile(r"(<[^>]*>)|[^\s<>&]{80}(?=[^\s<>&])")
_CHART = re.compile(r'<svg class="chart"[^>]*>')

#: Paper; the page's own styles for printing do the rest. Key figures are no grid here: WeasyPrint
#: breaks none over pages, fails where one is higher than a page, and takes minutes before it does.
_PAPER = """@page{size:Letter;margin:16mm 15mm 18mm;@bottom-right{content:counter(page) " / " counter(pages);
font:9pt sans-serif;color:#555}}body{font-size:10pt}header,main,footer{max-width:none;padding:0}
dl{display:block}dl div{display:inline-block;vertical-align:top;width:23.5%;min-height:46pt;margin:0 1% 8px 0;padding:6px 10px}
dl div.long{display:block;width:auto}dd{font-size:13pt;font-weight:700}
figure{overflow:visible}figure .chart{min-width:0}section{break-inside:auto;padding-top:14pt;margin-top:14pt}h2,.tone,section>p,dl,figcaption{break-after:avoid}figure,.scroll{break-inside:avoid}"""


class PdfRenderer:
    """Pages to print and to attach: the same words and pictures each time, not the same bytes."""

    name: str = "pdf"
    media_type: str = "application/pdf"
    extension: str = "pdf"

    def render(self, report: Report, out: BinaryIO) -> None:
        """Write the document. Nothing is fetched from anywhere.

        Raises:
            ConfigError: WeasyPrint, or Pango, which it draws text with, is not installed.
        """
        try:
            import weasyprint
        except (ImportError, OSError):
            raise ConfigError(
                "PDF needs WeasyPrint and Pango, which are not installed",
                remedy="Install 'claimkit[reports]' and the system's Pango",
            ) from None
        identity = bytes.fromhex(report.content_hash)[:16]
        html = weasyprint.HTML(string=_for_paper(report), url_fetcher=_refuse)
        with _quiet():
            html.write_pdf(out, pdf_identifier=identity, pdf_tags=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep from the log, in this thread, that WeasyPrint passes over rules meant for browsers."""
    thread = threading.get_ident()

    def is_telling(record: logging.LogRecord) -> bool:
        return record.thread != thread or record.levelno > logging.WARNING

    logger = logging.getLogger("weasyprint")
    logger.addFilter(is_telling)
    try:
        yield
    finally:
        logger.removeFilter(is_telling)


def _for_paper(report: Report) -> str:
    """Return the page with its colors written out and in its charts, where WeasyPrint looks."""
    text = _VARIABLE.sub(lambda found: PRINT_COLORS[found[1]], page(report, more_css=_PAPER))
    head, between, body = text.partition("<body>")
    text = head + between + _LONG_WORD.sub(lambda found: found[1] or f"{found[0]}&#8203;", body)
    styles = _VARIABLE.sub(lambda found: PRINT_COLORS[found[1]], charts.CSS)
    # Inside the drawing nothing is inside of a .chart.
    inner = styles.replace(".chart{", "svg{").replace(".chart ", "")
    return _CHART.sub(lambda found: f"{found[0]}<style>{inner}</style>", text)


def _refuse(url: str, *_args: Any, **_kwargs: Any) -> NoReturn:
    raise ValueError(f"a report needs nothing from {url.partition(':')[0]}")
