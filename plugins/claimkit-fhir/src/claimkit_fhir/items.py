"""Items to service lines, with what was decided about each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from claimkit.claims.model import ServiceLine
from claimkit_fhir.adjudication import adjudication_of
from claimkit_fhir.nodes import Spoiled, cents_of

if TYPE_CHECKING:
    from claimkit.types import Cents
    from claimkit_fhir.nodes import Node

__all__ = ["line_of"]

#: Code systems, in the order in which one is chosen, with their X12 qualifiers.
_SYSTEMS = {
    "http://www.ama-assn.org/go/cpt": "HC",
    "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets": "HC",
    "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets": "HC",
    "urn:oid:2.16.840.1.113883.6.285": "HC",
    "http://www.ada.org/cdt": "AD",
    "https://www.cms.gov/Medicare/Medicare-Fee-for-Service-Payment/ProspMedicareFeeSvcPmtGen/HIPPSCodes": "HP",
    "http://hl7.org/fhir/sid/ndc": "N4",
}
_HCPCS = re.compile(r"\d{4}[A-Z0-9]|[A-Z]\d{4}", re.ASCII)


def line_of(item: Node, ordinal: int, position: int) -> ServiceLine:
    """Return the service line of an item.

    Args:
        item: An ``item`` or ``addItem``.
        ordinal: 1-based place in the claim, for items without a number of their own.
        position: Where its resource stands in the file.

    Raises:
        Spoiled: a value of the item cannot be taken.
    """
    told = adjudication_of(item.children("adjudication"))
    system, code = _procedure(item)
    period = item.child("servicedPeriod")
    charge = told.amounts.get("submitted")
    charge = _net(item) if charge is None else charge
    paid = told.paid or 0
    told.explain(charge, paid)
    number = item.number("sequence")
    number = item.number("itemSequence") if number is None else number
    return ServiceLine(
        number=str(ordinal) if number is None else f"{number:f}"[:20],
        procedure_system=system,
        procedure_code=code,
        modifiers=tuple(
            code for one in item.children("modifier") for _, code in one.own_codings()[:1]
        )[:4],
        revenue_code=next((code for _, code in item.codings("revenue")), ""),
        units=item.quantity("quantity"),
        service_from=item.day("servicedDate") or period.day("start"),
        service_to=period.day("end"),
        charge=charge,
        allowed=told.amounts.get("eligible"),
        paid=paid,
        adjustments=told.adjustments,
        remarks=told.remarks,
        position=position,
    )


def _procedure(item: Node) -> tuple[str, str]:
    codings = item.codings("productOrService")
    for wanted, qualifier in _SYSTEMS.items():
        for system, code in codings:
            if system == wanted:
                return qualifier, code
    for _, code in codings:
        if _HCPCS.fullmatch(code):
            return ("AD" if code[0] == "D" else "HC"), code
    return ("ZZ", codings[0][1]) if codings else ("", "")


def _net(item: Node) -> Cents:
    """Return what an item costs: its net, else price times quantity."""
    net = item.money("net")
    if net is not None:
        return net
    price = item.money("unitPrice")
    if price is None:
        return 0
    quantity = item.quantity("quantity")
    if quantity is None:
        return price
    try:
        return cents_of(price * quantity / 100)[0]
    except ValueError:
        raise Spoiled(
            "money_out_of_range",
            "price times quantity is too large to be true",
            "Ask the sender to correct it",
            f"{item.path}.quantity",
        ) from None
