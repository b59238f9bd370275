"""What was exported comes back as it was, in every format, and no spreadsheet runs it."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import tracemalloc
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

from claimkit.errors import UnknownName
from claimkit.reports import exports
from claimkit.reports.exports import (
    FORMATS,
    ExportColumn,
    ExportKind,
    choose_columns,
    inert,
    write_export,
)
from claimkit.tenants import Role

COLUMNS = tuple(
    ExportColumn(name=kind.value, kind=kind, description="One of each kind.") for kind in ExportKind
)
NOON = dt.datetime(2026, 3, 9, 12, 0, 5, tzinfo=dt.UTC)
ROWS = [
    ("Blue Cross", 123_456, 7, 0.5, dt.date(2026, 3, 9), NOON, True),
    ('say "hi", 100 %s', -5, -7, -0.25, dt.date(1999, 12, 31), NOON, False),
    (None,) * 7,
]
#: Characters that XML, and so a workbook, can hold; \r is a line end to it.
texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cn"], exclude_characters="\ufffe\uffff"),
    max_size=30,
)
rows = st.lists(
    st.tuples(
        st.none() | texts,
        st.none() | st.integers(-(10**15), 10**15),
        st.none() | st.integers(-(2**53), 2**53),
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        st.none() | st.dates(dt.date(1900, 3, 1), dt.date(2200, 1, 1)),
        st.none()
        | st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2200, 1, 1)).map(
            lambda one: one.replace(microsecond=0, tzinfo=dt.UTC)
        ),
        st.none() | st.booleans(),
    ),
    max_size=12,
)


def export(form, found, columns=COLUMNS, *, size=5):
    out = io.BytesIO()
    parts = [found[at : at + size] for at in range(0, len(found), size)]
    count = write_export(form, columns, [list(zip(*part, strict=True)) for part in parts], out)
    assert count == len(found)
    return out.getvalue()


def _money(text):
    return None if text in ("", None) else Decimal(text)


@given(found=rows)
def test_csv_gives_back_what_went_in(found):
    read = list(csv.reader(io.StringIO(export("csv", found).decode(), newline="")))

    assert read[0] == [one.name for one in COLUMNS]
    assert len(read) == len(found) + 1
    for line, (text, cents, number, real, day, moment, flag) in zip(read[1:], found, strict=True):
        assert line[0] == inert(text or "")
        assert _money(line[1]) == (None if cents is None else Decimal(cents) / 100)
        assert line[2] == ("" if number is None else str(number))
        assert line[3] == "" if real is None else float(line[3]) == real
        assert line[4] == ("" if day is None else day.isoformat())
        assert line[5] == ("" if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")) or (
            moment is not None and moment.year < 1000
        )
        assert line[6] == ("" if flag is None else str(flag).lower())


@pytest.mark.parametrize("form", ["csv", "json", "ndjson"])
@given(found=rows)
def test_columns_of_many_values_are_written_like_those_of_few(form, found):
    """What is written as a whole column is what is written value by value."""
    # Equal values are written alike where they are looked up, and -0.0 equals 0.0.
    found = [(*row[:3], 0.0 if row[3] == 0 else row[3], *row[4:]) for row in found]
    few = export(form, found, size=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("claimkit.reports.exports._MOST_KNOWN", -1)
        many = export(form, found, size=2)

    assert many == few


@pytest.mark.parametrize(
    "text", ["A1", "", "=1", "a\nb", 'say "hi"', "back\\slash", "Ünï", "a\u2028b", "\uff1d1", "'"]
)
def test_one_awkward_text_among_plain_ones_is_written_as_it_is(monkeypatch, text):
    found = [("A0",), ("B0",), ("A1",), (text,), ("C2",)]
    column = (ExportColumn(name="text", description=""),)
    few = [export(form, found, column, size=2) for form in ("csv", "ndjson")]
    monkeypatch.setattr("claimkit.reports.exports._MOST_KNOWN", -1)

    assert [export(form, found, column, size=2) for form in ("csv", "ndjson")] == few


@pytest.mark.parametrize("form", ["json", "ndjson"])
@given(found=rows)
def test_json_gives_back_what_went_in(form, found):
    raw = export(form, found)
    read = json.loads(raw) if form == "json" else [json.loads(one) for one in raw.splitlines()]

    for got, (text, cents, number, real, day, _, flag) in zip(read, found, strict=True):
        assert got["text"] == text
        assert _money(got["money"]) == (None if cents is None else Decimal(cents) / 100)
        assert (got["integer"], got["number"], got["boolean"]) == (number, real, flag)
        assert got["date"] == (None if day is None else day.isoformat())


@given(found=rows)
def test_parquet_gives_back_what_went_in(found):
    read = pq.read_table(io.BytesIO(export("parquet", found)))

    cents = [None if one[1] is None else Decimal(one[1]) / 100 for one in found]
    assert read["text"].to_pylist() == [one[0] for one in found]
    assert read["money"].to_pylist() == cents
    assert read["date"].to_pylist() == [one[4] for one in found]
    assert read["instant"].to_pylist() == [one[5] for one in found]


def test_a_workbook_gives_back_what_went_in():
    sheet = load_workbook(io.BytesIO(export("xlsx", ROWS))).active
    names, first, second, third = sheet.iter_rows(values_only=True, max_row=4)

    assert names == tuple(one.name for one in COLUMNS)
    assert first[:4] == ("Blue Cross", 1234.56, 7, 0.5)
    assert first[4].date() == dt.date(2026, 3, 9)
    assert first[5] == NOON.replace(tzinfo=None)
    assert (first[6], second[6]) == (True, False)
    assert second[0] == 'say "hi", 100 %s'
    assert set(third) == {None}


def test_a_full_sheet_is_followed_by_another(monkeypatch):
    monkeypatch.setattr(exports, "_SHEET_ROWS", 3)

    book = load_workbook(io.BytesIO(export("xlsx", ROWS[:1] * 3)))

    assert [sheet.max_row for sheet in book] == [3, 2]
    assert book.worksheets[1]["A1"].value == "text"


# -- formulas -----------------------------------------------------------------------------------

ATTACKS = [
    "=1+1",
    "+1",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1",
    "\xa0=1",
    "\ufeff=1",
    "\u200b=1",
    "＝1",
    "safe\n=1",
    "safe\r\n@x",
    "|calc",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_formula_is_only_text(attack):
    columns = (ExportColumn(name="payer", description="A name."),)

    [_, [cell]] = csv.reader(io.StringIO(export("csv", [(attack,)], columns).decode(), newline=""))
    book = load_workbook(io.BytesIO(export("xlsx", [(attack,)], columns)))

    for line in cell.splitlines():
        assert not line.lstrip(" \xa0\ufeff\u200b").startswith(tuple("=+-@\t\r|＝＋－＠"))
    assert cell.replace("'", "") == attack.replace("'", "")
    assert book.active["A2"].data_type == "s"


def test_a_negative_amount_stays_a_number():
    raw = export("csv", [(None, -123_45, *(None,) * 5)]).decode()

    assert "-123.45" in raw
    assert "'" not in raw


# -- columns ------------------------------------------------------------------------------------

OFFERED = (
    ExportColumn(name="payer", description="Who pays."),
    ExportColumn(
        name="patient_control_number",
        description="Your number.",
        is_personal=True,
        least_role=Role.ADMIN,
    ),
    ExportColumn(name="paid", kind=ExportKind.MONEY, description="Paid."),
)


def test_personal_columns_are_exported_only_when_named():
    chosen = choose_columns(OFFERED, wanted=(), role=Role.OWNER)

    assert [one.name for one in chosen] == ["payer", "paid"]


def test_columns_come_in_the_order_asked_for_and_once():
    chosen = choose_columns(
        OFFERED, wanted=("paid", "patient_control_number", "paid"), role=Role.ADMIN
    )

    assert [one.name for one in chosen] == ["paid", "patient_control_number"]


@pytest.mark.parametrize("name", ["patient_control_number", "ssn"])
def test_a_column_that_is_not_offered_is_not_there(name):
    with pytest.raises(UnknownName, match="unknown column"):
        choose_columns(OFFERED, wanted=(name,), role=Role.ANALYST)


def test_a_format_that_nobody_knows_is_named():
    with pytest.raises(UnknownName, match="did you mean 'csv'"):
        write_export("cvs", COLUMNS, [], io.BytesIO())


# -- memory and progress ------------------------------------------------------------------------


class _Counted(io.RawIOBase):
    """Takes bytes and forgets them."""

    def writable(self):
        return True

    def write(self, data):
        return len(data)


@pytest.mark.parametrize("form", ["csv", "ndjson", "json"])
def test_memory_does_not_grow_with_the_rows(form):
    def batches(count):
        for at in range(count):
            yield [
                [f"clm_{at}_{row}" for row in range(1_000)],
                *([None] * 1_000 for _ in range(6)),
            ]

    peaks = []
    for count in (5, 40):
        tracemalloc.start()
        write_export(form, COLUMNS, batches(count), _Counted())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < 1.5 * peaks[0]


def test_progress_is_told_after_each_batch():
    told = []

    write_export(
        "csv",
        COLUMNS[:1],
        [[["a", "b"]], [["c"]]],
        io.BytesIO(),
        total=3,
        progress=lambda *step: told.append(step),
    )

    assert told == [("exporting", 2, 3), ("exporting", 3, 3)]


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_of_nothing_is_a_file_of_its_format(form):
    raw = export(form, [])

    if form == "json":
        assert json.loads(raw) == []
    elif form == "xlsx":
        assert load_workbook(io.BytesIO(raw)).active.max_row == 1
    elif form == "parquet":
        assert pq.read_table(io.BytesIO(raw)).num_rows == 0
    else:
        assert raw.count(b"\n") == (1 if form == "csv" else 0)
