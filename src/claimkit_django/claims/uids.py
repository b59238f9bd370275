"""The public identifier of a claim, derived from its key and back."""

from __future__ import annotations

__all__ = ["claim_key_of", "claim_uid"]

_PREFIX = "clm_"
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_DIGITS = 13
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_RANGE = 1 << 64


def claim_uid(claim_key: int) -> str:
    """Return the public identifier of a claim: ``clm_`` and 13 characters.

    >>> claim_uid(-1)
    'clm_fzzzzzzzzzzzz'
    """
    number = claim_key % _RANGE
    digits = (_ALPHABET[number >> shift & 31] for shift in range(5 * _DIGITS - 5, -1, -5))
    return _PREFIX + "".join(digits)


def claim_key_of(uid: str) -> int | None:
    """Return the key behind a public identifier, or None where the text is none.

    >>> claim_key_of("clm_fzzzzzzzzzzzz"), claim_key_of("clm_?")
    (-1, None)
    """
    digits = uid.removeprefix(_PREFIX)
    if digits == uid or len(digits) != _DIGITS or not _VALUES.keys() >= set(digits):
        return None
    number = 0
    for digit in digits:
        number = number << 5 | _VALUES[digit]
    if number >= _RANGE:
        return None
    return number - _RANGE if number >= _RANGE >> 1 else number
