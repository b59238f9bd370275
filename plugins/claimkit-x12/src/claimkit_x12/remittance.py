"""X12 835: what a payer decided and paid (005010X221A1, 004010X091A1).

The story: :class:`Remittance` is shown each segment of one ST. Header segments tell payer, payee
and payment; each CLP opens a claim; the segments after it fill the claim or its latest service line;
the next CLP, LX, PLB or SE closes it. A claim that cannot be read is put aside and the file goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from claimkit.claims.model import Claim, ClaimKind, ServiceLine
from claimkit_x12 import values
from claimkit_x12.transactions import PADDING, Seen, Spoiled, Transaction, element

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from claimkit.types import Cents
    from claimkit_x12.transactions import Collector

__all__ = ["Remittance"]

_KIND = ClaimKind.REMITTANCE
#: CLP02 → responsibility of the payer.
_SEQUENCES = {"1": "P", "2": "S", "3": "T", "19": "P", "20": "S", "21": "T"}
#: REF01 in the payer's loop that identifies it.
_PAYER_IDS = frozenset({"2U", "NF", "EO", "HI"})


class Remittance(Transaction):
    """One transaction set of an 835."""

    kind = _KIND

    def __init__(self, collector: Collector) -> None:
        super().__init__(collector)
        #: Before the first LX or CLP.
        self._in_header = True
        self._party = ""
        self._payer_name = self._payer_id = self._billing_npi = self._billing_tin = ""
        self._trace = ""
        self._originator = ""
        self._paid_on: dt.date | None = None
        self._produced_on: dt.date | None = None
        self._transfer: Cents | None = None
        self._claims_paid: Cents = 0
        self._provider_adjusted: Cents = 0
        #: Whether the payment of some claim could not be read.
        self._misses_paid = False
        self._seen = Seen()
        self.handlers = {
            "AMT": self._amt,
            "BPR": self._bpr,
            "CAS": self._cas,
            "CLP": self._clp,
            "DTM": self._dtm,
            "LQ": self._lq,
            "LX": self._lx,
            "MIA": self._mia,
            "MOA": self._moa,
            "N1": self._n1,
            "NM1": self._nm1,
            "PLB": self._plb,
            "REF": self._ref,
            "SVC": self._svc,
            "TRN": self._trn,
        }

    @property
    def trace(self) -> str:
        """Check or EFT number with the payer's company id: TRN02 and TRN03."""
        return f"{self._trace}*{self._originator}" if self._trace else ""

    def judge_balance(self) -> None:
        """Take note where the payment is not the sum of what it pays for."""
        should = self._claims_paid - self._provider_adjusted
        if self._transfer is not None and self._transfer != should and not self._misses_paid:
            self._to.note(
                "remittance_unbalanced",
                "the payment is not the sum of its claims less provider adjustments",
                _KIND,
            )

    # -- header ---------------------------------------------------------------------------

    def _bpr(self, segment: list[str]) -> None:
        amount = self._to.optional_amount(segment, 2, _KIND)
        if amount is not None:
            self._transfer = -amount if element(segment, 3) == "D" else amount
        self._paid_on = self._to.day(segment, 16, _KIND)
        self._originator = element(segment, 10)

    def _trn(self, segment: list[str]) -> None:
        if self._in_header:
            self._trace = element(segment, 2)
            self._originator = element(segment, 3) or self._originator

    def _n1(self, segment: list[str]) -> None:
        if not self._in_header:
            return
        self._party, name, code, identifier = (segment + PADDING)[1:5]
        if self._party == "PR":
            self._payer_name = name
            self._payer_id = f"{code}:{identifier}" if identifier else ""
        elif self._party == "PE":
            if code == "XX":
                self._billing_npi = identifier
            elif code == "FI":
                self._billing_tin = identifier

    def _lx(self, segment: list[str]) -> None:  # noqa: ARG002
        self.close()
        self._in_header = False

    def _plb(self, segment: list[str]) -> None:
        self.close()
        for at in range(3, min(len(segment), 15), 2):
            if segment[at]:
                self._provider_adjusted += self._to.optional_amount(segment, at + 1, _KIND) or 0
                self._to.note("provider_adjustment", "money moved that belongs to no claim", _KIND)

    # -- claim ----------------------------------------------------------------------------

    def _clp(self, segment: list[str]) -> None:
        if self.claim is not None:
            self.close()
        self._in_header = False
        to = self._to
        try:
            charge, paid = to.amount(segment, 3, _KIND), to.amount(segment, 4, _KIND)
        except Spoiled:
            self._misses_paid = True
            raise
        self._claims_paid += paid
        padded = segment + PADDING
        _, number, status, _, _, _, filing, control, facility, frequency, _, drg = padded[:12]
        if not number:
            raise Spoiled(
                "claim_id_missing",
                "a claim has no patient control number",
                "Ask the payer for a corrected remittance",
                "CLP01",
            )
        self.claim = Claim(
            kind=_KIND,
            position=to.position,
            patient_control_number=number,
            payer_claim_control_number=control,
            frequency=frequency,
            payer_name=self._payer_name,
            payer_id=self._payer_id or (f"TIN:{self._originator}" if self._originator else ""),
            billing_npi=self._billing_npi,
            billing_tin=self._billing_tin,
            filing_indicator=filing,
            facility=facility,
            payer_sequence=_SEQUENCES.get(status, ""),
            drg=drg,
            decided_on=self._produced_on or self._paid_on,
            paid_on=self._paid_on,
            status=status,
            charge=charge,
            paid=paid,
            patient_responsibility=to.optional_amount(segment, 5, _KIND) or 0,
            payment_reference=self._trace,
            ordinal=self._seen.again(tuple(segment[1:10])),
        )
        self._line = None

    def _nm1(self, segment: list[str]) -> None:
        claim = self.claim
        if claim is None or len(segment) < 10:
            return
        who, identifier = segment[1], segment[9]
        if who == "QC" or (who == "IL" and not claim.member_id):
            claim.member_id = identifier or claim.member_id
        elif who == "82" and segment[8] == "XX":
            claim.rendering_npi = identifier

    def _cas(self, segment: list[str]) -> None:
        if self._line is not None:
            self._to.adjust(self._line.adjustments, segment, _KIND)
        elif self.claim is not None:
            self._to.adjust(self.claim.adjustments, segment, _KIND)

    def _amt(self, segment: list[str]) -> None:
        code = element(segment, 1)
        if self._line is not None:
            if code == "B6":
                self._line.allowed = self._to.optional_amount(segment, 2, _KIND)
        elif code == "AU" and self.claim is not None:
            self.claim.allowed = self._to.optional_amount(segment, 2, _KIND)

    def _ref(self, segment: list[str]) -> None:
        if len(segment) < 3:
            return
        code, identifier = segment[1], segment[2]
        if self._in_header:
            if self._party == "PR" and code in _PAYER_IDS and not self._payer_id:
                self._payer_id = f"{code}:{identifier}"
            elif self._party == "PE" and code == "TJ":
                self._billing_tin = identifier
        elif self.claim is None:
            return
        elif self._line is not None and code == "6R":
            self._line.number = identifier
        elif code == "F8":
            self.claim.original_reference = identifier
        elif code == "G1":
            self.claim.authorization_number = identifier

    def _dtm(self, segment: list[str]) -> None:
        code = element(segment, 1)
        line, claim = self._line, self.claim
        if line is not None:
            if code in ("472", "150"):
                line.service_from = self._to.day(segment, 2, _KIND)
            elif code == "151":
                line.service_to = self._to.day(segment, 2, _KIND)
            elif code == "050" and claim is not None:
                claim.received_on = self._to.day(segment, 2, _KIND)
        elif claim is not None:
            if code == "232":
                claim.service_from = self._to.day(segment, 2, _KIND)
            elif code == "233":
                claim.service_to = self._to.day(segment, 2, _KIND)
            elif code == "050":
                claim.received_on = self._to.day(segment, 2, _KIND)
        elif code == "405" and self._in_header:
            self._produced_on = self._to.day(segment, 2, _KIND)

    def _svc(self, segment: list[str]) -> None:
        claim, to = self.claim, self._to
        if claim is None:
            return
        charge, paid = to.amount(segment, 2, _KIND), to.amount(segment, 3, _KIND)
        revenue, units, billed, original_units = (segment + PADDING)[4:8]
        separator = to.delimiters.component
        system, code, modifiers = values.procedure(element(segment, 1), separator)
        if system == "NU":
            revenue, code = revenue or code, ""
        self._line = ServiceLine(
            number=str(len(claim.lines) + 1),
            procedure_system=system,
            procedure_code=code,
            modifiers=modifiers,
            revenue_code=revenue,
            units=values.quantity(units or original_units),
            charge=charge,
            paid=paid,
            billed_procedure=values.procedure(billed, separator)[1] if billed else "",
            position=to.position,
        )
        claim.lines.append(self._line)

    def _lq(self, segment: list[str]) -> None:
        if self._line is not None and element(segment, 1) in ("HE", "RX"):
            self._line.remarks.append(element(segment, 2))

    def _moa(self, segment: list[str]) -> None:
        self._remark(segment[3:8])

    def _mia(self, segment: list[str]) -> None:
        self._remark([element(segment, 5), *segment[20:24]])
        if self.claim is not None:
            self.claim.claim_type = "I"

    def _remark(self, codes: Sequence[str]) -> None:
        if self.claim is not None:
            self.claim.remarks.extend(filter(None, codes))

    def _complete(self, claim: Claim) -> None:
        """Judge the balance of a claim and its lines (835 guide, 1.10.2.1)."""
        own = sum([one.amount for one in claim.adjustments])
        lines = 0
        is_institutional, is_odd = bool(claim.drg), False
        for line in claim.lines:
            taken = sum([one.amount for one in line.adjustments])
            lines += taken
            is_odd = is_odd or line.charge - taken != line.paid
            is_institutional = is_institutional or line.revenue_code != ""
        if own and own == lines and claim.charge - own - lines != claim.paid:
            # Some payers repeat the adjustments of the lines at the claim.
            claim.adjustments.clear()
            claim.flags.append("cas_duplicated")
            own = 0
        if claim.charge - own - lines != claim.paid:
            claim.flags.append("claim_unbalanced")
        if is_odd:
            claim.flags.append("line_unbalanced")
        if is_institutional:
            claim.claim_type = "I"
