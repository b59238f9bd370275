"""Which claims were made under which authorization: one statement for all of a tenant.

A claim belongs to an authorization of the same patient, payer and procedure whose period holds its
service. Where several do, the one whose number the claim states wins, then the one that ends first.
"""

from __future__ import annotations

from django.db import connections

from claimkit_django.authorizations.models import Authorization, AuthorizationClaim
from claimkit_django.runtime import open_store

__all__ = ["link_claims"]

# SQLite, which has no statistics, must find authorizations by patient: it knows the partial index by the words
# of its condition only, and would rather go through all that end later if it saw how.
_LINK = """
INSERT INTO {link} (tenant_id, authorization_id, claim_key, service_on, units)
SELECT tenant_id, authorization_id, claim_key, service_on, units
FROM (
    SELECT a.tenant_id, a.id AS authorization_id, v.claim_key, v.service_on, v.units,
        ROW_NUMBER() OVER (
            PARTITION BY v.claim_key, a.procedure
            ORDER BY CASE WHEN v.authorization_number = a.number THEN 0 ELSE 1 END,
                a.valid_until, a.id) AS place
    FROM ({visits}) v
    JOIN {authorization} a ON a.tenant_id = v.tenant_id AND a.patient_token = v.patient_token
        AND NOT (a.patient_token = '')
        AND v.payer IN (a.payer, a.payer_folded) AND a.procedure = v.procedure
        AND v.service_on >= a.valid_from AND NOT (v.service_on > a.valid_until)
    WHERE v.units >= 0
) ranked
WHERE place = 1
"""
_COUNT = """
UPDATE {authorization} SET units_linked = COALESCE((
    SELECT SUM(k.units) FROM {link} k
    WHERE k.tenant_id = {authorization}.tenant_id AND k.authorization_id = {authorization}.id), 0)
WHERE tenant_id = %s
"""


def link_claims(tenant_id: int, *, using: str) -> None:
    """Link the claims of the tenant in scope anew, and count their units; three statements.

    The caller holds the tenant's turn. Without the claims room nothing is linked.
    """
    store = open_store(using)
    if not store.has("visits"):
        return
    AuthorizationClaim.objects.using(using).all().delete()
    quote = connections[using].ops.quote_name
    names = {
        "authorization": quote(Authorization._meta.db_table),
        "link": quote(AuthorizationClaim._meta.db_table),
    }
    ours = f"SELECT patient_token FROM {names['authorization']}"
    patients = f"{ours} WHERE tenant_id = {int(tenant_id)} AND NOT (patient_token = '')"
    with connections[using].cursor() as cursor:
        visits = store.visits.sql(patients=patients)
        cursor.execute(_LINK.format(**names, visits=visits), [tenant_id])
        cursor.execute(_COUNT.format(**names), [tenant_id])
