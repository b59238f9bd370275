"""The cube by dataframe engines: the same cells as by our own arithmetic."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from random import Random

import numpy as np
import pytest

from claimkit.drift.cube import TABLES, canonical
from claimkit.drift.dimensions import DIMENSIONS
from claimkit.drift.engines import CLAIM_SCHEMA, ENGINES, build_cube, replace_cube, scan_claims
from claimkit.drift.tally import tally
from claimkit.errors import ConfigError, FileRefused, UnknownName
from claimkit.events import ClaimFacts, FactsChange
from claimkit.stores.memory import MemoryStore
from claimkit.types import TenantKey, date_of, day_of

pytest.importorskip("narwhals", reason="engines need an extra of theirs")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

NORTHSIDE = TenantKey("northside")
FIRST = day_of(dt.date(2023, 12, 20))


def some_day(random, none=0.1):
    # Over the end of February of a leap year, and far in the past.
    if random.random() < none:
        return None
    return (
        FIRST + random.randrange(150) if random.random() < 0.98 else random.randrange(-9_000, 9_000)
    )


def some_facts(count, seed=20_260_412):
    random = Random(seed)
    outcomes = ["paid", "zero_paid", "partial", "denied", "pending", "reversed", "other"]
    return [
        ClaimFacts(
            payer=random.choice(["MERIDIAN OHIO", "Ärztekasse", "Payer ☂", ""]),
            procedure_group=random.choice(["imaging", "e&m", ""]),
            facility=random.choice(["11", 'Main St. "A"', ""]),
            line_of_business=random.choice(["", "HMO", "medicare"]),
            provider=random.choice(["", "1234567893"]),
            submitted_day=some_day(random),
            decided_day=some_day(random, none=0.2),
            paid_day=some_day(random, none=0.5),
            outcome=random.choice(outcomes),
            category=random.choice(["", "authorization_referral", "pended", "duplicate"]),
            reason=random.choice(["", "CO-197", "PR-204"]),
            charge=random.choice([0, 1, -5_000, random.randrange(1, 10**7)]),
            allowed=random.choice([None, 0, random.randrange(1, 10**6)]),
            paid=random.choice([0, random.randrange(-9_999, 10**6)]),
            first_pass=random.random() < 0.9,
            first_stands=random.random() < 0.8,
        )
        for _ in range(count)
    ]


def dollars(cents):
    return None if cents is None else Decimal(cents) / 100


def as_table(facts, **more):
    """Return claims as the Parquet export writes them."""
    columns = {
        "payer": [one.payer for one in facts],
        "procedure_group": [one.procedure_group for one in facts],
        "first_outcome": [one.outcome for one in facts],
        # Empty text is null in the one and empty in the other.
        "first_category": [one.category or None for one in facts],
        "first_reason": [one.reason for one in facts],
        "submitted_on": [one.submitted_day and date_of(one.submitted_day) for one in facts],
        "first_decided_on": [one.decided_day and date_of(one.decided_day) for one in facts],
        # A first decision that does not stand was taken back, or another one came months later.
        "decided_on": [
            one.decided_day and date_of(one.decided_day + (0 if one.first_stands or at % 2 else 90))
            for at, one in enumerate(facts)
        ],
        "paid_on": [one.paid_day and date_of(one.paid_day) for one in facts],
        "reversals": [0 if one.first_stands or not at % 2 else 1 for at, one in enumerate(facts)],
        **{
            name: pa.array([dollars(getattr(one, name)) for one in facts], pa.decimal128(18, 2))
            for name in ("charge", "allowed", "paid")
        },
        "first_pass": [one.first_pass for one in facts],
        **{name: [getattr(one, name) for one in facts] for name in DIMENSIONS},
    }
    return pa.table({**columns, **more})


def counted(facts, dimensions=()):
    return tally([FactsChange(None, one) for one in facts], dimensions=dimensions)


def same(cells, other):
    one, two = canonical(cells), canonical(other)
    assert one.names == two.names
    for mine, theirs in (
        (one.labels, two.labels),
        (one.numbers, two.numbers),
        (one.measures, two.measures),
    ):
        assert mine.keys() == theirs.keys()
        for axis, column in mine.items():
            np.testing.assert_array_equal(column, theirs[axis], err_msg=axis)


@pytest.fixture(scope="module")
def facts():
    # Zero stands for the first of January 1970, which is no None.
    return [
        one._replace(
            submitted_day=one.submitted_day or None,
            decided_day=one.decided_day or None,
            paid_day=one.paid_day or None,
            # Without a decision none can be a later one.
            first_stands=one.first_stands or not one.decided_day,
        )
        for one in some_facts(4_000)
    ]


@pytest.fixture(scope="module")
def files(facts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lake")
    half = len(facts) // 2
    for number, part in enumerate((facts[:half], facts[half:])):
        pq.write_table(as_table(part), folder / f"claims-{number}.parquet")
    return sorted(map(str, folder.iterdir()))


# Of others, not of ours: Narwhals announces a package for Dask, and Dask uses what pandas will drop.
@pytest.mark.filterwarnings("ignore:Dask support is moving:FutureWarning")
@pytest.mark.filterwarnings("ignore:The inplace keyword in")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dimensions", [(), ("facility", "line_of_business")])
def test_every_engine_gives_the_same_cells(files, facts, engine, dimensions):
    pytest.importorskip(ENGINES[engine])
    made = build_cube(scan_claims(files, engine=engine), dimensions=dimensions)

    wanted = counted(facts, dimensions)
    # Measures are plugins', in Python.
    empty = {"measures"} if dimensions else {"measures", "slices"}
    assert made.keys() == TABLES.keys()
    for name, cells in wanted.items():
        assert len(cells) > 0 or name in empty, name
        same(made[name], cells)


def test_a_table_in_memory_is_a_source_too(facts):
    pytest.importorskip("polars")
    import polars as pl

    # Amounts as floating point, as many lakes have them.
    frame = pl.from_arrow(as_table(facts)).with_columns(
        pl.col("charge", "allowed", "paid").cast(pl.Float64)
    )
    for name, cells in counted(facts).items():
        same(build_cube(frame)[name], cells)


def test_rows_of_others_are_left_out(facts):
    pytest.importorskip("polars")
    import polars as pl

    tenants = ["northside" if number % 3 else "lakeview" for number in range(len(facts))]
    frame = pl.from_arrow(as_table(facts, hospital=tenants))
    made = build_cube(frame, where={"hospital": "northside"})

    ours = [one for one, whose in zip(facts, tenants, strict=True) if whose == "northside"]
    for name, cells in counted(ours).items():
        same(made[name], cells)


@pytest.mark.parametrize("missing", ["payer", "allowed", "first_pass"])
def test_a_missing_column_is_named(facts, missing):
    pytest.importorskip("polars")
    import polars as pl

    with pytest.raises(FileRefused, match=f"no column {missing}") as caught:
        build_cube(pl.from_arrow(as_table(facts[:5]).drop_columns([missing])))
    assert caught.value.code == "column_missing"


def test_no_claims_give_an_empty_cube():
    pytest.importorskip("polars")
    import polars as pl

    made = build_cube(pl.from_arrow(as_table(some_facts(3)))[:0], dimensions=["facility"])
    assert [len(cells) for cells in made.values()] == [0] * len(TABLES)


def test_what_is_not_there_is_named(monkeypatch):
    with pytest.raises(UnknownName, match="unknown engine 'sparc'; did you mean 'spark'"):
        scan_claims([], engine="sparc")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"Install 'claimkit\[duckdb\]'"):
        scan_claims([], engine="duckdb")


def test_schema_is_that_of_the_export():
    from claimkit.reports.sources import CLAIM_COLUMNS

    assert CLAIM_SCHEMA.keys() <= {one.name for one in CLAIM_COLUMNS}


def test_cells_take_the_place_of_a_cube(facts):
    store = MemoryStore()
    wanted = counted(facts)
    for turn in (facts[:50], facts):
        with store.atomic():
            count = replace_cube(
                store.cube, NORTHSIDE, counted(turn), known_on=dt.date(2026, 4, 12)
            )
    assert count == sum(map(len, wanted.values()))
    for name, table in TABLES.items():
        same(store.cube.read(NORTHSIDE, table), wanted[name])
