"""Is a file what this tenant's files usually are: completeness, validity, volume, mix, lateness.

The story: :class:`ProfileBuilder` counts what goes by while a file is read; its
:class:`QualityProfile` is kept with the upload. :func:`assess` compares it with the profiles of
the tenant's own past files of the same kind, and says in plain words what is unusual. An export
that lost a column looks to drift detection exactly like a payer that changed: such an issue
*holds* alerts back until somebody has looked, or the file came again whole.

Limits are wide on purpose. Shares are compared with the worst of the past files, amounts of
claims by their ratio to the median, the mix of payers by total variation distance (half the sum
of the differences of shares, 0 to 1), each against what the past files among themselves show.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from itertools import compress
from operator import attrgetter, gt
from typing import TYPE_CHECKING, Any

from claimkit.claims.model import Outcome

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from claimkit.claims.lone import LoneClaims
    from claimkit.claims.model import Claim, ClaimBatch

__all__ = ["ProfileBuilder", "QualityIssue", "QualityProfile", "QualityReport", "assess"]

#: Payers that a profile names; the others count together.
_PAYERS = 50
#: Past files from which what is usual can be told.
_ENOUGH = 3
#: What is missing, where it would be expected: name → how people call it.
_EXPECTED = {
    "payer": "the payer",
    "procedure": "the procedure code",
    "submitted": "the submission date",
    "decided": "the decision date of decided claims",
    "allowed": "the allowed amount of paid claims",
    "reason": "the reason of denied claims",
}
#: Without these a change of the file looks like a change of a payer.
_HOLDING = frozenset({"payer", "submitted", "decided", "reason"})
#: Claims that lack these count in no rate, so that it is said however usual it is.
_COUNTED_BY = frozenset({"decided"})
_DECIDED = frozenset({Outcome.PAID, Outcome.DENIED, Outcome.PARTIAL, Outcome.ZERO_PAID})


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityProfile:
    """What one file holds, in numbers; nothing of any person."""

    claims: int = 0
    #: Rows or claims that could not be taken.
    rejected: int = 0
    #: What is missing → share of the claims that should have it, 0 to 1.
    missing: Mapping[str, float] = field(default_factory=dict)
    #: Share of claims that were decided before they were submitted or served.
    disordered: float = 0.0
    #: Payer → claims; beyond the 50 largest together under ``""``.
    payers: Mapping[str, int] = field(default_factory=dict)
    #: First and last decision, as ISO dates; empty where there is none.
    first_decided: str = ""
    last_decided: str = ""

    @property
    def rejected_share(self) -> float:
        """Share of what was read that could not be taken."""
        read = self.claims + self.rejected
        return self.rejected / read if read else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the profile as it is kept."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> QualityProfile:
        """Return a profile that was kept."""
        return cls(**kept)


class ProfileBuilder:
    """Counts batches as they go by."""

    def __init__(self) -> None:
        self._claims = self._rejected = self._disordered = 0
        self._expected: Counter[str] = Counter()
        self._missing: Counter[str] = Counter()
        self._payers: Counter[str] = Counter()
        self._first: dt.date | None = None
        self._last: dt.date | None = None

    def take(self, batch: ClaimBatch) -> None:
        """Count one normalized batch."""
        self._rejected += len(batch.problems)
        for told in (_told_by_records(batch.claims), batch.lone and _told_by_columns(batch.lone)):
            if told:
                self._take(told)

    def _take(self, told: _Told) -> None:
        payers = [
            (base or payer) if name or payer_id else ""
            for base, payer, name, payer_id in told("base_payer", "payer", "payer_name", "payer_id")
        ]
        self._claims += len(payers)
        self._payers.update(payers)
        outcomes = [one for (one,) in told("outcome")]
        decided = [one in _DECIDED for one in outcomes]
        days = [one or two for one, two in told("decided_on", "paid_on")]
        everywhere = [True] * len(payers)
        for name, expected, known in (
            (
                "payer",
                everywhere,
                [bool(one or two) for one, two in told("payer_name", "payer_id")],
            ),
            (
                "procedure",
                everywhere,
                [bool(one or two) for one, two in told("procedure_code", "drg")],
            ),
            (
                "submitted",
                everywhere,
                [bool(one or two) for one, two in told("submitted_on", "received_on")],
            ),
            ("decided", decided, list(map(bool, days))),
            (
                "allowed",
                [one is Outcome.PAID for one in outcomes],
                [one is not None for (one,) in told("allowed")],
            ),
            (
                "reason",
                [one is Outcome.DENIED for one in outcomes],
                [bool(one) for (one,) in told("reason")],
            ),
        ):
            self._expected[name] += sum(expected)
            self._missing[name] += sum(map(gt, expected, known))
        starts = [one or two for one, two in told("submitted_on", "service_from")]
        self._disordered += sum(
            counts and day is not None and start is not None and day < start
            for counts, day, start in zip(decided, days, starts, strict=True)
        )
        days = list(filter(None, compress(days, decided)))
        if days:
            self._first = min(days) if self._first is None else min(self._first, *days)
            self._last = max(days) if self._last is None else max(self._last, *days)

    def profile(self) -> QualityProfile:
        """Return what was counted."""
        largest = dict(self._payers.most_common(_PAYERS))
        rest = self._payers.total() - sum(largest.values())
        if rest:
            largest[""] = largest.get("", 0) + rest
        return QualityProfile(
            claims=self._claims,
            rejected=self._rejected,
            missing={
                name: round(self._missing[name] / count, 6)
                for name, count in self._expected.items()
                if count
            },
            disordered=round(self._disordered / self._claims, 6) if self._claims else 0.0,
            payers=largest,
            first_decided=self._first.isoformat() if self._first else "",
            last_decided=self._last.isoformat() if self._last else "",
        )


#: Fields of claims → their values, claim by claim.
_Told = Callable[..., Iterable[tuple[Any, ...]]]


def _told_by_records(claims: Sequence[Claim]) -> _Told | None:
    def told(*names: str) -> Iterable[tuple[Any, ...]]:
        return zip(*(map(attrgetter(name), claims) for name in names), strict=True)

    return told if claims else None


def _told_by_columns(lone: LoneClaims) -> _Told:
    def told(*names: str) -> Iterable[tuple[Any, ...]]:
        return zip(*map(lone.claim, names), strict=True)

    return told


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityIssue:
    """One thing that is unusual about a file."""

    #: Stable: ``quality_incomplete``, ``quality_invalid``, ``quality_disordered``,
    #: ``quality_volume``, ``quality_mix``, ``quality_late``.
    code: str
    #: For people; names no person.
    message: str
    #: Whether drift alerts wait until somebody has looked.
    holds: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport:
    """What is unusual about a file, worst first."""

    issues: tuple[QualityIssue, ...] = ()
    #: Past files that it was compared with.
    compared: int = 0

    @property
    def holds(self) -> bool:
        """Whether drift alerts wait."""
        return any(one.holds for one in self.issues)


def assess(
    profile: QualityProfile,
    past: Sequence[QualityProfile] = (),
    *,
    days_since_last: int | None = None,
    usual_days: Sequence[int] = (),
) -> QualityReport:
    """Return what is unusual about a file.

    Args:
        profile: The file.
        past: The tenant's earlier files of the same kind, in any order; fewer than three tell
            nothing of what is usual, and only what is wrong by itself is said.
        days_since_last: Days since the file before; None where it is the first.
        usual_days: Days between the earlier files.

    >>> report = assess(QualityProfile(claims=90, rejected=10))
    >>> [one.code for one in report.issues], report.holds
    (['quality_invalid'], False)
    """
    known = [one for one in past if one.claims] if len(past) >= _ENOUGH else []
    usual = known if len(known) >= _ENOUGH else []
    issues = [
        *_incomplete(profile, usual),
        *_invalid(profile, usual),
        *_volume(profile, usual),
        *_mix(profile, usual),
        *_late(days_since_last, usual_days),
    ]
    return QualityReport(
        issues=tuple(sorted(issues, key=lambda one: not one.holds)), compared=len(usual)
    )


def _incomplete(profile: QualityProfile, usual: Sequence[QualityProfile]) -> list[QualityIssue]:
    found = []
    for name, share in profile.missing.items():
        before = [one.missing[name] for one in usual if name in one.missing]
        worst = max(before, default=None)
        if worst is not None and share >= worst + 0.2 and share >= 2 * worst:
            found.append(
                QualityIssue(
                    code="quality_incomplete",
                    message=f"{_EXPECTED[name]} is missing in {share:.0%}, usually in at most "
                    f"{worst:.0%}",
                    holds=name in _HOLDING,
                )
            )
        elif share > 0.5 and (worst is None or name in _COUNTED_BY):
            means = ", so that nothing of these is counted" if name in _COUNTED_BY else ""
            found.append(
                QualityIssue(
                    code="quality_incomplete",
                    message=f"{_EXPECTED[name]} is missing in {share:.0%}{means}",
                )
            )
    return found


def _invalid(profile: QualityProfile, usual: Sequence[QualityProfile]) -> list[QualityIssue]:
    found = []
    for code, share, before, what in (
        (
            "quality_invalid",
            profile.rejected_share,
            [one.rejected_share for one in usual],
            "of the rows could not be taken",
        ),
        (
            "quality_disordered",
            profile.disordered,
            [one.disordered for one in usual],
            "of the claims were decided before they were submitted",
        ),
    ):
        worst = max(before, default=0.0)
        if share > worst + 0.05:
            compared = f", usually at most {worst:.0%}" if before else ""
            found.append(
                QualityIssue(code=code, message=f"{share:.0%} {what}{compared}", holds=bool(before))
            )
    return found


def _volume(profile: QualityProfile, usual: Sequence[QualityProfile]) -> list[QualityIssue]:
    if not usual:
        return []
    logs = [math.log(one.claims) for one in usual]
    middle = statistics.median(logs)
    spread = 1.4826 * statistics.median(abs(one - middle) for one in logs)
    room = max(math.log(3), 3 * spread)
    off = math.log(max(profile.claims, 1)) - middle
    if abs(off) <= room:
        return []
    few = off < 0
    return [
        QualityIssue(
            code="quality_volume",
            message=f"{profile.claims:,} claims are far {'fewer' if few else 'more'} than the "
            f"usual {math.exp(middle):,.0f}",
            # A part of a file is a biased sample; a long one is a longer history.
            holds=few,
        )
    ]


def _mix(profile: QualityProfile, usual: Sequence[QualityProfile]) -> list[QualityIssue]:
    if not usual or not profile.claims:
        return []
    pooled = _pooled(usual)
    among = [
        _distance(one.payers, _pooled([other for other in usual if other is not one]))
        for one in usual
    ]
    distance = _distance(profile.payers, pooled)
    if distance <= max(0.35, 2 * max(among)):
        return []
    total = sum(pooled.values())
    gone = [
        payer
        for payer, count in sorted(pooled.items(), key=lambda pair: -pair[1])
        if payer and count >= 0.1 * total and payer not in profile.payers
    ]
    missing = f"; nothing of {', '.join(gone[:3])}" if gone else ""
    return [
        QualityIssue(
            code="quality_mix",
            message=f"the mix of payers is not the usual one ({distance:.0%} of the claims are "
            f"elsewhere){missing}",
            holds=True,
        )
    ]


def _pooled(profiles: Sequence[QualityProfile]) -> Counter[str]:
    pooled: Counter[str] = Counter()
    for one in profiles:
        pooled.update(one.payers)
    return pooled


def _distance(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """Return the total variation distance of two mixes: 0 the same, 1 nothing in common."""
    mine, theirs = sum(one.values()), sum(other.values())
    if not mine or not theirs:
        return 0.0
    return (
        sum(abs(one.get(name, 0) / mine - other.get(name, 0) / theirs) for name in {*one, *other})
        / 2
    )


def _late(days: int | None, usual: Sequence[int]) -> list[QualityIssue]:
    if days is None or len(usual) < _ENOUGH:
        return []
    middle = statistics.median(usual)
    if days <= max(3 * middle, max(usual) + 1, 2):
        return []
    return [
        QualityIssue(
            code="quality_late",
            message=f"the file comes {days} days after the one before, usually {middle:.0f}",
        )
    ]
