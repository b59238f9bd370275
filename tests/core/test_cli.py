from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

import claimkit
from claimkit.cli import main

HEADER = (
    "claim id,payer,cpt,dos,submitted,paid date,billed,allowed,paid,status,denial code,member id"
)
ROWS = [
    "C1,MERIDIAN HEALTH PLAN,99213,2026-01-02,2026-01-03,2026-01-20,100.00,80.00,60.00,PAID,,M-7731",
    "C2,MERIDIAN HEALTH PLAN,99213,2026-01-02,2026-01-03,2026-01-20,120.50,,0,DENIED,CO-197,M-7732",
    "C3,LAKE MUTUAL,36415,2026-01-05,2026-01-06,,20.00,,,PENDING,,M-7733",
]


@pytest.fixture
def billing(tmp_path):
    def write(*rows, name="billing.csv"):
        path = tmp_path / name
        path.write_text("\n".join([HEADER, *(rows or ROWS)]) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def planted(tmp_path_factory):
    """Return a year of claims of three payers, one of which denies a third more since a day."""
    path = tmp_path_factory.mktemp("planted") / "year.csv"
    first, onset = dt.date(2025, 3, 3), dt.date(2026, 1, 5)
    rows = [HEADER]
    for day in range(400):
        sent = first + dt.timedelta(days=day)
        if sent.weekday() >= 5:
            continue
        for at in range(24):
            payer = ("MERIDIAN HEALTH PLAN", "LAKE MUTUAL", "BOREAL HMO")[at % 3]
            decided = sent + dt.timedelta(days=7 + (at + day) % 4)
            is_worse = at % 3 == 0 and decided >= onset
            denied = (7 * day + 3 * at) % 11 < (4 if is_worse else 1)
            result = "0,DENIED,CO-197" if denied else "60.00,PAID,"
            allowed = "" if denied else "80.00"
            rows.append(
                f"Z{day}-{at},{payer},99213,{sent},{sent},{decided},100.00,{allowed},{result},M1"
            )
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def run(capsys, *arguments):
    status = main([str(one) for one in arguments])
    out, err = capsys.readouterr()
    return status, out, err


def objects(out):
    return [json.loads(line) for line in out.splitlines()]


def test_a_dry_run_prints_one_object_per_file_and_kind(billing, capsys):
    path = billing()
    status, out, err = run(capsys, "import", path, "--dry-run", "--format", "json")

    assert (status, err) == (0, "")
    (row,) = objects(out)
    assert row["file"] == str(path)
    assert row["kind"] == "csv"
    assert (row["claims"], row["lines"], row["rejected"]) == (3, 3, 0)
    assert (row["charge"], row["paid"]) == ("240.50", "60.00")
    assert isinstance(row["notices"], dict)


def test_a_dry_run_keeps_nothing(billing, tmp_path, capsys):
    store = tmp_path / "claims.db"
    run(capsys, "import", billing(), "--dry-run", "--store", f"sqlite:///{store}")

    assert not store.exists()


def test_importing_again_changes_nothing_and_says_so(billing, tmp_path, capsys):
    store = f"sqlite:///{tmp_path / 'claims.db'}"
    _, first, _ = run(capsys, "import", billing(), "--store", store)
    status, again, _ = run(capsys, "import", billing(), "--store", store)

    assert "3 new, 0 changed, 0 the same" in first
    assert status == 0
    assert "0 new, 0 changed, 3 the same" in again


def test_the_key_for_patient_tokens_is_readable_by_the_owner_only(billing, tmp_path, capsys):
    run(capsys, "import", billing(), "--store", f"sqlite:///{tmp_path / 'claims.db'}")

    assert (tmp_path / "claims.db.key").stat().st_mode & 0o777 == 0o600


def test_no_member_id_reaches_the_store(billing, tmp_path, capsys):
    run(capsys, "import", billing(), "--store", f"sqlite:///{tmp_path / 'claims.db'}")

    stored = b"".join(path.read_bytes() for path in tmp_path.glob("claims.db*"))
    assert b"M-7731" not in stored


def test_a_bad_row_is_told_with_line_field_reason_and_remedy(billing, tmp_path, capsys):
    bad = ROWS[0].replace("C1", "C9").replace("60.00", "sixty")
    repair = tmp_path / "repair.csv"
    status, out, _ = run(
        capsys, "import", billing(*ROWS, bad), "--store", "memory:", "--repair", repair
    )

    assert status == 0
    assert "csv line 5, paid: " in out
    assert "3 new" in out
    assert "sixty" in repair.read_text(encoding="utf-8")


def test_a_refused_file_is_one_clear_line_and_the_others_are_read(billing, tmp_path, capsys):
    workbook = tmp_path / "sheet.csv"
    workbook.write_bytes(b"PK\x03\x04" + bytes(60))
    status, out, err = run(
        capsys, "import", workbook, billing(), tmp_path / "gone.csv", "--dry-run"
    )

    assert status == 1
    assert "3 claims" in out
    assert err.splitlines() == [
        f"claimkit: error: {workbook}: this is an Excel workbook or ZIP archive, not a claims file. "
        "Save the sheet as CSV and try again",
        f"claimkit: error: {tmp_path / 'gone.csv'}: No such file or directory",
    ]


def test_a_refused_file_is_an_object_too(tmp_path, capsys):
    workbook = tmp_path / "sheet.csv"
    workbook.write_bytes(b"PK\x03\x04" + bytes(60))
    status, out, _ = run(capsys, "import", workbook, "--dry-run", "--format", "json")

    assert status == 1
    assert objects(out)[0]["error"]["code"] == "file_refused"


def test_columns_can_be_mapped_by_hand(tmp_path, capsys):
    path = tmp_path / "odd.csv"
    path.write_text(
        "claim id,payer,cpt,dos,Tot Chg,paid\nC1,LAKE MUTUAL,36415,2026-01-05,20.00,5.00\n",
        encoding="utf-8",
    )
    _, out, _ = run(
        capsys, "import", path, "--dry-run", "--format", "json", "--column", "Tot Chg=billed"
    )

    assert objects(out)[0]["charge"] == "20.00"


def test_watch_says_when_there_is_too_little_history(billing, capsys):
    status, out, _ = run(capsys, "watch", billing())

    assert status == 0
    assert "learning" in out.lower()


def test_watch_writes_html_and_prints_json(billing, tmp_path, capfdbinary):
    page = tmp_path / "report.html"
    status = main(["watch", str(billing()), "--html", str(page), "--format", "json"])
    out, _ = capfdbinary.readouterr()

    assert status == 0
    assert "sections" in json.loads(out)
    HTMLParser().feed(page.read_text(encoding="utf-8"))


def test_watch_of_nothing_but_refused_files_fails(tmp_path, capsys):
    empty = tmp_path / "gone.835"
    status, out, err = run(capsys, "watch", empty)

    assert (status, out) == (1, "")
    assert "No such file" in err


def test_plugins_shows_what_each_adds(capsys):
    _, text, _ = run(capsys, "plugins")
    _, out, _ = run(capsys, "plugins", "--format", "json")

    lines = text.splitlines()
    builtins = objects(out)[0]

    assert lines[0] == f"builtins  (claimkit {claimkit.__version__})"
    # Names begin in one column, however long the kind before them is.
    shown = dict(re.split(r"  +", one.strip(), maxsplit=1) for one in lines[1:11])
    assert shown["payer directories"] == "federal-programs"
    assert "claimkit_open_store" in shown["hooks"]
    assert len({len(re.match(r"  .*?  +", one)[0]) for one in lines[1:11]}) == 1
    assert builtins["distribution"] == "claimkit"
    assert builtins["version"] == claimkit.__version__
    assert builtins["status"] == "loaded"
    assert "csv" in builtins["adds"]["readers"]
    assert "claimkit_resolve_tenant" in builtins["hooks"]


@pytest.fixture
def broken(monkeypatch):
    def load():
        raise ImportError("no module named palombia")

    dist = SimpleNamespace(name="claimkit-jungle", version="1.2", requires=None)
    entry = SimpleNamespace(name="jungle", load=load, dist=dist)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [entry])


def test_plugins_shows_what_failed_and_why(broken, capsys):
    status, text, err = run(capsys, "plugins")
    again, out, _ = run(capsys, "plugins", "--format", "json")

    assert (status, again, err) == (1, 1, "")
    assert "jungle  (claimkit-jungle 1.2)\n  FAILED  plugin 'jungle'" in text
    failed = objects(out)[-1]
    assert (failed["plugin"], failed["status"]) == ("jungle", "failed")
    assert failed["error"]["code"] == "plugin_broken"
    assert "palombia" in failed["error"]["message"]
    status, text, _ = run(capsys, "plugins", "--disable-plugin", "jungle")
    assert (status, text.splitlines()[-2:]) == (0, ["jungle", "  disabled"])


def test_a_broken_plugin_is_a_warning_and_the_work_is_done(broken, billing, capsys):
    status, out, err = run(capsys, "import", billing(), "--dry-run")

    assert status == 0
    assert out
    assert err.startswith(
        "claimkit: warning: plugin 'jungle' of claimkit-jungle 1.2 failed to load"
    )
    assert err.count("\n") == 1


def test_a_required_plugin_that_is_broken_stops_the_work(broken, billing, tmp_path, capsys):
    path = tmp_path / "claimkit.toml"
    path.write_text('[plugins]\nrequired = ["jungle"]\n')
    status, out, err = run(capsys, "import", billing(), "--dry-run", "--config", path)

    assert (status, out) == (1, "")
    assert err.startswith("claimkit: error: plugin 'jungle'")


def test_doctor_is_content_with_a_sound_installation(capsys):
    status, out, _ = run(capsys, "doctor")
    _, rows, _ = run(capsys, "doctor", "--format", "json")

    assert status == 0
    assert "FAIL" not in out
    assert all(row["ok"] for row in objects(rows))


def test_doctor_fails_when_a_check_fails(capsys):
    status, out, _ = run(capsys, "doctor", "--store", "postgres://x")

    assert status == 1
    assert "FAIL  store" in out


def test_doctor_leaves_out_what_is_blocked(capsys):
    status, out, _ = run(capsys, "doctor", "--disable-plugin", "builtins")

    assert status == 1
    assert "FAIL  detectors: no detector is registered. Is 'builtins' disabled?" in out
    assert "FAIL  store: no plugin opens a store of kind 'memory'" in out


def test_settings_come_from_a_file_and_a_wrong_one_is_named(billing, tmp_path, capsys):
    settings = tmp_path / "claimkit.toml"
    settings.write_text("[drift]\nbugdet = 0.2\n", encoding="utf-8")
    status, _, err = run(capsys, "watch", billing(), "--config", settings)

    assert status == 1
    assert err == ("claimkit: error: unknown setting drift['bugdet']; did you mean 'budget'?\n")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["watch"],
        ["watch", "a.csv", "--as-of", "yesterday"],
        ["import", "a.csv", "--column", "billed"],
        ["import", "a.csv", "--format", "xml"],
    ],
)
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)

    assert stop.value.code == 2
    assert "usage: claimkit" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["watch", "import", "plugins", "doctor"])
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])

    assert stop.value.code == 0
    assert "--format" in capsys.readouterr().out


def test_the_module_is_the_command(billing):
    done = subprocess.run(
        [sys.executable, "-m", "claimkit", "import", billing(), "--dry-run"],
        capture_output=True,
        check=True,
        text=True,
    )

    assert "3 claims" in done.stdout


def test_a_closed_pipe_is_not_an_error(billing):
    command = f"{sys.executable} -m claimkit import {billing()} --dry-run | true"

    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, check=True, env=os.environ
    )

    assert b"Traceback" not in done.stderr


def test_a_backtest_tells_months_alerts_and_what_could_be_seen(planted, capsys, tmp_path):
    page = tmp_path / "back.html"
    asked = ("--since", "2025-09-01", "--html", page, "--quiet")
    status, out, _ = run(capsys, "backtest", planted, *asked)

    assert status == 0
    assert "there would have been" in out
    assert "Jan 2026" in out
    assert "MERIDIAN" in out
    assert "What past nights would have told" in page.read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_backtest_is_one_object_of_plain_values(planted, tmp_path, capsys):
    store = f"sqlite:///{tmp_path / 'claims.db'}"
    run(capsys, "import", planted, "--store", store, "--quiet")
    asked = ("--store", store, "--months", 6, "--knowledge", "then", "--format", "json")
    status, out, _ = run(capsys, "backtest", *asked)

    assert status == 0
    (result,) = objects(out)
    assert (result["tenant"], result["knowledge"]) == ("local", "then")
    assert sum(one["nights"] for one in result["months"]) == 182
    assert {one["segment"]["payer"] for one in result["findings"]} == {"MERIDIAN"}


@pytest.mark.slow
def test_a_watch_with_backtest_adds_a_section(planted, capsys):
    status, out, _ = run(capsys, "watch", planted, "--backtest", 3, "--format", "json")

    assert status == 0
    anchors = [one["anchor"] for one in json.loads(out)["sections"]]
    assert "backtest" in anchors


@pytest.mark.parametrize("months", ["0", "a year", "121"])
def test_months_that_are_none_are_refused(months, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["backtest", "--months", months])

    assert "number of months" in capsys.readouterr().err


def test_a_file_that_is_given_up_half_way_is_told_in_one_line(billing, capsys):
    good = [f"G{at},LAKE MUTUAL,36415,2026-01-05,,,20.00,,,PENDING,," for at in range(6_000)]
    bad = [f"B{at},LAKE MUTUAL,36415,2026-01-05,,,twenty,,,PENDING,," for at in range(2_000)]

    status, out, err = run(capsys, "import", "--dry-run", "--format", "json", billing(*good, *bad))

    assert status == 1
    assert json.loads(out)["claims"] >= 5_000
    assert err.count("\n") == 1
    assert "claimkit: error:" in err
    assert "billing.csv" in err


def test_watching_tells_of_rows_that_could_not_be_read(billing, capsys):
    bad = ROWS[0].replace("C1,", "C9,").replace("100.00", "a hundred")

    status, out, err = run(capsys, "watch", billing(*ROWS, bad))

    assert status == 0
    assert "billing.csv: 1 could not be read" in err
    assert "--dry-run" in err
    assert "a hundred" not in out + err


def interrupted(running):
    """Interrupt, as somebody at a keyboard would: again where nothing happens."""
    for _ in range(20):
        running.send_signal(signal.SIGINT)
        try:
            return running.communicate(timeout=3)
        except subprocess.TimeoutExpired:
            # Python checks for signals before a read that waits, not during its last steps there.
            continue
    raise AssertionError("it cannot be interrupted")


def test_an_interrupted_command_says_so_in_one_line_and_keeps_what_is_in(tmp_path):
    fifo = tmp_path / "slow.csv"
    os.mkfifo(fifo)
    command = [sys.executable, "-m", "claimkit", "import", fifo]
    running = subprocess.Popen(
        [*command, "--store", f"sqlite:///{tmp_path / 'claims.db'}"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Not measured: a signal that falls into the measuring is lost.
        env={name: value for name, value in os.environ.items() if not name.startswith("COV")},
    )
    try:
        with fifo.open("w") as slow:
            # It reads by now, and will wait for the rest for ever.
            slow.write(f"{HEADER}\n{ROWS[0]}\n")
            slow.flush()
            out, err = interrupted(running)
    finally:
        running.kill()

    assert (running.returncode, out) == (1, "")
    assert err == "claimkit: error: interrupted; what was committed stays\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--reader", "x21"], "unknown reader 'x21'; did you mean 'x12'?"),
        (["--column", "Tot=biled"], "unknown claim field 'biled'; did you mean 'billed'?"),
        (["--column", "Patient Phone=facility"], "identifies people and cannot be mapped"),
        (["--store", "mysql://x"], "no plugin opens a store of kind 'mysql'"),
        (["--disable-plugin", "builtins"], "no plugin opens a store of kind 'memory'"),
    ],
)
def test_a_wrong_option_is_one_clear_line(billing, arguments, message, capsys):
    pytest.importorskip("claimkit_x12") if "x21" in message else None
    status, out, err = run(capsys, "import", billing(), "--store", "memory:", *arguments)

    assert (status, out) == (1, "")
    assert message in err
    assert err.startswith("claimkit: error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "content", [b"[drift\n", b"\xff\xfe", b"budget = 1\n", b"[zorglub]\nx = 1\n"]
)
def test_a_file_of_settings_that_cannot_be_used_is_one_clear_line(tmp_path, content, capsys):
    path = tmp_path / "claimkit.toml"
    path.write_bytes(content)
    status, out, err = run(capsys, "plugins", "--config", path)

    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("claimkit: error: ")


def test_files_that_cannot_be_opened_or_written_are_one_clear_line_each(billing, tmp_path, capsys):
    _, _, folder = run(capsys, "import", tmp_path, "--dry-run")
    _, _, nowhere = run(capsys, "watch", billing(), "--html", tmp_path / "none" / "report.html")
    _, _, config = run(capsys, "doctor", "--config", tmp_path / "none.toml")

    assert folder == f"claimkit: error: {tmp_path}: Is a directory\n"
    assert nowhere == "claimkit: error: No such file or directory\n"
    assert config == "claimkit: error: No such file or directory\n"


def test_date_order_and_null_texts_can_be_said(billing, capsys):
    row = "C1,LAKE,99213,03/04/2026,,,100.00,n/a,0,DENIED,CO-197,"
    asked = ("import", billing(row), "--dry-run", "--format", "json", "--null", "N/A")
    _, out, _ = run(capsys, *asked, "--date-order", "dmy")

    (found,) = objects(out)
    assert (found["claims"], found["rejected"], found["notices"]) == (1, 0, {})


def test_many_problems_are_shown_in_part_and_written_in_full(billing, tmp_path, capsys):
    bad = [ROWS[0].replace("C1", f"B{n}").replace("60.00", "sixty") for n in range(30)]
    repair = tmp_path / "repair.csv"
    status, out, _ = run(capsys, "import", billing(*ROWS, *bad), "--dry-run", "--repair", repair)

    assert status == 0
    assert out.count("rejected  csv line") == 20
    assert "… and 10 more; see them all with --repair FILE" in out
    assert len(repair.read_text(encoding="utf-8-sig").splitlines()) == 31


def test_a_repair_file_without_problems_has_a_header_only(billing, tmp_path, capsys):
    repair = tmp_path / "repair.csv"
    run(capsys, "import", billing(), "--dry-run", "--repair", repair)

    assert len(repair.read_text(encoding="utf-8-sig").splitlines()) == 1


def test_tenants_of_one_store_are_apart(billing, tmp_path, capsys):
    store = f"sqlite:///{tmp_path / 'claims.db'}"
    outs = [
        run(capsys, "import", billing(), "--store", store, "--tenant", tenant)[1]
        for tenant in ("northside", "southside", "northside")
    ]

    assert ["3 new" in out for out in outs] == [True, True, False]


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])

    assert stop.value.code == 0
    assert capsys.readouterr().out == f"claimkit {claimkit.__version__}\n"


def test_c7_nothing_of_a_patient_is_printed(billing, tmp_path, capsys):
    """Trap: names and numbers of people were echoed in errors."""
    bad = [
        ROWS[0].replace("C1", "B1").replace("60.00", "Jane Zorglubine"),
        ROWS[0].replace("C1", "B2").replace("2026-01-02", "237-65-4321"),
        ROWS[0].replace("C1", "B3").replace("PAID", "415-555-0123"),
        ROWS[0].replace("C1", "B4").replace("M-7731", "7.7E+99"),
    ]
    path, shown = billing(*ROWS, *bad), ""
    for name in ("text", "json"):
        for command in (("import", "--store", "memory:"), ("import", "--dry-run"), ("watch",)):
            _, out, err = run(capsys, *command, path, "--format", name)
            shown += out + err

    for part in ("Zorglubine", "237-65-4321", "555-0123", "7.7E+99", "M-7731", "M-7732"):
        assert part not in shown


def test_dimensions_of_the_settings_narrow_what_is_found(planted, tmp_path, capsys):
    settings = tmp_path / "claimkit.toml"
    settings.write_text('[drift]\ndimensions = ["facility"]\n', encoding="utf-8")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('[drift]\ndimensions = ["facilty"]\n', encoding="utf-8")
    header, *lines = planted.read_text(encoding="utf-8").splitlines()
    cut = tmp_path / "sites.csv"
    rows = [f"{header},facility"]
    for line in lines:
        day, at = line[1:].split(",")[0].split("-")
        is_north = (int(day) + int(at)) % 2 == 0
        # South decides as before: its denials since the change are paid.
        mended = "denied" in line.lower() and not is_north and (7 * int(day) + 3 * int(at)) % 11
        text = line.replace(",,0,DENIED,CO-197", ",80.00,60.00,PAID,") if mended else line
        rows.append(f"{text},{'NORTH' if is_north else 'SOUTH'}")
    cut.write_text("\n".join(rows) + "\n", encoding="utf-8")

    status, out, _ = run(capsys, "watch", cut, "--config", settings, "--format", "json")
    refused = run(capsys, "watch", cut, "--config", wrong)

    assert status == 0
    places = [one["places"] for one in json.loads(out)["findings"] if one["tier"] == "alert"]
    assert {"facility": ["NORTH"]} in places
    assert (refused[0], "did you mean 'facility'?" in refused[2]) == (1, True)


def test_planned_claims_are_scored_from_files_of_the_past(planted, tmp_path, capsys):
    planned = tmp_path / "planned.csv"
    planned.write_text(
        "Claim ID,Payer,DOS,CPT,Billed\nN-1,Lake Mutual,2026-03-02,99213,80\n"
        "N-2,Nobody Yet,2026-03-02,99213,80\n",
        encoding="utf-8",
    )

    status, out, err = run(
        capsys, "risk", planned, planted, "--format", "json", "--calibration", "--quiet"
    )

    assert (status, err) == (0, "")
    known, unknown, calibration = objects(out)
    assert known["state"] == "scored"
    assert 0.05 < known["probability"] < 0.15
    assert unknown["state"] == "too_little_history"
    assert calibration["calibration"]["claims"] > 500


def test_scores_are_words_with_a_reliability_table(planted, tmp_path, capsys):
    planned = tmp_path / "planned.csv"
    planned.write_text(
        "Claim ID,Payer,DOS,CPT,Billed\nN-1,Lake Mutual,2026-03-02,99213,80\n", encoding="utf-8"
    )

    _, out, _ = run(capsys, "risk", planned, planted, "--calibration")

    assert out.startswith("N-1: ")
    assert "LAKE MUTUAL denied " in out
    assert "better than the average" in out
