from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.claims.records import MAX_RECORD, MAX_SPAN, Records, TextLines, split_rows

HUGE = 1_300_000


def lines_of(data):
    return [line for block in TextLines(io.BytesIO(data)).blocks() for line in block]


def rows_of(lines, *, width=0, delimiter=",", blocks=1):
    """Return rows with their line numbers, and what was broken."""
    broken = []
    size = max(1, -(-len(lines) // blocks))
    parts = [lines[at : at + size] for at in range(0, len(lines), size)]
    records = Records(
        iter(parts), delimiter=delimiter, width=width,
        on_broken=lambda number, code, text: broken.append((number, code)),
    )  # fmt: skip
    return list(records), broken


# -- lines --------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("after", [0, 1, 9_000])
def test_an_endless_line_is_one_line_and_the_next_ones_are_whole(encoding, end, after):
    rest = [f"A{n},{'y' * 60}" for n in range(after)]
    text = end.join(["first", "X" * HUGE, *rest])
    lines = lines_of(text.encode(encoding))

    assert lines[0] == "first"
    assert set(lines[1]) == {"X"}
    assert MAX_RECORD < len(lines[1]) <= HUGE
    assert lines[2:] == rest


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_two_endless_lines_are_two(encoding):
    text = "\n".join(["X" * HUGE, "Y" * HUGE, "last"])
    lines = lines_of(text.encode(encoding))

    assert [line[:1] for line in lines] == ["X", "Y", "l"]
    assert all(len(line) > MAX_RECORD for line in lines[:2])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_file_that_is_one_endless_line_ends(encoding):
    lines = lines_of(("X" * HUGE).encode(encoding))

    assert len(lines) == 1
    assert len(lines[0]) > MAX_RECORD


@pytest.mark.parametrize(
    ("data", "lines", "encoding", "fallback"),
    [
        (b"a\nb", ["a", "b"], "utf-8", 0),
        ("ä\nb".encode("utf-8-sig"), ["ä", "b"], "utf-8", 0),
        ("a\nä\n".encode("cp1252"), ["a", "ä"], "utf-8", 2),
        ("ä\nb".encode("utf-16-le"), ["ä", "b"], "utf-16-le", 0),
        (b"\xfe\xff" + "ä\nb".encode("utf-16-be"), ["ä", "b"], "utf-16-be", 0),
        (b"", [], "utf-8", 0),
        (b"\n\n", ["", ""], "utf-8", 0),
        (b"a\r", ["a"], "utf-8", 0),
        (b"a\x81\n", ["a\ufffd"], "utf-8", 1),
    ],
)
def test_a_text_is_decoded_and_the_line_that_was_no_utf8_is_remembered(
    data, lines, encoding, fallback
):
    text = TextLines(io.BytesIO(data))
    found = [line for block in text.blocks() for line in block]

    assert found == lines
    assert (text.encoding, text.fallback_line) == (encoding, fallback)
    assert text.bytes_read == len(data)


def test_utf16_without_a_mark_is_told_by_its_zeros():
    text = "claim_id,payer\nA1,BLUE LAKE\n"
    for encoding in ("utf-16-le", "utf-16-be"):
        lines = TextLines(io.BytesIO(text.encode(encoding)))

        assert [line for block in lines.blocks() for line in block] == text.splitlines()
        assert lines.encoding == encoding


# -- rows ---------------------------------------------------------------------------------------


def test_rows_carry_the_number_of_their_first_line():
    rows, broken = rows_of(["a,b", '"x', 'y",c', "d,e"])

    assert rows == [(1, ["a", "b"]), (2, ["x\ny", "c"]), (4, ["d", "e"])]
    assert broken == []


@pytest.mark.parametrize("width", [0, 2])
def test_a_quote_that_never_closes_costs_its_own_line(width):
    rows, broken = rows_of(['"a,b', "c,d", "e,f"], width=width)

    assert broken == [(1, "quote_unclosed")]
    assert rows == [(2, ["c", "d"]), (3, ["e", "f"])]


def test_a_quoted_row_over_lines_must_fit_the_width():
    lines = ['"a', 'b",c', "d,e"]

    assert rows_of(lines, width=2) == ([(1, ["a\nb", "c"]), (3, ["d", "e"])], [])
    rows, broken = rows_of(lines, width=3)
    assert broken[0] == (1, "quote_unclosed")
    assert rows[-1] == (3, ["d", "e"])


def test_a_quoted_row_spans_no_more_lines_than_allowed():
    inside = ["x"] * (MAX_SPAN - 2)
    whole, _ = rows_of(['"a', *inside, 'b",c'])
    _, broken = rows_of(['"a', *inside, "x", "x", 'b",c'])

    assert len(whole) == 1
    assert broken[0] == (1, "quote_unclosed")


def test_a_quoted_row_is_no_longer_than_allowed():
    half = "x" * (MAX_RECORD // 2 + 10)
    rows, broken = rows_of([f'"{half}', f'{half}",c', "d,e"])

    assert broken[0] == (1, "quote_unclosed")
    assert rows[-1] == (3, ["d", "e"])


def test_a_line_that_is_too_long_or_holds_zeros_is_broken_and_named():
    rows, broken = rows_of(["a,b", "x" * (MAX_RECORD + 1), "a\0,b", '"a', '\0",b', "c,d"])

    assert broken == [(2, "row_too_long"), (3, "nul_byte"), (4, "nul_byte")]
    assert rows == [(1, ["a", "b"]), (6, ["c", "d"])]


_CELLS = st.text(st.sampled_from('ab,;"\n |é'), max_size=6)


@given(
    st.lists(st.lists(_CELLS, min_size=3, max_size=3), min_size=1, max_size=12),
    st.sampled_from([",", ";", "|", "\t"]),
    st.integers(1, 9),
)
def test_what_a_spreadsheet_writes_comes_back_however_it_is_cut(table, delimiter, blocks):
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(table)
    lines = out.getvalue().removesuffix("\n").split("\n")
    rows, broken = rows_of(lines, width=3, delimiter=delimiter, blocks=blocks)

    assert [row for _, row in rows] == table
    assert broken == []


def test_a_few_lines_can_be_split_for_a_look():
    assert split_rows(["a;b", '"x', "c;d"], ";") == [(1, ["a", "b"]), (3, ["c", "d"])]
