"""What claim adjustment reasons mean: categories of CARCs, and whether a claim was denied.

The group of an adjustment (CO, PR, OA) says who bears it, not whether it is a denial: PR-204 is
a denial billed to the patient, CO-45 never is one. So the code decides, together with the money:
a line is denied when nothing was paid and denials explain what contract, patient and other payers
do not. The payer's own status word (CLP02) is believed only where the money does not speak.

The table holds codes and claimkit's own categories; official descriptions are X12's copyright.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from claimkit.claims.model import ClaimKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from claimkit.claims.model import Adjustment, Claim, ServiceLine

__all__ = [
    "UNMAPPED",
    "UNSPECIFIED",
    "CarcTable",
    "Category",
    "Verdict",
    "default_carc_table",
    "judge",
]

#: Category of a code that the table does not know; never guessed.
UNMAPPED = "unmapped"
#: Category of a denial for which the payer gave no usable reason.
UNSPECIFIED = "unspecified_denial"


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """What one CARC stands for."""

    name: str
    #: Whether it is a denial where nothing was paid.
    denial_when_unpaid: bool

    @property
    def final(self) -> bool:
        """Whether the payer is done: pended claims wait for something and stay out of rates."""
        return self.name != "pended"


_UNKNOWN = Category(name=UNMAPPED, denial_when_unpaid=False)


class CarcTable:
    """Category by CARC.

    Args:
        categories: Code → category; see :meth:`with_changes` for moving a code.
    """

    def __init__(self, categories: Mapping[str, Category]) -> None:
        self._categories = MappingProxyType(dict(categories))

    def __len__(self) -> int:
        return len(self._categories)

    def __contains__(self, carc: str) -> bool:
        return carc in self._categories

    def category(self, carc: str) -> Category:
        """Return the category of a code, :data:`UNMAPPED` for one that nobody knows.

        >>> default_carc_table().category("197").name
        'authorization_referral'
        """
        return self._categories.get(carc, _UNKNOWN)

    def with_changes(self, changes: Mapping[str, Category]) -> CarcTable:
        """Return a table in which a practice has moved or added codes."""
        return CarcTable({**self._categories, **changes})


@cache
def default_carc_table() -> CarcTable:
    """Return the table that claimkit ships: all published codes, current and retired."""
    source = resources.files("claimkit.claims") / "data" / "carc_categories.tsv"
    with source.open(encoding="ascii") as lines:
        return CarcTable(
            {
                row["carc"]: Category(
                    name=row["category"], denial_when_unpaid=row["denial_when_unpaid"] == "yes"
                )
                for row in csv.DictReader(lines, delimiter="\t")
            }
        )


class Verdict(NamedTuple):
    """What became of a claim, and why."""

    outcome: Outcome
    #: ``group-CARC`` of the adjustment that explains most of the denial; ``""`` if not denied.
    reason: str = ""
    category: str = ""
    remark: str = ""
    #: What was odd: ``status_overruled`` (the amounts count, not the status word),
    #: ``denied_status_overruled`` (patient or prior payer owe it all), ``carc_unmapped``,
    #: ``contractual_whole_charge`` (by rule it never takes all).
    flags: tuple[str, ...] = ()


class _Split(NamedTuple):
    """Adjustments by what they mean; cents."""

    denial: int
    contractual: int
    patient: int
    prior: int
    pended: int
    unmapped: int
    #: Contractual reductions of code 45 alone.
    fee_schedule: int


_DENIED_WORDS = frozenset({"4", "denied"})
_REVERSED_WORDS = frozenset({"22", "reversed"})
#: Forwarded without a decision, predetermination, rejected before adjudication.
_NO_DECISION = frozenset({"23", "25", "rejected", "other"})
_SUBMISSIONS = frozenset({ClaimKind.PROFESSIONAL, ClaimKind.INSTITUTIONAL, ClaimKind.DENTAL})


def judge(claim: Claim, table: CarcTable | None = None) -> Verdict:
    """Decide what became of ``claim``, from its money and reasons before its status.

    Reads status, frequency, charge, paid, adjustments and lines. The claim is left as it is.
    The claim's own CAS counts beside those of its lines; readers keep repeated ones once.
    """
    table = table or default_carc_table()
    if claim.kind in _SUBMISSIONS:
        return Verdict(Outcome.OTHER if claim.frequency == "8" else Outcome.PENDING)
    if claim.status in _REVERSED_WORDS:
        return Verdict(Outcome.REVERSED)
    if claim.status in _NO_DECISION:
        return Verdict(Outcome.OTHER)
    if not claim.adjustments and not any(line.adjustments for line in claim.lines):
        return _by_status(claim)
    adjustments = [*claim.adjustments, *(one for line in claim.lines for one in line.adjustments)]
    split = _split(adjustments, table)
    if claim.status == "pending" and claim.paid == 0 and split.denial <= 0:
        return Verdict(Outcome.PENDING)
    flags = _oddities(claim, split)
    outcome, odd = _decide(claim, split, table)
    flags += odd
    if outcome not in (Outcome.DENIED, Outcome.PARTIAL):
        return Verdict(outcome, flags=flags)
    # A payer-side duplicate (CARC 18) stays a denial with its own category: the ledger keeps it
    # out of first and current decisions, and so out of numerator and base of the rates.
    reason, remark = _explain(claim, table)
    category = table.category(reason.code).name if reason else UNSPECIFIED
    return Verdict(outcome, reason.label if reason else "", category, remark, flags)


def _by_status(claim: Claim) -> Verdict:
    """Judge a claim without any adjustment: by its money, then by its status."""
    status, paid = claim.status, claim.paid
    if paid > 0:
        if status == "partial":
            return Verdict(Outcome.PARTIAL, category=UNSPECIFIED, remark=_first_remark(claim))
        odd = status in _DENIED_WORDS or status == "pending"
        return Verdict(Outcome.PAID, flags=("status_overruled",) if odd else ())
    if status in _DENIED_WORDS:
        return Verdict(Outcome.DENIED, category=UNSPECIFIED, remark=_first_remark(claim))
    if status == "partial":
        return Verdict(Outcome.PARTIAL, category=UNSPECIFIED, remark=_first_remark(claim))
    if status == "pending" or (claim.kind is ClaimKind.CSV and not _was_decided(claim)):
        return Verdict(Outcome.PENDING)
    return Verdict(Outcome.ZERO_PAID)


def _was_decided(claim: Claim) -> bool:
    return bool(claim.status) or claim.decided_on is not None or claim.paid_on is not None


def _decide(claim: Claim, split: _Split, table: CarcTable) -> tuple[Outcome, tuple[str, ...]]:
    """Return the outcome of a decided claim with adjustments, and what was odd about it."""
    denied, partly = _line_outcomes(claim, split, table)
    if claim.paid > 0:
        odd = ("status_overruled",) if claim.status in _DENIED_WORDS else ()
        partial = denied or partly or claim.status == "partial"
        return (Outcome.PARTIAL if partial else Outcome.PAID), odd
    if denied == "all":
        odd = ("status_overruled",) if claim.status in {"1", "2", "3", "paid"} else ()
        return Outcome.DENIED, odd
    if split.pended > 0 and split.denial <= 0:
        return Outcome.PENDING, ()
    if claim.status in _DENIED_WORDS:
        if split.denial <= 0 and _is_explained_without_denial(claim, split):
            # Payers use 4 for "we paid nothing", also where the deductible took it all.
            return Outcome.ZERO_PAID, ("denied_status_overruled",)
        return Outcome.DENIED, ()
    if denied or partly or claim.status == "partial":
        return Outcome.PARTIAL, ()
    return Outcome.ZERO_PAID, ()


def _is_explained_without_denial(claim: Claim, split: _Split) -> bool:
    share = split.patient + split.prior
    return share > 0 and share + split.contractual >= claim.charge - split.unmapped > 0


def _line_outcomes(claim: Claim, split: _Split, table: CarcTable) -> tuple[str, bool]:
    """Return ``all``, ``some`` or ``""`` for the denied lines, and whether any is so in part."""
    lines = [line for line in claim.lines if line.charge > 0]
    if not lines or not any(line.adjustments for line in lines):
        whole = _is_denied(claim.charge, claim.paid, split)
        return ("all" if whole else ""), not whole and split.denial > 0
    denied = partly = 0
    for line in lines:
        own = _split(line.adjustments, table)
        if _is_denied(line.charge, line.paid, own):
            denied += 1
        elif own.denial > 0:
            partly += 1
    if denied < len(lines) and _split(claim.adjustments, table).denial > 0:
        # A claim-level denial beside line-level adjustments: only the sums can tell.
        if _is_denied(claim.charge, claim.paid, split):
            denied = len(lines)
        partly += 1
    how_many = "all" if denied == len(lines) else "some" if denied else ""
    return how_many, partly > 0


def _is_denied(charge: int, paid: int, split: _Split) -> bool:
    unexplained = charge - split.contractual - split.patient - split.prior
    return charge > 0 and paid <= 0 and split.denial > 0 and split.denial >= unexplained


def _split(adjustments: Iterable[Adjustment], table: CarcTable) -> _Split:
    denial = contractual = patient = prior = pended = unmapped = fee_schedule = 0
    for one in adjustments:
        category = table.category(one.reason)
        if category.denial_when_unpaid:
            denial += one.amount
        elif category.name == "contractual":
            contractual += one.amount
            fee_schedule += one.amount if one.reason == "45" else 0
        elif category.name == "patient_share":
            patient += one.amount
        elif category.name in ("prior_payer_impact", "paid_elsewhere"):
            prior += one.amount
        elif category.name == "pended":
            pended += one.amount
        elif category is _UNKNOWN:
            unmapped += one.amount
    return _Split(denial, contractual, patient, prior, pended, unmapped, fee_schedule)


def _oddities(claim: Claim, split: _Split) -> tuple[str, ...]:
    flags: tuple[str, ...] = ()
    if claim.charge > 0 and split.fee_schedule >= claim.charge:
        flags += ("contractual_whole_charge",)
    if split.unmapped:
        flags += ("carc_unmapped",)
    return flags


class _Explanation(NamedTuple):
    label: str
    code: str


def _explain(claim: Claim, table: CarcTable) -> tuple[_Explanation | None, str]:
    """Return the reason with the most denied money, and the remark beside it."""
    weights: Counter[tuple[str, str]] = Counter()
    remarks: dict[tuple[str, str], str] = {}
    sources: Sequence[Claim | ServiceLine] = (claim, *claim.lines)
    for source in sources:
        for one in source.adjustments:
            if table.category(one.reason).denial_when_unpaid:
                key = (one.group, one.reason)
                weights[key] += one.amount
                if source.remarks:
                    remarks.setdefault(key, source.remarks[0])
    if not weights:
        unmapped = next(
            (
                one
                for source in sources
                for one in source.adjustments
                if one.reason not in table and one.amount > 0
            ),
            None,
        )
        if unmapped is None:
            return None, _first_remark(claim)
        return _explanation(unmapped.group, unmapped.reason), _first_remark(claim)
    # On equal weight the first one in the file: Counter keeps the order of insertion.
    key = max(weights, key=weights.__getitem__)
    return _explanation(*key), remarks.get(key) or _first_remark(claim)


def _explanation(group: str, code: str) -> _Explanation:
    return _Explanation(f"{group}-{code}" if group else code, code)


def _first_remark(claim: Claim) -> str:
    if claim.remarks:
        return claim.remarks[0]
    return next((line.remarks[0] for line in claim.lines if line.remarks), "")
