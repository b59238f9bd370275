"""Reports as PDF and as workbook: what people print and forward."""

from __future__ import annotations

import builtins
import io
import time
from dataclasses import replace

import pytest
from openpyxl import load_workbook
from pypdf import PdfReader

from claimkit.errors import ConfigError
from claimkit.reports.document import KeyFigure, ValueKind
from claimkit.reports.pdf import PdfRenderer
from claimkit.reports.xlsx import XlsxRenderer


def render(renderer, report):
    out = io.BytesIO()
    renderer.render(report, out)
    return out.getvalue()


@pytest.mark.slow
def test_pdf_says_what_the_report_says(report, caplog):
    pages = PdfReader(io.BytesIO(render(PdfRenderer(), report))).pages
    text = " ".join(" ".join(one.extract_text() for one in pages).split())

    assert report.headline in text
    for section in report.sections:
        assert section.heading in text
    # Colors are written out: nothing on paper is drawn in black for want of a variable.
    assert "var(" not in text
    # WeasyPrint tells of every rule that it does not understand, and a terminal would show it.
    assert [one.getMessage() for one in caplog.records] == []


@pytest.mark.slow
def test_pdf_of_hostile_names_holds_them_as_text(hostile):
    reader = PdfReader(io.BytesIO(render(PdfRenderer(), hostile)))
    text = " ".join(one.extract_text() for one in reader.pages)

    assert "<script>" in text.replace("\n", "")
    assert "/JavaScript" not in str(reader.trailer["/Root"])
    assert "/OpenAction" not in reader.trailer["/Root"]


@pytest.mark.slow
@pytest.mark.parametrize("text", ["word " * 2_000, "x" * 10_000], ids=["words", "one word"])
def test_a_text_of_many_pages_is_printed_whole(report, text):
    figure = KeyFigure(label="Note", value=text, kind=ValueKind.TEXT, note=text)
    told = replace(report, headline=text, key_figures=(figure,), sections=report.sections[:1])
    began = time.process_time()

    pages = PdfReader(io.BytesIO(render(PdfRenderer(), told))).pages

    said = "".join(one.extract_text() for one in pages)
    assert said.count(text[:4].strip()) >= 3 * len(text) // len(text[:4] + " ")
    # Two seconds; as a grid the figures took minutes, and then failed.
    assert time.process_time() - began < 30


def _without(monkeypatch, name):
    real = builtins.__import__

    def importing(module, *args, **kwargs):
        if module.partition(".")[0] == name:
            raise ImportError(name)
        return real(module, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", importing)


@pytest.mark.parametrize(
    ("renderer", "package"), [(PdfRenderer(), "weasyprint"), (XlsxRenderer(), "xlsxwriter")]
)
def test_a_missing_package_is_named_with_its_extra(monkeypatch, report, renderer, package):
    _without(monkeypatch, package)

    with pytest.raises(ConfigError, match=r"Install 'claimkit\[reports\]'"):
        render(renderer, report)


def test_a_workbook_has_a_sheet_per_table_and_numbers_as_numbers(report):
    book = load_workbook(io.BytesIO(render(XlsxRenderer(), report)))
    tables = [table for section in report.sections for table in section.tables]

    assert book["Summary"]["A2"].value == report.headline
    assert len(book.sheetnames) == 1 + len(tables)
    for sheet, table in zip(book.worksheets[1:], tables, strict=True):
        assert [cell.value for cell in sheet[1]] == [one.label for one in table.columns]
        assert sheet.max_row == 1 + len(table.rows)


def test_the_same_report_gives_the_same_workbook(report):
    assert render(XlsxRenderer(), report) == render(XlsxRenderer(), report)


def test_hostile_names_make_neither_formulas_nor_links(hostile):
    book = load_workbook(io.BytesIO(render(XlsxRenderer(), hostile)))

    assert len({name.lower() for name in book.sheetnames}) == len(book.sheetnames)
    for sheet in book:
        for row in sheet.iter_rows():
            for cell in row:
                assert cell.data_type != "f"
                assert cell.hyperlink is None
