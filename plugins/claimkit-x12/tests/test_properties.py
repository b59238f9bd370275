"""What holds of any file: written is read, broken is refused, cut off is never wrong."""

from __future__ import annotations

import datetime as dt
import io
from dataclasses import dataclass, field

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from claimkit.claims.model import Adjustment, ClaimKind
from claimkit.errors import FileRefused

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: Nothing that could be a delimiter below.
IDENTIFIERS = st.text(LETTERS + "0123456789-", min_size=1, max_size=20)
NAMES = st.lists(st.text(LETTERS + "ÄÑÉ’", min_size=1, max_size=9), min_size=1, max_size=3).map(
    " ".join
)
CENTS = st.integers(min_value=-(10**9), max_value=10**9)
DAYS = st.dates(dt.date(1971, 1, 1), dt.date(2098, 12, 31))


@dataclass(frozen=True)
class Service:
    code: str
    modifiers: tuple[str, ...]
    charge: int
    paid: int
    day: dt.date
    adjustments: tuple[Adjustment, ...]


@dataclass(frozen=True)
class Statement:
    number: str
    status: str
    charge: int
    paid: int
    patient: int
    control: str
    member: str
    adjustments: tuple[Adjustment, ...] = ()
    services: tuple[Service, ...] = field(default=())


adjustments = st.lists(
    st.builds(
        Adjustment,
        group=st.sampled_from(["CO", "PR", "OA", "PI", "CR"]),
        reason=st.sampled_from(["1", "2", "3", "16", "18", "23", "29", "45", "97", "A1"]),
        amount=CENTS,
        quantity=st.none() | st.integers(1, 99),
    ),
    max_size=4,
).map(tuple)
services = st.builds(
    Service,
    code=st.text(LETTERS + "0123456789", min_size=5, max_size=5),
    modifiers=st.lists(st.text(LETTERS, min_size=2, max_size=2), max_size=4).map(tuple),
    charge=CENTS,
    paid=CENTS,
    day=DAYS,
    adjustments=adjustments,
)
statements = st.lists(
    st.builds(
        Statement,
        number=IDENTIFIERS,
        status=st.sampled_from(["1", "2", "3", "4", "19", "20", "21", "22", "23", "25"]),
        charge=CENTS,
        paid=CENTS,
        patient=CENTS,
        control=IDENTIFIERS,
        member=IDENTIFIERS,
        adjustments=adjustments,
        services=st.lists(services, max_size=3).map(tuple),
    ),
    max_size=5,
)


@dataclass(frozen=True)
class Manner:
    """How somebody writes X12."""

    element: str
    component: str
    ends: str
    #: Lines of so many characters; 0 for no wrapping.
    width: int
    newline: str
    before: str
    encoding: str
    #: Bytes that the stream gives at once.
    by: int


def _is_possible(manner):
    delimiters = {manner.element, manner.component, manner.ends[0]}
    return len(delimiters) == 3 and not (manner.width and manner.ends in ("\n", "\r\n", "\r"))


manners = st.builds(
    Manner,
    element=st.sampled_from("*|^+!\x1d\x1c"),
    component=st.sampled_from(":><&\\\x1f^"),
    ends=st.sampled_from(["~", "~\n", "~\r\n", "\n", "\r\n", "\r", "'", "\x1c", "|\n", "!  \n"]),
    width=st.sampled_from([0, 0, 40, 79, 80, 105, 106, 107]),
    newline=st.sampled_from(["\n", "\r\n"]),
    before=st.sampled_from(["", "\ufeff", "\r\n", " "]),
    encoding=st.sampled_from(["utf-8", "cp1252"]),
    by=st.sampled_from([1, 7, 100, 106, 511, 4_096, 1 << 20]),
).filter(_is_possible)


class Trickle(io.RawIOBase):
    def __init__(self, content, by):
        super().__init__()
        self._stream, self._by = io.BytesIO(content), by

    def read(self, size=-1):
        return self._stream.read(min(size, self._by))


def dollars(cents):
    whole, rest = divmod(abs(cents), 100)
    text = f"{whole}.{rest:02d}".rstrip("0").rstrip(".")
    return f"-{text}" if cents < 0 else text


def cas(one):
    quantity = "" if one.quantity is None else f"*{one.quantity}"
    return f"CAS*{one.group}*{one.reason}*{dollars(one.amount)}{quantity}"


def remittance(told):
    yield "BPR*I*0*C*NON************20260219"
    yield "TRN*1*EFT000731*1512345678"
    yield "N1*PR*MERIDIAN*XV*60054"
    yield "LX*1"
    for one in told:
        amounts = "*".join(map(dollars, (one.charge, one.paid, one.patient)))
        yield f"CLP*{one.number}*{one.status}*{amounts}*12*{one.control}"
        yield from map(cas, one.adjustments)
        yield f"NM1*QC*1*SAMPLE*PAT****MI*{one.member}"
        for service in one.services:
            procedure = ":".join(["HC", service.code, *service.modifiers])
            yield f"SVC*{procedure}*{dollars(service.charge)}*{dollars(service.paid)}**1"
            yield f"DTM*472*{service.day:%Y%m%d}"
            yield from map(cas, service.adjustments)


def submission(told):
    yield "HL*1**20*1"
    for at, one in enumerate(told, start=2):
        yield f"HL*{at}*1*22*0"
        yield f"NM1*IL*1*SAMPLE*PAT****MI*{one.member}"
        yield f"CLM*{one.number}*{dollars(one.charge)}***11:B:1"
        for number, service in enumerate(one.services, start=1):
            yield f"LX*{number}"
            yield f"SV1*{':'.join(['HC', service.code, *service.modifiers])}*{dollars(service.charge)}*UN*1"
            yield f"DTP*472*D8*{service.day:%Y%m%d}"


def write(inner, kind, manner, isa, payer=""):
    """Return the bytes of an interchange in a manner."""
    inner = [f"ST*{kind}*0001", *inner]
    version = "005010X221A1" if kind == "835" else "005010X222A1"
    segments = [
        f"GS*HP*A*B*20260217*1453*1*X*{version}",
        *inner,
        f"SE*{len(inner) + 1}*0001",
        "GE*1*1",
        "IEA*1*000000417",
    ]
    table = str.maketrans({"*": manner.element, ":": manner.component})
    written = [isa(element=manner.element, component=manner.component)]
    written += [one.translate(table).replace("MERIDIAN", payer or "MERIDIAN") for one in segments]
    text = "".join(one + manner.ends for one in written)
    if manner.width:
        lines = [text[at : at + manner.width] for at in range(0, len(text), manner.width)]
        text = manner.newline.join(lines)
    before = manner.before.encode("utf-8")
    return before + text.encode(manner.encoding)


@given(statements, manners, NAMES)
def test_a_remittance_is_read_as_it_was_written(read, isa, told, manner, payer):
    content = write(remittance(told), "835", manner, isa, payer)
    found = read(Trickle(content, manner.by))

    assert [
        Statement(
            number=one.patient_control_number,
            status=one.status,
            charge=one.charge,
            paid=one.paid,
            patient=one.patient_responsibility,
            control=one.payer_claim_control_number,
            member=one.member_id,
            adjustments=tuple(one.adjustments),
            services=tuple(
                Service(
                    code=line.procedure_code,
                    modifiers=line.modifiers,
                    charge=line.charge,
                    paid=line.paid,
                    day=line.service_from,
                    adjustments=tuple(line.adjustments),
                )
                for line in one.lines
            ),
        )
        for one in found.claims
        if "cas_duplicated" not in one.flags
    ] == [
        one
        for one, claim in zip(told, found.claims, strict=True)
        if "cas_duplicated" not in claim.flags
    ]
    assert {one.payer_name for one in found.claims} <= {payer}
    assert found.problems == []
    assert set(found.codes) <= {"remittance_unbalanced", "encoding_cp1252"}
    assert found.batches[-1].bytes_read == len(content)


@given(statements, manners)
def test_a_submission_is_read_as_it_was_written(read, isa, told, manner):
    found = read(Trickle(write(submission(told), "837", manner, isa), manner.by))

    assert found.codes == []
    assert found.problems == []
    for one, claim in zip(told, found.claims, strict=True):
        assert claim.kind is ClaimKind.PROFESSIONAL
        assert (claim.patient_control_number, claim.charge) == (one.number, one.charge)
        assert claim.member_id == one.member
        assert [
            (line.procedure_code, line.modifiers, line.charge, line.service_from)
            for line in claim.lines
        ] == [(each.code, each.modifiers, each.charge, each.day) for each in one.services]


@given(st.lists(st.tuples(statements, manners), min_size=2, max_size=3), st.data())
def test_interchanges_of_any_manner_follow_one_another(read, isa, files, data):
    contents = [write(remittance(told), "835", manner, isa) for told, manner in files]
    by = data.draw(st.sampled_from([64, 512, 1 << 20]))
    found = read(Trickle(b"".join(contents), by))

    assert [one.patient_control_number for one in found.claims] == [
        one.number for told, _ in files for one in told
    ]
    assert [one.charge for one in found.claims] == [one.charge for told, _ in files for one in told]
    assert "truncated" not in found.codes


@given(statements, manners, st.floats(0, 1))
def test_a_file_cut_anywhere_is_refused_or_right(read, isa, told, manner, share):
    content = write(remittance(told), "835", manner, isa)
    whole = read(content)
    at = int(len(content) * share)
    # A last IEA may lack its terminator, so half of one passes for a whole one.
    assume(at < len(content) - 40)
    try:
        found = read(content[:at])
    except FileRefused:
        return

    assert "truncated" in found.codes
    assert len(found.claims) <= len(whole.claims)
    assert found.claims[:-1] == whole.claims[: max(0, len(found.claims) - 1)]
    if found.claims:
        last, full = found.claims[-1], whole.claims[len(found.claims) - 1]
        assert (last.patient_control_number, last.charge, last.paid, last.position) == (
            *(full.patient_control_number, full.charge, full.paid, full.position),
        )
        for line, right in zip(last.lines, full.lines, strict=False):
            assert (line.charge, line.paid) == (right.charge, right.paid)
            # A cut may take the last one's quantity, never a part of its amount.
            told, of = ([one[:3] for one in each.adjustments] for each in (line, right))
            assert told == of[: len(told)]


def _read_or_refuse(read, content):
    try:
        found = read(content)
    except FileRefused as refused:
        reason = str(refused)
    else:
        reason = ""
        _makes_sense(found)

    assert "\n" not in reason


def _makes_sense(found):
    assert found.batches
    for one in found.problems:
        assert one.position > 0
        assert one.code
        assert one.message
        assert one.remedy
    positions = [one.position for one in found.claims]
    assert positions == sorted(positions)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(read, content):
    _read_or_refuse(read, content)


@pytest.mark.parametrize("head", [b"ST*835*1", b"ISA*", b"GS*HP*1~ST*835*1~"])
@given(tail=st.binary(max_size=400))
def test_any_bytes_behind_a_beginning_are_read_or_refused(read, head, tail):
    _read_or_refuse(read, head + tail)


@given(
    statements,
    manners,
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5), st.binary(max_size=5)), max_size=8),
)
def test_a_damaged_file_is_read_or_refused(read, isa, told, manner, damages):
    content = bytearray(write(remittance(told), "835", manner, isa))
    for share, removed, added in damages:
        at = int(len(content) * share)
        content[at : at + removed] = added

    _read_or_refuse(read, bytes(content))


_TAGS = ("ST", "SE", "GS", "GE", "ISA", "IEA", "BPR", "TRN", "N1", "LX", "CLP", "CAS", "NM1", "SVC",
         "REF", "DTM", "AMT", "LQ", "MOA", "MIA", "PLB", "BHT", "HL", "SBR", "CLM", "DTP", "HI",
         "SV1", "SV2", "SV3", "TA1", "ZZZ", "")  # fmt: skip
_ELEMENTS = (
    st.sampled_from(["", "835", "837", "1", "22", "20", "QC", "IL", "PR", "PE", "85", "XX", "472",
                     "232", "CO", "45", "HC:99213", "NU", ":", "0001", "20260217", "B6", "HE"])
    | st.text("0123456789.-+eN", max_size=6)
    | st.text(max_size=4)
)  # fmt: skip


@given(
    st.sampled_from(["835", "837", "999"]),
    st.lists(st.tuples(st.sampled_from(_TAGS), st.lists(_ELEMENTS, max_size=12)), max_size=30),
)
def test_segments_in_any_order_are_read_or_refused(read, isa, kind, segments):
    written = ["*".join([tag, *elements]) for tag, elements in segments]
    content = "~".join([isa(), f"ST*{kind}*0001", *written, ""])

    _read_or_refuse(read, content.encode("utf-8", "surrogatepass"))
