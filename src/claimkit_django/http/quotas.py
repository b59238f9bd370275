"""How often somebody may do something: counted atomically in a cache that processes share.

A quota is a sliding window of two counters: what was taken in the window so far, and the share of
the window before that still weighs. Counting is one ``incr``, which caches do atomically, so
requests that arrive together never take more than there is; what is refused is given back.
"""

from __future__ import annotations

import hashlib
import logging
import math
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.core.cache import caches

from claimkit.errors import ConfigError

if TYPE_CHECKING:
    from django.core.cache.backends.base import BaseCache
    from django.http import HttpResponse
    from django.http.response import HttpResponseBase

__all__ = ["Quota", "Rate", "Verdict", "write_headers"]

logger = logging.getLogger(__name__)

_RATE = re.compile(r"(\d+)\s*/\s*(\d*)\s*([a-z]+)", re.IGNORECASE)
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_WORDS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many in so many seconds."""

    limit: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Rate | None:
        """Return the rate that ``text`` names; None for the empty text, which is no limit.

        Raises:
            ConfigError: the text is not a rate.

        >>> Rate.parse("5/15m")
        Rate(limit=5, seconds=900)
        >>> Rate.parse("10/minute") == Rate.parse("10/60s")
        True
        """
        if not text:
            return None
        match = _RATE.fullmatch(text.strip())
        unit = _WORDS.get(match.group(3).lower()) if match else None
        if match is None or unit is None or not int(match.group(2) or 1):
            raise ConfigError(
                f"{text!r} is not a rate",
                remedy="Write a number, a slash and a period, such as 5/15m or 100/hour",
            )
        return cls(limit=int(match.group(1)), seconds=int(match.group(2) or 1) * _UNITS[unit])


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What asking a quota gave."""

    name: str
    rate: Rate
    allowed: bool
    #: How many more would be allowed now.
    remaining: int
    #: Seconds until the present window ends.
    reset_seconds: int
    #: Seconds after which it is worth trying again; 0 where it was allowed.
    wait_seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """A rate under a name, counted in one of Django's caches.

    Where the cache does not answer, everything is allowed and logged: a limit that is down must
    not take the site with it.
    """

    #: Told to clients, and part of the cache key.
    name: str
    rate: Rate
    cache: str = "default"

    def take(self, who: str, *, now: float | None = None) -> Verdict:
        """Take one, if there is one left for ``who``.

        Args:
            who: Whatever tells callers apart; only a digest of it is kept.
            now: Seconds since the epoch; the clock by default.
        """
        return self._ask(who, time.time() if now is None else now, amount=1)

    def look(self, who: str, *, now: float | None = None) -> Verdict:
        """Say whether one is left for ``who``, and take none."""
        return self._ask(who, time.time() if now is None else now, amount=0)

    def forget(self, who: str, *, now: float | None = None) -> None:
        """Give everything back, as after a sign-in that succeeded."""
        window, _ = self._window(time.time() if now is None else now)
        caches[self.cache].delete_many([self._key(who, window), self._key(who, window - 1)])

    def give_back(self, who: str, *, now: float | None = None) -> None:
        """Give the last one back, as after an attempt that was none."""
        window, _ = self._window(time.time() if now is None else now)
        self._give_back(who, window)

    def _ask(self, who: str, now: float, *, amount: int) -> Verdict:
        window, elapsed = self._window(now)
        try:
            before, count = self._count(who, window, amount)
        except Exception:
            # Isolation point: caches raise whatever their client raises.
            logger.exception("rates are not counted: the cache does not answer")
            return self._verdict(before=0, used=amount, elapsed=elapsed, allowed=True)
        carried = self._carried(before, elapsed)
        allowed = carried + count <= self.rate.limit - (1 - amount)
        if amount and not allowed:
            self._give_back(who, window)
            count -= 1
        return self._verdict(before=before, used=count, elapsed=elapsed, allowed=allowed)

    def _count(self, who: str, window: int, amount: int) -> tuple[int, int]:
        """Return what was taken in the window before, and in this one including ``amount``."""
        cache = caches[self.cache]
        key, previous = self._key(who, window), self._key(who, window - 1)
        if not amount:
            found = cache.get_many([key, previous])
            return int(found.get(previous, 0)), int(found.get(key, 0))
        # Twice the window and a little more: it still weighs in the next one.
        cache.add(key, 0, timeout=2 * self.rate.seconds + 60)
        return int(cache.get(previous, 0)), _increment(cache, key)

    def _give_back(self, who: str, window: int) -> None:
        try:
            caches[self.cache].decr(self._key(who, window))
        except Exception:
            # Isolation point, as above; the counter is then one too high until the window ends.
            logger.warning("a refused request was counted", exc_info=True)

    def _verdict(self, *, before: int, used: int, elapsed: float, allowed: bool) -> Verdict:
        left = self.rate.limit - self._carried(before, elapsed) - used
        return Verdict(
            name=self.name,
            rate=self.rate,
            allowed=allowed,
            remaining=max(0, left),
            reset_seconds=math.ceil(self.rate.seconds - elapsed),
            wait_seconds=0 if allowed else self._wait(before, used, elapsed),
        )

    def _wait(self, before: int, used: int, elapsed: float) -> int:
        """Return whole seconds until the weight of what was taken leaves room for one."""
        room, seconds = self.rate.limit - 1, self.rate.seconds
        if room - used >= 0 and before:
            # The window before fades: before * (1 - at / seconds) <= room - used.
            wait = seconds * (1 - (room - used) / before) - elapsed
        else:
            fades = seconds * (1 - room / used) if used > room else 0
            wait = seconds - elapsed + min(fades, seconds)
        return max(1, math.ceil(wait))

    def _carried(self, before: int, elapsed: float) -> int:
        """Return what still weighs; upwards, so that a limit is never exceeded by a fraction."""
        return math.ceil(before * (1 - elapsed / self.rate.seconds) - 1e-6)

    def _window(self, now: float) -> tuple[int, float]:
        window, elapsed = divmod(now, self.rate.seconds)
        return int(window), elapsed

    def _key(self, who: str, window: int) -> str:
        digest = hashlib.blake2b(who.encode(), digest_size=16).hexdigest()
        return f"claimkit.rate.{self.name}.{self.rate.seconds}.{digest}.{window}"


def _increment(cache: BaseCache, key: str) -> int:
    try:
        return int(cache.incr(key))
    except ValueError:
        # It was evicted between the two calls.
        cache.add(key, 0)
        return int(cache.incr(key))


def write_headers(response: HttpResponse | HttpResponseBase, verdict: Verdict) -> None:
    """Tell the quota in ``RateLimit`` and ``RateLimit-Policy``, and when to come back.

    Structured fields of draft-ietf-httpapi-ratelimit-headers: the policy's quota and window, what
    remains of it and seconds until the window ends. ``Retry-After`` is never earlier than that
    allows.
    """
    name, rate = verdict.name, verdict.rate
    response.headers["RateLimit-Policy"] = f'"{name}";q={rate.limit};w={rate.seconds}'
    response.headers["RateLimit"] = f'"{name}";r={verdict.remaining};t={verdict.reset_seconds}'
    if not verdict.allowed:
        response.headers["Retry-After"] = str(verdict.wait_seconds)
