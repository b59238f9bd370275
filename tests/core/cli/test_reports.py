"""``claimkit report`` and ``claimkit export``, from files to a file."""

from __future__ import annotations

import csv
import io
import json

import pytest

from claimkit.cli import main

HEADER = (
    "claim id,payer,cpt,dos,submitted,paid date,billed,allowed,paid,status,denial code,member id"
)
ROWS = [
    "C1,MERIDIAN,99213,2026-01-02,2026-01-03,2026-01-20,100.00,80.00,60.00,PAID,,M-7731",
    "C2,LAKE MUTUAL,99213,2026-01-02,2026-01-03,2026-01-20,120.50,,0,DENIED,CO-197,M-7732",
    "C3,LAKE MUTUAL,36415,2026-01-05,2026-01-06,,20.00,,,PENDING,,M-7733",
]


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "billing.csv"
    path.write_text("\n".join([HEADER, *ROWS]) + "\n", encoding="utf-8")
    url = f"sqlite:///{tmp_path / 'claims.db'}"
    assert main(["import", str(path), "--store", url, "--quiet"]) == 0
    return url


@pytest.fixture
def run(capfdbinary):
    def one(*arguments):
        capfdbinary.readouterr()
        status = main([*arguments, "--quiet"])
        out, err = capfdbinary.readouterr()
        return status, out.decode(), err.decode()

    return one


def test_claims_are_exported_without_anything_personal(store, run):
    status, out, err = run("export", "--store", store)

    rows = list(csv.DictReader(io.StringIO(out)))
    assert (status, err) == (0, "")
    assert sorted(one["charge"] for one in rows) == ["100.00", "120.50", "20.00"]
    assert "patient_control_number" not in rows[0]


def test_an_export_under_safe_harbor_has_years_and_no_numbers_of_claims(store, run):
    status, out, err = run("export", "--store", store, "--safe-harbor")

    rows = list(csv.DictReader(io.StringIO(out)))
    assert (status, err) == (0, "")
    assert {one["service_from_year"] for one in rows} == {"2026"}
    assert not any(name in out for name in ("2026-01", "C1", "M-7731"))


def test_a_column_that_safe_harbor_keeps_is_refused(store, run):
    status, out, err = run("export", "--store", store, "--safe-harbor", "--columns", "provider")

    assert (status, out) == (1, "")
    assert "Safe Harbor does not let the column provider out" in err


def test_an_export_goes_to_a_file_in_its_format(store, run, tmp_path):
    target = tmp_path / "claims.ndjson"
    status, out, _ = run(
        *("export", "--store", store, "--as", "ndjson", "--to", str(target)),
        *("--columns", "patient_control_number", "outcome", "--format", "json"),
    )

    assert status == 0
    assert json.loads(out) == {"source": "claims", "rows": 3, "file": str(target)}
    read = [json.loads(one) for one in target.read_text().splitlines()]
    assert {one["patient_control_number"]: one["outcome"] for one in read} == {
        "C1": "paid",
        "C2": "denied",
        "C3": "pending",
    }


def test_findings_are_exported(store, run):
    status, out, _ = run("export", "--store", store, "--source", "findings", "--as", "json")

    assert (status, json.loads(out)) == (0, [])


def test_a_column_that_is_not_there_is_one_clear_line(store, run, tmp_path):
    target = tmp_path / "claims.csv"
    status, _, err = run("export", "--store", store, "--columns", "payr", "--to", str(target))

    assert status == 1
    assert "unknown column 'payr'; did you mean 'payer'?" in err
    assert list(tmp_path.glob("claims.csv*")) == []


def test_the_report_is_of_the_month_of_the_last_decision(store, run):
    status, out, _ = run("report", "--store", store, "--as", "json")

    report = json.loads(out)
    assert status == 0
    assert report["title"] == "Monthly payer report"
    assert report["as_of"] == "2026-01-31"


def test_a_report_goes_to_a_file_and_says_what_it_says(store, run, tmp_path):
    target = tmp_path / "q1.html"
    status, out, _ = run(
        *("report", "--store", store, "--kind", "quarterly", "--first", "2026-02-01"),
        *("--to", str(target)),
    )

    assert status == 0
    assert out.startswith("No payer has changed how it treats your claims in the first quarter")
    assert "Quarterly payer report" in target.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--as", "docx"], "unknown report format 'docx'"),
        (["--kind", "custom"], "needs --first and --last"),
        (
            ["--kind", "custom", "--first", "2026-02-02", "--last", "2026-02-01"],
            "before it begins",
        ),
    ],
)
def test_what_is_no_report_is_one_clear_line(store, run, arguments, said):
    status, out, err = run("report", "--store", store, *arguments)

    assert (status, out) == (1, "")
    assert said in err
    assert err.count("\n") == 1


def test_files_are_read_first(run, tmp_path):
    path = tmp_path / "billing.csv"
    path.write_text("\n".join([HEADER, *ROWS]) + "\n", encoding="utf-8")

    status, out, _ = run("report", str(path), "--as", "json")

    assert status == 0
    assert json.loads(out)["as_of"] == "2026-01-31"


def test_a_report_stands_beside_an_earlier_one(store, run, tmp_path):
    earlier = tmp_path / "december.json"
    run(
        *("report", "--store", store, "--first", "2025-12-01", "--as", "json"),
        *("--to", str(earlier)),
    )

    status, out, _ = run("report", "--store", store, "--as", "json", "--compare", str(earlier))

    assert status == 0
    (section,) = [one for one in json.loads(out)["sections"] if one["anchor"] == "compared"]
    assert section["heading"] == "Beside the report of 31 Dec 2025"
    rows = {row[0]: row[1:3] for row in section["tables"][0]["rows"]}
    assert rows["Decided"] == ["2", "0"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe", "not one that was written as JSON"),
        (b"[" * 100_000, "not one that was written as JSON"),
        (b"[]", "not one that was written as JSON"),
        (b'{"as_of": "2025-12-31", "key_figures": [7]}', "not one that was written as JSON"),
        (
            b'{"as_of": "2025-12-31", "key_figures": [], "findings": [], "tenant": "lakeview"}',
            "another tenant",
        ),
    ],
)
def test_what_is_no_earlier_report_is_one_clear_line(store, run, tmp_path, written, said):
    earlier = tmp_path / "earlier.json"
    if written is not None:
        earlier.write_bytes(written)

    status, out, err = run("report", "--store", store, "--compare", str(earlier))

    assert (status, out) == (1, "")
    assert said in err
    assert err.count("\n") == 1


def test_the_help_says_where_to_export_what_a_store_does_not_have(capfdbinary):
    with pytest.raises(SystemExit):
        main(["export", "--help"])

    assert b"manage.py claimkit_export" in b" ".join(capfdbinary.readouterr().out.split())
