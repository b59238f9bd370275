"""A report beside the one of the period before: what came, what went, and how figures moved."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from claimkit.drift.wording import date_words
from claimkit.errors import ConfigError
from claimkit.reports.document import Column, Section, Table, ValueKind, format_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from claimkit.drift.findings import Finding
    from claimkit.reports.document import KeyFigure, Value

__all__ = ["EarlierReport", "came", "comparison_section", "read_earlier", "went"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierReport:
    """What is remembered of the report of the period before."""

    #: What people call its period, such as "February 2026".
    words: str
    #: Label of a key figure → its value; money in cents.
    figures: Mapping[str, Value] = field(default_factory=dict)
    #: Fingerprint → what the finding said.
    findings: Mapping[str, str] = field(default_factory=dict)


def read_earlier(text: str | bytes, *, tenant: str) -> EarlierReport:
    """Return what a report said that was written as JSON.

    Args:
        text: The whole file.
        tenant: Name of the tenant whose report it is to stand beside.

    Raises:
        ConfigError: it is no report as JSON, or one of another tenant.
    """
    try:
        plain = json.loads(text)
        as_of = dt.date.fromisoformat(plain["as_of"])
        figures = {one["label"]: one["value"] for one in plain["key_figures"]}
        findings = {one["fingerprint"]: one["summary"] for one in plain["findings"]}
        whose = plain["tenant"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ConfigError(
            "the earlier report is not one that was written as JSON",
            remedy="Write it with --as json, and compare with that file",
        ) from None
    if whose != tenant:
        raise ConfigError(
            "the earlier report is about another tenant", remedy="Compare reports of one tenant"
        )
    return EarlierReport(words=date_words(as_of), figures=figures, findings=findings)


def came(findings: Sequence[Finding], earlier: EarlierReport) -> list[str]:
    """Return what findings say that the earlier report did not have."""
    return [one.summary for one in findings if one.fingerprint not in earlier.findings]


def went(findings: Sequence[Finding], earlier: EarlierReport) -> list[str]:
    """Return what the earlier report said and findings do not say any more."""
    here = {one.fingerprint for one in findings}
    return [text for name, text in earlier.findings.items() if name not in here]


def comparison_section(
    figures: Sequence[KeyFigure], findings: Sequence[Finding], earlier: EarlierReport
) -> Section:
    """Return the section that puts a report beside the one before, as that one said it."""
    new, over = came(findings, earlier), went(findings, earlier)
    rows = tuple(
        (
            one.label,
            format_value(one.value, one.kind),
            format_value(earlier.figures.get(one.label), one.kind),
            _moved(one, earlier.figures.get(one.label)),
        )
        for one in figures
        if one.label in earlier.figures
    )
    said = f"The report of {earlier.words} said what is under “then”; it may know more by now."
    return Section(
        anchor="compared",
        heading=f"Beside the report of {earlier.words}",
        paragraphs=(said, *(f"New: {one}" for one in new), *(f"No longer: {one}" for one in over))
        if new or over
        else (said, "The findings are the same."),
        tables=(
            Table(
                caption="Figures of both reports",
                columns=tuple(
                    Column(label=label) for label in ("Figure", "Now", "Then", "Difference")
                ),
                rows=rows,
            ),
        )
        if rows
        else (),
    )


def _moved(figure: KeyFigure, then: Value) -> str:
    now = figure.value
    if not isinstance(now, (int, float)) or not isinstance(then, (int, float)):
        return format_value(None, figure.kind)
    kind = ValueKind.POINTS if figure.kind is ValueKind.SHARE else figure.kind
    written = format_value(now - then, kind)
    return written if kind is ValueKind.POINTS or now <= then else f"+{written}"
