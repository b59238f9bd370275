"""Who submits what to whom: made-up providers and payers, and the drifts planted among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["LAKEVIEW", "NORTHSIDE", "PlantedDrift", "Procedure", "Profile", "SyntheticPayer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticPayer:
    """A payer that does not exist."""

    name: str
    #: Made-up five-digit payer id.
    payer_id: str
    #: X12 claim filing indicator: 12 PPO, HM HMO, MB Medicare B, MC Medicaid, CI commercial.
    filing: str
    #: Median days from submission to decision.
    decision_days: float
    #: Weekdays on which remittances are sent, Monday is 0.
    remit_weekdays: tuple[int, ...] = (0, 1, 2, 3, 4)
    #: Denial rate over all procedures, before any drift.
    denial_rate: float = 0.09
    #: Allowed over charged, before any drift.
    allowed_ratio: float = 0.55


@dataclass(frozen=True, slots=True)
class Procedure:
    """A procedure by its code, what it is charged at (dollars), and how common it is."""

    code: str
    charge: float
    weight: float
    #: Factor on the payer's denial rate.
    risk: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedDrift:
    """A change that a payer makes without telling anyone: the ground truth of a simulation."""

    #: ``denial_rate``: more denials; ``allowed_amount``: lower allowed amounts;
    #: ``decision_time``: later decisions.
    signal: Literal["denial_rate", "allowed_amount", "decision_time"]
    payer: str
    #: Percentage points as a share (0.12), relative change (-0.08) or days (9).
    size: float
    #: Days before the last day of the simulation on which the change begins.
    days_ago: int
    #: Procedure codes that it concerns; empty means all.
    codes: tuple[str, ...] = ()
    #: CARC that explains the added denials.
    carc: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One provider organization."""

    name: str
    claims_per_month: int
    payers: tuple[SyntheticPayer, ...]
    procedures: tuple[Procedure, ...]
    drifts: tuple[PlantedDrift, ...]
    npi: str
    tin: str
    #: Prefix of patient control numbers.
    prefix: str


_PAYERS = (
    SyntheticPayer(
        name="Meridian Health Plan of Ohio", payer_id="60054", filing="12", decision_days=12
    ),
    SyntheticPayer(
        name="Blue Lake Mutual", payer_id="71012", filing="CI", decision_days=15, allowed_ratio=0.6
    ),
    SyntheticPayer(
        name="Great Prairies Health",
        payer_id="38225",
        filing="HM",
        decision_days=10,
        denial_rate=0.12,
    ),
    SyntheticPayer(
        name="Rushmore Life and Health",
        payer_id="84410",
        filing="CI",
        decision_days=18,
        remit_weekdays=(1, 3),
    ),
    SyntheticPayer(
        name="Commonwealth Senior Care",
        payer_id="15202",
        filing="16",
        decision_days=14,
        allowed_ratio=0.42,
        denial_rate=0.07,
    ),
    SyntheticPayer(
        name="Harbor State Medicaid",
        payer_id="90017",
        filing="MC",
        decision_days=21,
        remit_weekdays=(2,),
        allowed_ratio=0.33,
        denial_rate=0.14,
    ),
    SyntheticPayer(
        name="Pinewood Employers Trust",
        payer_id="55318",
        filing="12",
        decision_days=16,
        remit_weekdays=(0, 4),
    ),
    SyntheticPayer(
        name="Timberline Insurance Company", payer_id="27733", filing="CI", decision_days=19
    ),
)
_PROCEDURES = (
    Procedure("99213", 165, 22, 0.6),
    Procedure("99214", 240, 18, 0.7),
    Procedure("99285", 980, 4, 0.9),
    Procedure("36415", 32, 10, 0.5),
    Procedure("80053", 95, 9, 0.8),
    Procedure("71046", 210, 6, 1.0),
    Procedure("70551", 1850, 6, 1.6),
    Procedure("72148", 1790, 5, 1.7),
    Procedure("45378", 2100, 4, 1.2),
    Procedure("97110", 130, 9, 1.3),
    Procedure("93306", 1250, 4, 1.4),
    Procedure("J1745", 4600, 2, 1.8),
)

#: A hospital: enough volume to see a change in one procedure group of one payer.
NORTHSIDE = Profile(
    name="Northside Hospital",
    claims_per_month=2_400,
    payers=_PAYERS,
    procedures=_PROCEDURES,
    npi="1999999984",
    tin="999999999",
    prefix="NS",
    drifts=(
        PlantedDrift(
            signal="denial_rate",
            payer="Meridian Health Plan of Ohio",
            size=0.22,
            days_ago=63,
            codes=("70551", "72148", "71046"),
            carc="197",
        ),
        PlantedDrift(signal="allowed_amount", payer="Blue Lake Mutual", size=-0.09, days_ago=70),
        PlantedDrift(signal="decision_time", payer="Great Prairies Health", size=11, days_ago=40),
    ),
)
#: A practice: smaller, so that only larger changes can be seen.
LAKEVIEW = Profile(
    name="Lakeview Medical Group",
    claims_per_month=900,
    payers=_PAYERS[:6],
    procedures=tuple(one for one in _PROCEDURES if one.charge < 1_500),
    npi="1888888885",
    tin="888888888",
    prefix="LV",
    drifts=(
        PlantedDrift(
            signal="denial_rate",
            payer="Blue Lake Mutual",
            size=0.16,
            days_ago=56,
            carc="16",
        ),
    ),
)
