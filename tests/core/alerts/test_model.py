"""The pipeline beside a second, plain reading of what it promises, over made-up histories.

A short run is part of every test run; ``CLAIMKIT_ALERT_SEQUENCES`` asks for more of them, as
``tox run -e alerts-model`` does.
"""

from __future__ import annotations

import datetime as dt
import os
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from claimkit.alerts import lifecycle, policy
from claimkit.alerts.judgments import Judgment, Verdict, noise_until
from claimkit.alerts.lifecycle import AlertSignal, AlertState, Subject
from claimkit.alerts.policy import AlertMatch, QuietHours, Reason, Route, Silence, Step
from claimkit.alerts.rules import Rule, apply_rules
from claimkit.types import Severity
from tests.alert_reference import HALF_HOUR, Reference, Said

_SEQUENCES = int(os.environ.get("CLAIMKIT_ALERT_SEQUENCES", "0"))
pytestmark = pytest.mark.timeout(0 if _SEQUENCES else 300)

HOUR = dt.timedelta(hours=1)
ZONE = ZoneInfo("America/New_York")
CHANNELS = ("pager", "phone", "mail", "chat")
#: Evenings before the clock goes back, before it goes forward, and an ordinary one.
STARTS = [
    dt.datetime(2026, 10, 31, 22, tzinfo=dt.UTC),
    dt.datetime(2027, 3, 13, 23, tzinfo=dt.UTC),
    dt.datetime(2026, 6, 3, 12, tzinfo=dt.UTC),
]
#: Fingerprint → payer, and whether it is about a part of that payer.
ABOUT = {
    "everything": ("", False),
    "aetna": ("Aetna", False),
    "aetna-mri": ("Aetna", True),
    "cigna-mri": ("Cigna", True),
}
PLAIN = [
    {
        "key": "severe",
        "payer": "",
        "least": "high",
        "goes_on": True,
        "tells_end": True,
        "channels": ["pager"],
        "quiet": (dt.time(22), dt.time(1, 30)),
        "repeat": 24 * HOUR,
        "step_times": [(2 * HOUR, "phone"), (6 * HOUR, "chat")],
    },
    {
        "key": "aetna",
        "payer": "Aetna",
        "least": "low",
        "goes_on": False,
        "tells_end": True,
        "channels": ["mail", "chat"],
        "quiet": (dt.time(22), dt.time(2, 30)),
        "repeat": None,
        "step_times": [],
    },
    {
        "key": "rest",
        "payer": "",
        "least": "medium",
        "goes_on": False,
        "tells_end": False,
        "channels": ["mail"],
        "quiet": (dt.time(20), dt.time(7)),
        "repeat": 72 * HOUR,
        "step_times": [(4 * HOUR, "phone")],
    },
]
for one in PLAIN:
    one["steps"] = [frozenset({channel}) for _, channel in one["step_times"]]
ROUTES = [
    Route(
        key=one["key"],
        match=AlertMatch(payers={one["payer"]} if one["payer"] else set()),
        least=Severity(one["least"]),
        channels=tuple(one["channels"]),
        goes_on=one["goes_on"],
        tells_end=one["tells_end"],
        repeat_after=one["repeat"],
        quiet=QuietHours(begin=one["quiet"][0], end=one["quiet"][1]),
        steps=tuple(Step(after=after, channels=(channel,)) for after, channel in one["step_times"]),
    )
    for one in PLAIN
]
RULE = Rule(key="rule", metric="figure", threshold=6, clear_threshold=4, severity=Severity.HIGH)
fingerprints = st.sampled_from(sorted(ABOUT))
severities = st.sampled_from(list(Severity))


class Pipeline:
    """The real code, driven as a worker drives it: asked when something changes or is due."""

    def __init__(self) -> None:
        self.alerts: dict[str, lifecycle.Alert] = {}
        self.rows: dict[str, int] = {}
        self.look: dict[str, dt.datetime | None] = {}
        self.inhibitors: dict[str, str] = {}
        self.silences: list[Silence] = []
        self.judgments: dict[str, list[Judgment]] = {}
        self.on = set(CHANNELS)
        self.said: list[Said] = []
        #: Those of which somebody would have learned the end, and could not.
        self.owed: set[str] = set()

    def signal(self, signal: AlertSignal) -> None:
        before = self.alerts.get(signal.fingerprint)
        held = before.rule if before is not None and before.state.is_live else ""
        ruled = apply_rules(signal, [RULE], held_by=held)
        after, change = lifecycle.apply(before, ruled, reopen_within=dt.timedelta(days=7))
        if after is not None:
            if change is lifecycle.Change.OPENED:
                self.rows[signal.fingerprint] = self.rows.get(signal.fingerprint, 0) + 1
            self.put(after)

    def put(self, alert: lifecycle.Alert) -> None:
        self.alerts[alert.fingerprint] = alert
        self.look[alert.fingerprint] = dt.datetime.min.replace(tzinfo=dt.UTC)
        for fp, inhibitor in self.inhibitors.items():
            if inhibitor == alert.fingerprint:
                self.look[fp] = dt.datetime.min.replace(tzinfo=dt.UTC)

    def look_again(self) -> None:
        for fp, one in self.alerts.items():
            if one.state.is_live or fp in self.owed:
                self.look[fp] = dt.datetime.min.replace(tzinfo=dt.UTC)

    def work(self, now: dt.datetime) -> None:
        for fp, at in list(self.look.items()):
            if at is not None and at <= now:
                self.decide(fp, now)

    def decide(self, fp: str, now: dt.datetime) -> None:
        alert = self.alerts[fp]
        inhibitor = policy.inhibitor_of(alert, self.alerts.values())
        decisions = policy.decide(
            alert,
            routes=ROUTES,
            silences=self.silences,
            noise_until=noise_until(self.judgments.get(fp, ()), severity=alert.severity, now=now),
            inhibitor=inhibitor,
            channels=self.on,
            zone=ZONE,
            now=now,
        )
        self.inhibitors.pop(fp, None)
        self.owed.discard(fp)
        for one in decisions:
            if one.reason is Reason.INHIBITED:
                self.inhibitors[fp] = inhibitor
            if one.reason is Reason.NO_CHANNEL:
                self.owed.add(fp)
            if one.action is policy.Action.NOTIFY:
                of = (fp, self.rows[fp], alert.episode, one.by, one.reason.value)
                self.said.append(Said(now, *of, alert.severity.value, frozenset(one.channels)))
                alert = policy.told_now(alert, one, now)
            else:
                # What is muted is never counted as told.
                assert one.again_at is None or one.again_at > now
        self.alerts[fp] = alert
        self.look[fp] = min((one.again_at for one in decisions if one.again_at), default=None)


class AlertPipeline(RuleBasedStateMachine):
    """The same history for both; at every tick they say the same."""

    @initialize(start=st.sampled_from(STARTS))
    def begin(self, start):
        self.now = start
        self.pipeline = Pipeline()
        self.reference = Reference(PLAIN, ZONE, self.pipeline.on)

    def tick(self):
        already = len(self.pipeline.said)
        self.pipeline.work(self.now)

        assert sorted(self.pipeline.said[already:]) == sorted(self.reference.tick(self.now))

    def live(self):
        return sorted(fp for fp, one in self.pipeline.alerts.items() if one.state.is_live)

    @rule(
        fp=fingerprints,
        firing=st.sampled_from([True, True, True, False]),
        severity=severities,
        figure=st.integers(1, 8),
        late=st.sampled_from([0, 0, 0, 2, 11]),
    )
    def report(self, fp, firing, severity, figure, late):
        at = self.now - late * HALF_HOUR
        payer, part = ABOUT[fp]
        dimensions = {"procedure_group": ("MRI",)} if part else {}
        subject = Subject(
            source="drift", kind="denial_rate", payer=payer, figure=figure, dimensions=dimensions
        )
        self.pipeline.signal(
            AlertSignal(fingerprint=fp, is_firing=firing, severity=severity, at=at, subject=subject)
        )
        self.reference.signal(
            fp,
            firing=firing,
            severity=severity.value,
            figure=figure,
            at=at,
            payer=payer,
            part=part,
        )
        self.tick()

    @rule(half_hours=st.sampled_from([1, 1, 3, 7, 13, 48, 50]))
    def wait(self, half_hours):
        for _ in range(half_hours):
            self.now += HALF_HOUR
            self.tick()

    @rule(days=st.sampled_from([1, 3, 8, 15]))
    def no_worker_runs(self, days):
        self.now += dt.timedelta(days=days)
        self.tick()

    @precondition(lambda self: self.live())
    @rule(pick=st.integers(0, 3))
    def acknowledge(self, pick):
        fp = self.live()[pick % len(self.live())]
        self.pipeline.put(lifecycle.acknowledge(self.pipeline.alerts[fp]))
        self.reference.acknowledge(fp)
        self.tick()

    @precondition(lambda self: self.live())
    @rule(pick=st.integers(0, 3))
    def resolve(self, pick):
        fp = self.live()[pick % len(self.live())]
        self.pipeline.put(lifecycle.resolve(self.pipeline.alerts[fp], at=self.now))
        self.reference.resolve(fp, self.now)
        self.tick()

    @precondition(lambda self: self.live())
    @rule(
        pick=st.integers(0, 3),
        verdict=st.sampled_from([Verdict.NOISE, Verdict.NOISE, Verdict.REAL, Verdict.FOLLOW_UP]),
        actor=st.sampled_from(["ada", "grace"]),
        decisive=st.booleans(),
    )
    def judge(self, pick, verdict, actor, decisive):
        fp = self.live()[pick % len(self.live())]
        # Off the grid, so that no weight reaches its limit at a tick.
        at = self.now - dt.timedelta(minutes=7)
        severity = self.pipeline.alerts[fp].severity
        self.pipeline.judgments.setdefault(fp, []).append(
            Judgment(verdict=verdict, actor=actor, at=at, severity=severity, is_decisive=decisive)
        )
        self.pipeline.put(self.pipeline.alerts[fp])
        self.reference.judgments.append(
            {
                "fp": fp,
                "verdict": verdict.value,
                "actor": actor,
                "at": at,
                "severity": severity.value,
                "decisive": decisive,
            }
        )
        self.tick()

    @rule(
        fp=st.one_of(st.just(""), fingerprints),
        payer=st.sampled_from(["", "Aetna"]),
        half_hours=st.sampled_from([2, 12, 60]),
    )
    def silence(self, fp, payer, half_hours):
        ends = self.now + half_hours * HALF_HOUR
        self.pipeline.silences.append(
            Silence(
                key=f"s{len(self.pipeline.silences)}",
                match=AlertMatch(payers={payer} if payer else set()),
                fingerprint=fp,
                begins_at=self.now,
                ends_at=ends,
            )
        )
        self.reference.silences.append({"fp": fp, "payer": payer, "begins": self.now, "ends": ends})
        self.tick()

    @rule(channel=st.sampled_from(CHANNELS))
    def switch(self, channel):
        # Both know the same set.
        self.pipeline.on.symmetric_difference_update({channel})
        self.pipeline.look_again()
        self.tick()

    def teardown(self):
        """Nothing is muted for ever: in the end everybody has heard of what is open."""
        if not hasattr(self, "pipeline"):
            return
        self.pipeline.on.update(CHANNELS)
        self.pipeline.look_again()
        self.now = (self.now + dt.timedelta(days=120)).replace(hour=17, minute=0)
        self.tick()
        for fp, alert in self.pipeline.alerts.items():
            is_hidden = policy.inhibitor_of(alert, self.pipeline.alerts.values())
            if alert.state is AlertState.OPEN and not is_hidden:
                for route in policy.routes_for(alert, ROUTES):
                    told = alert.told[route.key]
                    assert not told.is_over, fp
                    assert told.severity.rank >= alert.severity.rank


TestAlertPipeline = AlertPipeline.TestCase
TestAlertPipeline.settings = settings(
    max_examples=_SEQUENCES or 60,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    **({} if _SEQUENCES else {"derandomize": True, "database": None}),
)
