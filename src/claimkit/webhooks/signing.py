"""Signatures of Standard Webhooks 1.0.0: made with every valid key, verified byte by byte.

Symmetric (``v1``, HMAC-SHA256, ``whsec_``) and asymmetric (``v1a``, Ed25519, ``whsk_`` and
``whpk_``). What is signed is ``id.timestamp.body`` over the exact bytes that travel. A key signs
and verifies in its own scheme only, so that a public key can never pass for a shared secret.

The verifier takes whatever arrives: on any bytes it returns, or raises
:class:`claimkit.errors.VerificationError`, and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from claimkit.errors import ConfigError, InvalidSigningKey, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "HOP",
    "ID",
    "LEGACY",
    "SIGNATURE",
    "TIMESTAMP",
    "TOLERANCE",
    "HeaderPairs",
    "PublicKey",
    "SecretKey",
    "SigningPair",
    "TimedKey",
    "Verified",
    "generate_key",
    "parse_key",
    "sign",
    "sign_legacy",
    "verify",
]

#: Names of the three headers.
ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"
#: Header that says which site sent it, so that a site knows its own when they come back.
HOP: Final = "webhook-hop"
#: Header of receivers that know the body's HMAC only; see :func:`sign_legacy`.
LEGACY: Final = "x-signature"
#: How far the sender's clock may be off, either way; the boundary itself passes.
TOLERANCE: Final = dt.timedelta(minutes=5)

#: Headers as a mapping, or as pairs where names may repeat.
HeaderPairs: TypeAlias = "Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]"

_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,11}", re.ASCII)
_MAX_HEADER = 4_096
_MAX_ENTRIES = 16
#: Length of a signature in bytes by version.
_LENGTHS = {"v1": 32, "v1a": 64}
#: RFC 2104: the length of SHA-256's blocks, and each byte of a key XOR 0x36 and 0x5C.
_BLOCK = 64
_INNER = bytes(one ^ 0x36 for one in range(256))
_OUTER = bytes(one ^ 0x5C for one in range(256))
_SECRET, _PRIVATE, _PUBLIC = "whsec_", "whsk_", "whpk_"


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A secret that sender and receiver share; signs ``v1``."""

    raw: bytes = field(repr=False)
    version = "v1"

    @property
    def text(self) -> str:
        """The key as people copy it: ``whsec_…``."""
        return _SECRET + _encode(self.raw)

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits that tell keys apart and tell nothing of them."""
        return _fingerprint(self.raw)

    @property
    def is_strong(self) -> bool:
        """Whether the specification lets it be created: 24 to 64 bytes."""
        return 24 <= len(self.raw) <= 64

    def sign(self, content: bytes) -> bytes:
        """Return the HMAC-SHA256 of what is signed, by the two hashes of RFC 2104.

        :func:`hmac.digest` says the same, and takes nearly twice as long where OpenSSL 3 looks the
        algorithm up anew for each message.
        """
        key = self.raw if len(self.raw) <= _BLOCK else hashlib.sha256(self.raw).digest()
        key = key.ljust(_BLOCK, b"\0")
        inner = hashlib.sha256(key.translate(_INNER))
        inner.update(content)
        outer = hashlib.sha256(key.translate(_OUTER))
        outer.update(inner.digest())
        return outer.digest()

    def verifies(self, content: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's, in constant time."""
        return hmac.compare_digest(self.sign(content), signature)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The half of an Ed25519 pair that a receiver has; verifies ``v1a``."""

    raw: bytes
    _key: Any = field(repr=False, compare=False)
    version = "v1a"

    @property
    def text(self) -> str:
        """The key as people copy it: ``whpk_…``."""
        return _PUBLIC + _encode(self.raw)

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits that tell keys apart; those of the signing pair too."""
        return _fingerprint(self.raw)

    def verifies(self, content: bytes, signature: bytes) -> bool:
        """Whether the signature was made with the other half."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(signature, content)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningPair:
    """An Ed25519 pair, of which the receiver knows the public half only; signs ``v1a``."""

    #: The seed of 32 bytes.
    raw: bytes = field(repr=False)
    public: PublicKey
    _key: Any = field(repr=False, compare=False)
    version = "v1a"

    @property
    def text(self) -> str:
        """The pair as ``whsk_…``: the seed and the public half, 64 bytes."""
        return _PRIVATE + _encode(self.raw + self.public.raw)

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits of the public half."""
        return self.public.fingerprint

    @property
    def is_strong(self) -> bool:
        """Always: there is only one size."""
        return True

    def sign(self, content: bytes) -> bytes:
        """Return the Ed25519 signature."""
        signature: bytes = self._key.sign(content)
        return signature

    def verifies(self, content: bytes, signature: bytes) -> bool:
        """Whether the signature is this pair's."""
        return self.public.verifies(content, signature)


#: What signs.
_Signer: TypeAlias = SecretKey | SigningPair
#: What verifies.
_Verifier: TypeAlias = SecretKey | SigningPair | PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedKey:
    """A key and when it is valid: from ``not_before`` up to, but not including, ``expires_at``."""

    key: SecretKey | SigningPair | PublicKey
    not_before: dt.datetime | None = None
    expires_at: dt.datetime | None = None

    def is_valid(self, now: dt.datetime) -> bool:
        """Whether the key may be used now."""
        if self.not_before is not None and now < self.not_before:
            return False
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What is known of a webhook that was verified."""

    #: The same for every repetition: remember it, and do nothing the second time.
    message_id: str
    #: When this attempt was sent, by the sender's clock.
    sent_at: dt.datetime
    #: Fingerprint of the key that matched.
    key: str


def generate_key(version: str = "v1") -> SecretKey | SigningPair:
    """Return a new key: 32 random bytes for ``v1``, an Ed25519 pair for ``v1a``.

    Raises:
        InvalidSigningKey: there is no such version.
        ConfigError: ``v1a`` needs ``cryptography``, which is not installed.
    """
    if version == "v1":
        return SecretKey(secrets.token_bytes(32))
    if version == "v1a":
        return _pair(secrets.token_bytes(32))
    raise InvalidSigningKey(f"there is no signature version {version!r}", remedy="Use v1 or v1a")


def parse_key(text: str) -> SecretKey | SigningPair | PublicKey:
    """Return the key that ``whsec_…``, ``whsk_…``, ``whpk_…`` or bare Base64 stands for.

    Padding may be missing. A private key is its seed alone, or seed and public half.

    Raises:
        InvalidSigningKey: it is no key; the message never repeats it.
        ConfigError: Ed25519 needs ``cryptography``, which is not installed.
    """
    prefix = next((one for one in (_SECRET, _PRIVATE, _PUBLIC) if text.startswith(one)), "")
    raw = _decode_key(text.removeprefix(prefix))
    if prefix == _PUBLIC:
        if len(raw) != 32:
            raise InvalidSigningKey("a public key has 32 bytes")
        return _public(raw)
    if prefix != _PRIVATE:
        return SecretKey(raw)
    if len(raw) not in {32, 64}:
        raise InvalidSigningKey("a private key has 32 or 64 bytes")
    pair = _pair(raw[:32])
    if len(raw) == 64 and not hmac.compare_digest(pair.public.raw, raw[32:]):
        raise InvalidSigningKey("the two halves of a private key do not belong together")
    return pair


def sign(
    message_id: str, sent_at: dt.datetime, body: bytes, keys: Sequence[SecretKey | SigningPair]
) -> dict[str, str]:
    """Return the three headers, with one signature per key.

    Args:
        message_id: The same for every attempt; letters, digits, ``_`` and ``-``.
        sent_at: When this attempt is made.
        body: The exact bytes that are sent.
        keys: All that are valid now, the newest first; 1 to 16.

    Raises:
        InvalidSigningKey: no key, or too many.
        ValueError: an id that would make what is signed ambiguous.
    """
    if not 1 <= len(keys) <= _MAX_ENTRIES:
        raise InvalidSigningKey(f"{len(keys)} keys cannot sign a webhook", remedy="Use 1 to 16")
    if not _MESSAGE_ID.fullmatch(message_id):
        raise ValueError("a message id is 1 to 128 letters, digits, '_' or '-'")
    seconds = str(int(sent_at.timestamp()))
    content = _content(message_id, seconds, body)
    signatures = f"{keys[0].version},{_encode(keys[0].sign(content))}"
    for key in keys[1:]:
        signatures += f" {key.version},{_encode(key.sign(content))}"
    return {ID: message_id, TIMESTAMP: seconds, SIGNATURE: signatures}


def sign_legacy(body: bytes, secret: str) -> str:
    """Return the ``X-Signature`` of old receivers: HMAC-SHA256 of the body alone, in hexadecimal.

    It protects neither the time nor the id, so anybody who sees it can send it again for ever.
    Only for receivers that cannot verify anything better.

    Args:
        body: The exact bytes that are sent.
        secret: The secret as the receiver has it in its settings; its UTF-8 bytes are the key.
    """
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def verify(
    headers: HeaderPairs,
    body: bytes,
    keys: Iterable[SecretKey | SigningPair | PublicKey | TimedKey],
    *,
    now: dt.datetime,
    tolerance: dt.timedelta = TOLERANCE,
) -> Verified:
    """Return what is known of a received webhook, if one of the keys signed it just now.

    Args:
        headers: As received; names in any case. Pairs let a repeated header be noticed.
        body: As received, before anything decoded it.
        keys: Those of the sender; one that has expired does not count.
        now: An aware instant.
        tolerance: How far the sender's clock may be off.

    Raises:
        VerificationError: it must not be trusted; ``code`` says why.

    >>> key = parse_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    >>> at = dt.datetime.fromtimestamp(1614265330, dt.UTC)
    >>> headers = sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, b"{}", [key])
    >>> verify(headers, b"{}", [key], now=at).message_id
    'msg_p5jXN8AQM9LWM0D4loKWxJek'
    """
    usable = _usable(keys, now)
    message_id, seconds, entries = _read_headers(headers)
    sent_at = _check_time(seconds, now, tolerance)
    candidates = _candidates(entries)
    content = _content(message_id, seconds, bytes(body))
    for key in usable:
        for signature in candidates.get(key.version, ()):
            if key.verifies(content, signature):
                return Verified(message_id=message_id, sent_at=sent_at, key=key.fingerprint)
    raise VerificationError("no signature of the webhook matches", code="no_matching_signature")


def _usable(keys: Iterable[_Verifier | TimedKey], now: dt.datetime) -> list[_Verifier]:
    usable: list[_Verifier] = []
    for one in keys:
        if not isinstance(one, TimedKey):
            usable.append(one)
        elif one.is_valid(now):
            usable.append(one.key)
    if not usable:
        # Fails closed: a receiver without a key trusts nobody.
        raise VerificationError("no key is set up for this sender", code="no_signing_key")
    return usable


def _read_headers(headers: HeaderPairs) -> tuple[str, str, str]:
    found: dict[str, str] = {}
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    for raw_name, raw_value in pairs:
        name = _as_text(raw_name).lower()
        if name not in {ID, TIMESTAMP, SIGNATURE}:
            continue
        if name in found:
            raise VerificationError("a header is there twice", code="header_invalid")
        found[name] = _as_text(raw_value)
    if not found.keys() >= {ID, TIMESTAMP, SIGNATURE}:
        raise VerificationError("a header is missing", code="header_missing")
    if not _MESSAGE_ID.fullmatch(found[ID]) or not _SECONDS.fullmatch(found[TIMESTAMP]):
        raise VerificationError("a header is malformed", code="header_invalid")
    if len(found[SIGNATURE]) > _MAX_HEADER or found[SIGNATURE].count(" ") >= 2 * _MAX_ENTRIES:
        raise VerificationError("the signature header is too long", code="header_invalid")
    return found[ID], found[TIMESTAMP], found[SIGNATURE]


def _as_text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _check_time(seconds: str, now: dt.datetime, tolerance: dt.timedelta) -> dt.datetime:
    age = now.timestamp() - int(seconds)
    if age > tolerance.total_seconds():
        raise VerificationError("the webhook is too old", code="timestamp_too_old")
    if -age > tolerance.total_seconds():
        raise VerificationError("the webhook is of the future", code="timestamp_too_new")
    return dt.datetime.fromtimestamp(int(seconds), dt.UTC)


def _candidates(header: str) -> dict[str, list[bytes]]:
    """Return signatures by version; entries of other versions or shapes are passed over."""
    entries = [one for one in header.split(" ") if one]
    if len(entries) > _MAX_ENTRIES:
        raise VerificationError("there are too many signatures", code="header_invalid")
    candidates: dict[str, list[bytes]] = {}
    for entry in entries:
        version, _, text = entry.partition(",")
        signature = _decode_strictly(text) if version in _LENGTHS else b""
        if signature and len(signature) == _LENGTHS[version]:
            candidates.setdefault(version, []).append(signature)
    return candidates


def _content(message_id: str, seconds: str, body: bytes) -> bytes:
    return b".".join((message_id.encode(), seconds.encode(), body))


def _encode(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode()


def _decode_strictly(text: str) -> bytes:
    """Return the bytes of canonical Base64, nothing otherwise: one signature has one spelling."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        return b""
    return raw if _encode(raw) == text else b""


def _decode_key(text: str) -> bytes:
    bare = text.rstrip("=")
    try:
        raw = base64.b64decode((bare + "=" * (-len(bare) % 4)).encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        raise InvalidSigningKey("a key is not Base64") from None
    if not 0 < len(raw) <= 512:
        raise InvalidSigningKey("a key is empty or too long")
    return raw


def _fingerprint(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:8]


def _pair(seed: bytes) -> SigningPair:
    from_private, _ = _ed25519()
    key = from_private(seed)
    return SigningPair(seed, _public(key.public_key().public_bytes_raw()), key)


def _public(raw: bytes) -> PublicKey:
    _, from_public = _ed25519()
    return PublicKey(raw, from_public(raw))


def _ed25519() -> tuple[Any, Any]:
    # When first needed: most receivers use shared secrets, which need no more than Python.
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (
            Ed25519PrivateKey,
            Ed25519PublicKey,
        )
    except ImportError:
        raise ConfigError(
            "Ed25519 keys need the package cryptography",
            remedy="Install 'claimkit[webhooks]'",
        ) from None
    return Ed25519PrivateKey.from_private_bytes, Ed25519PublicKey.from_public_bytes
