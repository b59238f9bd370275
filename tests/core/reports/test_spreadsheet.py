"""What LibreOffice makes of exports and reports: the numbers, dates and texts that went in."""

from __future__ import annotations

import csv
import datetime as dt
import io
import shutil
import subprocess

import pytest
from openpyxl import load_workbook

from claimkit.reports.exports import ExportColumn, ExportKind, write_export
from claimkit.reports.xlsx import XlsxRenderer

OFFICE = shutil.which("soffice") or shutil.which("libreoffice")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(OFFICE is None, reason="LibreOffice is not installed"),
]

COLUMNS = tuple(
    ExportColumn(name=kind.value, kind=kind, description="One of each kind.") for kind in ExportKind
)
NOON = dt.datetime(2026, 3, 9, 12, 0, 5, tzinfo=dt.UTC)
ROWS = [
    ("Blue Cross", 123_456, 7, 0.5, dt.date(2026, 3, 9), NOON, True),
    ("00123", -5, -7, -0.25, dt.date(1999, 12, 31), NOON, False),
    *(
        (attack, 100, 1, 1.0, dt.date(2026, 1, 1), NOON, True)
        for attack in (
            "=1+1",
            "+1+1",
            "-1+1",
            "@SUM(1)",
            '=HYPERLINK("https://zorglub.example","x")',
            " =1+1",
            "\t=1+1",
            "two lines\n=1+1",
            "＝1+1",
            "=cmd|' /C zorglub'!A0",
        )
    ),
]
#: Comma, double quote, UTF-8, first line; numbers and dates are recognized, as a person's click does.
_READ_CSV = "CSV:44,34,76,1,,1033,false,true"
#: Comma, double quote, UTF-8; as shown, no formulas.
_WRITE_CSV = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false"


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Return a function that opens a file in LibreOffice and saves it as something else."""
    folder = tmp_path_factory.mktemp("office")

    def convert(content, extension, to, *more):
        given = folder / f"given.{extension}"
        given.write_bytes(content)
        made = folder / "out" / f"given.{to.partition(':')[0]}"
        made.unlink(missing_ok=True)
        subprocess.run(
            [
                OFFICE,
                "--headless",
                f"-env:UserInstallation={(folder / 'profile').as_uri()}",
                *more,
                *("--convert-to", to, "--outdir", str(folder / "out"), str(given)),
            ],
            check=True,
            timeout=120,
            capture_output=True,
        )
        return made.read_bytes()

    return convert


def exported(form):
    out = io.BytesIO()
    write_export(form, COLUMNS, [list(zip(*ROWS, strict=True))], out)
    return out.getvalue()


def cells(content):
    book = load_workbook(io.BytesIO(content))
    return [list(row) for row in book.worksheets[0].iter_rows(min_row=2)]


def test_a_workbook_is_read_as_what_it_holds(opened):
    rows = cells(opened(exported("xlsx"), "xlsx", "xlsx:Calc MS Excel 2007 XML"))

    assert len(rows) == len(ROWS)
    for row, (text, cents, whole, number, day, instant, flag) in zip(rows, ROWS, strict=True):
        values = [cell.value for cell in row]
        assert values[0] == text
        assert values[1:4] == [cents / 100, whole, number]
        assert values[4] == dt.datetime.combine(day, dt.time())
        assert values[5] == instant.replace(tzinfo=None)
        # What LibreOffice writes for a truth value.
        assert values[6] == f"={str(flag).upper()}()"
        assert [cell.data_type for cell in row[:6]] == ["s", "n", "n", "n", "d", "d"]


def test_a_csv_file_runs_no_formula_and_its_numbers_are_numbers(opened):
    rows = cells(
        opened(exported("csv"), "csv", "xlsx:Calc MS Excel 2007 XML", f"--infilter={_READ_CSV}")
    )

    assert len(rows) == len(ROWS)
    for row, (text, cents, whole, number, day, *_rest) in zip(rows, ROWS, strict=True):
        assert all(cell.data_type != "f" for cell in row)
        assert str(row[0].value).replace("'", "") == text.replace("'", "").replace("00123", "123")
        assert [cell.value for cell in row[1:4]] == [cents / 100, whole, number]
        assert row[4].value == dt.datetime.combine(day, dt.time())


def test_a_workbook_shows_what_csv_says(opened):
    shown = opened(exported("xlsx"), "xlsx", _WRITE_CSV).decode()
    rows = list(csv.reader(io.StringIO(shown)))

    assert rows[0] == [one.name for one in COLUMNS]
    assert [row[1] for row in rows[1:3]] == ["1234.56", "-0.05"]
    assert [row[4] for row in rows[1:3]] == ["2026-03-09", "1999-12-31"]
    assert [row[0] for row in rows[1:]] == [row[0] for row in ROWS]


def test_a_report_opens_with_all_its_sheets(opened, hostile):
    out = io.BytesIO()
    XlsxRenderer().render(hostile, out)

    before = load_workbook(out)
    after = load_workbook(io.BytesIO(opened(out.getvalue(), "xlsx", "xlsx:Calc MS Excel 2007 XML")))

    assert after.sheetnames == before.sheetnames
    assert after["Summary"]["A2"].value == hostile.headline
    assert all(
        cell.data_type != "f" for sheet in after for row in sheet.iter_rows() for cell in row
    )
