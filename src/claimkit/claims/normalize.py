"""Between reader and store: the port of normalizers, and the built-in ones.

A normalizer works on a whole batch, in place. The built-in ones fill what a record means: the
payer's canonical name, the claim's procedure and its group, the outcome with its reason, what was
allowed where the source does not say, and the token that stands for the patient.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from claimkit.claims.carc import Verdict, default_carc_table, judge
from claimkit.claims.model import Claim, ClaimKind, Outcome
from claimkit.claims.payers import PayerNames
from claimkit.claims.privacy import find_personal, may_be_personal, patient_token, scrub
from claimkit.claims.procedures import INPATIENT, default_groups

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Sequence

    from claimkit.claims.carc import CarcTable
    from claimkit.claims.lone import LoneClaims
    from claimkit.claims.model import Adjustment, ClaimBatch, ServiceLine
    from claimkit.claims.procedures import ProcedureGroups
    from claimkit.types import Cents

__all__ = [
    "AllowedNormalizer",
    "ColumnNormalizer",
    "DateNormalizer",
    "NormalizeContext",
    "Normalizer",
    "OutcomeNormalizer",
    "PatientNormalizer",
    "PayerNormalizer",
    "ProcedureNormalizer",
    "builtin_normalizers",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalizeContext:
    """What normalizers may know of where a batch comes from."""

    #: Key for hashing patient identifiers; per tenant, never stored beside the hashes.
    patient_key: bytes = field(repr=False)
    source_name: str = ""


class Normalizer(Protocol):
    """Cleans a whole batch in place. Registered by ``claimkit_register_normalizers``."""

    name: str
    #: Names of normalizers that must have run before this one.
    after: tuple[str, ...]

    def normalize(self, batch: ClaimBatch, context: NormalizeContext) -> None:
        """Fill or repair fields of ``batch.claims``; move hopeless ones to ``batch.problems``."""
        ...


@runtime_checkable
class ColumnNormalizer(Normalizer, Protocol):
    """A normalizer that also cleans claims in columns; all must be, or none come so."""

    def normalize_lone(self, lone: LoneClaims, context: NormalizeContext) -> None:
        """Do the same to claims that came as columns, by replacing columns."""
        ...


#: Texts of a claim and of a line in which people write what they like.
_TEXTS = ("authorization_number", "billing_npi", "billing_tin", "diagnosis", "frequency",
          "payment_reference", "rendering_npi")  # fmt: skip
_LINE_TEXTS = ("number", "procedure_code", "revenue_code", "billed_procedure")
#: Numbers by which claims are told apart; what takes their place must tell them apart as well.
_NUMBERS = ("patient_control_number", "payer_claim_control_number", "original_reference")


class PatientNormalizer:
    """Replaces member ids by keyed hashes, and takes personal details out of all other fields."""

    name = "patients"
    after: tuple[str, ...] = ()

    def normalize(self, batch: ClaimBatch, context: NormalizeContext) -> None:
        """Fill ``patient_token`` and forget ``member_id``.

        Raises:
            ConfigError: there are member ids and the key is shorter than 16 bytes.
        """
        key = context.patient_key
        for claim in batch.claims:
            if claim.member_id:
                claim.patient_token = patient_token(claim.member_id, key)
                claim.member_id = ""
            claim.facility = _scrubbed(claim.facility)
            claim.payer_name = _scrubbed(claim.payer_name)
            claim.payer_id = _scrubbed(claim.payer_id)
            claim.filing_indicator = _scrubbed(claim.filing_indicator)
        for name in _TEXTS:
            _hide(batch.claims, name, scrub)
        for name in _NUMBERS:
            # A claim keeps its identity: the same number has the same token.
            _hide(batch.claims, name, lambda number: f"id-{patient_token(number, key)}")
        lines = [line for claim in batch.claims for line in claim.lines]
        for name in _LINE_TEXTS:
            _hide(lines, name, scrub)

    def normalize_lone(self, lone: LoneClaims, context: NormalizeContext) -> None:
        """Do the same to columns."""
        key = context.patient_key
        members = lone.claims.pop("member_id", None)
        if members is not None:
            tokens = {one: patient_token(one, key) if one else "" for one in set(members)}
            lone.claims["patient_token"] = list(map(tokens.__getitem__, members))
        for name in _SCRUBBED & lone.claims.keys():
            lone.claims[name] = list(map(_scrubbed, lone.claims[name]))
        for columns, names in ((lone.claims, _TEXTS), (lone.lines, _LINE_TEXTS)):
            for name in names:
                _hide_cells(columns, name, scrub)
        for name in _NUMBERS:
            _hide_cells(lone.claims, name, lambda number: f"id-{patient_token(number, key)}")


_SCRUBBED = frozenset({"facility", "payer_name", "payer_id", "filing_indicator"})
#: Facilities, payers and lines of business are few.
_scrubbed = lru_cache(maxsize=10_000)(scrub)


def _hide(records: Sequence[object], name: str, hide: Callable[[str], str]) -> None:
    """Replace the values of one field that hold a personal detail."""
    hidden = _hidden(map(attrgetter(name), records), hide)
    if hidden:
        for record in records:
            value = getattr(record, name)
            setattr(record, name, hidden.get(value, value))


def _hide_cells(columns: dict[str, list[Any]], name: str, hide: Callable[[str], str]) -> None:
    """Do the same to a column, if there is one."""
    hidden = _hidden(columns.get(name, ()), hide)
    if hidden:
        columns[name] = [hidden.get(value, value) for value in columns[name]]


def _hidden(column: Iterable[str], hide: Callable[[str], str]) -> dict[str, str]:
    """Return what takes the place of values that hold a personal detail."""
    values = set(column)
    # One look at the whole column, because hardly any file has such values.
    if not may_be_personal("\n".join(values)):
        return {}
    return {
        value: hide(value) for value in values if may_be_personal(value) and find_personal(value)
    }


class PayerNormalizer:
    """Gives each claim the canonical name of its payer.

    Args:
        names: Payer names with a mapping; the folded names alone if None.
    """

    name = "payers"
    after: tuple[str, ...] = ("patients",)

    def __init__(self, names: PayerNames | None = None) -> None:
        self._names = names or PayerNames()

    def normalize(self, batch: ClaimBatch, context: NormalizeContext) -> None:
        """Fill ``payer``; each distinct name of the batch is folded once."""
        del context
        known: dict[tuple[str, str], str] = {}
        for claim in batch.claims:
            stated = (claim.payer_name, claim.payer_id)
            payer = known.get(stated)
            if payer is None:
                payer = known[stated] = self._names.of(*stated)
            claim.payer = payer

    def normalize_lone(self, lone: LoneClaims, context: NormalizeContext) -> None:
        """Do the same to columns."""
        del context
        stated = list(zip(lone.claim("payer_name"), lone.claim("payer_id"), strict=True))
        payers = {one: self._names.of(*one) for one in set(stated)}
        lone.claims["payer"] = list(map(payers.__getitem__, stated))


class ProcedureNormalizer:
    """Finds the procedure that stands for a claim: that of the line with the largest charge.

    Args:
        groups: Table of groups; the shipped one if None.
    """

    name = "procedures"
    after: tuple[str, ...] = ()

    def __init__(self, groups: ProcedureGroups | None = None) -> None:
        self._groups = groups or default_groups()

    def normalize(self, batch: ClaimBatch, context: NormalizeContext) -> None:
        """Fill ``procedure_code`` and ``procedure_group``."""
        del context
        known: dict[tuple[str, str], str] = {}
        for claim in batch.claims:
            line = _leading_line(claim)
            if line is None:
                system, code = "HC", claim.procedure_code or claim.drg
            elif line.procedure_code:
                system, code = line.procedure_system, line.procedure_code
            else:
                system, code = "NU", line.revenue_code
            claim.procedure_code = code
            if claim.drg:
                claim.procedure_group = INPATIENT
                continue
            group = known.get((code, system))
            if group is None:
                group = known[code, system] = self._groups.of(code, system) if code else ""
            claim.procedure_group = group

    def normalize_lone(self, lone: LoneClaims, context: NormalizeContext) -> None:
        """Do the same to columns; a CSV tells no DRG."""
        del context
        billed = list(
            zip(
                lone.line("procedure_system"),
                lone.line("procedure_code"),
                lone.line("revenue_code"),
                strict=True,
            )
        )
        codes = {one: one[:2] if one[1] else ("NU", one[2]) for one in set(billed)}
        groups = {
            one: self._groups.of(code, system) if code else ""
            for one, (system, code) in codes.items()
        }
        lone.claims["procedure_code"] = [codes[one][1] for one in billed]
        lone.claims["procedure_group"] = list(map(groups.__getitem__, billed))


def _leading_line(claim: Claim) -> ServiceLine | None:
    if len(claim.lines) < 2:
        return claim.lines[0] if claim.lines else None
    # On equal charges the code decides, so that the order of lines in a file does not.
    return max(
        claim.lines,
        key=lambda line: (line.procedure_code != "", abs(line.charge), line.procedure_code),
    )


class DateNormalizer:
    """Gives each claim the dates of service that its lines tell."""

    name = "dates"
    after: tuple[str, ...] = ()

    def normalize(self, batch: ClaimBatch, context: NormalizeContext) -> None:
        """Fill ``service_from`` and ``service_to`` where the claim itself does not say."""
        del context
        for claim in batch.claims:
            if claim.service_from is None:
                starts = [line.service_from for line in claim.lines if line.service_from]
                claim.service_from = min(starts, default=None)
            if claim.service_to is None:
                ends = (line.service_to or line.service_from for line in claim.lines)
                claim.service_to = max(filter(None, ends), default=claim.service_from)

    def normalize_lone(self, lone: LoneClaims, context: NormalizeContext) -> None:
        """Do nothing: the dates of such a claim are those of its only line."""


#: Contractual reductions of the payment that leave the allowed amount as it is: prompt-pay
#: discount, withholds, incentives, sequestration.
_PAYMENT_ONLY = frozenset({"44", "104", "105", "144", "161", "245", "253"})


class AllowedNormalizer:
    """Derives what the payer allowed where a remittance does not say.

    Args:
        table: Categories of reasons; the shipped table if None.
    """

    name = "allowed"
    after: tuple[str, ...] = ()

    def __init__(self, table: CarcTable | None = None) -> None:
        self._table = table or default_carc_table()

    def normalize(self, batch: ClaimBatch, context: NormalizeContext) -> None:
        """Fill ``allowed``: the lines' sum, else charge less contractual and denied amounts."""
        del context
        for claim in batch.claims:
            if claim.allowed is None and claim.kind in (ClaimKind.REMITTANCE, ClaimKind.FHIR):
                claim.allowed = self._allowed(claim)

    def normalize_lone(self, lone: LoneClaims, context: NormalizeContext) -> None:
        """Do nothing: a CSV states what was allowed, or does not."""

    def _allowed(self, claim: Claim) -> Cents | None:
        stated = [line.allowed for line in claim.lines if line.allowed is not None]
        if stated and len(stated) == len(claim.lines):
            return sum(stated)
        adjustments = list(claim.adjustments)
        for line in claim.lines:
            adjustments += line.adjustments
        if not adjustments:
            return claim.charge if claim.paid == claim.charge else None
        allowed = claim.charge - sum(map(self._not_allowed, adjustments))
        # Less allowed than was paid means that the reductions do not add up: better not to know.
        return allowed if abs(allowed) >= abs(claim.paid) else None

    def _not_allowed(self, one: Adjustment) -> Cents:
        category = self._table.category(one.reason)
        reduces = category.name == "contractual" and one.reason not in _PAYMENT_ONLY
        return one.amount if reduces or category.denial_when_unpaid else 0


class OutcomeNormalizer:
    """Says what became of each claim; see :func:`claimkit.claims.carc.judge`.

    Args:
        table: Categories of reasons; the shipped table if None.
    """

    name = "outcomes"
    after: tuple[str, ...] = ("allowed",)

    def __init__(self, table: CarcTable | None = None) -> None:
        self._table = table or default_carc_table()

    def normalize(self, batch: ClaimBatch, context: NormalizeContext) -> None:
        """Fill ``outcome``, ``reason``, ``category`` and ``remark``; add to ``flags`` what was odd."""
        del context
        for claim in batch.claims:
            verdict = judge(claim, self._table)
            claim.outcome = verdict.outcome
            claim.reason = verdict.reason
            claim.category = verdict.category
            claim.remark = verdict.remark
            claim.flags.extend(verdict.flags)
            if claim.outcome is Outcome.DENIED and claim.allowed:
                # Payers repeat the fee schedule on denied lines: nothing was allowed.
                claim.allowed = 0

    def normalize_lone(self, lone: LoneClaims, context: NormalizeContext) -> None:
        """Do the same to columns: without adjustments few things decide."""
        del context
        told = list(
            zip(
                lone.claim("status"),
                [cents > 0 for cents in lone.claim("paid")],
                lone.claim("decided_on"),
                strict=True,
            )
        )
        verdicts = {one: self._verdict(*one) for one in set(told)}
        found = list(map(verdicts.__getitem__, told))
        for at, name in enumerate(Verdict._fields):
            lone.claims[name] = list(map(itemgetter(at), found))
        if any(one.outcome is Outcome.DENIED for one in verdicts.values()):
            lone.claims["allowed"] = [
                0 if cents and outcome is Outcome.DENIED else cents
                for cents, outcome in zip(
                    lone.claim("allowed"), lone.claims["outcome"], strict=True
                )
            ]

    def _verdict(self, status: str, paid: bool, decided_on: dt.date | None) -> Verdict:  # noqa: FBT001
        alike = Claim(
            kind=ClaimKind.CSV,
            position=0,
            patient_control_number="",
            status=status,
            paid=int(paid),
            decided_on=decided_on,
        )
        return judge(alike, self._table)


def builtin_normalizers() -> tuple[Normalizer, ...]:
    """Return claimkit's own normalizers."""
    return (
        PatientNormalizer(),
        PayerNormalizer(),
        ProcedureNormalizer(),
        DateNormalizer(),
        AllowedNormalizer(),
        OutcomeNormalizer(),
    )
