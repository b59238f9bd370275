"""Programs that sign what they send, as Standard Webhooks ask: who they are, and with which key.

``CLAIMKIT["CLAIMS"]["SIGNED_SENDERS"]`` lists them by tenant and name. A key is derived from the site's secret, so that
none is stored; a sender whose key leaked gets the next number in the list, and the old key is worth nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils import timezone

from claimkit.errors import VerificationError
from claimkit.webhooks.signing import SecretKey, verify
from claimkit_django.conf import config
from claimkit_django.tenants.models import Tenant

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Sender", "find_sender", "is_spelled_right"]

logger = logging.getLogger(__name__)

_LONGEST = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """A program of a tenant; acts as an analyst, and in no other way."""

    tenant: str
    name: str
    #: Counts its keys.
    number: int = 1

    is_authenticated = True
    is_active = True
    is_superuser = False

    @property
    def pk(self) -> str:
        """What rows remember it by."""
        return f"{self.tenant}:{self.name}"

    @property
    def key(self) -> SecretKey:
        """The key that it shares with this site."""
        label = f"claimkit.sender:{self.tenant}:{self.name}:{self.number}"
        secret = settings.SECRET_KEY
        return SecretKey(hmac.new(secret.encode(), label.encode(), hashlib.sha256).digest())

    def has_signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether it signed this just now; why not is only logged."""
        try:
            verify(headers.items(), body, [self.key], now=timezone.now())
        except VerificationError as error:
            logger.warning(
                "signed intake refused", extra={"source": self.name, "reason": error.code}
            )
            return False
        return True


def find_sender(tenant: str, name: str) -> tuple[Sender | None, Tenant | None]:
    """Return a sender that is listed, with its tenant if that is active; one query at most."""
    for text in config().claims.signed_senders:
        one = _parse(text)
        if one is not None and (one.tenant, one.name) == (tenant, name):
            return one, Tenant.objects.filter(key=tenant, active=True).first()
    return None, None


def is_spelled_right(text: str) -> bool:
    """Whether an entry of the settings is ``tenant:sender`` or ``tenant:sender:number``."""
    return _parse(text) is not None


def _parse(text: str) -> Sender | None:
    tenant, _, rest = text.partition(":")
    name, _, number = rest.partition(":")
    if not tenant or not name or len(name) > _LONGEST or not name.replace("-", "").isalnum():
        return None
    if number and not (number.isdecimal() and 1 <= int(number) <= 9_999):
        return None
    return Sender(tenant=tenant, name=name, number=int(number or 1))
