"""The payer directory ``payers-us``: payers of the United States, and the names they pay under.

The names are in ``payers.toml`` beside this module, one reviewed file with the date of its last
review. Names are listed from public knowledge; the directory suggests, and renames nothing.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from claimkit import hookimpl
from claimkit.claims.payers import DirectoryEntry

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from claimkit.claims.payers import PayerDirectory

__all__ = ["UsPayers", "claimkit_register_payer_directories"]


@hookimpl
def claimkit_register_payer_directories() -> Iterable[PayerDirectory]:
    """Register the directory."""
    return (UsPayers(),)


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
