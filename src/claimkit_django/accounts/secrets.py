"""What a token looks like, and what is kept of it.

``ckl_`` lets scanners find tokens that leaked into code; a checksum at the end tells them and us
a typing error from a token without asking the database. 256 random bits need no slow hash: nobody
can try them out, so a plain SHA-256 is enough, and a look-up by it is one index entry.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib
from typing import Final

__all__ = ["PREFIX", "digest_of", "is_token", "new_token", "shown"]

PREFIX: Final = "ckl_"
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#: 62 ** 43 > 2 ** 256, 62 ** 6 > 2 ** 32.
_SECRET_LENGTH: Final = 43
_CHECK_LENGTH: Final = 6
_SHAPE: Final = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_SECRET_LENGTH + _CHECK_LENGTH}}}")


def new_token() -> str:
    """Return a new token: prefix, 43 random digits, 6 digits of checksum."""
    secret = _digits(secrets.randbits(256), _SECRET_LENGTH)
    return f"{PREFIX}{secret}{_check(secret)}"


def is_token(text: str) -> bool:
    """Whether ``text`` has the shape of a token and its checksum fits.

    >>> is_token(new_token()), is_token("ckl_nonsense")
    (True, False)
    """
    if _SHAPE.fullmatch(text) is None:
        return False
    secret, check = text[len(PREFIX) : -_CHECK_LENGTH], text[-_CHECK_LENGTH:]
    return secrets.compare_digest(_check(secret), check)


def digest_of(token: str) -> str:
    """Return what is kept of a token: 64 hexadecimal digits."""
    return hashlib.sha256(token.encode()).hexdigest()


def shown(token: str) -> str:
    """Return the beginning by which its owner tells it from others."""
    return token[: len(PREFIX) + 6]


def _check(secret: str) -> str:
    return _digits(zlib.crc32(secret.encode()), _CHECK_LENGTH)


def _digits(number: int, length: int) -> str:
    made = ""
    for _ in range(length):
        number, digit = divmod(number, 62)
        made = _DIGITS[digit] + made
    return made
