"""Issues, recognizes and revokes API tokens."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from claimkit_django.accounts.models import ApiToken
from claimkit_django.accounts.secrets import digest_of, is_token, new_token, shown

if TYPE_CHECKING:
    from claimkit_django.tenants.models import Tenant

__all__ = ["find_token", "issue_token", "revoke_tokens"]

#: A use is noted once in this time.
_NOTED_EVERY = dt.timedelta(minutes=1)


def issue_token(
    *,
    user: Any,
    tenant: Tenant,
    name: str,
    scope: str,
    expires_at: dt.datetime,
    personal: bool = False,
) -> tuple[ApiToken, str]:
    """Make a token; the text is returned this once and kept nowhere."""
    text = new_token()
    row = ApiToken.objects.create(
        user=user,
        tenant=tenant,
        name=name,
        scope=scope,
        personal=personal,
        expires_at=expires_at,
        prefix=shown(text),
        digest=digest_of(text),
    )
    return row, text


def find_token(text: str, *, now: dt.datetime) -> ApiToken | None:
    """Return the live token that ``text`` is, with its person and tenant; one query, seldom two.

    None for a revoked or expired one, for one of an inactive person or tenant, and for any other
    text.
    """
    if not is_token(text):
        return None
    rows = ApiToken.objects.select_related("user", "tenant")
    row = rows.filter(digest=digest_of(text)).first()
    if row is None or not (row.is_live(now) and row.user.is_active and row.tenant.active):
        return None
    if row.last_used_at is None or now - row.last_used_at >= _NOTED_EVERY:
        ApiToken.objects.filter(pk=row.pk).update(last_used_at=now)
    return row


def revoke_tokens(user: Any, *, now: dt.datetime) -> int:
    """Revoke all of a person's tokens, as after a change of password; return how many."""
    return ApiToken.objects.filter(user_id=user.pk, revoked_at__isnull=True).update(revoked_at=now)
