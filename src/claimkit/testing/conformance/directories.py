"""What every directory of payers must do."""

# ruff: noqa: D102 - the name of a test is its docstring

from __future__ import annotations

import re
import time
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from claimkit.claims.payers import FederalPrograms, KnownPayers, fold_payer
from claimkit.claims.privacy import find_personal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from claimkit.claims.payers import DirectoryEntry, PayerDirectory

__all__ = ["PayerDirectoryConformance"]

#: Seconds: a directory is asked for each suggestion, and answers from memory.
_MOST_SECONDS = 0.25
_ID = re.compile(r"[A-Za-z0-9]{2,10}:\S+")


class PayerDirectoryConformance:
    """Subclass it and give it the fixture ``directory``."""

    @pytest.fixture
    def directory(self) -> PayerDirectory:
        """Override: the directory under test."""
        raise NotImplementedError("a conformance suite needs a fixture called 'directory'")

    @pytest.fixture
    def entries(self, directory: PayerDirectory) -> Sequence[DirectoryEntry]:
        """Return what it knows."""
        return tuple(directory.entries())

    def test_its_name_is_a_word_and_it_knows_somebody(
        self, directory: PayerDirectory, entries: Sequence[DirectoryEntry]
    ) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", directory.name)
        assert entries

    def test_it_answers_the_same_again_and_from_memory(
        self, directory: PayerDirectory, entries: Sequence[DirectoryEntry]
    ) -> None:
        began = time.perf_counter()
        again = tuple(directory.entries())

        assert time.perf_counter() - began < _MOST_SECONDS
        assert again == tuple(entries)

    def test_names_are_words_of_one_line(self, entries: Sequence[DirectoryEntry]) -> None:
        names = [name for one in entries for name in (one.name, *one.aliases)]

        assert [one for one in names if one != " ".join(one.split()) or not one.isprintable()] == []
        assert [one for one in names if not fold_payer(one)] == []

    def test_ids_have_a_namespace_and_one_payer(self, entries: Sequence[DirectoryEntry]) -> None:
        payers = defaultdict(set)
        for entry in entries:
            for one in entry.ids:
                payers[one].add(entry.name)

        assert [one for one in payers if not _ID.fullmatch(one)] == []
        assert {one: names for one, names in payers.items() if len(names) > 1} == {}

    def test_every_name_is_that_of_one_payer(self, entries: Sequence[DirectoryEntry]) -> None:
        payers = defaultdict(list)
        for entry in entries:
            # Once for each name: what folds alike would be listed twice.
            for name in (entry.name, *entry.aliases):
                payers[fold_payer(name)].append(entry.name)

        assert {name: found for name, found in payers.items() if len(found) > 1} == {}

    def test_every_other_name_suggests_its_payer(self, entries: Sequence[DirectoryEntry]) -> None:
        known = KnownPayers(entries)
        wanted = {name: [fold_payer(one.name)] for one in entries for name in one.aliases}

        assert {name: known.suggest(name) for name in wanted} == wanted

    def test_no_payer_is_suggested_for_another_one(self, entries: Sequence[DirectoryEntry]) -> None:
        known = KnownPayers([*FederalPrograms().entries(), *entries])
        names = [one.name for one in (*FederalPrograms().entries(), *entries)]

        assert {one: known.suggest(one) for one in names if known.suggest(one)} == {}

    def test_it_knows_nothing_of_people(self, entries: Sequence[DirectoryEntry]) -> None:
        names = [name for one in entries for name in (one.name, *one.aliases)]

        assert [one for one in names if find_personal(one)] == []
