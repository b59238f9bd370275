from __future__ import annotations

import contextlib
import gc
import io
import tracemalloc
from importlib.metadata import entry_points

import pytest

from claimkit.claims.model import ClaimKind
from claimkit.claims.readers import Confidence, ReadOptions, choose_reader
from claimkit.errors import FileRefused
from claimkit.plugins import load_plugins

CLAIM = "CLP*PCN-{:06d}*1*100*80*20*12*ICN88124*11*1"


def claims(count, first=0):
    return [CLAIM.format(number) for number in range(first, first + count)]


def numbers(found):
    return [one.patient_control_number for one in found.claims]


# -- how it is found -----------------------------------------------------------------------


def test_the_plugin_is_found_by_its_entry_point():
    (point,) = entry_points(group="claimkit", name="x12")
    (plugin,) = [one for one in load_plugins().loaded if one.name == "x12"]

    assert point.value == "claimkit_x12.plugin"
    assert plugin.distribution.startswith("claimkit-x12")
    assert plugin.adds == {"readers": ("x12",)}


def test_the_reader_says_what_it_reads(x12):
    assert x12.name == "x12"
    assert x12.kinds == ("835", "837P", "837I", "837D")


def test_the_reader_is_chosen_by_content_not_by_name(era):
    readers = load_plugins().readers

    assert choose_reader(era().encode(), "era.csv", readers).name == "x12"
    assert choose_reader(b"ST*835*0001~BPR*I*0~", "remit.txt", readers).name == "x12"
    assert choose_reader(b"claim id,payer,billed\n1,2,3\n", "era.835", readers).name == "csv"


@pytest.mark.parametrize(
    ("head", "confidence"),
    [
        (b"", Confidence.NO),
        (b"ST,Claim ID,Payer\nOH,1,2\n", Confidence.NO),
        (b"ST*835*0001~BPR*I*0~", Confidence.LIKELY),
        (b"\xef\xbb\xbf\r\nGS*HP*A*B*20260217~", Confidence.LIKELY),
    ],
)
def test_a_fragment_is_likely_and_other_text_is_not(x12, head, confidence):
    assert x12.sniff(head, "era.835") is confidence


def test_an_interchange_is_certain(x12, era):
    assert x12.sniff(era().encode(), "") is Confidence.CERTAIN
    assert x12.sniff(b"\xef\xbb\xbf " + era().encode(), "") is Confidence.CERTAIN


# -- batches -------------------------------------------------------------------------------


def test_batches_hold_as_many_claims_as_asked_for(read, era):
    found = read(era(*claims(25), transfer=2000), batch_size=10)

    assert [len(one.claims) for one in found.batches] == [10, 10, 5]
    assert numbers(found) == [f"PCN-{number:06d}" for number in range(25)]
    assert [one.kinds for one in found.batches] == [(ClaimKind.REMITTANCE,)] * 3


@pytest.mark.parametrize("size", [1, 7, 1_000, 5_000])
def test_the_size_of_a_batch_changes_nothing_else(read, era, size):
    content = era(*claims(4_000), transfer=320_000)
    found = read(content, batch_size=size)

    assert found.claims == read(content).claims
    assert found.codes == []
    assert max(len(one.claims) for one in found.batches) <= size
    assert found.batches[-1].bytes_read == len(content)


def test_a_remittance_without_claims_still_tells_its_kind(read, era):
    found = read(era(transfer=0))

    assert [(one.claims, one.kinds) for one in found.batches] == [([], (ClaimKind.REMITTANCE,))]


def test_a_file_that_is_broken_all_over_is_told_in_batches_too(read, era):
    """Problems take memory as claims do, and no claim ever completes a batch."""
    many = era(*["CLP*PCN*1*x*80*" + "M" * 200] * 60_000)
    found = read(many)

    assert len(found.problems) == 60_000
    assert len(found.batches) >= 3


# -- several transaction sets --------------------------------------------------------------


def test_remittances_and_submissions_may_be_mixed(read, era, claims837):
    found = read(era(*claims(1), transfer=80) + claims837("CLM*PCN-9*50").replace("0417", "0731"))

    assert [one.kind for one in found.claims] == [ClaimKind.REMITTANCE, ClaimKind.PROFESSIONAL]
    assert found.kinds == (ClaimKind.REMITTANCE, ClaimKind.PROFESSIONAL)
    assert found.codes == []


def test_several_interchanges_are_one_file(read, era):
    files = [
        era(*claims(2, first), transfer=160, number=number, trace=f"EFT{number}")
        for first, number in ((0, 417), (2, 731), (4, 905))
    ]
    found = read("\n".join(files))

    assert len(found.claims) == 6
    assert found.codes == []
    assert {one.payment_reference for one in found.claims} == {"EFT417", "EFT731", "EFT905"}


def test_the_same_interchange_and_payment_twice_are_told_and_read(read, era):
    found = read(era(*claims(1), transfer=80) * 2)

    assert found.codes == ["duplicate_interchange", "duplicate_transaction", "duplicate_payment"]
    assert len(found.claims) == 2


def test_the_same_payment_in_another_interchange_is_told(read, era):
    first, second = (era(*claims(1), transfer=80, number=number) for number in (417, 731))

    assert read(first + second).codes == ["duplicate_payment"]


def test_two_transaction_sets_of_one_number_are_told(read, era):
    content = era(*claims(1), transfer=80)
    start, end = content.index("ST*"), content.index("GE*")
    twice = content[:end] + content[start:end].replace("EFT", "ACH") + "GE*2*12~\nIEA*1*000000417~"

    assert read(twice).codes == ["duplicate_transaction"]


def test_other_transaction_sets_are_passed_over_and_told(read, era):
    content = era(*claims(1), transfer=80)
    other = "ST*277*0009~BHT*0010*08~CLP*NOT*1*2*3~SE*4*0009~"
    mixed = content.replace("ST*835", f"{other}ST*835").replace("GE*1", "GE*2")
    found = read(mixed)

    assert found.codes == ["transaction_ignored"]
    assert found.notices[0].message == "transaction set 277 is no claims file"
    assert numbers(found) == ["PCN-000000"]


# -- refused as a whole --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "the file is empty. Ask the sender for it again"),
        ("claim id,payer\n1,2\n", "this is not an X12 file. It must begin with ISA, GS or ST"),
        ("ST*277*1~BHT*0010~SE*3*1~", "this X12 file holds no 835 or 837 transaction set. Ask the "
         "sender for a remittance (835) or claim (837) file"),
        ("GS*HP*A*B~ST*8", "this X12 file is cut off before its first transaction set. Ask the "
         "sender for a remittance (835) or claim (837) file"),
    ],
)  # fmt: skip
def test_a_file_without_claims_is_refused_with_one_clear_line(read, content, reason):
    with pytest.raises(FileRefused) as refused:
        read(content)

    assert str(refused.value) == reason


def test_an_interchange_without_claims_is_refused(read, isa):
    content = "~".join(
        [isa(), "GS*FA*A*B*20260217", "ST*999*1", "SE*2*1", "GE*1*1", "IEA*1*417", ""]
    )
    with pytest.raises(FileRefused, match="no 835 or 837"):
        read(content)


def test_damage_in_the_middle_costs_no_claim_before_it(read, era):
    content = era(*claims(40), transfer=3200)
    at = content.index("CLP*PCN-000030")
    damaged = content[:at] + "A" * 400_000
    found = read(damaged, batch_size=10)

    assert numbers(found) == [f"PCN-{number:06d}" for number in range(30)]
    assert [bool(one.stopped) for one in found.batches] == [False, False, True]
    assert found.batches[-1].stopped.startswith("a segment is longer than 65,536 bytes")
    assert found.codes == ["file_stopped"]


# -- counts and numbers of the envelope ----------------------------------------------------


@pytest.mark.parametrize(
    ("right", "wrong", "code", "message"),
    [
        ("SE*10*0001", "SE*11*0001", "segment_count", "SE01 does not match what is in the file"),
        ("SE*10*0001", "SE**0001", "segment_count", "SE01 does not match what is in the file"),
        ("SE*10*0001", "SE*10*0002", "control_number", "ST02 and SE02 differ"),
        ("GE*1*12", "GE*2*12", "group_count", "GE01 does not match what is in the file"),
        ("IEA*1*", "IEA*0*", "interchange_count", "IEA01 does not match what is in the file"),
    ],
)
def test_counts_that_do_not_match_are_told(read, era, right, wrong, code, message):
    content = era(*claims(1), transfer=80)
    assert right in content
    found = read(content.replace(right, wrong))

    assert [(one.code, one.message) for one in found.notices] == [(code, message)]
    assert len(found.claims) == 1


@pytest.mark.parametrize("written", ["SE*010*0001", "SE*0000010*0001"])
def test_counts_may_have_leading_zeros(read, era, written):
    assert read(era(*claims(1), transfer=80).replace("SE*10*0001", written)).codes == []


def test_a_count_of_none_may_be_written_as_zeros(read, era, isa):
    empty = "~".join([isa(905), "IEA*000*000000905", ""])

    assert read(era(*claims(1), transfer=80) + empty).codes == []


def test_a_notice_says_where(read, era):
    content = era(*claims(2), transfer=160)
    found = read(content.replace("SE*11", "SE*99"))

    assert [(one.code, one.position) for one in found.notices] == [("segment_count", 13)]
    assert content.split("~")[12].strip().startswith("SE*11")


def test_what_is_odd_about_the_header_is_told_at_the_header(read, era):
    content = era(*claims(1), transfer=80)
    found = read(content.replace("*RIVERSIDE      *ZZ*", "*RIVERSIDE*ZZ*", 1))

    assert [(one.code, one.position) for one in found.notices] == [("isa_width", 1)]


@pytest.mark.parametrize("first", ["GS*", "ST*"])
def test_a_fragment_is_read_and_told(read, era, first):
    content = era(*claims(2), transfer=160)
    content = content[content.index(first) : content.index("GE*" if first == "ST*" else "IEA*")]
    found = read(content)

    assert found.codes == ["envelope_missing"]
    assert len(found.claims) == 2


@pytest.mark.parametrize("before", ["\t", " \t ", "\0\0", "\ufeff", "\x1a~", "\t~ ~", "\0~\n\t~\n"])
def test_what_stands_between_segments_is_neither_read_nor_counted(read, era, before):
    content = era(*claims(2), transfer=160)
    found = read(content.replace("CLP*", f"{before}CLP*").replace("SE*11", f"{before}SE*11"))

    assert found.claims == read(content).claims
    assert found.codes == []


# -- files that break off ------------------------------------------------------------------


def test_a_whole_file_may_lack_its_last_terminator(read, era):
    found = read(era(*claims(1), transfer=80, end=False))

    assert found.codes == []
    assert len(found.claims) == 1


@pytest.mark.parametrize(
    ("last", "codes"),
    [("SE*", ["truncated"]), ("GE*", ["truncated"]), ("IEA*", ["truncated"])],
)
def test_a_file_without_its_trailers_is_told_and_read(read, era, last, codes):
    content = era(*claims(2), transfer=160)
    found = read(content[: content.index(last)])

    assert found.codes == codes
    assert len(found.claims) == 2


def test_trailers_missing_in_the_middle_are_told_once_each(read, era):
    first = era(*claims(1), transfer=80)
    second = era(*claims(1, 1), transfer=80, number=731, trace="ACH905")
    for last in ("SE*", "GE*", "IEA*"):
        found = read(first[: first.index(last)] + second)

        assert found.codes == ["truncated"]
        assert numbers(found) == ["PCN-000000", "PCN-000001"]


@pytest.mark.parametrize("missing", ["SE*10*0001~\n", "GE*1*12~\n", "SE*10*0001~\nGE*1*12~\n"])
def test_one_missing_trailer_costs_nothing(read, era, missing):
    content = era(*claims(1), transfer=80)
    assert missing in content
    found = read(content.replace(missing, ""))

    assert len(found.claims) == 1
    assert set(found.codes) <= {"truncated"}
    assert ("SE*" in missing) == ("truncated" in found.codes)


CUT = (
    "CLP*PCN-000417*1*320*185*25*12*ICN88123*11*1",
    "SVC*HC:99214*320*185**1",
    "CAS*CO*45*110*1*253*25",
    "REF*6R*L-1",
)


@pytest.mark.parametrize(
    ("cut", "found_claim", "lines", "adjustments"),
    [
        # What is cut off may be the half of an amount, a code or a date: it is not believed.
        ("CLP*PCN-000417*1*320*18", False, 0, 0),
        ("CLP*PCN-000417*1*32", False, 0, 0),
        ("CLP*PCN-000417*1*320*185", False, 0, 0),
        ("CLP*PCN-000417*1*320*185*2", True, 0, 0),
        ("CLP*PCN-000417*1*320*185*25*12*ICN88", True, 0, 0),
        ("SVC*HC:99214*320*18", True, 0, 0),
        ("SVC*HC:99214*320*185**", True, 1, 0),
        ("CAS*CO*45*11", True, 1, 0),
        ("CAS*CO*45*110*1*253*2", True, 1, 1),
        ("REF*6R*L", True, 1, 2),
        ("REF", True, 1, 2),
        ("RE", True, 1, 2),
    ],
)
def test_a_file_that_breaks_off_yields_what_is_whole(
    read, era, cut, found_claim, lines, adjustments
):
    content = era(*claims(1), *CUT)
    found = read(content[: content.index(cut, content.index("CLP*PCN-000417")) + len(cut)])

    assert numbers(found) == ["PCN-000000", "PCN-000417"][: 1 + found_claim]
    assert "truncated" in found.codes
    if not found_claim:
        (problem,) = found.problems
        assert (problem.code, problem.kind) == ("claim_truncated", ClaimKind.REMITTANCE)
        assert problem.field_name in ("CLP03", "CLP04")
        assert problem.remedy == "Ask the sender for the whole file"
        assert problem.position == 12
        return
    assert found.problems == []
    last = found.claims[-1]
    assert (last.charge, last.paid, len(last.lines)) == (32_000, 18_500, lines)
    assert [one.paid for one in last.lines] == [18_500] * lines
    assert sum(len(one.adjustments) for one in last.lines) == adjustments


def test_a_submission_that_breaks_off_inside_a_claim_is_told(read, claims837):
    content = claims837("CLM*PCN-000417*320***11:B:1", "CLM*PCN-000418*10")
    found = read(content[: content.index("CLM*PCN-000418*10") + len("CLM*PCN-000418*1")])

    assert numbers(found) == ["PCN-000417"]
    assert [(one.code, one.field_name) for one in found.problems] == [("claim_truncated", "CLM02")]


# -- memory --------------------------------------------------------------------------------


class Repeated(io.RawIOBase):
    """A stream of a head and then one piece over and over, without ever holding it all."""

    def __init__(self, head, piece, times):
        super().__init__()
        self._pieces = iter([head])
        self._more = (piece for _ in range(times))
        self._left = b""

    def readable(self):
        return True

    def read(self, size=-1):
        while not self._left:
            self._left = next(self._pieces, None) or next(self._more, None)
            if self._left is None:
                self._left = b""
                return b""
        chunk, self._left = self._left[:size], self._left[size:]
        return chunk


def peak(x12, stream):
    tracemalloc.start()
    claims = problems = 0
    for batch in x12.read(stream, ReadOptions(batch_size=500)):
        claims += len(batch.claims)
        problems += len(batch.problems)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most, claims, problems


def head_of(era):
    content = era()
    return content[: content.index("LX*1")].encode()


def test_memory_does_not_grow_with_the_file(x12, era):
    piece = ("~\n".join([*claims(100), ""])).encode()
    small, few, _ = peak(x12, Repeated(head_of(era), piece, 20))
    large, many, _ = peak(x12, Repeated(head_of(era), piece, 160))

    assert (few, many) == (2_000, 16_000)
    # What is remembered to number repeated statements is bounded too: 40,000 of them.
    assert large - small < 3 << 20
    assert large < 8 << 20


@pytest.mark.slow
@pytest.mark.parametrize(
    "segment",
    [
        "SVC*HC:99213*100*80~CAS*CO*45*20~",
        "CAS*CO*45*20*1*97*20*1*16*20*1~",
        "MOA***MA01*MA02*MA03*MA04*MA05~",
    ],
)
def test_a_claim_that_never_ends_is_given_up_before_it_takes_the_memory(x12, era, segment):
    head = head_of(era) + b"LX*1~" + claims(1)[0].encode() + b"~"
    piece = segment.encode() * 2_000
    most, found, problems = peak(x12, Repeated(head, piece, 3 * (1 << 20) // len(piece)))

    assert (found, problems) == (0, 1)
    assert most < 48 << 20


def test_what_became_of_a_claim_that_never_ends_is_told(read, era):
    endless = ["SVC*HC:99213*100*80"] * 70_000
    found = read(era(*claims(1), *endless, *claims(1, 1)))
    (problem,) = found.problems

    assert (problem.code, problem.position) == ("claim_too_long", 11)
    assert problem.message == "a claim has more lines than any claim may have"
    assert problem.remedy.startswith("Ask the sender for the file again")
    assert numbers(found) == ["PCN-000001"]


def test_the_largest_claim_allowed_is_read(read, era):
    """999 lines with six adjustments each."""
    line = ("SVC*HC:99213:25*100*40**1", "DTM*472*20260105", "REF*6R*123456789012345678901234567890",
            "CAS*CO*45*10**97*10**16*10**50*10**29*10**253*10", "AMT*B6*90", "LQ*HE*N130")  # fmt: skip
    found = read(era(*claims(1), *line * 999, *claims(1, 1)))

    assert [len(one.lines) for one in found.claims] == [999, 0]


@pytest.mark.slow
def test_many_small_transaction_sets_do_not_fill_the_memory(x12, era):
    """Numbers that were seen are remembered, but not for ever."""
    head = era()
    head = head[: head.index("ST*")].encode()

    def sets(count):
        yield head
        for number in range(count):
            yield f"ST*835*{number}~BPR*I*0~TRN*1*E{number}*1~SE*4*{number}~".encode()

    class Stream(io.RawIOBase):
        def __init__(self, pieces):
            super().__init__()
            self._pieces = pieces

        def read(self, size=-1):
            return b"".join(one for one, _ in zip(self._pieces, range(1_000), strict=False))

    some, _, _ = peak(x12, Stream(sets(22_000)))
    more, _, _ = peak(x12, Stream(sets(44_000)))

    assert more < some * 1.25


@pytest.mark.parametrize("was_on", [True, False])
def test_the_search_for_cycles_is_left_as_it_was(x12, era, was_on):
    """Between two batches, after the last, and where a file is refused half way."""
    was = gc.isenabled()
    try:
        (gc.enable if was_on else gc.disable)()
        file = io.BytesIO(era(*claims(20)).encode())
        seen = [gc.isenabled() for _ in x12.read(file, ReadOptions(batch_size=5))]
        with contextlib.suppress(FileRefused):
            list(x12.read(io.BytesIO(b"ISA*no file of claims"), ReadOptions()))
        assert {*seen, gc.isenabled()} == {was_on}
    finally:
        (gc.enable if was else gc.disable)()
