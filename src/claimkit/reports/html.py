"""The report as one self-contained HTML page: no script, nothing from outside, prints well."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import TYPE_CHECKING

from claimkit.reports import charts
from claimkit.reports.document import ValueKind, format_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from claimkit.reports.document import KeyFigure, Report, Section, Table

__all__ = ["PRINT_COLORS", "page"]

_CSS = """
:root{color-scheme:light dark;--paper:#fff;--ink:#16202c;--muted:#5a6675;--line:#e6eaef;--line-strong:#b7c0cb;
--accent:#1f5fbf;--band:#e3ecf8;--alarm:#b3261e;--warn:#9a6200;--panel:#f6f8fa}
@media(prefers-color-scheme:dark){:root{--paper:#11161d;--ink:#e7ecf2;--muted:#9aa7b6;--line:#242d38;
--line-strong:#4a5766;--accent:#7db0ff;--band:#1d2b40;--alarm:#ff8a80;--warn:#f2b654;--panel:#19212b}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif;overflow-wrap:break-word}
header,main,footer{max-width:52rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2.5rem}
h1{font-size:1rem;font-weight:600;color:var(--muted);margin:0 0 .25rem}
.headline{font-size:1.9rem;line-height:1.2;font-weight:700;letter-spacing:-.015em;margin:0 0 .5rem;text-wrap:balance}
.meta{color:var(--muted);margin:0}
h2{font-size:1.3rem;line-height:1.3;margin:0 0 .5rem;letter-spacing:-.01em}
section{padding:1.75rem 0 0;margin-top:1.75rem;border-top:1px solid var(--line)}
.tone{display:inline-block;font-size:.75rem;font-weight:600;text-transform:uppercase;letter-spacing:.05em;margin:0 0 .35rem}
.tone.critical,.tone.high{color:var(--alarm)}.tone.medium{color:var(--warn)}.tone.low{color:var(--muted)}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.25rem,1fr));gap:.75rem;margin:1.25rem 0}
dl div{background:var(--panel);border-radius:.5rem;padding:.75rem .9rem;min-width:0}
dl .long{grid-column:1/-1}dl .long dd{font-size:1rem}
dt{color:var(--muted);font-size:.85rem}
dd{margin:0;font-size:1.3rem;font-weight:650;font-variant-numeric:tabular-nums}
dd small{display:block;font-size:.8rem;font-weight:400;color:var(--muted)}
figure{margin:1.5rem 0;overflow-x:auto}
figure .chart{min-width:30rem}
figcaption{font-weight:600;margin-bottom:.5rem}
.scroll{overflow-x:auto;margin:1.25rem 0}
table{border-collapse:collapse;width:100%;font-size:.92rem;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding-bottom:.4rem}
th,td{padding:.4rem .75rem .4rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th{color:var(--muted);font-weight:600}
.number{text-align:right}.date,td.number{white-space:nowrap}
details{margin:1rem 0}summary{cursor:pointer;font-weight:600}
a{color:var(--accent)}
footer{color:var(--muted);font-size:.85rem;padding-top:2rem;padding-bottom:3rem}
footer code{font-size:.8rem;overflow-wrap:anywhere}
@media(max-width:36rem){.headline{font-size:1.5rem}header{padding-top:1.5rem}}
@media print{section{break-inside:avoid}h2,.tone,section>p,dl{break-after:avoid}figure,.scroll{overflow:visible}
body{font-size:11pt}details{display:block;break-inside:avoid}}
"""
#: Colors on paper; on screens they follow light and dark.
PRINT_COLORS = {
    "paper": "#fff",
    "ink": "#000",
    "muted": "#444",
    "line": "#ddd",
    "line-strong": "#999",
    "accent": "#1f5fbf",
    "band": "#e3ecf8",
    "alarm": "#b3261e",
    "warn": "#7a4e00",
    "panel": "#f3f3f3",
}
_PRINT = "".join(f"--{name}:{color};" for name, color in PRINT_COLORS.items())
#: Letters from which on a key figure gets a line of its own.
_LONGEST_FIGURE = 120


def page(report: Report, *, more_css: str = "") -> str:
    """Return the whole page.

    Args:
        report: What it shows.
        more_css: Styles after its own, for paper of another kind.
    """
    css = f"{_CSS}@media print{{:root{{{_PRINT}}}}}{charts.CSS}{more_css}"
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    title = f"{report.title}: {report.tenant}"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        f"content=\"default-src 'none'; style-src 'sha256-{digest}'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{css}</style>\n</head>\n<body>\n"
        f"{_header(report)}\n<main>\n{''.join(map(_section, report.sections))}</main>\n"
        f"{_footer(report)}\n</body>\n</html>\n"
    )


def _header(report: Report) -> str:
    return (
        f"<header>\n<h1>{escape(report.title)} · {escape(report.tenant)}</h1>\n"
        f'<p class="headline">{escape(report.headline)}</p>\n'
        f'<p class="meta">As of {format_value(report.as_of, ValueKind.DATE)}</p>\n'
        f"{_figures(report.key_figures)}</header>"
    )


def _footer(report: Report) -> str:
    return (
        f"<footer>\n<p>Made by claimkit on {report.generated_at:%Y-%m-%d %H:%M} UTC. "
        f"Content <code>{report.content_hash}</code></p>\n</footer>"
    )


def _section(section: Section) -> str:
    tone = ""
    if section.tone:
        tone = f'<p class="tone {escape(section.tone)}">{escape(section.tone)}</p>\n'
    parts = [
        f'<section id="{escape(section.anchor)}" aria-labelledby="{escape(section.anchor)}-heading">\n',
        tone,
        f'<h2 id="{escape(section.anchor)}-heading">{escape(section.heading)}</h2>\n',
        *(f"<p>{escape(text)}</p>\n" for text in section.paragraphs),
        _figures(section.key_figures),
    ]
    for number, figure in enumerate(section.figures, start=1):
        drawing = charts.draw(figure, identity=f"{section.anchor}-figure-{number}")
        parts.append(f"<figure><figcaption>{escape(figure.title)}</figcaption>{drawing}</figure>\n")
    parts += map(_table, section.tables)
    if section.points:
        points = "".join(f"<li>{escape(one)}</li>" for one in section.points)
        parts.append(
            f"<details open><summary>Why this fired</summary><ul>{points}</ul></details>\n"
        )
    parts.append("</section>\n")
    return "".join(parts)


def _figures(figures: Iterable[KeyFigure]) -> str:
    rows = []
    for one in figures:
        note = f"<small>{escape(one.note)}</small>" if one.note else ""
        value = escape(format_value(one.value, one.kind))
        is_long = max(len(one.label), len(value), len(one.note)) > _LONGEST_FIGURE
        kind = ' class="long"' if is_long else ""
        rows.append(f"<div{kind}><dt>{escape(one.label)}</dt><dd>{value}{note}</dd></div>")
    return f"<dl>{''.join(rows)}</dl>\n" if rows else ""


def _table(table: Table) -> str:
    kinds = [column.kind for column in table.columns]
    head = "".join(
        f'<th scope="col"{_align(column.kind)}>{escape(column.label)}</th>'
        for column in table.columns
    )
    body = "".join(f"<tr>{_cells(row, kinds)}</tr>\n" for row in table.rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.caption)}">'
        f"<table><caption>{escape(table.caption)}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n"
    )


def _cells(row: Sequence[object], kinds: Sequence[ValueKind]) -> str:
    return "".join(
        f"<td{_align(kind)}>{escape(format_value(value, kind))}</td>"  # type: ignore[arg-type]
        for value, kind in zip(row, kinds, strict=True)
    )


def _align(kind: ValueKind) -> str:
    if kind is ValueKind.DATE:
        return ' class="date"'
    return "" if kind is ValueKind.TEXT else ' class="number"'
