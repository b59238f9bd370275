"""Taking authorizations in: a file of them, and the link from one to its successor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction

from claimkit.authorizations.rows import AuthorizationRow, RowTrouble, read_rows
from claimkit.claims.payers import payer_of
from claimkit.claims.privacy import patient_token
from claimkit.errors import AuthorizationInvalid
from claimkit.events import AuthorizationRenewed
from claimkit.tenants import current_tenant
from claimkit_django.authorizations.models import (
    Authorization,
    AuthorizationImport,
    ImportProblem,
)
from claimkit_django.runtime import make_bus, open_store, patient_key
from claimkit_django.tenants.changes import note_change
from claimkit_django.tenants.scope import enter
from claimkit_django.tenants.turns import take_turn

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from claimkit.types import TenantKey

__all__ = ["import_authorizations", "renew"]

_BATCH = 500
_FIELDS = ("payer", "procedure", "valid_from", "valid_until", "units_authorized", "units_stated")


def import_authorizations(
    tenant: TenantKey, content: bytes, *, name: str, actor: str, now: dt.datetime, using: str
) -> AuthorizationImport:
    """Take in a file, all rows that can be taken, and keep what is wrong with the others.

    An authorization is known by its number; one that is there takes the new values. A few
    statements for each 500 rows.

    Args:
        tenant: Whose.
        content: See :func:`claimkit.authorizations.rows.read_rows`.
        name: Of the file, for people.
        actor: Who sent it.
        now: The present.
        using: Alias of the database.

    Raises:
        FileRefused: it is empty, or does not name its columns.
        TenantUnknown: there is no such tenant, or it is not active.
    """
    read = list(read_rows(content))
    rows = [one for one in read if isinstance(one, AuthorizationRow)]
    troubles = [one for one in read if isinstance(one, RowTrouble)]
    with transaction.atomic(using=using):
        row = take_turn(tenant, using)
        with enter(row):
            done = AuthorizationImport(
                name=name[:200], actor=actor, rejected=len(troubles), imported_at=now
            )
            key = patient_key(tenant)
            for start in range(0, len(rows), _BATCH):
                _take(rows[start : start + _BATCH], key, done, using)
            done.save(using=using)
            ImportProblem.objects.using(using).bulk_create(
                [
                    ImportProblem(
                        of_import=done,
                        line=one.line,
                        code=one.code,
                        field_name=one.field_name,
                        message=one.message[:200],
                        remedy=one.remedy[:200],
                    )
                    for one in troubles
                ],
                batch_size=_BATCH,
            )
            note_change([row.pk], Authorization.shown_in, using)
    return done


def _take(
    rows: Sequence[AuthorizationRow], key: bytes, done: AuthorizationImport, using: str
) -> None:
    stored = Authorization.objects.using(using)
    known = {
        one.number: one
        for one in stored.filter(number__in=[row.authorization.number for row in rows])
    }
    new, changed = [], []
    for row in rows:
        values = _values(row, key)
        there = known.get(row.authorization.number)
        if there is None:
            new.append(Authorization(number=row.authorization.number, **values))
        elif any(getattr(there, name) != value for name, value in values.items()):
            for name, value in values.items():
                setattr(there, name, value)
            changed.append(there)
    stored.bulk_create(new)
    if changed:
        stored.bulk_update(changed, [*_FIELDS, "payer_folded", "patient_token"])
    done.new += len(new)
    done.changed += len(changed)
    done.same += len(rows) - len(new) - len(changed)


def _values(row: AuthorizationRow, key: bytes) -> dict[str, Any]:
    given = row.authorization
    values: dict[str, Any] = {name: getattr(given, name) for name in _FIELDS[:-1]}
    values["payer_folded"] = payer_of(given.payer)
    values["units_stated"] = given.units_used
    if row.member_id:
        # A file that does not say whose it is takes away nothing that is known.
        values["patient_token"] = patient_token(row.member_id, key)
    return values


def renew(uid: str, *, by: str, now: dt.datetime, using: str) -> Authorization:
    """Say that an authorization is followed by another one, in the scope of their tenant.

    Raises:
        AuthorizationInvalid: it is renewed already, by itself, or in a circle.
        Authorization.DoesNotExist: the tenant has none of one of the names.
    """
    tenant = current_tenant()
    bus = make_bus(open_store(using))
    with bus.transaction(transaction.atomic(using=using)):
        take_turn(tenant, using)
        row: Authorization = Authorization.objects.using(using).get(uid=uid)
        successor = Authorization.objects.using(using).get(uid=by)
        if row.renewal_id is not None:
            raise AuthorizationInvalid("it is renewed already", code="renewed_already")
        # A successor that ends later can be no predecessor: so there are no circles.
        if successor.valid_until <= row.valid_until:
            raise AuthorizationInvalid(
                "a successor ends later than what it follows", code="renewal_too_early"
            )
        row.renewal = successor
        row.save(using=using, update_fields=["renewal"])
        bus.stage(
            AuthorizationRenewed(
                tenant=tenant,
                at=now,
                authorization=row.uid,
                payer=row.payer,
                procedure=row.procedure,
                renewal=successor.uid,
            )
        )
    return row
