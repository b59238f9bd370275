from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command

from claimkit_django.claims.models import Upload
from claimkit_django.runtime import open_store
from claimkit_django.terminal import ProgressBar, progress_for

pytestmark = pytest.mark.django_db

HEADER = "Claim ID,Payer,CPT,DOS,Submitted,Decided,Status,Billed,Allowed,Paid\n"
ROW = "A{n:05},Meridian Health,99213,2026-01-05,2026-01-06,2026-01-12,paid,120.00,100.00,80.00\n"


@pytest.fixture
def export(tmp_path):
    path = tmp_path / "export.csv"
    path.write_text(HEADER + "".join(ROW.format(n=n) for n in range(3)))
    return path


def run(*arguments):
    out, err = StringIO(), StringIO()
    try:
        call_command("claimkit_import", *map(str, arguments), stdout=out, stderr=err)
    except CommandError as error:
        return out.getvalue(), err.getvalue() + str(error)
    return out.getvalue(), err.getvalue()


def test_import_says_what_is_in(northside, export):
    out, err = run(export, "--tenant", "northside", "--format", "json")

    assert err == ""
    assert json.loads(out) == {
        "file": str(export),
        "kind": "csv",
        "claims": 3,
        "lines": 3,
        "charge": "360.00",
        "paid": "240.00",
        "rejected": 0,
        "notices": json.loads(out)["notices"],
        "upload": Upload.unscoped.get().uid,
        "status": "success",
        "new": 3,
        "changed": 0,
        "same": 0,
    }
    assert open_store().claims.totals("northside").claims == 3
    assert Upload.unscoped.get().source == "command"


def test_import_again_changes_nothing(northside, export):
    run(export, "--tenant", "northside")
    out, _ = run(export, "--tenant", "northside")

    assert "3 claims, 3 lines, charged 360.00, paid 240.00, 0 rejected" in out
    assert "0 new, 0 changed, 3 the same" in out


def test_a_dry_run_keeps_nothing_and_needs_no_tenant(db, export):
    out, _ = run(export, "--dry-run", "--format", "json")

    assert json.loads(out)["claims"] == 3
    assert not Upload.unscoped.exists()


def test_a_file_that_is_refused_does_not_stop_the_others(northside, export, tmp_path):
    foreign = tmp_path / "letter.pdf"
    foreign.write_bytes(b"%PDF-1.7")

    out, err = run(foreign, tmp_path / "nowhere.csv", export, "--tenant", "northside")

    assert "3 new" in out
    assert "this is a PDF, not a claims file" in err
    assert "No such file or directory" in err
    assert "2 of the files could not be read" in err


def test_a_dry_run_refuses_too(db, tmp_path):
    foreign = tmp_path / "letter.pdf"
    foreign.write_bytes(b"%PDF-1.7")

    out, err = run(foreign, "--dry-run", "--format", "json")

    assert json.loads(out)["error"].startswith("this is a PDF")
    assert "1 of the files" in err


@pytest.mark.parametrize("arguments", [(), ("--tenant", "nowhere")])
def test_a_tenant_must_be_named_and_active(db, export, arguments):
    out, err = run(export, *arguments)

    assert "tenant" in err
    assert out == ""


def test_resume_runs_what_nobody_works_on(northside, make_upload, export):
    content = export.read_bytes()
    make_upload(northside, file=ContentFile(content, name="export.csv"), bytes_total=len(content))

    out, _ = run("--resume")

    assert "3 new" in out
    assert Upload.unscoped.get().status == "success"


class _Terminal(StringIO):
    def isatty(self):
        return True

    def write(self, text, ending=""):
        return super().write(text + ending)


def test_a_bar_is_drawn_for_people_only():
    assert progress_for(StringIO(), verbosity=1) is None
    assert progress_for(_Terminal(), verbosity=0) is None
    assert isinstance(progress_for(_Terminal(), verbosity=1), ProgressBar)


def test_a_bar_is_redrawn_once_a_percent_and_ends_its_line():
    terminal = _Terminal()
    bar = progress_for(terminal, verbosity=1)
    for done in (0, 1, 500, 1000):
        bar("reading export.csv", done, 1000)
    bar("counting", 7, None)

    drawn = terminal.getvalue().split("\r")[1:]
    assert [one.split("%")[0][-4:].strip() for one in drawn] == ["0", "50", "100", "0"]
    assert drawn[2].endswith("reading export.csv\n")


def test_import_draws_a_bar_on_a_terminal(northside, export):
    terminal = _Terminal()
    call_command(
        "claimkit_import", str(export), "--tenant", "northside", stdout=StringIO(), stderr=terminal
    )

    assert "100 %  reading export.csv" in terminal.getvalue()
