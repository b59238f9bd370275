"""Looking after authorizations: link claims, forecast, and warn of each step once.

Everything of one tenant happens in one transaction under its turn: a step is a row with a unique key beside the
event that tells of it, so that no worker tells it twice and no crash loses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Case, Count, F, Max, Sum, Value, When

from claimkit.authorizations.forecast import forecast
from claimkit.authorizations.model import Usage
from claimkit.authorizations.review import WarningKind, review, steps
from claimkit.claims.mapping import ClaimMapping
from claimkit.claims.payers import payer_of
from claimkit.events import AuthorizationExhausting, AuthorizationExpiring
from claimkit_django.authorizations.linking import link_claims
from claimkit_django.authorizations.models import (
    Authorization,
    AuthorizationClaim,
    AuthorizationWarning,
    LeadTime,
)
from claimkit_django.conf import config
from claimkit_django.runtime import make_bus, open_store
from claimkit_django.tenants.changes import note_change
from claimkit_django.tenants.scope import enter
from claimkit_django.tenants.turns import take_turn

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    from claimkit.authorizations.forecast import Forecast
    from claimkit.authorizations.review import Warned
    from claimkit.events import Event
    from claimkit.types import TenantKey

__all__ = ["Checked", "check_authorizations"]

_BATCH = 500
_FORECAST = (
    *("units_per_day", "runs_out", "exhausted_earliest", "exhausted_likely"),
    *("exhausted_latest", "checked_at"),
)
_EVENTS = {
    WarningKind.EXPIRY: AuthorizationExpiring,
    WarningKind.EXHAUSTION: AuthorizationExhausting,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What one check did."""

    #: Authorizations that are not over and not renewed.
    checked: int = 0
    #: Links between a claim and an authorization.
    linked: int = 0
    warned: int = 0


def check_authorizations(tenant: TenantKey, *, now: dt.datetime, using: str) -> Checked:
    """Link, forecast and warn for one tenant; a fixed number of queries but for what events cause.

    Args:
        tenant: Whose authorizations.
        now: The present; the day is that of the tenant's time zone.
        using: Alias of the database.

    Raises:
        TenantUnknown: there is no such tenant, or it is not active.
    """
    bus = make_bus(open_store(using))
    with bus.transaction(transaction.atomic(using=using)):
        row = take_turn(tenant, using)
        today = now.astimezone(ZoneInfo(row.timezone)).date()
        with enter(row):
            name = _name_payers(row.pk, using)
            link_claims(row.pk, using=using)
            live = list(
                Authorization.objects.using(using).filter(valid_until__gte=today, renewal=None)
            )
            usages, seen = _usages(using)
            lead = {
                name(payer): days
                for payer, days in LeadTime.objects.using(using).values_list("payer", "days")
            }
            reached = []
            for one in live:
                expected = _expect(one, usages.get(one.pk, Usage()), seen, today)
                _put(one, expected, now)
                reached += [
                    (one, told)
                    for told in review(
                        one.to_value(),
                        expected,
                        today=today,
                        at_days=_steps(one.payer_folded, lead),
                    )
                ]
            Authorization.objects.using(using).bulk_update(live, _FORECAST, batch_size=_BATCH)
            new = _keep_new(reached, now, using)
            for one, told in new:
                bus.stage(_event(one, told, tenant, now))
            linked = AuthorizationClaim.objects.using(using).count()
            note_change([row.pk], Authorization.shown_in, using)
    return Checked(checked=len(live), linked=linked, warned=len(new))


def _name_payers(tenant_id: int, using: str) -> Callable[[str], str]:
    """Call the payers of authorizations as claims do now, and return how; three statements at most."""
    store = open_store(using)
    mapping = store.mappings.load(tenant_id) if store.has("mappings") else ClaimMapping()

    def name(payer: str) -> str:
        return mapping.payer(payer, "", payer_of(payer))[:200]

    rows = Authorization.objects.using(using)
    stated = rows.order_by().values_list("payer", "payer_folded").distinct()
    named = {payer: name(payer) for payer, was in stated if name(payer) != was}
    if named:
        cases = [When(payer=payer, then=Value(called)) for payer, called in named.items()]
        rows.filter(payer__in=list(named)).update(payer_folded=Case(*cases))
    return name


def _steps(payer: str, lead: Mapping[str, int]) -> tuple[int, ...]:
    room = config().authorizations
    return steps(map(int, room.warn_days), lead.get(payer, room.lead_days))


def _usages(using: str) -> tuple[dict[int, Usage], dt.date | None]:
    """Return what was used by authorization, and the last day of which services are known."""
    links = AuthorizationClaim.objects.using(using).filter(units__gt=0)
    seen: dt.date | None = links.aggregate(last=Max("service_on"))["last"]
    rows = (
        links.order_by()
        .values("authorization_id")
        .annotate(visits=Count("pk"), used=Sum("units"), squares=Sum(F("units") * F("units")))
    )
    return {
        one["authorization_id"]: Usage(
            visits=one["visits"], units=one["used"], squares=one["squares"]
        )
        for one in rows
    }, seen


def _expect(row: Authorization, usage: Usage, seen: dt.date | None, today: dt.date) -> Forecast:
    if row.units_stated > usage.units:
        # Somebody knows of more than claims tell: as many visits of the same size.
        size = usage.squares / usage.units if usage.units else 1
        usage = Usage(visits=usage.visits, units=row.units_stated, squares=row.units_stated * size)
        seen = today
    return forecast(
        row.to_value(),
        usage,
        seen_until=min(seen or today, today),
        today=today,
        interval=config().authorizations.interval,
    )


def _put(row: Authorization, expected: Forecast, now: dt.datetime) -> None:
    row.units_per_day, row.runs_out = expected.units_per_day, expected.runs_out
    row.exhausted_earliest = expected.earliest
    row.exhausted_likely = expected.likely
    row.exhausted_latest = expected.latest
    row.checked_at = now


def _keep_new(
    reached: list[tuple[Authorization, Warned]], now: dt.datetime, using: str
) -> list[tuple[Authorization, Warned]]:
    """Write down the steps that were not told yet, and return them; two statements."""
    since = min((one.valid_until for one, _ in reached), default=now.date())
    known = set(
        AuthorizationWarning.objects.using(using)
        .filter(authorization__renewal=None, authorization__valid_until__gte=since)
        .values_list("authorization_id", "kind", "step", "basis")
    )
    new = [
        (one, told)
        for one, told in reached
        if (one.pk, told.kind.value, told.step, told.basis) not in known
    ]
    AuthorizationWarning.objects.using(using).bulk_create(
        [
            AuthorizationWarning(
                authorization=one,
                kind=told.kind.value,
                step=told.step,
                basis=told.basis,
                days_left=told.days_left,
                ends_on=told.ends_on,
                told_at=now,
            )
            for one, told in new
        ]
    )
    return new


def _event(row: Authorization, told: Warned, tenant: TenantKey, now: dt.datetime) -> Event:
    return _EVENTS[told.kind](
        tenant=tenant,
        at=now,
        authorization=row.uid,
        payer=row.payer,
        procedure=row.procedure,
        step=told.step,
        days_left=told.days_left,
        ends_on=told.ends_on,
    )
