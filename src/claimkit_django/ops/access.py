"""Who may see how the site fares: bearers of a token, chosen networks, staff."""

from __future__ import annotations

import hmac
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse

from claimkit_django.conf import config
from claimkit_django.http.networks import client_address

if TYPE_CHECKING:
    from django.http import HttpRequest

__all__ = ["may_look", "refuse"]

_SCHEME = "bearer "


def may_look(request: HttpRequest) -> bool:
    """Whether the caller may see details and metrics."""
    return _has_token(request) or _is_near(request) or _is_staff(request)


def refuse() -> HttpResponse:
    """Return the answer to others: 401, which says how to ask."""
    return HttpResponse(
        "401: a token of OPS.TOKENS is needed\n",
        status=401,
        content_type="text/plain; charset=utf-8",
        headers={"WWW-Authenticate": 'Bearer realm="claimkit ops"', "Cache-Control": "no-store"},
    )


def _has_token(request: HttpRequest) -> bool:
    told = request.headers.get("Authorization", "")
    if not told.lower().startswith(_SCHEME):
        return False
    token = told[len(_SCHEME) :].strip().encode()
    # All are compared, so that the time does not tell which one is near.
    matches = [hmac.compare_digest(token, one.encode()) for one in config().ops.tokens if one]
    return any(matches)


def _is_near(request: HttpRequest) -> bool:
    networks = config().ops.allowed_networks
    if not networks:
        return False
    rest = config().rest
    text = client_address(
        request, trusted_proxies=rest.trusted_proxies, header=rest.forwarded_header
    )
    try:
        address: Any = ip_address(text)
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in ip_network(one) for one in networks)


def _is_staff(request: HttpRequest) -> bool:
    user: Any = getattr(request, "user", None)
    return bool(user is not None and user.is_active and user.is_staff)
