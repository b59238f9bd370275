from __future__ import annotations

import io

import pytest

from claimkit.claims.csv import CsvReader
from claimkit.claims.readers import ReadOptions
from claimkit.claims.templates import CsvTemplate, check_template, choose_template
from claimkit.errors import FileRefused, UnknownName

HEADER = ("Acct", "Plan Nm", "Svc Dt", "Tot Chg", "Pd", "Pd Dt")
COLUMNS = {
    "Acct": "claim_id",
    "Plan Nm": "payer_name",
    "Svc Dt": "service_date",
    "Tot Chg": "billed",
    "Pd": "paid",
    "Pd Dt": "paid_date",
}
MONTHLY = CsvTemplate(
    name="monthly", header=HEADER, columns=COLUMNS, date_order="dmy", nulls=frozenset({"n/a"})
)
ROWS = "Acct,Plan Nm,Svc Dt,Tot Chg,Pd,Pd Dt\nT1,Blue Lake,03/04/2026,100.00,n/a,\n"


def read(text, *templates, **options):
    stream = io.BytesIO(text.encode())
    return list(CsvReader().read(stream, ReadOptions(templates=templates, **options)))


def test_a_file_is_recognized_by_its_header():
    (batch,) = read(ROWS, MONTHLY)

    assert batch.template == "monthly"
    assert [(one.patient_control_number, one.service_from.month) for one in batch.claims] == [
        ("T1", 4)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Report of March\n\n" + ROWS,
        ROWS.replace(",", ";"),
        "ACCT,plan_nm,Svc Dt,Extra,Tot Chg,Pd,Pd Dt\nT1,Blue Lake,03/04/2026,x,100.00,n/a,\n",
    ],
)
def test_title_lines_other_delimiters_and_more_columns_do_not_matter(text):
    (batch,) = read(text, MONTHLY)

    assert (batch.template, len(batch.claims)) == ("monthly", 1)


def test_another_header_is_read_without_a_template():
    text = "claim id,payer,dos,billed,paid\nT1,Blue Lake,2026-04-03,100.00,80.00\n"

    (batch,) = read(text, MONTHLY)

    assert (batch.template, len(batch.claims)) == ("", 1)


def test_what_was_asked_for_wins():
    (batch,) = read(ROWS, MONTHLY, date_order="mdy")

    assert batch.claims[0].service_from.month == 3


def test_the_template_with_the_most_columns_wins():
    small = CsvTemplate(name="a small one", header=HEADER[:3])
    same = CsvTemplate(name="zz", header=HEADER)

    assert choose_template([HEADER], [small, same, MONTHLY]) is MONTHLY
    assert choose_template([HEADER[:4]], [small, MONTHLY]) is small
    assert choose_template([("other",)], [small, MONTHLY]) is None


@pytest.mark.parametrize(
    ("template", "error"),
    [
        (CsvTemplate(name="x", header=HEADER), FileRefused),
        (CsvTemplate(name="x", header=HEADER, columns={**COLUMNS, "No": "status"}), FileRefused),
        (CsvTemplate(name="x", header=HEADER, columns={**COLUMNS, "Pd": "pais"}), UnknownName),
        (CsvTemplate(name="x", header=HEADER, columns=COLUMNS, date_order="ymd"), FileRefused),
        (
            CsvTemplate(
                name="x", header=(*HEADER, "SSN"), columns={**COLUMNS, "SSN": "auth_number"}
            ),
            FileRefused,
        ),
    ],
)
def test_a_template_with_which_no_file_could_be_read_is_refused(template, error):
    check_template(MONTHLY)
    with pytest.raises(error):
        check_template(template)
