"""Quality of uploads: compared with the tenant's own past, held against alerts, released."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING, Any

from django.db.models import Q
from django.utils import timezone

from claimkit.claims.quality import QualityProfile, assess
from claimkit.events import DataHold
from claimkit.types import day_of
from claimkit_django.claims.models import Upload
from claimkit_django.tenants.turns import find_tenant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from claimkit.types import TenantKey

__all__ = ["OrmQualityLog", "assess_upload", "release_holds"]

#: Earlier uploads that a file is compared with.
_PAST = 12


def assess_upload(upload: Upload, profile: QualityProfile, using: str) -> dict[str, Any]:
    """Return what to keep of a file's quality: profile, issues, and whether alerts wait.

    Compared with the last twelve uploads of the tenant in scope that the same reader took whole
    or in part, and that nobody has doubts about. A file of which everything was known already
    tells nothing new, and holds nothing.
    """
    earlier = list(
        Upload.objects.using(using)
        .filter(
            status__in=[Upload.Status.SUCCESS, Upload.Status.PARTIAL],
            reader=upload.reader,
            holds_alerts=False,
            created_at__lt=upload.created_at,
        )
        .exclude(Q(quality={}) | Q(pk=upload.pk))
        .order_by("-created_at", "-pk")
        .values_list("quality", "known_on")[:_PAST]
    )
    days = [known_on for _, known_on in earlier]
    gaps = [(later - before).days for later, before in itertools.pairwise(days)]
    report = assess(
        profile,
        [QualityProfile.from_json(quality["profile"]) for quality, _ in earlier],
        days_since_last=(upload.known_on - days[0]).days if days else None,
        usual_days=gaps,
    )
    return {
        "profile": profile.as_json(),
        "compared": report.compared,
        "holds": report.holds,
        "issues": [
            {"code": one.code, "message": one.message, "holds": one.holds} for one in report.issues
        ],
    }


def release_holds(upload: Upload, *, actor: str, using: str) -> bool:
    """Let alerts go that wait because of an upload; return whether any did."""
    quality = {
        **upload.quality,
        "released": {"by": actor, "at": timezone.now().isoformat(timespec="seconds")},
    }
    waiting = Upload.objects.using(using).filter(pk=upload.pk, holds_alerts=True)
    done = bool(waiting.update(holds_alerts=False, quality=quality))
    upload.refresh_from_db(using=using)
    return done


class OrmQualityLog:
    """Uploads of all tenants in one database, by what drift has to know of them."""

    def __init__(self, using: str) -> None:
        self._using = using

    def holds(self, tenant: TenantKey) -> Sequence[DataHold]:
        """Return the doubts about a tenant's data that nobody has released."""
        rows = Upload.unscoped.using(self._using).filter(
            tenant_id=find_tenant(tenant, self._using).pk, holds_alerts=True
        )
        return [
            DataHold(
                reason=f"{name}: {'; '.join(_reasons(quality))}",
                since=_since(quality, known_on),
                until=_until(quality),
            )
            for name, quality, known_on in rows.order_by("created_at", "pk").values_list(
                "name", "quality", "known_on"
            )
        ]


def _reasons(quality: dict[str, Any]) -> list[str]:
    return [one["message"] for one in quality["issues"] if one["holds"]]


def _since(quality: dict[str, Any], known_on: dt.date) -> int:
    first = quality["profile"]["first_decided"]
    return day_of(dt.date.fromisoformat(first) if first else known_on)


def _until(quality: dict[str, Any]) -> int | None:
    last = quality["profile"]["last_decided"]
    return day_of(dt.date.fromisoformat(last)) if last else None
