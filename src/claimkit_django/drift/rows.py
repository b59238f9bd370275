"""Findings as rows and back."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any

from claimkit.drift.findings import Evidence, Finding, Segment, Signal, Tier
from claimkit.types import Severity
from claimkit_django.drift import models

if TYPE_CHECKING:
    from claimkit.drift.findings import FindingState

__all__ = ["finding_of", "write_finding"]

_SEVERITY_OF = {rank: severity for severity, rank in models.SEVERITY_RANKS.items()}


def write_finding(row: models.Finding, finding: Finding, state: FindingState) -> models.Finding:
    """Set the row's columns to what the finding says, and return the row."""
    told = finding.told_severity
    row.fingerprint = finding.fingerprint
    row.state = state.value
    row.signal = finding.signal.value
    row.detector = finding.detector
    row.tier = finding.tier.value
    row.severity = finding.severity.value
    row.severity_rank = models.SEVERITY_RANKS[finding.severity]
    row.payer = finding.segment.payer
    row.procedure_groups = list(finding.segment.procedure_groups)
    row.category = finding.segment.category
    row.places = {name: list(values) for name, values in finding.places.items()}
    row.onset = finding.onset
    row.as_of = finding.as_of
    row.unit = finding.unit
    row.baseline = finding.baseline
    row.current = finding.current
    row.effect = finding.effect
    row.low, row.high = finding.interval
    row.claims = finding.claims
    row.dollars_per_month = finding.dollars_per_month
    row.score = finding.score
    row.threshold = finding.threshold
    row.summary = finding.summary
    row.preliminary = finding.preliminary
    row.why = list(finding.why)
    row.evidence = _evidence_json(finding.evidence)
    row.detected_on = finding.detected_on
    row.ended_on = finding.ended
    row.told_dollars = finding.told_dollars_per_month
    row.revised = finding.revised
    row.accepted_on = finding.accepted_on
    row.accepted_by = finding.accepted_by
    row.told_severity_rank = None if told is None else models.SEVERITY_RANKS[told]
    return row


def finding_of(row: models.Finding) -> Finding:
    """Return the finding that a row holds."""
    rank = row.told_severity_rank
    return Finding(
        fingerprint=row.fingerprint,
        signal=Signal(row.signal),
        segment=Segment(
            payer=row.payer,
            procedure_groups=tuple(row.procedure_groups),
            category=row.category,
        ),
        detector=row.detector,
        tier=Tier(row.tier),
        severity=Severity(row.severity),
        places={name: tuple(values) for name, values in row.places.items()},
        onset=row.onset,
        as_of=row.as_of,
        unit=row.unit,
        baseline=row.baseline,
        current=row.current,
        effect=row.effect,
        interval=(row.low, row.high),
        claims=row.claims,
        dollars_per_month=row.dollars_per_month,
        score=row.score,
        threshold=row.threshold,
        summary=row.summary,
        why=tuple(row.why),
        evidence=_evidence_of(row.evidence),
        preliminary=row.preliminary,
        detected_on=row.detected_on,
        ended=row.ended_on,
        told_dollars_per_month=row.told_dollars,
        told_severity=None if rank is None else _SEVERITY_OF[rank],
        revised=row.revised,
        accepted_on=row.accepted_on,
        accepted_by=row.accepted_by,
    )


def _evidence_json(evidence: Evidence) -> dict[str, Any]:
    return {
        field.name: _json_of(getattr(evidence, field.name))
        for field in dataclasses.fields(evidence)
    }


def _json_of(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _json_of(one) for key, one in value.items()}
    if isinstance(value, (tuple, list)):
        return [_json_of(one) for one in value]
    return value.isoformat() if isinstance(value, dt.date) else value


def _evidence_of(stored: dict[str, Any]) -> Evidence:
    known = {field.name for field in dataclasses.fields(Evidence)}
    values = {name: _value_of(one) for name, one in stored.items() if name in known}
    if "days" in values:
        values["days"] = tuple(map(dt.date.fromisoformat, values["days"]))
    return Evidence(**values)


def _value_of(stored: Any) -> Any:
    if isinstance(stored, list):
        return tuple(map(_value_of, stored))
    if isinstance(stored, dict):
        return {key: _value_of(one) for key, one in stored.items()}
    return stored
