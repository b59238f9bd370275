"""What every measure must do."""

# ruff: noqa: D102 - the name of a test is its docstring

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claimkit.claims.model import Outcome
from claimkit.config import DriftConfig
from claimkit.drift.cube import MEASURES, MONEY
from claimkit.drift.measured import MeasureDetector
from claimkit.drift.measures import Measure, MeasuredChange, check_readings
from claimkit.drift.tally import tally
from claimkit.events import ClaimFacts, FactsChange
from claimkit.testing.cubes import make_cube, make_facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from claimkit.drift.measures import Reading

__all__ = ["MeasureConformance"]

_measure_property = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
_days = st.none() | st.integers(20_000, 20_400)
_cents = st.integers(-10_000_000, 10_000_000)


def _facts() -> st.SearchStrategy[ClaimFacts]:
    """Return claims as odd as files make them: decided before they were sent, for nothing, undone."""
    return st.builds(
        ClaimFacts,
        payer=st.sampled_from(["MERIDIAN", "BLUE LAKE", ""]),
        procedure_group=st.sampled_from(["imaging", "surgery", ""]),
        facility=st.sampled_from(["11", ""]),
        line_of_business=st.sampled_from(["MC", ""]),
        submitted_day=_days,
        decided_day=_days,
        paid_day=_days,
        outcome=st.sampled_from([one.value for one in Outcome]),
        category=st.sampled_from(["bundling", "pended", ""]),
        reason=st.sampled_from(["CO-97", ""]),
        charge=_cents,
        allowed=st.none() | _cents,
        paid=_cents,
        first_pass=st.booleans(),
        provider=st.sampled_from(["1999999984", ""]),
        first_stands=st.booleans(),
    )


class MeasureConformance:
    """Subclass it and give it the fixture ``measure``."""

    @pytest.fixture
    def measure(self) -> Measure:
        """Override: the measure under test."""
        raise NotImplementedError("a conformance suite needs a fixture called 'measure'")

    def test_it_says_what_it_is(self, measure: Measure) -> None:
        assert measure.name.isidentifier()
        assert measure.name == measure.name.lower()
        assert len(measure.name) <= 64
        assert 1 <= len(measure.unit) <= 16
        assert measure.worse in ("up", "down")
        assert 0 < measure.scale < math.inf
        assert measure.reference is None or math.isfinite(measure.reference)
        assert measure.supersedes in ("", MONEY.name)

    def test_it_reads_ordinary_claims(self, measure: Measure) -> None:
        assert any(one is not None for one in measure.read(make_facts(days=60)))

    def test_no_claims_have_no_readings(self, measure: Measure) -> None:
        assert list(measure.read([])) == []

    @_measure_property
    @given(facts=st.lists(_facts(), max_size=8))
    def test_any_claim_is_read_or_left_out(
        self, measure: Measure, facts: Sequence[ClaimFacts]
    ) -> None:
        readings = list(check_readings(measure, facts, measure.read(facts)))

        assert readings == list(measure.read(facts))

    @_measure_property
    @given(facts=st.lists(_facts(), max_size=8), data=st.data())
    def test_a_claim_is_read_by_itself(
        self, measure: Measure, facts: Sequence[ClaimFacts], data: st.DataObject
    ) -> None:
        """Batches are cut anyhow: neither the order nor the neighbors of a claim may count."""
        order = data.draw(st.permutations(range(len(facts))))
        alone: list[Reading | None] = [measure.read([one])[0] for one in facts]
        shuffled = measure.read([facts[at] for at in order])

        assert list(measure.read(facts)) == alone
        assert list(shuffled) == [alone[at] for at in order]

    @_measure_property
    @given(before=_facts(), after=_facts())
    def test_a_change_and_its_reverse_leave_nothing(
        self, measure: Measure, before: ClaimFacts, after: ClaimFacts
    ) -> None:
        there, back = FactsChange(before, after), FactsChange(after, before)

        assert len(tally([there, back], measures=[measure])[MEASURES.name]) == 0

    def test_quiet_claims_raise_no_alert(self, measure: Measure) -> None:
        facts = make_facts(days=300)
        as_of = dt.date(1970, 1, 1) + dt.timedelta(days=max(one.decided_day or 0 for one in facts))
        cube = make_cube(facts, measures=[measure])
        if measure.reference is not None:
            pytest.skip("what is quiet, only the reference knows")

        assert (
            MeasureDetector(measure).detect(cube, as_of=as_of, config=DriftConfig(scan_days=7))
            == []
        )

    @_measure_property
    @given(
        groups=st.sampled_from([(), ("imaging",), ("imaging", "surgery")]),
        before=st.floats(-10, 10),
        since=st.floats(-10, 10),
        claims=st.integers(0, 1_000),
        cents=_cents,
    )
    def test_it_has_words_and_money_for_any_change(
        self,
        measure: Measure,
        groups: tuple[str, ...],
        before: float,
        since: float,
        claims: int,
        cents: int,
    ) -> None:
        change = MeasuredChange(
            payer="MERIDIAN",
            procedure_groups=groups,
            onset=dt.date(2026, 3, 2),
            as_of=dt.date(2026, 3, 20),
            before=before * measure.scale,
            since=since * measure.scale,
            claims=claims,
            cents=cents,
        )
        words = measure.words(change)

        assert "MERIDIAN" in words
        assert words.endswith(".")
        assert "\n" not in words
        assert isinstance(measure.dollars(change), int)
