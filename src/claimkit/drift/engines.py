"""The cube by a dataframe engine: for claims that do not fit one machine, or lie in a lake already.

The story: :func:`scan_claims` lets an engine look at Parquet files, and :func:`build_cube` says once,
through Narwhals, what each table of the cube counts. The engine, on however many machines, groups
and sums; what comes back has the size of the cube. :func:`replace_cube` puts it in the place of a
tenant's cube, where drift is found in it as in any other.

Claims are a table with a row per claim, as the Parquet export of claims is, under the names of
:data:`CLAIM_SCHEMA`. Row by row it must count what :mod:`claimkit.drift.tally` counts; the tests
compare their cells.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np

from claimkit.drift.cube import (
    DECISIONS,
    INFLOW,
    MAX_AGE,
    MONEY,
    PAYMENTS,
    SLICES,
    TABLES,
    Cells,
    canonical,
)
from claimkit.drift.dimensions import check_dimensions, slice_name
from claimkit.drift.tally import NOT_A_DECISION, PAID_OUTCOMES, RATIO_BIN, RATIO_SCALE
from claimkit.errors import ConfigError, FileRefused, UnknownName
from claimkit.types import PARTS_DAYS, day_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import narwhals.stable.v2 as nw

    from claimkit.drift.cube import CubeStore, CubeTable
    from claimkit.types import TenantKey

__all__ = ["CLAIM_SCHEMA", "ENGINES", "build_cube", "replace_cube", "scan_claims"]

#: Column → what it holds. Money is decimal dollars, days are dates; empty text may be null.
CLAIM_SCHEMA: Mapping[str, str] = {
    "payer": "normalized name",
    "procedure_group": "group of the procedure",
    "first_outcome": "first decision, of claimkit.claims.model.Outcome",
    "first_category": "denial category of the first decision",
    "first_reason": "group and CARC of the first decision, such as CO-197",
    "submitted_on": "day of submission",
    "first_decided_on": "day of the first decision; null while pending",
    "decided_on": "day of the decision that stands",
    "paid_on": "day of payment; null while none is known",
    "reversals": "how often a payment was taken back",
    "charge": "billed",
    "allowed": "allowed; null where no source tells it",
    "paid": "paid",
    "first_pass": "false for replacements, voids and duplicates",
}
#: Engine → the package that must be installed, which is also the name of its extra.
ENGINES: Mapping[str, str] = {
    "polars": "polars",
    "duckdb": "duckdb",
    "dask": "dask",
    "spark": "pyspark",
}


#: Stands for a day that is not known: not every engine reckons with nulls.
_NO_DAY = dt.date(1970, 1, 1)


def scan_claims(paths: Sequence[str], *, engine: str, session: Any = None) -> Any:
    """Return Parquet files of claims as a lazy frame of an engine; nothing is read yet.

    Args:
        paths: Files, or whatever else the engine takes for a place: folders, patterns, ``s3://…``.
        engine: A name of :data:`ENGINES`.
        session: Of Spark; one on this machine is started if not given.

    Raises:
        UnknownName: there is no such engine.
        ConfigError: its package is not installed.
    """
    if engine not in ENGINES:
        raise UnknownName.of("engine", engine, ENGINES)
    for package in ("narwhals", ENGINES[engine]):
        if importlib.util.find_spec(package) is None:
            raise ConfigError(
                f"the engine {engine} needs {package}, which is not installed",
                remedy=f"Install 'claimkit[{engine}]'",
            )
    return _SCANS[engine](list(paths), session)


def build_cube(
    claims: Any, *, dimensions: Sequence[str] = (), where: Mapping[str, str] | None = None
) -> Mapping[str, Cells]:
    """Return the cube of a table of claims: table name → canonical cells.

    The same cells as :func:`claimkit.drift.tally.tally` gives for the same claims. What measures of
    plugins read is not among them: they are Python, and the engine is not.

    Args:
        claims: A frame that Narwhals knows, lazy or not, with the columns of :data:`CLAIM_SCHEMA`
            and those of ``dimensions``.
        dimensions: Further dimensions to keep.
        where: Column → text that rows must have, such as a column with the tenant.

    Raises:
        FileRefused: a column is missing.
        UnknownName: claims have no such dimension.
    """
    import narwhals.stable.v2 as nw

    kept = check_dimensions(dimensions)
    frame = nw.from_native(claims).lazy()
    _check_columns(frame, [*CLAIM_SCHEMA, *kept, *(where or {})])
    for column, text in (where or {}).items():
        frame = frame.filter(nw.col(column) == text)
    rows = _as_facts(frame, kept)
    cells = {name: Cells.empty(table) for name, table in TABLES.items()}
    for table, selected in _tables(rows):
        if table is not SLICES or kept:
            cells[table.name] = _sum(selected, table, kept)
    return cells


def replace_cube(
    cube: CubeStore, tenant: TenantKey, cells: Mapping[str, Cells], *, known_on: dt.date
) -> int:
    """Put cells in the place of a tenant's cube and return how many there are.

    Run it inside one transaction (``store.atomic()``), so that readers never see half a cube. Past
    nights "as known then" are forgotten, as by a rebuild.

    Args:
        cube: Where it is kept.
        tenant: Whose.
        cells: What :func:`build_cube` returned.
        known_on: The day from which the cells count as known.
    """
    cube.clear(tenant)
    for one in cells.values():
        if len(one):
            cube.post(tenant, one.known_on(day_of(known_on)))
    return sum(map(len, cells.values()))


def _check_columns(frame: nw.LazyFrame[Any], wanted: Sequence[str]) -> None:
    there = set(frame.collect_schema().names())
    for name in wanted:
        if name not in there:
            raise FileRefused(
                f"the table of claims has no column {name}",
                code="column_missing",
                remedy="Export claims as Parquet, or name your columns as in the reference",
            )


def _as_facts(frame: nw.LazyFrame[Any], dimensions: Sequence[str]) -> nw.LazyFrame[Any]:
    """Return one row per claim with what its tables count, by row expressions only."""
    import narwhals.stable.v2 as nw

    texts = ("payer", "procedure_group", "first_outcome", "first_category", "first_reason")
    frame = frame.with_columns(
        *(nw.col(one).fill_null("").cast(nw.String) for one in (*texts, *dimensions)),
        nw.col("first_pass").cast(nw.Boolean),
        has_submission=~nw.col("submitted_on").is_null(),
        has_decision=~nw.col("first_decided_on").is_null(),
        has_payment=~nw.col("paid_on").is_null(),
        has_last=~nw.col("decided_on").is_null(),
        reversals=nw.col("reversals").cast(nw.Int64).fill_null(0),
    ).with_columns(
        _day("submitted_on").alias("submitted_day"),
        _day("first_decided_on").alias("decided_day"),
        _day("decided_on").alias("last_day"),
        _day("paid_on").alias("paid_day"),
        *(_cents(one) for one in ("charge", "allowed", "paid")),
    )
    outcome = nw.col("first_outcome")
    denied = (outcome == "denied") & ~nw.col("first_category").is_in(sorted(NOT_A_DECISION))
    category = nw.col("first_category")
    frame = frame.with_columns(
        is_paid=outcome.is_in(sorted(PAID_OUTCOMES)),
        is_denied=denied,
        category=nw.when(category == "").then(nw.lit("unmapped")).otherwise(category),
        age=nw.when(nw.col("has_submission") & nw.col("has_decision"))
        .then(nw.col("decided_day") - nw.col("submitted_day"))
        .otherwise(nw.lit(-1)),
    )
    frame = frame.with_columns(
        counts=nw.col("first_pass")
        & nw.col("has_decision")
        & (nw.col("is_paid") | nw.col("is_denied")),
        outcome=nw.when(nw.col("is_denied")).then(nw.col("category")).otherwise(nw.lit("paid")),
        reason=nw.when(nw.col("is_denied")).then(nw.col("first_reason")).otherwise(nw.lit("")),
        age_days=nw.when(nw.col("age") > MAX_AGE)
        .then(nw.lit(MAX_AGE))
        .otherwise(nw.when(nw.col("age") < 0).then(nw.lit(-1)).otherwise(nw.col("age"))),
    )
    waits = (outcome == "pending") | (category == "pended")
    return frame.with_columns(
        is_followed=nw.col("first_pass")
        & nw.col("has_submission")
        & (waits | nw.col("counts"))
        & ~(nw.col("counts") & (nw.col("age_days") < 0)),
        slice=nw.lit(""),
    )


def _tables(
    rows: nw.LazyFrame[Any],
) -> Iterator[tuple[CubeTable, nw.LazyFrame[Any]]]:
    """Yield each table with the rows that it counts and the columns that it sums."""
    import narwhals.stable.v2 as nw

    yield DECISIONS, rows.filter(nw.col("counts"))
    yield INFLOW, rows.filter(nw.col("is_followed"))
    yield SLICES, rows.filter(nw.col("counts"))
    yield PAYMENTS, _to_pay(rows)
    priced = rows.filter(
        nw.col("counts"),
        nw.col("first_outcome") == "paid",
        nw.col("allowed") > 0,
        nw.col("charge") > 0,
    )
    logs = (nw.col("allowed").cast(nw.Float64) / nw.col("charge").cast(nw.Float64)).log()
    priced = priced.with_columns(ratio=(logs * RATIO_SCALE).round(0).cast(nw.Int64))
    yield (
        MONEY,
        priced.with_columns(
            ratio_squared=nw.col("ratio") * nw.col("ratio"),
            ratio_bin=(nw.col("ratio").cast(nw.Float64) / RATIO_BIN).floor().cast(nw.Int64),
        ),
    )


def _to_pay(rows: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Return what a first decision that stands lets be paid, with the days that it took."""
    import narwhals.stable.v2 as nw

    later = nw.col("last_day") - nw.col("decided_day")
    wait = nw.col("paid_day") - nw.col("decided_day")
    due = rows.filter(
        nw.col("counts"),
        nw.col("outcome") == "paid",
        nw.col("paid") > 0,
        nw.col("reversals") == 0,
        ~nw.col("has_last") | (later <= PARTS_DAYS),
        # Money from before the decision is of another one.
        ~nw.col("has_payment") | (wait >= 0),
    )
    longest = nw.when(wait > MAX_AGE).then(nw.lit(MAX_AGE)).otherwise(wait)
    return due.with_columns(
        wait_days=nw.when(nw.col("has_payment")).then(longest).otherwise(nw.lit(-1))
    )


def _sum(rows: nw.LazyFrame[Any], table: CubeTable, dimensions: Sequence[str]) -> Cells:
    """Let the engine group and sum, and return what is left as cells."""
    import narwhals.stable.v2 as nw

    labels = [one for one in table.labels if one != "slice"]
    by = [*labels, *(dimensions if table is SLICES else ()), *table.numbers]
    sums = [one for one in table.measures if one != "claims"]
    grouped = (
        rows.with_columns(claims=nw.lit(1))
        .select(*by, "claims", *sums)
        .group_by(*by)
        .agg(*(nw.col(one).sum() for one in ("claims", *sums)))
    )
    found = grouped.collect().to_dict(as_series=False)
    named: dict[str, Sequence[str]] = {one: list(map(str, found[one])) for one in labels}
    if table is SLICES:
        values = zip(*(map(str, found[one]) for one in dimensions), strict=True)
        named["slice"] = [slice_name(dict(zip(dimensions, one, strict=True))) for one in values]
    return canonical(
        Cells.from_columns(
            table,
            labels=named,
            numbers={one: _whole(found[one]) for one in table.numbers},
            measures={one: _whole(found[one]) for one in table.measures},
        )
    )


def _whole(column: Sequence[Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    # DuckDB sums integers to decimals.
    return np.fromiter(map(int, column), np.int64, len(column))


def _day(name: str) -> nw.Expr:
    """Return days since 1970-01-01 of a date, 0 of none, by arithmetic that every engine knows.

    H. Hinnant, *chrono-Compatible Low-Level Date Algorithms* (2013), ``days_from_civil``.
    """
    import narwhals.stable.v2 as nw

    date = nw.col(name).cast(nw.Date).fill_null(_NO_DAY).dt
    month = date.month().cast(nw.Int64)
    # Years begin in March, so that the day that some have more is the last one.
    is_early = nw.when(month <= 2)
    year = date.year().cast(nw.Int64) - is_early.then(nw.lit(1)).otherwise(nw.lit(0))
    of_year = is_early.then(month + 9).otherwise(month - 3)
    leaps = year // 4 - year // 100 + year // 400
    return year * 365 + leaps + (of_year * 153 + 2) // 5 + date.day().cast(nw.Int64) - 719_469


def _cents(name: str) -> nw.Expr:
    """Return an amount of dollars in whole cents, 0 where it is not known."""
    import narwhals.stable.v2 as nw

    return (nw.col(name).cast(nw.Float64).fill_null(0.0) * 100).round(0).cast(nw.Int64)


def _scan_polars(paths: list[str], session: Any) -> Any:
    del session
    import polars as pl

    return pl.scan_parquet(paths)


def _scan_duckdb(paths: list[str], session: Any) -> Any:
    import duckdb

    return (session or duckdb).read_parquet(paths)


def _scan_dask(paths: list[str], session: Any) -> Any:
    del session
    import dask.dataframe

    return dask.dataframe.read_parquet(paths, dtype_backend="pyarrow")


def _scan_spark(paths: list[str], session: Any) -> Any:
    from pyspark.sql import SparkSession

    if session is None:
        builder: Any = SparkSession.builder
        session = builder.master("local[*]").appName("claimkit").getOrCreate()
    return session.read.parquet(*paths)


_SCANS = {
    "polars": _scan_polars,
    "duckdb": _scan_duckdb,
    "dask": _scan_dask,
    "spark": _scan_spark,
}
