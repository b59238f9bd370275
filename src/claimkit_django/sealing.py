"""Encryption at rest: keys, credentials and answers of receivers are never stored in clear."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.encoding import force_bytes

from claimkit.errors import ConfigError
from claimkit_django.conf import config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.fernet import MultiFernet

__all__ = ["open_sealed", "seal"]


def seal(text: bytes) -> bytes:
    """Return ``text`` encrypted and authenticated with the first key."""
    return _box().encrypt(text) if text else b""


def open_sealed(sealed: bytes | memoryview) -> bytes:
    """Return what was sealed with any of the keys.

    Raises:
        ConfigError: none of the keys opens it.
    """
    from cryptography.fernet import InvalidToken

    if not sealed:
        return b""
    try:
        return _box().decrypt(bytes(sealed))
    except InvalidToken:
        raise ConfigError(
            "what is encrypted at rest cannot be opened",
            remedy="Add the former key to CLAIMKIT['WEBHOOKS']['ENCRYPTION_KEYS']",
        ) from None


def _box() -> MultiFernet:
    try:
        from cryptography.fernet import Fernet, MultiFernet
    except ImportError:
        raise ConfigError(
            "keys of endpoints need the package cryptography",
            remedy="Install 'claimkit[webhooks]'",
        ) from None
    ours: Sequence[str | bytes] = config().webhooks.encryption_keys
    secrets = ours or (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return MultiFernet([Fernet(_derive(one)) for one in secrets])


def _derive(secret: str | bytes) -> bytes:
    # Secrets of settings are long and random: a digest with a label of its own is enough.
    digest = hashlib.blake2b(force_bytes(secret), digest_size=32, person=b"claimkit.webhook")
    return base64.urlsafe_b64encode(digest.digest())
