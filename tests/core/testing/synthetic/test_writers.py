from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections import Counter, defaultdict
from types import SimpleNamespace

import pytest

from claimkit.claims.intake import import_claims, preview_claims
from claimkit.claims.model import ClaimKind
from claimkit.events import Bus
from claimkit.plugins import load_plugins
from claimkit.stores.memory import MemoryStore
from claimkit.testing.synthetic import LAKEVIEW, make_claims, write_835, write_837p, write_csv
from claimkit.types import TenantKey, date_of

AS_OF = dt.date(2026, 3, 20)
NORTHSIDE = TenantKey("northside")


@pytest.fixture(scope="module")
def claims():
    return make_claims(LAKEVIEW, as_of=AS_OF, days=100)


@pytest.fixture(scope="module")
def plugins():
    return load_plugins()


def preview(path, plugins):
    return preview_claims(io.BytesIO(path.read_bytes()), name=path.name, plugins=plugins)


def needs_x12(plugins):
    if "x12" not in plugins.readers:
        pytest.skip("claimkit-x12 is not installed")


def test_an_export_has_a_row_for_every_submission_in_any_state(claims, tmp_path, plugins):
    path = tmp_path / "export.csv"
    count = write_csv(claims, path)
    report = preview(path, plugins)
    with path.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    states = Counter(row["Claim Status"] for row in rows)
    decided, denied = claims.is_decided, claims.denied

    assert count == len(rows) == len(claims) == report.rows_accepted
    assert report.rejected == 0
    assert states == {
        "Paid": (decided & ~denied).sum(),
        "Denied": (decided & denied).sum(),
        "Pending": (~decided).sum(),
    }
    assert report.kinds[ClaimKind.CSV].paid == claims.paid[decided].sum()
    assert report.kinds[ClaimKind.CSV].charge == claims.charge.sum()


def test_an_export_tells_nothing_that_nobody_decided(claims, tmp_path):
    write_csv(claims, tmp_path / "export.csv")
    with (tmp_path / "export.csv").open(encoding="utf-8") as lines:
        pending = [row for row in csv.DictReader(lines) if row["Claim Status"] == "Pending"]

    assert pending
    for row in pending:
        told = ("Check Date", "Allowed", "Ins Paid", "Pt Resp", "Denial Code")
        assert [row[name] for name in told] == [""] * 5


def test_denials_carry_remarks_that_fit_their_reason(claims, tmp_path):
    told = defaultdict(set)
    for path in write_835(claims, tmp_path):
        for denial in re.findall(r"CAS\*CO\*(\d+)\*[\d.]+~\n(?:LQ\*HE\*(\w+))?", path.read_text()):
            told[denial[0]].add(denial[1])

    assert told["16"] == {"M127", "N290", "MA130"}
    assert told["197"] == {"M62"}
    # No remark says more than that it came too late, or what the contract takes off.
    assert told["29"] == told["45"] == {""}


def test_remittances_balance_and_hold_every_decision(claims, tmp_path, plugins):
    needs_x12(plugins)
    paths = write_835(claims, tmp_path)
    tallies = [preview(path, plugins).kinds[ClaimKind.REMITTANCE] for path in paths]

    decided = claims.is_decided
    assert [path.name for path in paths] == sorted(path.name for path in paths)
    assert sum(one.claims for one in tallies) == decided.sum()
    assert sum(one.lines for one in tallies) == decided.sum()
    assert sum(one.paid for one in tallies) == claims.paid[decided].sum()
    assert sum(one.charge for one in tallies) == claims.charge[decided].sum()
    assert sum(one.rejected for one in tallies) == 0
    notices = Counter(code for one in tallies for code in one.notices)
    assert not [code for code in notices if "balanc" in code or "control" in code]


def test_there_is_one_file_a_month_with_the_months_days(claims, tmp_path):
    paths = write_835(claims, tmp_path)
    days = {
        segment.split("*")[2][:6]
        for segment in paths[-1].read_text(encoding="ascii").split("~\n")
        if segment.startswith("DTM*405*")
    }

    assert paths[-1].name == "era_2026-03.835"
    assert days == {"202603"}


def test_submissions_hold_every_claim_and_what_it_replaces(claims, tmp_path, plugins):
    needs_x12(plugins)
    paths = write_837p(claims, tmp_path)
    tallies = [preview(path, plugins).kinds[ClaimKind.PROFESSIONAL] for path in paths]
    text = "".join(path.read_text(encoding="ascii") for path in paths)

    assert sum(one.claims for one in tallies) == len(claims)
    assert sum(one.charge for one in tallies) == claims.charge.sum()
    assert text.count("REF*F8*") == (claims.replaces >= 0).sum()
    assert text.count(":B:7*") == (claims.replaces >= 0).sum()


def test_submissions_and_remittances_join_to_the_simulated_claims(claims, tmp_path, plugins):
    needs_x12(plugins)
    store = MemoryStore()
    for path in [*write_837p(claims, tmp_path), *write_835(claims, tmp_path)]:
        with path.open("rb") as stream:
            import_claims(
                stream,
                name=path.name,
                tenant=NORTHSIDE,
                store=store,
                plugins=plugins,
                bus=Bus([]),
                clock=SimpleNamespace(now=lambda: dt.datetime(2026, 3, 21, tzinfo=dt.UTC)),
                patient_key=b"a key of the tenant",
            )
    totals = store.claims.totals(NORTHSIDE)
    originals = claims.replaces < 0
    first = {claims.control_number(row): row for row in originals.nonzero()[0].tolist()}
    found = [one for page in store.claims.scan(NORTHSIDE) for one in page]

    assert (totals.claims, totals.paid) == (originals.sum(), claims.paid[claims.is_decided].sum())
    assert totals.joined == (originals & claims.is_decided).sum()
    for one in found:
        row = first[one.patient_control_number]
        assert one.submitted_on == date_of(int(claims.submitted[row]))
        if claims.is_decided[row]:
            assert one.first_decided_on == date_of(int(claims.decided[row]))
            assert (one.first_outcome == "denied") == bool(claims.denied[row])
            assert one.lag_days == claims.decided[row] - claims.submitted[row]
        else:
            assert one.first_outcome == "pending"


def test_writing_again_gives_the_same_files(claims, tmp_path):
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
        write_csv(claims, folder / "export.csv")
        write_835(claims, folder)
        write_837p(claims, folder)

    one, other = ({path.name: path.read_bytes() for path in each.iterdir()} for each in folders)
    assert one == other
