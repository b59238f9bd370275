"""Synthetic claims as files: a billing system's CSV export, X12 835 remittances and 837 claims."""

from __future__ import annotations

import csv
import datetime as dt
from typing import TYPE_CHECKING

import numpy as np

from claimkit.types import date_of, day_of, from_cents

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from claimkit.testing.synthetic.simulation import SyntheticClaims
    from claimkit.types import Cents, Day

__all__ = ["write_835", "write_837p", "write_csv"]

#: CARC of a denial → remark codes that payers send beside it, one of which each claim gets.
_REMARKS = {
    "16": ("M127", "N290", "MA130"),
    "50": ("N115",),
    "96": ("N130",),
    "97": ("M15", "N19"),
    "197": ("M62",),
}
_HEADER = (
    "Claim #",
    "Insurance",
    "Payer ID",
    "CPT",
    "DOS",
    "Bill Date",
    "Check Date",
    "Charge Amount",
    "Allowed",
    "Ins Paid",
    "Pt Resp",
    "Claim Status",
    "Denial Code",
    "Member ID",
)


def write_csv(claims: SyntheticClaims, path: Path) -> int:
    """Write one export as a billing system would, and return how many rows it has.

    One row per claim in its latest state; US dates, dollar signs, pending claims included. A claim
    that was denied and paid after its resubmission has a row for each decision.
    """
    decided = claims.is_decided
    with path.open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(_HEADER)
        order = np.lexsort((claims.submitted, claims.number))
        for row in order.tolist():
            rows.writerow(_csv_row(claims, row, decided=bool(decided[row])))
    return len(claims)


def _csv_row(claims: SyntheticClaims, row: int, *, decided: bool) -> list[str]:
    payer = claims.profile.payers[claims.payer[row]]
    denied = bool(claims.denied[row])
    paid = int(claims.paid[row])
    return [
        claims.control_number(row),
        payer.name,
        payer.payer_id,
        claims.profile.procedures[claims.procedure[row]].code,
        _us(claims.service[row]),
        _us(claims.submitted[row]),
        _us(claims.decided[row]) if decided else "",
        _dollars(int(claims.charge[row])),
        _dollars(int(claims.allowed[row])) if decided and not denied else "",
        _dollars(paid) if decided else "",
        _dollars(int(claims.patient[row])) if decided and not denied else "",
        ("Denied" if denied else "Paid") if decided else "Pending",
        f"CO-{claims.reasons[claims.reason[row]]}" if decided and denied else "",
        f"M{claims.member[row]:06d}",
    ]


def _us(day: int) -> str:
    return f"{date_of(int(day)):%m/%d/%Y}"


def _dollars(cents: Cents) -> str:
    return f"${from_cents(cents):,}"


def write_835(claims: SyntheticClaims, folder: Path) -> list[Path]:
    """Write one 835 file per month, with one transaction set per payer and remittance day.

    Every claim, line and remittance balances. Returns the files, oldest first.
    """
    months: dict[str, list[str]] = {}
    for number, (payer, day, rows) in enumerate(claims.remittances(), start=1):
        month = f"{date_of(day):%Y-%m}"
        sets = months.setdefault(month, [])
        sets.append(
            _transaction(_remittance(claims, payer, day, rows.tolist(), number), "835", number)
        )
    paths = []
    for at, (month, sets) in enumerate(sorted(months.items()), start=1):
        path = folder / f"era_{month}.835"
        first = dt.date.fromisoformat(f"{month}-01")
        path.write_text(
            _interchange(
                sets, group="HP", version="005010X221A1", number=at, on=first, profile=claims
            ),
            encoding="ascii",
        )
        paths.append(path)
    return paths


def _remittance(
    claims: SyntheticClaims, payer_at: int, day: Day, rows: list[int], number: int
) -> Iterator[str]:
    payer, profile = claims.profile.payers[payer_at], claims.profile
    total = sum(int(claims.paid[row]) for row in rows)
    on = _x12(day)
    method = "ACH" if total else "NON"
    yield f"BPR*I*{_plain(total)}*C*{method}*CCP*01*999999992*DA*123456*1{payer.payer_id}0000**01*999988880*DA*98765*{on}"
    yield f"TRN*1*EFT{number:09d}*1{payer.payer_id}0000"
    yield f"DTM*405*{on}"
    yield f"N1*PR*{payer.name.upper()}*XV*{payer.payer_id}"
    yield f"N1*PE*{profile.name.upper()}*XX*{profile.npi}"
    yield f"REF*TJ*{profile.tin}"
    yield "LX*1"
    for row in rows:
        yield from _decision(claims, row)


def _decision(claims: SyntheticClaims, row: int) -> Iterator[str]:
    payer = claims.profile.payers[claims.payer[row]]
    code = claims.profile.procedures[claims.procedure[row]].code
    charge, paid = int(claims.charge[row]), int(claims.paid[row])
    denied = bool(claims.denied[row])
    owed = 0 if denied else int(claims.patient[row])
    frequency = "1" if claims.replaces[row] < 0 else "7"
    status = "4" if denied else "1"
    yield (
        f"CLP*{claims.control_number(row)}*{status}*{_plain(charge)}*{_plain(paid)}*{_plain(owed)}"
        f"*{payer.filing}*{_icn(claims, row)}*11*{frequency}"
    )
    yield f"NM1*QC*1*SAMPLE*PAT****MI*M{claims.member[row]:06d}"
    yield f"DTM*232*{_x12(claims.service[row])}"
    yield f"DTM*050*{_x12(claims.submitted[row] + 1)}"
    yield f"SVC*HC:{code}*{_plain(charge)}*{_plain(paid)}**1"
    yield f"DTM*472*{_x12(claims.service[row])}"
    if denied:
        reason = claims.reasons[claims.reason[row]]
        yield f"CAS*CO*{reason}*{_plain(charge)}"
        if reason in _REMARKS:
            known = _REMARKS[reason]
            # By the member: drawing it would change everything that is drawn afterwards.
            yield f"LQ*HE*{known[int(claims.member[row]) % len(known)]}"
        return
    reduction = charge - int(claims.allowed[row])
    if reduction:
        yield f"CAS*CO*45*{_plain(reduction)}"
    if owed:
        yield f"CAS*PR*2*{_plain(owed)}"
    yield f"AMT*B6*{_plain(int(claims.allowed[row]))}"


def write_837p(claims: SyntheticClaims, folder: Path) -> list[Path]:
    """Write one 837P file per month of submission, oldest first, replacements with REF*F8."""
    months: dict[str, list[int]] = {}
    order = np.lexsort((claims.number, claims.submitted))
    for row in order.tolist():
        months.setdefault(f"{date_of(int(claims.submitted[row])):%Y-%m}", []).append(row)
    paths = []
    for at, (month, rows) in enumerate(sorted(months.items()), start=1):
        by_day: dict[int, list[int]] = {}
        for row in rows:
            by_day.setdefault(int(claims.submitted[row]), []).append(row)
        sets = [
            _transaction(_submission(claims, day, part), "837", number)
            for number, (day, part) in enumerate(sorted(by_day.items()), start=1)
        ]
        path = folder / f"claims_{month}.837p"
        first = dt.date.fromisoformat(f"{month}-01")
        path.write_text(
            _interchange(
                sets, group="HC", version="005010X222A1", number=at, on=first, profile=claims
            ),
            encoding="ascii",
        )
        paths.append(path)
    return paths


def _submission(claims: SyntheticClaims, day: Day, rows: list[int]) -> Iterator[str]:
    profile = claims.profile
    yield f"BHT*0019*00*B{day}*{_x12(day)}*0900*CH"
    yield f"NM1*41*2*{profile.name.upper()}*****46*SUBMITTER"
    yield "PER*IC*EDI*TE*6145550111"
    yield "NM1*40*2*EXAMPLE CLEARINGHOUSE*****46*CLEARING"
    yield "HL*1**20*1"
    yield f"NM1*85*2*{profile.name.upper()}*****XX*{profile.npi}"
    yield f"REF*EI*{profile.tin}"
    for at, row in enumerate(rows, start=2):
        yield from _claim(claims, row, at)


def _claim(claims: SyntheticClaims, row: int, level: int) -> Iterator[str]:
    payer = claims.profile.payers[claims.payer[row]]
    code = claims.profile.procedures[claims.procedure[row]].code
    charge = _plain(int(claims.charge[row]))
    replaced = int(claims.replaces[row])
    yield f"HL*{level}*1*22*0"
    yield f"SBR*P*18*GROUP1******{payer.filing}"
    yield f"NM1*IL*1*SAMPLE*PAT****MI*M{claims.member[row]:06d}"
    yield f"NM1*PR*2*{payer.name.upper()}*****PI*{payer.payer_id}"
    yield f"CLM*{claims.control_number(row)}*{charge}***11:B:{'1' if replaced < 0 else '7'}*Y*A*Y*Y"
    if replaced >= 0:
        yield f"REF*F8*{_icn(claims, replaced)}"
    yield "HI*ABK:M545"
    yield "LX*1"
    yield f"SV1*HC:{code}*{charge}*UN*1***1"
    yield f"DTP*472*D8*{_x12(claims.service[row])}"


def _icn(claims: SyntheticClaims, row: int) -> str:
    return f"{claims.profile.payers[claims.payer[row]].payer_id}{row:09d}"


def _x12(day: int) -> str:
    return f"{date_of(int(day)):%Y%m%d}"


def _plain(cents: Cents) -> str:
    """Return an R element: no trailing zeros, as implementation guides ask."""
    text = str(from_cents(cents))
    return text.rstrip("0").rstrip(".") if "." in text else text


def _transaction(segments: Iterable[str], code: str, number: int) -> str:
    version = "*005010X222A1" if code == "837" else ""
    body = [f"ST*{code}*{number:04d}{version}", *segments]
    return "~\n".join([*body, f"SE*{len(body) + 1}*{number:04d}", ""])


def _interchange(
    sets: list[str], *, group: str, version: str, number: int, on: dt.date, profile: SyntheticClaims
) -> str:
    sender, receiver = f"{profile.profile.prefix}CLEAR".ljust(15), profile.profile.tin.ljust(15)
    day = _x12(day_of(on))
    return (
        f"ISA*00*          *00*          *ZZ*{sender}*ZZ*{receiver}*{day[2:]}*0830*^*00501"
        f"*{number:09d}*0*P*:~\n"
        f"GS*{group}*{sender.strip()}*{receiver.strip()}*{day}*0830*{number}*X*{version}~\n"
        f"{''.join(sets)}GE*{len(sets)}*{number}~\nIEA*1*{number:09d}~\n"
    )
