"""X12 835: what a payer decided and paid (005010X221A1, 004010X091A1).

The story: :class:`Remittance` is shown each segment of one ST. Header segments tell payer, payee
and payment; each CLP opens a claim; the segments after it fill the claim or its latest service line;
the next CLP, LX, PLB or SE closes it. A claim that cannot be read is put aside and the file goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from claimkit.claims.model import Claim, ClaimKind, ServiceLine
from claimkit_x12 import values
from claimkit_x12.transactions import Spoiled, claim_adjustments, element, line_unbalanced

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from claimkit.types import Cents
    from claimkit_x12.transactions import Collector

__all__ = ["Remittance"]

_KIND = ClaimKind.REMITTANCE
#: CLP02 → responsibility of the payer.
_SEQUENCES = {"1": "P", "2": "S", "3": "T", "19": "P", "20": "S", "21": "T"}
#: REF01 in the payer's loop that identifies it.
_PAYER_IDS = frozenset({"2U", "NF", "EO", "HI"})
#: How many claims back an identical CLP is recognized; bounds memory.
_REMEMBERED = 20_000


class Remittance:
    """One transaction set of an 835."""

    kind = _KIND

    def __init__(self, collector: Collector) -> None:
        self._to = collector
        self._claim: Claim | None = None
        self._line: ServiceLine | None = None
        self._raw: list[str] = []
        self._party = ""
        self._payer_name = self._payer_id = self._billing_npi = self._billing_tin = ""
        self._trace = ""
        self._originator = ""
        self._paid_on: dt.date | None = None
        self._produced_on: dt.date | None = None
        self._transfer: Cents | None = None
        self._claims_paid: Cents = 0
        self._provider_adjusted: Cents = 0
        self._seen: dict[int, int] = {}
        self._seen_before: dict[int, int] = {}
        self._spoiled = False
        self._handlers: dict[str, Callable[[list[str]], None]] = {
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

    def take(self, segment: list[str]) -> None:
        """Take one segment between ST and SE."""
        handler = self._handlers.get(segment[0])
        if handler is None or (self._spoiled and segment[0] not in ("CLP", "LX", "PLB")):
            return
        try:
            handler(segment)
        except Spoiled as spoiled:
            self._to.reject(spoiled, _KIND, segment)
            self._claim = self._line = None
            self._spoiled = True

    def close(self) -> None:
        """Close the claim at hand and judge the balance of the whole remittance."""
        self._close_claim()
        if self._transfer is not None:
            should = self._claims_paid - self._provider_adjusted
            if self._transfer != should:
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
        self._originator = element(segment, 10).strip()

    def _trn(self, segment: list[str]) -> None:
        if self._claim is None:
            self._trace = values.text(element(segment, 2))
            self._originator = element(segment, 3).strip() or self._originator

    def _n1(self, segment: list[str]) -> None:
        self._party = element(segment, 1)
        code, identifier = element(segment, 3), element(segment, 4).strip()
        if self._party == "PR":
            self._payer_name = values.text(element(segment, 2))
            self._payer_id = f"{code}:{identifier}" if identifier else ""
        elif self._party == "PE":
            if code == "XX":
                self._billing_npi = identifier
            elif code == "FI":
                self._billing_tin = identifier

    def _lx(self, segment: list[str]) -> None:  # noqa: ARG002
        self._close_claim()
        self._party = ""
        self._spoiled = False

    def _plb(self, segment: list[str]) -> None:
        self._close_claim()
        self._spoiled = False
        for at in range(3, min(len(segment), 15), 2):
            if segment[at].strip():
                self._provider_adjusted += self._to.optional_amount(segment, at + 1, _KIND) or 0
                self._to.note("provider_adjustment", "money moved that belongs to no claim", _KIND)

    # -- claim ----------------------------------------------------------------------------

    def _clp(self, segment: list[str]) -> None:
        self._close_claim()
        self._spoiled = False
        number = values.text(element(segment, 1))
        if not number:
            raise Spoiled(
                "claim_id_missing",
                "a claim has no patient control number",
                "Ask the payer for a corrected remittance",
                "CLP01",
            )
        to = self._to
        charge, paid = to.amount(segment, 3, _KIND), to.amount(segment, 4, _KIND)
        status = element(segment, 2).strip()
        facility = element(segment, 8).strip()
        self._claims_paid += paid
        self._claim = Claim(
            kind=_KIND,
            position=to.segments.number,
            patient_control_number=number,
            payer_claim_control_number=values.text(element(segment, 7)),
            frequency=element(segment, 9).strip(),
            payer_name=self._payer_name,
            payer_id=self._payer_id or (f"TIN:{self._originator}" if self._originator else ""),
            billing_npi=self._billing_npi,
            billing_tin=self._billing_tin,
            filing_indicator=element(segment, 6).strip(),
            facility=facility,
            payer_sequence=_SEQUENCES.get(status, ""),
            drg=element(segment, 11).strip(),
            decided_on=self._produced_on or self._paid_on,
            paid_on=self._paid_on,
            status=status,
            charge=charge,
            paid=paid,
            patient_responsibility=to.optional_amount(segment, 5, _KIND) or 0,
            payment_reference=self._trace,
            ordinal=self._ordinal(segment),
        )
        self._line = None

    def _ordinal(self, segment: list[str]) -> int:
        key = hash(tuple(segment[1:10]))
        times = self._seen.get(key, self._seen_before.get(key, -1)) + 1
        if len(self._seen) >= _REMEMBERED:
            self._seen_before, self._seen = self._seen, {}
        self._seen[key] = times
        return times

    def _nm1(self, segment: list[str]) -> None:
        claim = self._claim
        if claim is None:
            return
        who, identifier = element(segment, 1), element(segment, 9).strip()
        if who == "QC" or (who == "IL" and not claim.member_id):
            claim.member_id = identifier or claim.member_id
        elif who == "82" and element(segment, 8) == "XX":
            claim.rendering_npi = identifier

    def _cas(self, segment: list[str]) -> None:
        if self._claim is not None:
            target = self._claim if self._line is None else self._line
            target.adjustments.extend(self._to.adjustments(segment, _KIND))

    def _amt(self, segment: list[str]) -> None:
        code = element(segment, 1)
        if self._line is not None and code == "B6":
            self._line.allowed = self._to.optional_amount(segment, 2, _KIND)
        elif self._line is None and self._claim is not None and code == "AU":
            self._claim.allowed = self._to.optional_amount(segment, 2, _KIND)

    def _ref(self, segment: list[str]) -> None:
        code, identifier = element(segment, 1), values.text(element(segment, 2))
        claim = self._claim
        if claim is None:
            if self._party == "PR" and code in _PAYER_IDS and not self._payer_id:
                self._payer_id = f"{code}:{identifier}"
            elif self._party == "PE" and code == "TJ":
                self._billing_tin = identifier
        elif self._line is not None and code == "6R":
            self._line.number = identifier
        elif code == "F8":
            claim.original_reference = identifier
        elif code == "G1":
            claim.authorization_number = identifier

    def _dtm(self, segment: list[str]) -> None:
        code = element(segment, 1)
        claim, line = self._claim, self._line
        if claim is None:
            if code == "405":
                self._produced_on = self._to.day(segment, 2, _KIND)
            return
        day = self._to.day(segment, 2, _KIND)
        if line is not None:
            if code in ("472", "150"):
                line.service_from = day
            elif code == "151":
                line.service_to = day
        elif code == "232":
            claim.service_from = day
        elif code == "233":
            claim.service_to = day
        elif code == "050":
            claim.received_on = day

    def _svc(self, segment: list[str]) -> None:
        claim = self._claim
        if claim is None:
            return
        separator = self._to.delimiters.component
        procedure = element(segment, 1).split(separator)
        billed = element(segment, 6).split(separator)
        system, code = procedure[0].strip(), values.component(procedure, 1).strip()
        self._line = ServiceLine(
            number=str(len(claim.lines) + 1),
            procedure_system=system,
            procedure_code=code if system != "NU" else "",
            modifiers=tuple(filter(None, (one.strip() for one in procedure[2:6]))),
            revenue_code=element(segment, 4).strip() or (code if system == "NU" else ""),
            units=values.quantity(element(segment, 5) or element(segment, 7)),
            charge=self._to.amount(segment, 2, _KIND),
            paid=self._to.amount(segment, 3, _KIND),
            billed_procedure=values.component(billed, 1).strip(),
            position=self._to.segments.number,
        )
        claim.lines.append(self._line)

    def _lq(self, segment: list[str]) -> None:
        if self._line is not None and element(segment, 1) in ("HE", "RX"):
            self._line.remarks.append(element(segment, 2).strip())

    def _moa(self, segment: list[str]) -> None:
        self._remarks(segment[3:8])

    def _mia(self, segment: list[str]) -> None:
        self._remarks([element(segment, 5), *segment[20:24]])

    def _remarks(self, codes: Sequence[str]) -> None:
        if self._claim is not None:
            self._claim.remarks.extend(filter(None, (one.strip() for one in codes)))

    def _close_claim(self) -> None:
        claim, self._claim, self._line = self._claim, None, None
        if claim is None:
            return
        own, lines = claim_adjustments(claim)
        if own and own == lines and claim.charge - own - lines != claim.paid:
            # Some payers repeat the adjustments of the lines at the claim.
            claim.adjustments.clear()
            claim.flags.append("cas_duplicated")
            own = 0
        if claim.charge - own - lines != claim.paid:
            claim.flags.append("claim_unbalanced")
        if any(map(line_unbalanced, claim.lines)):
            claim.flags.append("line_unbalanced")
        claim.claim_type = "I" if claim.drg or any(one.revenue_code for one in claim.lines) else ""
        self._to.claims.append(claim)
