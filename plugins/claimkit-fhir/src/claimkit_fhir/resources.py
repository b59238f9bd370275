"""Claim, ClaimResponse and ExplanationOfBenefit to claims.

The story: :class:`Resources` is shown one resource; it reads who, what and when, then the lines with
what was decided about each, then what was decided about the whole. What a response does not tell is
taken from the Claim that it answers, if that is in the same file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from claimkit.claims.model import Claim, ClaimKind
from claimkit_fhir.adjudication import Adjudication, adjudication_of
from claimkit_fhir.items import line_of
from claimkit_fhir.nodes import MAX_TEXT, Node, Spoiled
from claimkit_fhir.parties import Parties
from claimkit_fhir.references import SentClaim, reference_id

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from claimkit.types import Cents
    from claimkit_fhir.references import Links

__all__ = ["RESOURCES", "Resources"]

#: The resources that become claims.
RESOURCES = frozenset({"Claim", "ClaimResponse", "ExplanationOfBenefit"})
_TYPES = {"professional": "P", "institutional": "I", "oral": "D"}
_SEQUENCES = {1: "P", 2: "S", 3: "T"}
_WITHDRAWN = frozenset({"cancelled", "entered-in-error"})
#: Relationships of a claim to the one that it takes the place of.
_REPLACES = frozenset({"prior", "replaces"})


class Resources:
    """Turns resources into claims.

    Args:
        links: Where references lead.
    """

    def __init__(self, links: Links) -> None:
        self._links = links
        self._parties = Parties(links)

    def claim_of(self, node: Node, position: int) -> Claim | None:
        """Return the claim that a resource tells of, None where it tells of none, with a notice.

        Raises:
            Spoiled: the resource cannot be taken.
        """
        status = node.text("status")
        if status == "draft":
            node.note("draft_ignored", f"{node.path}.status is draft: nothing was sent or decided")
            return None
        if status not in {"active", *_WITHDRAWN}:
            raise Spoiled(
                "status_unknown",
                "the status is none of active, cancelled, draft and entered-in-error",
                "Ask the sender for resources that follow FHIR R4",
                f"{node.path}.status",
            )
        if node.text("use") in ("preauthorization", "predetermination"):
            node.note("use_ignored", f"{node.path}.use is not claim: it asks and bills nothing")
            return None
        claim = self._described(node, position)
        if node.value["resourceType"] == "Claim":
            self._submitted(claim, node, withdrawn=status in _WITHDRAWN)
        else:
            self._decided(claim, node)
            if status in _WITHDRAWN:
                _take_back(claim)
        return claim

    # -- who, what, when -------------------------------------------------------------------

    def _described(self, node: Node, position: int) -> Claim:
        parties, insurance = self._parties, _focal(node)
        payer_name, payer_id = parties.payer(node, insurance)
        billing_npi, billing_tin = parties.billing(node)
        period = node.child("billablePeriod")
        claim = Claim(
            kind=ClaimKind.FHIR,
            position=position,
            patient_control_number=self._number(node),
            payer_name=payer_name,
            payer_id=payer_id,
            billing_npi=billing_npi,
            billing_tin=billing_tin,
            rendering_npi=parties.rendering(node),
            member_id=parties.member(node, insurance),
            claim_type=_type(node),
            payer_sequence=_sequence(insurance),
            authorization_number=insurance.first_text("preAuthRef")
            or node.first_text("preAuthRef"),
            service_from=period.day("start"),
            service_to=period.day("end"),
        )
        _diagnose(claim, node)
        _supporting(claim, node)
        self._relate(claim, node)
        for item in _items(node):
            claim.lines.append(line_of(item, len(claim.lines) + 1, position))
            if not claim.facility:
                claim.facility = _code(item, "locationCodeableConcept")
        claim.facility = claim.facility or node.child("facility").text("display", MAX_TEXT)
        return claim

    def _number(self, node: Node) -> str:
        """Return the provider's own number of the claim, the surest that there is."""
        if node.value["resourceType"] == "Claim":
            number = _own_identifier(node) or node.text("id")
        else:
            number = _patient_account(node) or self._answered(node) or _own_identifier(node)
            number = number or node.text("id")
        if not number:
            raise Spoiled(
                "claim_id_missing",
                "the resource has no identifier of the claim",
                "Ask the sender for Claim.identifier, or a reference to the Claim",
                f"{node.path}.identifier",
            )
        return number

    def _answered(self, node: Node) -> str:
        reference = _claim_reference(node)
        target = self._links.target(reference, node)
        if target and (number := _own_identifier(target)):
            return number
        if named := self._links.identifiers(reference, node):
            return named[0].value
        sent = self._links.sent(reference)
        return sent.patient_control_number if sent else reference_id(reference)

    def _relate(self, claim: Claim, node: Node) -> None:
        """Tell a replacement by the claim that it names as the one before it."""
        for related in node.children("related"):
            if not any(code in _REPLACES for _, code in related.codings("relationship")):
                continue
            reference = related.child("claim")
            named = self._links.identifiers(reference, node)
            claim.frequency = claim.frequency or "7"
            claim.original_reference = (
                related.child("reference").text("value")
                or (named[0].value if named else "")
                or reference_id(reference)
            )
            return

    # -- what was said ---------------------------------------------------------------------

    def _submitted(self, claim: Claim, node: Node, *, withdrawn: bool) -> None:
        claim.status = "pending"
        claim.submitted_on = node.day("created")
        if withdrawn:
            claim.frequency = "8"
        total = node.money("total")
        if total is None and claim.lines:
            total = sum(line.charge for line in claim.lines)
        elif claim.lines and total != sum(line.charge for line in claim.lines):
            claim.flags.append("lines_unbalanced")
        if total is None:
            raise _charge_missing(f"{node.path}.total")
        claim.charge = total
        if key := node.text("id"):
            self._links.remember(key, SentClaim(claim.patient_control_number, claim.charge))

    def _decided(self, claim: Claim, node: Node) -> None:
        claim.payer_claim_control_number = _payer_number(node)
        totals = adjudication_of(node.children("total"))
        header = adjudication_of(node.children("adjudication"))
        payment = node.child("payment")
        claim.payment_reference = payment.child("identifier").text("value")
        claim.paid_on = payment.day("date")
        claim.decided_on = node.day("created")
        claim.paid = _first(
            totals.paid, payment.money("amount"), header.paid, sum(one.paid for one in claim.lines)
        )
        claim.charge = self._charge(claim, node, totals, header)
        claim.allowed = _stated(totals.amounts.get("eligible"), header.amounts.get("eligible"))
        _explain(claim, totals, header)
        claim.patient_responsibility = _first(
            totals.patient_responsibility,
            header.patient_responsibility,
            _share_of_patient(claim),
        )
        _judge(claim, node.text("outcome"), claim.decided_on)

    def _charge(
        self, claim: Claim, node: Node, totals: Adjudication, header: Adjudication
    ) -> Cents:
        stated = _stated(totals.amounts.get("submitted"), header.amounts.get("submitted"))
        if stated is not None:
            return stated
        if charges := sum(one.charge for one in claim.lines):
            return charges
        reference = _claim_reference(node)
        if sent := self._links.sent(reference):
            return sent.charge
        total = self._links.target(reference, node).money("total")
        if total is not None:
            return total
        if node.text("outcome") in ("queued", "error"):
            return 0
        raise _charge_missing(f"{node.path}.total")


def _judge(claim: Claim, outcome: str, told_on: dt.date | None) -> None:
    """Turn the outcome of the processing into a status; the money is believed before it."""
    has_decision = claim.paid != 0 or bool(claim.adjustments)
    has_decision = has_decision or any(one.adjustments for one in claim.lines)
    if outcome == "queued" or (outcome == "partial" and not has_decision):
        claim.status = "pending"
        claim.received_on, claim.decided_on = claim.received_on or told_on, None
    elif outcome == "error" and not has_decision:
        claim.status = "rejected"


def _take_back(claim: Claim) -> None:
    """Turn a withdrawn decision into its reversal, in which every amount is negative."""
    claim.status = "reversed"
    claim.charge, claim.paid = -claim.charge, -claim.paid
    claim.patient_responsibility = -claim.patient_responsibility
    claim.allowed = None if claim.allowed is None else -claim.allowed
    claim.adjustments = [one._replace(amount=-one.amount) for one in claim.adjustments]
    for line in claim.lines:
        line.charge, line.paid = -line.charge, -line.paid
        line.allowed = None if line.allowed is None else -line.allowed
        line.adjustments = [one._replace(amount=-one.amount) for one in line.adjustments]


def _explain(claim: Claim, totals: Adjudication, header: Adjudication) -> None:
    """Give the claim the reasons that are not those of its lines once more."""
    header.explain(claim.charge, claim.paid)
    in_lines = sum(one.amount for line in claim.lines for one in line.adjustments)
    own = sum(one.amount for one in header.adjustments)
    claim.remarks = header.remarks
    if own and own == in_lines and claim.charge - own - in_lines != claim.paid:
        claim.flags.append("cas_duplicated")
    elif header.adjustments:
        claim.adjustments = header.adjustments
    elif not any(line.adjustments for line in claim.lines):
        totals.explain(claim.charge, claim.paid)
        claim.adjustments = totals.adjustments
    taken = sum(one.amount for one in claim.adjustments) + in_lines
    # Payers need not tell all reasons here, so that only too many contradict the money.
    if taken and claim.charge - taken < claim.paid:
        claim.flags.append("claim_unbalanced")


def _share_of_patient(claim: Claim) -> Cents:
    return sum(
        one.amount
        for adjustments in (claim.adjustments, *(line.adjustments for line in claim.lines))
        for one in adjustments
        if one.group == "PR"
    )


def _type(node: Node) -> str:
    """Return the type of claim; codes of profiles say more, such as ``inpatient-institutional``."""
    codes = [code for _, code in node.codings("type")]
    return next((kind for code in codes for name, kind in _TYPES.items() if name in code), "")


def _items(node: Node) -> Iterator[Node]:
    yield from node.children("item")
    # On a Claim there is none; on the others the payer added it.
    yield from node.children("addItem")


def _focal(node: Node) -> Node:
    """Return the insurance that is billed; an empty node if none is told."""
    all_ = list(node.children("insurance"))
    focal = next((one for one in all_ if one.value.get("focal") is True), None)
    return focal or (all_[0] if all_ else Node({}, f"{node.path}.insurance", node.note))


def _sequence(insurance: Node) -> str:
    number = insurance.number("sequence")
    return _SEQUENCES.get(int(number), "") if number in _SEQUENCES else ""


def _claim_reference(node: Node) -> Node:
    return node.child("request" if node.value["resourceType"] == "ClaimResponse" else "claim")


def _own_identifier(node: Node) -> str:
    return next((found for one in node.children("identifier") if (found := one.text("value"))), "")


def _payer_number(node: Node) -> str:
    """Return the payer's own number: the identifier of type ``uc``, else the first, else the id."""
    for one in node.children("identifier"):
        if any(code == "uc" for _, code in one.codings("type")) and (found := one.text("value")):
            return found
    return _own_identifier(node) or node.text("id")


def _patient_account(node: Node) -> str:
    """Return the provider's number of the claim, where CARIN Blue Button has it."""
    for info in node.children("supportingInfo"):
        if any(code == "patientaccountnumber" for _, code in info.codings("category")):
            return info.text("valueString")
    return ""


def _supporting(claim: Claim, node: Node) -> None:
    for info in node.children("supportingInfo"):
        names = {code for _, code in info.codings("category")}
        if "clmrecvddate" in names:
            claim.received_on = info.day("timingDate")
        elif "typeofbill" in names:
            bill = _code(info, "code")
            # Leading zero or not, the last digit is the frequency.
            claim.frequency = bill[-1:] if bill[-1:].isalnum() else ""
        elif "drg" in names:
            claim.drg = _code(info, "code")


def _diagnose(claim: Claim, node: Node) -> None:
    for one in sorted(node.children("diagnosis"), key=lambda one: one.number("sequence") or 0):
        claim.diagnosis = claim.diagnosis or _code(one, "diagnosisCodeableConcept")
        claim.drg = claim.drg or _code(one, "packageCode")


def _code(node: Node, name: str) -> str:
    return next((code for _, code in node.codings(name)), "")


def _stated(*amounts: Cents | None) -> Cents | None:
    return next((one for one in amounts if one is not None), None)


def _first(*amounts: Cents | None) -> Cents:
    return _stated(*amounts) or 0


def _charge_missing(where: str) -> Spoiled:
    return Spoiled(
        "charge_missing",
        "the resource does not tell what was charged",
        "Ask for totals of category submitted, or put the Claim before its response",
        where,
    )
