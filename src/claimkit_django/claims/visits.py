"""What was done for whom, for rooms that count services: SQL, so that nobody loops over claims."""

from __future__ import annotations

from django.db import connections

from claimkit.claims.model import Outcome
from claimkit_django.claims.codes import OUTCOMES
from claimkit_django.claims.models import Claim, ClaimEvent, Dimension, ServiceLine

__all__ = ["Visits"]

#: What the payer does not count.
_UNUSED = (Outcome.DENIED, Outcome.REVERSED)

# A claim states its lines again and again: those of the latest statement that has any count. One
# that stands for its line (claimkit_django.claims.lines) names the procedure itself.
_SQL = """
SELECT c.tenant_id, c.claim_key, c.patient_token, p.name AS payer, c.authorization_number,
    COALESCE(NULLIF(l.procedure_code, ''), b.name, d.name) AS procedure,
    c.service_from AS service_on,
    CASE WHEN c.outcome IN ({unused}) THEN 0 ELSE COALESCE(SUM(l.units), 1) END AS units
FROM {claim} c
JOIN {name} p ON p.tenant_id = c.tenant_id AND p.code = c.payer
LEFT JOIN {name} d ON d.tenant_id = c.tenant_id AND d.code = c.procedure_code
LEFT JOIN {event} s ON s.tenant_id = c.tenant_id AND s.claim_key = c.claim_key
    AND s.event_key = (
        SELECT e.event_key FROM {event} e
        WHERE e.tenant_id = c.tenant_id AND e.claim_key = c.claim_key
            AND (e.stands_for_line OR EXISTS (
                SELECT 1 FROM {line} x WHERE x.tenant_id = e.tenant_id
                    AND x.claim_key = e.claim_key AND x.event_key = e.event_key))
        ORDER BY e.known_on DESC, e.position DESC, e.event_key DESC LIMIT 1)
LEFT JOIN {name} b ON b.tenant_id = s.tenant_id AND b.code = s.procedure_code AND s.stands_for_line
LEFT JOIN {line} l ON l.tenant_id = s.tenant_id AND l.claim_key = s.claim_key
    AND l.event_key = s.event_key
WHERE c.tenant_id = %s AND c.service_from IS NOT NULL AND c.patient_token IN ({patients})
GROUP BY c.tenant_id, c.claim_key, c.patient_token, p.name, c.authorization_number,
    COALESCE(NULLIF(l.procedure_code, ''), b.name, d.name), c.service_from, c.outcome
"""


class Visits:
    """The part ``visits`` of the store.

    Args:
        using: Alias of the database.
    """

    def __init__(self, using: str) -> None:
        self._using = using

    def sql(self, *, patients: str) -> str:
        """Return a SELECT with one placeholder, the id of the tenant; one row per claim and procedure.

        Columns: tenant_id, claim_key, patient_token, payer, authorization_number, procedure (null
        where unknown), service_on and units: those of the lines, 1 where no line tells, 0 where the
        payer denied or reversed the claim.

        Args:
            patients: SQL of a sub-query of patient tokens, without placeholders.
        """
        quote = connections[self._using].ops.quote_name
        return _SQL.format(
            claim=quote(Claim._meta.db_table),
            event=quote(ClaimEvent._meta.db_table),
            line=quote(ServiceLine._meta.db_table),
            name=quote(Dimension._meta.db_table),
            unused=", ".join(str(OUTCOMES[one]) for one in _UNUSED),
            patients=patients,
        )
