from __future__ import annotations

import pytest

from claimkit.claims.csv import CsvReader
from claimkit.testing.conformance import ReaderConformance

HEAD = "claim id,payer,dos,billed,paid,status\n"
ROWS = (
    "PCN-1,MERIDIAN,2026-01-05,120.00,80.00,paid\n"
    "PCN-2,LAKESIDE,2026-01-06,75.50,0.00,denied\n"
    "PCN-3,MERIDIAN,2026-01-25,310.00,,pending\n"
)


class TestCsvReader(ReaderConformance):
    @pytest.fixture
    def reader(self):
        return CsvReader()

    @pytest.fixture
    def files(self):
        return {
            "comma.csv": (HEAD + ROWS).encode(),
            "semicolon.csv": (HEAD + ROWS).replace(",", ";").encode("utf-8-sig"),
        }
