"""Which rules of a tenant are in force, and rules as rows and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from claimkit.claims.mapping import ClaimMapping, MappingRule, Match, Subject
from claimkit.errors import MappingRefused, did_you_mean
from claimkit_django.claims.models import MappingVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from enum import StrEnum

__all__ = ["MappingTable", "rule_row", "rules_of"]


class MappingTable:
    """The versions of all tenants' rules in one database."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._compiled: dict[int, tuple[int, ClaimMapping]] = {}

    def load(self, tenant_id: int) -> ClaimMapping:
        """Return the rules in force as this transaction sees them; one query for the number.

        Rules are read again only where the number changed, so what is kept cannot be stale.
        """
        applied = MappingVersion.unscoped.using(self._using).filter(
            tenant_id=tenant_id, status=MappingVersion.Status.APPLIED
        )
        number = applied.order_by("-number").values_list("number", flat=True).first()
        if number is None:
            return ClaimMapping()
        kept = self._compiled.get(tenant_id)
        if kept is None or kept[0] != number:
            rows = applied.values_list("rules", flat=True).get(number=number)
            kept = self._compiled[tenant_id] = (number, ClaimMapping(rules_of(rows)))
        return kept[1]


def rules_of(rows: Iterable[Mapping[str, Any]]) -> list[MappingRule]:
    """Return rules from JSON objects with subject, match, value, last and target.

    Raises:
        MappingRefused: a field is missing or unknown, or a word is not one of those there are.
    """
    return [_rule_of(number, row) for number, row in enumerate(rows, start=1)]


def _rule_of(number: int, row: Mapping[str, Any]) -> MappingRule:
    known = {"subject", "match", "value", "last", "target"}
    if not isinstance(row, dict) or not row.keys() <= known:
        raise MappingRefused(f"rule {number} must have {', '.join(sorted(known))} and nothing else")
    texts = {name: row.get(name, "") for name in known}
    if not all(isinstance(text, str) for text in texts.values()):
        raise MappingRefused(f"rule {number}: all fields are texts")
    return MappingRule(
        subject=_word(Subject, texts["subject"], number),
        match=_word(Match, texts["match"], number),
        value=texts["value"].strip(),
        last=texts["last"].strip(),
        target=texts["target"].strip(),
    )


def _word(words: type[StrEnum], text: str, number: int) -> Any:
    try:
        return words(text)
    except ValueError:
        near = did_you_mean(text, [one.value for one in words])
        raise MappingRefused(
            f"rule {number}: {text!r} is not one of {', '.join(words)}{near}"
        ) from None


def rule_row(rule: MappingRule) -> dict[str, str]:
    """Return a rule as it is kept and shown."""
    row = {
        "subject": rule.subject.value,
        "match": rule.match.value,
        "value": rule.value,
        "target": rule.target,
    }
    return {**row, "last": rule.last} if rule.last else row
