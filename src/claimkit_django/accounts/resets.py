"""Mails that let a person choose a new password, and what a new password ends.

Looking the account up, making the link and sending the mail happens after the answer, in a thread
of its own: so the answer takes the same time whether there is such an account or not.
"""

from __future__ import annotations

import functools
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.contrib.auth.forms import PasswordResetForm
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.db import connections, transaction
from django.utils import timezone
from django.utils.http import base36_to_int

from claimkit_django.accounts.tokens import revoke_tokens
from claimkit_django.conf import config
from claimkit_django.tenants.models import Membership
from claimkit_django.trail import Deed, tell

__all__ = ["MailForm", "TokenGenerator", "end_all", "tell_tenants_of"]

logger = logging.getLogger(__name__)

#: Mails that one process sends at the same time.
_THREADS = 2


class TokenGenerator(PasswordResetTokenGenerator):
    """Django's tokens, which hold for :attr:`claimkit.config.AccountsConfig.reset_hours` at most.

    A token ends with the password or the last sign-in that it was made for, so it works once.
    """

    key_salt = "claimkit_django.accounts.resets.TokenGenerator"

    def check_token(self, user: Any, token: str | None) -> bool:
        """Whether the token is the person's, was not used and is young enough."""
        if not super().check_token(user, token):
            return False
        made = base36_to_int(str(token).partition("-")[0])
        age = self._num_seconds(self._now()) - made
        return bool(age <= config().accounts.reset_hours * 3_600)


class MailForm(PasswordResetForm):
    """Asks for an address; mails whoever has it, later."""

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Send the mail after the answer; nobody learns from it whether there was one to send."""
        _senders().submit(self._send, *args, **kwargs)

    def _send(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().save(*args, **kwargs)
        except Exception:
            # Isolation point: there is nobody left to tell.
            logger.exception("a mail for a new password was not sent")
        finally:
            connections.close_all()


@functools.cache
def _senders() -> ThreadPoolExecutor:
    """Return this process's threads; made when first asked for, waited for when it ends."""
    return ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="claimkit-mail")


def end_all(user: Any, action: str) -> None:
    """End what the old password let in, but for the sessions, which Django ends by itself.

    ``action`` is what the trail calls it: ``password.reset`` or ``password.changed``.
    """
    using = user._state.db
    with transaction.atomic(using=using):
        revoke_tokens(user, now=timezone.now())
        tell_tenants_of(user, action)


def tell_tenants_of(user: Any, action: str) -> None:
    """Tell the trail of each tenant that a person belongs to of something they did."""
    using = user._state.db
    mine = Membership.objects.using(using).filter(user_id=user.pk, tenant__active=True)
    tenants = mine.order_by("tenant_id").values_list("tenant_id", flat=True)
    target = f"user:{user.pk}"
    tell([Deed(tenant_id=one, action=action, target=target) for one in tenants], using)
