from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from claimkit.reports.document import Column, Report, Section, Table, ValueKind, format_value
from claimkit.reports.html import page

GENERATED = dt.datetime(2026, 3, 21, 4, 5, tzinfo=dt.UTC)
VOID = {"meta", "path", "line", "rect"}


class Page(HTMLParser):
    """Keeps tags, ids and texts of a page, and checks that tags are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.texts, self.open = [], [], [], []
        self.attributes = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name) for name, _ in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_is_whole_and_its_ids_are_unique(report):
    parsed = Page(page(report))

    assert parsed.tags[:4] == ["html", "head", "meta", "meta"]
    assert len(parsed.ids) == len(set(parsed.ids))
    assert {"overview", "finding-1", "finding-2", "watch-list", "payers", "files", "method"} <= set(
        parsed.ids
    )
    assert parsed.tags.count("h1") == 1
    assert parsed.tags.count("h2") == len(report.sections)
    assert parsed.tags.count("svg") == sum(len(one.figures) for one in report.sections)


def test_every_number_of_the_document_is_on_the_page(report):
    text = " ".join(Page(page(report)).texts)

    figures = [*report.key_figures, *(one for each in report.sections for one in each.key_figures)]
    for one in figures:
        assert format_value(one.value, one.kind) in text
        assert one.note in text
    for section in report.sections:
        for table in section.tables:
            for row in table.rows:
                for value, column in zip(row, table.columns, strict=True):
                    assert format_value(value, column.kind) in text
        for sentence in (*section.paragraphs, *section.points):
            assert sentence in text
    assert report.content_hash in text
    assert "2026-03-21 04:05 UTC" in text


def test_a_page_needs_nothing_from_outside_and_runs_nothing(report):
    text = page(report)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert f"content=\"default-src 'none'; style-src 'sha256-{digest}'\"" in text
    assert not re.search(r"https?://|<script|<link|<img|<iframe|\son\w+=|javascript:|url\(", text)
    assert "style" not in {name for _, name in Page(text).attributes}


def test_what_comes_from_outside_is_text_and_never_markup(hostile):
    text = page(hostile)
    parsed = Page(text)

    assert "script" not in parsed.tags
    assert not [one for one in parsed.attributes if one[1].startswith("on")]
    assert sum(hostile.tenant in one for one in parsed.texts) >= 8


def test_an_anchor_and_a_tone_cannot_leave_their_attribute(report):
    odd = Section(anchor='x" onload="y', heading="h", tone='z" onclick="w')
    parsed = Page(page(replace(report, sections=(odd,))))

    assert not [one for one in parsed.attributes if one[1].startswith("on")]
    assert 'x" onload="y' in parsed.ids


def test_the_same_report_gives_the_same_page(report, hostile):
    assert page(report) == page(report)
    assert page(report) != page(replace(report, generated_at=GENERATED.replace(year=2027)))


def test_a_table_has_headers_and_numbers_to_the_right():
    table = Table(
        caption="By group",
        columns=(Column(label="Group"), Column(label="Denied", kind=ValueKind.COUNT)),
        rows=(("imaging", 1_041), ("lab", None)),
    )
    text = page_of(table)

    assert '<th scope="col">Group</th><th scope="col" class="number">Denied</th>' in text
    assert '<tr><td>imaging</td><td class="number">1,041</td></tr>' in text
    assert '<tr><td>lab</td><td class="number">–</td></tr>' in text
    assert '<div class="scroll" tabindex="0" role="region" aria-label="By group">' in text


def page_of(table):
    return page(
        Report(
            title="t",
            tenant="n",
            as_of=GENERATED.date(),
            generated_at=GENERATED,
            headline="h",
            sections=(Section(anchor="a", heading="h", tables=(table,)),),
        )
    )


def test_a_row_that_does_not_fit_its_columns_is_an_error():
    with pytest.raises(ValueError):
        page_of(Table(caption="c", columns=(Column(label="x"),), rows=((1, 2),)))
