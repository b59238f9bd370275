"""The canonical claim: what one source said (records), and what is known in the end (positions).

A reader turns a file into :class:`Claim` records: one per CLP of an 835, per CLM of an 837, per
claim of a CSV. A record becomes one or more :class:`ClaimEvent` s, which are kept for ever, and
the events of one claim fold into its :class:`ClaimPosition`: order and repetition do not matter.
The fold itself is :mod:`claimkit.claims.ledger`.

Records and events are slotted but not frozen: they are made by the million, and freezing costs
three times the construction. Treat them as values once a batch has left its normalizers.
Money is in cents. Fields without a value are ``""`` or ``None``, never a made-up default.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from decimal import Decimal

    from claimkit.claims.lone import LoneClaims
    from claimkit.types import Cents

__all__ = [
    "Added",
    "Adjustment",
    "Claim",
    "ClaimBatch",
    "ClaimEvent",
    "ClaimKind",
    "ClaimPosition",
    "EventKind",
    "Notice",
    "Outcome",
    "RowProblem",
    "ServiceLine",
    "service_lines",
]


class ClaimKind(StrEnum):
    """The transaction or file kind that a record came from."""

    REMITTANCE = "835"
    PROFESSIONAL = "837P"
    INSTITUTIONAL = "837I"
    DENTAL = "837D"
    CSV = "csv"
    FHIR = "fhir"


class Outcome(StrEnum):
    """What became of a claim. ``PENDING`` until a payer decided."""

    PENDING = "pending"
    PAID = "paid"
    DENIED = "denied"
    #: Some lines or units denied, others paid.
    PARTIAL = "partial"
    #: The payer took an earlier decision back and has not replaced it.
    REVERSED = "reversed"
    #: Decided without payment and without a denial: all deductible, capitation, prior payer.
    ZERO_PAID = "zero_paid"
    #: Not a decision: forwarded, predetermination, rejected by a clearinghouse, voided.
    OTHER = "other"


class Adjustment(NamedTuple):
    """One CAS triplet: why a payer paid less than was charged (X12 835 CAS, 837 2320/2430 CAS)."""

    #: CO, PR, OA, PI or CR (4010 and laggards); ``""`` where a CSV names only the code.
    group: str
    #: CARC, such as ``"197"``.
    reason: str
    amount: Cents
    #: Units, where the payer adjusted units; None where it did not.
    quantity: Decimal | None = None


@dataclass(slots=True, kw_only=True)
class ServiceLine:
    """One service of a claim (835 SVC, 837 SV1/SV2/SV3, a row of a line-grain CSV)."""

    #: The provider's line control number (REF*6R), else its ordinal in the claim.
    number: str
    #: X12 qualifier of the code: HC, AD, NU, N4, ZZ, HP, ...; ``""`` where there is no code.
    procedure_system: str = "HC"
    procedure_code: str = ""
    modifiers: tuple[str, ...] = ()
    revenue_code: str = ""
    units: Decimal | None = None
    service_from: dt.date | None = None
    service_to: dt.date | None = None
    charge: Cents = 0
    allowed: Cents | None = None
    paid: Cents = 0
    #: The billed procedure where the payer adjudicated another one (835 SVC06).
    billed_procedure: str = ""
    adjustments: list[Adjustment] = field(default_factory=list)
    #: RARC (835 LQ*HE).
    remarks: list[str] = field(default_factory=list)
    #: Segment number or physical line in the file.
    position: int = 0


@dataclass(slots=True, kw_only=True)
class Claim:
    """What one source says of one claim, as read and then as normalized.

    The source of each field by format is in ``explanation/claim-model`` of the docs.
    """

    kind: ClaimKind
    #: 1-based ordinal of the CLP or CLM segment in its file, or physical line of a CSV row.
    position: int

    # -- who and which claim --------------------------------------------------------------
    #: The provider's own number: CLP01, CLM01, "claim id" of a CSV.
    patient_control_number: str
    #: The payer's number (ICN, DCN): CLP07.
    payer_claim_control_number: str = ""
    #: On a replacement or void, the payer's number of what it replaces: REF*F8.
    original_reference: str = ""
    #: Claim frequency: 1 original, 7 replacement, 8 void (CLM05-3, CLP09); ``""`` if unknown.
    frequency: str = ""
    payer_name: str = ""
    #: ``namespace:id``, such as ``XV:60054``, ``PI:60054``, ``TIN:1512345678``.
    payer_id: str = ""
    billing_npi: str = ""
    billing_tin: str = ""
    rendering_npi: str = ""
    #: Raw member or subscriber id; normalizers replace it by :attr:`patient_token`.
    member_id: str = field(default="", repr=False)

    # -- what kind of claim ---------------------------------------------------------------
    #: ``P`` professional, ``I`` institutional, ``D`` dental, ``""`` unknown.
    claim_type: str = ""
    #: CLP06 or SBR09: 12 PPO, HM HMO, MB Medicare B, MC Medicaid, ...
    filing_indicator: str = ""
    #: Place of service or facility type: CLM05-1, CLP08; the facility column of a CSV.
    facility: str = ""
    #: Responsibility of the payer: ``P``, ``S``, ``T`` or ``""``.
    payer_sequence: str = ""
    diagnosis: str = ""
    drg: str = ""
    authorization_number: str = ""

    # -- when -----------------------------------------------------------------------------
    service_from: dt.date | None = None
    service_to: dt.date | None = None
    #: Sent to the payer (BHT04, GS04; "submitted" of a CSV).
    submitted_on: dt.date | None = None
    #: Received by the payer (835 DTM*050).
    received_on: dt.date | None = None
    #: Decided by the payer (835 DTM*405, else BPR16).
    decided_on: dt.date | None = None
    #: Money moved (BPR16).
    paid_on: dt.date | None = None

    # -- what was said --------------------------------------------------------------------
    #: CLP02 of an 835; the folded status word of a CSV (``paid``, ``denied``, ``pending``, ...).
    status: str = ""
    charge: Cents = 0
    #: As stated (AMT*AU, "allowed"); None where the source does not say.
    allowed: Cents | None = None
    paid: Cents = 0
    patient_responsibility: Cents = 0
    #: Check or EFT number: TRN02.
    payment_reference: str = ""
    #: Claim-level CAS; line-level ones live on the lines.
    adjustments: list[Adjustment] = field(default_factory=list)
    #: Claim-level RARC (MOA, MIA).
    remarks: list[str] = field(default_factory=list)
    lines: list[ServiceLine] = field(default_factory=list)
    #: Codes of what was odd but usable: ``claim_unbalanced``, ``cas_duplicated``, ...
    flags: list[str] = field(default_factory=list)
    #: Nth identical statement of this claim in one transaction set, from 0.
    ordinal: int = 0

    # -- filled by normalizers ------------------------------------------------------------
    #: Canonical payer name.
    payer: str = ""
    #: Code of the line with the largest charge, and its group (CLAIM: "the procedure").
    procedure_code: str = ""
    procedure_group: str = ""
    #: Payer and group before the tenant's own mapping; ``""`` where it changed nothing.
    base_payer: str = ""
    base_group: str = ""
    outcome: Outcome = Outcome.PENDING
    #: ``group-CARC`` that explains a denial, ``""`` if not denied.
    reason: str = ""
    #: Our own category of that CARC; see ``reference/carc-categories``.
    category: str = ""
    remark: str = ""
    #: Keyed hash of the member id; ``""`` where there is none.
    patient_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowProblem:
    """One row, claim or segment that could not be taken, and how to repair it."""

    #: Stable code, such as ``money_invalid``; see ``reference/row-problems``.
    code: str
    #: Public: never carries the value of an identifying field.
    message: str
    remedy: str
    #: Physical line of a CSV, segment number of an X12 file; 1-based.
    position: int
    kind: ClaimKind
    #: Column header or segment id with element, such as ``Paid Amt`` or ``CLP04``.
    field_name: str = ""
    #: Offending value, at most 40 characters, masked when the field is identifying.
    value: str = ""
    #: The row as read, for the repair file only; may hold PHI and never leaves the tenant.
    raw: tuple[str, ...] = field(default=(), repr=False)
    #: Column names of :attr:`raw`; shared by all problems of a file.
    header: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something odd that did not stop anything: ``isa_width``, ``unknown_column``, ..."""

    code: str
    message: str
    position: int = 0
    kind: ClaimKind | None = None


@dataclass(slots=True, kw_only=True)
class ClaimBatch:
    """A few thousand claims read from one file, with what went wrong on the way.

    A reader yields at least one batch per file, so that an empty file still tells its kind.
    """

    claims: list[Claim] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    #: Transaction kinds that opened so far in this batch, with or without claims.
    kinds: tuple[ClaimKind, ...] = ()
    #: Bytes of the file consumed when the batch was cut; for progress.
    bytes_read: int = 0
    #: Column names of ``RowProblem.raw``, for the repair file; empty for X12.
    header: tuple[str, ...] = ()
    #: Rows of a CSV behind this batch: all of them, those that are in its claims, and those
    #: passed over on purpose (blank, repeated word for word). The rest became problems.
    rows_read: int = 0
    rows_accepted: int = 0
    rows_skipped: int = 0
    #: Name of the template by which the file was read; empty if none.
    template: str = ""
    #: Why the reader gave up before the file's end; empty when it did not.
    stopped: str = ""
    #: Further claims, as columns; only where ``ReadOptions.columnar`` asked for them.
    lone: LoneClaims | None = None

    def unfold(self) -> None:
        """Turn claims that came as columns into records like the others, in file order."""
        if self.lone is not None:
            self.claims += self.lone.records(range(len(self.lone)))
            self.claims.sort(key=attrgetter("position"))
            self.lone = None


class EventKind(StrEnum):
    """What an event does to a claim."""

    SUBMITTED = "submitted"
    DECIDED = "decided"
    #: The payer takes a decision back (CLP02 22).
    REVERSED = "reversed"
    #: The provider withdraws the claim (frequency 8).
    VOIDED = "voided"
    #: Neither: rejected by a clearinghouse, forwarded, predetermination.
    NOTED = "noted"


@dataclass(slots=True, kw_only=True)
class ClaimEvent:
    """One narrow, append-only statement about a claim; what stores keep beside the position."""

    #: 64-bit signed hash of the claim's identity; the same in every store.
    claim_key: int
    #: 64-bit signed hash of this statement's identity: the same statement again has the same key.
    event_key: int
    #: 64-bit signed hash of everything the statement says; differs when it was corrected.
    content: int
    #: Statements with the same decision key are parts (lines) of one decision or submission.
    decision_key: int
    kind: EventKind
    source: ClaimKind
    patient_control_number: str
    payer_claim_control_number: str
    original_reference: str
    frequency: str
    status: str
    #: Name and id of the payer as stated, and its canonical name before the tenant's own mapping.
    payer_name: str
    payer_id: str
    base_payer: str
    payer: str
    procedure_code: str
    #: Group before the tenant's own mapping.
    base_group: str
    procedure_group: str
    facility: str
    line_of_business: str
    provider: str
    authorization_number: str
    patient_token: str
    outcome: Outcome
    category: str
    reason: str
    remark: str
    service_from: dt.date | None
    submitted_on: dt.date | None
    received_on: dt.date | None
    decided_on: dt.date | None
    paid_on: dt.date | None
    charge: Cents
    allowed: Cents | None
    paid: Cents
    patient_responsibility: Cents
    #: Upload that told it first, and where in the file.
    upload: str
    position: int
    #: The day on which the statement became known.
    known_on: dt.date


@dataclass(slots=True, kw_only=True)
class ClaimPosition:
    """What is known of one claim now: the fold of all its events."""

    claim_key: int
    patient_control_number: str
    payer_claim_control_number: str = ""
    payer: str = ""
    procedure_code: str = ""
    procedure_group: str = ""
    facility: str = ""
    line_of_business: str = ""
    provider: str = ""
    authorization_number: str = ""
    patient_token: str = ""
    frequency: str = ""
    service_from: dt.date | None = None
    #: First submission, else the payer's receipt.
    submitted_on: dt.date | None = None
    #: The first decision: what drift compares, because rework would count twice.
    first_decided_on: dt.date | None = None
    first_outcome: Outcome = Outcome.PENDING
    first_category: str = ""
    first_reason: str = ""
    #: The decision that stands now.
    outcome: Outcome = Outcome.PENDING
    category: str = ""
    reason: str = ""
    remark: str = ""
    decided_on: dt.date | None = None
    paid_on: dt.date | None = None
    charge: Cents = 0
    allowed: Cents | None = None
    #: Net over all decisions and reversals.
    paid: Cents = 0
    patient_responsibility: Cents = 0
    #: Days from submission to first decision; None where either is unknown or the order is wrong.
    lag_days: int | None = None
    has_submission: bool = False
    has_decision: bool = False
    reversals: int = 0
    first_pass: bool = True
    #: Upload of the latest event.
    upload: str = ""
    position: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What adding a batch did: claims that are new, changed, or the same as before.

    ``statements_same`` counts records that were known already, word for word.
    """

    new: int = 0
    changed: int = 0
    same: int = 0
    statements_same: int = 0

    def __add__(self, other: Added) -> Added:
        return Added(
            new=self.new + other.new,
            changed=self.changed + other.changed,
            same=self.same + other.same,
            statements_same=self.statements_same + other.statements_same,
        )


def service_lines(claims: Sequence[Claim]) -> int:
    """Return how many service lines the claims hold together."""
    return sum(len(claim.lines) for claim in claims)
