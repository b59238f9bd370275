"""Who is who: payer, provider and patient of a claim, by identifiers and never by a person's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claimkit_fhir.nodes import MAX_TEXT, Spoiled
from claimkit_fhir.references import reference_id

if TYPE_CHECKING:
    from claimkit_fhir.nodes import Node
    from claimkit_fhir.references import Identifier, Links

__all__ = ["Parties"]

_NPI = "http://hl7.org/fhir/sid/us-npi"
_EIN = "urn:oid:2.16.840.1.113883.4.4"
#: Namespaces of payers' identifiers; any other is the payer's own.
_PAYER_SYSTEMS = {"urn:oid:2.16.840.1.113883.6.300": "NF", _EIN: "TIN"}
_RENDERING = frozenset({"performing", "rendering", "primary"})


class Parties:
    """Finds the parties of a claim.

    Args:
        links: Where references lead.
    """

    def __init__(self, links: Links) -> None:
        self._links = links

    def payer(self, node: Node, insurance: Node) -> tuple[str, str]:
        """Return name and ``namespace:id`` of the payer; one of them may be empty.

        Raises:
            Spoiled: there is neither.
        """
        insurer = node.child("insurer")
        identifiers = self._links.identifiers(insurer, node)
        name = insurer.text("display", MAX_TEXT) or self._links.target(insurer, node).text(
            "name", MAX_TEXT
        )
        name = name or insurance.child("coverage").text("display", MAX_TEXT)
        if identifiers:
            first = identifiers[0]
            return name, f"{_PAYER_SYSTEMS.get(first.system, 'PI')}:{first.value}"
        key = reference_id(insurer)
        if not (name or key):
            raise Spoiled(
                "payer_missing",
                "the resource has neither the name nor an id of a payer",
                "Ask the sender for insurer with a display or an identifier",
                f"{node.path}.insurer",
            )
        return name, "" if name else f"FHIR:{key}"

    def billing(self, node: Node) -> tuple[str, str]:
        """Return NPI and tax number of the billing provider."""
        provider = node.child("provider")
        if not provider and node.value["resourceType"] == "ClaimResponse":
            provider = node.child("requestor")
        found = self._links.identifiers(provider, node)
        return _of(found, _NPI), _of(found, _EIN)

    def rendering(self, node: Node) -> str:
        """Return the NPI of who performed the service: by role, else the only one of the team."""
        team = list(node.children("careTeam"))
        for one in team:
            if len(team) == 1 or any(code in _RENDERING for _, code in one.codings("role")):
                found = _of(self._links.identifiers(one.child("provider"), node), _NPI)
                if found:
                    return found
        return ""

    def member(self, node: Node, insurance: Node) -> str:
        """Return what stands for the patient: the member id, else an identifier, else the id."""
        coverage, patient = insurance.child("coverage"), node.child("patient")
        target = self._links.target(coverage, node)
        return (
            target.text("subscriberId")
            or _value(self._links.identifiers(coverage, node))
            or _value(self._links.identifiers(patient, node))
            or reference_id(patient)
        )


def _of(identifiers: list[Identifier], system: str) -> str:
    return next((one.value for one in identifiers if one.system == system), "")


def _value(identifiers: list[Identifier]) -> str:
    return identifiers[0].value if identifiers else ""
