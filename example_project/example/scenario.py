"""What the demo is about: two hospitals, the files that they receive, and what was planted in them.

Northside gets X12: what it sent (837P) and what payers answered (835), a file a month. Lakeview
exports one CSV from its billing system. The claims are simulated by :mod:`claimkit.testing.synthetic`
up to the day before the first run; later runs read the same files again.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils import timezone

from claimkit.claims.payers import payer_of
from claimkit.reports.compose import Volume, compose
from claimkit.reports.terminal import render_text
from claimkit.testing.synthetic import (
    LAKEVIEW,
    NORTHSIDE,
    make_claims,
    write_835,
    write_837p,
    write_csv,
)
from claimkit.types import TenantKey
from claimkit_django.conf import config
from claimkit_django.drift.runs import run_watch
from claimkit_django.runtime import open_store, plugins

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from claimkit.drift.findings import Finding
    from claimkit.drift.watch import WatchReport
    from claimkit.reports.document import Report
    from claimkit.testing.synthetic import PlantedDrift, Profile
    from claimkit.types import Progress

__all__ = ["HOSPITALS", "Hospital", "Planted", "Told", "Written", "watch", "write_files"]

#: Days of claims; a baseline of half a year and a year in which something can happen.
_DAYS = 430
#: How far a finding's first day may be from the planted one and still mean it.
_NEAR = dt.timedelta(days=28)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hospital:
    """A tenant of the demo."""

    key: TenantKey
    name: str
    timezone: str
    profile: Profile
    #: Whether it gets X12 files; else one CSV.
    has_x12: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A drift that was planted, with its first day."""

    drift: PlantedDrift
    onset: dt.date

    def is_told_by(self, finding: Finding) -> bool:
        """Whether the finding is about this drift."""
        return (
            finding.signal == self.drift.signal
            and finding.segment.payer == payer_of(self.drift.payer)
            and abs(finding.onset - self.onset) <= _NEAR
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The files of a hospital, and the truth that they hold."""

    files: tuple[Path, ...]
    planted: tuple[Planted, ...]


HOSPITALS = (
    Hospital(
        key=TenantKey("northside"),
        name=NORTHSIDE.name,
        timezone="America/New_York",
        profile=NORTHSIDE,
        has_x12=True,
    ),
    Hospital(
        key=TenantKey("lakeview"),
        name=LAKEVIEW.name,
        timezone="America/Chicago",
        profile=LAKEVIEW,
        has_x12=False,
    ),
)


def write_files(hospital: Hospital, *, scale: float, progress: Progress) -> Written:
    """Write the hospital's files, unless an earlier run did, and say what is planted in them."""
    last_day = _last_day()
    planted = tuple(
        Planted(drift=drift, onset=last_day - dt.timedelta(days=drift.days_ago))
        for drift in hospital.profile.drifts
    )
    folder = settings.DEMO_DIR / "files" / hospital.key
    done = folder / ".complete"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        progress(f"making a year of claims for {hospital.name}", 0, 3)
        monthly = max(1, round(hospital.profile.claims_per_month * scale))
        profile = replace(hospital.profile, claims_per_month=monthly)
        claims = make_claims(profile, as_of=last_day, days=_DAYS)
        progress(f"writing files for {hospital.name}", 1, 3)
        if hospital.has_x12:
            write_837p(claims, folder)
            progress(f"writing files for {hospital.name}", 2, 3)
            write_835(claims, folder)
        else:
            write_csv(claims, folder / "billing-export.csv")
        progress(f"writing files for {hospital.name}", 3, 3)
        done.touch()
    # Submissions first, as they come in life; the order makes no difference to what is known.
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return Written(files=tuple(files), planted=planted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the watch said about a hospital."""

    hospital: Hospital
    watched: WatchReport
    report: Report

    def text(self, *, width: int, color: bool) -> str:
        """Return the report for a terminal."""
        return render_text(self.report, width=width, color=color)

    def what_is_new(self) -> str:
        """Return what this run changed, in a few words."""
        recorded = self.watched.recorded
        if not (recorded.new or recorded.worse or recorded.resolved):
            return "nothing changed since the last run"
        return (
            f"{len(recorded.new)} new, {len(recorded.worse)} worse, {len(recorded.resolved)} over"
        )

    def compared_with(self, planted: Sequence[Planted]) -> str:
        """Return in one line how what was told compares with what is true."""
        alerts = self.watched.alerts
        found = [one for one in planted if any(map(one.is_told_by, alerts))]
        payers = {payer_of(one.drift.payer) for one in planted}
        false = [one for one in alerts if one.segment.payer not in payers]
        plural = "" if len(false) == 1 else "s"
        return f"{len(found)} of {len(planted)} planted drifts, {len(false)} false alarm{plural}"

    def write_report(self) -> Path:
        """Write the report as HTML where the site looks for it."""
        path: Path = settings.REPORTS_DIR / self.hospital.key / "report.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as out:
            plugins().renderers["html"].render(self.report, out)
        return path


def watch(hospital: Hospital, *, progress: Progress) -> Told:
    """Look for payers that changed, and compose the report of it."""
    watched = run_watch(hospital.key, as_of=_last_day(), actor="demo", progress=progress)
    totals = open_store().claims.totals(hospital.key)
    report = compose(
        tenant_name=hospital.name,
        watched=watched,
        volume=Volume(
            claims=totals.claims, pending=totals.pending, charge=totals.charge, paid=totals.paid
        ),
        generated_at=timezone.now(),
        config=config().reports,
    )
    return Told(hospital=hospital, watched=watched, report=report)


def _last_day() -> dt.date:
    """Return the last day of the simulated claims: the day before the first run."""
    kept: Path = settings.DEMO_DIR / "last-day"
    if not kept.exists():
        yesterday = timezone.now().date() - dt.timedelta(days=1)
        kept.write_text(yesterday.isoformat(), encoding="ascii")
    return dt.date.fromisoformat(kept.read_text(encoding="ascii").strip())
