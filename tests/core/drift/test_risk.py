"""The risk of planned claims: right on average, honest about what it does not know, and in words."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

from claimkit.drift.cube import DECISIONS, SLICES, Cells, canonical
from claimkit.drift.findings import Segment
from claimkit.drift.risk import PlannedClaim, RiskState, calibrate, plan, score_claims
from claimkit.stores.memory import MemoryStore
from claimkit.testing.factories import make_claim, make_finding
from claimkit.types import TenantKey, day_of

MARSH = TenantKey("marsh")
TODAY = dt.date(2026, 4, 1)
GROUPS = ("evaluation", "imaging", "surgery")


class Clock:
    def now(self):
        return dt.datetime.combine(TODAY, dt.time(12), dt.UTC)


def keep(store, payer, group, *, claims, denied, days_ago=30, slice_name=None, reason="CO-197"):
    """Post decisions of one day."""
    for outcome, code, count in (
        ("paid", "", claims - denied),
        ("authorization_referral", reason, denied),
    ):
        if not count:
            continue
        labels = {"payer": [payer], "procedure_group": [group], "outcome": [outcome]}
        day = day_of(TODAY) - days_ago
        tables = [
            (DECISIONS, {**labels, "reason": [code]}, {"decided_day": [day], "age_days": [9]})
        ]
        if slice_name is not None:
            tables.append((SLICES, {**labels, "slice": [slice_name]}, {"decided_day": [day]}))
        for table, names, numbers in tables:
            measures = {one: [count if one == "claims" else 0] for one in table.measures}
            cells = Cells.from_columns(table, labels=names, numbers=numbers, measures=measures)
            store.cube.post(MARSH, cells.known_on(day))


def score(store, **planned):
    planned = {"reference": "A-1", "payer": "ALBATROSS", "procedure_group": "imaging", **planned}
    (found,) = score_claims(
        [PlannedClaim(**planned)], tenant=MARSH, store=store, clock=Clock()
    ).scores
    return found


@pytest.fixture
def store():
    made = MemoryStore()
    for days_ago in range(10, 200, 10):
        keep(made, "ALBATROSS", "imaging", claims=40, denied=12, days_ago=days_ago)
        keep(made, "ALBATROSS", "evaluation", claims=100, denied=4, days_ago=days_ago)
        keep(made, "BITTERN", "imaging", claims=40, denied=8, days_ago=days_ago)
        keep(made, "BITTERN", "evaluation", claims=100, denied=3, days_ago=days_ago)
    return made


def test_much_history_speaks_for_itself(store):
    found = score(store)

    assert found.state is RiskState.SCORED
    assert found.probability == pytest.approx(0.30, abs=0.02)
    assert found.interval[0] < found.probability < found.interval[1]
    assert (found.claims, found.denied) == (760, 228)
    assert (found.payer_claims, found.payer_denied) == (2660, 304)
    assert found.codes == (("CO-197", 1.0),)


def test_reasons_are_words_with_the_counts_that_they_rest_on(store):
    assert score(store).reasons == (
        "ALBATROSS denied 228 of 760 (30.0 %) imaging claims; of all its claims 304 of 2,660 (11.4 %)",
        "228 of 228 denials are for authorization or referral (CO-197 first)",
    )


def test_a_payer_that_hardly_decided_gets_no_number(store):
    keep(store, "CORMORANT", "imaging", claims=49, denied=40)

    found = score(store, payer="CORMORANT")

    assert found.state is RiskState.TOO_LITTLE_HISTORY
    assert found.probability is None
    assert found.interval is None
    assert found.confidence == 0.0
    assert "49 claims" in found.reasons[0]


def test_a_payer_that_nobody_knows_gets_no_number(store):
    assert score(store, payer="DIPPER").state is RiskState.TOO_LITTLE_HISTORY
    assert score(MemoryStore()).state is RiskState.TOO_LITTLE_HISTORY


def test_few_decisions_are_drawn_to_what_the_group_makes_of_it_elsewhere(store):
    keep(store, "ALBATROSS", "surgery", claims=2, denied=2)
    for days_ago in range(10, 200, 10):
        keep(store, "BITTERN", "surgery", claims=50, denied=5, days_ago=days_ago)

    found = score(store, procedure_group="surgery")

    assert found.probability < 0.5
    assert (
        found.interval[1] - found.interval[0] > score(store).interval[1] - score(store).interval[0]
    )
    assert any("are few" in one for one in found.reasons)


def test_a_group_that_nobody_saw_has_the_rate_of_its_payer(store):
    found = score(store, procedure_group="dental")

    assert found.probability == pytest.approx(304 / 2660, abs=0.02)
    assert found.claims == 0
    assert "no decision of ALBATROSS about dental claims is known" in found.reasons[0]


@pytest.mark.parametrize(
    ("authorization", "rate"), [("with number", 0.05), ("without number", 0.5), ("", 0.275)]
)
def test_an_authorization_number_counts_where_the_cube_keeps_it(authorization, rate):
    store = MemoryStore()
    for days_ago in range(10, 200, 10):
        for state, denied in (("with number", 2), ("without number", 20)):
            keep(store, "ALBATROSS", "imaging", claims=40, denied=denied, days_ago=days_ago,
                 slice_name=f'{{"authorization":"{state}"}}')  # fmt: skip

    found = score(store, authorization=authorization)

    assert found.probability == pytest.approx(rate, abs=0.02)
    if authorization:
        assert (
            "without an authorization number 380 of 760 (50.0 %) were denied, with one 38 of 760 (5.0 %)"
            in found.reasons
        )


def test_old_decisions_count_less(store):
    keep(store, "ALBATROSS", "imaging", claims=760, denied=0, days_ago=700)

    assert score(store).probability > 0.25
    assert score(store).claims == 1520


def test_only_decisions_since_an_open_change_count(store):
    for days_ago in (1, 3, 5):
        keep(store, "ALBATROSS", "imaging", claims=40, denied=28, days_ago=days_ago)
    change = make_finding(
        segment=Segment(payer="ALBATROSS", procedure_groups=("imaging",)),
        onset=TODAY - dt.timedelta(days=6),
        claims=120,
    )
    before = score(store).probability
    store.findings.record(MARSH, [change], as_of=TODAY)

    found = score(store)

    assert before < 0.4
    assert found.probability == pytest.approx(0.7, abs=0.1)
    assert found.claims == 120
    assert found.findings == ("fp-marsupilami",)
    assert found.reasons[-1].endswith("only decisions since 26 Mar 2026 count")
    assert score(store, procedure_group="evaluation").findings == ()


def test_a_change_of_which_little_was_seen_is_told_and_forgets_nothing(store):
    change = make_finding(
        segment=Segment(payer="ALBATROSS"), onset=TODAY - dt.timedelta(days=6), claims=12
    )
    store.findings.record(MARSH, [change], as_of=TODAY)

    found = score(store)

    assert found.claims == 760
    assert found.reasons[-1].endswith("expect more denials")


def test_claims_are_planned_without_what_else_they_hold():
    claim = make_claim(authorization_number="", charge=12_345, member_id="W123")
    claim.payer, claim.procedure_group = "ALBATROSS", "imaging"

    (found,) = plan([claim])

    assert found == PlannedClaim(
        reference=claim.patient_control_number,
        payer="ALBATROSS",
        procedure_group="imaging",
        authorization="without number",
        charge=12_345,
    )


def simulated(seed, *, days=400, per_day=120, drift=False):
    """Keep decisions whose true rates are known, and return them."""
    rng = np.random.default_rng([20260401, seed])
    payers, groups = [f"P{one}" for one in range(12)], [f"g{one}" for one in range(9)]
    weight = rng.dirichlet(np.full(len(payers) * len(groups), 0.5))
    rate = 1 / (1 + np.exp(-(rng.normal(-2.2, 0.7, (12, 1)) + rng.normal(0, 0.6, (1, 9))
                             + rng.normal(0, 0.3, (12, 9)))))  # fmt: skip
    size = rng.poisson(np.outer(np.full(days, per_day), weight))
    truth = np.broadcast_to(rate.ravel(), size.shape)
    if drift:
        truth = truth * np.linspace(0.85, 1.15, days)[:, None]
    denied = rng.binomial(size, np.clip(truth, 0, 0.95))
    day = np.repeat(np.arange(days), size.shape[1]) + day_of(TODAY) - days + 1
    kind = np.tile(np.arange(size.shape[1]), days)
    store = MemoryStore()
    for outcome, reason, count in (("paid", "", size - denied), ("bundling", "CO-97", denied)):
        flat = count.ravel()
        zero = np.zeros(len(flat), np.int64)
        cells = Cells(
            table=DECISIONS,
            names={
                "payer": payers,
                "procedure_group": groups,
                "outcome": (outcome,),
                "reason": (reason,),
            },
            labels={
                "payer": kind // 9,
                "procedure_group": kind % 9,
                "outcome": zero,
                "reason": zero,
            },
            numbers={"decided_day": day, "age_days": zero + 9},
            measures={"claims": flat, "charge": zero, "allowed": zero, "paid": zero},
        )
        store.cube.post(MARSH, canonical(cells).known_on(day_of(TODAY)))
    return store, payers, groups, rate


def test_probabilities_are_calibrated_and_better_than_the_average():
    for seed in range(3):
        store, *_ = simulated(seed)

        found = calibrate(tenant=MARSH, store=store, clock=Clock())

        # What is left of reliability is chance: p (1 − p) / n of ten bins.
        assert found.reliability < 3 * found.uncertainty * len(found.bins) / found.claims
        assert found.skill > 0.02
        assert (
            sum(one.low <= one.predicted <= one.high for one in found.bins) >= len(found.bins) - 2
        )


def test_slowly_moving_rates_stay_calibrated():
    store, *_ = simulated(7, drift=True)

    found = calibrate(tenant=MARSH, store=store, clock=Clock())

    assert found.reliability < 0.002
    assert found.skill > 0


def test_the_interval_holds_the_true_rate_about_as_often_as_it_says():
    held = []
    for seed in range(6):
        store, payers, groups, rate = simulated(seed, per_day=30)
        planned = [
            PlannedClaim(reference="x", payer=payer, procedure_group=group)
            for payer in payers
            for group in groups
        ]
        scores = score_claims(planned, tenant=MARSH, store=store, clock=Clock()).scores
        held += [
            one.interval[0] <= true <= one.interval[1]
            for one, true in zip(scores, rate.ravel(), strict=True)
            if one.interval
        ]

    assert len(held) > 300
    assert 0.82 < np.mean(held) < 0.97


def test_nothing_is_scored_on_what_it_learned_from():
    """The last twelve weeks are denied by the toss of a coin: whoever looked ahead would do well."""
    store, payers, groups, _ = simulated(1, per_day=20)
    rng = np.random.default_rng(5)
    for payer in payers:
        for group in groups:
            flip = int(rng.integers(0, 2)) * 30
            keep(store, payer, group, claims=30, denied=flip, days_ago=int(rng.integers(0, 80)))

    assert calibrate(tenant=MARSH, store=store, clock=Clock()).skill < 0.02


def test_too_little_history_has_no_calibration(store):
    assert calibrate(tenant=MARSH, store=MemoryStore(), clock=Clock()) is None
    assert calibrate(tenant=MARSH, store=store, clock=Clock()) is not None


def test_past_changes_are_known_to_the_calibration_only_once_they_were_found(store):
    change = make_finding(
        segment=Segment(payer="ALBATROSS", procedure_groups=("imaging",)),
        onset=TODAY - dt.timedelta(days=70),
        claims=120,
    )
    plain = calibrate(tenant=MARSH, store=store, clock=Clock())
    store.findings.record(MARSH, [replace(change, detected_on=TODAY)], as_of=TODAY)

    assert calibrate(tenant=MARSH, store=store, clock=Clock()) == plain
