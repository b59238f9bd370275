from __future__ import annotations

import datetime as dt
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.alerts.lifecycle import Alert, AlertState, Subject, Told, acknowledge
from claimkit.alerts.policy import (
    Action,
    AlertMatch,
    QuietHours,
    Reason,
    Route,
    Silence,
    Step,
    decide,
    inhibitor_of,
    routes_for,
    told_now,
)
from claimkit.errors import ConfigError
from claimkit.types import Severity

NOW = dt.datetime(2026, 4, 14, 15, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
NEW_YORK = ZoneInfo("America/New_York")
SUBJECT = Subject(source="drift", kind="denial_rate", payer="Aetna")
ALL = Route(key="all", channels=("mail",))
NIGHT = QuietHours(begin=dt.time(20), end=dt.time(7))


def alert(severity=Severity.MEDIUM, **values):
    made = Alert(fingerprint="fp", subject=SUBJECT, severity=severity, opened_at=NOW, seen_at=NOW)
    return replace(made, **values)


def told(route="all", severity=Severity.MEDIUM, at=NOW, **values):
    values = {"channels": ("mail",), "since": at, **values}
    return {route: Told(severity=severity, at=at, **values)}


def ask(one, *routes, now=NOW, silences=(), noise_until=None, zone=NEW_YORK):
    return decide(
        one,
        routes=routes or (ALL,),
        silences=silences,
        noise_until=noise_until,
        zone=zone,
        now=now,
    )


def reasons(*arguments, **options):
    return [(one.action, one.reason) for one in ask(*arguments, **options)]


def silence(**values):
    return Silence(**{"key": "s", "begins_at": NOW, "ends_at": NOW + HOUR, **values})


def test_what_is_new_is_told():
    (decision,) = ask(alert())

    assert (decision.action, decision.reason) == (Action.NOTIFY, Reason.FIRST)
    assert (decision.by, decision.channels, decision.again_at) == ("all", ("mail",), None)


def test_what_was_told_is_not_told_again():
    assert reasons(alert(told=told())) == [(Action.MUTE, Reason.TOLD)]


@pytest.mark.parametrize("state", [AlertState.OPEN, AlertState.ACKNOWLEDGED])
def test_what_became_worse_is_told_again_whoever_deals_with_it(state):
    worse = alert(Severity.HIGH, state=state, told=told())

    assert reasons(worse) == [(Action.NOTIFY, Reason.ESCALATED)]
    assert reasons(worse, noise_until=NOW + HOUR) == [(Action.NOTIFY, Reason.ESCALATED)]


def test_who_deals_with_it_is_left_alone():
    mine = alert(state=AlertState.ACKNOWLEDGED)

    assert reasons(mine) == [(Action.MUTE, Reason.ACKNOWLEDGED)]


@pytest.mark.parametrize(
    ("values", "is_silent"),
    [
        ({}, True),
        ({"match": AlertMatch(payers={"Aetna"})}, True),
        ({"match": AlertMatch(payers={"Cigna"})}, False),
        ({"match": AlertMatch(kinds={"volume"})}, False),
        ({"fingerprint": "fp"}, True),
        ({"fingerprint": "another"}, False),
        ({"begins_at": NOW + HOUR / 2}, False),
        ({"begins_at": NOW - HOUR, "ends_at": NOW}, False),
    ],
)
def test_a_silence_holds_for_what_it_names_and_for_its_time(values, is_silent):
    (decision,) = ask(alert(Severity.CRITICAL), silences=[silence(**values)])

    assert (decision.reason is Reason.SILENCED) == is_silent
    if is_silent:
        assert (decision.by, decision.again_at) == ("s", NOW + HOUR)


def test_noise_mutes_until_it_fades():
    (muted,) = ask(alert(), noise_until=NOW + HOUR)

    assert (muted.reason, muted.again_at) == (Reason.JUDGED_NOISE, NOW + HOUR)
    assert reasons(alert(), noise_until=NOW) == [(Action.NOTIFY, Reason.FIRST)]


def test_the_first_route_takes_it_unless_it_goes_on():
    first = Route(key="first", match=AlertMatch(kinds={"denial_rate"}), goes_on=True)
    other = Route(key="other", match=AlertMatch(payers={"Cigna"}))
    severe = Route(key="severe", least=Severity.HIGH)
    last = Route(key="last")

    taken = routes_for(alert(), [first, other, severe, last, ALL])
    assert [one.key for one in taken] == ["first", "last"]
    assert reasons(alert(), other, severe) == [(Action.MUTE, Reason.NO_ROUTE)]


def test_each_route_is_told_for_itself():
    one, two = replace(ALL, key="one", goes_on=True, quiet=NIGHT), replace(ALL, key="two")
    night = dt.datetime(2026, 4, 14, 2, tzinfo=dt.UTC)
    waiting = alert(opened_at=night, seen_at=night)
    first, second = ask(waiting, one, two, now=night)
    assert (first.action, second.action) == (Action.WAIT, Action.NOTIFY)

    known = told_now(waiting, second, night)
    first, second = ask(known, one, two, now=first.again_at)
    assert (first.reason, second.reason) == (Reason.FIRST, Reason.TOLD)


def test_it_is_repeated_at_its_interval():
    daily = replace(ALL, repeat_after=24 * HOUR)
    known = alert(told=told())
    (muted,) = ask(known, daily, now=NOW + HOUR)
    (again,) = ask(known, daily, now=NOW + 24 * HOUR)

    assert (muted.reason, muted.again_at) == (Reason.TOLD, NOW + 24 * HOUR)
    assert (again.reason, again.again_at) == (Reason.REPEATED, NOW + 48 * HOUR)


def test_steps_are_taken_one_after_the_other_until_somebody_answers():
    steps = (Step(after=HOUR, channels=("boss",)), Step(after=4 * HOUR, channels=("cfo",)))
    route = replace(ALL, steps=steps)
    known, taken = alert(told=told()), []
    now = NOW
    while now <= NOW + 6 * HOUR:
        (decision,) = ask(known, route, now=now)
        if decision.action is Action.NOTIFY:
            taken.append((now - NOW, decision.channels))
            known = told_now(known, decision, now)
        now += HOUR / 2

    assert taken == [(HOUR, ("boss",)), (4 * HOUR, ("cfo",))]
    answered = replace(alert(told=told()), state=AlertState.ACKNOWLEDGED)
    assert reasons(answered, route, now=NOW + 6 * HOUR) == [(Action.MUTE, Reason.ACKNOWLEDGED)]


def test_whoever_was_told_learns_of_the_end():
    over = alert(state=AlertState.RESOLVED, told=told(), resolved_at=NOW)
    quiet = replace(ALL, tells_end=False)
    narrow = replace(ALL, least=Severity.CRITICAL)

    assert reasons(over) == [(Action.NOTIFY, Reason.RESOLVED)]
    assert reasons(over, narrow) == [(Action.NOTIFY, Reason.RESOLVED)]
    assert reasons(over, quiet) == [(Action.MUTE, Reason.TOLD)]
    assert reasons(replace(over, told={})) == [(Action.MUTE, Reason.NEVER_TOLD)]
    assert reasons(replace(over, told=told("gone"))) == [(Action.MUTE, Reason.NO_ROUTE)]
    (known,) = [told_now(over, one, NOW) for one in ask(over)]
    assert reasons(known) == [(Action.MUTE, Reason.TOLD)]


def test_whoever_was_told_by_a_step_learns_of_the_end_and_of_what_is_worse():
    route = replace(ALL, steps=(Step(after=HOUR, channels=("boss",)),))
    (step,) = ask(alert(told=told()), route, now=NOW + HOUR)
    known = told_now(alert(told=told()), step, NOW + HOUR)

    (worse,) = ask(replace(known, severity=Severity.HIGH), route, now=NOW + HOUR)
    (over,) = ask(replace(known, state=AlertState.RESOLVED), route, now=NOW + HOUR)
    assert step.channels == ("boss",)
    assert worse.channels == over.channels == ("mail", "boss")


def test_a_route_without_a_channel_has_told_nobody():
    assert reasons(alert(), replace(ALL, channels=())) == [(Action.MUTE, Reason.NO_CHANNEL)]


def test_who_flaps_is_told_once_a_day_unless_it_is_worse():
    flapping = alert(episode=4, told=told(is_over=True))
    steady = replace(flapping, episode=3)
    (damped,) = ask(flapping, now=NOW + HOUR)

    assert (damped.reason, damped.again_at) == (Reason.FLAPPING, NOW + 24 * HOUR)
    assert reasons(flapping, now=NOW + 24 * HOUR) == [(Action.NOTIFY, Reason.FIRST)]
    assert reasons(steady, now=NOW + HOUR) == [(Action.NOTIFY, Reason.FIRST)]
    worse = replace(flapping, severity=Severity.HIGH)
    assert reasons(worse, now=NOW + HOUR) == [(Action.NOTIFY, Reason.FIRST)]


def test_what_became_worse_passes_quiet_hours_as_what_is_critical_does():
    night = dt.datetime(2026, 7, 2, 3, tzinfo=dt.UTC)
    route = replace(ALL, quiet=NIGHT)
    known = alert(Severity.HIGH, told=told())

    assert reasons(known, route, now=night) == [(Action.NOTIFY, Reason.ESCALATED)]


# -- quiet hours ------------------------------------------------------------------------------


def utc(*parts):
    return dt.datetime(*parts, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        # 19:59 and 20:00 of a summer's day in New York, and 06:59 and 07:00 of the next.
        (utc(2026, 7, 1, 23, 59), None),
        (utc(2026, 7, 2, 0, 0), utc(2026, 7, 2, 11)),
        (utc(2026, 7, 2, 10, 59), utc(2026, 7, 2, 11)),
        (utc(2026, 7, 2, 11, 0), None),
        # The night on which the clock goes forward is an hour shorter: 8 March, 02:00 to 03:00.
        (utc(2026, 3, 8, 3, 0), utc(2026, 3, 8, 11)),
        # The one on which it goes back is an hour longer: 1 November, 02:00 to 01:00.
        (utc(2026, 11, 1, 2, 0), utc(2026, 11, 1, 12)),
    ],
)
def test_quiet_hours_are_those_of_the_clock_on_the_wall(now, until):
    assert NIGHT.until(now, NEW_YORK) == until


def test_an_end_that_the_clock_jumps_over_comes_with_the_jump():
    quiet = QuietHours(begin=dt.time(1), end=dt.time(2, 30))

    end = quiet.until(utc(2026, 3, 8, 6, 30), NEW_YORK)

    assert end.astimezone(NEW_YORK).hour == 3
    assert quiet.until(end, NEW_YORK) is None


def test_an_end_that_comes_twice_is_the_first():
    quiet = QuietHours(begin=dt.time(0), end=dt.time(1, 30))

    assert quiet.until(utc(2026, 11, 1, 4, 30), NEW_YORK) == utc(2026, 11, 1, 5, 30)


def test_a_critical_alert_does_not_wait_for_the_morning():
    night = utc(2026, 7, 2, 3)
    route = replace(ALL, quiet=NIGHT)

    (waits,) = ask(alert(), route, now=night)
    assert (waits.action, waits.reason, waits.again_at) == (
        Action.WAIT,
        Reason.QUIET_HOURS,
        utc(2026, 7, 2, 11),
    )
    assert reasons(alert(Severity.CRITICAL), route, now=night) == [(Action.NOTIFY, Reason.FIRST)]


def test_quiet_hours_have_a_begin_and_another_end():
    with pytest.raises(ConfigError):
        QuietHours(begin=dt.time(7), end=dt.time(7))


times = st.times().map(lambda one: one.replace(microsecond=0, fold=0))
zones = st.sampled_from(
    ["UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]
).map(ZoneInfo)
instants = st.datetimes(dt.datetime(2025, 1, 1), dt.datetime(2027, 12, 31)).map(
    lambda one: one.replace(microsecond=0, tzinfo=dt.UTC)
)


@given(times, times, zones, instants)
def test_quiet_hours_end_and_within_a_day(begin, end, zone, now):
    if begin == end:
        return
    quiet = QuietHours(begin=begin, end=end)
    until = quiet.until(now, zone)
    if until is None:
        return

    assert now <= until <= now + dt.timedelta(hours=25)
    if until > now:
        # Where an hour comes twice it may be quiet again, but never for long.
        again = quiet.until(until, zone)
        assert again is None or again - until <= 2 * HOUR


# -- against a small reference ----------------------------------------------------------------

severities = st.sampled_from(Severity)
alerts = st.builds(
    alert,
    severities,
    state=st.sampled_from(AlertState),
    told=st.one_of(st.just({}), st.builds(told, severity=severities)),
)
routes = st.builds(
    Route,
    key=st.just("all"),
    least=severities,
    channels=st.just(("mail",)),
    repeat_after=st.sampled_from([None, HOUR]),
    quiet=st.sampled_from([None, NIGHT]),
    tells_end=st.booleans(),
)


def simple(one, route, *, is_silenced, is_noise, now):
    """Return whether somebody is told, written down as people would say it."""
    known = one.told.get("all")
    is_worse = known is not None and one.severity.rank > known.severity.rank
    if is_silenced:
        return False
    if one.state is AlertState.RESOLVED:
        wanted = known is not None and route.tells_end
    elif one.severity.rank < route.least.rank:
        wanted = False
    elif is_worse:
        wanted = True
    elif one.state is AlertState.ACKNOWLEDGED or is_noise:
        wanted = False
    elif known is None:
        wanted = True
    else:
        wanted = route.repeat_after is not None and now - known.at >= route.repeat_after
    is_night = route.quiet is not None and route.quiet.until(now, NEW_YORK) is not None
    is_urgent = one.severity is Severity.CRITICAL or (
        is_worse and one.state is not AlertState.RESOLVED
    )
    return wanted and (is_urgent or not is_night)


@given(alerts, routes, st.booleans(), st.booleans(), st.integers(0, 48))
def test_it_agrees_with_what_people_would_say(one, route, is_silenced, is_noise, hours):
    now = NOW + hours * HOUR
    (decision,) = ask(
        one,
        route,
        now=now,
        silences=[silence(ends_at=now + HOUR)] if is_silenced else [],
        noise_until=now + HOUR if is_noise else None,
    )

    expected = simple(one, route, is_silenced=is_silenced, is_noise=is_noise, now=now)
    assert (decision.action is Action.NOTIFY) == expected, decision
    if decision.action is Action.WAIT:
        assert decision.again_at > now


@given(alerts, routes, st.integers(0, 48))
def test_once_told_it_is_quiet_and_never_later_than_promised(one, route, hours):
    """Following the promised instants loses nothing: whoever looks more often tells no more."""
    now = NOW + hours * HOUR
    (decision,) = ask(one, route, now=now)
    if decision.action is not Action.NOTIFY:
        return
    known = told_now(one, decision, now)
    (after,) = ask(known, route, now=now)
    if one.state is AlertState.RESOLVED:
        return

    assert after.action is Action.MUTE
    assert after.again_at == decision.again_at


def about(breadth, *, payer="Aetna", kind="denial_rate", severity=Severity.MEDIUM, **values):
    dimensions = {"procedure_group": ("MRI",)} if breadth == "part" else {}
    subject = Subject(
        source="drift",
        kind=kind,
        payer="" if breadth == "tenant" else payer,
        dimensions=dimensions,
    )
    return alert(severity, fingerprint=f"{breadth}-{payer}-{kind}", subject=subject, **values)


@pytest.mark.parametrize(
    ("wide", "narrow", "mutes"),
    [
        (about("tenant"), about("payer"), True),
        (about("tenant"), about("part"), True),
        (about("payer"), about("part"), True),
        (about("payer", payer="Cigna"), about("part"), False),
        (about("part"), about("payer"), False),
        (about("payer"), about("payer"), False),
        (about("payer", kind="volume"), about("part"), False),
        (about("payer", severity=Severity.LOW), about("part"), False),
        (about("payer", state=AlertState.ACKNOWLEDGED), about("part"), True),
        (about("payer", state=AlertState.RESOLVED), about("part"), False),
        (about("tenant", kind="import_missing"), about("payer", kind="payer_silent"), True),
        (about("payer", kind="payer_silent"), about("payer", kind="volume"), True),
        (about("payer", kind="payer_silent"), about("tenant", kind="volume"), False),
    ],
)
def test_a_wider_alert_mutes_the_narrower_ones(wide, narrow, mutes):
    found = inhibitor_of(narrow, [narrow, wide])

    assert found == (wide.fingerprint if mutes else "")


def test_of_several_the_widest_is_named():
    others = [about("payer"), about("tenant"), about("tenant", severity=Severity.LOW)]

    assert inhibitor_of(about("part"), others) == others[1].fingerprint


def test_what_is_inhibited_is_told_once_it_is_worse_and_its_end_always():
    muted = [(Action.MUTE, Reason.INHIBITED)]
    worse = alert(Severity.HIGH, told=told())
    over = alert(state=AlertState.RESOLVED, told=told())

    def decided(one):
        (decision,) = decide(
            one,
            routes=[ALL],
            silences=(),
            noise_until=None,
            inhibitor="wide",
            zone=NEW_YORK,
            now=NOW,
        )
        return [(decision.action, decision.reason)]

    assert decided(alert()) == muted
    assert decided(worse) == [(Action.NOTIFY, Reason.ESCALATED)]
    assert decided(over) == [(Action.NOTIFY, Reason.RESOLVED)]


def test_who_acknowledged_before_anybody_was_told_hears_of_what_became_worse():
    seen = acknowledge(alert(Severity.LOW))

    assert reasons(seen) == [(Action.MUTE, Reason.ACKNOWLEDGED)]
    assert reasons(replace(seen, severity=Severity.CRITICAL)) == [(Action.NOTIFY, Reason.FIRST)]


def test_a_channel_that_is_off_is_not_counted_as_told():
    worse = alert(Severity.HIGH, told=told())

    (decision,) = decide(
        worse, routes=[ALL], silences=(), noise_until=None, channels=[], zone=NEW_YORK, now=NOW
    )

    assert (decision.action, decision.reason) == (Action.MUTE, Reason.NO_CHANNEL)


def test_a_step_that_reaches_nobody_holds_up_neither_later_ones_nor_repetitions():
    steps = (Step(after=HOUR, channels=("off",)), Step(after=3 * HOUR, channels=("boss",)))
    route = replace(ALL, steps=steps, repeat_after=2 * HOUR)
    one, said = alert(told=told()), []
    for hours in range(1, 6):
        now = NOW + hours * HOUR
        (decision,) = decide(
            one,
            routes=[route],
            silences=(),
            noise_until=None,
            channels=["mail", "boss"],
            zone=NEW_YORK,
            now=now,
        )
        if decision.action is Action.NOTIFY:
            said.append((hours, decision.reason))
            one = told_now(one, decision, now)

    assert said == [(2, Reason.REPEATED), (3, Reason.STEP), (5, Reason.REPEATED)]


def test_steps_count_from_when_somebody_was_told():
    route = replace(ALL, steps=(Step(after=HOUR, channels=("boss",)),))
    (decision,) = ask(alert(), route, now=NOW + 9 * HOUR)

    assert (decision.reason, decision.again_at) == (Reason.FIRST, NOW + 10 * HOUR)


@pytest.mark.parametrize(
    ("day", "end", "wall"),
    [
        # The clock jumps from 2:00 to 3:00: they end with the jump.
        (dt.date(2027, 3, 14), dt.time(2, 30), dt.time(3)),
        # 1:00 to 2:00 comes twice: they end the first time.
        (dt.date(2026, 11, 1), dt.time(1, 30), dt.time(1, 30)),
    ],
)
def test_quiet_hours_that_end_while_the_clock_changes(day, end, wall):
    quiet = QuietHours(begin=dt.time(22), end=end)
    evening = dt.datetime.combine(day, dt.time(), NEW_YORK) - HOUR
    ends = quiet.until(evening.astimezone(dt.UTC), NEW_YORK)

    assert (ends.astimezone(NEW_YORK).time(), ends.astimezone(NEW_YORK).fold) == (wall, 0)
    for minutes in (0, 1, 30, 45, 59):
        assert quiet.until(ends + minutes * dt.timedelta(minutes=1), NEW_YORK) is None


def test_an_alert_matches_by_what_part_it_is_about():
    part = about("part").subject

    assert AlertMatch(dimensions={"procedure_group": {"MRI", "CT"}}).takes(part)
    assert not AlertMatch(dimensions={"procedure_group": {"CT"}}).takes(part)
    assert not AlertMatch(dimensions={"facility": {"North"}}).takes(part)
