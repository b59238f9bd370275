"""Under Safe Harbor nothing leaves that a patient goes by, and of days only the year."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.errors import ConfigError
from claimkit.reports.exports import ExportColumn, ExportKind, write_export
from claimkit.reports.safe_harbor import coarsen, safe_columns
from claimkit.reports.sources import CLAIM_COLUMNS, FINDING_COLUMNS

DAY = re.compile(r"\d{4}-\d\d|\d\d?/\d\d?/")
days = st.none() | st.dates(dt.date(1990, 1, 1), dt.date(2100, 1, 1))
VALUES = {
    ExportKind.DATE: days,
    ExportKind.INTEGER: st.none() | st.integers(0, 400),
    ExportKind.MONEY: st.none() | st.integers(-(10**6), 10**6),
    ExportKind.BOOLEAN: st.booleans(),
}


@st.composite
def claims(draw):
    """Draw a claim in which each text that may not leave is one that nothing else holds."""
    return [
        "CO-197"
        if one.in_safe_harbor and one.kind is ExportKind.TEXT
        else f"zorglub-{one.name}"
        if one.kind is ExportKind.TEXT
        else draw(VALUES[one.kind])
        for one in CLAIM_COLUMNS
    ]


@given(rows=st.lists(claims(), min_size=1, max_size=5))
def test_no_cell_holds_an_identifier_or_a_day(rows):
    held = dict(zip([one.name for one in CLAIM_COLUMNS], zip(*rows, strict=True), strict=True))
    safe = safe_columns(CLAIM_COLUMNS)
    columns, batches = coarsen(safe, [[held[one.name] for one in safe]])
    out = io.BytesIO()
    write_export("csv", columns, batches, out)
    text = out.getvalue().decode()

    assert "zorglub" not in text
    assert not DAY.search(text)
    [*read] = csv.DictReader(io.StringIO(text))
    assert [one["decided_on_year"] for one in read] == [
        str(day.year) if day else "" for day in held["decided_on"]
    ]


def test_the_columns_that_leave_are_these():
    assert {one.name for one in CLAIM_COLUMNS if not one.in_safe_harbor} == {
        "patient_control_number",
        "payer_claim_control_number",
        "authorization_number",
        "facility",
        "line_of_business",
        "provider",
    }


@pytest.mark.parametrize("name", ["patient_control_number", "facility", "zorglub"])
def test_a_column_that_may_not_leave_is_refused(name):
    with pytest.raises(ConfigError, match=f"does not let the column {name} out"):
        safe_columns(CLAIM_COLUMNS, wanted=["payer", name])


def test_a_column_that_says_nothing_of_itself_stays():
    own = ExportColumn(name="fantasio", description="Of a site's own source.")

    with pytest.raises(ConfigError, match="lets none of these columns out"):
        safe_columns([own, *FINDING_COLUMNS])
