"""Limits of the API: per person and tenant for callers who signed in, per network for others.

Counting, and what is told about it, is :mod:`claimkit_django.http.quotas`; here is who is counted
as whom. Nothing in DRF's own throttles is atomic, knows a period such as 15 minutes, or tells the
client what is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rest_framework.throttling import BaseThrottle

from claimkit.tenants import current_tenant, in_tenant
from claimkit_django.conf import config
from claimkit_django.http.networks import client_network
from claimkit_django.http.quotas import Quota, Rate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rest_framework.request import Request
    from rest_framework.views import APIView

    from claimkit_django.http.quotas import Verdict

__all__ = ["QuotaThrottle", "network_of", "quota", "refused_credentials", "verdict_of"]

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: Where the throttle leaves its verdict for the response's headers.
_VERDICT = "claimkit_quota"


class QuotaThrottle(BaseThrottle):
    """Counts each request against the rate that the settings or the view name for it.

    A view may limit a method further: ``rates = {"POST": "5/15m"}``.
    """

    _wait: int = 0

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Take one from the caller's quota; whether there was one."""
        limit = _limit(request, view)
        if limit is None:
            return True
        verdict = limit.take(_who(request))
        setattr(request._request, _VERDICT, verdict)
        self._wait = verdict.wait_seconds
        return verdict.allowed

    def wait(self) -> float:
        """Return seconds until it is worth trying again."""
        return float(self._wait)


def verdict_of(request: Request) -> Verdict | None:
    """Return what the quota said about the request; None where nothing was counted."""
    return cast("Verdict | None", getattr(request._request, _VERDICT, None))


def network_of(request: Request) -> str:
    """Return the network of the client, behind the proxies that the settings trust."""
    rest = config().rest
    return client_network(
        request._request, trusted_proxies=rest.trusted_proxies, header=rest.forwarded_header
    )


def refused_credentials() -> Quota | None:
    """Return the quota of refused credentials per network; None where there is no limit."""
    return quota("credentials", config().rest.refused_rate)


def quota(name: str, rate: str) -> Quota | None:
    """Return the quota called ``name`` in the cache of the settings; None for no limit."""
    parsed = Rate.parse(rate)
    return Quota(name=name, rate=parsed, cache=config().rest.rate_cache) if parsed else None


def _limit(request: Request, view: APIView) -> Quota | None:
    rest = config().rest
    own: Mapping[str, str] = getattr(view, "rates", {})
    method = request.method or ""
    if method in own:
        return quota(f"{type(view).__name__}.{method}".lower(), own[method])
    if not request.user.is_authenticated:
        return quota("anonymous", rest.anonymous_rate)
    if method in _SAFE:
        return quota("read", rest.read_rate)
    return quota("write", rest.write_rate)


def _who(request: Request) -> str:
    """Tell callers apart: one tenant must not use up another one's share of the same person."""
    if not request.user.is_authenticated:
        return f"network:{network_of(request)}"
    tenant = current_tenant() if in_tenant() else ""
    return f"person:{request.user.pk}:{tenant}"
