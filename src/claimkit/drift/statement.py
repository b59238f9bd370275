"""From an incident to what people read: the finding with its numbers, money, evidence and reasons."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.allowed import measure_drop
from claimkit.drift.evidence import allowed_evidence, denial_evidence, speed_evidence, weeks
from claimkit.drift.findings import (
    ALL_PAYERS,
    Finding,
    Segment,
    Signal,
    Tier,
    fingerprint,
    rate_severity,
)
from claimkit.drift.incidents import delay_of
from claimkit.drift.localize import measure, total
from claimkit.drift.nights import Family
from claimkit.drift.streams import Level
from claimkit.drift.tenantwide import ALL, measure_all, tenant_evidence
from claimkit.drift.wording import (
    category_words,
    date_words,
    day_words,
    group_words,
    money_words,
    reason_words,
    share_words,
)
from claimkit.types import date_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from claimkit.drift.findings import Evidence
    from claimkit.drift.history import History
    from claimkit.drift.incidents import Incident, Run
    from claimkit.types import Cents

__all__ = ["DETECTOR", "make_finding"]

#: Name of the detector, part of every fingerprint.
DETECTOR = "lattice"
_Z95 = 1.96
#: With more of the decisions due missing than this it is an outage, not a slow-down.
_OUTAGE_PART = 0.85
_LEVELS = {
    Level.PAYER: "all decisions of a payer",
    Level.CELL: "one procedure group of a payer",
    Level.PAYER_REASON: "one denial reason of a payer",
    Level.CELL_REASON: "one denial reason in one procedure group of a payer",
    Level.SWAP: "one denial reason taking over from another",
    Level.SPEED: "decisions of a payer against claims that wait",
    Level.ALLOWED_PAYER: "allowed amounts of a payer",
    Level.ALLOWED_CELL: "allowed amounts of one procedure group of a payer",
    Level.TENANT: "what all payers share",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Numbers:
    """What the families differ in."""

    unit: str
    baseline: float
    current: float
    claims: int
    dollars: Cents
    #: What the money is.
    basis: str
    evidence: Evidence
    summary: str


def make_finding(run: Run, incident: Incident, night: int) -> Finding:
    """Return the statement about an incident as of ``night``, a position in the history."""
    history = run.history
    numbers = _NUMBERS[incident.family](run, incident, run.until(incident, night))
    told = date_of(history.first + incident.told)
    is_alert = incident.alerted is not None
    tier = Tier.ALERT if is_alert else Tier.WATCH
    payer = _payer(history, incident)
    limit = incident.limits[0] if is_alert else incident.limits[1]
    return Finding(
        fingerprint=incident.fingerprint
        or fingerprint(
            detector=DETECTOR,
            signal=incident.signal,
            payer=payer,
            anchor=date_of(history.first + incident.opened).isoformat(),
        ),
        signal=incident.signal,
        segment=_segment(history, incident),
        detector=DETECTOR,
        tier=tier,
        severity=rate_severity(
            dollars_per_month=numbers.dollars, effect=incident.effect, unit=numbers.unit
        ),
        onset=date_of(history.first + incident.onset),
        as_of=date_of(history.first + night),
        unit=numbers.unit,
        baseline=numbers.baseline,
        current=numbers.current,
        effect=incident.effect,
        interval=(
            incident.effect - _Z95 * incident.error,
            incident.effect + _Z95 * incident.error,
        ),
        claims=numbers.claims,
        dollars_per_month=numbers.dollars,
        score=incident.score,
        threshold=limit,
        summary=numbers.summary,
        why=_why(run, incident, told, limit, numbers.basis),
        evidence=numbers.evidence,
        preliminary=not incident.is_settled,
        detected_on=told,
        revised=incident.is_revised,
        ended=None if incident.ended is None else date_of(history.first + incident.ended),
    )


def _payer(history: History, incident: Incident) -> str:
    return ALL_PAYERS if incident.payer == ALL else history.payers[incident.payer]


def _segment(history: History, incident: Incident) -> Segment:
    groups: tuple[str, ...] = ()
    if incident.cells is not None:
        chosen = history.cell_group[list(incident.cells)].tolist()
        groups = tuple(sorted(history.groups[group] for group in chosen))
    return Segment(
        payer=_payer(history, incident),
        procedure_groups=groups,
        category="" if incident.reason is None else history.categories[incident.reason],
    )


def _denial_numbers(run: Run, incident: Incident, night: int) -> _Numbers:
    history, baseline = run.past(incident), incident.week.baseline
    start = incident.measured_from
    totals = total(history, baseline, start, night + 1)
    found = measure(history, baseline, totals, incident.payer, incident.cells, incident.reason)
    since_onset = total(history, baseline, incident.onset, night + 1)
    everything = measure(history, baseline, since_onset, incident.payer, incident.cells)
    value, basis = _claim_value(history, incident, night)
    is_swap = incident.signal is Signal.DENIAL_REASON_MIX
    excess = everything if is_swap else found
    days = since_onset.days if is_swap else totals.days
    dollars = round(max(0.0, excess.observed - excess.expected) / days * 30 * value)
    expected = found.expected / max(found.claims, 1.0)
    evidence = denial_evidence(history, baseline, incident, night)
    place = _segment(history, incident)
    reason = f" for {category_words(place.category)}" if place.category else ""
    code = "" if place.category else reason_words(evidence.reasons_since, evidence.codes_since)
    since = date_words(date_of(history.first + incident.onset))
    told = (
        f"{place.payer} denies {share_words(expected + incident.effect)} of "
        f"{group_words(place.procedure_groups)}{reason} since {since}, "
        f"where {share_words(expected)} was expected"
    )
    parts = [told]
    if is_swap:
        parts.append("while the denial rate as a whole stays as it was")
    if dollars:
        parts.append(f"about {money_words(dollars)} a month")
    if code:
        parts.append(code)
    return _Numbers(
        unit="share",
        baseline=expected,
        current=expected + incident.effect,
        claims=round(everything.claims),
        dollars=dollars,
        basis=basis,
        evidence=evidence,
        summary="; ".join(parts) + ".",
    )


def _speed_numbers(run: Run, incident: Incident, night: int) -> _Numbers:
    history = run.history
    payer = incident.payer
    days = night - incident.onset + 1
    _, _, usual = delay_of(run, incident, night, days)
    arrivals = float(history.inflow[payer, max(0, night - 29) : night + 1].mean())
    value, _ = _claim_value(history, incident, night)
    dollars = round(max(0.0, incident.effect) * arrivals * value)
    since = date_words(date_of(history.first + incident.onset))
    name = history.payers[payer]
    if not incident.is_settled and incident.shortfall > _OUTAGE_PART:
        told = f"{name} has decided almost no claims since {since}"
    elif not incident.is_settled and incident.shortfall > 0:
        told = (
            f"{name} has decided {share_words(incident.shortfall)} fewer claims than were due "
            f"since {since}"
        )
    else:
        told = (
            f"{name} decides claims {day_words(max(0.0, round(incident.effect, 1)))} later "
            f"since {since}, where about {day_words(round(usual, 1))} were usual"
        )
    if dollars:
        told = f"{told}; about {money_words(dollars)} is held up"
    rows = history.decided.rows(incident.onset, night + 1)
    mine = history.cell_payer[history.decided.cell[rows]] == payer
    return _Numbers(
        unit="days",
        baseline=usual,
        current=usual + incident.effect,
        claims=round(float(history.decided.claims[rows][mine].sum())),
        dollars=dollars,
        basis="Money is what pending claims beyond the usual number are worth at the mean allowed "
        "amount; it is delayed, not lost.",
        evidence=speed_evidence(run, incident, night, usual),
        summary=f"{told}.",
    )


def _allowed_numbers(run: Run, incident: Incident, night: int) -> _Numbers:
    history, allowed = run.past(incident), incident.week.allowed
    start, end = incident.measured_from, night + 1
    rows = history.paid.rows(start, end)
    where = _cells(history, incident)
    mine = np.isin(history.paid.cell[rows], where)
    sum_allowed = float(history.paid.allowed[rows][mine].sum())
    lost = sum_allowed * (math.exp(min(1.0, -incident.effect)) - 1)
    dollars = round(max(0.0, lost) / max(1, end - start) * 30)
    cell = history.paid.cell[rows][mine]
    claims = history.paid.claims[rows][mine]
    usual = (allowed.center + allowed.mean)[cell]
    base = float((usual * claims).sum() / max(float(claims.sum()), 1.0))
    since_onset = measure_drop(
        history, allowed, incident.payer, incident.cells, incident.onset, end
    )
    place = _segment(history, incident)
    since = date_words(date_of(history.first + incident.onset))
    change = share_words(abs(math.expm1(incident.effect)))
    told = (
        f"{place.payer} allows {change} less for {group_words(place.procedure_groups)} since "
        f"{since}: {share_words(math.exp(base + incident.effect))} of charges, where "
        f"{share_words(math.exp(base))} was expected"
    )
    if dollars:
        told = f"{told}; about {money_words(dollars)} a month"
    return _Numbers(
        unit="log_ratio",
        baseline=base,
        current=base + incident.effect,
        claims=round(since_onset.claims),
        dollars=dollars,
        basis="Money is what paid claims since then would have been allowed more at the usual "
        "share of charges.",
        evidence=allowed_evidence(history, allowed, incident, night, base),
        summary=f"{told}.",
    )


def _tenant_numbers(run: Run, incident: Incident, night: int) -> _Numbers:
    history, baseline = run.past(incident), incident.week.baseline
    totals = total(history, baseline, incident.measured_from, night + 1)
    found = measure_all(baseline, totals, incident.reason)
    since_onset = total(history, baseline, incident.onset, night + 1)
    value, basis = _claim_value(history, incident, night)
    dollars = round(max(0.0, found.observed - found.expected) / totals.days * 30 * value)
    expected = found.expected / max(found.claims, 1.0)
    place = _segment(history, incident)
    reason = f" for {category_words(place.category)}" if place.category else ""
    since = date_words(date_of(history.first + incident.onset))
    told = (
        f"All payers alike deny {share_words(expected + incident.effect)} of claims{reason} since "
        f"{since}, where {share_words(expected)} was expected; look at your own registration, coding "
        "and mappings first"
    )
    if dollars:
        told = f"{told}; about {money_words(dollars)} a month"
    return _Numbers(
        unit="share",
        baseline=expected,
        current=expected + incident.effect,
        claims=round(float(since_onset.claims.sum())),
        dollars=dollars,
        basis=basis,
        evidence=tenant_evidence(history, baseline, weeks(incident, night), incident.reason),
        summary=f"{told}.",
    )


_NUMBERS = {
    Family.DENIAL: _denial_numbers,
    Family.SPEED: _speed_numbers,
    Family.ALLOWED: _allowed_numbers,
    Family.TENANT: _tenant_numbers,
}


def _cells(history: History, incident: Incident) -> np.ndarray:
    if incident.cells is not None:
        return np.array(incident.cells)
    if incident.payer == ALL:
        return np.arange(history.cells)
    where = history.cells_of(incident.payer)
    return np.arange(where.start, where.stop)


def _claim_value(history: History, incident: Incident, night: int) -> tuple[float, str]:
    """Return what one claim of the segment is worth in cents, and how that was told."""
    decided = history.decided
    rows = decided.rows(incident.week.span.start, night + 1)
    mine = np.isin(decided.cell[rows], _cells(history, incident))
    claims = decided.claims[rows][mine]
    is_allowed = (decided.reason[rows][mine] < 0) & (decided.allowed[rows][mine] > 0)
    paid = float(claims[is_allowed].sum())
    if paid >= 20:
        mean = float(decided.allowed[rows][mine][is_allowed].sum()) / paid
        return mean, (
            "Money is denials beyond the expected number, at the mean allowed amount of paid "
            f"claims of the segment ({money_words(round(mean))})."
        )
    # Charges of zero and below are reversals and errors; they are worth nothing, not less.
    charge = decided.charge[rows][mine]
    billed = charge > 0
    mean = float(charge[billed].sum()) / max(float(claims[billed].sum()), 1.0)
    return mean, (
        "Money is denials beyond the expected number, at the mean charge of the segment "
        f"({money_words(round(mean))}), because allowed amounts are not known."
    )


def _why(run: Run, incident: Incident, told: dt.date, limit: float, basis: str) -> tuple[str, ...]:
    history, baseline, plateau = run.past(incident), incident.week.baseline, incident.plateau
    base = (baseline.span.start, baseline.span.end)
    if plateau is not None:
        base = (plateau.start, plateau.end)
    budget = run.config.budget if incident.alerted is not None else run.config.watch_budget
    first = date_words(date_of(history.first + base[0]))
    last = date_words(date_of(history.first + base[1] - 1))
    reasons = [
        f"On {date_words(told)} the score of {_LEVELS[incident.level]} was {incident.score:.1f}; "
        f"the threshold is {limit:.1f}, which chance passes {budget:.2g} times a month over all "
        "payers, procedure groups and reasons together.",
        f"Expected is what {first} to {last} predicts for today's procedures and claim ages.",
    ]
    if plateau is not None:
        reasons.append(
            "This payer had changed before, in the same way; what is told here came on top of that "
            "level."
        )
    if incident.family is Family.DENIAL:
        factor = float(baseline.typical_payer[incident.payer])
        reasons.append(
            f"This payer's denials vary {factor:.1f} times as much as independent claims would; "
            "the score allows for that."
        )
    reasons.extend(_moved(history, incident))
    reasons.append(basis)
    if incident.is_revised:
        reasons.append(
            "Decisions that became known later no longer support the night that raised it; it stays "
            "here because people were told."
        )
    if not incident.is_settled:
        reasons.append(
            "The size is preliminary: it is estimated from the days that raised the finding, and "
            "will be measured again on decisions after them."
        )
    return tuple(reasons)


def _moved(history: History, incident: Incident) -> Iterator[str]:
    """Yield what is in an incident's place under another name than it used to be."""
    there = set(history.cell_group[_cells(history, incident)].tolist())
    for move in incident.week.moves:
        if move.target in there:
            yield (
                f"Claims of {history.groups[move.source]} have come as "
                f"{history.groups[move.target]} since "
                f"{date_words(date_of(history.first + move.day))}; both are looked at together."
            )
