"""X12 837: what a provider sent (professional X222 and X098, institutional X223 and X096, dental X224 and X097).

The story: :class:`Submission` follows the hierarchy of billing provider, subscriber and patient; each
CLM opens a claim that inherits from them; what follows belongs to the claim, to another payer (after
SBR) or to a service line (after LX); the next CLM, HL or SE closes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from claimkit.claims.model import Claim, ClaimKind, ServiceLine
from claimkit_x12 import values
from claimkit_x12.transactions import PADDING, Spoiled, Transaction, element

if TYPE_CHECKING:
    import datetime as dt

    from claimkit_x12.transactions import Collector

__all__ = ["Submission", "kind_of_version"]

_VERSIONS = {
    "X222": ClaimKind.PROFESSIONAL,
    "X098": ClaimKind.PROFESSIONAL,
    "X223": ClaimKind.INSTITUTIONAL,
    "X096": ClaimKind.INSTITUTIONAL,
    "X224": ClaimKind.DENTAL,
    "X097": ClaimKind.DENTAL,
}
_SERVICES = {
    "SV1": ClaimKind.PROFESSIONAL,
    "SV2": ClaimKind.INSTITUTIONAL,
    "SV3": ClaimKind.DENTAL,
}
_TYPES = {ClaimKind.PROFESSIONAL: "P", ClaimKind.INSTITUTIONAL: "I", ClaimKind.DENTAL: "D"}


def kind_of_version(version: str) -> ClaimKind | None:
    """Return the kind that an implementation guide stands for (GS08 or ST03), None if unknown."""
    return next((kind for guide, kind in _VERSIONS.items() if guide in version), None)


class Submission(Transaction):
    """One transaction set of an 837."""

    def __init__(
        self, collector: Collector, kind: ClaimKind | None, sent_on: dt.date | None
    ) -> None:
        super().__init__(collector)
        self._known_kind = kind
        self.kind = kind or ClaimKind.PROFESSIONAL
        self._sent_on = sent_on
        self._other_payer = False
        self._billing_npi = self._billing_tin = ""
        self._member_id = self._payer_name = self._payer_id = ""
        self._sequence = self._filing = ""
        self._level = ""
        self._number = ""
        self.handlers = {
            "BHT": self._bht,
            "CLM": self._clm,
            "DTP": self._dtp,
            "HI": self._hi,
            "HL": self._hl,
            "LX": self._lx,
            "NM1": self._nm1,
            "REF": self._ref,
            "SBR": self._sbr,
            "SV1": self._sv1,
            "SV2": self._sv2,
            "SV3": self._sv3,
        }

    def _bht(self, segment: list[str]) -> None:
        self._sent_on = self._to.day(segment, 4, self.kind) or self._sent_on

    def _hl(self, segment: list[str]) -> None:
        self.close()
        self._other_payer = False
        self._level = element(segment, 3)
        if self._level == "20":
            self._billing_npi = self._billing_tin = ""
        if self._level in ("20", "22"):
            self._member_id = self._payer_name = self._payer_id = ""
            self._sequence = self._filing = ""

    def _sbr(self, segment: list[str]) -> None:
        if self.claim is not None:
            self._other_payer = True
            return
        self._sequence = element(segment, 1)
        self._filing = element(segment, 9)

    def _nm1(self, segment: list[str]) -> None:
        who, _, name, _, _, _, _, code, identifier = (segment + PADDING)[1:10]
        claim = self.claim
        if claim is not None:
            if who == "82" and code == "XX" and not self._other_payer:
                claim.rendering_npi = identifier
        elif who == "85":
            if code == "XX":
                self._billing_npi = identifier
            elif code in ("24", "34"):
                self._billing_tin = identifier
        elif who == "IL":
            self._member_id = identifier
        elif who == "PR":
            self._payer_name = name
            self._payer_id = f"{code}:{identifier}" if identifier else ""

    def _ref(self, segment: list[str]) -> None:
        code, identifier = element(segment, 1), element(segment, 2)
        claim = self.claim
        if claim is None:
            if code in ("EI", "SY") and self._level == "20":
                self._billing_tin = identifier
        elif self._line is not None:
            if code == "6R":
                self._line.number = identifier
        elif self._other_payer:
            return
        elif code == "F8":
            claim.original_reference = identifier
        elif code == "G1" or (code == "9F" and not claim.authorization_number):
            claim.authorization_number = identifier

    def _clm(self, segment: list[str]) -> None:
        self.close()
        self._other_payer, self._number = False, ""
        number = element(segment, 1)
        if not number:
            raise Spoiled(
                "claim_id_missing",
                "a claim has no patient control number",
                "Correct the claim in the billing system and send it again",
                "CLM01",
            )
        place = element(segment, 5).split(self._to.delimiters.component)
        self.claim = Claim(
            kind=self.kind,
            position=self._to.position,
            patient_control_number=number,
            frequency=values.component(place, 2),
            payer_name=self._payer_name,
            payer_id=self._payer_id,
            billing_npi=self._billing_npi,
            billing_tin=self._billing_tin,
            member_id=self._member_id,
            filing_indicator=self._filing,
            facility=values.component(place, 0),
            payer_sequence=self._sequence,
            submitted_on=self._sent_on,
            charge=self._to.amount(segment, 2, self.kind),
        )

    def _dtp(self, segment: list[str]) -> None:
        claim = self.claim
        code = element(segment, 1)
        if claim is None or code not in ("472", "434"):
            return
        if self._other_payer and self._line is None:
            return
        first, last = values.date_range(element(segment, 2), element(segment, 3))
        if first is None or last is None:
            self._to.note("date_invalid", "DTP03 is not a date", self.kind)
        if self._line is not None:
            self._line.service_from, self._line.service_to = first, last
        else:
            claim.service_from, claim.service_to = first, last

    def _hi(self, segment: list[str]) -> None:
        claim = self.claim
        if claim is None:
            return
        for composite in segment[1:]:
            parts = composite.split(self._to.delimiters.component)
            if parts[0] in ("ABK", "BK") and not claim.diagnosis:
                claim.diagnosis = values.component(parts, 1)
            elif parts[0] == "DR":
                claim.drg = values.component(parts, 1)

    def _lx(self, segment: list[str]) -> None:
        if self.claim is not None:
            self._other_payer = False
            self._line = None
            self._number = element(segment, 1)

    def _sv1(self, segment: list[str]) -> None:
        self._service(segment, procedure=1, charge=2, units=4)

    def _sv2(self, segment: list[str]) -> None:
        self._service(segment, procedure=2, charge=3, units=5, revenue=1)

    def _sv3(self, segment: list[str]) -> None:
        self._service(segment, procedure=1, charge=2, units=6)

    def _service(
        self, segment: list[str], *, procedure: int, charge: int, units: int, revenue: int = 0
    ) -> None:
        claim, to = self.claim, self._to
        if claim is None:
            return
        if self._known_kind is None:
            self.kind = _SERVICES[segment[0]]
        charged = to.amount(segment, charge, self.kind)
        system, code, modifiers = values.procedure(
            element(segment, procedure), to.delimiters.component
        )
        self._line = ServiceLine(
            number=self._number or str(len(claim.lines) + 1),
            procedure_system=system,
            procedure_code=code,
            modifiers=modifiers,
            revenue_code=element(segment, revenue) if revenue else "",
            units=values.quantity(element(segment, units)),
            charge=charged,
            position=to.position,
        )
        claim.lines.append(self._line)

    def _complete(self, claim: Claim) -> None:
        claim.kind = self.kind
        claim.claim_type = _TYPES[self.kind]
        if claim.lines and sum([line.charge for line in claim.lines]) != claim.charge:
            claim.flags.append("lines_unbalanced")
