from __future__ import annotations

import contextlib
import csv as stdlib_csv
import datetime as dt
import io
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.claims.columns import FIELDS, fold_header
from claimkit.claims.csv import CsvReader
from claimkit.claims.model import Adjustment
from claimkit.claims.readers import Confidence, ReadOptions, choose_reader
from claimkit.claims.records import TextLines
from claimkit.errors import FileRefused, UnknownName
from claimkit.types import from_cents

HEADER = "claim_id,payer,cpt,dos,paid_date,billed,allowed,paid,status"
ROW = "C1,BLUE LAKE MUTUAL,99213,2025-01-02,2025-02-03,100.00,80.00,60.00,PAID"
SAMPLES = Path(os.environ.get("CLAIMKIT_SAMPLES", Path(__file__).parents[4] / "shared" / "samples"))


class Outcome:
    """All that one file gave."""

    def __init__(self, batches):
        self.batches = batches
        self.claims = [claim for batch in batches for claim in batch.claims]
        self.problems = [one for batch in batches for one in batch.problems]
        self.notices = [one.code for batch in batches for one in batch.notices]
        self.accepted = sum(batch.rows_accepted for batch in batches)
        self.skipped = sum(batch.rows_skipped for batch in batches)
        self.rows = sum(batch.rows_read for batch in batches)
        self.codes = [one.code for one in self.problems]
        self.paid = sum(claim.paid for claim in self.claims)


def read(data, **options):
    if isinstance(data, str):
        data = data.encode()
    return Outcome(list(CsvReader().read(io.BytesIO(data), ReadOptions(**options))))


def table(*rows, header=HEADER):
    return "\n".join([header, *rows, ""])


def with_cell(name, value):
    cells = dict(zip(HEADER.split(","), ROW.split(","), strict=True)) | {name: value}
    line = io.StringIO()
    stdlib_csv.writer(line, lineterminator="\n").writerow(cells.values())
    return table(line.getvalue().rstrip("\n"))


# -- the samples ------------------------------------------------------------------------------


def expectations():
    path = SAMPLES / "csv_nasty" / "EXPECT.tsv"
    if not path.exists():
        reason = "the folder of samples is not there; set CLAIMKIT_SAMPLES"
        return [pytest.param({}, marks=pytest.mark.skip(reason=reason))]
    with path.open(encoding="utf-8") as lines:
        rows = list(stdlib_csv.DictReader(lines, delimiter="\t"))
    return [pytest.param(row, id=row["file"]) for row in rows]


@pytest.mark.parametrize("expected", expectations())
def test_each_nasty_sample_gives_what_is_expected(expected):
    data = (SAMPLES / "csv_nasty" / expected["file"]).read_bytes()
    if expected["errors"] == "file":
        with pytest.raises(FileRefused):
            read(data)
        return
    got = read(data)
    low, _, high = expected["ok_rows"].partition("..")
    paid_low, _, paid_high = expected["paid_total"].partition("..")

    assert int(low) <= got.accepted <= int(high or low)
    assert float(paid_low) <= from_cents(got.paid) <= float(paid_high or paid_low)
    if expected["errors"] == ">=1":
        assert got.problems
    elif expected["errors"].endswith("dup"):
        assert (got.problems, got.notices) == ([], ["duplicate_row"])
    else:
        assert len(got.problems) == int(expected["errors"])
    assert got.accepted + got.skipped + len(got.problems) == got.rows


#: What the samples' policy column asks for beyond counts: codes of problems, and of notices.
POLICIES = {
    "n03_cp1252_name.csv": ((), ("encoding_cp1252",)),
    "n12_repeated_header.csv": (("header_repeated",), ()),
    "n15_unknown_extra.csv": ((), ("unknown_column",)),
    "n19_unclosed_quote.csv": (("quote_unclosed",), ()),
    "n21_long_row.csv": (("row_long",), ()),
    "n27_money_eu.csv": (("money_decimal_comma",), ()),
    "n28_money_words.csv": (("money_invalid",), ()),
    "n30_money_nan_inf.csv": (("money_invalid", "money_invalid"), ()),
    "n31_money_3_decimals.csv": (("money_decimals",), ()),
    "n34_date_ambiguous.csv": (("date_order",), ("date_order_assumed",)),
    "n36_date_impossible.csv": (("date_impossible",), ()),
    "n37_date_zero_and_far.csv": (
        ("date_impossible", "date_out_of_range"),
        ("date_order_assumed",),
    ),
    "n40_cpt_leading_zero_float.csv": (("procedure_invalid",), ("procedure_repaired",)),
    "n42_claim_id_scientific.csv": (("identifier_destroyed",), ()),
    "n45_duplicate_rows.csv": ((), ("duplicate_row",)),
}
REFUSALS = {
    "n13_duplicate_headers.csv": r"'paid' \(column 7\) and 'paid' \(column 8\)",
    "n49_xlsx_named_csv.csv": "Save the sheet as CSV",
    "n51_gzip_named_csv.csv": "Unpack it",
    "n52_x12_named_csv.csv": "pip install claimkit-x12",
}


@pytest.mark.parametrize("name", POLICIES)
def test_a_nasty_sample_is_told_by_its_codes(samples, name):
    got = read((samples / "csv_nasty" / name).read_bytes())

    assert (tuple(got.codes), tuple(got.notices)) == POLICIES[name]
    assert all(one.remedy and one.position > 1 for one in got.problems)


@pytest.mark.parametrize("name", REFUSALS)
def test_a_nasty_sample_that_is_no_csv_says_what_to_do(samples, name):
    with pytest.raises(FileRefused, match=REFUSALS[name]):
        read((samples / "csv_nasty" / name).read_bytes())


def test_a_cp1252_name_is_not_garbled(samples):
    (claim,) = read((samples / "csv_nasty" / "n03_cp1252_name.csv").read_bytes()).claims

    assert claim.payer_name == "PE\u00d1A\u2019S MUTUAL"


# -- the named inputs that are in no folder -----------------------------------------------------


def rows_with(*cells, name):
    """Return a file of one row per cell, each a claim of its own."""
    lines = io.StringIO()
    writer = stdlib_csv.writer(lines, lineterminator="\n")
    writer.writerow(HEADER.split(","))
    for number, cell in enumerate(cells):
        usual = dict(zip(HEADER.split(","), ROW.split(","), strict=True))
        writer.writerow((usual | {"claim_id": f"C{number}", name: cell}).values())
    return lines.getvalue()


#: File, then rows accepted, skipped, codes of problems, and cents paid.
NAMED = {
    "UTF-16LE with BOM": (table(ROW).encode("utf-16"), 1, 0, [], 60_00),
    "UTF-16LE without BOM": (table(ROW).encode("utf-16-le"), 1, 0, [], 60_00),
    "mixed line ends": (
        f"{HEADER}\r\n{ROW}\n{ROW.replace('C1', 'C2')}\r{ROW.replace('C1', 'C3')}".encode(),
        3, 0, [], 180_00,
    ),
    "tab": (table(ROW).replace(",", "\t").encode(), 1, 0, [], 60_00),
    "totals footer": (
        table(ROW, "TOTAL,,,,,100.00,80.00,60.00,", "2 records"), 1, 0, ["totals_row"] * 2, 60_00,
    ),
    "newline in quotes": (
        table(ROW.replace("BLUE LAKE MUTUAL", '"BLUE\nLAKE MUTUAL"'), ROW.replace("C1", "C2")), 2, 0, [], 120_00,
    ),
    "short row": (table(ROW, "C2,BLUE LAKE MUTUAL,99213,2025-01-02"), 1, 0, ["row_short"], 60_00),
    "blank rows": (table(ROW, "", ",,,,,,,,", "  "), 1, 3, [], 60_00),
    "NUL byte": (table(ROW, ROW.replace("LAKE", "LA\0KE")), 1, 0, ["nul_byte"], 60_00),
    "trailing minus": (rows_with("60.00-", "1,200.50-", name="paid"), 2, 0, [], -1_260_50),
    "exponent": (rows_with("6e1", "6.0E+01", name="paid"), 0, 0, ["money_invalid"] * 2, 0),
    "overflow": (
        rows_with("9" * 20, "10000000000.00", "9999999999.99", name="paid"),
        1, 0, ["money_out_of_range"] * 2, 9_999_999_999_99,
    ),
    "Excel serials": (rows_with("45659", "45660", "45660.5", name="dos"), 3, 0, [], 180_00),
    "Excel serial in a column of dates": (
        rows_with("2025-01-02", "45659", name="dos"), 1, 0, ["date_invalid"], 60_00,
    ),
    "CPT with modifiers inside": (
        rows_with("99213-25", "99213 25 59", "99213:25", name="cpt"), 3, 0, [], 180_00,
    ),
    "status variants": (
        rows_with("PAID", "Claim Paid", "1", "1 - Processed as primary", "Closed", name="status"),
        5, 0, [], 300_00,
    ),
    "1.2 MB field": (
        table(ROW, ROW.replace("BLUE LAKE MUTUAL", "X" * 1_200_000)), 1, 0, ["row_too_long"], 60_00,
    ),
    "no-break and zero-width blanks": (
        table(ROW.replace("BLUE LAKE", "\u00a0BLUE\u200b LAKE")), 1, 0, [], 60_00,
    ),
    "header only": (table(), 0, 0, [], 0),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_each_named_input_gives_what_is_expected(name):
    data, accepted, skipped, codes, paid = NAMED[name]
    got = read(data)

    assert (got.accepted, got.skipped, got.codes, got.paid) == (accepted, skipped, codes, paid)
    assert got.accepted + got.skipped + len(got.problems) == got.rows
    for claim in got.claims:
        assert claim.payer_name.replace("\n", " ") == "BLUE LAKE MUTUAL"


def test_serials_are_the_days_that_excel_shows():
    claims = read(NAMED["Excel serials"][0]).claims

    days = [dt.date(2025, 1, 2), dt.date(2025, 1, 3), dt.date(2025, 1, 3)]
    assert [claim.service_from for claim in claims] == days


def test_modifiers_inside_a_code_come_out():
    lines = [claim.lines[0] for claim in read(NAMED["CPT with modifiers inside"][0]).claims]

    assert {one.procedure_code for one in lines} == {"99213"}
    assert [one.modifiers for one in lines] == [("25",), ("25", "59"), ("25",)]


# -- encodings and lines ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        table(ROW).encode("utf-16"),
        b"\xff\xfe" + table(ROW).encode("utf-16-le"),
        b"\xfe\xff" + table(ROW).encode("utf-16-be"),
        table(ROW).encode("utf-16-le"),
        table(ROW).encode("utf-16-be"),
        table(ROW).encode("utf-8-sig"),
        f"{HEADER}\r\n{ROW}\r".encode(),
        f"{HEADER}\r{ROW}\n".encode(),
        table(ROW).replace(",", "\t").encode(),
        table(ROW).replace(",", ";").encode(),
        f"sep=;\n{table(ROW).replace(',', ';')}".encode(),
        f"Claims Detail\nRun date,06/12/2025\n\n\n{table(ROW)}".encode(),
        f"\n\n{table(ROW)}".encode(),
    ],
)
def test_encodings_line_ends_and_delimiters_make_no_difference(data):
    got = read(data)

    assert (got.accepted, got.paid, got.problems) == (1, 60_00, [])
    assert got.claims[0].payer_name == "BLUE LAKE MUTUAL"


def test_mixed_line_ends_keep_physical_line_numbers():
    got = read(f"{HEADER}\r\n{ROW}\n{ROW.replace('C1', 'C2')}\r{ROW.replace('60.00', 'x')}\r\n")

    assert (got.accepted, [one.position for one in got.problems]) == (2, [4])


def test_a_late_cp1252_name_costs_nothing_before_it():
    lines = [ROW.replace("C1", f"C{n}").replace("LAKE", "LÆKE") for n in range(20_000)]
    data = table(*lines[:10_000]).encode() + "\n".join(lines[10_000:]).encode("cp1252")

    got = read(data)

    assert {claim.payer_name for claim in got.claims} == {"BLUE LÆKE MUTUAL"}
    assert got.accepted == 20_000
    assert got.notices.count("encoding_cp1252") == 1


def test_bytes_of_no_encoding_reject_their_row():
    got = read(table(ROW, ROW.replace("LAKE", "L\x81KE")).encode("latin-1"))

    assert (got.accepted, got.codes) == (1, ["encoding_invalid"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_field_of_more_than_a_megabyte_is_one_broken_row(encoding):
    huge = ROW.replace("BLUE LAKE MUTUAL", "X" * 1_200_000)
    got = read(table(ROW, huge, ROW.replace("C1", "C3")).encode(encoding))

    assert (got.accepted, got.codes) == (2, ["row_too_long"])
    assert got.problems[0].position == 3
    assert len(got.problems[0].raw[-1]) <= 2_000


def test_a_quoted_field_of_more_than_a_megabyte_does_not_swallow_the_rest():
    huge = ROW.replace("BLUE LAKE MUTUAL", '"' + f"{'X' * 29}\n" * 40_000 + '"')
    got = read(table(ROW, huge, ROW.replace("C1", "C3")), max_problems=10**7, max_problem_share=1)

    assert got.codes[0] == "quote_unclosed"
    assert [claim.patient_control_number for claim in got.claims] == ["C1", "C3"]


def test_a_nul_byte_rejects_its_row_also_on_the_second_line_of_a_quoted_one():
    got = read(
        table(ROW, ROW.replace("LAKE", "L\0KE"), ROW.replace("BLUE LAKE MUTUAL", '"BLUE\nL\0"'))
    )

    assert (got.accepted, got.codes) == (1, ["nul_byte", "nul_byte"])


# -- quotes and shapes ------------------------------------------------------------------------


def test_a_line_break_inside_quotes_is_part_of_the_cell():
    got = read(table(ROW.replace("BLUE LAKE MUTUAL", '"BLUE\nLAKE"'), ROW.replace("C1", "C2")))

    assert got.claims[0].payer_name == "BLUE\nLAKE"
    assert [claim.position for claim in got.claims] == [2, 4]


def test_doubled_quotes_are_quotes():
    got = read(table(ROW.replace("BLUE LAKE MUTUAL", '"BLUE ""LAKE"", MUTUAL"')))

    assert got.claims[0].payer_name == 'BLUE "LAKE", MUTUAL'


def test_a_stray_quote_inside_a_cell_is_text():
    got = read(table(ROW.replace("LAKE", '5" LAKE'), ROW.replace("C1", "C2")))

    assert (got.accepted, got.problems) == (2, [])
    assert got.claims[0].payer_name == 'BLUE 5" LAKE MUTUAL'


def test_text_after_a_closing_quote_is_taken_when_the_cells_still_fit():
    got = read(table(ROW.replace("BLUE LAKE", '"BLUE" LAKE')))

    assert (got.accepted, got.claims[0].payer_name) == (1, "BLUE LAKE MUTUAL")


def test_an_unclosed_quote_costs_its_own_line_only():
    broken = ROW.replace("BLUE LAKE", '"BLUE LAKE')
    rows = [ROW.replace("C1", f"C{n}") for n in range(500)]
    got = read(table(*rows[:250], broken, *rows[250:]))

    assert (got.accepted, got.codes) == (500, ["quote_unclosed"])
    assert got.problems[0].position == 252


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("C2,BLUE LAKE MUTUAL,99213", "row_short"),
        (f"{ROW},x,y", "row_long"),
        (HEADER, "header_repeated"),
        (HEADER.upper().replace("_", " "), "header_repeated"),
        ("TOTAL,,,,,100.00,80.00,60.00,", "totals_row"),
        (",,,,Totals:,100.00,80.00,60.00,", "totals_row"),
        ("Grand Total,100.00", "totals_row"),
        ("1 claims", "totals_row"),
        (
            ",BLUE LAKE MUTUAL,99213,2025-01-02,2025-02-03,100.00,80.00,60.00,PAID",
            "claim_id_missing",
        ),
        ("C2,,99213,2025-01-02,2025-02-03,100.00,80.00,60.00,PAID", "payer_missing"),
        ("C2,BLUE,99213,,2025-02-03,100.00,80.00,60.00,PAID", "date_missing"),
        ("C2,BLUE,99213,2025-01-02,2025-02-03,,80.00,60.00,PAID", "charge_missing"),
        ("C2,BLUE,99213,2025-01-02,2025-02-03,100.00,80.00,,PAID", "paid_missing"),
        ("C2,BLUE,99213,2025-01-02,,100.00,,,SENT TO MARS", "status_unknown"),
    ],
)
def test_a_row_that_cannot_be_taken_says_why_and_the_rest_is_in(row, code):
    got = read(table(ROW, row, ROW.replace("C1", "C9")))

    assert (got.accepted, got.codes) == (2, [code])
    assert got.problems[0].position == 3
    assert got.problems[0].remedy
    assert got.problems[0].header == tuple(HEADER.split(","))


def test_a_totals_row_is_known_by_its_first_cell_not_by_a_payer_called_total():
    got = read(table(ROW.replace("BLUE LAKE MUTUAL", "TOTAL HEALTH")))

    assert (got.accepted, got.problems) == (1, [])


def test_blank_cells_too_many_are_no_problem():
    got = read(table(f"{ROW},,", ",,,,,,,,,,", "", "   "))

    assert (got.accepted, got.skipped, got.problems) == (1, 3, [])


def test_every_column_that_is_wrong_is_named():
    got = read(table("C1,BLUE,99213,2025-02-30,2025-02-03,1e3,80.00,abc,PAID"))
    (problem,) = got.problems

    assert (problem.code, problem.field_name, problem.value) == (
        "date_impossible",
        "dos",
        "2025-02-30",
    )
    assert "'billed', 'paid'" in problem.message
    assert problem.raw[3] == "2025-02-30"


# -- cells ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "cents"),
    [
        ("60.00", 60_00), ("$1,234.50", 1_234_50), ("(12.50)", -12_50), ("12.50-", -12_50),
        ("-12.50", -12_50), ("\u221212.50", -12_50), ("1234.5", 1_234_50), (".5", 50),
        ("USD 60", 60_00), ("60.00 USD", 60_00), ("US$60", 60_00), ("-$5.00", -5_00),
        ("$-5.00", -5_00), ("($5)", -5_00), ("+7", 7_00), ("9999999999.99", 9_999_999_999_99),
        ("\u00a060.00", 60_00), ("0", 0), ("12.", 12_00),
    ],
)  # fmt: skip
def test_amounts_are_exact(cell, cents):
    assert read(with_cell("paid", cell)).paid == cents


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("1.100,00", "money_decimal_comma"), ("100,00", "money_decimal_comma"),
        ("1e3", "money_invalid"), ("1.2E+03", "money_invalid"), ("NaN", "money_invalid"),
        ("Infinity", "money_invalid"), ("60.005", "money_decimals"), ("#REF!", "money_invalid"),
        ("N/A", "money_invalid"), ("-", "money_invalid"), ("NULL", "money_invalid"),
        ("99999999999999999999", "money_out_of_range"), ("10000000000.00", "money_out_of_range"),
        ("1,23.00", "money_invalid"), ("()", "money_invalid"), ("$", "money_invalid"),
        ("(-5.00)", "money_invalid"), ("٣", "money_invalid"), ("1 234", "money_invalid"),
        ("--5", "money_invalid"), ("²", "money_invalid"), ("²5.00", "money_invalid"),
    ],
)  # fmt: skip
def test_what_is_no_exact_amount_rejects_its_row(cell, code):
    got = read(with_cell("paid", cell))

    assert (got.accepted, got.codes) == (0, [code])
    assert got.problems[0].field_name == "paid"


def test_declared_null_texts_mean_no_value():
    text = with_cell("allowed", "n/a").replace("PAID", "DENIED").replace("60.00", "-")
    got = read(text, nulls=frozenset({"N/A", "-"}))

    assert (got.claims[0].allowed, got.claims[0].paid) == (None, 0)


def test_a_declared_null_is_no_claim_id():
    got = read(table(ROW.replace("C1", "n/a")), nulls=frozenset({"N/A"}))

    assert got.codes == ["claim_id_missing"]


@given(st.integers(-999_999_999_999, 999_999_999_999))
def test_any_amount_comes_back(cents):
    plain = f"{from_cents(cents):.2f}"
    written = [plain, f"{from_cents(cents):,.2f}", f"${plain}".replace("$-", "-$")]
    if cents < 0:
        written += [f"({plain[1:]})", f"{plain[1:]}-"]

    assert {read(with_cell("paid", one)).paid for one in written} == {cents}


@pytest.mark.parametrize(
    "cell",
    [
        "2025-01-02", "2025/1/2", "01/02/2025", "1/2/25", "1-2-2025", "20250102", "02-Jan-2025",
        "2-jan-25", "Jan 2, 2025", "January 2 2025", "2025-01-02T23:30:00-08:00",
        "2025-01-02 00:00:00.000", "1/2/2025 11:59:59 PM", "2025-01-02 10:00 EST", "45659",
        "45659.75", "2025-01-02T10:00:00Z", "20250102.0",
    ],
)  # fmt: skip
def test_dates_are_read_as_written(cell):
    assert read(with_cell("dos", cell)).claims[0].service_from == dt.date(2025, 1, 2)


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("2025-02-30", "date_impossible"), ("00/00/0000", "date_impossible"),
        ("9999-12-31", "date_out_of_range"), ("1969-12-31", "date_out_of_range"),
        ("13/13/2025", "date_impossible"), ("25/12/2025", "date_order"), ("0", "date_invalid"),
        ("soon", "date_invalid"), ("2025-W01-2", "date_invalid"), ("99999", "date_invalid"),
        ("٢٠٢٥-٠١-٠٢", "date_invalid"), ("12 Foo 2025", "date_invalid"),
    ],
)  # fmt: skip
def test_what_is_no_day_rejects_its_row(cell, code):
    assert read(with_cell("dos", cell)).codes == [code]


def test_serials_are_dates_only_where_the_whole_column_is_numeric():
    got = read(table(ROW, ROW.replace("2025-01-02", "45659")))

    assert (got.accepted, got.codes) == (1, ["date_invalid"])


def dated(*days):
    return table(
        *(ROW.replace("C1", f"C{n}").replace("2025-01-02", day) for n, day in enumerate(days))
    )


def test_a_column_with_enough_evidence_is_day_first():
    got = read(dated("25/12/2025", "13/01/2025", "30/06/2025", "03/04/2025"))

    assert [claim.service_from.month for claim in got.claims] == [12, 1, 6, 4]
    assert got.notices == ["date_order_dmy"]


def test_the_decision_holds_after_the_sample():
    got = read(dated(*["25/12/2025"] * 1_000, "12/25/2025"), max_problem_share=1)

    assert (got.accepted, got.codes) == (1_000, ["date_order"])
    assert "day/month" in got.problems[0].message


def test_mixed_orders_follow_the_majority_and_are_told():
    got = read(dated("12/25/2025", "12/26/2025", "25/12/2025"))

    assert (got.accepted, got.codes, got.notices) == (2, ["date_order"], ["date_order_mixed"])


def test_an_open_column_follows_the_others():
    rows = [
        f"C{n},BLUE,99213,01/02/2025,{day}/01/2025,100,80,60,PAID"
        for n, day in enumerate((13, 14, 15))
    ]

    assert read(table(*rows)).claims[0].service_from == dt.date(2025, 2, 1)


def test_the_date_order_can_be_said():
    got = read(dated("03/04/2025"), date_order="dmy")

    assert (got.claims[0].service_from, got.notices) == (dt.date(2025, 4, 3), [])


@given(st.dates(dt.date(1970, 1, 1), dt.date(2069, 12, 31)))
def test_any_date_comes_back_however_it_is_written(date):
    written = [
        date.isoformat(),
        f"{date:%m/%d/%Y}",
        f"{date:%m/%d/%y}",
        f"{date:%Y%m%d}",
        f"{date:%d-%b-%Y}",
    ]

    assert {read(with_cell("dos", one)).claims[0].service_from for one in written} == {date}


@pytest.mark.parametrize(
    ("cell", "code", "modifiers"),
    [
        ("99213-25", "99213", ("25",)), ("99213:25", "99213", ("25",)),
        ("99213 25,59", "99213", ("25", "59")), ("HC:99213:25", "99213", ("25",)),
        ("99213.0", "99213", ()), ("j1100", "J1100", ()), ("0001A", "0001A", ()),
        ("00100", "00100", ()), ("", "", ()), ("0042T", "0042T", ()),
    ],
)  # fmt: skip
def test_procedures_come_with_their_modifiers(cell, code, modifiers):
    line = read(with_cell("cpt", cell)).claims[0].lines[0]

    assert (line.procedure_code, line.modifiers) == (code, modifiers)


@pytest.mark.parametrize("cell", ["1", "213", "213.0", "office visit", "=99213", "9921345", "-"])
def test_what_is_no_cpt_rejects_its_row(cell):
    assert read(with_cell("cpt", cell)).codes == ["procedure_invalid"]


def test_a_modifier_that_is_none_rejects_its_row():
    assert read(with_cell("cpt", "99213-ABC")).codes == ["modifier_invalid"]


@pytest.mark.parametrize(
    ("cell", "system"),
    [("0450", "NU"), ("12345678901", "N4"), ("D0120", "AD"), ("LAB-12", "ZZ"), ("99213", "HC")],
)
def test_a_column_that_promises_no_cpt_takes_other_codes(cell, system):
    got = read(with_cell("cpt", cell).replace("cpt", "charge code"))

    assert got.claims[0].lines[0].procedure_system == system


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Paid", "paid"), ("CLOSED", "processed"), ("Finalized", "processed"), ("1", "processed"),
        ("4", "denied"), ("4.0", "denied"), ("22", "reversed"), ("Denied", "denied"),
        ("Partially-Paid", "partial"), ("rejected", "rejected"), ("In Process", "pending"),
        ("open", "pending"), ("Void", "reversed"), ("Take-Back", "reversed"),
        ("1 - Processed as Primary", "processed"), ("Claim Denied", "denied"), ("23", "other"),
        ("", ""),
    ],
)  # fmt: skip
def test_status_words_fold(word, status):
    assert read(with_cell("status", word)).claims[0].status == status


def test_an_unknown_status_is_told_where_the_amounts_speak():
    got = read(with_cell("status", "XYZ"))

    assert (got.accepted, got.claims[0].status, got.notices) == (1, "", ["status_unknown"])


def test_an_identifier_that_a_spreadsheet_destroyed_rejects_its_row():
    got = read(with_cell("claim_id", "1.2E+12"))

    assert (got.codes, got.problems[0].value) == (["identifier_destroyed"], "1.2E+12")


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("claim_id", "9" * 65, "identifier_too_long"),
        ("payer", "B" * 201, "text_too_long"),
        ("claim_id", "C\ufffd", "encoding_invalid"),
    ],
)
def test_texts_that_are_no_texts_of_this_column_reject_their_row(name, value, code):
    assert read(with_cell(name, value)).codes == [code]


def test_leading_zeros_and_formulas_stay_text():
    got = read(with_cell("claim_id", "000123").replace("BLUE LAKE MUTUAL", "=1+1"))

    assert (got.claims[0].patient_control_number, got.claims[0].payer_name) == ("000123", "=1+1")


# -- rows of one claim ------------------------------------------------------------------------


def test_adjacent_rows_of_one_claim_are_its_lines():
    second = (
        ROW.replace("99213", "36415").replace("2025-01-02", "2025-01-01").replace("PAID", "Denied")
    )
    got = read(
        table(ROW, second.replace("60.00", "0.00").replace("80.00", ""), ROW.replace("C1", "C2"))
    )
    claim, other = got.claims

    assert [line.number for line in claim.lines] == ["1", "2"]
    assert (claim.charge, claim.paid, claim.allowed) == (200_00, 60_00, 80_00)
    assert (claim.status, claim.position, other.position) == ("partial", 2, 4)
    assert (claim.service_from, claim.service_to) == (dt.date(2025, 1, 1), dt.date(2025, 1, 2))


def test_rows_that_tell_different_decisions_are_records_of_their_own():
    later = ROW.replace("2025-02-03", "2025-03-03")
    got = read(table(ROW, later, ROW.replace("PAID", "Reversed"), later.replace("PAID", "pending")))

    assert [claim.status for claim in got.claims] == ["paid", "paid", "reversed", "pending"]


def test_a_repeated_row_is_told_counted_and_left_out():
    got = read(table(ROW, ROW, ROW.replace("99213", "99214"), ROW))

    assert (got.accepted, got.skipped, got.notices) == (2, 2, ["duplicate_row"] * 2)
    assert got.paid == 120_00


def test_a_claim_without_end_does_not_fill_the_memory():
    rows = [ROW.replace("99213", f"{n:05d}") for n in range(10_000, 12_500)]
    got = read(table(*rows))

    assert [len(claim.lines) for claim in got.claims] == [1_000, 1_000, 500]


def test_batches_never_cut_a_claim():
    rows = [ROW.replace("C1", f"C{n // 2}").replace("99213", f"9921{n % 2}") for n in range(20)]
    got = read(table(*rows), batch_size=3)

    assert [len(batch.claims) for batch in got.batches] == [3, 3, 3, 1]
    assert all(len(claim.lines) == 2 for claim in got.claims)


# -- optional columns -------------------------------------------------------------------------


def test_optional_columns_arrive_where_they_belong():
    header = (
        "Account #,Payer,Payer ID,Fin Class,CPT,Mod 1,Mod 2,Units,From Date,To Date,Bill Date,"
        "Date Received,Decision Date,Check Date,Total Charges,Ins Allowed,Ins Paid,Copay,Ded,Coins,"
        "Reason Code 1,Reason Code 2,Remark Code,Rendering NPI,Billing NPI,Dx1,Dx2,Prior Auth,POS,"
        "Facility,MRN,Payer Claim Number,Form Type,Check #,Frequency,Original Claim Number,Rev Code"
    )
    row = (
        "A1,Blue,00123,PPO,99213,25,59,1.5,2025-01-02,2025-01-03,2025-01-05,2025-01-06,2025-02-01,"
        "2025-02-03,100,80,60,5,10,5,CO-45,PR2,N130,1234567893,1987654321,J45.20,I10,AUTH9,11,"
        "North,M77,ICN5,UB-04,CHK1,7,ICN4,0450"
    )
    claim = read(table(row, header=header)).claims[0]
    line = claim.lines[0]

    assert (claim.payer_id, claim.filing_indicator, claim.facility) == ("PI:00123", "PPO", "North")
    assert (line.modifiers, str(line.units), line.revenue_code) == (("25", "59"), "1.5", "0450")
    assert (claim.submitted_on, claim.received_on) == (dt.date(2025, 1, 5), dt.date(2025, 1, 6))
    assert (claim.decided_on, claim.paid_on) == (dt.date(2025, 2, 1), dt.date(2025, 2, 3))
    assert (claim.service_to, claim.patient_responsibility) == (dt.date(2025, 1, 3), 20_00)
    assert (claim.diagnosis, claim.authorization_number, claim.member_id) == (
        "J45.20",
        "AUTH9",
        "M77",
    )
    assert (claim.payer_claim_control_number, claim.original_reference) == ("ICN5", "ICN4")
    assert (claim.claim_type, claim.payment_reference, claim.frequency) == ("I", "CHK1", "7")
    assert (claim.rendering_npi, claim.billing_npi) == ("1234567893", "1987654321")
    assert line.remarks == ["N130"]
    assert line.adjustments == [
        Adjustment("PR", "1", 10_00),
        Adjustment("PR", "2", 5_00),
        Adjustment("PR", "3", 5_00),
        Adjustment("CO", "45", 20_00),
    ]


@pytest.mark.parametrize(
    ("extra", "cells", "adjustments"),
    [
        ("denial code", "CO-197", [("CO", "197", 100_00)]),
        ("denial code", "197", [("", "197", 100_00)]),
        ("denial code", "PR-1", [("PR", "1", 100_00)]),
        ("denial code,pt resp", "CO16; PR-3,20.00", [("CO", "16", 80_00), ("PR", "3", 20_00)]),
        ("denial code,contractual adj", "CO-97,30.00", [("CO", "45", 30_00), ("CO", "97", 70_00)]),
        ("denial code,adjustment", "CO-50,40.00", [("CO", "50", 40_00)]),
        ("denial reason", "CO-29: too late", [("CO", "29", 100_00)]),
        ("denial reason", "filed too late", []),
        ("denial code,denial reason", "CO-18,CO-29: too late", [("CO", "18", 100_00)]),
        ("denial code", "197 - Precert absent", [("", "197", 100_00)]),
        ("denial code", "CO-45", [("CO", "45", 100_00)]),
    ],
)
def test_reasons_share_what_was_not_paid(extra, cells, adjustments):
    row = ROW.replace("60.00,PAID", "0.00,Denied").replace("80.00", "")
    got = read(table(f"{row},{cells}", header=f"{HEADER},{extra}"))

    assert got.problems == []
    assert [tuple(one[:3]) for one in got.claims[0].lines[0].adjustments] == adjustments


@pytest.mark.parametrize(
    ("extra", "cell", "code"),
    [
        ("denial code", "not covered", "reason_invalid"),
        ("denial code", "45; and more", "reason_invalid"),
        ("units", "many", "units_invalid"),
        ("mod", "ABC", "modifier_invalid"),
        ("copay", "free", "money_invalid"),
        ("member id", "1.5E+10", "identifier_destroyed"),
    ],
)
def test_dirt_in_an_optional_column_rejects_its_row_too(extra, cell, code):
    got = read(table(f"{ROW},{cell}", header=f"{HEADER},{extra}"))

    assert got.codes == [code]


def test_the_value_of_an_identifying_column_is_hidden():
    got = read(table(f"{ROW},1.5E+10", header=f"{HEADER},member id"))

    assert got.problems[0].value == "[removed]"
    assert "1.5E+10" not in repr(got.problems[0])


# -- headers ----------------------------------------------------------------------------------


def test_identifying_columns_are_never_read():
    got = read(table(f"{ROW},Doe,123-45-6789,1970-01-01", header=f"{HEADER},Patient Name,SSN,DOB"))

    assert got.notices == ["identifying_column"] * 3
    assert "Doe" not in repr(got.claims)


@pytest.mark.parametrize("header", ["SSN", "Patient Phone", "Member Name", "home address"])
def test_identifying_columns_cannot_be_mapped(header):
    with pytest.raises(FileRefused, match="identifies people"):
        read(table(f"{ROW},x", header=f"{HEADER},{header}"), columns={header: "facility"})


def test_a_mapping_wins_over_the_aliases():
    got = read(table(f"{ROW},Z9", header=f"{HEADER},Their No."), columns={"their no": "claim_id"})

    assert got.claims[0].patient_control_number == "Z9"


def test_a_mapping_to_an_unknown_field_names_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'billed'"):
        read(table(ROW), columns={"x": "biled"})


def test_two_columns_for_one_field_are_named():
    with pytest.raises(FileRefused, match=r"'billed' \(column 6\) and 'Charges' \(column 10\)"):
        read(table(f"{ROW},5", header=f"{HEADER},Charges"))


@pytest.mark.parametrize("name", ["claim_id", "payer", "dos", "billed", "paid"])
def test_a_missing_required_column_is_named(name):
    with pytest.raises(FileRefused, match="no column holds") as refused:
        read(
            table(ROW).replace(name, "notes", 1)
            if name != "paid"
            else table(ROW).replace(",paid,", ",x,")
        )

    assert refused.value.code == "column_missing"


def test_an_ambiguous_column_is_asked_for_not_guessed():
    with pytest.raises(FileRefused, match="'Date' may be several things"):
        read(table(ROW).replace("dos", "Date"))


def test_a_file_of_submissions_needs_no_paid_column():
    got = read("claim id,payer,bill date,charge,status\nC1,BLUE,2025-01-02,100,Submitted\n")

    assert (got.claims[0].status, got.claims[0].submitted_on) == ("pending", dt.date(2025, 1, 2))


def test_an_icn_serves_as_claim_id_where_there_is_no_other():
    got = read(table(ROW).replace("claim_id", "ICN"))

    assert got.claims[0].patient_control_number == "C1"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "web page"),
        (b"<?xml version='1.0'?><a/>", "XML"),
        (b"PK\x03\x04....", "Excel workbook"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"ISA*00*          *00*", "X12"),
        (b"hello\nworld\n", "header row"),
        (b"a,b,c\n1,2,3\n", "header row"),
    ],
)
def test_what_is_no_csv_of_claims_is_refused_in_one_line(data, what):
    with pytest.raises(FileRefused, match=what) as refused:
        read(data)

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_is_found_by_its_own_name(name):
    rest = [
        one for one in ("claim_id", "payer_name", "service_date", "billed", "paid") if one != name
    ]
    batch = next(CsvReader().read(io.BytesIO(",".join([name, *rest]).encode()), ReadOptions()))

    assert [one.code for one in batch.notices] == []


@given(st.sampled_from(["claim id", "payer name", "date of service", "billed amount"]), st.data())
def test_case_blanks_and_punctuation_of_headers_do_not_matter(alias, data):
    between = data.draw(st.sampled_from(["_", " ", "-", ".", "  ", "\u00a0", "/"]))
    changed = "".join(
        data.draw(st.sampled_from([mark.upper(), mark.lower()]))
        for mark in alias.replace(" ", between)
    )
    # Camel case separates words, so only one case at a time is the same header.
    changed = data.draw(st.sampled_from([changed.upper(), changed.lower(), changed.title()]))

    assert fold_header(f" {changed}\u200b ") == alias
    assert fold_header(fold_header(changed)) == fold_header(changed)


# -- sniffing ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "confidence"),
    [
        (table(ROW).encode(), Confidence.LIKELY),
        (table(ROW).encode("utf-16"), Confidence.LIKELY),
        (b"", Confidence.POSSIBLE),
        (b"<html>", Confidence.POSSIBLE),
        (b"some text", Confidence.POSSIBLE),
        (b"ISA*00*", Confidence.NO),
        (b"\xef\xbb\xbfISA*00*", Confidence.NO),
        (b'{"resourceType": "Bundle"}', Confidence.NO),
        (bytes(range(32)) * 20, Confidence.NO),
    ],
)
def test_a_head_is_judged_by_its_content(head, confidence):
    assert CsvReader().sniff(head, "anything.bin") is confidence


def test_an_x12_file_named_csv_goes_to_the_x12_reader():
    with pytest.raises(FileRefused, match="pip install claimkit-x12"):
        choose_reader(b"ISA*00*", "claims.csv", {"csv": CsvReader()})


# -- limits, memory, anything -----------------------------------------------------------------


def test_too_many_problems_stop_the_file_and_keep_what_is_in():
    bad = [ROW.replace("60.00", "x")] * 6
    got = read(table(ROW, *bad, ROW.replace("C1", "C2")), max_problems=5)

    assert (got.accepted, len(got.problems)) == (1, 6)
    assert got.batches[-1].stopped == "more than 5 rows cannot be taken"
    assert "file_stopped" in got.notices


def test_too_large_a_share_of_problems_stops_the_file():
    rows = [
        ROW.replace("C1", f"C{n}") if n % 2 else ROW.replace("60.00", "x") for n in range(3_000)
    ]
    got = read(table(*rows), max_problems=10_000)

    assert got.rows < 1_010
    assert "20%" in got.batches[-1].stopped


def test_a_file_of_nothing_but_problems_is_refused():
    with pytest.raises(FileRefused, match="more than 5 rows") as refused:
        read(table(*[ROW.replace("60.00", "x")] * 50), max_problems=5)

    assert "line 2" in str(refused.value)


def test_a_header_without_rows_is_a_valid_file():
    got = read(table())

    assert (len(got.batches), got.rows) == (1, 0)
    assert got.batches[0].kinds == CsvReader().kinds


class Endless:
    """A stream of many rows that never exists as a whole."""

    def __init__(self, rows):
        self._left = rows
        self._header = f"{HEADER}\n".encode()

    def read(self, size=-1):
        if self._header:
            header, self._header = self._header, b""
            return header
        count = min(2_000, self._left)
        self._left -= count
        row = ROW.replace("60.00", '"60.00"')
        return "".join(f"C{self._left + n}{row[2:]}\n" for n in range(count)).encode()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file():
    def peak(rows):
        tracemalloc.start()
        count = sum(
            len(b.claims) for b in CsvReader().read(Endless(rows), ReadOptions(batch_size=500))
        )
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == rows
        return top

    # What other threads of the process take meanwhile is not in both.
    assert min(peak(15_000), peak(15_000)) < 1.3 * peak(5_000)


alphabet = st.sampled_from(
    [*"Cc19,;|\t\"'\n\r\0 .-/$()", "99213", "2025-01-02", "é", "\ufeff", "PAID", ROW, HEADER]
)


@given(st.lists(alphabet, max_size=60).map("".join), st.sampled_from(["utf-8", "cp1252", "utf-16"]))
def test_every_row_is_accepted_skipped_or_rejected(text, encoding):
    data = (table(ROW) + text).encode(encoding, errors="replace")

    got = read(data, max_problems=10**6)

    assert got.accepted + got.skipped + len(got.problems) == got.rows
    assert got.accepted == sum(len(claim.lines) for claim in got.claims)
    assert all(one.position > 1 and one.message and one.remedy for one in got.problems)


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_read_or_refused(data):
    for given_bytes in (data, table(ROW).encode() + data, data + table(ROW).encode()):
        with contextlib.suppress(FileRefused):
            read(given_bytes)


class Trickle:
    """A stream that gives a few bytes at a time."""

    def __init__(self, data, size):
        self._stream = io.BytesIO(data)
        self._size = size

    def read(self, _):
        return self._stream.read(self._size)


@given(
    st.lists(st.sampled_from(["a", "é", "\n", "\r", "\r\n", '"', ","]), max_size=30).map("".join),
    st.integers(1, 7),
    st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16"]),
)
def test_pieces_of_any_size_give_the_same_lines(text, size, encoding):
    text = f"first\n{'x' * 60}{text}"
    data = text.encode(encoding)

    def lines(stream):
        return [line for block in TextLines(stream).blocks() for line in block]

    # The first piece must show the byte order mark; streams give at least that much.
    assert lines(Trickle(data, size + 3)) == lines(io.BytesIO(data))
    ended = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
    assert lines(io.BytesIO(data)) == ended.split("\n")


@pytest.mark.parametrize(
    "header", ["Decided", "DECIDED ON", "Date_Decided", "Adjudicated On", "Date of Decision"]
)
def test_usual_names_of_the_decision_date_are_known(header):
    text = f"claim id,payer,dos,billed,paid,status,{header}\n1,BLM,01/05/2026,9,8,paid,01/20/2026\n"
    (batch,) = CsvReader().read(io.BytesIO(text.encode()), ReadOptions())

    assert [one.decided_on for one in batch.claims] == [dt.date(2026, 1, 20)]
    assert "unknown_column" not in {one.code for one in batch.notices}
