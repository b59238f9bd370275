"""Signs programs in by ``Authorization: Bearer ckl_…``.

List :class:`TokenAuthentication` in ``DEFAULT_AUTHENTICATION_CLASSES``; first, so that programs
are told what to send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, get_authorization_header

from claimkit_django.accounts.secrets import PREFIX
from claimkit_django.accounts.tokens import find_token

if TYPE_CHECKING:
    from rest_framework.request import Request

    from claimkit_django.accounts.models import ApiToken

__all__ = ["TokenAuthentication"]


class TokenAuthentication(BaseAuthentication):
    """Recognizes API tokens, and enters the tenant that each is for.

    Bearer tokens of another kind are left to the host's other authentication.
    """

    def authenticate(self, request: Request) -> tuple[Any, ApiToken] | None:
        """Return the person and the token; None where no API token was sent.

        Raises:
            AuthenticationFailed: it is not one of ours, or not any more; never which.
        """
        kind, _, text = get_authorization_header(request).decode("latin-1").partition(" ")
        if kind.lower() != "bearer" or not text.startswith(PREFIX):
            return None
        token = find_token(text.strip(), now=timezone.now())
        if token is None:
            raise exceptions.AuthenticationFailed("the token is not valid, or not any more")
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401."""
        del request
        return 'Bearer realm="claimkit"'


class _Scheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = TokenAuthentication
    name = "apiToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Describe it for OpenAPI."""
        del auto_schema
        return {"type": "http", "scheme": "bearer", "bearerFormat": "ckl_…"}
