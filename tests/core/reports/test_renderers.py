from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace

import pytest

from claimkit.drift.findings import Segment
from claimkit.plugins import load_plugins
from claimkit.reports.document import as_plain
from claimkit.reports.html import page
from claimkit.reports.renderers import CsvRenderer, HtmlRenderer, JsonRenderer, MarkdownRenderer

RENDERERS = [HtmlRenderer(), JsonRenderer(), MarkdownRenderer(), CsvRenderer()]


def render(renderer, report):
    out = io.BytesIO()
    renderer.render(report, out)
    assert not out.closed
    return out.getvalue().decode()


@pytest.mark.parametrize("renderer", RENDERERS, ids=lambda one: one.name)
def test_the_same_report_gives_the_same_bytes(renderer, report):
    assert render(renderer, report) == render(renderer, report) != ""


def test_every_built_in_format_is_registered_by_its_name():
    registered = load_plugins(entry_points=False).renderers

    assert {name: one.extension for name, one in registered.items()} == {
        "html": "html",
        "json": "json",
        "markdown": "md",
        "csv": "csv",
        "pdf": "pdf",
        "xlsx": "xlsx",
    }
    assert {one.media_type.partition(";")[0] for one in registered.values()} == {
        "text/html",
        "application/json",
        "text/markdown",
        "text/csv",
        "application/pdf",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    }


def test_html_is_the_page(report):
    assert render(HtmlRenderer(), report) == page(report)


def test_json_is_the_whole_document_with_its_hash(report):
    found = json.loads(render(JsonRenderer(), report))

    assert found.pop("content_hash") == report.content_hash
    assert found == json.loads(json.dumps(as_plain(report)))


def test_csv_has_a_row_per_finding_with_exact_money(report):
    rows = list(csv.DictReader(io.StringIO(render(CsvRenderer(), report))))

    assert [row["fingerprint"] for row in rows] == [
        "fp-slower",
        "fp-marsupilami",
        "fp-underpaid",
        "fp-watch",
    ]
    assert [row["dollars_per_month"] for row in rows] == [
        "42000.00",
        "18250.00",
        "9000.00",
        "123.45",
    ]
    first = rows[1]
    assert (first["tier"], first["severity"], first["signal"]) == ("alert", "high", "denial_rate")
    assert (first["payer"], first["category"]) == ("MERIDIAN OF OHIO", "authorization_referral")
    assert (first["onset"], first["detected_on"]) == ("2026-03-02", "2026-03-09")
    assert (first["low"], first["effect"], first["high"]) == ("0.06", "0.09", "0.12")
    assert rows[0]["detected_on"] == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_starts_no_formula(report, start):
    evil = replace(
        report.findings[1],
        segment=Segment(payer=f"{start}cmd", procedure_groups=(f"{start}cmd", "lab")),
        summary=f"{start}cmd",
    )
    rows = list(
        csv.DictReader(io.StringIO(render(CsvRenderer(), replace(report, findings=(evil,)))))
    )

    for name in ("payer", "procedure_groups", "summary"):
        assert rows[0][name].startswith(f"'{start}cmd".replace("\r", "\n")[:2].replace("\n", start))


def test_markdown_has_headings_figures_and_tables(report):
    lines = render(MarkdownRenderer(), report).splitlines()

    assert lines[0] == "# Payer drift: Northside Clinic"
    assert f"**{report.headline}**" in lines
    headings = [line for line in lines if line.startswith("## ")]
    assert headings == [f"## {one.heading}" for one in report.sections]
    assert "- Delayed: $42,000 (decided later than usual)" in lines
    assert "- score 14.2 passed 9.1" in lines
    table = lines.index("| Procedure group | Decisions | Denied | Denial rate | Expected |")
    assert lines[table + 1] == "| --- | --- | --- | --- | --- |"
    assert lines[table + 2] == "| imaging | 200 | 41 | 20.5 % | 6.2 % |"
    assert any(line.startswith("*Denied, as a share of decisions, by week.*") for line in lines)


def test_markdown_takes_names_literally(hostile):
    text = render(MarkdownRenderer(), hostile)

    assert not re.search(r"(?<!\\)[<>]", text)
    for line in text.splitlines():
        if line.startswith("|"):
            bare = line.replace("\\|", "")
            assert bare.count("|") in (4, 5, 6, 7)
    rows = [line for line in text.splitlines() if line.startswith("| ") and "script" in line]
    assert rows


def test_markdown_keeps_a_text_on_its_line(report):
    text = render(MarkdownRenderer(), replace(report, headline="one\n\n# two\n- three"))

    assert "**one \\# two - three**" in text.splitlines()


def test_hostile_names_are_in_every_format(hostile):
    assert json.loads(render(JsonRenderer(), hostile))["tenant"] == hostile.tenant
    first = next(csv.DictReader(io.StringIO(render(CsvRenderer(), hostile))))
    assert first["payer"] == hostile.tenant
