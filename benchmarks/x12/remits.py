"""Made-up 835 remittances of any size: seeded, balanced, and shaped as the guide asks for."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PAYERS = (
    ("MERIDIAN HEALTH PLAN OF OHIO", "60054", "12", "1512345678"),
    ("BLUE LAKE MUTUAL", "00731", "HM", "1310000417"),
    ("STATE MEDICAID OF EXAMPLE", "77034", "MC", "1350000905"),
)
_PROCEDURES = ("99213", "99214", "36415", "80053", "93000", "97110", "71046", "J1100", "20610")
_DENIALS = ("197", "16", "50", "29", "97")
_CLAIMS_PER_SET = 400


class Written(NamedTuple):
    """What is in a file: the truth to compare readers with; money in cents."""

    size: int
    claims: int
    lines: int
    paid: int


def write_remits(path: Path, size: int, seed: int = 417) -> Written:
    """Write one interchange of at least ``size`` bytes, with 400 claims in each transaction set."""
    drawn = random.Random(seed)
    written = claims = lines = paid = sets = 0
    with path.open("w", encoding="ascii", newline="") as out:

        def write(segments: Iterator[str]) -> None:
            nonlocal written
            text = "~".join([*segments, ""])
            written += len(text)
            out.write(text)

        write(_head())
        while written < size or not sets:
            sets += 1
            chunk = [_claim(drawn, claims + at) for at in range(_CLAIMS_PER_SET)]
            write(_set(drawn, sets, chunk))
            claims += len(chunk)
            lines += sum(one.lines for one in chunk)
            paid += sum(one.paid for one in chunk)
        write(iter([f"GE*{sets}*1", "IEA*1*000000417"]))
    return Written(written, claims, lines, paid)


class _Claim(NamedTuple):
    segments: list[str]
    lines: int
    paid: int


def _head() -> Iterator[str]:
    blank = " " * 10
    yield (
        f"ISA*00*{blank}*00*{blank}*ZZ*EXAMPLEPAYER   *ZZ*RIVERSIDE      *260217*1453*^*00501"
        "*000000417*0*P*:"
    )
    yield "GS*HP*EXAMPLEPAYER*RIVERSIDE*20260217*1453*1*X*005010X221A1"


def _set(drawn: random.Random, number: int, claims: list[_Claim]) -> Iterator[str]:
    name, identifier, filing, company = drawn.choice(_PAYERS)
    paid = sum(one.paid for one in claims)
    inner = [
        f"BPR*I*{_dollars(paid)}*C*ACH*CCP*01*999999992*DA*123456*{company}**01*999988880*DA*98765"
        "*20260219",
        f"TRN*1*EFT{number:09d}*{company}",
        "DTM*405*20260217",
        f"N1*PR*{name}*XV*{identifier}",
        "N3*1 EXAMPLE WAY",
        "N4*COLUMBUS*OH*432150001",
        "PER*CX*PROVIDER SERVICES*TE*6145550111",
        "PER*BL*HELP DESK*TE*6145550112",
        "N1*PE*RIVERSIDE MEDICAL GROUP*XX*1999999984",
        "REF*TJ*311234567",
        "LX*1",
        *(segment.replace("@", filing) for one in claims for segment in one.segments),
    ]
    yield f"ST*835*{number:04d}"
    yield from inner
    yield f"SE*{len(inner) + 2}*{number:04d}"


def _claim(drawn: random.Random, number: int) -> _Claim:
    day = f"202601{drawn.randint(1, 28):02d}"
    segments, charged, paid, owed, refused = [], 0, 0, 0, 0
    lines = drawn.choice((1, 1, 1, 2, 2, 3, 3, 5))
    for at in range(1, lines + 1):
        charge = drawn.randrange(2_000, 60_000, 25)
        denied = drawn.random() < 0.08
        allowed = 0 if denied else charge * drawn.randrange(40, 90) // 100
        refused += denied
        share = 0 if denied else drawn.choice((0, 0, 2_000, 2_500, allowed // 5))
        share = min(share, allowed)
        segments += [
            f"SVC*HC:{drawn.choice(_PROCEDURES)}*{_dollars(charge)}*{_dollars(allowed - share)}**1",
            f"DTM*472*{day}",
            f"CAS*CO*{drawn.choice(_DENIALS) if denied else '45'}*{_dollars(charge - allowed)}",
        ]
        if share:
            segments.append(f"CAS*PR*2*{_dollars(share)}")
        segments.append(f"REF*6R*L{number}-{at}")
        if denied:
            segments.append("LQ*HE*N130")
        else:
            segments.append(f"AMT*B6*{_dollars(allowed)}")
        charged, paid, owed = charged + charge, paid + allowed - share, owed + share
    head = [
        f"CLP*PCN{number:09d}*{4 if refused == lines else 1}*{_dollars(charged)}*{_dollars(paid)}*{_dollars(owed)}*@"
        f"*ICN{drawn.randrange(10**11):011d}*11*1",
        f"NM1*QC*1*SAMPLE*PAT****MI*W{drawn.randrange(10**8):09d}",
        "NM1*82*1*HEALER*ANN****XX*1888888885",
        f"REF*EA*MR{number}",
        f"DTM*232*{day}",
        f"DTM*233*{day}",
        "DTM*050*20260202",
    ]
    return _Claim(head + segments, lines, paid)


def _dollars(cents: int) -> str:
    """Write an amount as X12 does: without decimals that are zero."""
    whole, rest = divmod(cents, 100)
    return f"{whole}.{rest:02d}".rstrip("0") if rest else str(whole)
