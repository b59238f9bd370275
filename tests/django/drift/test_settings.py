from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from claimkit.drift.cube import MEASURES, MONEY, PAYMENTS, SLICES
from claimkit.errors import FileRefused, UnknownName
from claimkit.events import ClaimsChanged
from claimkit.stores.memory import MemoryStore
from claimkit.testing.conformance.cube import same_cells
from claimkit.testing.factories import make_batch, make_claim
from claimkit.types import TenantKey, day_of
from claimkit_django.drift.runs import run_rebuild
from claimkit_django.drift.tenant_settings import (
    choose,
    drift_config,
    import_contracts,
    keeping,
    rates_of,
)
from claimkit_django.runtime import make_bus, open_store

pytestmark = pytest.mark.django_db

NORTHSIDE = TenantKey("northside")
NIGHT = dt.date(2026, 3, 20)
FEES = (
    "payer,procedure_code,allowed,percent_of_charge,effective_from,effective_until\n"
    "Meridian of Ohio,99214,220.00,,2026-01-01,\n"
    "BLUE LAKE,*,,65,,\n"
)


def add(claims, *, known_on=NIGHT, upload="upl_x"):
    store = open_store()
    bus = make_bus(store)
    with bus.transaction(store.atomic()):
        merged = store.claims.add(NORTHSIDE, make_batch(claims), upload=upload, known_on=known_on)
        bus.stage(
            ClaimsChanged(
                tenant=NORTHSIDE,
                at=timezone.now(),
                changes=merged.changes,
                known_day=day_of(known_on),
            )
        )
    return store


@pytest.fixture
def claims():
    return [make_claim(patient_control_number=f"FANTASIO{n}") for n in range(5)]


def run(command, *arguments):
    out = StringIO()
    call_command(command, *arguments, "--tenant", "northside", stdout=out, stderr=StringIO())
    return out.getvalue()


def test_a_tenant_without_a_choice_has_the_sites_settings(northside, settings):
    settings.CLAIMKIT = {**settings.CLAIMKIT, "DRIFT": {"DETECTORS": ("threshold",)}}

    assert drift_config(NORTHSIDE).detectors == ("threshold",)


def test_a_tenants_choice_is_its_own(northside, lakeview):
    choose(NORTHSIDE, detectors=["threshold"], dimensions=["facility"])

    assert drift_config(NORTHSIDE).detectors == ("threshold",)
    assert drift_config(NORTHSIDE).dimensions == ("facility",)
    assert drift_config(TenantKey("lakeview")).dimensions == ()


@pytest.mark.parametrize(
    "choice",
    [{"detectors": ["latice"], "dimensions": None}, {"detectors": None, "dimensions": ["ward"]}],
)
def test_what_there_is_not_cannot_be_chosen(northside, choice):
    with pytest.raises(UnknownName):
        choose(NORTHSIDE, **choice)


def test_new_claims_and_a_rebuild_keep_the_chosen_dimensions_alike(northside, claims):
    assert choose(NORTHSIDE, detectors=None, dimensions=["facility"])
    store = add(claims)
    before = store.cube.read(NORTHSIDE, SLICES)

    assert before.measures["claims"].sum() == 5
    assert run_rebuild(NORTHSIDE) == 5
    assert same_cells(store.cube.read(NORTHSIDE, SLICES), before)


def test_contracts_are_imported_under_the_names_that_claims_have(northside, claims):
    add(claims)
    found = import_contracts(NORTHSIDE, FEES)
    rates = rates_of(NORTHSIDE)

    assert found.problems == ()
    assert [(one.payer, one.procedure_code) for one in rates] == [
        ("BLUE LAKE", "*"),
        ("MERIDIAN OF OHIO", "99214"),
    ]
    assert (rates[1].allowed, rates[1].effective_from) == (22_000, dt.date(2026, 1, 1))
    assert rates[0].percent_of_charge == Decimal(65)


def test_a_file_replaces_the_rates_of_its_payers_and_no_others(northside, claims):
    add(claims)
    import_contracts(NORTHSIDE, FEES)
    import_contracts(NORTHSIDE, "payer,procedure_code,allowed\nBlue Lake,70551,400\n")

    assert [(one.payer, one.procedure_code) for one in rates_of(NORTHSIDE)] == [
        ("BLUE LAKE", "70551"),
        ("MERIDIAN OF OHIO", "99214"),
    ]


def test_claims_with_a_rate_are_measured_against_it_in_every_store_alike(northside, claims):
    store = add(claims[:2])
    import_contracts(NORTHSIDE, FEES)
    run_rebuild(NORTHSIDE)
    # And those that come later, the first one corrected.
    add([*claims[2:], make_claim(patient_control_number="FANTASIO0", allowed=20_000)], upload="b")
    cells = store.cube.read(NORTHSIDE, MEASURES)
    mine = [name == "contract" for name in cells.names["measure"]]
    contract = cells.take([mine[code] for code in cells.labels["measure"].tolist()])

    assert contract.measures["claims"].sum() == 5
    assert contract.measures["cents"].sum() >= 5 * 1_000
    assert len(store.cube.read(NORTHSIDE, MONEY)) == 0
    live = {table: store.cube.read(NORTHSIDE, table) for table in (MEASURES, MONEY, PAYMENTS)}
    run_rebuild(NORTHSIDE)
    for table, before in live.items():
        assert same_cells(store.cube.read(NORTHSIDE, table), before)


def test_the_cells_are_those_of_the_memory_store(northside, claims):
    from claimkit.drift.watch import CubeUpkeep
    from claimkit.events import Bus

    import_contracts(NORTHSIDE, FEES.replace("Meridian of Ohio", "MERIDIAN OF OHIO"))
    kept = keeping(NORTHSIDE)
    store, oracle = add(claims), MemoryStore()
    bus = Bus([CubeUpkeep(oracle.cube, keeping=lambda _tenant: kept)])
    with bus.transaction(oracle.atomic()):
        merged = oracle.claims.add(NORTHSIDE, make_batch(claims), upload="upl_x", known_on=NIGHT)
        bus.stage(
            ClaimsChanged(
                tenant=NORTHSIDE,
                at=timezone.now(),
                changes=merged.changes,
                known_day=day_of(NIGHT),
            )
        )

    for table in (MEASURES, MONEY, PAYMENTS):
        assert same_cells(store.cube.read(NORTHSIDE, table), oracle.cube.read(NORTHSIDE, table))


def test_what_is_no_list_of_rates_changes_nothing(northside):
    import_contracts(NORTHSIDE, FEES)
    with pytest.raises(FileRefused):
        import_contracts(NORTHSIDE, "claim,paid\n1,2\n")

    assert len(rates_of(NORTHSIDE)) == 2


def test_the_command_shows_and_imports_contracts(northside, tmp_path):
    path = tmp_path / "fees.csv"
    path.write_text(f"{FEES}BLUE LAKE,1,-3,,,\n")
    told = json.loads(run("claimkit_contracts", str(path), "--format", "json"))

    assert told["rates"] == 2
    assert told["payers"] == ["BLUE LAKE", "MERIDIAN OHIO"]
    assert [(one["line"], one["field"]) for one in told["problems"]] == [(4, "allowed")]
    assert "BLUE LAKE,*,,65,," in run("claimkit_contracts")


def test_the_command_says_what_file_it_cannot_take(northside, tmp_path):
    with pytest.raises(CommandError, match="No such file"):
        run("claimkit_contracts", str(tmp_path / "nothing.csv"))


def test_the_command_shows_and_chooses_settings(northside):
    assert "dimensions: none" in run("claimkit_drift_settings")
    told = run("claimkit_drift_settings", "--dimensions", "facility", "--detectors", "threshold")
    assert "detectors: threshold" in told
    assert "dimensions: facility" in told
    told = json.loads(run("claimkit_drift_settings", "--dimensions", "site", "--format", "json"))
    assert told == {"detectors": ["threshold"], "dimensions": []}
    with pytest.raises(CommandError, match="latice"):
        run("claimkit_drift_settings", "--detectors", "latice")
