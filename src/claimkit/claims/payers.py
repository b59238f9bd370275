"""Payer names: the many ways in which one payer is written, folded into one name.

States and product words stay: plans of two states are two payers, and a payer's Medicaid product
is not its commercial one. Nothing is merged by similarity; that is only ever suggested. Identity
is decided in this order: the tenant's own mapping, the id within its namespace where the mapping
knows it, the folded name. An id alone never merges two names, because one payer has many ids and
one id may carry several products.
"""

from __future__ import annotations

import difflib
import itertools
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "UNKNOWN_PAYER",
    "DirectoryEntry",
    "FederalPrograms",
    "KnownPayers",
    "PayerDirectory",
    "PayerNames",
    "fold_payer",
    "payer_of",
    "suggest_payers",
]

#: Name where a source tells neither name nor id.
UNKNOWN_PAYER = "UNKNOWN PAYER"

#: Words that tell nothing about which payer it is.
_NOISE = frozenset(
    {"CO", "COMPANY", "CORP", "CORPORATION", "GROUP", "INC", "INCORPORATED", "INS", "INSURANCE",
     "LLC", "LTD", "OF", "PLC", "THE"}
)  # fmt: skip
_STATES = {
    "ALABAMA": "AL", "ALASKA": "AK", "ARIZONA": "AZ", "ARKANSAS": "AR", "CALIFORNIA": "CA",
    "COLORADO": "CO", "CONNECTICUT": "CT", "DELAWARE": "DE", "FLORIDA": "FL", "GEORGIA": "GA",
    "HAWAII": "HI", "IDAHO": "ID", "ILLINOIS": "IL", "INDIANA": "IN", "IOWA": "IA",
    "KANSAS": "KS", "KENTUCKY": "KY", "LOUISIANA": "LA", "MAINE": "ME", "MARYLAND": "MD",
    "MASSACHUSETTS": "MA", "MICHIGAN": "MI", "MINNESOTA": "MN", "MISSISSIPPI": "MS",
    "MISSOURI": "MO", "MONTANA": "MT", "NEBRASKA": "NE", "NEVADA": "NV", "NEW HAMPSHIRE": "NH",
    "NEW JERSEY": "NJ", "NEW MEXICO": "NM", "NEW YORK": "NY", "NORTH CAROLINA": "NC",
    "NORTH DAKOTA": "ND", "OHIO": "OH", "OKLAHOMA": "OK", "OREGON": "OR", "PENNSYLVANIA": "PA",
    "RHODE ISLAND": "RI", "SOUTH CAROLINA": "SC", "SOUTH DAKOTA": "SD", "TENNESSEE": "TN",
    "TEXAS": "TX", "UTAH": "UT", "VERMONT": "VT", "VIRGINIA": "VA", "WASHINGTON": "WA",
    "WEST VIRGINIA": "WV", "WISCONSIN": "WI", "WYOMING": "WY",
}  # fmt: skip
_BLUES = "BLUE CROSS BLUE SHIELD"
#: Short forms and spellings that billing systems use → the long form.
_SPELLINGS = (
    (re.compile(r"\bBC ?BS\b|\bBLUE ?CROSS (?:AND )?BLUE ?SHIELD\b|\bBC/BS\b"), _BLUES),
    (re.compile(r"\bANTHEM BC\b(?! BS)"), "ANTHEM BLUE CROSS"),
    (re.compile(r"\bBCBS(?=[A-Z]{2}\b)"), f"{_BLUES} "),
    (re.compile(r"\bUHC\b|\bUNITED HEALTH ?CARE\b|\bUNITEDHEALTH CARE\b"), "UNITEDHEALTHCARE"),
    (re.compile(r"\bMCR\b"), "MEDICARE"),
    (re.compile(r"\bMCD\b"), "MEDICAID"),
    (re.compile(r"(?<=\S) HEALTH PLANS?\b"), ""),
)
#: A state after the Blues is written both ways; elsewhere a state's name may be a payer's own.
_BLUES_STATE = re.compile(
    rf"\b{_BLUES} (?:OF )?({'|'.join(sorted(_STATES, key=len, reverse=True))})\b"
)
_PUNCTUATION = re.compile(r"[^\w&/]+|_")


@lru_cache(maxsize=50_000)
def fold_payer(name: str) -> str:
    """Return the canonical spelling of a payer's name, ``""`` of a blank one.

    Folding a folded name changes nothing.

    >>> fold_payer("Blue Lake Mutual Ins. Co."), fold_payer("  BCBS of North Carolina ")
    ('BLUE LAKE MUTUAL', 'BLUE CROSS BLUE SHIELD NC')
    """
    # Folding once may bring words together that fold again ("BC OF BS"): go on until it rests.
    text = _fold_once(name)
    while (again := _fold_once(text)) != text:
        text = again
    return text


def _fold_once(name: str) -> str:
    text = unicodedata.normalize("NFKC", name).upper().replace("&", " AND ")
    text = " ".join(_PUNCTUATION.sub(" ", text).split())
    for pattern, spelled in _SPELLINGS:
        text = pattern.sub(spelled, text)
    text = _BLUES_STATE.sub(lambda match: f"{_BLUES} {_STATES[match[1]]}", text)
    words = text.replace("/", " ").split()
    kept = [
        word
        for at, word in enumerate(words)
        # Colorado's Blues: here CO is a state.
        if word not in _NOISE or (word == "CO" and words[max(0, at - 4) : at][-1:] == ["SHIELD"])
    ]
    return " ".join(kept or words)


class PayerNames:
    """Canonical payer names, with a tenant's own mapping first.

    Args:
        mapping: Payer name as anyone writes it, or ``namespace:id`` → canonical name.

    >>> names = PayerNames({"BLM": "Blue Lake Mutual", "PI:60054": "Aetna"})
    >>> names.of("blm"), names.of("Some Name", "PI:60054"), names.of("Aetna Inc.")
    ('Blue Lake Mutual', 'Aetna', 'AETNA')
    """

    def __init__(self, mapping: Mapping[str, str] | None = None) -> None:
        given = mapping or {}
        self._by_id = {key: name for key, name in given.items() if ":" in key}
        self._by_name = {fold_payer(key): name for key, name in given.items() if ":" not in key}

    def of(self, name: str, payer_id: str = "") -> str:
        """Return the canonical name: by mapping, else the folded name, else the id."""
        folded = fold_payer(name)
        if folded in self._by_name:
            return self._by_name[folded]
        if payer_id in self._by_id:
            return self._by_id[payer_id]
        return folded or payer_id or UNKNOWN_PAYER


_DEFAULT = PayerNames()


def payer_of(name: str, payer_id: str = "") -> str:
    """Return the canonical payer of a record without any mapping; see :class:`PayerNames`."""
    return _DEFAULT.of(name, payer_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryEntry:
    """One payer of a directory."""

    #: As the payer writes itself.
    name: str
    #: ``namespace:id``; one payer may have many.
    ids: tuple[str, ...] = ()
    #: Other names of the same payer that :func:`fold_payer` does not fold into ``name``.
    aliases: tuple[str, ...] = ()


class PayerDirectory(Protocol):
    """Payers that are known beyond one tenant. Registered by ``claimkit_register_payer_directories``.

    A directory only ever suggests names: what a tenant's claims are called is the tenant's choice.
    """

    name: str

    def entries(self) -> Iterable[DirectoryEntry]:
        """Return the payers; called for each suggestion, so answer from memory."""
        ...


class FederalPrograms:
    """The health programs of the United States government, which every provider bills."""

    name = "federal-programs"

    def entries(self) -> Iterable[DirectoryEntry]:
        """Return the programs under the names that statutes give them."""
        return tuple(DirectoryEntry(name=name) for name in _PROGRAMS)


_PROGRAMS = (
    "Medicare",
    "Medicaid",
    "Railroad Medicare",
    "TRICARE",
    "CHAMPVA",
    "Veterans Affairs",
    "Indian Health Service",
    "Federal Employees Health Benefits",
)


class KnownPayers:
    """What payer directories know, folded once, to look names up in and to suggest from.

    Names that are much alike are often two payers, so likeness alone counts for nothing here. A
    name is another spelling of a known one if it is an alias, if only spaces differ, or if up to
    two of its words are a slip: a word that no known payer has, which becomes one of theirs by a
    letter that is missing, added, changed or moved. ``KANSAS`` is never ``ARKANSAS`` mistyped.

    Args:
        entries: Payers of all directories; where two disagree, both are suggested.

    >>> known = KnownPayers([DirectoryEntry(name="Blue Lake Mutual", aliases=("BLM",))])
    >>> known.suggest("blm"), known.suggest("Blue Lake Mutal Ins."), known.suggest("Red Lake")
    (['BLUE LAKE MUTUAL'], ['BLUE LAKE MUTUAL'], [])
    """

    def __init__(self, entries: Iterable[DirectoryEntry]) -> None:
        # The inner dictionaries are sets that keep their order.
        self._payers: dict[str, dict[str, None]] = defaultdict(dict)
        self._closed_up: dict[str, dict[str, None]] = defaultdict(dict)
        self._words = set(_NOISE).union(*(state.split() for state in _STATES))
        for entry in entries:
            payer = fold_payer(entry.name)
            for name in (entry.name, *entry.aliases):
                folded = fold_payer(name)
                self._payers[folded][payer] = None
                self._closed_up[folded.replace(" ", "")][payer] = None
                self._words.update(folded.split(), _PUNCTUATION.sub(" ", name.upper()).split())
        self._near: dict[str, list[str]] = defaultdict(list)
        for word in sorted(self._words):
            if len(word) >= _SHORTEST_CORRECTED:
                for shortened in _without_a_letter(word):
                    self._near[shortened].append(word)
        self._longest = max(map(len, self._words))

    def suggest(self, name: str, *, limit: int = 3) -> list[str]:
        """Return folded names of payers that ``name`` may be another spelling of.

        Empty where ``name`` is a payer's own name: that it looks like another one says nothing.
        """
        folded = fold_payer(name)
        found = self._spelled(folded) or self._respelled(folded)
        return [one for one in found if one != folded][:limit]

    def are_apart(self, name: str, other: str) -> bool:
        """Return whether both names are known, as names of payers of which none is the same."""
        one, two = self._payers.get(fold_payer(name)), self._payers.get(fold_payer(other))
        return bool(one and two and one.keys().isdisjoint(two))

    def _spelled(self, folded: str) -> dict[str, None]:
        return self._payers.get(folded) or self._closed_up.get(folded.replace(" ", "")) or {}

    def _respelled(self, folded: str) -> dict[str, None]:
        words = folded.split()
        strange = [word for word in words if word not in self._words]
        if len(folded) <= _SHORTEST_CORRECTED or not 0 < len(strange) <= _MOST_CORRECTED:
            return {}
        choices = [(word,) if word in self._words else self._alike(word) for word in words]
        found: dict[str, None] = {}
        for spelled in itertools.product(*choices):
            # Again, as the right words may fold further: a state, "Inc.", "Blue Cross".
            found |= self._spelled(fold_payer(" ".join(spelled)))
        return found

    def _alike(self, word: str) -> list[str]:
        if len(word) > self._longest + 1:
            return []
        near = (self._near.get(shortened, ()) for shortened in _without_a_letter(word))
        return list(dict.fromkeys(itertools.chain.from_iterable(near)))


#: Letters of a word that may be what was meant: shorter ones are alike by chance. A whole name
#: needs one more ("DEAL" is not "DEAN" mistyped).
_SHORTEST_CORRECTED = 4
_MOST_CORRECTED = 2


def _without_a_letter(word: str) -> list[str]:
    return [word, *(word[:at] + word[at + 1 :] for at in range(len(word)))]


def suggest_payers(name: str, known: Iterable[str], *, limit: int = 3) -> list[str]:
    """Return known payers that look like ``name``, nearest first; for people to decide on.

    >>> suggest_payers("Blue Lake Mutal", ["BLUE LAKE MUTUAL", "RED HILL HEALTH"])
    ['BLUE LAKE MUTUAL']
    """
    return difflib.get_close_matches(fold_payer(name), list(known), n=limit, cutoff=0.75)
