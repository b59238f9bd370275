"""What can be exported of claims and findings: columns, and rows of any store by columns."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from claimkit.claims.model import Outcome
from claimkit.reports.exports import ExportColumn, ExportKind
from claimkit.tenants import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from claimkit.claims.model import ClaimPosition
    from claimkit.drift.findings import Finding, FindingState

__all__ = ["CLAIM_COLUMNS", "FINDING_COLUMNS", "claim_batches", "finding_batch"]


def _text(name: str, description: str, **more: Any) -> ExportColumn:
    return ExportColumn(name=name, description=description, **more)


def _of(kind: ExportKind, name: str, description: str, **more: Any) -> ExportColumn:
    return ExportColumn(name=name, kind=kind, description=description, **more)


#: What tells nothing of a patient, a place or a provider, and no number that a claim goes by.
_SAFE = {"in_safe_harbor": True}


#: Of :class:`~claimkit.claims.model.ClaimPosition`, field by field.
CLAIM_COLUMNS = (
    _text(
        "patient_control_number",
        "Your own claim number.",
        is_personal=True,
        least_role=Role.ANALYST,
    ),
    _text(
        "payer_claim_control_number",
        "The payer's claim number.",
        is_personal=True,
        least_role=Role.ANALYST,
    ),
    _text(
        "authorization_number",
        "Number of the prior authorization.",
        is_personal=True,
        least_role=Role.ANALYST,
    ),
    _text("payer", "Normalized name.", **_SAFE),
    _text("procedure_code", "First procedure, as CPT or HCPCS.", **_SAFE),
    _text("procedure_group", "Group of the procedure.", **_SAFE),
    _text("facility", "Facility, as the files tell it."),
    _text("line_of_business", "Plan or line of business."),
    _text("provider", "Who rendered or billed."),
    _text(
        "outcome", f"The decision that stands: {', '.join(one.value for one in Outcome)}.", **_SAFE
    ),
    _text("category", "Category of the denial.", **_SAFE),
    _text("reason", "CARC with its group, such as CO-197.", **_SAFE),
    _text("remark", "RARC.", **_SAFE),
    _text("first_outcome", "The first decision.", **_SAFE),
    _text("first_category", "Category of the first denial.", **_SAFE),
    _text("first_reason", "CARC of the first denial.", **_SAFE),
    _of(ExportKind.DATE, "service_from", "First day of service.", **_SAFE),
    _of(ExportKind.DATE, "submitted_on", "Day of submission.", **_SAFE),
    _of(ExportKind.DATE, "first_decided_on", "Day of the first decision.", **_SAFE),
    _of(ExportKind.DATE, "decided_on", "Day of the decision that stands.", **_SAFE),
    _of(ExportKind.DATE, "paid_on", "Day of payment.", **_SAFE),
    _of(ExportKind.INTEGER, "lag_days", "Days from submission to the first decision.", **_SAFE),
    _of(ExportKind.MONEY, "charge", "Billed.", **_SAFE),
    _of(ExportKind.MONEY, "allowed", "Allowed.", **_SAFE),
    _of(ExportKind.MONEY, "paid", "Paid.", **_SAFE),
    _of(ExportKind.MONEY, "patient_responsibility", "What the patient owes.", **_SAFE),
    _of(ExportKind.INTEGER, "reversals", "How often a payment was taken back.", **_SAFE),
    _of(ExportKind.BOOLEAN, "first_pass", "False for replacements, voids and duplicates.", **_SAFE),
)

#: Of :class:`~claimkit.drift.findings.Finding` with its life.
FINDING_COLUMNS = (
    _of(ExportKind.TEXT, "state", "open, resolved or accepted."),
    _of(ExportKind.TEXT, "tier", "alert or watch."),
    _of(ExportKind.TEXT, "severity", "low, medium, high or critical."),
    _of(ExportKind.TEXT, "signal", "What changed, such as denial_rate."),
    _of(ExportKind.TEXT, "detector", "Who found it."),
    _of(ExportKind.TEXT, "payer", "Normalized name."),
    _of(ExportKind.TEXT, "procedure_groups", "Names with commas; empty means all."),
    _of(ExportKind.TEXT, "category", "Category of denials; empty means all."),
    _of(ExportKind.DATE, "onset", "Since when."),
    _of(ExportKind.DATE, "detected_on", "First night on which it showed."),
    _of(ExportKind.DATE, "as_of", "Night of the numbers."),
    _of(ExportKind.DATE, "ended_on", "Last day, once it is over."),
    _of(ExportKind.TEXT, "unit", "Of the five numbers that follow."),
    _of(ExportKind.NUMBER, "baseline", "What was expected."),
    _of(ExportKind.NUMBER, "current", "What was seen."),
    _of(ExportKind.NUMBER, "effect", "The difference."),
    _of(ExportKind.NUMBER, "low", "Lower end of its 95 % interval."),
    _of(ExportKind.NUMBER, "high", "Upper end."),
    _of(ExportKind.INTEGER, "claims", "Claims decided since the onset."),
    _of(ExportKind.MONEY, "dollars_per_month", "At risk."),
    _of(ExportKind.BOOLEAN, "preliminary", "Not yet measured again from later decisions."),
    _of(ExportKind.TEXT, "summary", "In one sentence."),
)


def claim_batches(
    batches: Iterable[Sequence[ClaimPosition]], names: Sequence[str]
) -> Iterator[Sequence[Sequence[Any]]]:
    """Yield columns of claims, batch by batch, as a store scans them."""
    for batch in batches:
        yield [list(map(attrgetter(name), batch)) for name in names]


def finding_batch(
    findings: Sequence[tuple[Finding, FindingState]], names: Sequence[str]
) -> Sequence[Sequence[Any]]:
    """Return columns of findings; there are few."""
    rows = [_finding_row(one, state) for one, state in findings]
    return [[row[name] for row in rows] for name in names]


def _finding_row(finding: Finding, state: FindingState) -> dict[str, Any]:
    own = {one.name: getattr(finding, one.name, None) for one in FINDING_COLUMNS}
    low, high = finding.interval
    return own | {
        "state": state.value,
        "payer": finding.segment.payer,
        "procedure_groups": ", ".join(finding.segment.procedure_groups),
        "category": finding.segment.category,
        "ended_on": finding.ended,
        "low": low,
        "high": high,
    }
