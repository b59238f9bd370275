"""When the units of an authorization run out, as an interval and not as a date.

*Model.* Services come as a Poisson process whose rate nobody knows, so the rate has a gamma
distribution (Gelman et al., *Bayesian Data Analysis*, 3rd ed., section 2.6). With ``n`` services seen in
``t`` days and a prior ``Gamma(a, b)``, the rate is ``Gamma(a + n, b + t)``, and the services of
the next ``h`` days are negative binomial::

    N(h) ~ NegBin(a + n, (b + t) / (b + t + h))

The day on which the ``k``-th service from now comes is later than ``h`` exactly where
``N(h) < k``. That is the whole forecast: no simulation, and the interval widens where little is known.

*Units per service.* A service uses one unit or many. A compound Poisson sum has the variance-to-mean
ratio ``E[u²] / E[u]``; counted in lumps of that many units it has the first two moments of a plain
Poisson count, and is treated as one.

*Prior.* The plan: units that last exactly the period, worth :data:`PRIOR_DAYS` days of looking.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from claimkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from claimkit.authorizations.model import Authorization, Usage

__all__ = ["HORIZON_DAYS", "PRIOR_DAYS", "Forecast", "forecast", "tail"]

#: Days of looking that the plan is worth.
PRIOR_DAYS = 14.0
#: What would run out later than this does not run out.
HORIZON_DAYS = 1_826
#: Lumps that are told apart; more are counted in larger ones.
_MOST_LUMPS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """When units run out if services go on as they did; days are dates.

    None stands for "not within :data:`HORIZON_DAYS`".
    """

    #: Expected units per day.
    units_per_day: float
    #: Probability that all units are used by the last day of the period, 0 to 1.
    runs_out: float
    #: Ends and middle of the interval.
    earliest: dt.date | None
    likely: dt.date | None
    latest: dt.date | None


def forecast(
    authorization: Authorization,
    usage: Usage,
    *,
    seen_until: dt.date,
    today: dt.date,
    interval: float = 0.8,
) -> Forecast:
    """Return when the units run out.

    Args:
        authorization: What is left of it is what can be used.
        usage: Services that were seen from its first day to ``seen_until``.
        seen_until: Last day of which services are known.
        today: Where the forecast begins.
        interval: Probability that the day lies in it, above 0 and below 1.

    Raises:
        ConfigError: ``interval`` is out of range.

    Half of 20 units were used in 50 days of 100, so the end of the period is about the middle:

    >>> from decimal import Decimal as D
    >>> from claimkit.authorizations.model import Authorization, Usage
    >>> day = dt.date(2026, 1, 1)
    >>> given = Authorization(
    ...     number="A1", payer="Aetna", procedure="97110", valid_from=day,
    ...     valid_until=day + dt.timedelta(days=99), units_authorized=D(20), units_used=D(10),
    ... )
    >>> half, used = day + dt.timedelta(days=49), Usage(visits=10, units=D(10), squares=D(10))
    >>> seen = forecast(given, used, seen_until=half, today=half)
    >>> seen.earliest < given.valid_until < seen.latest, round(seen.units_per_day, 2)
    (True, 0.2)
    """
    if not 0 < interval < 1:
        raise ConfigError("an interval has a probability above 0 and below 1")
    shape, rate, lump = _pace(authorization, usage, seen_until)
    left, per_day = float(authorization.units_left), shape * lump / rate
    if left <= 0:
        at_once = dict.fromkeys(("earliest", "likely", "latest"), today)
        return Forecast(units_per_day=per_day, runs_out=1.0, **at_once)
    later = partial(tail, shape=shape, rate=rate, count=math.ceil(left / lump))
    days_left = float(max(0, (authorization.valid_until - today).days))
    quantiles = ((1 - interval) / 2, 0.5, (1 + interval) / 2)
    first, middle, last = (_day(later, 1 - quantile, today) for quantile in quantiles)
    ends = {"earliest": first, "likely": middle, "latest": last}
    return Forecast(units_per_day=per_day, runs_out=1 - later(days_left), **ends)


def _pace(
    authorization: Authorization, usage: Usage, seen_until: dt.date
) -> tuple[float, float, float]:
    """Return shape and rate of the gamma distribution of services a day, and the units of a service."""
    period = (authorization.valid_until - authorization.valid_from).days + 1
    lump = float(usage.squares / usage.units) if usage.units else 1.0
    lump = max(lump, float(authorization.units_left) / _MOST_LUMPS)
    seen = min(seen_until, authorization.valid_until)
    seen_days = max(0, (seen - authorization.valid_from).days + 1)
    planned = float(authorization.units_authorized) / period
    shape = (planned * PRIOR_DAYS + float(usage.units)) / lump
    return shape, PRIOR_DAYS + seen_days, lump


def tail(days: float, *, shape: float, rate: float, count: int) -> float:
    """Return the probability that fewer than ``count`` services come in ``days``.

    The distribution function of the negative binomial, summed term by term in logarithms:
    ``O(count)``, and exact to about 1e-12 where a float is.

    Args:
        days: At least 0.
        shape: Of the gamma distribution of the rate, above 0.
        rate: Its rate parameter in days, above 0.
        count: At least 1.

    >>> tail(0, shape=3.0, rate=10.0, count=2)
    1.0
    """
    if days <= 0:
        return 1.0
    kept, moved = rate / (rate + days), days / (rate + days)
    steps = np.arange(count - 1, dtype=np.float64)
    logs = np.concatenate(
        ([0.0], np.cumsum(np.log(shape + steps) - np.log(steps + 1.0) + math.log(moved)))
    )
    most = float(logs.max())
    total = most + math.log(float(np.exp(logs - most).sum())) + shape * math.log(kept)
    return min(1.0, math.exp(min(0.0, total)))


def _day(later: Callable[[float], float], level: float, today: dt.date) -> dt.date | None:
    """Return the first day by which the tail is at most ``level``, None beyond the horizon."""
    if later(float(HORIZON_DAYS)) > level:
        return None
    low, high = 0, HORIZON_DAYS
    while low < high:
        middle = (low + high) // 2
        if later(float(middle)) <= level:
            high = middle
        else:
            low = middle + 1
    return today + dt.timedelta(days=low)
