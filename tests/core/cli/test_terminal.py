from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from types import SimpleNamespace

import pytest

from claimkit.cli.terminal import error_row, one_line, print_json, progress_for, wants_color
from claimkit.errors import FileRefused

BAR = "█"


def claimkit(*arguments, stderr):
    return subprocess.run(
        [sys.executable, "-m", "claimkit", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=stderr,
        check=False,
        text=True,
        env={**os.environ, "COLUMNS": "60"},
    )


@pytest.fixture
def export(tmp_path):
    path = tmp_path / "export.csv"
    rows = [f"A{n},BLUE LAKE,2026-01-02,100.00,60.00,paid" for n in range(12_000)]
    path.write_text("\n".join(["claim id,payer,dos,billed,paid,status", *rows, ""]), "utf-8")
    return path


def on_a_terminal(*arguments):
    """Run the command with standard error on a terminal and return what that shows."""
    ours, theirs = pty.openpty()
    try:
        done = claimkit(*arguments, stderr=theirs)
    finally:
        os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65_536):
            shown += part
    except OSError:
        pass
    os.close(ours)
    return done, shown.decode()


@pytest.mark.slow
def test_progress_is_drawn_on_a_terminal_only_and_never_among_results(export):
    done, shown = on_a_terminal("import", export, "--dry-run", "--format", "json")
    piped = claimkit("import", export, "--dry-run", "--format", "json", stderr=subprocess.PIPE)

    assert (done.returncode, piped.returncode, piped.stderr) == (0, 0, "")
    assert json.loads(done.stdout)["claims"] == 12_000
    assert done.stdout == piped.stdout
    assert f"{BAR * 20}] 100 %  reading" in shown
    assert shown.endswith("\r\n")
    for line in shown.replace("\r\x1b[K", "\n").splitlines():
        assert len(line) <= 59


def test_a_quiet_command_draws_nothing(export):
    _, shown = on_a_terminal("import", export, "--dry-run", "--quiet")

    assert shown == ""


class Terminal:
    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_the_bar_is_drawn_once_a_percent_and_ends_its_line(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    progress = progress_for(SimpleNamespace(quiet=False))
    for done in range(0, 100_001, 10):
        progress("reading era.835", done, 100_000)

    frames = terminal.text.split("\r\x1b[K")[1:]
    assert len(frames) == 101
    assert frames[0] == "[····················]   0 %  reading era.835"
    assert frames[50] == "[██████████··········]  50 %  reading era.835"
    assert frames[-1] == f"[{BAR * 20}] 100 %  reading era.835\n"


def test_a_step_of_unknown_length_never_ends_its_line(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = progress_for(SimpleNamespace(quiet=False))
    for done in range(3):
        progress("rebuilding", done, None)
    progress("rebuilding", 0, 0)

    assert terminal.text.count("rebuilding") == 2
    assert terminal.text.endswith("\n")


def test_nobody_watches_a_pipe(capsys):
    assert progress_for(SimpleNamespace(quiet=False)) is None


@pytest.mark.parametrize(
    ("is_terminal", "no_color", "wanted"),
    [(True, "", True), (True, "1", False), (False, "", False)],
)
def test_color_is_for_terminals_whose_owner_wants_it(monkeypatch, is_terminal, no_color, wanted):
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(isatty=lambda: is_terminal))
    monkeypatch.setenv("NO_COLOR", no_color)

    assert wants_color() is wanted


def test_an_error_is_one_line_without_a_path():
    refused = FileRefused("two\nlines", remedy="Do  this", code="zorglub")

    assert one_line(refused) == "two lines. Do this"
    assert one_line(FileNotFoundError(2, "No such file or directory", "/home/jane")) == (
        "No such file or directory"
    )
    assert one_line(OSError()) == "OSError"
    assert error_row(refused) == {"code": "zorglub", "message": "two\nlines", "remedy": "Do  this"}
    assert error_row(PermissionError(13, "Permission denied", "/home/jane")) == {
        "code": "file_unreadable",
        "message": "Permission denied",
        "remedy": "",
    }


def test_an_object_is_one_line_of_json(capsys):
    print_json({"payer": "Ünïted\nHealth"})

    assert capsys.readouterr().out == '{"payer": "Ünïted\\nHealth"}\n'
