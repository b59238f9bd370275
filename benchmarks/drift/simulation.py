"""Seeded simulation of first-pass adjudication, with labeled changes of payers.

``simulate(tenant, scenario, seed)`` gives claims as columns and what is true of them. Days are
integers; day 0 is a random day of the year. Causes, so that simple detectors meet what they meet
in production:

* submissions: negative binomial volume, weekdays, holidays, growth, Zipf payers, each with its own
  mix of procedure groups;
* denial: logit of payer, group and cell, slow benign trends, January's eligibility denials;
* lag: log-normal by payer, different for denials and payments, 2 % very late;
* decision: the payer's next remittance day, so that decisions come in batches that share their
  luck (a shock of payer and day, of cell and day, and a slow wobble of the payer);
* reason: a mix of eight categories that is each cell's own;
* money: allowed over charge by cell, log-normal noise, 1 % outliers;
* rework: a third of denials comes back and is denied more often.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from claims import Claims, Truth, without

if TYPE_CHECKING:
    from scenario import Change, Scenario

__all__ = ["EVAL_START", "REASONS", "TENANTS", "Claims", "Truth", "simulate"]

#: Name → claims a month, payers, procedure groups.
TENANTS = {"small": (2_000, 8, 12), "mid": (20_000, 16, 24), "hospital": (200_000, 30, 40)}
#: Denial categories as the library names them, and their usual shares.
REASONS = (
    "missing_info_docs",
    "medical_necessity",
    "authorization_referral",
    "bundling",
    "non_covered",
    "eligibility",
    "timely_filing",
    "duplicate_service",
)
_SHARES = np.array([0.22, 0.14, 0.12, 0.16, 0.12, 0.12, 0.05, 0.07])
_AUTHORIZATION, _ELIGIBILITY, _DUPLICATE = 2, 5, 7
#: First day on which a detector is asked; everything before it is history.
EVAL_START = 270
#: Days simulated of a null (six months are watched), and of a drift.
NULL_DAYS, DRIFT_DAYS = 452, 436
_HOLIDAYS = (0, 14, 50, 149, 184, 246, 331, 332, 358, 359)
#: Days after the last one on which decisions may still fall.
_AFTER = 200


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


class _Simulation:
    """The steps of one simulation, in the order of their random draws.

    ``rng`` draws what every scenario has, ``more`` what only some have, so that an additional
    nuisance leaves the rest of a tenant as it was.
    """

    def __init__(self, tenant: str, scenario: Scenario, seed: int) -> None:
        key = [20261122, seed, list(TENANTS).index(tenant), scenario.seed]
        self.rng = np.random.default_rng(key)
        self.more = np.random.default_rng([*key, 1])
        self.scenario = scenario
        self.per_month, self.payers, self.groups = TENANTS[tenant]
        self.days = NULL_DAYS if scenario.is_null else DRIFT_DAYS
        self.horizon = self.days + _AFTER
        self.truths: list[Truth] = []

    def run(self) -> Claims:
        self._calendar()
        self._volume()
        self._mix()
        self._chances()
        self._changes()
        self._lags()
        self._outcomes()
        self._reasons()
        self._money()
        self._describe()
        claims = self._claims(self._rework())
        gone = self._unknown(claims) if self._has_newcomers() else None
        for truth in self.truths:
            if truth.metric == "volume":
                gone = self._withheld(truth, claims) | (False if gone is None else gone)
        return claims if gone is None else without(claims, gone)

    # -- when and how many

    def _calendar(self) -> None:
        rng, season = self.rng, self.scenario.season
        first = (335 - (EVAL_START + 20)) % 365 if season else int(rng.integers(0, 365))
        self.weekday = int(rng.integers(0, 7))
        self.day_of_year = (first + np.arange(self.horizon)) % 365
        self.weekdays = (self.weekday + np.arange(self.horizon)) % 7
        self.holidays = np.isin(self.day_of_year, _HOLIDAYS)

    def _volume(self) -> None:
        rng, days = self.rng, np.arange(self.days)
        drawn = rng.uniform(-0.05, 0.3)
        growth = drawn if self.scenario.growth is None else self.scenario.growth
        mean = self.per_month / 30.4 * np.exp(np.log1p(growth) * (days - 300) / 365)
        week = np.array([1.25, 1.3, 1.3, 1.25, 1.15, 0.35, 0.2])
        mean = mean * (week / week.mean())[self.weekdays[: self.days]]
        mean = mean * np.where(self.holidays[: self.days], 0.25, 1)
        mean = mean * np.where(self.day_of_year[: self.days] >= 355, 0.75, 1)
        mean = mean * rng.gamma(60, 1 / 60, self.days)
        if self.scenario.backlog:
            for start in rng.choice(np.arange(EVAL_START + 5, self.days - 40), 2, replace=False):
                lost = mean[start : start + 5].sum()
                mean[start : start + 5] *= 0.05
                mean[start + 5 : start + 8] += 0.95 * lost / 3
        if self.scenario.clearinghouse_days:
            self._switch = int(self.more.integers(EVAL_START + 30, self.days - 60))
            gap = slice(self._switch, self._switch + self.scenario.clearinghouse_days)
            lost = mean[gap].sum()
            mean[gap] = 0
            mean[gap.stop : gap.stop + 3] += lost / 3
        count = rng.poisson(mean)
        self.submitted = np.repeat(days, count).astype(np.int32)
        self.size = int(count.sum())

    def _mix(self) -> None:
        rng, n = self.rng, self.size
        weight = 1.0 / np.arange(1, self.payers + 1)
        self.weight = weight / weight.sum()
        self.payer = rng.choice(self.payers, n, p=self.weight).astype(np.int16)
        usual = 1.0 / np.arange(1, self.groups + 1) ** 0.7
        usual = rng.permutation(usual / usual.sum())
        self.mix = np.stack([rng.dirichlet(usual * 40 + 0.05) for _ in range(self.payers)])
        cumulative, drawn = self.mix.cumsum(1), rng.random(n)
        self.group = np.empty(n, np.int16)
        for payer in range(self.payers):
            mine = self.payer == payer
            at = np.searchsorted(cumulative[payer], drawn[mine])
            self.group[mine] = np.minimum(at, self.groups - 1)

    # -- denied or not, before anybody changed anything

    def _chances(self) -> None:
        rng, shape = self.rng, (self.payers, self.groups)
        of_group = rng.normal(0, 0.55, self.groups)
        of_payer = rng.normal(0, 0.35, self.payers)
        base = np.log(0.09 / 0.91) + of_payer[:, None] + of_group[None] + rng.normal(0, 0.2, shape)
        trend = self.scenario.trend
        slope = rng.uniform(-trend, trend, self.payers)
        if self.scenario.casemix:
            worst = np.argsort(of_group)[-3:]
            start = int(rng.integers(EVAL_START, EVAL_START + 60))
            part = np.clip((self.submitted - start) / 30, 0, 1) * 0.35
            who = rng.random(self.payers) < 0.6
            moved = who[self.payer] & (rng.random(self.size) < part)
            self.group[moved] = rng.choice(worst, moved.sum())
        self.shares = np.stack(
            [
                [rng.dirichlet(_SHARES * 25 + 0.02) for _ in range(self.groups)]
                for _ in range(self.payers)
            ]
        )
        january = self.day_of_year[: self.days]
        self.january = np.where(january < 60, np.exp(-january / 25.0), 0.0)
        logit = base[self.payer, self.group]
        logit = logit + slope[self.payer] * (self.submitted - 300) / 365.0
        if self.scenario.tenant_wide:
            since = self.submitted >= EVAL_START + 30
            logit = logit + self.scenario.tenant_wide * since
        self.chance = _logistic(logit)
        eligibility = self.shares[self.payer, self.group, _ELIGIBILITY]
        self.chance = self.chance * (1 + eligibility * 0.6 * self.january[self.submitted])

    # -- what payers change

    def _changes(self) -> None:
        for at, change in enumerate(self.scenario.change):
            self.truths.append(self._draw(change, self.rng if at == 0 else self.more, at))

    def _draw(self, change: Change, rng: np.random.Generator, at: int) -> Truth:
        onset = int(rng.integers(EVAL_START + 30, EVAL_START + 90))
        if at:
            onset = self.truths[0].onset + change.after_days
        payer = self._whose(change, rng, at)
        groups = None
        if change.groups:
            common = np.flatnonzero(self.mix[payer] >= 0.03)
            part = self.mix[payer, common] / self.mix[payer, common].sum()
            size = min(change.groups, len(common))
            drawn = rng.choice(common, size, p=part, replace=False) if size > 1 else None
            one = (int(rng.choice(common, p=part)),) if drawn is None else ()
            groups = one or tuple(sorted(int(each) for each in drawn))
        axis = "decision"
        if change.metric in ("denial", "reason") and rng.random() < 0.3 and not change.lasting_days:
            axis = "submission"
        reason = REASONS.index(change.reason) if change.reason else None
        if reason is None and change.metric == "denial" and rng.random() < 0.5:
            reason = int(rng.choice([0, 1, 2, 3, 4]))
        effect = math.log1p(change.size) if change.metric == "allowed" else float(change.size)
        last = onset + (change.lasting_days or change.outage_days)
        return Truth(
            metric=change.metric,
            payer=payer,
            groups=groups,
            reason=reason,
            onset=onset,
            effect=effect,
            axis=change.axis or axis,
            change=change,
            until=last if last > onset else None,
        )

    def _whose(self, change: Change, rng: np.random.Generator, at: int) -> int:
        if at and change.payer == "same":
            return self.truths[0].payer
        large = np.flatnonzero(self.weight >= 0.02)
        if at and change.payer == "other":
            large = large[~np.isin(large, [one.payer for one in self.truths])]
        part = self.weight[large] ** 0.5
        return int(rng.choice(large, p=part / part.sum()))

    def _mine(self, truth: Truth) -> np.ndarray:
        mine = self.payer == truth.payer
        return mine if truth.groups is None else mine & np.isin(self.group, truth.groups)

    @staticmethod
    def _profile(truth: Truth, day: np.ndarray) -> np.ndarray:
        """Return the part of the effect that is there on each day, 0 to 1."""
        ramp, lasting = truth.change.ramp_days, truth.change.lasting_days
        if ramp:
            part = np.clip((day - truth.onset) / ramp, 0, 1)
        else:
            part = (day >= truth.onset).astype(float)
        return part * (day < truth.onset + lasting) if lasting else part

    def _added(self, metric: str, axis: str, day: np.ndarray) -> np.ndarray:
        """Return the denial probability that changes add to each claim."""
        total = np.zeros(self.size)
        for truth in self.truths:
            if truth.metric == metric and truth.axis == axis:
                mine = self._mine(truth)
                total[mine] += truth.effect * self._profile(truth, day[mine])
        return total

    # -- when it is decided

    def _lags(self) -> None:
        rng, n = self.rng, self.size
        self.luck = rng.random(n)
        self.by_submission = self._added("denial", "submission", self.submitted)
        will_be_denied = self.luck < self.chance + self.by_submission
        self.log_lag = np.log(rng.uniform(8, 24, self.payers))
        self.spread = rng.uniform(0.35, 0.6, self.payers)
        slower = rng.random(self.payers) < 0.6
        shift = np.where(
            slower,
            rng.uniform(0.15, 0.55, self.payers),
            rng.uniform(-0.5, -0.1, self.payers),
        )[self.payer]
        if self.scenario.age_curve:
            own = self.more.normal(0, self.scenario.age_curve, (self.payers, self.groups))
            shift = shift + own[self.payer, self.group]
        noise = self.spread[self.payer] * rng.standard_normal(n)
        lag = np.exp(self.log_lag[self.payer] + will_be_denied * shift + noise)
        late = rng.random(n) < 0.02
        lag[late] += rng.exponential(30, late.sum())
        raw = self.submitted + np.maximum(1, np.rint(lag)).astype(np.int32)
        for truth in self.truths:
            if truth.metric != "lag":
                continue
            mine = self._mine(truth)
            if truth.change.size:
                raw[mine & (raw >= truth.onset)] += int(truth.change.size)
            if truth.change.outage_days:
                end = truth.onset + truth.change.outage_days
                held = mine & (raw >= truth.onset) & (raw < end)
                raw[held] = end + rng.integers(0, 4, held.sum())
        if self.scenario.clearinghouse_days:
            end = self._switch + self.scenario.clearinghouse_days
            held = (raw >= self._switch) & (raw < end)
            raw[held] = end + self.more.integers(0, 3, held.sum())
            raw[raw >= end] += self.scenario.clearinghouse_lag
        self._remit(np.minimum(raw, self.horizon - 1))

    def _remit(self, raw: np.ndarray) -> None:
        """Move decisions to each payer's next remittance day."""
        rng = self.rng
        per_week = np.where(self.weight > 0.06, 5, rng.integers(1, 4, self.payers))
        self.next_day = np.empty((self.payers, self.horizon), np.int32)
        for payer in range(self.payers):
            weekdays = np.zeros(7, bool)
            weekdays[rng.choice(5, per_week[payer], replace=False)] = True
            good = weekdays[self.weekdays] & ~self.holidays
            for truth in self.truths:
                if truth.change.outage_days and truth.payer == payer:
                    good[truth.onset : truth.onset + truth.change.outage_days] = False
            if self.scenario.clearinghouse_days:
                good[self._switch : self._switch + self.scenario.clearinghouse_days] = False
            days = np.where(good, np.arange(self.horizon), self.horizon + 7)
            self.next_day[payer] = np.minimum.accumulate(days[::-1])[::-1]
        self.decided = self.next_day[self.payer, raw]

    # -- how it is decided

    def _outcomes(self) -> None:
        rng, after = self.rng, self.horizon + 8
        of_day = rng.normal(0, 0.12, (self.payers, after))
        wobble = np.zeros((self.payers, after // 7 + 2))
        steps = rng.normal(0, 0.045, wobble.shape)
        for week in range(1, wobble.shape[1]):
            wobble[:, week] = 0.7 * wobble[:, week - 1] + steps[:, week]
        of_cell = rng.normal(0, 0.2, (self.payers, self.groups, after)).astype(np.float32)
        shock = of_day[self.payer, self.decided] + wobble[self.payer, self.decided // 7]
        shock = shock + of_cell[self.payer, self.group, self.decided]
        logit = np.log(self.chance / (1 - self.chance))
        final = _logistic(logit + shock) + self.by_submission
        extra = self._added("denial", "decision", self.decided)
        self.denied = self.luck < np.minimum(final + extra, 0.98)
        self.is_added = self.denied & (self.luck >= final - self.by_submission)

    def _reasons(self) -> None:
        rng, n = self.rng, self.size
        drawn = rng.random(n)
        cumulative = self.shares.cumsum(2)[self.payer, self.group]
        reason = (drawn[:, None] > cumulative).sum(1).clip(0, len(REASONS) - 1).astype(np.int8)
        for truth in self.truths:
            if truth.metric == "denial" and truth.reason is not None:
                since = self.submitted if truth.axis == "submission" else self.decided
                mine = self.is_added & self._mine(truth)
                reason[mine & (since >= truth.onset)] = truth.reason
            elif truth.metric == "reason":
                self._swap(truth, reason)
        if self.scenario.remap_reason:
            start = int(self.more.integers(EVAL_START + 30, EVAL_START + 90))
            source, target = self.more.choice(5, 2, replace=False)
            reason[(reason == source) & (self.decided >= start)] = target
        self.reason = np.where(self.denied, reason, -1).astype(np.int8)

    def _swap(self, truth: Truth, reason: np.ndarray) -> None:
        mean = self.shares[truth.payer].mean(0).copy()
        mean[[_AUTHORIZATION, _DUPLICATE, _ELIGIBILITY]] = -1
        source = int(np.argmax(mean))
        when = self.decided if truth.axis == "decision" else self.submitted
        swapped = self._mine(truth) & (reason == source) & (when >= truth.onset)
        swapped &= self.rng.random(self.size) < truth.change.size
        before = self._mine(truth) & self.denied & self._just_before(truth)
        counted = (self._mine(truth) & self._just_before(truth)).sum()
        truth.effect = float((reason[before] == source).sum() / max(1, counted) * truth.change.size)
        reason[swapped] = _AUTHORIZATION
        truth.reason = _AUTHORIZATION

    def _just_before(self, truth: Truth) -> np.ndarray:
        return (self.decided < truth.onset) & (self.decided >= truth.onset - 84)

    def _money(self) -> None:
        rng, n = self.rng, self.size
        usual = rng.normal(5, 0.6, self.groups)
        self.charge = np.exp(usual[self.group] + rng.normal(0, 0.5, n))
        ratio = np.log(rng.uniform(0.35, 0.7, (self.payers, self.groups)))
        spread = rng.uniform(0.06, 0.16, self.payers)
        x = ratio[self.payer, self.group] + spread[self.payer] * rng.standard_normal(n)
        of_day = rng.normal(0, 0.01, (self.payers, self.horizon + 8))
        self.x = x + of_day[self.payer, self.decided]
        outlier = rng.random(n) < 0.01
        self.x[outlier] += np.log(rng.uniform(0.3, 0.9, outlier.sum()))
        for truth in self.truths:
            if truth.metric == "allowed":
                mine = self._mine(truth)
                self.x[mine] += truth.effect * self._profile(truth, self.decided[mine])
        self.allowed = np.where(self.denied, 0.0, self.charge * np.exp(self.x))
        patient = rng.normal(0.15, 0.1, n)
        deductible = 0.35 * self.january[self.submitted] * (rng.random(n) < 0.5)
        self.paid = self.allowed * (1 - np.clip(patient + deductible, 0, 1))

    def _describe(self) -> None:
        for truth in self.truths:
            before = self._mine(truth) & self._just_before(truth)
            truth.n28 = float(before.sum() / 3)
            if before.any():
                truth.rate = float(self.chance[before].mean())
                if truth.reason is not None:
                    truth.reason_rate = float((self.reason[before] == truth.reason).mean())

    # -- what comes back, and what is reported under another name

    def _rework(self) -> dict[str, np.ndarray]:
        rng = self.rng
        known = np.flatnonzero(self.denied & (self.decided < self.days))
        again = known[rng.random(known.size) < 0.35]
        twice = np.flatnonzero(rng.random(self.size) < 0.01)
        index = np.concatenate([again, twice])
        is_twice = np.arange(index.size) >= again.size
        submitted = np.where(
            is_twice,
            self.submitted[index] + rng.integers(1, 10, index.size),
            self.decided[index] + rng.integers(4, 21, index.size),
        )
        kept = submitted < self.days
        index, is_twice, submitted = index[kept], is_twice[kept], submitted[kept]
        payer = self.payer[index]
        noise = self.spread[payer] * rng.standard_normal(index.size)
        lag = np.maximum(1, np.rint(np.exp(self.log_lag[payer] + noise))).astype(np.int32)
        decided = self.next_day[payer, np.minimum(submitted + lag, self.horizon - 1)]
        denied = rng.random(index.size) < np.where(is_twice, 0.8, 0.35)
        reason = np.where(is_twice, _DUPLICATE, np.maximum(self.reason[index], 0))
        allowed = np.where(denied, 0.0, self.charge[index] * np.exp(self.x[index]))
        return {
            "payer": payer,
            "group": self.group[index],
            "submitted": submitted,
            "decided": decided,
            "denied": denied,
            "reason": np.where(denied, reason, -1),
            "charge": self.charge[index],
            "allowed": allowed,
            "paid": allowed * 0.85,
        }

    def _claims(self, rework: dict[str, np.ndarray]) -> Claims:
        columns = {
            name: np.concatenate([getattr(self, name), column.astype(getattr(self, name).dtype)])
            for name, column in rework.items()
        }
        groups = self.groups + self._recode(columns)
        count = len(rework["payer"])
        is_rework = np.concatenate([np.zeros(self.size, bool), np.ones(count, bool)])
        return Claims(
            days=self.days,
            payers=self.payers,
            groups=groups,
            weekday=self.weekday,
            holidays=self.holidays,
            is_rework=is_rework,
            truths=self.truths,
            **columns,
        )

    def _recode(self, columns: dict[str, np.ndarray]) -> int:
        """Report some groups under other codes; return how many new codes there are."""
        if self.scenario.remap_group:
            start = int(self.more.integers(EVAL_START + 30, EVAL_START + 90))
            source, target = self.more.choice(self.groups, 2, replace=False)
            moved = (columns["group"] == source) & (columns["submitted"] >= start)
            columns["group"][moved] = target
        if not self.scenario.codeset:
            return 0
        january = EVAL_START - 60 + int(np.argmin(self.day_of_year[EVAL_START - 60 : self.days]))
        retired = self.more.choice(self.groups, self.scenario.codeset, replace=False)
        for at, code in enumerate(retired.tolist()):
            moved = (columns["group"] == code) & (columns["submitted"] >= january)
            columns["group"][moved] = self.groups + at
        return self.scenario.codeset

    def _withheld(self, truth: Truth, claims: Claims) -> np.ndarray:
        """Return which claims are no longer sent to a payer; a silent one decides nothing more."""
        mine = claims.payer == truth.payer
        since = (claims.submitted >= truth.onset) & (
            claims.submitted < (truth.until or self.horizon)
        )
        return mine & since & (self.more.random(len(mine)) < -truth.effect)

    def _has_newcomers(self) -> bool:
        return bool(self.scenario.new_payers or self.scenario.new_groups)

    def _unknown(self, claims: Claims) -> np.ndarray:
        """Return which claims there would not have been: before their payer or group came."""
        gone = np.zeros(len(claims.payer), bool)
        lo, hi = EVAL_START - 60, EVAL_START + 60
        for payer in self.more.choice(
            np.arange(1, self.payers), self.scenario.new_payers, replace=False
        ):
            start = int(self.more.integers(lo, hi))
            gone |= (claims.payer == payer) & (claims.submitted < start)
        for group in self.more.choice(self.groups, self.scenario.new_groups, replace=False):
            start = int(self.more.integers(lo, hi))
            gone |= (claims.group == group) & (claims.submitted < start)
        return gone


def simulate(tenant: str, scenario: Scenario, seed: int) -> Claims:
    """Return the claims of one tenant, with the truth about its changes."""
    return _Simulation(tenant, scenario, seed).run()
