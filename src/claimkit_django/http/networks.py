"""Where a request comes from, behind proxies that the site trusts and no others.

A client can write any ``X-Forwarded-For``; only what the site's own proxies appended counts. Each
appends the address that called it, so with ``n`` of them the client is the n-th from the right.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.http import HttpRequest

__all__ = ["client_address", "client_network"]

#: ``for=`` of RFC 7239, quoted where it has a port or is IPv6.
_FORWARDED_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*("(?:[^"\\]|\\.)*"|[^;,\s]+)', re.IGNORECASE)
#: An address with a port, or an IPv6 address in brackets.
_WITH_PORT = re.compile(r"\[(?P<v6>[0-9A-Fa-f:.]+)\](?::\d+)?|(?P<v4>\d+(?:\.\d+){3}):\d+")
#: One site or household has at least this much of IPv6; its single addresses are free to change.
_IPV6_PREFIX = 64


def client_address(request: HttpRequest, *, trusted_proxies: int, header: str) -> str:
    """Return the address of the client; that of the connection where no proxy is trusted.

    Args:
        request: The request.
        trusted_proxies: How many proxies of the site it passed.
        header: ``X-Forwarded-For`` or ``Forwarded`` (RFC 7239), whichever they write.
    """
    connected: str = request.META.get("REMOTE_ADDR", "")
    if trusted_proxies < 1:
        return connected
    told = request.headers.get(header, "")
    if header.lower() == "forwarded":
        hops = [_forwarded_for(hop) for hop in told.split(",")] if told else []
    else:
        hops = [hop.strip() for hop in told.split(",")] if told else []
    if len(hops) < trusted_proxies:
        # It did not pass all of them, so none of what it says was written by one.
        return connected
    found = _bare(hops[-trusted_proxies])
    return found or connected


def client_network(request: HttpRequest, *, trusted_proxies: int, header: str) -> str:
    """Return what to limit by: the IPv4 address, or the /64 of an IPv6 address."""
    text = client_address(request, trusted_proxies=trusted_proxies, header=header)
    try:
        address = ip_address(text)
    except ValueError:
        return text
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((address.packed, _IPV6_PREFIX), strict=False))


def _forwarded_for(hop: str) -> str:
    found = _FORWARDED_FOR.search(hop)
    return found.group(1).strip('"') if found else ""


def _bare(text: str) -> str:
    """Return the address without brackets and port; empty for anything else."""
    match = _WITH_PORT.fullmatch(text)
    bare = (match.group("v6") or match.group("v4")) if match else text
    try:
        ip_address(bare)
    except ValueError:
        return ""
    return bare
