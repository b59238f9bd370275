"""What keeps the demo's people out of a site that others can reach: ``DEBUG`` off is taken for that.

Their one password is printed and kept in a file, so it is everybody's. Where ``DEBUG`` is off nobody
signs in with it, by form, by API or in the admin, and ``manage.py check --deploy`` and
``claimkit_doctor`` say that it is there.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.core import checks

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.http import HttpRequest

__all__ = ["NoDemoPasswords", "check_demo_people"]


class NoDemoPasswords(ModelBackend):
    """Signs people in like Django's own, and nobody with the demo's password where ``DEBUG`` is off."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> AbstractBaseUser | None:
        """Return the user, or None for a wrong password or one that everybody knows."""
        known = _demo_password()
        given = (password or "").encode()
        if not settings.DEBUG and known and hmac.compare_digest(given, known.encode()):
            return None
        return super().authenticate(request, username=username, password=password, **kwargs)


def check_demo_people(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E001 where the demo's password is there and ``DEBUG`` is off."""
    if settings.DEBUG or not _demo_password():
        return []
    return [
        checks.Error(
            "This site has the people of the demo, who share a password that was printed.",
            hint="Start with a database and a CLAIMKIT_DEMO_DIR of your own; nobody signs in with it.",
            id="example.E001",
        )
    ]


def _demo_password() -> str:
    path = settings.DEMO_DIR / "demo-password"
    return str(path.read_text(encoding="ascii")) if path.exists() else ""
