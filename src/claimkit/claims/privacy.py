"""Patient identity as keyed hashes, and personal details out of free text.

The one place that decides what is personal. A token is a pseudonym, not anonymity: whoever has
the tenant's key can test a guess, so the key is never stored beside the tokens.
"""

from __future__ import annotations

import hashlib
import re

from claimkit.errors import ConfigError

__all__ = ["find_personal", "mask", "patient_token", "scrub"]

_HIDDEN = "[removed]"
#: Longest value that a problem report repeats.
_MAX_SHOWN = 40

_DETECTORS = {
    "email": re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}"),
    # Area 000, 666 and 9xx, group 00 and serial 0000 are never issued (SSA).
    "ssn": re.compile(r"(?<![\d-])(?!000|666|9\d\d)\d{3}[- ](?!00)\d{2}[- ](?!0000)\d{4}(?![\d-])"),
    "phone": re.compile(
        r"(?<![\w-])(?:\+?1[-. ]?)?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[-. ])\d{3}[-. ]\d{4}(?![\w-])"
    ),
    "mrn": re.compile(
        r"\b(?:MRN|(?:medical|med) rec(?:ord)?(?: (?:no|number))?|chart(?: (?:no|number))?)\b"
        r"[ .:#=-]{0,4}[A-Z]{0,3}\d{4,12}\b",
        re.IGNORECASE,
    ),
    "birth_date": re.compile(
        r"\b(?:DOB|birth ?date|date of birth)\b[ .:#=-]{0,4}\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}",
        re.IGNORECASE,
    ),
    # A name needs its label: two capitalized words may as well be Blue Cross.
    "name": re.compile(
        r"\b(?:[Pp]atient|PATIENT|[Pp]t|PT|[Mm]ember|MEMBER|[Ss]ubscriber|SUBSCRIBER|[Ii]nsured|INSURED)"
        r"(?:[ ]?[Nn]ame|[ ]?NAME)?\s{0,2}[:=]\s{0,2}"
        r"[A-Z][A-Za-z'-]{0,30}(?:,? [A-Z][A-Za-z'.-]{0,30}){0,3}"
    ),
}


def patient_token(member_id: str, key: bytes) -> str:
    """Return the keyed hash by which a patient is known: 32 hex digits, ``""`` of nothing.

    Blanks, punctuation and case do not matter. BLAKE2b in keyed mode (RFC 7693) with its own
    personalization, so that the key may serve other purposes too.

    Raises:
        ConfigError: the key is shorter than 16 bytes.

    >>> patient_token("w-123 45", b"k" * 32) == patient_token("W12345", b"k" * 32)
    True
    """
    if len(key) < 16:
        raise ConfigError("a patient key must have at least 16 bytes")
    folded = "".join(filter(str.isalnum, member_id)).upper()
    if not folded:
        return ""
    short = key if len(key) <= 64 else hashlib.blake2b(key).digest()
    return hashlib.blake2b(
        folded.encode(), digest_size=16, key=short, person=b"claimkit.patient"
    ).hexdigest()


def find_personal(text: str) -> tuple[str, ...]:
    """Return the kinds of personal details in ``text``: email, ssn, phone, mrn, birth_date, name.

    >>> find_personal("Blue Cross of 415-555-0123"), find_personal("Blue Cross")
    (('phone',), ())
    """
    return tuple(kind for kind, pattern in _DETECTORS.items() if pattern.search(text))


def scrub(text: str) -> str:
    """Return ``text`` with personal details replaced; running it twice changes nothing more.

    >>> scrub("Patient: Jane Doe, 123-45-6789, Blue Cross")
    '[removed], [removed], Blue Cross'
    """
    for pattern in _DETECTORS.values():
        text = pattern.sub(_HIDDEN, text)
    return text


def mask(value: str, *, identifying: bool = False) -> str:
    """Return ``value`` fit for a message: hidden when identifying, else scrubbed and cut to 40.

    >>> mask("W12345", identifying=True), mask("12,50")
    ('[removed]', '12,50')
    """
    if identifying:
        return _HIDDEN if value else ""
    # Detect before cutting: half a telephone number is still most of one.
    shown = scrub(value[:1_000])
    shown = "".join(mark if mark.isprintable() else "\ufffd" for mark in shown)
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[: _MAX_SHOWN - 1]}…"
