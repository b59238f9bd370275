"""What a reference leads to: a contained resource, another entry of the Bundle, or an identifier.

Nothing is fetched. A reference that leads nowhere still has its identifier, its display and the id
at its end.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from claimkit_fhir.nodes import MAX_TEXT, Node

if TYPE_CHECKING:
    from collections.abc import Mapping

    from claimkit.types import Cents

__all__ = ["Identifier", "Links", "SentClaim", "reference_id"]

#: Claims that are remembered for the responses behind them in the same file.
_REMEMBERED = 20_000
#: What a claim may need of the other entries of a Bundle.
_NEEDED = frozenset({"Claim", "Coverage", "Location", "Organization", "Practitioner"})
_ENDING = re.compile(r"(?:^|/)([A-Za-z]+)/([A-Za-z0-9.\-]{1,64})(?:/_history/[^/]*)?\Z")
_UUID = re.compile(r"urn:(?:uuid|oid):([A-Za-z0-9.\-]{1,64})\Z")
_SEARCH = re.compile(r"[A-Za-z]+\?identifier=(?:([^|]*)\|)?([^|&]+)\Z")


class Identifier(NamedTuple):
    """A business identifier: a payer's number, an NPI, a tax number."""

    system: str
    value: str


class SentClaim(NamedTuple):
    """What a response may need of the Claim that it answers."""

    patient_control_number: str
    charge: Cents


class Links:
    """Where the references of one file lead; its memory is bounded."""

    def __init__(self) -> None:
        self._entries: dict[str, Mapping[str, Any]] = {}
        self._sent: dict[str, SentClaim] = {}

    def know(self, bundle: Mapping[str, Any]) -> None:
        """Take note of the entries of a Bundle, in place of those of the one before."""
        self._entries = {}
        entries = bundle.get("entry")
        for entry in entries if isinstance(entries, list) else ():
            resource = entry.get("resource") if isinstance(entry, dict) else None
            if not isinstance(resource, dict):
                continue
            kind, key = resource.get("resourceType"), resource.get("id")
            if not isinstance(kind, str) or kind not in _NEEDED:
                continue
            if isinstance(key, str):
                self._entries.setdefault(f"{kind}/{key}", resource)
            url = entry.get("fullUrl")
            if isinstance(url, str):
                self._entries.setdefault(url, resource)

    def forget(self) -> None:
        """Forget the entries of the Bundle."""
        self._entries = {}

    def remember(self, key: str, sent: SentClaim) -> None:
        """Take note of a Claim by its id."""
        if len(self._sent) >= _REMEMBERED:
            del self._sent[next(iter(self._sent))]
        self._sent[key] = sent

    def sent(self, reference: Node) -> SentClaim | None:
        """Return what is known of the Claim that a reference means."""
        key = reference_id(reference)
        return self._sent.get(key) if key else None

    def target(self, reference: Node, owner: Node) -> Node:
        """Return the resource that a reference of ``owner`` leads to, an empty node if none."""
        to = reference.text("reference", MAX_TEXT * 10)
        if to.startswith("#"):
            for one in owner.children("contained"):
                if one.value.get("id") == to[1:]:
                    return one
        found = self._entries.get(to)
        if found is None and (match := _ENDING.search(to)):
            found = self._entries.get(f"{match[1]}/{match[2]}")
        return Node(found or {}, f"{reference.path}.resolve()", reference.note)

    def identifiers(self, reference: Node, owner: Node) -> list[Identifier]:
        """Return all identifiers of what a reference means."""
        found = [_identifier(reference.child("identifier"))]
        if match := _SEARCH.match(reference.text("reference", MAX_TEXT * 10)):
            found.append(Identifier(match[1] or "", match[2]))
        found += map(_identifier, self.target(reference, owner).children("identifier"))
        return [one for one in found if one.value]


def reference_id(reference: Node) -> str:
    """Return the id at the end of a reference, ``""`` if there is none."""
    to = reference.text("reference", MAX_TEXT * 10)
    if match := _UUID.match(to):
        return match[1]
    match = _ENDING.search(to)
    return match[2] if match else ""


def _identifier(node: Node) -> Identifier:
    return Identifier(node.text("system", MAX_TEXT), node.text("value"))
