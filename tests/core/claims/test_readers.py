from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.claims.readers import Confidence, choose_reader
from claimkit.errors import FileRefused, UnknownName


def reader(name, confidence):
    return SimpleNamespace(name=name, sniff=lambda head, filename: confidence)


def readers(**by_name):
    return {name: reader(name, confidence) for name, confidence in by_name.items()}


def test_the_surest_reader_is_chosen():
    known = readers(csv=Confidence.POSSIBLE, x12=Confidence.CERTAIN)

    assert choose_reader(b"ISA*00*", "era.csv", known).name == "x12"


def test_a_named_reader_overrides_the_guess():
    known = readers(csv=Confidence.NO, x12=Confidence.CERTAIN)

    assert choose_reader(b"ISA*00*", "era.835", known, wanted="csv").name == "csv"


def test_an_unknown_reader_is_named_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'csv'"):
        choose_reader(b"", "a", readers(csv=Confidence.NO), wanted="cvs")


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"PK\x03\x04....", "Excel workbook"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\xd0\xcf\x11\xe0", "old Excel workbook"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_files_that_are_often_misnamed_are_refused_by_what_they_are(head, what):
    with pytest.raises(FileRefused, match=what):
        choose_reader(head, "claims.csv", readers(csv=Confidence.POSSIBLE))


def test_x12_without_a_reader_says_what_to_install():
    with pytest.raises(FileRefused, match="pip install claimkit-x12"):
        choose_reader(b"\xef\xbb\xbfISA*00*", "era.835", readers(csv=Confidence.NO))


def test_anything_else_is_refused():
    with pytest.raises(FileRefused, match="not a claims file"):
        choose_reader(b"\x00\x01\x02", "picture.bin", readers(csv=Confidence.NO))


@given(st.binary(max_size=64))
def test_choosing_ends_in_a_reader_or_a_refusal(head):
    known = readers(csv=Confidence.NO, x12=Confidence.NO)

    with pytest.raises(FileRefused):
        choose_reader(head, "a", known)
