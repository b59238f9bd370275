"""``claimkit cube build``: the cube of claims in Parquet, by an engine that may be many machines."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from typing import TYPE_CHECKING

from claimkit.cli.terminal import print_json
from claimkit.cli.values import as_date, as_pair
from claimkit.drift.engines import ENGINES, build_cube, replace_cube, scan_claims
from claimkit.types import TenantKey

if TYPE_CHECKING:
    import argparse

    from claimkit.config import Config
    from claimkit.plugins import Plugins

__all__ = ["add_cube_arguments", "build_from_files"]


def add_cube_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``claimkit cube``."""
    parser.add_argument("verb", choices=("build",), help="put a new cube in the place of the old")
    parser.add_argument(
        "files", nargs="+", metavar="PARQUET", help="claims, one per row, as claimkit exports them"
    )
    parser.add_argument(
        "--engine", choices=tuple(ENGINES), default="polars", help="what groups and sums (polars)"
    )
    parser.add_argument(
        "--store",
        metavar="URL",
        default="sqlite:///claimkit.db",
        help="where the cube is kept (sqlite:///claimkit.db)",
    )
    parser.add_argument("--tenant", default="local", metavar="KEY", help="whose claims (local)")
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        type=as_pair,
        metavar="COLUMN=TEXT",
        help="only rows with this text in this column, such as hospital=northside",
    )
    parser.add_argument(
        "--known-on", type=as_date, metavar="DATE", help="since when it is known (today)"
    )


def build_from_files(arguments: argparse.Namespace, config: Config, plugins: Plugins) -> int:
    """Build the cube, keep it, and print how many cells each table has."""
    claims = scan_claims(arguments.files, engine=arguments.engine)
    cells = build_cube(claims, dimensions=config.drift.dimensions, where=dict(arguments.where))
    known_on = arguments.known_on or dt.datetime.now(dt.UTC).date()
    with closing(plugins.open_store(arguments.store)) as store, store.atomic():
        total = replace_cube(store.cube, TenantKey(arguments.tenant), cells, known_on=known_on)
    counts = {name: len(one) for name, one in cells.items()}
    if arguments.format == "json":
        print_json({"tenant": arguments.tenant, "engine": arguments.engine, "cells": counts})
    else:
        tables = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
        print(f"{total:,} cells by {arguments.engine}: {tables or 'no claims count'}")
    return 0
