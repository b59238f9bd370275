"""What a payer decided about a claim or a line: amounts by category, and why less was paid.

HL7's categories and those of CARIN Blue Button mean the same money under a few names; some payers
tell reasons (CARC) and some only categories. A category that means one CARC becomes that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from claimkit.claims.model import Adjustment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from claimkit.types import Cents
    from claimkit_fhir.nodes import Node

__all__ = ["Adjudication", "adjudication_of"]

#: Names under which a category is known; the last part of a code that is an address counts.
_NAMES = {
    "submitted": "submitted",
    "line_sbmtd_chrg_amt": "submitted",
    "eligible": "eligible",
    "allowed": "eligible",
    "line_alowd_chrg_amt": "eligible",
    "benefit": "benefit",
    "line_nch_pmt_amt": "benefit",
    "paidtoprovider": "paidtoprovider",
    "line_prvdr_pmt_amt": "paidtoprovider",
    "paidtopatient": "paidtopatient",
    "line_bene_pmt_amt": "paidtopatient",
    "deductible": "deductible",
    "line_bene_ptb_ddctbl_amt": "deductible",
    "coinsurance": "coinsurance",
    "line_coinsrnc_amt": "coinsurance",
    "copay": "copay",
    "memberliability": "memberliability",
    "noncovered": "noncovered",
    "discount": "discount",
    "priorpayerpaid": "priorpayerpaid",
}
#: The CARC that says the same as a category, with its group where the category tells it.
_MEANS = {
    "deductible": ("PR", "1"),
    "coinsurance": ("PR", "2"),
    "copay": ("PR", "3"),
    "discount": ("CO", "45"),
    "priorpayerpaid": ("OA", "23"),
    "noncovered": ("", "96"),
}
#: Categories that say what was billed, allowed or paid, not why less was paid.
_NO_REASONS = frozenset(
    {"submitted", "eligible", "benefit", "paidtoprovider", "paidtopatient", "memberliability"}
)
#: What the addresses of X12's code lists have in them; those of a payer's own lists have not.
_X12_LISTS = re.compile(r"x12|wpc-edi|adjustment-reason|remittance-advice", re.IGNORECASE)
_PATIENT = ("deductible", "coinsurance", "copay")
_GROUPS = frozenset({"CO", "PR", "OA", "PI", "CR"})
_CARC = re.compile(r"(?:(CO|PR|OA|PI|CR)[- ]?)?([ABDPWY]?\d{1,3})", re.ASCII)
_RARC = re.compile(r"(?:M|MA|N)\d{1,3}", re.ASCII)


@dataclass(slots=True)
class Adjudication:
    """What one list of adjudications says.

    Attributes:
        amounts: Cents by category; a category that stands twice is summed where it may.
        adjustments: Reasons with amounts.
        remarks: RARC.
        denial: Group and CARC of a denial without an amount of its own; empty if none.
    """

    amounts: dict[str, Cents] = field(default_factory=dict)
    adjustments: list[Adjustment] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    denial: tuple[str, str] = ("", "")

    @property
    def paid(self) -> Cents | None:
        """What the payer paid: the benefit, else what provider and patient were paid."""
        if "benefit" in self.amounts:
            return self.amounts["benefit"]
        return self._sum("paidtoprovider", "paidtopatient")

    @property
    def patient_responsibility(self) -> Cents | None:
        """What the patient owes: as stated, else deductible, coinsurance and copay."""
        if "memberliability" in self.amounts:
            return self.amounts["memberliability"]
        return self._sum(*_PATIENT)

    def _sum(self, *names: str) -> Cents | None:
        found = [self.amounts[name] for name in names if name in self.amounts]
        return sum(found) if found else None

    def explain(self, charge: Cents, paid: Cents) -> None:
        """Let the categories, and a denial without amount, say why less was paid."""
        told = {one.reason for one in self.adjustments}
        for name, (group, reason) in _MEANS.items():
            amount = self.amounts.get(name, 0)
            if not amount or reason in told:
                continue
            if name == "noncovered" and (self.denial[1] or self._covers(charge, paid, amount)):
                continue
            self.adjustments.append(Adjustment(group, reason, amount))
        if not self.denial[1]:
            return
        left = charge - paid - sum(one.amount for one in self.adjustments)
        amount = self.amounts.get("noncovered") or left
        if amount > 0:
            self.adjustments.append(Adjustment(*self.denial, amount))

    def _covers(self, charge: Cents, paid: Cents, amount: Cents) -> bool:
        """Return whether reasons explain already what is not covered."""
        return charge - paid - sum(one.amount for one in self.adjustments) < amount


def adjudication_of(nodes: Iterable[Node]) -> Adjudication:
    """Return what a list of ``adjudication`` or ``total`` says."""
    found = Adjudication()
    for node in nodes:
        categories = [code for _, code in node.codings("category")]
        name = next(filter(None, map(_name, categories)), "")
        amount = node.money("amount")
        codes = [
            code.upper()
            for system, code in node.codings("reason")
            if not system or _X12_LISTS.search(system)
        ]
        found.remarks += [code for code in codes if _RARC.fullmatch(code)]
        reason = next(filter(None, map(_CARC.fullmatch, codes)), None)
        if reason is not None and name not in _NO_REASONS:
            _take_reason(found, reason, [*categories, *codes], name, amount)
        if name and amount is not None:
            before = found.amounts.get(name)
            if before is None or name not in ("submitted", "eligible", "benefit"):
                found.amounts[name] = amount + (before or 0)
    return found


def _take_reason(
    found: Adjudication,
    reason: re.Match[str],
    codes: list[str],
    name: str,
    amount: Cents | None,
) -> None:
    group = reason[1] or next((one.upper() for one in codes if one.upper() in _GROUPS), "")
    group = group or _MEANS.get(name, ("", ""))[0]
    if amount:
        found.adjustments.append(Adjustment(group, reason[2], amount))
    elif amount is None and not found.denial[1]:
        found.denial = (group, reason[2])


def _name(code: str) -> str:
    return _NAMES.get(code.rsplit("/", 1)[-1].lower(), "")
