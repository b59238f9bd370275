"""Codes of a billing CSV: procedures, modifiers, adjustment reasons, remarks, status words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from claimkit.claims.values import MAX_IDENTIFIER, BadCell, without_float

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "STATUS_WORDS",
    "Procedure",
    "Reason",
    "parse_claim_type",
    "parse_leading_reason",
    "parse_modifiers",
    "parse_procedure",
    "parse_reasons",
    "parse_remarks",
    "parse_status",
]


class Procedure(NamedTuple):
    """A procedure cell taken apart; ``repaired`` when a spreadsheet had made it a number."""

    #: X12 qualifier: HC, AD, NU, N4, ZZ; empty where there is no code.
    system: str
    code: str
    modifiers: tuple[str, ...]
    repaired: bool


_HCPCS = re.compile(r"\d{4}[A-Z0-9]\Z|[A-Z]\d{4}\Z", re.ASCII)
_MODIFIER = re.compile(r"[A-Z0-9]{2}\Z", re.ASCII)
_BETWEEN = re.compile(r"[\s,:;*^/-]+", re.ASCII)
_QUALIFIERS = frozenset({"HC", "AD", "NU", "N4", "ZZ", "HP"})


def parse_procedure(text: str, *, strict: bool = True) -> Procedure:
    """Return code, code system and modifiers of ``99213``, ``99213-25`` or ``HC:99213:25``.

    ``99213.0`` is repaired; a code that lost its leading zeros is not, because ``213`` may have
    been anything.

    Args:
        text: The cell.
        strict: Whether the column promises CPT/HCPCS; else revenue codes, NDCs and a
            system's own charge codes are taken too.

    Raises:
        BadCell: not such a code.

    >>> parse_procedure("99213-25")
    Procedure(system='HC', code='99213', modifiers=('25',), repaired=False)
    """
    if not text:
        return Procedure("", "", (), repaired=False)
    upper = text.upper()
    bare = without_float(upper)
    repaired = bare != upper
    code, *rest = [part for part in _BETWEEN.split(bare) if part] or [""]
    if code in _QUALIFIERS and rest:
        code, *rest = rest
    system = _system(code, strict=strict)
    if not system and not repaired and not strict and len(upper) <= MAX_IDENTIFIER:
        return Procedure("ZZ", upper, (), repaired=False)
    if not system:
        raise BadCell(
            "procedure_invalid",
            "this is not a procedure code of five characters",
            "Export the column as text, so that leading zeros stay",
        )
    return Procedure(system, code, _modifiers(rest), repaired=repaired)


def _system(code: str, *, strict: bool) -> str:
    if _HCPCS.match(code):
        return "AD" if code[0] == "D" else "HC"
    if not strict and code.isascii() and code.isdigit():
        return {4: "NU", 11: "N4"}.get(len(code), "")
    return ""


def parse_modifiers(text: str) -> tuple[str, ...]:
    """Return the two-character modifiers of ``25``, ``25,59`` or ``25 59``.

    Raises:
        BadCell: something else than modifiers.
    """
    return _modifiers(_BETWEEN.split(without_float(text.upper())) if text else ())


def _modifiers(parts: Iterable[str]) -> tuple[str, ...]:
    found = tuple(part for part in parts if part)
    if not all(_MODIFIER.match(part) for part in found):
        raise BadCell(
            "modifier_invalid", "this is not a modifier of two characters", "Correct the modifier"
        )
    return found


class Reason(NamedTuple):
    """A claim adjustment reason as a CSV names it."""

    #: CO, PR, OA, PI or CR; empty where only the code is given.
    group: str
    code: str


_REASON = re.compile(r"(?:(CO|PR|OA|PI|CR)[-/: ]*)?([ABDPWY]?\d{1,3})(?!\w)", re.ASCII)
_REMARK = re.compile(r"(?:M|MA|N)\d{1,3}\Z", re.ASCII)
_REASON_GAP = re.compile(r"[\s,;|/&+]*\Z", re.ASCII)


def parse_reasons(text: str) -> tuple[Reason, ...]:
    """Return the adjustment reasons of ``CO-197``, ``CO197``, ``197`` or ``CO-45; PR-1``.

    Raises:
        BadCell: text that is not made of reason codes.

    >>> parse_reasons("co-16, PR1")
    (Reason(group='CO', code='16'), Reason(group='PR', code='1'))
    """
    if not text:
        return ()
    upper, at, found = without_float(text.upper()), 0, []
    for match in _REASON.finditer(upper):
        if not _REASON_GAP.match(upper[at : match.start()]):
            break
        code = match[2].lstrip("0") or "0"
        found.append(Reason(match[1] or "", code))
        at = match.end()
    rest = upper[at:]
    if not found or not _REASON_GAP.match(rest):
        # A code with its text ("197 - Precert absent") is a code; a text alone is not.
        if found and re.match(r"\s*[-:.]\s|\s+[A-Z(]", rest):
            return tuple(found)
        raise BadCell(
            "reason_invalid",
            "this is not an adjustment reason code such as CO-197",
            "Map the column that holds the code; free text is not read",
        )
    return tuple(found)


_LEADING = re.compile(
    r"\s*((?:CO|PR|OA|PI|CR)[- ]?\d{1,3}|[AB]?\d{1,3}(?=\s*[-:]\s))(?!\w)", re.ASCII
)


def parse_leading_reason(text: str) -> tuple[Reason, ...]:
    """Return the reason that a free text begins with, if any; sentences are not searched.

    >>> parse_leading_reason("CO-197: precert absent"), parse_leading_reason("no auth, see 197")
    ((Reason(group='CO', code='197'),), ())
    """
    match = _LEADING.match(text.upper())
    return parse_reasons(match[1]) if match else ()


def parse_remarks(text: str) -> tuple[str, ...]:
    """Return the remark codes (RARC) of ``N130``, ``MA04 N30``; free text gives none.

    Remark columns often hold sentences, which are nobody's codes: they are passed over whole.
    """
    parts = [part for part in re.split(r"[\s,;|/]+", text.upper()) if part]
    return tuple(parts) if parts and all(_REMARK.match(part) for part in parts) else ()


#: Folded status texts and CLP02 codes → the words that claimkit uses.
STATUS_WORDS = {
    **dict.fromkeys(("paid", "paid in full", "payment posted", "paid full", "approved"), "paid"),
    **dict.fromkeys(
        ("closed", "processed", "finalized", "finalised", "complete", "completed", "adjudicated"),
        "processed",
    ),
    **dict.fromkeys(
        ("denied", "denial", "full denial", "fully denied", "denied in full", "4"), "denied"
    ),
    **dict.fromkeys(
        ("partial", "partially paid", "partial paid", "partial payment", "paid partial",
         "partially denied", "partial denial"), "partial",
    ),
    **dict.fromkeys(
        ("rejected", "reject", "clearinghouse rejected", "rejected by clearinghouse",
         "payer rejected"), "rejected",
    ),
    **dict.fromkeys(
        ("pending", "pend", "pended", "in process", "in progress", "processing", "in review",
         "billed", "open", "submitted", "sent", "accepted", "outstanding", "awaiting payment",
         "no response", "filed", "acknowledged", "unpaid"), "pending",
    ),
    **dict.fromkeys(
        ("void", "voided", "reversed", "reversal", "takeback", "take back", "recouped",
         "refunded", "22"), "reversed",
    ),
    **dict.fromkeys(("1", "2", "3", "19", "20", "21"), "processed"),
    **dict.fromkeys(("23", "25"), "other"),
}  # fmt: skip


def parse_status(text: str) -> str:
    """Return claimkit's word for a status text or CLP02 code; ``"?"`` where nobody knows it.

    >>> parse_status("Partially-Paid"), parse_status("1 - Processed as primary")
    ('partial', 'processed')
    """
    if not text:
        return ""
    folded = " ".join(re.sub(r"[^a-z0-9]+", " ", without_float(text.lower())).split())
    word = STATUS_WORDS.get(folded) or STATUS_WORDS.get(folded.removeprefix("claim ").strip())
    if word is None and folded[:1].isdigit():
        word = STATUS_WORDS.get(folded.split(" ", 1)[0])
    return word or "?"


def parse_claim_type(text: str) -> str:
    """Return P, I or D of ``CMS-1500``, ``UB04``, ``Dental``; ``""`` of anything else.

    >>> parse_claim_type("HCFA 1500"), parse_claim_type("UB-04"), parse_claim_type("other")
    ('P', 'I', '')
    """
    folded = text.upper()
    for kind, marks in _FORMS:
        if folded == kind or any(mark in folded for mark in marks):
            return kind
    return ""


_FORMS = (
    ("I", ("UB", "INST", "837I")),
    ("D", ("ADA", "DENT", "837D")),
    ("P", ("1500", "CMS", "HCFA", "PROF", "837P")),
)
