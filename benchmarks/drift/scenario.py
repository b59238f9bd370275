"""Scenarios as data: what happens to a simulated tenant, and what a detector should say of it.

A scenario is nuisances (things that happen and are nobody's fault) and changes (what a payer does).
Without a change it is a null: every alert is a false one. ``bench.py --scenario-file FILE`` adds
scenarios from JSON or TOML; the schema is the fields of :class:`Scenario` and :class:`Change`::

    [[scenario]]
    name = "denial+4pp twice"
    casemix = true

    [[scenario.change]]
    metric = "denial"
    size = 0.04

    [[scenario.change]]
    metric = "allowed"
    size = -0.05
    groups = 1
    payer = "other"
    after_days = 14
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["DRIFTS", "NULLS", "SCENARIOS", "Change", "Scenario", "load_scenarios"]

METRICS = ("denial", "reason", "lag", "allowed", "volume")
AXES = ("", "decision", "submission")
WHOSE = ("any", "same", "other")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one payer does from its onset on."""

    #: ``denial`` (share of claims denied), ``reason`` (one reason taking over from another),
    #: ``lag`` (days to decision), ``allowed`` (relative change of allowed amounts), ``volume``
    #: (relative change of the claims sent, -1 to 0).
    metric: str
    #: Points of share, share of the reason that is swapped, days, or relative change.
    size: float = 0.0
    #: How many procedure groups change; 0 means all.
    groups: int = 0
    #: Denial category of the added denials; "" draws: half of the changes carry one reason.
    reason: str = ""
    #: Days over which the change comes in; 0 is a step.
    ramp_days: int = 0
    #: Days after which it is over; 0 is for good.
    lasting_days: int = 0
    #: Days without any decision, made up for afterwards (metric ``lag``).
    outage_days: int = 0
    #: Which date carries it; "" draws: 30 % of denial changes apply by submission date.
    axis: str = ""
    #: Whose change it is, for the second change and later ones.
    payer: str = "any"
    #: Days between the onset of the first change and this one's.
    after_days: int = 0

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("metric", self.metric, METRICS),
            ("axis", self.axis, AXES),
            ("payer", self.payer, WHOSE),
        ):
            if value not in allowed:
                raise ValueError(f"{name} {value!r} of a change; expected one of {allowed}")

    @property
    def is_steady(self) -> bool:
        """Whether there is one size to estimate."""
        return not (
            self.ramp_days or self.lasting_days or self.outage_days or self.metric == "reason"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What happens to a tenant; every field but the name is optional."""

    name: str
    change: tuple[Change, ...] = ()
    #: More than a third of the claims of most payers move to the three groups denied most.
    casemix: bool = False
    #: December to February are inside the nights that are watched.
    season: bool = False
    #: Five days without submissions and the flood after them, twice.
    backlog: bool = False
    #: Growth of volume a year; None draws between -5 and 30 %.
    growth: float | None = None
    #: Benign trends of denial logits a year, drawn within ± this.
    trend: float = 0.12
    #: Rise of the denial logit of every payer: a fault at the provider's own desk.
    tenant_wide: float = 0.0
    #: Standard deviation of a shift between lags of denials and payments that is each cell's own.
    age_curve: float = 0.0
    #: Payers, and procedure groups, without any claim before the nights that are watched.
    new_payers: int = 0
    new_groups: int = 0
    #: From one day on, what used to be one reason, or one group, is reported as another.
    remap_reason: bool = False
    remap_group: bool = False
    #: Groups whose codes retire on January 1; new codes take their claims.
    codeset: int = 0
    #: Days of silence of all payers while the clearinghouse is switched, and the new one's delay.
    clearinghouse_days: int = 0
    clearinghouse_lag: int = 0
    #: Number that its random draws depend on; None makes one of the name.
    key: int | None = None

    @property
    def is_null(self) -> bool:
        """Whether every alert is a false one."""
        return not self.change

    @property
    def seed(self) -> int:
        """Return the number that makes its draws its own."""
        return zlib.crc32(self.name.encode()) if self.key is None else self.key


def _denial(size: float, **more: Any) -> tuple[Change, ...]:
    return (Change(metric="denial", size=size, **more),)


_STUDY = (
    Scenario(name="clean"),
    Scenario(name="casemix", casemix=True),
    Scenario(name="season", season=True),
    Scenario(name="backlog", backlog=True),
    Scenario(name="growth_trend", growth=0.6, trend=0.30),
    Scenario(name="denial+2pp", change=_denial(0.02)),
    Scenario(name="denial+5pp", change=_denial(0.05)),
    Scenario(name="denial+10pp", change=_denial(0.10)),
    Scenario(name="ramp8w+8pp", change=_denial(0.08, ramp_days=56)),
    Scenario(name="cpt+10pp", change=_denial(0.10, groups=1)),
    Scenario(name="cpt+20pp", change=_denial(0.20, groups=1)),
    Scenario(name="auth_cpt+8pp", change=_denial(0.08, groups=1, reason="authorization_referral")),
    Scenario(name="carc_mix", change=(Change(metric="reason", size=0.6),)),
    Scenario(name="allowed-3%", change=(Change(metric="allowed", size=-0.03),)),
    Scenario(name="allowed-8%cpt", change=(Change(metric="allowed", size=-0.08, groups=1),)),
    Scenario(name="lag+3d", change=(Change(metric="lag", size=3),)),
    Scenario(name="lag+10d", change=(Change(metric="lag", size=10),)),
    Scenario(name="blip1w+10pp", change=_denial(0.10, lasting_days=7)),
    Scenario(name="outage10d", change=(Change(metric="lag", outage_days=10),)),
    Scenario(name="tenant_wide", tenant_wide=0.35),
)

_BEYOND = (
    Scenario(
        name="two_payers",
        change=(*_denial(0.08), *_denial(0.08, payer="other", after_days=5)),
    ),
    Scenario(
        name="second_while_open",
        change=(
            *_denial(0.10, groups=1, axis="decision"),
            *_denial(0.08, payer="same", after_days=35, axis="decision"),
        ),
    ),
    Scenario(
        name="denial_then_allowed",
        change=(
            *_denial(0.08, axis="decision"),
            Change(metric="allowed", size=-0.06, payer="same", after_days=28),
        ),
    ),
    Scenario(name="new_payers", new_payers=3),
    Scenario(name="new_groups", new_groups=3),
    Scenario(name="age_curve", age_curve=0.35),
    Scenario(name="remap_reason", remap_reason=True),
    Scenario(name="remap_group", remap_group=True),
    Scenario(name="codeset_january", season=True, codeset=3),
    Scenario(name="clearinghouse", clearinghouse_days=4, clearinghouse_lag=2),
    Scenario(name="volume-70%", change=(Change(metric="volume", size=-0.7),)),
    Scenario(name="volume_gone", change=(Change(metric="volume", size=-1.0),)),
)

#: Name → scenario; the first twenty are those of the study behind the method.
SCENARIOS: Mapping[str, Scenario] = {
    one.name: dataclasses.replace(one, key=at) for at, one in enumerate((*_STUDY, *_BEYOND))
}
NULLS = tuple(name for name, one in SCENARIOS.items() if one.is_null)
DRIFTS = tuple(name for name, one in SCENARIOS.items() if not one.is_null)


def load_scenarios(path: Path) -> Mapping[str, Scenario]:
    """Return the scenarios of a JSON or TOML file: an array ``scenario`` of tables.

    Raises:
        ValueError: a field that there is not, or a value that makes no sense.
    """
    text = path.read_text(encoding="utf-8")
    tree = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    rows = tree["scenario"] if isinstance(tree, dict) else tree
    made = [_scenario(row) for row in rows]
    return {one.name: one for one in made}


def _scenario(row: Mapping[str, Any]) -> Scenario:
    values = dict(row)
    changes = values.pop("change", ())
    if isinstance(changes, dict):
        changes = (changes,)
    try:
        return Scenario(**values, change=tuple(Change(**one) for one in changes))
    except TypeError as error:
        fields = [one.name for one in dataclasses.fields(Scenario)]
        raise ValueError(
            f"scenario {row.get('name')!r}: {error}; a scenario has {fields}, a change has "
            f"{[one.name for one in dataclasses.fields(Change)]}"
        ) from error
