"""Seeded files of any size: made-up exports and remittances, repeated under new claim numbers."""

from __future__ import annotations

import csv
import datetime as dt
import itertools
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from claimkit.testing.synthetic import NORTHSIDE, make_claims, write_835, write_csv

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The rows that one transaction takes where nothing else decides.
_BATCH = 5_000
_AS_OF = dt.date(2026, 6, 30)
#: An interchange in front of the transaction sets, and what closes it.
_OPENING = re.compile(r"\AISA.*?~\nGS.*?~\n", re.DOTALL)
_CLOSING = re.compile(r"GE\*\d+\*\d+~\nIEA\*1\*\d+~\n\Z")


def write_export(path: Path, rows: int, *, seed: int = 1) -> int:
    """Write a CSV export of exactly ``rows`` rows and return how many bytes it has."""
    with tempfile.TemporaryDirectory() as folder:
        block = Path(folder) / "block.csv"
        write_csv(make_claims(NORTHSIDE, as_of=_AS_OF, days=120, seed=seed), block)
        header, *lines = block.read_text(encoding="utf-8").splitlines(keepends=True)
    with path.open("w", encoding="utf-8") as out:
        out.write(header)
        for at in range(0, rows, len(lines)):
            kept = lines[: rows - at]
            out.write("".join(f"{at // len(lines):x}K{line}" for line in kept))
    return path.stat().st_size


def write_remittance(path: Path, claims: int, *, seed: int = 1) -> int:
    """Write one 835 of about ``claims`` claims, not fewer, and return how many it has."""
    with tempfile.TemporaryDirectory() as folder:
        parts = write_835(make_claims(NORTHSIDE, as_of=_AS_OF, days=120, seed=seed), Path(folder))
        texts = [part.read_text(encoding="ascii") for part in parts]
    opening = _OPENING.match(texts[0])
    closing = _CLOSING.search(texts[0])
    assert opening is not None
    assert closing is not None
    sets = "".join(_CLOSING.sub("", _OPENING.sub("", text)) for text in texts)
    block = sets.count("\nCLP*")
    written = 0
    with path.open("w", encoding="ascii") as out:
        out.write(opening[0])
        while written < claims:
            out.write(sets.replace("\nCLP*", f"\nCLP*{written // block:x}K"))
            written += block
        out.write(closing[0])
    return written


def rows_by_the_thousand(path: Path) -> Iterator[list[list[str]]]:
    """Yield the rows of a CSV without its header, as many at a time as one transaction takes."""
    with path.open(encoding="utf-8", newline="") as text:
        rows = csv.reader(text)
        next(rows)
        while batch := list(itertools.islice(rows, _BATCH)):
            yield batch
