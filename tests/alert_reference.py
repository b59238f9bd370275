"""A second, plain reading of what alerts promise, to hold the real pipeline against.

Keeps nothing but what happened and what was said, and asks about every alert at every tick: no
wake-up times, no state of routes. Slow, short, and written without the code that it checks.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

HALF_HOUR = dt.timedelta(minutes=30)
RANKS = ["low", "medium", "high", "critical"]


class Said(NamedTuple):
    at: dt.datetime
    fp: str
    #: Which of the alerts of this fingerprint, and how often that one was open.
    row: int
    episode: int
    route: str
    reason: str
    severity: str
    channels: frozenset[str]


def is_worse(one: str, other: str) -> bool:
    return RANKS.index(one) > RANKS.index(other)


class Reference:
    def __init__(self, routes: list[dict[str, Any]], zone: dt.tzinfo, on: set[str]) -> None:
        self.routes, self.zone, self.on = routes, zone, on
        self.alerts: dict[str, dict[str, Any]] = {}
        self.silences: list[dict[str, Any]] = []
        self.judgments: list[dict[str, Any]] = []
        self.said: list[Said] = []

    # -- what happens -------------------------------------------------------------------------

    def signal(self, fp, *, firing, severity, figure, at, payer, part):
        one = self.alerts.get(fp)
        live = one is not None and one["state"] != "resolved"
        is_high = figure >= 6 or (figure >= 4 and live and one["is_high"])
        if is_high and firing:
            severity = "high"
        if not live:
            late = one is not None and at <= one["ended"]
            if not firing or late:
                return
            again = one is not None and at - one["ended"] <= dt.timedelta(days=7)
            row, episode = (one["row"], one["episode"] + 1) if again else (self._rows(fp), 1)
            self.alerts[fp] = {
                "fp": fp,
                "row": row,
                "episode": episode,
                "state": "open",
                "opened": at,
                "severity": severity,
                "seen": at,
                "ended": None,
                "payer": payer,
                "part": part,
                "is_high": is_high,
                "acked": None,
            }
        elif at >= one["seen"]:
            if firing:
                one.update(severity=severity, seen=at, is_high=is_high)
            else:
                one.update(state="resolved", ended=at, seen=at)

    def _rows(self, fp):
        return self.alerts[fp]["row"] + 1 if fp in self.alerts else 1

    def acknowledge(self, fp):
        one = self.alerts[fp]
        one.update(state="acknowledged", acked=one["severity"])

    def resolve(self, fp, at):
        one = self.alerts[fp]
        one.update(state="resolved", ended=at, seen=max(at, one["seen"]))

    # -- what is said -------------------------------------------------------------------------

    def tick(self, now: dt.datetime) -> list[Said]:
        new = [said for one in self.alerts.values() for said in self._of(one, now)]
        self.said += new
        return new

    def _of(self, one, now):
        severity, state = one["severity"], one["state"]
        mine = [s for s in self.said if (s.fp, s.row) == (one["fp"], one["row"])]
        heard = {}
        for s in mine:
            if s.episode == one["episode"] and s.reason != "resolved":
                heard.setdefault(s.route, []).append(s)
        ended = {s.route for s in mine if s.episode == one["episode"] and s.reason == "resolved"}
        last = [told[-1].severity for route, told in heard.items() if route not in ended]
        got_worse = bool(last) and all(is_worse(severity, known) for known in last)
        if state == "acknowledged" and not all(
            is_worse(severity, known) for known in [*last, one["acked"]]
        ):
            return
        if any(
            s["begins"] <= now < s["ends"]
            and s["fp"] in ("", one["fp"])
            and s["payer"] in ("", one["payer"])
            for s in self.silences
        ):
            return
        is_hidden = self._is_noise(one, now) or self._is_inhibited(one)
        if state != "resolved" and is_hidden and not got_worse:
            return
        for route in self.routes:
            takes = route["payer"] in ("", one["payer"]) and not is_worse(route["least"], severity)
            if state == "resolved":
                if route["key"] in heard and route["key"] not in ended and route["tells_end"]:
                    everybody = {c for s in heard[route["key"]] for c in s.channels}
                    yield from self._say(one, route, now, "resolved", everybody)
                continue
            if takes:
                yield from self._by(one, route, now, heard.get(route["key"], []), mine)
                if not route["goes_on"]:
                    return

    def _by(self, one, route, now, heard, mine):
        severity = one["severity"]
        if not heard:
            before = [s for s in mine if s.route == route["key"]]
            flaps = one["episode"] > 3 and before and not is_worse(severity, before[-1].severity)
            if not (flaps and now - before[-1].at < dt.timedelta(hours=24)):
                yield from self._say(one, route, now, "first", route["channels"])
            return
        everybody = {*route["channels"], *(c for s in heard for c in s.channels)}
        if is_worse(severity, heard[-1].severity):
            yield from self._say(one, route, now, "escalated", everybody)
            return
        if one["state"] == "acknowledged":
            return
        taken = [route["steps"].index(s.channels) for s in heard if s.reason == "step"]
        for number, (after, channel) in enumerate(route["step_times"]):
            is_left = number > max(taken, default=-1) and channel in self.on
            if is_left and now - heard[0].at >= after:
                yield from self._say(one, route, now, "step", {channel})
                return
        if route["repeat"] and now - heard[-1].at >= route["repeat"]:
            yield from self._say(one, route, now, "repeated", everybody)

    def _say(self, one, route, now, reason, channels):
        is_urgent = one["severity"] == "critical" or reason == "escalated"
        reached = frozenset(channels) & self.on
        if reached and (is_urgent or not self._is_quiet(route["quiet"], now)):
            of = (one["fp"], one["row"], one["episode"], route["key"])
            yield Said(now, *of, reason, one["severity"], reached)

    def _is_quiet(self, quiet, now):
        """Walk back to where the clock last showed the end or was outside of the hours."""
        if quiet is None:
            return False
        begin, end = quiet
        for steps in range(30):
            wall = (now - steps * HALF_HOUR).astimezone(self.zone).time()
            inside = begin <= wall < end if begin < end else wall >= begin or wall < end
            if not inside:
                return steps > 0 and wall != end
        raise AssertionError("quiet hours never end")

    def _is_inhibited(self, one):
        def width(other):
            return 2 if other["part"] else 1 if other["payer"] else 0

        return any(
            other["state"] != "resolved"
            and width(other) < width(one)
            and other["payer"] in ("", one["payer"])
            and not is_worse(one["severity"], other["severity"])
            for other in self.alerts.values()
        )

    def _is_noise(self, one, now):
        if is_worse(one["severity"], "medium"):
            return False
        about = [j for j in self.judgments if j["fp"] == one["fp"]]
        real = max((j["at"] for j in about if j["verdict"] == "real"), default=None)
        noise = [
            j
            for j in about
            if j["verdict"] == "noise"
            and (real is None or j["at"] > real)
            and not is_worse(one["severity"], j["severity"])
        ]
        if len({j["actor"] for j in noise}) < 2 and not any(j["decisive"] for j in noise):
            return False
        days = [((now - j["at"]) / dt.timedelta(days=14), 2 if j["decisive"] else 1) for j in noise]
        return sum(weight * 2**-age for age, weight in days) > 1
