"""Receivers on this machine, and an authority that issues certificates to them."""

from __future__ import annotations

import datetime as dt
import ssl
from types import SimpleNamespace

import pytest

from claimkit.testing.receivers import Receiver


@pytest.fixture
def receive():
    receivers = []

    def start(script, **options):
        receivers.append(Receiver(script, **options))
        return receivers[-1]

    yield start
    for one in receivers:
        one.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Return what issues certificates: ``issue`` for receivers, ``issue_pem`` as bytes, ``trusted``."""
    pytest.importorskip("cryptography", reason="certificates are made with the extra webhooks")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = tmp_path_factory.mktemp("certificates")
    now = dt.datetime.now(dt.UTC)

    def name(text):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    def build(subject, key, *, issuer, signer, days, ca=False):
        builder = x509.CertificateBuilder(name(issuer), name(subject), key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - dt.timedelta(days=9))
        builder = builder.not_valid_after(now + dt.timedelta(days=days))
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        if not ca:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False
            )
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    root = ec.generate_private_key(ec.SECP256R1())
    trusted = folder / "root.pem"
    trusted.write_bytes(build("Root", root, issuer="Root", signer=root, days=9, ca=True))

    def issue_pem(subject, *, days=9, trusted_by=root):
        key = ec.generate_private_key(ec.SECP256R1())
        return build(
            subject, key, issuer="Root", signer=trusted_by or key, days=days
        ) + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def issue(subject, *, highest=None, **options):
        path = folder / f"{len(list(folder.iterdir()))}.pem"
        path.write_bytes(issue_pem(subject, **options))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        if highest is not None:
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.maximum_version = highest
        return context

    return SimpleNamespace(issue=issue, issue_pem=issue_pem, trusted=trusted)
