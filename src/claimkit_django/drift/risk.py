"""The risk of planned claims, under the names that the tenant's claims have.

The story: what is asked goes through the same normalizers and the same mapping as a file (:func:`name_asked`), and is scored by :func:`claimkit.drift.risk.score_claims`. Where rules of automation
shall see the scores, each is an event in one transaction (:func:`tell_rules`); claims that an EHR sent are scored without
being asked (:func:`score_upload`). Nothing is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, transaction
from django.utils import timezone

from claimkit.claims.model import Claim, ClaimBatch, ClaimKind, ServiceLine
from claimkit.claims.normalize import NormalizeContext
from claimkit.drift.risk import PlannedClaim, RiskState, plan, score_claims
from claimkit.events import ClaimRiskScored
from claimkit.tenants import use_tenant
from claimkit.types import SystemClock
from claimkit_django.conf import config
from claimkit_django.runtime import make_bus, open_store, patient_key, plugins

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from claimkit.drift.risk import RiskReport
    from claimkit.types import Cents, Clock, TenantKey

__all__ = ["AskedClaim", "map_names", "name_asked", "run_risk", "score_upload", "tell_rules"]

_AUTHORIZATION = {None: "", True: "with number", False: "without number"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedClaim:
    """A planned claim in the words of whoever asks, like a row of a file."""

    reference: str
    payer: str = ""
    payer_id: str = ""
    procedure_code: str = ""
    #: Instead of the one that the code belongs to.
    procedure_group: str = ""
    #: Whether it states an authorization number; None where nobody says.
    authorized: bool | None = None
    charge: Cents = 0


def name_asked(
    asked: Sequence[AskedClaim], *, tenant: TenantKey, tenant_id: int, using: str
) -> list[PlannedClaim]:
    """Return what is asked about under the names that the tenant's claims have; one query."""
    claims = [
        Claim(
            kind=ClaimKind.CSV,
            position=at,
            patient_control_number=str(at),
            payer_name=one.payer,
            payer_id=one.payer_id,
            lines=[ServiceLine(number="1", procedure_code=one.procedure_code)],
        )
        for at, one in enumerate(asked, start=1)
    ]
    batch = ClaimBatch(claims=claims)
    context = NormalizeContext(patient_key=patient_key(tenant), source_name="planned claims")
    for normalizer in plugins().normalizers:
        normalizer.normalize(batch, context)
    named = map_names(claims, tenant_id=tenant_id, using=using)
    return [
        replace(
            one,
            reference=told.reference,
            charge=told.charge,
            procedure_group=told.procedure_group or one.procedure_group,
            authorization=_AUTHORIZATION[told.authorized],
        )
        for one, told in zip(named, asked, strict=True)
    ]


def map_names(claims: Sequence[Claim], *, tenant_id: int, using: str) -> list[PlannedClaim]:
    """Return normalized claims as planned ones under the tenant's own names; one query."""
    store = open_store(using)
    if store.has("mappings"):
        store.mappings.load(tenant_id).apply(claims)
    return plan(claims)


def run_risk(
    planned: Sequence[PlannedClaim],
    *,
    tenant: TenantKey,
    using: str = DEFAULT_DB_ALIAS,
    clock: Clock | None = None,
) -> RiskReport:
    """Return the risk of planned claims of a tenant, in its scope; three queries."""
    return score_claims(
        planned, tenant=tenant, store=open_store(using), clock=clock or SystemClock()
    )


def score_upload(tenant: TenantKey, upload: str, *, using: str = DEFAULT_DB_ALIAS) -> int:
    """Score the claims of a file that wait for their payers, tell rules, and return how many were told of.

    Telling them of the same file again changes nothing: its events are the same.

    Args:
        tenant: Whose file it is.
        upload: Public identifier; of another source than ``CLAIMKIT["DRIFT"]["SCORE_SOURCES"]``
            nothing is told.
        using: Alias of the database.
    """
    store, told = open_store(using), 0
    with use_tenant(tenant):
        found = store.pending.of_upload(upload, sources=config().drift.score_sources)
        if found is None:
            return 0
        at, batches = found
        for claims in batches:
            planned = [
                PlannedClaim(
                    reference=one.uid,
                    payer=one.payer,
                    procedure_group=one.procedure_group,
                    authorization=_AUTHORIZATION[one.authorized],
                    charge=one.charge,
                )
                for one in claims
            ]
            report = run_risk(planned, tenant=tenant, using=using)
            told += tell_rules(report, at=at, using=using)
    return told


def tell_rules(
    report: RiskReport, *, at: dt.datetime | None = None, using: str = DEFAULT_DB_ALIAS
) -> int:
    """Tell of each score, in one transaction, and return of how many; those without a number are left out.

    Args:
        report: The scores.
        at: When it was asked; now by default.
        using: Alias of the database.
    """
    bus, now = make_bus(open_store(using)), at or timezone.now()
    told = [one for one in report.scores if one.state is RiskState.SCORED]
    with bus.transaction(transaction.atomic(using=using)):
        for one in told:
            low, high = one.interval or (0.0, 1.0)
            bus.stage(
                ClaimRiskScored(
                    tenant=report.tenant,
                    at=now,
                    claim=one.claim.reference,
                    payer=one.claim.payer,
                    procedure_group=one.claim.procedure_group,
                    authorization=one.claim.authorization,
                    probability=one.probability or 0.0,
                    low=low,
                    high=high,
                    charge=one.claim.charge,
                )
            )
    return len(told)
