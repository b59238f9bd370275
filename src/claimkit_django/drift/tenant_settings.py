"""What a tenant has chosen for itself: detectors, further dimensions, and what its contracts say.

Where a tenant chose nothing, the site's ``CLAIMKIT["DRIFT"]`` holds. What changes the cube's cells
(dimensions, contracts) is followed by a rebuild, :func:`claimkit_django.drift.runs.run_rebuild`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, transaction

from claimkit.claims.payers import payer_of
from claimkit.drift.contracts import (
    ContractMeasure,
    ContractRate,
    Contracts,
    FeeSchedule,
    read_contracts,
)
from claimkit.drift.dimensions import check_dimensions
from claimkit.drift.watch import CubeUpkeep, Keeping
from claimkit.errors import UnknownName
from claimkit.tenants import use_tenant
from claimkit_django.conf import config
from claimkit_django.drift import models
from claimkit_django.drift.store import OrmCubeStore
from claimkit_django.runtime import plugins
from claimkit_django.tenants.turns import having_turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from claimkit.config import DriftConfig
    from claimkit.types import TenantKey

__all__ = [
    "choose",
    "chosen",
    "drift_config",
    "import_contracts",
    "keeping",
    "make_upkeep",
    "rates_of",
]


def drift_config(tenant: TenantKey, *, using: str = DEFAULT_DB_ALIAS) -> DriftConfig:
    """Return the settings of the room for a tenant: the site's, with the tenant's choices."""
    return _config_of(_row(tenant, using))


def make_upkeep(using: str) -> CubeUpkeep:
    """Return the listener that keeps the cube, each tenant's as the tenant chose."""
    rates: dict[TenantKey, tuple[int, ContractMeasure]] = {}

    def kept(tenant: TenantKey) -> Keeping:
        # Asked in the transaction that stores the claims, so what was chosen meanwhile is seen.
        row = _row(tenant, using)
        version = 0 if row is None else row.contracts
        if tenant not in rates or rates[tenant][0] != version:
            rates[tenant] = version, _contract(tenant, using, version)
        return _keeping(row, rates[tenant][1])

    return CubeUpkeep(OrmCubeStore(using), keeping=kept)


def keeping(tenant: TenantKey, *, using: str = DEFAULT_DB_ALIAS) -> Keeping:
    """Return what the tenant's cube keeps; two queries."""
    row = _row(tenant, using)
    return _keeping(row, _contract(tenant, using, 0 if row is None else row.contracts))


def _keeping(row: models.DriftChoice | None, contract: ContractMeasure) -> Keeping:
    return Keeping(
        dimensions=check_dimensions(_config_of(row).dimensions),
        measures=(*plugins().measures.values(), contract),
    )


def _contract(tenant: TenantKey, using: str, version: int) -> ContractMeasure:
    return ContractMeasure(FeeSchedule(rates_of(tenant, using=using) if version else ()))


def _config_of(row: models.DriftChoice | None) -> DriftConfig:
    site = config().drift
    if row is None:
        return site
    return replace(
        site,
        detectors=site.detectors if row.detectors is None else tuple(row.detectors),
        dimensions=site.dimensions if row.dimensions is None else tuple(row.dimensions),
    )


def rates_of(tenant: TenantKey, *, using: str = DEFAULT_DB_ALIAS) -> list[ContractRate]:
    """Return the rates of a tenant's contracts by payer, procedure and day."""
    with use_tenant(tenant):
        rows = models.ContractRate.objects.using(using).order_by(
            "payer", "procedure_code", "effective_from"
        )
        return [
            ContractRate(
                payer=row.payer,
                procedure_code=row.procedure_code,
                allowed=row.allowed,
                percent_of_charge=row.percent_of_charge,
                effective_from=row.effective_from,
                effective_until=row.effective_until,
            )
            for row in rows
        ]


def chosen(tenant: TenantKey, *, using: str = DEFAULT_DB_ALIAS) -> dict[str, list[str] | None]:
    """Return a tenant's choice of detectors and dimensions; None is the site's."""
    row = _row(tenant, using)
    return {
        "detectors": None if row is None else row.detectors,
        "dimensions": None if row is None else row.dimensions,
    }


def choose(
    tenant: TenantKey,
    *,
    detectors: Sequence[str] | None,
    dimensions: Sequence[str] | None,
    actor: str = "",
    using: str = DEFAULT_DB_ALIAS,
) -> bool:
    """Keep a tenant's choice, None for the site's; return whether the cube has to be rebuilt.

    Raises:
        UnknownName: no such detector or dimension.
    """
    for name in detectors or ():
        if name not in plugins().detectors:
            raise UnknownName.of("detector", name, plugins().detectors)
    kept = None if dimensions is None else list(check_dimensions(dimensions))
    with transaction.atomic(using=using), having_turn(tenant, using), use_tenant(tenant):
        before = drift_config(tenant, using=using).dimensions
        row = _row(tenant, using) or models.DriftChoice()
        row.detectors = None if detectors is None else list(dict.fromkeys(detectors))
        row.dimensions = kept
        row.actor = actor
        row.save(using=using)
        return drift_config(tenant, using=using).dimensions != before


def import_contracts(tenant: TenantKey, text: str, *, using: str = DEFAULT_DB_ALIAS) -> Contracts:
    """Put the rates of a CSV file in the place of those that its payers had; return what was read.

    Payers that the file does not name keep their rates. Rebuild the cube afterwards.

    Raises:
        FileRefused: the file is no list of rates.
    """
    with transaction.atomic(using=using), having_turn(tenant, using), use_tenant(tenant):
        names = models.DriftDimension.objects.using(using).filter(axis="payer")
        known = {name.casefold(): name for name in names.values_list("name", flat=True)}
        found = read_contracts(
            text, payer_of=lambda name: known.get(name.casefold()) or payer_of(name)
        )
        payers = {one.payer for one in found.rates}
        rows = models.ContractRate.objects.using(using)
        rows.filter(payer__in=payers).delete()
        rows.bulk_create(
            [
                models.ContractRate(
                    payer=one.payer,
                    procedure_code=one.procedure_code,
                    allowed=one.allowed,
                    percent_of_charge=one.percent_of_charge,
                    effective_from=one.effective_from,
                    effective_until=one.effective_until,
                )
                for one in found.rates
            ],
            batch_size=1_000,
        )
        row = _row(tenant, using) or models.DriftChoice()
        row.contracts += 1
        row.save(using=using)
    return found


def _row(tenant: TenantKey, using: str) -> models.DriftChoice | None:
    with use_tenant(tenant):
        row: models.DriftChoice | None = models.DriftChoice.objects.using(using).first()
        return row
