from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.drift.cube import (
    DECISIONS,
    INFLOW,
    MONEY,
    TABLES,
    Cells,
    canonical,
    merge,
)
from claimkit.drift.tally import tally
from claimkit.events import ClaimFacts, FactsChange

FACTS = ClaimFacts(
    payer="MERIDIAN",
    procedure_group="imaging",
    facility="11",
    line_of_business="PPO",
    submitted_day=20_000,
    decided_day=20_014,
    paid_day=20_016,
    outcome="paid",
    category="",
    reason="",
    charge=40_000,
    allowed=20_000,
    paid=18_000,
    first_pass=True,
)
DENIED = FACTS._replace(
    outcome="denied", category="authorization_referral", reason="CO-197", allowed=None, paid=0
)


def added(*facts):
    return tally([FactsChange(None, one) for one in facts])


def rows(cells):
    """Return cells as a set of readable rows."""
    labels = [[cells.names[axis][code] for code in cells.labels[axis]] for axis in cells.labels]
    numbers = [column.tolist() for column in cells.numbers.values()]
    measures = [column.tolist() for column in cells.measures.values()]
    return sorted(zip(*labels, *numbers, *measures, strict=True))


def same(one, other):
    assert one.table == other.table
    assert {axis: tuple(names) for axis, names in one.names.items()} == {
        axis: tuple(names) for axis, names in other.names.items()
    }
    for mine, theirs in (
        (one.labels, other.labels),
        (one.numbers, other.numbers),
        (one.measures, other.measures),
    ):
        assert mine.keys() == theirs.keys()
        for axis in mine:
            assert mine[axis].dtype == np.int64
            np.testing.assert_array_equal(mine[axis], theirs[axis])


def test_paid_claim_counts_in_all_tables():
    cells = added(FACTS)
    ratio = round(1e4 * math.log(0.5))

    assert rows(cells["decisions"]) == [
        ("MERIDIAN", "imaging", "paid", "", 20_014, 14, 1, 40_000, 20_000, 18_000)
    ]
    assert rows(cells["money"]) == [
        ("MERIDIAN", "imaging", 20_014, -7, 1, ratio, ratio * ratio, 20_000)
    ]
    assert rows(cells["inflow"]) == [("MERIDIAN", "imaging", 20_000, 1, 40_000)]


def test_denied_claim_is_labeled_by_category_and_code_and_has_no_ratio():
    cells = added(DENIED)

    assert rows(cells["decisions"]) == [
        ("MERIDIAN", "imaging", "authorization_referral", "CO-197", 20_014, 14, 1, 40_000, 0, 0)
    ]
    assert len(cells["money"]) == 0
    assert len(cells["inflow"]) == 1


def test_denial_without_a_category_is_unmapped():
    assert added(DENIED._replace(category=""))["decisions"].names["outcome"] == ("unmapped",)


@pytest.mark.parametrize("outcome", ["partial", "zero_paid"])
def test_partial_and_zero_paid_count_as_paid_but_not_as_money(outcome):
    cells = added(FACTS._replace(outcome=outcome, category="bundling", reason="CO-97"))

    assert cells["decisions"].names["outcome"] == ("paid",)
    assert cells["decisions"].names["reason"] == ("",)
    assert len(cells["money"]) == 0


@pytest.mark.parametrize(
    "facts",
    [
        FACTS._replace(first_pass=False),
        DENIED._replace(category="duplicate"),
        FACTS._replace(outcome="other"),
        FACTS._replace(outcome="reversed"),
    ],
)
def test_what_is_no_first_decision_counts_nowhere(facts):
    assert [len(cells) for cells in added(facts).values()] == [0] * len(TABLES)


@pytest.mark.parametrize(
    "facts",
    [
        FACTS._replace(decided_day=None, outcome="pending"),
        FACTS._replace(outcome="denied", category="pended", allowed=None, paid=0),
    ],
)
def test_pending_claim_counts_as_inflow_only(facts):
    cells = added(facts)

    assert [len(cells[name]) for name in ("decisions", "money", "inflow")] == [0, 0, 1]


def test_unknown_submission_has_age_minus_one_and_no_inflow():
    cells = added(FACTS._replace(submitted_day=None))

    assert cells["decisions"].numbers["age_days"].tolist() == [-1]
    assert len(cells["inflow"]) == 0


def test_decision_before_submission_has_no_age_and_never_waits():
    cells = added(FACTS._replace(submitted_day=20_030))

    assert cells["decisions"].numbers["age_days"].tolist() == [-1]
    assert len(cells["inflow"]) == 0


def test_old_ages_are_capped():
    assert added(FACTS._replace(submitted_day=19_000))["decisions"].numbers[
        "age_days"
    ].tolist() == [120]


@pytest.mark.parametrize(
    "amounts", [{"allowed": 0}, {"allowed": None}, {"allowed": -500}, {"charge": 0}, {"charge": -9}]
)
def test_amounts_that_are_not_positive_have_no_ratio(amounts):
    cells = added(FACTS._replace(**amounts))

    assert len(cells["money"]) == 0
    assert len(cells["decisions"]) == 1


def test_equal_keys_are_summed():
    cells = added(FACTS, FACTS, FACTS._replace(charge=10_000))["decisions"]

    assert cells.measures["claims"].tolist() == [3]
    assert cells.measures["charge"].tolist() == [90_000]


def test_change_moves_a_claim_from_one_cell_to_another():
    changed = tally([FactsChange(FACTS, DENIED)])["decisions"]

    assert rows(changed) == [
        ("MERIDIAN", "imaging", "authorization_referral", "CO-197", 20_014, 14, 1, 40_000, 0, 0),
        ("MERIDIAN", "imaging", "paid", "", 20_014, 14, -1, -40_000, -20_000, -18_000),
    ]


def test_no_changes_give_empty_cells():
    for name, cells in tally([]).items():
        assert len(cells) == 0
        same(cells, Cells.empty(TABLES[name]))


facts = st.builds(
    ClaimFacts,
    payer=st.sampled_from(["", "ALBATROSS", "Bittern", "ÉGRET"]),
    procedure_group=st.sampled_from(["imaging", "laboratory"]),
    facility=st.sampled_from(["", "11", "Él"]),
    line_of_business=st.sampled_from(["", "MA"]),
    submitted_day=st.none() | st.integers(19_990, 20_010),
    decided_day=st.none() | st.integers(19_980, 20_200),
    paid_day=st.none(),
    outcome=st.sampled_from(["pending", "paid", "denied", "partial", "zero_paid", "other"]),
    category=st.sampled_from(["", "bundling", "duplicate", "pended"]),
    reason=st.sampled_from(["", "CO-97"]),
    charge=st.integers(-100, 10**12),
    allowed=st.none() | st.integers(-100, 10**12),
    paid=st.integers(-100, 10**12),
    first_pass=st.booleans(),
)


@given(st.lists(facts, max_size=30), st.randoms(use_true_random=False))
def test_cells_do_not_depend_on_order_or_batches(claims, random):
    shuffled = list(claims)
    random.shuffle(shuffled)
    cut = len(claims) // 2
    parts = [added(*shuffled[:cut]), added(*shuffled[cut:])]

    for name, cells in added(*claims).items():
        same(merge([part[name] for part in parts]), cells)


@given(st.lists(st.tuples(facts, facts), max_size=20))
def test_history_of_changes_equals_what_is_true_in_the_end(pairs):
    first = [FactsChange(None, before) for before, _ in pairs]
    then = [FactsChange(before, after) for before, after in pairs]
    told = [tally(first), tally(then)]
    truth = added(*[after for _, after in pairs])

    for name in TABLES:
        same(merge([each[name] for each in told]), truth[name])


@given(st.lists(facts, max_size=20))
def test_taking_everything_back_leaves_nothing(claims):
    back = tally(
        [FactsChange(None, one) for one in claims] + [FactsChange(c, None) for c in claims]
    )

    assert [len(cells) for cells in back.values()] == [0] * len(TABLES)


def test_slices_hold_the_dimensions_that_are_kept():
    changes = [FactsChange(None, FACTS), FactsChange(None, DENIED._replace(facility=""))]

    cells = tally(changes, dimensions=("facility", "line_of_business"))["slices"]

    assert [(one[2], one[3]) for one in rows(cells)] == [
        ("authorization_referral", '{"line_of_business":"PPO"}'),
        ("paid", '{"facility":"11","line_of_business":"PPO"}'),
    ]


@given(st.lists(st.tuples(facts, facts), max_size=20))
def test_slices_add_up_to_the_decisions_whatever_changes(pairs):
    changes = [FactsChange(None, before) for before, _ in pairs]
    changes += [FactsChange(before, after) for before, after in pairs]

    found = tally(changes, dimensions=("facility",))

    wanted = tally(changes)["decisions"]
    for measure in ("claims", "charge"):
        assert found["slices"].measures[measure].sum() == wanted.measures[measure].sum()
    assert len(tally(changes)["slices"]) == 0


def test_canonical_sorts_by_name_and_drops_unused_names():
    cells = Cells(
        table=INFLOW,
        names={"payer": ("zebra", "unused", "Ant"), "procedure_group": ("b", "a")},
        labels={
            "payer": np.array([0, 2, 0, 2]),
            "procedure_group": np.array([0, 0, 1, 0]),
        },
        numbers={"submitted_day": np.array([5, 7, 5, 7])},
        measures={"claims": np.array([1, 1, 0, -1]), "charge": np.array([10, 20, 0, -20])},
    )

    made = canonical(cells)

    assert made.names == {"payer": ("zebra",), "procedure_group": ("b",)}
    assert rows(made) == [("zebra", "b", 5, 1, 10)]


def test_canonical_sums_equal_names_with_different_codes():
    cells = dataclasses.replace(
        Cells.from_columns(
            INFLOW,
            labels={"payer": ["A", "B"], "procedure_group": ["x", "x"]},
            numbers={"submitted_day": [3, 3]},
            measures={"claims": [1, 1], "charge": [5, 6]},
        ),
        names={"payer": ("A", "A"), "procedure_group": ("x",)},
    )

    assert rows(canonical(cells)) == [("A", "x", 3, 2, 11)]


def test_canonical_sorts_keys_too_wide_to_pack():
    cells = Cells.from_columns(
        MONEY,
        labels={"payer": ["B", "A", "A"], "procedure_group": ["x", "y", "x"]},
        numbers={"decided_day": [2**40, -(2**40), 0], "ratio_bin": [2**39, 0, -(2**39)]},
        measures={name: [1, 2, 3] for name in MONEY.measures},
    )

    assert [row[:3] for row in rows(canonical(cells))] == [
        ("A", "x", 0),
        ("A", "y", -(2**40)),
        ("B", "x", 2**40),
    ]
    assert canonical(cells).labels["payer"].tolist() == [0, 0, 1]


def test_known_day_is_kept_apart():
    first = added(FACTS)["decisions"].known_on(20_020)
    second = added(FACTS)["decisions"].known_on(20_021)

    both = merge([first, second])

    assert both.numbers["known_day"].tolist() == [20_020, 20_021]
    assert both.measures["claims"].tolist() == [1, 1]


def test_take_keeps_the_order_asked_for():
    cells = added(FACTS, DENIED)["decisions"]

    assert cells.take(np.array([1, 0])).labels["outcome"].tolist() == [1, 0]
    assert DECISIONS.day in cells.take(np.array([False, True])).numbers
