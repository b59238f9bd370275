"""How often somebody may try to sign in, or ask for a new password.

Counted by the name that was typed, whether there is such an account or not, and by the network. An
attempt takes from every quota before anything is looked up, so that attempts at the same time do
not pass together, and one that succeeds is given back.

Whoever tries the passwords of another person cannot lock that person out: networks from which the
person signed in lately are not counted among those of the account.
"""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.core.cache import caches

from claimkit_django.conf import config
from claimkit_django.http.networks import client_network
from claimkit_django.http.quotas import Quota, Rate, Verdict

if TYPE_CHECKING:
    from django.http import HttpRequest

__all__ = ["Attempt", "network_of"]

#: How long a network from which a person signed in is theirs.
_KNOWN_SECONDS = 30 * 86_400


def network_of(request: HttpRequest) -> str:
    """Return what requests are told apart by, behind the proxies that the site trusts."""
    rest = config().rest
    return client_network(
        request, trusted_proxies=rest.trusted_proxies, header=rest.forwarded_header
    )


@dataclass(frozen=True, slots=True)
class _Taken:
    quota: Quota
    who: str
    verdict: Verdict


class Attempt:
    """One attempt: whether it may be made, and what to tell of that."""

    def __init__(self, taken: list[_Taken], account: str, network: str) -> None:
        self._taken = taken
        self._account, self._network = account, network

    @classmethod
    def sign_in(cls, request: HttpRequest, name: str) -> Attempt:
        """Take one attempt to sign in as ``name``."""
        room = config().accounts
        account, network = _folded(name), network_of(request)
        asked = [("login", room.login_rate, f"{account}\n{network}")]
        if not _is_known(account, network):
            asked.append(("login-account", room.login_account_rate, account))
        asked.append(("login-network", room.login_network_rate, network))
        return cls(_take(asked), account, network)

    @classmethod
    def reset(cls, request: HttpRequest, name: str) -> Attempt:
        """Take one request for a new password of the account ``name``."""
        room = config().accounts
        account, network = _folded(name), network_of(request)
        asked = [("reset", room.reset_rate, account)]
        asked.append(("reset-network", room.reset_network_rate, network))
        return cls(_take(asked), account, network)

    @property
    def allowed(self) -> bool:
        """Whether it may be made."""
        return all(one.verdict.allowed for one in self._taken)

    @property
    def verdict(self) -> Verdict | None:
        """What the client is told: the quota that makes it wait longest, or that has least left."""
        if not self._taken:
            return None
        verdicts = [one.verdict for one in self._taken]
        return min(verdicts, key=lambda one: (-one.wait_seconds, one.remaining))

    def succeed(self) -> None:
        """Give the attempt back, and know the network from now on."""
        for one in self._taken:
            if one.quota.name == "login":
                one.quota.forget(one.who)
            else:
                one.quota.give_back(one.who)
        key = _known_key(self._account, self._network)
        caches[config().rest.rate_cache].set(key, 1, timeout=_KNOWN_SECONDS)


def _take(asked: list[tuple[str, str, str]]) -> list[_Taken]:
    """Take from each quota until one refuses: what is refused anyway uses up nothing more."""
    taken: list[_Taken] = []
    for name, text, who in asked:
        rate = Rate.parse(text)
        if rate is None:
            continue
        quota = Quota(name=name, rate=rate, cache=config().rest.rate_cache)
        taken.append(_Taken(quota, who, quota.take(who)))
        if not taken[-1].verdict.allowed:
            break
    return taken


def _folded(name: str) -> str:
    """Return a name as accounts are told apart by: other spellings of it are not other accounts."""
    return unicodedata.normalize("NFKC", name).strip().casefold()[:254]


def _is_known(account: str, network: str) -> bool:
    return caches[config().rest.rate_cache].get(_known_key(account, network)) is not None


def _known_key(account: str, network: str) -> str:
    digest = hashlib.blake2b(f"{account}\n{network}".encode(), digest_size=16).hexdigest()
    return f"claimkit.accounts.known.{digest}"
