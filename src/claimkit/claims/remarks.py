"""What remark codes (RARC) say beside a denial: categories that tell what to mend.

A reason often tells too little: CARC 16 is "something is missing", and only the remark says whether
that is a record, a provider's number or a date. Remarks are words beside a decision and never part
of it, so the table changes no outcome, and nothing of it is built in: plugins register tables of
codes, and the first that knows a code names its category.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from claimkit.claims.carc import UNMAPPED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["REMARK_CATEGORIES", "RemarkCodes", "RemarkShare", "RemarkTable", "share_remarks"]

#: Category → what its remarks say. Names that CARC categories have too mean the same.
REMARK_CATEGORIES: Mapping[str, str] = MappingProxyType(
    {
        "appeal": "How to appeal, to dispute or to send again, or that nobody can.",
        "authorization_referral": "No authorization, precertification or referral, or not for this.",
        "benefit_limit_exclusion": "The plan does not cover it, or its limit is reached.",
        "bundling": "Part of another service that was paid or decided.",
        "coding_billing": "What was billed does not fit: a code, a modifier, a form, or what is on one claim.",
        "contractual": "By which contract, schedule or law the payment was calculated.",
        "correction": "An earlier decision was reversed, replaced or adjusted.",
        "duplicate": "The same service was paid or decided already.",
        "eligibility": "The person was not covered, or not for this.",
        "informational": "Says something about the claim and asks for nothing.",
        "medical_necessity": "Not deemed necessary, or not at this level.",
        "missing_codes": "A code is missing or invalid: procedure, diagnosis, revenue, drug, tooth.",
        "missing_dates": "A date, an hour or a period is missing or invalid.",
        "missing_fields": "Something else on the claim is missing or invalid.",
        "missing_patient": "Who the patient or the subscriber is, is missing or does not match.",
        "missing_provider": "A provider's number, name, address or taxonomy is missing or does not match.",
        "missing_records": "A document is missing or incomplete: a record, report, order, form or bill.",
        "other_payer_cob": "Another payer should pay first, or what it decided is missing.",
        "patient_share": "What the patient owes, or does not.",
        "pended": "Not decided yet, or to be decided again.",
        "property_casualty": "Workers' compensation, auto and liability claims.",
        "provider_network": "The provider may not bill this, or is not enrolled or certified for it.",
        "quality_penalty": "Taken off by a quality or reporting program.",
        "timely_filing": "Sent too late.",
    }
)


class RemarkCodes(Protocol):
    """A list of remark codes that a plugin knows."""

    @property
    def name(self) -> str:
        """Unique name of the list."""
        ...

    def categories(self) -> Mapping[str, str]:
        """Return code → name of its category, one of :data:`REMARK_CATEGORIES`; from memory."""
        ...


class RemarkTable:
    """Category by remark code, from all lists together.

    Args:
        lists: The first that knows a code names its category.
    """

    def __init__(self, lists: Iterable[RemarkCodes]) -> None:
        self._categories: dict[str, str] = {}
        for one in lists:
            self._categories = {**one.categories(), **self._categories}

    def __len__(self) -> int:
        return len(self._categories)

    def __contains__(self, code: str) -> bool:
        return code in self._categories

    def category(self, code: str) -> str:
        """Return the category of a code, ``unmapped`` for one that nobody knows; never guessed."""
        return self._categories.get(code, UNMAPPED)


class RemarkShare(NamedTuple):
    """One remark among claims."""

    #: RARC, ``""`` for the claims that have none.
    code: str
    #: One of :data:`REMARK_CATEGORIES`, ``unmapped``, or ``""`` without a code.
    category: str
    claims: int
    #: Billed, cents.
    charge: int
    #: Of all claims, 0 to 1.
    share: float


def share_remarks(
    found: Iterable[tuple[str, int, int]], table: RemarkTable, *, limit: int = 8
) -> list[RemarkShare]:
    """Return the most frequent remarks of claims, those without one among them.

    Args:
        found: Code, how many claims have it, and their charge in cents.
        table: Names the categories.
        limit: Remarks at most; shares are of all claims, also of those that are left out.

    >>> class Mine:
    ...     name = "mine"
    ...     def categories(self):
    ...         return {"M127": "missing_records"}
    >>> shares = share_remarks([("", 1, 9_000), ("M127", 3, 60_000)], RemarkTable([Mine()]))
    >>> [(one.code, one.category, one.claims, one.share) for one in shares]
    [('M127', 'missing_records', 3, 0.75), ('', '', 1, 0.25)]
    """
    rows = sorted(found, key=lambda one: (-one[1], -one[2], one[0]))
    claims = sum(count for _, count, _ in rows)
    return [
        RemarkShare(code, table.category(code) if code else "", count, charge, count / claims)
        for code, count, charge in rows[:limit]
    ]
