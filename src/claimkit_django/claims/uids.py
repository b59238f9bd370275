"""The public identifier of a claim, derived from its key and back."""

from __future__ import annotations

import itertools

__all__ = ["claim_key_of", "claim_uid"]

_PREFIX = "clm_"
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_DIGITS = 13
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_RANGE = 1 << 64
#: Three digits at a time: exports write a million identifiers.
_THREES = ["".join(three) for three in itertools.product(_ALPHABET, repeat=3)]
_MASK = len(_THREES) - 1


def claim_uid(claim_key: int) -> str:
    """Return the public identifier of a claim: ``clm_`` and 13 characters.

    >>> claim_uid(-1)
    'clm_fzzzzzzzzzzzz'
    """
    number = claim_key % _RANGE
    return (
        f"{_PREFIX}{_ALPHABET[number >> 60]}{_THREES[number >> 45 & _MASK]}"
        f"{_THREES[number >> 30 & _MASK]}{_THREES[number >> 15 & _MASK]}{_THREES[number & _MASK]}"
    )


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
