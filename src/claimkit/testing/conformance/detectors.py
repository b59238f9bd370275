"""What every detector must do."""

# ruff: noqa: D102 - the name of a test is its docstring

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from claimkit.config import DriftConfig
from claimkit.drift.cube import TABLES, Cells, merge
from claimkit.drift.findings import Tier, reconcile
from claimkit.testing.cubes import FIRST_DAY, make_cube, make_facts
from claimkit.types import day_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from claimkit.drift.detectors import Detector
    from claimkit.drift.findings import Finding
    from claimkit.events import ClaimFacts

__all__ = ["DetectorConformance"]


@functools.cache
def _quiet(days: int) -> tuple[ClaimFacts, ...]:
    return tuple(make_facts(days=days))


class DetectorConformance:
    """Subclass it and give it the fixtures ``detector`` and ``drifting``.

    Claims are those of :func:`claimkit.testing.cubes.make_facts`; the day of the look is the last one.
    """

    #: Days of the claims, and the night that is looked at: the evening of the last day.
    days = 420
    as_of = FIRST_DAY + dt.timedelta(days=days - 1)
    config = DriftConfig(scan_days=28)
    #: Whether it promises not to find anything where nothing changed.
    keeps_quiet = True

    @pytest.fixture
    def detector(self) -> Detector:
        """Override: the detector under test."""
        raise NotImplementedError("a conformance suite needs a fixture called 'detector'")

    @pytest.fixture
    def drifting(self, quiet: list[ClaimFacts]) -> list[ClaimFacts]:
        """Override: the claims, changed so that the detector finds something in them."""
        raise NotImplementedError("a conformance suite needs a fixture called 'drifting'")

    @pytest.fixture
    def quiet(self) -> list[ClaimFacts]:
        """Return claims that are treated alike from first to last."""
        return list(_quiet(self.days))

    def cube_of(self, facts: Sequence[ClaimFacts]) -> Mapping[str, Cells]:
        """Return the cube of claims; override it where the detector needs measures or dimensions."""
        return make_cube(facts)

    def test_it_finds_what_it_is_for(
        self, detector: Detector, drifting: Sequence[ClaimFacts]
    ) -> None:
        found = self._look(detector, self.cube_of(drifting))

        assert found
        assert len({one.fingerprint for one in found}) == len(found)
        for one in found:
            _makes_sense(detector, one, self.as_of)

    def test_it_keeps_quiet_where_nothing_changed(
        self, detector: Detector, quiet: Sequence[ClaimFacts]
    ) -> None:
        if not self.keeps_quiet:
            pytest.skip("it does not promise to")
        found = self._look(detector, self.cube_of(quiet))

        assert [one for one in found if one.tier is Tier.ALERT] == []

    def test_an_empty_cube_has_no_findings(self, detector: Detector) -> None:
        empty = {name: Cells.empty(table) for name, table in TABLES.items()}

        assert list(self._look(detector, {})) == []
        assert list(self._look(detector, empty)) == []

    def test_the_same_cube_gives_the_same_findings(
        self, detector: Detector, drifting: Sequence[ClaimFacts]
    ) -> None:
        """It is pure: nothing is kept between two looks, and the cube stays as it is."""
        cube = self.cube_of(drifting)
        copies = {name: cells.take(np.arange(len(cells))) for name, cells in cube.items()}
        found = self._look(detector, cube)

        assert self._look(detector, cube) == found
        assert self._look(detector, copies) == found

    def test_the_order_of_cells_does_not_matter(
        self, detector: Detector, drifting: Sequence[ClaimFacts]
    ) -> None:
        cube = self.cube_of(drifting)
        rng = np.random.default_rng(8)
        shuffled = {name: cells.take(rng.permutation(len(cells))) for name, cells in cube.items()}
        sorted_again = {name: merge([cells]) for name, cells in shuffled.items()}

        assert self._look(detector, sorted_again) == self._look(detector, cube)

    def test_it_does_not_see_the_future(
        self, detector: Detector, drifting: Sequence[ClaimFacts]
    ) -> None:
        """What happens after the night must not change what is said of it."""
        earlier = self.as_of - dt.timedelta(days=7)
        whole = self.cube_of(drifting)
        night = day_of(earlier)
        past = {
            name: cells.take(cells.numbers[cells.table.day] <= night)
            for name, cells in whole.items()
        }

        assert self._look(detector, whole, earlier) == self._look(detector, past, earlier)

    def test_what_is_open_is_the_same_finding_the_next_night(
        self, detector: Detector, drifting: Sequence[ClaimFacts]
    ) -> None:
        cube = self.cube_of(drifting)
        yesterday = self.as_of - dt.timedelta(days=1)
        before = list(self._look(detector, cube, yesterday))
        found = self._look(detector, cube, open_findings=before)
        recorded = reconcile(before, found, as_of=self.as_of)
        known = {one.fingerprint for one in before}
        kept = {one.fingerprint for one in (*recorded.same, *recorded.worse, *recorded.resolved)}

        assert kept == known

    def test_findings_of_others_are_left_alone(
        self, detector: Detector, drifting: Sequence[ClaimFacts]
    ) -> None:
        cube = self.cube_of(drifting)
        found = self._look(detector, cube)
        others = [replace(one, detector="another", fingerprint="fp-other") for one in found]

        assert self._look(detector, cube, open_findings=others) == found

    def test_what_was_accepted_is_told_no_more(
        self, detector: Detector, drifting: Sequence[ClaimFacts]
    ) -> None:
        cube = self.cube_of(drifting)
        accepted = [
            replace(one, accepted_on=self.as_of, accepted_by="maria")
            for one in self._look(detector, cube)
        ]
        again = self._look(detector, cube, accepted_findings=accepted)
        told = {(one.signal, one.segment) for one in accepted}

        assert not [
            one
            for one in again
            if one.tier is Tier.ALERT and one.ended is None and (one.signal, one.segment) in told
        ]

    def _look(
        self,
        detector: Detector,
        cube: Mapping[str, Cells],
        as_of: dt.date | None = None,
        *,
        open_findings: Sequence[Finding] = (),
        accepted_findings: Sequence[Finding] = (),
    ) -> Sequence[Finding]:
        return list(
            detector.detect(
                cube,
                as_of=as_of or self.as_of,
                config=self.config,
                open_findings=open_findings,
                accepted_findings=accepted_findings,
            )
        )


def _makes_sense(detector: Detector, one: Finding, as_of: dt.date) -> None:
    assert one.detector == detector.name
    assert one.fingerprint
    assert len(one.fingerprint) <= 128
    assert one.segment.payer
    assert 1 <= len(one.unit) <= 16
    assert one.onset <= as_of
    assert one.as_of <= as_of
    assert one.detected_on is None or one.onset <= one.detected_on <= as_of
    low, high = one.interval
    assert low <= one.effect <= high
    assert one.claims >= 0
    assert one.segment.payer in one.summary
    assert one.summary.endswith(".")
    assert one.why
    columns = (one.evidence.observed, one.evidence.expected, one.evidence.low, one.evidence.high)
    assert {len(column) for column in columns} == {len(one.evidence.days)}
