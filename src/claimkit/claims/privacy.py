"""Patient identity as keyed hashes, and personal details out of free text.

The one place that decides what is personal. A token is a pseudonym, not anonymity: whoever has
the tenant's key can test a guess, so the key is never stored beside the tokens.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Generic, NoReturn, TypeVar

from claimkit.errors import ConfigError

__all__ = ["Phi", "find_personal", "mask", "may_be_personal", "patient_token", "scrub"]

_Value = TypeVar("_Value")

_HIDDEN = "[removed]"
#: Longest value that a problem report repeats.
_MAX_SHOWN = 40

# A word of its own, or a part of a name such as ``patient_ssn``.
_START = r"(?<![^\W_])"
# What stands between a label and its value, also in JSON and in what Python shows of a mapping.
_LABEL_END = r"[ .:#='\"-]{0,5}"
_NAME_WORD = r"[^\W\d_](?:[^\W\d_]|['’.-]){0,30}"
_DETECTORS = {
    "email": re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}"),
    # Area 000, 666 and 9xx, group 00 and serial 0000 are never issued (SSA). Nine digits alone
    # may be anything: they need their label.
    "ssn": re.compile(
        r"(?<![\d-])(?!000|666|9\d\d)\d{3}[- ](?!00)\d{2}[- ](?!0000)\d{4}(?![\d-])"
        rf"|{_START}(?:SSN|SS ?(?=#)|social[ _]security(?:[ _](?:no|number|#))?){_LABEL_END}\d{{9}}\b",
        re.IGNORECASE,
    ),
    "phone": re.compile(
        r"(?<![\w-])(?:\+?1[-. ]?)?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[-. ])\d{3}[-. ]\d{4}(?![\w-])"
        # Ten digits alone are an NPI.
        rf"|{_START}(?:tel|telephone|phone|ph|cell|mobile|fax){_LABEL_END}\+?1?[2-9]\d{{9}}\b",
        re.IGNORECASE,
    ),
    "mrn": re.compile(
        rf"{_START}(?:MRN|(?:medical|med)[ _]rec(?:ord)?(?:[ _](?:no|number))?|chart(?: (?:no|number))?)\b"
        rf"{_LABEL_END}[A-Z]{{0,3}}\d{{4,12}}\b",
        re.IGNORECASE,
    ),
    "birth_date": re.compile(
        rf"{_START}(?:DOB|birth[ _]?date|date[ _]of[ _]birth)\b{_LABEL_END}"
        r"(?:\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{8}\b|(?:datetime\.)?date\(\d{4}, \d{1,2}, \d{1,2}\))",
        re.IGNORECASE,
    ),
    # A name needs its label or title: two capitalized words may as well be Blue Cross, and
    # MS is a state, MR a kind of imaging.
    "name": re.compile(
        rf"(?:{_START}(?i:patient|pt|member|subscriber|insured|guarantor)(?i:['’]s)?"
        r"(?:(?i:[ _]?(?:first|last|full)?[ _]?name))?['\"]?\s{0,2}[:=]\s{0,2}['\"]?"
        r"|\b(?:(?:Mr|Mrs|MRS)\.?|(?:Ms|MS|MR)\.) (?=[A-Z]))"
        rf"{_NAME_WORD}(?:,? {_NAME_WORD}){{0,3}}"
    ),
    # Whole segments about a person: names (of entity type 1) and demographics of X12, PID of HL7.
    "segment": re.compile(
        r"(?<!\w)(?:NM1\*\w{2,3}\*1\*|DMG\*D8\*)[^~\r\n]{1,300}|(?<!\w)PID\|[^\r\n]{1,600}"
    ),
}
#: Without any of these, and without a number in three parts, no detector finds anything.
_SIGNS = (
    "@", ":", "=", "#", "(", " ", "*", "|", "'", '"', "mrn", "ssn", "dob", "birth", "chart", "tel", "ph", "cell",
    "mobile", "fax",
)  # fmt: skip
_THREE_PARTS = re.compile(r"\d{3}[-. ]\d{2,3}[-. ]\d{4}")
#: Letters that belong to amounts and dates, whatever column they are in.
_NUMBER_WORDS = frozenset(
    {"na", "nan", "null", "none", "nil", "inf", "infinity", "usd", "us", "ref", "value", "div",
     "num", "am", "pm", "utc", "gmt", "est", "edt", "cst", "cdt", "mst", "mdt", "pst", "pdt"}
)  # fmt: skip
_MONTHS = frozenset(
    {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec",
     "january", "february", "march", "april", "june", "july", "august", "september", "october",
     "november", "december"}
)  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_HIDDEN_RUN = re.compile(r"\[removed\](?:[\s,.]*(?:\[removed\]|\b[^\W\d_]\b\.?))+")


class Phi(Generic[_Value]):
    """A value about a person, which nothing prints, logs, formats, pickles or makes JSON of.

    >>> name = Phi("Jane Doe")
    >>> f"{name} {name!r} {[name]}", name.reveal()
    ('[removed] [removed] [[removed]]', 'Jane Doe')
    """

    __slots__ = ("_value",)

    def __init__(self, value: _Value) -> None:
        self._value = value

    def reveal(self) -> _Value:
        """Return the value; where this is called is where it leaves its shell."""
        return self._value

    def __repr__(self) -> str:
        return _HIDDEN

    def __format__(self, spec: str) -> str:
        del spec  # A width would tell how long it is.
        return _HIDDEN

    def __eq__(self, other: object) -> bool:
        return self._value == other._value if isinstance(other, Phi) else NotImplemented

    def __hash__(self) -> int:
        return hash((Phi, self._value))

    def __copy__(self) -> Phi[_Value]:
        return self

    def __deepcopy__(self, memo: Any) -> Phi[_Value]:
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a value about a person cannot be pickled")


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
    plain = member_id if member_id.isalnum() else "".join(filter(str.isalnum, member_id))
    folded = plain.upper()
    if not folded:
        return ""
    short = key if len(key) <= 64 else hashlib.blake2b(key).digest()
    return hashlib.blake2b(
        folded.encode(), digest_size=16, key=short, person=b"claimkit.patient"
    ).hexdigest()


def find_personal(text: str) -> tuple[str, ...]:
    """Return the kinds of personal details in ``text``.

    They are email, ssn, phone, mrn, birth_date, name and segment (of X12 or HL7, about a person).

    >>> find_personal("Blue Cross of 415-555-0123"), find_personal("Blue Cross")
    (('phone',), ())
    """
    return tuple(kind for kind, pattern in _DETECTORS.items() if pattern.search(text))


def may_be_personal(text: str) -> bool:
    """Whether a closer look by :func:`find_personal` is worth its time; errs to the safe side.

    May be asked of many values at once, one a line.
    """
    folded = text.casefold()
    return any(sign in folded for sign in _SIGNS) or _THREE_PARTS.search(text) is not None


def scrub(text: str) -> str:
    """Return ``text`` with personal details replaced; running it twice changes nothing more.

    >>> scrub("Patient: Jane Doe, 123-45-6789, Blue Cross")
    '[removed], [removed], Blue Cross'
    """
    while True:
        # What is taken out may uncover the next: two numbers without a blank between them.
        left = text
        for pattern in _DETECTORS.values():
            left = pattern.sub(_HIDDEN, left)
        if left == text:
            return text
        text = left


def mask(value: str, *, identifying: bool = False, words: bool = True) -> str:
    """Return ``value`` fit for a message: hidden when identifying, else scrubbed and cut to 40.

    Args:
        value: The cell or element.
        identifying: Whether its column identifies people.
        words: Whether its column holds words at all. In one of numbers, dates or codes a word is
            out of place, and what slips from one column into the next is often a name.

    >>> mask("W12345", identifying=True), mask("12,50"), mask("Doe", words=False)
    ('[removed]', '12,50', '[removed]')
    """
    if identifying:
        return _HIDDEN if value else ""
    # Detect before cutting: half a telephone number is still most of one.
    shown = scrub(value[:1_000])
    if not words:
        shown = _without_words(shown)
    shown = "".join(mark if mark.isprintable() else "\ufffd" for mark in shown)
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[: _MAX_SHOWN - 1]}…"


def _without_words(text: str) -> str:
    known = _NUMBER_WORDS | _MONTHS if any(map(str.isdigit, text)) else _NUMBER_WORDS
    hidden = _WORD.sub(
        lambda match: match[0] if len(match[0]) == 1 or match[0].casefold() in known else _HIDDEN,
        text.replace(_HIDDEN, "\0"),
    )
    return _HIDDEN_RUN.sub(_HIDDEN, hidden.replace("\0", _HIDDEN))
