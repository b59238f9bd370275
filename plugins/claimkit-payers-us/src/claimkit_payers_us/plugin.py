"""Payers of the United States and the names they pay under, and what their remark codes say.

The names are in ``payers.toml`` beside this module, one reviewed file with the date of its last
review. Names are listed from public knowledge; the directory suggests, and renames nothing. Remark codes and claimkit's own
category of each are in ``remark_codes.tsv``; official descriptions are X12's copyright.
"""

from __future__ import annotations

import csv
import tomllib
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

from claimkit import hookimpl
from claimkit.claims.payers import DirectoryEntry

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from claimkit.claims.payers import PayerDirectory
    from claimkit.claims.remarks import RemarkCodes

__all__ = [
    "UsPayers",
    "UsRemarkCodes",
    "claimkit_register_payer_directories",
    "claimkit_register_remark_codes",
]


@hookimpl
def claimkit_register_payer_directories() -> Iterable[PayerDirectory]:
    """Register the directory."""
    return (UsPayers(),)


@hookimpl
def claimkit_register_remark_codes() -> Iterable[RemarkCodes]:
    """Register the list of remark codes."""
    return (UsRemarkCodes(),)


class UsPayers:
    """National carriers, Blues by state, Medicare Advantage, Medicaid plans and contractors.

    >>> from claimkit.claims.payers import KnownPayers
    >>> KnownPayers(UsPayers().entries()).suggest("Connecticut General Life Ins Co")
    ['CIGNA']
    """

    name = "payers-us"

    def entries(self) -> Iterable[DirectoryEntry]:
        """Return the payers in the order of the file; it is read once."""
        return tuple(entry for payers in _read()[1].values() for entry in payers)

    @property
    def version(self) -> dt.date:
        """Date of the last review of the names."""
        return _read()[0]

    @property
    def lines(self) -> dict[str, tuple[DirectoryEntry, ...]]:
        """Payers by line of business, such as ``commercial`` or ``medicaid``."""
        return dict(_read()[1])


class UsRemarkCodes:
    """Remittance advice remark codes, current ones and some that are retired, by category.

    >>> UsRemarkCodes().categories()["M127"]
    'missing_records'
    """

    name = "payers-us"

    def categories(self) -> Mapping[str, str]:
        """Return code → category; the file is read once."""
        return _read_remarks()


@cache
def _read_remarks() -> Mapping[str, str]:
    source = resources.files("claimkit_payers_us") / "remark_codes.tsv"
    with source.open(encoding="ascii") as lines:
        rows = csv.DictReader(lines, delimiter="\t")
        return MappingProxyType({row["rarc"]: row["category"] for row in rows})


@cache
def _read() -> tuple[dt.date, dict[str, tuple[DirectoryEntry, ...]]]:
    text = (resources.files("claimkit_payers_us") / "payers.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    version = tables.pop("version")
    return version, {
        line: tuple(
            DirectoryEntry(name=name, aliases=tuple(aliases)) for name, aliases in payers.items()
        )
        for line, payers in tables.items()
    }
