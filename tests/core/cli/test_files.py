from __future__ import annotations

import subprocess
import sys

import pytest

from claimkit.cli import main
from claimkit.cli.files import open_kept
from claimkit.errors import StoreError
from claimkit.plugins import load_plugins


@pytest.fixture(scope="module")
def plugins():
    return load_plugins(entry_points=False)


def key_of(url, plugins):
    with open_kept(url, plugins) as kept:
        return kept.patient_key


def test_a_file_store_keeps_its_key_and_has_one_of_its_own(tmp_path, plugins):
    urls = [f"sqlite:///{tmp_path / name}" for name in ("one.db", "two.db")]
    first, again, other = (key_of(url, plugins) for url in (urls[0], urls[0], urls[1]))

    assert first == again != other
    assert len(first) == 32
    assert {path.name for path in tmp_path.glob("*.key")} == {"one.db.key", "two.db.key"}
    assert (tmp_path / "one.db.key").stat().st_mode & 0o777 == 0o600


def test_a_store_in_memory_has_a_key_for_once(plugins):
    assert key_of("memory:", plugins) != key_of("memory:", plugins)


@pytest.mark.parametrize("text", ["", "not hexadecimal", "abcd", "é"])
def test_a_key_that_was_damaged_is_refused_and_left_alone(tmp_path, plugins, text):
    beside = tmp_path / "one.db.key"
    beside.write_text(text, encoding="utf-8")

    with pytest.raises(StoreError, match="the key beside the store cannot be read") as refused:
        key_of(f"sqlite:///{tmp_path / 'one.db'}", plugins)

    assert "backup" in refused.value.remedy
    assert beside.read_text(encoding="utf-8") == text


_OPENER = """
import sys
from claimkit.cli.files import open_kept
from claimkit.plugins import load_plugins
plugins = load_plugins(entry_points=False)
print("ready", flush=True)
sys.stdin.readline()
with open_kept(sys.argv[1], plugins) as kept:
    print(kept.patient_key.hex())
"""


@pytest.mark.slow
def test_commands_that_start_at_once_agree_on_the_key(tmp_path):
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", _OPENER, f"sqlite:///{tmp_path / 'one.db'}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for run in runs:
        assert run.stdout.readline() == "ready\n"
    for run in runs:
        run.stdin.write("\n")
        run.stdin.flush()
    keys = {run.communicate(timeout=60)[0].strip() for run in runs}

    assert [run.returncode for run in runs] == [0] * 4
    assert len(keys) == 1
    assert len(keys.pop()) == 64
    assert sorted(path.name for path in tmp_path.glob("*.key*")) == ["one.db.key"]


def test_rows_of_files_with_other_columns_are_repaired_in_one_file(tmp_path, capsys):
    one, other, repair = (tmp_path / name for name in ("one.csv", "other.csv", "repair.csv"))
    one.write_text(
        "claim id,payer,dos,billed,paid\nA1,SPIP,2026-01-02,10,x\nA2,SPIP,2026-01-02,10,5\n",
        "utf-8",
    )
    other.write_text(
        "paid,claim id,payer,dos,billed\ny,B1,SPIP,2026-01-02,10\n5,B2,SPIP,2026-01-02,10\n",
        "utf-8",
    )
    status = main(["import", str(one), str(other), "--dry-run", "--repair", str(repair)])
    lines = repair.read_text(encoding="utf-8-sig").splitlines()

    assert status == 0
    assert lines[0].startswith("claim id,payer,dos,billed,paid,claimkit line")
    assert [line.split(",")[:5] for line in lines[1:]] == [
        ["A1", "SPIP", "2026-01-02", "10", "x"],
        ["B1", "SPIP", "2026-01-02", "10", "y"],
    ]
    capsys.readouterr()
