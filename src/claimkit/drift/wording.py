"""Words for findings: money, dates, shares and reasons as people say them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claimkit.drift.findings import Signal

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from claimkit.types import Cents

__all__ = [
    "category_words",
    "date_words",
    "day_words",
    "group_words",
    "money_words",
    "month_words",
    "reason_words",
    "share_words",
    "signal_words",
    "value_words",
]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CATEGORIES = {
    "authorization_referral": "authorization or referral",
    "benefit_limit_exclusion": "benefit limits and exclusions",
    "coding_billing": "coding and billing",
    "missing_info_docs": "missing information or documents",
    "other_payer_cob": "coordination of benefits",
    "provider_network": "provider and network",
    "unmapped": "reasons without a known code",
    "unspecified_denial": "unspecified reasons",
}
_SIGNALS = {
    Signal.DENIAL_RATE: "denies more",
    Signal.DENIAL_REASON_MIX: "denies for other reasons",
    Signal.DECISION_TIME: "decides later",
    Signal.ALLOWED_AMOUNT: "pays less",
    Signal.VOLUME: "fewer claims decided",
    Signal.PAYMENT_TIME: "pays later",
    Signal.UNDERPAYMENT: "pays below contract",
    Signal.MEASURE: "changed",
}


def signal_words(signal: Signal) -> str:
    """Return what changed, in words that follow the payer's name.

    >>> signal_words(Signal.DECISION_TIME)
    'decides later'
    """
    return _SIGNALS[signal]


def money_words(cents: Cents) -> str:
    """Return an amount rounded to what a decision needs: two digits, dollars.

    >>> money_words(4_123_456), money_words(87_654), money_words(-120_000_00)
    ('$41,000', '$880', '-$120,000')
    """
    dollars = abs(cents) / 100
    digits = len(str(int(dollars)))
    rounded = round(dollars, 2 - digits) if digits > 2 else round(dollars)
    return f"{'-' if cents < 0 and rounded else ''}${int(rounded):,}"


def share_words(share: float) -> str:
    """Return a share as percent.

    >>> share_words(0.1823)
    '18.2 %'
    """
    return f"{100 * share:.1f} %"


def day_words(days: float) -> str:
    """Return a number of days.

    >>> day_words(1.04), day_words(12.26)
    ('1 day', '12.3 days')
    """
    text = f"{days:.1f}".removesuffix(".0")
    return f"{text} day" if text == "1" else f"{text} days"


def date_words(date: dt.date) -> str:
    """Return a date as ``3 Mar 2026``, the same in every locale."""
    return f"{date.day} {_MONTHS[date.month - 1]} {date.year}"


def month_words(date: dt.date) -> str:
    """Return the month of a date as ``Mar 2026``, the same in every locale."""
    return f"{_MONTHS[date.month - 1]} {date.year}"


def category_words(category: str) -> str:
    """Return a denial category in words.

    >>> category_words("authorization_referral"), category_words("timely_filing")
    ('authorization or referral', 'timely filing')
    """
    return _CATEGORIES.get(category, category.replace("_", " "))


def group_words(groups: Sequence[str]) -> str:
    """Return what claims are meant, as part of a sentence.

    >>> group_words([]), group_words(["imaging_ct"]), group_words(["em", "lab"])
    ('claims', 'imaging ct claims', 'em and lab claims')
    >>> group_words(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more groups of claims'
    """
    words = [group.replace("_", " ") or "ungrouped" for group in groups]
    if not words:
        return "claims"
    if len(words) > 4:
        return f"{', '.join(words[:3])} and {len(words) - 3} more groups of claims"
    *head, last = words
    return f"{', '.join(head)} and {last} claims" if head else f"{last} claims"


def value_words(dimension: str, values: Sequence[str]) -> str:
    """Return which values of a further dimension are meant.

    >>> value_words("line_of_business", ["MA", "HMO"]), value_words("facility", ["11"])
    ('line of business MA and HMO', 'facility 11')
    """
    if len(values) > 4:
        values = [*values[:3], f"{len(values) - 3} more"]
    *head, last = values
    named = f"{', '.join(head)} and {last}" if head else last
    return f"{dimension.replace('_', ' ')} {named}"


def reason_words(shares: Mapping[str, float], codes: Mapping[str, float]) -> str:
    """Return what most denials name: their category and its code, ``""`` where none stands out.

    >>> reason_words({"authorization_referral": 0.7, "bundling": 0.3}, {"CO-197": 0.6})
    'mostly authorization or referral (CO-197)'
    >>> reason_words({"bundling": 0.3, "eligibility": 0.3}, {})
    ''
    """
    if not shares:
        return ""
    category = max(shares, key=lambda name: (shares[name], name))
    if shares[category] < 0.5:
        return ""
    code = max(codes, key=lambda name: (codes[name], name), default="")
    named = f" ({code})" if code and codes[code] >= 0.3 else ""
    return f"mostly {category_words(category)}{named}"
