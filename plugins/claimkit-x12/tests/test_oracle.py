"""Every sample file, as delivered, gives what other programs counted in it."""

from __future__ import annotations

import csv
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from claimkit.claims.model import ClaimKind
from claimkit.cli import main

_ROOT = Path(__file__).parents[3]


def _manifest(folder):
    path = folder / "MANIFEST.tsv"
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return {(row["file"], row["kind"]): row for row in rows}


def _counted(text):
    """Return ``"CO-45=2,PR-1=1"`` as a counter; the names of payers may hold commas."""
    pairs = [one.rpartition("=") for one in text.split(",")] if text else []
    return Counter({name: int(number) for name, _, number in pairs})


def _cents(text):
    return int(Decimal(text or 0) * 100)


_OWN = _manifest(_ROOT / "tests" / "samples" / "x12")


@pytest.fixture(params=_OWN.values(), ids=["-".join(one) for one in _OWN])
def own(request, read, own_samples):
    """Return a row of the manifest and what the reader makes of its file."""
    row = request.param
    with (own_samples / row["file"]).open("rb") as stream:
        return row, read(stream)


def test_the_samples_are_here():
    assert len(_OWN) == 11


def test_counts_and_totals(own):
    row, found = own
    claims = found.claims

    assert len(claims) == int(row["claims"])
    assert len({one.patient_control_number for one in claims}) == int(row["distinct_id"])
    assert sum(len(one.lines) for one in claims) == int(row["lines"])
    assert sum(one.charge for one in claims) == _cents(row["charge"])
    assert sum(one.paid for one in claims) == _cents(row["paid"])
    assert sum(one.patient_responsibility for one in claims) == _cents(row["patresp"])
    assert found.problems == []


def test_lines_and_what_was_taken_off_them(own):
    row, found = own
    lines = [line for one in found.claims for line in one.lines]
    adjustments = [
        one
        for owner in (*found.claims, *lines)
        for one in owner.adjustments
        if "cas_duplicated" not in getattr(owner, "flags", ())
    ]

    assert sum(one.charge for one in lines) == _cents(row["line_charge"])
    assert sum(one.paid for one in lines) == _cents(row["line_paid"])
    assert len(adjustments) == int(row["cas_triplets"] or 0)
    assert Counter(f"{one.group}-{one.reason}" for one in adjustments) == _counted(row["carc"])
    assert sum(len(one.remarks) for one in lines) == int(row["lq"] or 0)


def test_statuses_and_payers(own):
    row, found = own
    told = "status" if row["kind"] == "835" else "frequency"
    payers = {one.payer_name for one in found.claims}

    statuses = Counter(getattr(one, told) for one in found.claims)
    assert statuses == _counted(row["statuses_or_freq"])
    if found.claims:
        assert payers == set(_counted(row["payers"]))


def test_balance_is_told_and_not_required(own):
    row, found = own
    if row["kind"] == "837":
        unbalanced = sum("lines_unbalanced" in one.flags for one in found.claims)
        assert len(found.claims) - unbalanced == int(row["claims_balanced"])
        return
    unbalanced = sum("claim_unbalanced" in one.flags for one in found.claims)
    with_odd_lines = sum("line_unbalanced" in one.flags for one in found.claims)

    assert len(found.claims) - unbalanced == int(row["claims_balanced"])
    assert bool(with_odd_lines) == (int(row["lines_balanced"]) < int(row["lines"]))


def test_a_dry_run_prints_one_object_per_file_and_kind(own_samples, capsys):
    paths = [own_samples / file for file, _ in _OWN]
    assert main(["import", *map(str, paths), "--dry-run", "--format", "json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert [(Path(row["file"]).name, row["kind"][:3]) for row in rows] == list(_OWN)
    for row, expected in zip(rows, _OWN.values(), strict=True):
        _agrees(row, expected)


def _agrees(row, expected):
    assert list(row) == [
        *("file", "kind", "claims", "lines", "charge", "paid", "rejected", "notices")
    ]
    told = row["claims"], row["lines"], row["charge"], row["paid"], row["rejected"]
    paid = expected["paid"] or "0.00" if expected["kind"] == "835" else "0.00"
    assert told == (
        int(expected["claims"]),
        int(expected["lines"]),
        expected["charge"],
        paid,
        0,
    )


def test_third_party_files_give_what_others_counted(read, samples):
    expected = _manifest(samples)
    wrong = {}
    for name in sorted({file for file, _ in expected}):
        with (samples / name).open("rb") as stream:
            found = read(stream)
        if found.problems:
            wrong[name] = found.problems
        for kind in ("835", "837"):
            row = expected.get((name, kind))
            claims = [
                one for one in found.claims if (one.kind is ClaimKind.REMITTANCE) == (kind == "835")
            ]
            if row is None:
                if claims:
                    wrong[name, kind] = len(claims), "none expected"
                continue
            told = _told(claims, kind)
            asked = {column: row[column] for column in told}
            if told != asked:
                wrong[name, kind] = told, asked

    assert len(expected) >= 80
    assert wrong == {}


def _told(claims, kind):
    told = {
        "claims": str(len(claims)),
        "distinct_id": str(len({one.patient_control_number for one in claims})),
        "lines": str(sum(len(one.lines) for one in claims)),
        "charge": _dollars(one.charge for one in claims),
        "line_charge": _dollars(line.charge for one in claims for line in one.lines),
    }
    if kind == "835":
        told |= {
            "paid": _dollars(one.paid for one in claims),
            "patresp": _dollars(one.patient_responsibility for one in claims),
            "line_paid": _dollars(line.paid for one in claims for line in one.lines),
        }
    return told


def _dollars(amounts):
    return f"{Decimal(sum(amounts)) / 100:.2f}"


def test_a_dry_run_tells_third_party_files_as_others_counted_them(samples, capsys):
    expected = _manifest(samples)
    files = sorted({file for file, _ in expected})
    paths = [str(samples / file) for file in files]
    assert main(["import", *paths, "--dry-run", "--format", "json"]) == 0
    told = {}
    for line in capsys.readouterr().out.splitlines():
        row = json.loads(line)
        file = Path(row["file"]).relative_to(samples).as_posix()
        assert (file, row["kind"][:3]) not in told
        told[file, row["kind"][:3]] = row

    assert told.keys() == expected.keys()
    for key, row in told.items():
        _agrees(row, expected[key])
