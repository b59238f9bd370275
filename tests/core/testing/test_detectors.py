"""The detectors and measures of claimkit itself keep what the suites ask of everybody's."""

from __future__ import annotations

import pytest

from claimkit.drift.lattice import LatticeDetector
from claimkit.drift.measured import MeasureDetector
from claimkit.drift.measures import PartialPayments
from claimkit.drift.payments import PaymentDetector
from claimkit.drift.threshold import ThresholdDetector
from claimkit.drift.volume import VolumeDetector
from claimkit.testing.conformance import DetectorConformance, MeasureConformance
from claimkit.testing.cubes import FIRST_DAY, make_cube
from claimkit.types import day_of

SINCE = day_of(FIRST_DAY) + 390


def deny_more(facts):
    """Deny every third claim of Bittern's imaging and surgery that is decided since."""
    return [
        one._replace(outcome="denied", category="bundling", reason="CO-97", allowed=None, paid=0)
        if at % 3 == 0
        and one.payer == "BITTERN"
        and one.decided_day is not None
        and one.decided_day >= SINCE
        else one
        for at, one in enumerate(facts)
    ]


class TestLattice(DetectorConformance):
    @pytest.fixture
    def detector(self):
        return LatticeDetector()

    @pytest.fixture
    def drifting(self, quiet):
        return deny_more(quiet)


class TestThreshold(DetectorConformance):
    keeps_quiet = False

    @pytest.fixture
    def detector(self):
        return ThresholdDetector()

    @pytest.fixture
    def drifting(self, quiet):
        # Of the claims of the last 14 days, it needs 30 that are decided in one group.
        return [one._replace(procedure_group="imaging") for one in deny_more(quiet)]


class TestVolume(DetectorConformance):
    @pytest.fixture
    def detector(self):
        return VolumeDetector()

    @pytest.fixture
    def drifting(self, quiet):
        return [
            one for one in quiet if one.payer != "BITTERN" or (one.submitted_day or 0) < SINCE - 20
        ]


class TestPayment(DetectorConformance):
    @pytest.fixture
    def detector(self):
        return PaymentDetector()

    @pytest.fixture
    def drifting(self, quiet):
        end = day_of(self.as_of)
        return [late(one, end) for one in quiet]


def late(one, end):
    """Let Bittern pay nine days later since."""
    if one.payer != "BITTERN" or one.paid_day is None or one.paid_day < SINCE:
        return one
    paid = one.paid_day + 9
    return one._replace(paid_day=paid if paid <= end else None)


def in_part(facts):
    return [
        one._replace(outcome="partial")
        if one.outcome == "paid"
        and (at % 20 == 0 or (at % 4 == 0 and one.payer == "BITTERN" and one.decided_day >= SINCE))
        else one
        for at, one in enumerate(facts)
    ]


class TestMeasure(DetectorConformance):
    @pytest.fixture
    def detector(self):
        return MeasureDetector(PartialPayments())

    @pytest.fixture
    def drifting(self, quiet):
        return in_part(quiet)

    def cube_of(self, facts):
        return make_cube(facts, measures=[PartialPayments()])


class TestPartialPayments(MeasureConformance):
    @pytest.fixture
    def measure(self):
        return PartialPayments()
