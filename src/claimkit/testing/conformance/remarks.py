"""What every list of remark codes must do."""

# ruff: noqa: D102 - the name of a test is its docstring

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from claimkit.claims.codes import parse_remarks
from claimkit.claims.remarks import REMARK_CATEGORIES

if TYPE_CHECKING:
    from claimkit.claims.remarks import RemarkCodes

__all__ = ["RemarkCodesConformance"]

#: Seconds: asked for each page of a finding, and answered from memory.
_MOST_SECONDS = 0.25


class RemarkCodesConformance:
    """Subclass it and give it the fixture ``codes``."""

    @pytest.fixture
    def codes(self) -> RemarkCodes:
        """Override: the list under test."""
        raise NotImplementedError("a conformance suite needs a fixture called 'codes'")

    def test_its_name_is_a_word_and_it_knows_some(self, codes: RemarkCodes) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", codes.name)
        assert codes.categories()

    def test_it_answers_the_same_again_and_from_memory(self, codes: RemarkCodes) -> None:
        first = dict(codes.categories())
        began = time.perf_counter()
        again = dict(codes.categories())

        assert time.perf_counter() - began < _MOST_SECONDS
        assert again == first

    def test_codes_are_written_as_readers_store_them(self, codes: RemarkCodes) -> None:
        """A code that no claim can have is a slip."""
        assert [one for one in codes.categories() if parse_remarks(one) != (one,)] == []

    def test_categories_are_those_that_are_documented(self, codes: RemarkCodes) -> None:
        assert set(codes.categories().values()) - set(REMARK_CATEGORIES) == set()
