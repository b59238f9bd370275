"""``claimkit cube build``: from claims in Parquet to what changed, without a claim in the store."""

from __future__ import annotations

import csv
import datetime as dt
import json
import random

import pytest

from claimkit.cli import main

pytest.importorskip("polars", reason="engines need an extra of theirs")
pytest.importorskip("pyarrow")

ONSET = dt.date(2026, 1, 5)


@pytest.fixture(scope="module")
def billing(tmp_path_factory):
    """Nine months of one payer's MRI claims; from ``ONSET`` on, half of them are denied."""
    chance = random.Random(20_260_105)
    path = tmp_path_factory.mktemp("billing") / "billing.csv"
    with path.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out)
        rows.writerow(
            [
                "claim id",
                "payer",
                "cpt",
                "date of service",
                "submitted date",
                "decision date",
                "billed",
                "paid",
                "status",
                "carc",
            ]
        )
        for number in range(7_500):
            decided = dt.date(2025, 6, 2) + dt.timedelta(days=number // 30)
            sent = decided - dt.timedelta(days=chance.randint(10, 30))
            is_denied = chance.random() < (0.5 if decided >= ONSET else 0.1)
            rows.writerow(
                [
                    *(f"C{number}", chance.choice(["MERIDIAN", "LAKE MUTUAL"]), "70553"),
                    *(sent - dt.timedelta(days=2), sent, decided, "1200.00"),
                    *(("0.00", "DENIED", "CO-197") if is_denied else ("700.00", "PAID", "")),
                ]
            )
    return path


@pytest.fixture
def run(capfd):
    def one(*arguments):
        capfd.readouterr()
        status = main([*map(str, arguments), "--quiet"])
        out, err = capfd.readouterr()
        assert status == 0, err
        return out

    return one


@pytest.mark.slow
def test_a_cube_by_an_engine_tells_what_the_claims_tell(billing, run, tmp_path):
    claims, lake = f"sqlite:///{tmp_path / 'claims.db'}", tmp_path / "claims.parquet"
    direct = json.loads(run("watch", billing, "--store", claims, "--format", "json"))
    run("export", "--store", claims, "--as", "parquet", "--to", lake)

    cube = f"sqlite:///{tmp_path / 'cube.db'}"
    made = json.loads(run("cube", "build", lake, "--store", cube, "--format", "json"))
    told = json.loads(run("watch", "--store", cube, "--format", "json"))

    assert made["engine"] == "polars"
    assert made["cells"]["decisions"] > 100
    assert direct["findings"], "there must be something to find"
    names = ("signal", "segment", "onset", "effect", "dollars_per_month", "tier")
    assert [[one[name] for name in names] for one in told["findings"]] == [
        [one[name] for name in names] for one in direct["findings"]
    ]


def test_what_cannot_be_read_is_one_clear_line(tmp_path, capfd):
    lake = tmp_path / "claims.parquet"
    import polars as pl

    pl.DataFrame({"payer": ["MERIDIAN"]}).write_parquet(lake)
    assert main(["cube", "build", str(lake), "--store", "memory:"]) == 1
    err = capfd.readouterr().err
    assert err.startswith("claimkit: error: the table of claims has no column")
    assert err.count("\n") == 1
