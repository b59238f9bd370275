from __future__ import annotations

import io

import pytest

from claimkit.errors import FileRefused
from claimkit_x12.segments import CHUNK, MAX_SEGMENT, Segments, looks_like_x12

BODY = ("GS*HP*A*B", "ST*835*0001", "CLP*PCN-7731*1*320", "SE*3*0001", "GE*1*12", "IEA*1*417")


class Trickle:
    """A stream that gives a few bytes at a time, as a socket may."""

    def __init__(self, content, size=1):
        self._stream, self._size = io.BytesIO(content), size

    def read(self, size=-1):
        return self._stream.read(min(size, self._size) if size >= 0 else self._size)


class Watched(io.BytesIO):
    """Tells the most that was asked for at once."""

    most = 0

    def read(self, size=-1):
        self.most = max(self.most, size if size >= 0 else sys_max())
        return super().read(size)


def sys_max():
    raise AssertionError("the whole stream was asked for at once")


def segmented(content, *, by=None):
    """Return the segments, what is left, and the stream of them."""
    if isinstance(content, str):
        content = content.encode("utf-8")
    segments = Segments(Trickle(content, by) if by else io.BytesIO(content))
    texts = [text for part in segments.parts() for text in part]
    return texts, segments


def codes(segments):
    return [code for code, _ in segments.notices]


@pytest.fixture
def file(isa):
    def file(ends="~\n", **header):
        return ends.join([isa(**header), *BODY, ""])

    return file


# -- is it X12 at all ----------------------------------------------------------------------


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b" \r\n\t", b"\xef\xbb\xbf\r\n", b"\0\0"])
def test_x12_is_known_behind_marks_and_blanks(before, file):
    assert looks_like_x12(before + file().encode())


@pytest.mark.parametrize(
    "head",
    [
        *(
            b"GS*HP*A*B*20260217*1453*1*X*005010X221A1~",
            b"ST*835*0001~BPR*I",
            b"ST|837|0001|005010",
        ),
        *(b"ST*835~LX*1~", b"ST^999^1"),
    ],
)
def test_a_fragment_is_known_by_its_group_or_transaction_set(head):
    assert looks_like_x12(head)


@pytest.mark.parametrize(
    "head",
    [
        *(b"", b"ISA", b"ISA*00*1", b"ISA,claim id,payer\n1,2,3\n", b"ISABELLA", b"GS", b"STATE"),
        *(b"ST,Claim ID,Payer\nOH,1,2\n", b"GS,HP,x", b"ST*8355*1", b"GS*HPX*A", b"GSA*HP*A"),
        *(b"\xff\xfeI\0S\0A\0*\0", b"isa*00*", b"\x1f\x8bISA*00", b"claim id,payer\n"),
    ],
)
def test_other_files_are_not_x12(head):
    # "GS,HP," is told by its looks, and no column is called so.
    assert looks_like_x12(head) == (head == b"GS,HP,x")


@pytest.mark.parametrize("content", [b"", b" \r\n", b"\xef\xbb\xbf", b"\0\x1a"])
def test_an_empty_file_is_refused_as_empty(content):
    with pytest.raises(FileRefused, match="the file is empty"):
        segmented(content)


def test_what_is_no_x12_is_refused():
    with pytest.raises(FileRefused, match=r"not an X12 file. It must begin with ISA, GS or ST"):
        segmented("claim id,payer\nPCN-7731,MERIDIAN\n")


# -- delimiters ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("element", "component", "terminator"),
    [
        *(("*", ":", "~"), ("|", ">", "~"), ("^", "<", "'"), ("\x1d", "\x1f", "\x1c")),
        *(("*", ">", "\n"), ("*", "|", "\r\n"), ("*", ":", "\r"), ("~", "^", "_"), ("!", "&", "@")),
    ],
)
def test_delimiters_are_those_of_the_header(isa, element, component, terminator):
    header = isa(element=element, component=component)
    body = [one.replace("*", element) for one in BODY]
    texts, segments = segmented(terminator.join([header, *body, ""]))

    told = segments.delimiters
    assert (told.element, told.component) == (element, component)
    assert told.segment == ("\n" if terminator == "\r\n" else terminator)
    assert texts[1:] == body
    assert (segments.remainder, codes(segments)) == ("", [])


def test_delimiters_may_be_no_ascii(isa):
    header = isa(element="\xa7", component="\xb6")
    content = "\xac".join([header, *BODY, ""]).replace("*", "\xa7").encode("latin-1")
    texts, segments = segmented(content)

    assert (segments.delimiters.element, segments.delimiters.component) == ("\xa7", "\xb6")
    assert texts[1:] == [one.replace("*", "\xa7") for one in BODY]


def test_the_repetition_separator_came_with_version_402(file):
    _, new = segmented(file(version="00501"))
    _, old = segmented(file(version="00401"))

    assert (new.delimiters.repetition, old.delimiters.repetition) == ("^", "")


@pytest.mark.parametrize(
    ("header", "width"),
    [
        ("ISA*00**00**ZZ*RIVERSIDE*ZZ*PAYER*260217*1453*^*00501*000000417*0*P*:", 70),
        (f"ISA*00*{' ' * 10}*00*{' ' * 10}*ZZ*RIVERSIDE      *ZZ*PAYER        *260217*1453*^*00501*"
         "000000417*0*P*:", 104),
        (f"ISA*00*{' ' * 10}*00*{' ' * 10}*ZZ*RIVERSIDE        *ZZ*PAYER          *260217*1453*^*"
         "00501*000000417*0*P*:", 108),
    ],
)  # fmt: skip
def test_a_header_of_the_wrong_width_is_told_and_read(header, width):
    texts, segments = segmented("~".join([header, *BODY, ""]))

    assert texts[1:] == list(BODY)
    assert segments.delimiters.component == ":"
    assert segments.notices == [
        ("isa_width", f"the interchange header has {width} bytes instead of 106")
    ]


@pytest.mark.parametrize("ends", ["~", "~\n", "~\r\n", "\n", "\r\n"])
def test_a_header_without_component_separator_is_read(isa, ends):
    texts, segments = segmented(ends.join([isa(component=""), *BODY, ""]))

    assert texts[1:] == list(BODY)
    assert segments.delimiters.component == ":"
    assert codes(segments) == ["isa_width"]


def test_a_header_that_breaks_off_is_refused(isa):
    with pytest.raises(FileRefused, match=r"the interchange header \(ISA\) is incomplete"):
        segmented(isa()[:80])


# -- fragments -----------------------------------------------------------------------------


@pytest.mark.parametrize("ends", ["~", "~\r\n", "\n", "|", "'"])
@pytest.mark.parametrize("first", [0, 1])
def test_a_fragment_is_read_with_the_usual_delimiters(ends, first):
    texts, segments = segmented(ends.join([*BODY[first:], ""]))

    assert texts == list(BODY[first:])
    assert (segments.delimiters.element, segments.delimiters.component) == ("*", ":")
    assert codes(segments) == ["envelope_missing"]


def test_the_element_separator_of_a_fragment_is_the_byte_behind_its_tag():
    texts, segments = segmented("ST|835|0001~CLP|PCN-7731|1~SE|3|0001~")

    assert texts == ["ST|835|0001", "CLP|PCN-7731|1", "SE|3|0001"]
    assert segments.delimiters.element == "|"


def test_a_fragment_whose_segments_cannot_be_told_apart_is_refused():
    with pytest.raises(FileRefused, match="fragment cannot be told apart"):
        segmented("ST*835*0001;BPR*I*185;")


# -- blanks, line ends and wrapping --------------------------------------------------------


@pytest.mark.parametrize("width", [7, 50, 76, 79, 80, 81, 104, 105, 106, 107])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_lines_may_be_wrapped_anywhere(file, width, ends):
    whole = file(ends="~")
    wrapped = ends.join(whole[at : at + width] for at in range(0, len(whole), width))
    texts, segments = segmented(wrapped)

    assert texts[1:] == list(BODY)
    assert (segments.delimiters.component, codes(segments)) == (":", [])


def test_padding_is_no_part_of_an_element(isa):
    content = f"{isa()}~\n  ST* 835 *0001  ~\tCLP *  PCN 7731   *1* ~\nSE*3*0001~"
    texts, _ = segmented(content)

    assert texts[1:] == ["ST*835*0001", "\tCLP*PCN 7731*1*", "SE*3*0001"]


def test_a_long_run_of_blanks_costs_no_time(isa):
    texts, _ = segmented(f"{isa()}~N1*PR*A{' ' * 60_000}B*XV~SE*3*0001~")

    assert len(texts[1]) == 60_011


def test_blank_segments_and_lines_are_none(file):
    texts, _ = segmented(file(ends="~\n").replace("~\nCLP", "~\n\n~~\n  ~CLP"))

    assert texts[1:] == list(BODY)


def test_lines_may_end_in_different_ways(isa):
    lines = [isa(), *BODY]
    ends = ["\n", "\r\n", "\r", "\n", "\r\n", "\r", "\r\n"]
    texts, _ = segmented("".join(map("".join, zip(lines, ends, strict=True))))

    assert texts[1:] == list(BODY)


@pytest.mark.parametrize("after", ["", "\n", "\r\n\r\n", "\x1a", "\0\0\0", " \n"])
def test_what_follows_the_last_segment_is_not_read(file, after):
    texts, segments = segmented(file(ends="~") + after)

    assert texts[1:] == list(BODY)
    assert segments.remainder == ""


def test_a_last_segment_without_terminator_is_left_over(file):
    texts, segments = segmented(file(ends="~")[:-1] + "\r\n")
    by_line, lines = segmented(file(ends="\n")[:-1])

    assert texts[-1] == by_line[-1] == "GE*1*12"
    assert segments.remainder == lines.remainder == "IEA*1*417"


# -- several interchanges ------------------------------------------------------------------


def test_each_interchange_has_its_own_delimiters(isa):
    first = "~\n".join([isa(417), *BODY, ""])
    second = "\r\n".join(
        [isa(731, element="|", component=">"), *(one.replace("*", "|") for one in BODY), ""]
    )
    third = "'".join([isa(905, element="+", component="&"), "TA1+1", "IEA+0+905", ""])
    segments = Segments(io.BytesIO(f"{first}{second}\ufeff{third}".encode()))
    told = [
        (segments.delimiters.element, segments.delimiters.segment, part[1:])
        for part in segments.parts()
    ]

    assert told == [
        ("*", "~", list(BODY)),
        ("|", "\n", [one.replace("*", "|") for one in BODY]),
        ("+", "'", ["TA1+1", "IEA+0+905"]),
    ]


@pytest.mark.parametrize("ends", ["~", "\n"])
def test_a_name_that_ends_in_isa_opens_no_interchange(isa, ends):
    name = "N1*PR*VISA*" + "*" * 20
    texts, _ = segmented(ends.join([isa(), name, *BODY, ""]))

    assert texts[1:] == [name, *BODY]


# -- encodings -----------------------------------------------------------------------------


def test_text_is_utf_8(isa):
    texts, segments = segmented("~".join([isa(), "N1*PR*SALUD Ñandú", ""]).encode("utf-8"))

    assert texts[1:] == ["N1*PR*SALUD Ñandú"]
    assert codes(segments) == []


def test_text_that_is_not_utf_8_is_cp1252_and_told_once(isa):
    content = "~".join([isa(), "N1*PR*SALUD Ñandú", "N3*O\u2019Neil", "N3*plain", ""])
    texts, segments = segmented(content.encode("cp1252"))

    assert texts[1:] == ["N1*PR*SALUD Ñandú", "N3*O\u2019Neil", "N3*plain"]
    assert codes(segments) == ["encoding_cp1252"]


def test_one_segment_may_be_utf_8_beside_another_that_is_not(isa):
    first, second = "N1*PR*Ñandú".encode(), "N3*Ñandú".encode("cp1252")
    texts, _ = segmented(b"~".join([isa().encode(), first, second, b"N4*\x81", b""]))

    assert texts[1:] == ["N1*PR*Ñandú", "N3*Ñandú", "N4*\ufffd"]


# -- streaming -----------------------------------------------------------------------------


@pytest.mark.parametrize("by", [1, 2, 3, 105, 106, 107, 511, 512, 513])
@pytest.mark.parametrize("ends", ["~", "~\r\n", "\n"])
def test_it_does_not_matter_how_a_stream_is_cut(isa, by, ends):
    content = ends.join([isa(), *BODY, isa(731), *BODY, ""])
    whole, _ = segmented(content)
    texts, segments = segmented(content, by=by)

    assert texts == whole
    assert len(texts) == 14
    assert segments.bytes_read == len(content)


def test_a_long_stream_is_read_in_chunks(isa):
    many = [f"CLP*PCN-{number:06d}*1*320" for number in range(40_000)]
    content = "~\n".join([isa(), *many, ""]).encode()
    stream = Watched(content)
    segments = Segments(stream)
    parts = list(segments.parts())

    assert [text for part in parts for text in part][1:] == many
    assert stream.most == CHUNK
    assert max(sum(map(len, part)) for part in parts) < 2 * CHUNK
    assert segments.bytes_read == len(content)


def test_the_longest_segment_allowed_is_read(isa):
    name = "N1*PR*" + "M" * (MAX_SEGMENT - 6)
    texts, _ = segmented("~".join([isa(), name, *BODY, ""]))

    assert texts[1:] == [name, *BODY]


@pytest.mark.parametrize("length", [MAX_SEGMENT + 1, 10 * MAX_SEGMENT])
def test_a_longer_segment_is_refused_with_one_clear_line(isa, length):
    name = "N1*PR*" + "M" * (length - 6)
    with pytest.raises(FileRefused) as refused:
        segmented("~".join([isa(), name, *BODY, ""]))

    assert str(refused.value) == (
        "a segment is longer than 65,536 bytes. The segment terminator was not recognized or the "
        "file is damaged; ask for it again"
    )


def test_a_terminator_that_never_comes_is_refused_before_the_memory_is_full(isa):
    stream = Watched((isa() + "~").encode() + b"A" * (50 << 20))
    with pytest.raises(FileRefused, match="longer than"):
        list(Segments(stream).parts())

    assert stream.tell() < 1 << 20
