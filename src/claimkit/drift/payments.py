"""Detector ``payment``: payers that decide to pay and then let the money wait.

The time from decision to payment, of claims that were decided to be paid. It is judged like the time
to decision (:mod:`claimkit.drift.speed`), on the table :data:`~claimkit.drift.cube.PAYMENTS`: claims
whose money is due count from the day of their decision, so that a delay shows before a single late
payment has come, and a payer that decides later is not told twice. Payers of whom no payment day is
known are not looked at.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.cube import DECISIONS, INFLOW, MAX_AGE, PAYMENTS, Cells, canonical
from claimkit.drift.findings import Finding, Signal, fingerprint
from claimkit.drift.lattice import LatticeDetector
from claimkit.drift.wording import date_words, day_words, money_words
from claimkit.types import day_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Mapping, Sequence

    from claimkit.config import DriftConfig
    from claimkit.types import Day, Progress

__all__ = ["PaymentDetector", "payment_cube"]


class PaymentDetector:
    """Payers whose money comes later after the decision than it used to."""

    name = "payment"
    #: The part of the budget of false alarms that it uses up: that of one family of the lattice.
    budget_part = 0.1

    def __init__(self, progress: Progress | None = None) -> None:
        self._pace = LatticeDetector(progress)

    def telling(self, progress: Progress) -> PaymentDetector:
        """Return the same detector, which tells ``progress`` of each night."""
        return PaymentDetector(progress)

    def detect(
        self,
        cube: Mapping[str, Cells],
        *,
        as_of: dt.date,
        config: DriftConfig,
        open_findings: Sequence[Finding] = (),
        accepted_findings: Sequence[Finding] = (),
    ) -> Sequence[Finding]:
        """Return payers that pay later as of the end of day ``as_of``; pure and deterministic.

        Findings, open and accepted ones, are treated as those about decision time are.
        """
        followed = self._as_pace(open_findings)
        found = self._pace.detect(
            payment_cube(cube, as_of=day_of(as_of)),
            as_of=as_of,
            config=config,
            open_findings=followed,
            accepted_findings=self._as_pace(accepted_findings),
        )
        known = {one.fingerprint for one in followed}
        return [_payment_finding(one, known) for one in found if one.signal is Signal.DECISION_TIME]

    def replay(
        self,
        cube: Mapping[str, Cells],
        *,
        start: dt.date,
        end: dt.date,
        config: DriftConfig,
        accepted_findings: Sequence[Finding] = (),
    ) -> Sequence[Finding]:
        """Return every incident that the nights from ``start`` to ``end`` would have told, in order."""
        found = self._pace.replay(
            payment_cube(cube, as_of=day_of(end)),
            start=start,
            end=end,
            config=config,
            accepted_findings=self._as_pace(accepted_findings),
        )
        return [_payment_finding(one, ()) for one in found if one.signal is Signal.DECISION_TIME]

    def _as_pace(self, findings: Sequence[Finding]) -> list[Finding]:
        """Return this detector's findings as those about decision time that they are made from."""
        return [
            replace(one, detector=self._pace.name, signal=Signal.DECISION_TIME)
            for one in findings
            if one.detector == self.name
        ]


def payment_cube(cube: Mapping[str, Cells], *, as_of: Day) -> Mapping[str, Cells]:
    """Return a cube in which payments are decisions, and decisions to pay are submissions.

    Payments after ``as_of`` are not known, and their claims wait. All procedures are one: money is
    sent by remittance, not by procedure. Empty where nothing was paid.
    """
    cells = cube.get(PAYMENTS.name)
    if cells is None or not len(cells):
        return {}
    cells = cells.take((cells.numbers["decided_day"] <= as_of) & (cells.measures["claims"] > 0))
    paid = cells.take(
        (cells.numbers["wait_days"] >= 0)
        & (cells.numbers["decided_day"] + cells.numbers["wait_days"] <= as_of)
    )
    if not len(paid):
        return {}
    money, none = paid.measures["paid"], np.zeros(len(paid), np.int64)
    payments = Cells(
        table=DECISIONS,
        names={
            "payer": paid.names["payer"],
            "procedure_group": ("",),
            "outcome": ("paid",),
            "reason": ("",),
        },
        labels={
            "payer": paid.labels["payer"],
            "procedure_group": none,
            "outcome": none,
            "reason": none,
        },
        numbers={
            "decided_day": paid.numbers["decided_day"] + paid.numbers["wait_days"],
            "age_days": np.minimum(paid.numbers["wait_days"], MAX_AGE),
        },
        measures={
            "claims": paid.measures["claims"],
            "charge": money,
            "allowed": money,
            "paid": money,
        },
    )
    due = Cells(
        table=INFLOW,
        names={"payer": cells.names["payer"], "procedure_group": ("",)},
        labels={
            "payer": cells.labels["payer"],
            "procedure_group": np.zeros(len(cells), np.int64),
        },
        numbers={"submitted_day": cells.numbers["decided_day"]},
        measures={"claims": cells.measures["claims"], "charge": cells.measures["paid"]},
    )
    return {DECISIONS.name: canonical(payments), INFLOW.name: canonical(due)}


def _payment_finding(pace: Finding, known: Collection[str]) -> Finding:
    """Return the finding about payments that one about the converted cube is."""
    told = pace.detected_on or pace.onset
    detector, signal = PaymentDetector.name, Signal.PAYMENT_TIME
    identity = pace.fingerprint
    if identity not in known:
        # The lattice gives the same one to a delay of decisions that it finds on that night.
        payer = pace.segment.payer
        identity = fingerprint(detector=detector, signal=signal, payer=payer, anchor=identity)
    return replace(
        pace,
        detector=detector,
        signal=signal,
        fingerprint=identity,
        summary=_summary(pace),
        why=(
            f"On {date_words(told)} the score of payments against claims that were decided and not "
            f"paid was {pace.score:.1f}; the threshold is {pace.threshold:.1f}.",
            "Expected is how fast this payer's money used to follow its decisions, by weekday, "
            "relative to all other payers.",
            "Money is what waits beyond the usual, at the mean payment of a claim; it is delayed, "
            "not lost.",
            *(("The size is preliminary: at least so much.",) if pace.preliminary else ()),
        ),
    )


def _summary(pace: Finding) -> str:
    late = day_words(max(0.0, round(pace.effect, 1)))
    text = (
        f"{pace.segment.payer} pays {'at least ' if pace.preliminary else ''}{late} later after the "
        f"decision since {date_words(pace.onset)}, where about "
        f"{day_words(round(pace.baseline, 1))} were usual"
    )
    if pace.dollars_per_month:
        text = f"{text}; about {money_words(pace.dollars_per_month)} is held up"
    return f"{text}."
