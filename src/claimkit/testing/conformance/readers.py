"""What every reader must do."""

# ruff: noqa: D102 - the name of a test is its docstring

from __future__ import annotations

import io
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.claims.readers import SNIFF_BYTES, Confidence, ReadOptions
from claimkit.errors import FileRefused
from claimkit.testing.conformance.suite import plugin_property

if TYPE_CHECKING:
    from collections.abc import Mapping

    from claimkit.claims.model import Claim, ClaimBatch
    from claimkit.claims.readers import ClaimReader

__all__ = ["ReaderConformance"]


class _Trickle(io.BytesIO):
    """A stream that gives a few bytes at a time, as a slow network does."""

    def __init__(self, content: bytes, by: int) -> None:
        super().__init__(content)
        self._by = by

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self._by if size is None or size < 0 else min(size, self._by))


class ReaderConformance:
    """Subclass it and give it the fixtures ``reader`` and ``files``."""

    #: Heads of files that belong to the reader of that name, and to no other.
    foreign: ClassVar[Mapping[str, bytes]] = {
        "csv": b"claim id,payer,dos,billed,paid\nPCN-1,MERIDIAN,2026-01-05,120.00,80.00\n",
        "x12": b"ST*835*0001~BPR*I*0*C*NON************20260219~",
        "fhir": b'{"resourceType": "Bundle", "type": "collection", "entry": []}',
    }

    @pytest.fixture
    def reader(self) -> ClaimReader:
        """Override: the reader under test."""
        raise NotImplementedError("a conformance suite needs a fixture called 'reader'")

    @pytest.fixture
    def files(self) -> Mapping[str, bytes]:
        """Override: by name, small files that the reader takes, with a few claims in each."""
        raise NotImplementedError("a conformance suite needs a fixture called 'files'")

    def test_it_has_a_name_and_kinds(self, reader: ClaimReader) -> None:
        assert reader.name
        assert reader.kinds

    def test_it_is_sure_of_its_own_files(
        self, reader: ClaimReader, files: Mapping[str, bytes]
    ) -> None:
        unsure = [
            name
            for name, content in files.items()
            if reader.sniff(content[:SNIFF_BYTES], name) < Confidence.LIKELY
        ]

        assert files
        assert unsure == []

    def test_it_leaves_other_files_to_others(self, reader: ClaimReader) -> None:
        taken = [
            name
            for name, head in self.foreign.items()
            if name != reader.name and reader.sniff(head, f"claims.{reader.name}") > Confidence.NO
        ]

        assert taken == []

    @plugin_property
    @given(head=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
    def test_sniffing_never_fails(self, reader: ClaimReader, head: bytes) -> None:
        assert reader.sniff(head, "") in Confidence

    def test_an_empty_file_is_refused(self, reader: ClaimReader) -> None:
        with pytest.raises(FileRefused):
            _read(reader, b"")

    def test_files_are_read_to_their_end(
        self, reader: ClaimReader, files: Mapping[str, bytes]
    ) -> None:
        for content in files.values():
            batches = _read(reader, content)

            assert _claims(batches)
            assert batches[-1].bytes_read == len(content)
            _make_sense(reader, batches)

    @pytest.mark.parametrize("by", [1, 7, 4_096])
    def test_it_does_not_matter_how_the_bytes_come(
        self, reader: ClaimReader, files: Mapping[str, bytes], by: int
    ) -> None:
        for content in files.values():
            slow = list(reader.read(_Trickle(content, by), ReadOptions()))

            assert _claims(slow) == _claims(_read(reader, content))

    @pytest.mark.parametrize("size", [1, 2, 3])
    def test_the_size_of_a_batch_changes_nothing_else(
        self, reader: ClaimReader, files: Mapping[str, bytes], size: int
    ) -> None:
        for content in files.values():
            batches = _read(reader, content, size)

            assert max(len(one.claims) for one in batches) <= size
            assert _claims(batches) == _claims(_read(reader, content))

    @plugin_property
    @given(content=st.binary(max_size=300))
    def test_any_bytes_are_read_or_refused(self, reader: ClaimReader, content: bytes) -> None:
        _read_or_refuse(reader, content)

    @plugin_property
    @given(
        damages=st.lists(
            st.tuples(st.floats(0, 1), st.integers(0, 5), st.binary(max_size=4)),
            min_size=1,
            max_size=5,
        )
    )
    def test_damage_is_read_or_refused(
        self,
        reader: ClaimReader,
        files: Mapping[str, bytes],
        damages: list[tuple[float, int, bytes]],
    ) -> None:
        for original in files.values():
            content = bytearray(original)
            for share, removed, added in damages:
                at = int(len(content) * share)
                content[at : at + removed] = added
            _read_or_refuse(reader, bytes(content))


def _read(reader: ClaimReader, content: bytes, size: int = 5_000) -> list[ClaimBatch]:
    return list(reader.read(io.BytesIO(content), ReadOptions(batch_size=size)))


def _claims(batches: list[ClaimBatch]) -> list[Claim]:
    return [one for batch in batches for one in batch.claims]


def _read_or_refuse(reader: ClaimReader, content: bytes) -> None:
    try:
        batches = _read(reader, content)
    except FileRefused as refused:
        reason = str(refused)
    else:
        reason = ""
        _make_sense(reader, batches)

    assert "\n" not in reason


def _make_sense(reader: ClaimReader, batches: list[ClaimBatch]) -> None:
    assert batches
    for batch in batches:
        assert set(batch.kinds) <= set(reader.kinds)
        for claim in batch.claims:
            assert claim.kind in reader.kinds
            assert claim.position > 0
            assert claim.patient_control_number
        for problem in batch.problems:
            assert problem.kind in reader.kinds
            assert problem.position > 0
            assert problem.code
            assert problem.message
            assert problem.remedy
