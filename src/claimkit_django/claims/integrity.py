"""Whether the rows of claims still belong together: what foreign keys would say, asked all at once.

Statements, lines and adjustments have no foreign keys, see :mod:`claimkit_django.claims.models`.
They are written claim and all in one transaction, so that a row without the one it belongs to was
made by other hands, or by a restore that lost a table. ``claimkit_doctor --rows`` looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import connections, transaction

from claimkit.ops.health import Status, Vital
from claimkit.types import TenantKey
from claimkit_django.claims.models import Adjustment, Claim, ClaimEvent, ServiceLine
from claimkit_django.tenants.models import Tenant
from claimkit_django.tenants.turns import reading

if TYPE_CHECKING:
    from claimkit.ops.health import Check
    from claimkit_django.tenants.models import TenantModel

__all__ = ["ClaimRowsCheck", "row_checks"]

#: More are not counted: it is wrong enough.
_MOST: Final = 1_000
#: What is found → rows, the rows they belong to, and the columns by which.
_BELONGING: Final[tuple[tuple[str, type[TenantModel], type[TenantModel], dict[str, str]], ...]] = (
    ("statements_without_claim", ClaimEvent, Claim, {"claim_key": "claim_key"}),
    (
        "lines_without_statement",
        ServiceLine,
        ClaimEvent,
        {"claim_key": "claim_key", "event_key": "event_key"},
    ),
    (
        "adjustments_without_line",
        Adjustment,
        ServiceLine,
        {"claim_key": "claim_key", "event_key": "event_key", "line": "ordinal"},
    ),
)
_ORPHANS: Final = """
SELECT count(*) FROM (
    SELECT 1 FROM {child} c WHERE c.tenant_id = %s AND NOT EXISTS (
        SELECT 1 FROM {parent} p WHERE p.tenant_id = c.tenant_id AND {same}) LIMIT {most}
) found
"""
#: A claim that no statement tells, and a line that is written although its statement stands for it.
_UNTOLD: Final = """
SELECT count(*) FROM (
    SELECT 1 FROM {claim} c WHERE c.tenant_id = %s AND NOT EXISTS (
        SELECT 1 FROM {event} e WHERE e.tenant_id = c.tenant_id AND e.claim_key = c.claim_key)
    LIMIT {most}
) found
"""
_TWICE: Final = """
SELECT count(*) FROM (
    SELECT 1 FROM {event} e JOIN {line} l ON l.tenant_id = e.tenant_id
        AND l.claim_key = e.claim_key AND l.event_key = e.event_key
    WHERE e.tenant_id = %s AND e.stands_for_line LIMIT {most}
) found
"""


class ClaimRowsCheck:
    """Looks for rows that have lost the one they belong to, tenant by tenant; reads all of them.

    Args:
        using: Alias of the database.
    """

    name = "claim_rows"

    def __init__(self, using: str) -> None:
        self._using = using

    def look(self) -> Vital:
        """Count what does not belong together, up to 1,000 of a kind and tenant."""
        found: dict[str, int] = {}
        tenants = Tenant.objects.using(self._using).order_by("key").values_list("key", flat=True)
        for key in list(tenants):
            for name, count in self._of_tenant(TenantKey(key)).items():
                found[name] = found.get(name, 0) + count
        wrong = {name: count for name, count in found.items() if count}
        if not wrong:
            return Vital()
        return Vital(
            status=Status.FAILING,
            note="rows of claims do not belong together: something else than claimkit wrote or "
            "removed some. Import the files of these claims again, or restore a backup",
            figures=wrong,
        )

    def _of_tenant(self, key: TenantKey) -> dict[str, int]:
        connection = connections[self._using]
        with (
            transaction.atomic(using=self._using),
            reading(key, self._using) as tenant_id,
            connection.cursor() as cursor,
        ):
            counts = {}
            for name, statement in self._statements().items():
                cursor.execute(statement, [tenant_id])
                counts[name] = int(cursor.fetchone()[0])
        return counts

    def _statements(self) -> dict[str, str]:
        quote = connections[self._using].ops.quote_name
        asked = {
            name: _ORPHANS.format(
                child=quote(child._meta.db_table),
                parent=quote(parent._meta.db_table),
                same=" AND ".join(
                    f"p.{quote(theirs)} = c.{quote(own)}" for own, theirs in columns.items()
                ),
                most=_MOST,
            )
            for name, child, parent, columns in _BELONGING
        }
        claim, event, line = (quote(one._meta.db_table) for one in (Claim, ClaimEvent, ServiceLine))
        return {
            **asked,
            "claims_without_statement": _UNTOLD.format(claim=claim, event=event, most=_MOST),
            "lines_told_twice": _TWICE.format(event=event, line=line, most=_MOST),
        }


def row_checks(using: str) -> list[Check]:
    """Return what ``claimkit_doctor --rows`` asks of this room."""
    return [ClaimRowsCheck(using)]
