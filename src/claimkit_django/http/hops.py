"""Requests that come back: who a site is to others, and whether it sent a request itself.

Each webhook carries the site's id in ``webhook-hop``. Whoever passes it on with its headers can
lead it back here, where acting on it would send the next one, for ever. The id is derived from
``SECRET_KEY`` and tells nothing; the header is not signed, so it guards against loops and not
against people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.utils.crypto import salted_hmac

from claimkit.webhooks.signing import HOP

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["has_come_back", "site_id"]

#: What passes a request on may add its own id; nothing sensible passes more.
_MOST: Final = 32


def site_id() -> str:
    """Return who this site is to those it sends to: 32 hexadecimal digits."""
    return _id_of(settings.SECRET_KEY)


def has_come_back(headers: Mapping[str, str]) -> bool:
    """Whether this site sent the request with these headers, also under a former ``SECRET_KEY``.

    Args:
        headers: ``request.headers``; names are looked up in any case.
    """
    header = headers.get(HOP)
    if not header:
        return False
    passed = {one.strip() for one in header.split(",", _MOST)[:_MOST]}
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return any(_id_of(one) in passed for one in secrets)


def _id_of(secret: str | bytes) -> str:
    return salted_hmac("claimkit.webhook-hop", "site", secret, algorithm="sha256").hexdigest()[:32]
