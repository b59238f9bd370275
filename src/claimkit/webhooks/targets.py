"""Where webhooks may go: strict addresses of the web, and public addresses of the network.

Hides the defense against server-side request forgery. A URL is taken apart by one strict grammar,
so that no two parsers disagree about its host. A name is looked up once, *every* answer must be a
public unicast address, and the caller connects to the very address that was checked.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from claimkit.errors import ConfigError, InvalidTarget

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from claimkit.config import WebhooksConfig

__all__ = [
    "Resolver",
    "SystemResolver",
    "Target",
    "TargetPolicy",
    "check_address",
    "check_headers",
    "parse_target",
    "resolve",
]

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Not public unicast: the special-purpose registries of IANA, and what clouds keep for themselves.
#: An explicit table, because ``is_global`` says yes to multicast, NAT64 and 6to4.
_DENIED_V4: Final = tuple(
    ipaddress.IPv4Network(one)
    for one in (
        # 10/8, for private use.
        (10 << 24, 8),
        *("0.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",
    )
)
_DENIED_V6: Final = tuple(
    ipaddress.IPv6Network(one)
    for one in (
        # All but global unicast (2000::/3): loopback, embedded IPv4, NAT64, local, multicast.
        *("::/3", "4000::/2", "8000::/1"),
        # Of global unicast: IETF protocols and Teredo, documentation, 6to4.
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<path>/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(?P<query>\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?",
    re.ASCII,
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}", re.ASCII)
_FIELD_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,1022}[\x21-\x7e])?", re.ASCII)
_MAX_URL = 2_000
#: Headers that are ours, or that say how the connection works.
_RESERVED = frozenset(
    {
        *("accept-encoding", "connection", "content-encoding", "content-length", "content-type"),
        *("cookie", "expect", "forwarded", "host", "keep-alive", "te", "trailer"),
        *("transfer-encoding", "upgrade", "user-agent", "via", "x-signature"),
    }
)
_RESERVED_PREFIXES = ("proxy-", "sec-", "webhook-", "x-forwarded-")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPolicy:
    """What is allowed beside the strict default."""

    ports: frozenset[int] = frozenset({443, 8443})
    #: For development only.
    allow_http: bool = False
    #: Networks that may be reached although they are not public.
    allowed_networks: tuple[Network, ...] = ()
    #: Our own names: a webhook to ourselves would come back for ever.
    refused_hosts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, config: WebhooksConfig, *, refused_hosts: Iterable[str] = ()) -> TargetPolicy:
        """Build the policy that the settings describe.

        Raises:
            ConfigError: a port or a network that is none.
        """
        try:
            ports = frozenset(int(one) for one in config.ports)
            networks = tuple(ipaddress.ip_network(one) for one in config.allowed_networks)
        except ValueError as error:
            raise ConfigError(
                f"a port or network of the webhooks settings is none: {error}"
            ) from None
        return cls(
            ports=ports,
            allow_http=config.allow_http,
            allowed_networks=networks,
            refused_hosts=frozenset(one.lower() for one in refused_hosts),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A URL that was taken apart and found well-formed."""

    scheme: str
    #: In lower case; an IPv6 address without brackets.
    host: str
    port: int
    #: Path and query, as they travel.
    path: str

    @property
    def authority(self) -> str:
        """What the ``Host`` header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"https": 443, "http": 80}[self.scheme]
        return host if self.port == usual else f"{host}:{self.port}"


class Resolver(Protocol):
    """Looks names up."""

    def __call__(self, host: str, port: int, *, timeout_seconds: float) -> Sequence[str]:
        """Return all addresses of ``host``.

        Raises:
            OSError: there are none, or it took too long.
        """
        ...


class SystemResolver:
    """The resolver of the operating system, given up after a while."""

    def __call__(self, host: str, port: int, *, timeout_seconds: float) -> Sequence[str]:
        """Return all addresses of ``host``.

        Raises:
            OSError: there are none, or it took too long.
        """
        answers: list[str] = []
        problems: list[OSError] = []

        def ask() -> None:
            try:
                found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                answers.extend(str(one[4][0]) for one in found)
            except (OSError, UnicodeError) as error:
                problems.append(OSError(str(error)))

        # getaddrinfo() knows no time limit; a thread that hangs is left behind.
        thread = threading.Thread(target=ask, daemon=True, name="claimkit-resolve")
        thread.start()
        thread.join(timeout_seconds)
        if thread.is_alive():
            raise TimeoutError("the name could not be looked up in time")
        if problems:
            raise problems[0]
        return answers


def parse_target(url: str, policy: TargetPolicy) -> Target:
    """Return the parts of an address that webhooks may be sent to; looks nothing up.

    Raises:
        InvalidTarget: ``code`` says why: ``target_invalid``, ``target_scheme``, ``target_port``
            or ``blocked_address``.

    >>> parse_target("https://hooks.example.org/claims?v=1", TargetPolicy()).path
    '/claims?v=1'
    """
    match = _URL.fullmatch(url) if len(url) <= _MAX_URL else None
    if match is None:
        raise InvalidTarget(
            "the address is not a plain https URL",
            remedy="Write https://host/path in ASCII, without user, password or fragment",
        )
    scheme, host = match["scheme"], match["host"].lower()
    if scheme != "https" and not policy.allow_http:
        raise InvalidTarget("the address must begin with https://", code="target_scheme")
    port = int(match["port"] or {"https": 443, "http": 80}[scheme])
    # A development server listens wherever it likes, but only where http is allowed at all.
    if port > 65_535 or (port not in policy.ports and not policy.allow_http):
        raise InvalidTarget("this port is not allowed", code="target_port")
    return Target(
        scheme=scheme,
        host=_checked_host(host, policy),
        port=port,
        path=(match["path"] or "/") + (match["query"] or ""),
    )


def resolve(
    target: Target, policy: TargetPolicy, resolver: Resolver, *, timeout_seconds: float
) -> str:
    """Return the address to connect to; every answer for the name was checked.

    Raises:
        InvalidTarget: an answer is not public (code ``blocked_address``).
        OSError: the name has no address, or the resolver took too long.
    """
    answers = resolver(target.host, target.port, timeout_seconds=timeout_seconds)
    if not answers:
        raise OSError("the name has no address")
    for one in answers:
        check_address(one, policy)
    return answers[0]


def check_address(text: str, policy: TargetPolicy) -> None:
    """Check that an address is public unicast, or explicitly allowed.

    Raises:
        InvalidTarget: it is neither (code ``blocked_address``); the message never repeats it.
    """
    try:
        address: Address = ipaddress.ip_address(text)
    except ValueError:
        raise _blocked() from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise _blocked()
        address = address.ipv4_mapped or address
    if any(address in one for one in policy.allowed_networks):
        return
    denied: tuple[Network, ...] = _DENIED_V4 if address.version == 4 else _DENIED_V6
    if any(address in one for one in denied):
        raise _blocked()


def check_headers(headers: Mapping[str, str]) -> None:
    """Check headers that an endpoint adds to each request, such as ``Authorization``.

    Raises:
        InvalidTarget: one is malformed, or is not theirs to set (code ``header_refused``).
    """
    if len(headers) > 20:
        raise InvalidTarget("an endpoint may add at most 20 headers", code="header_refused")
    for name, value in headers.items():
        lower = name.lower()
        if not _TOKEN.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
            raise InvalidTarget("a header is malformed", code="header_refused")
        if lower in _RESERVED or lower.startswith(_RESERVED_PREFIXES):
            raise InvalidTarget(f"the header {name} cannot be set", code="header_refused")
    if len({name.lower() for name in headers}) < len(headers):
        raise InvalidTarget("a header is there twice", code="header_refused")


def _checked_host(host: str, policy: TargetPolicy) -> str:
    if host.startswith("["):
        try:
            literal = str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            raise InvalidTarget("the host is not an IPv6 address") from None
        check_address(literal, policy)
        return literal
    if host in policy.refused_hosts:
        raise InvalidTarget("the address is our own", code="blocked_address")
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(one) for one in labels):
        raise InvalidTarget("the host is not a name of the DNS")
    # Resolvers read 0177.0.0.1, 0x7f.1, 127.1 and 2130706433 as addresses; names do not end so.
    if labels[-1].isdigit() or labels[-1].startswith("0x"):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise InvalidTarget("the host is not an IPv4 address", code="blocked_address") from None
        check_address(host, policy)
    return host


def _blocked() -> InvalidTarget:
    return InvalidTarget("the address is not a public one", code="blocked_address")
