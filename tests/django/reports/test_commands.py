"""Reports and exports from the terminal and from cron."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from django.core.management import CommandError, call_command

from claimkit_django.reports.models import ReportSchedule
from claimkit_django.tenants.scope import enter
from tests.reporting import add_claims, make

pytestmark = pytest.mark.django_db


def run(*arguments):
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_a_report_is_made_and_says_what_it_says(clinic, storage):
    told = json.loads(
        run(
            *("claimkit_report", "--tenant", "northside", "--first", "2026-03-01"),
            *("--as", "json", "xlsx", "--format", "json"),
        )
    )

    assert told["headline"].endswith("about $48,000 a month.")
    assert sorted(told["files"]) == ["json", "xlsx"]
    assert sorted(told["files"].values()) == storage()


def test_without_a_day_it_is_the_latest_period_that_has_ended(clinic):
    told = run("claimkit_report", "--tenant", "northside", "--kind", "quarterly", "--as", "csv")

    assert told.startswith("quarterly ")
    assert "No decision is known" in told or "No payer has changed" in told or "$48,000" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tenant", "nowhere"], "no active tenant"),
        (["--tenant", "northside", "--as", "docx"], "unknown report format"),
        (["--tenant", "northside", "--kind", "custom"], "needs --first and --last"),
        (
            [
                "--tenant",
                "northside",
                "--kind",
                "custom",
                "--first",
                "2026-03-02",
                "--last",
                "2026-03-01",
            ],
            "before it begins",
        ),
    ],
)
def test_what_cannot_be_made_is_one_clear_line(clinic, arguments, said):
    with pytest.raises(CommandError, match=said) as raised:
        run("claimkit_report", *arguments)

    assert "\n" not in str(raised.value)


def test_a_report_in_the_making_is_left_alone(clinic):
    from claimkit_django.reports.models import ReportRun

    make(clinic)
    ReportRun.unscoped.update(status="running", finished_at=None)

    with pytest.raises(CommandError, match="another worker"):
        run("claimkit_report", "--tenant", "northside", "--first", "2026-03-01")


def test_cron_makes_what_is_due(clinic, mailbox):
    with enter(clinic):
        ReportSchedule.objects.create(
            kind="weekly", formats=["json"], recipients=["cfo@example.org"]
        )

    assert run("claimkit_report", "--due") == "1 due, 1 made, 0 failed, 1 mailed\n"
    told = json.loads(run("claimkit_report", "--due", "--format", "json"))
    assert (told["queued"], told["made"]) == (0, 0)


def test_cron_says_that_a_schedule_cannot_be_kept(clinic):
    with enter(clinic):
        ReportSchedule.objects.create(kind="weekly", formats=["json"])
    type(clinic).objects.update(timezone="Mars/Olympus")

    with pytest.raises(CommandError, match="1 schedules cannot be kept"):
        run("claimkit_report", "--due")


# -- exports ----------------------------------------------------------------------------------------


def test_an_export_is_a_file_or_nothing(clinic, tmp_path):
    target = tmp_path / "findings.csv"

    told = run(
        *("claimkit_export", "--tenant", "northside", "--source", "findings"),
        *("--columns", "payer", "dollars_per_month", "--to", str(target)),
    )

    assert told == "1 rows of findings written\n"
    assert list(csv.reader(target.read_text().splitlines())) == [
        ["payer", "dollars_per_month"],
        ["Aetna", "48210.50"],
    ]
    assert list(tmp_path.glob("*.part")) == []


def test_rows_go_to_standard_output_and_words_do_not(clinic, capfdbinary):
    call_command("claimkit_export", "--tenant", "northside", "--source", "findings", "--as", "json")

    out, err = capfdbinary.readouterr()
    assert json.loads(out)[0]["payer"] == "Aetna"
    assert b"1 rows of findings written" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--source", "claim"], "did you mean 'claims'"),
        (["--columns", "payr"], "did you mean 'payer'"),
        (["--to", "/nowhere/at/all.csv"], "No such file"),
    ],
)
def test_what_cannot_be_exported_is_one_clear_line(clinic, arguments, said):
    with pytest.raises(CommandError, match=said):
        run("claimkit_export", "--tenant", "northside", *arguments)


def test_expired_exports_are_removed(clinic):
    assert run("claimkit_export", "--prune") == (
        "0 exports removed, 0 given up, 0 files without a row removed\n"
    )
    assert json.loads(run("claimkit_export", "--prune", "--format", "json")) == {
        "removed": 0,
        "given_up": 0,
        "orphans": 0,
    }


def test_an_export_under_safe_harbor_has_years_and_no_identifier(clinic, tmp_path):
    add_claims(clinic)
    target = tmp_path / "claims.csv"

    call_command(
        *("claimkit_export", "--tenant", clinic.key, "--source", "claims", "--safe-harbor"),
        *("--to", str(target)),
    )

    text = target.read_text()
    assert "service_from_year" in text
    assert '"uid"' not in text
    assert not re.search(r"\d{4}-\d\d|clm_", text)
