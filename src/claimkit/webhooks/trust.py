"""Certificates of an endpoint's own: who vouches for it, and how we show it who we are.

Without them a receiver is trusted if an authority of the system vouches for its name, and does not
know us but by signatures. A receiver inside a closed network may be vouched for by its own
authority alone; and one behind a gateway that asks for a certificate (mutual TLS) is shown ours.
"""

from __future__ import annotations

import re
import secrets
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from claimkit.errors import ConfigError, InvalidTarget

__all__ = ["Certificates", "make_tls"]

_MAX_PEM: Final = 65_536
_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----", re.ASCII
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN ([A-Z ]{0,20})PRIVATE KEY-----[A-Za-z0-9+/=\s]+-----END \1PRIVATE KEY-----",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """What replaces the system's idea of trust for one endpoint; texts in PEM."""

    #: Authorities, or the receiver's certificate itself, that alone vouch for it; empty: those of
    #: the system.
    authority: str = ""
    #: Our certificate, the chain to its authority, and its key without a password; empty: none.
    client: str = field(default="", repr=False)


def make_tls(certificates: Certificates = Certificates()) -> ssl.SSLContext:  # noqa: B008 - a value
    """Return how to talk TLS: verifying, in version 1.2 or later.

    The key of a client's certificate is in a file only while it is read, and encrypted there.

    Raises:
        InvalidTarget: they are no certificates, or the key is not that of the certificate
            (code ``certificate_invalid``).
        ConfigError: a client's certificate needs ``cryptography``, which is not installed.
    """
    authorities = "\n".join(_blocks(certificates.authority)) or None
    try:
        context = ssl.create_default_context(cadata=authorities)
        if certificates.client:
            _show(context, certificates.client)
    except (ssl.SSLError, ValueError) as error:
        raise _invalid() from error
    if authorities:
        # The receiver's own certificate may be pinned: nobody need have signed it but its authority.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _blocks(text: str) -> list[str]:
    """Return the certificates in a text; of one that is not empty, at least one."""
    if not text:
        return []
    found: list[str] = _CERTIFICATE.findall(text) if len(text) <= _MAX_PEM else []
    if not found:
        raise _invalid()
    return found


def _show(context: ssl.SSLContext, client: str) -> None:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
    except ImportError:
        raise ConfigError(
            "certificates of ours need the package cryptography",
            remedy="Install 'claimkit[webhooks]'",
        ) from None
    chain, key = _blocks(client), _PRIVATE_KEY.search(client)
    if key is None:
        raise _invalid()
    try:
        private = serialization.load_pem_private_key(key[0].encode(), None)
    except (TypeError, UnsupportedAlgorithm):
        raise _invalid() from None
    # OpenSSL reads a key from a file only: nobody else can use what is in it.
    password = secrets.token_bytes(32).hex()
    sealed = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password.encode()),
    )
    with tempfile.TemporaryDirectory(prefix="claimkit-") as folder:
        path = Path(folder, "client.pem")
        path.write_text("\n".join([*chain, sealed.decode()]), encoding="ascii")
        context.load_cert_chain(path, password=password)


def _invalid() -> InvalidTarget:
    return InvalidTarget(
        "these are no certificates that can be used",
        remedy="Give certificates in PEM, and for ours the key without a password too",
        code="certificate_invalid",
    )
