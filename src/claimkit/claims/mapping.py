"""A tenant's own words for payers and procedure groups: rules, and what they do to claims.

A rule puts what a file states under the tenant's name for it: a payer by its name, the beginning
of its name, or its id; a procedure by its code, the beginning of its code, or a range of codes.
What the file stated is kept beside it, so that another version of the rules can start anew.
Rules may build on each other (A is B, B is C) and must not go in a circle.

Which rules apply is decided where claims are stored, inside the transaction: a mapping that
changed while a file was on its way cannot leave claims behind under the old name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from claimkit.claims.payers import KnownPayers, fold_payer, suggest_payers
from claimkit.claims.procedures import INPATIENT, ProcedureGroups
from claimkit.errors import MappingRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from claimkit.claims.lone import LoneClaims
    from claimkit.claims.model import Claim, ClaimEvent
    from claimkit.claims.payers import DirectoryEntry

__all__ = ["ClaimMapping", "MappingRule", "Match", "Subject", "Suggestion", "suggest_rules"]


class Subject(StrEnum):
    """What a rule renames."""

    PAYER = "payer"
    PROCEDURE_GROUP = "procedure_group"


class Match(StrEnum):
    """How a rule recognizes what it renames."""

    #: The whole name (as people write it: case, punctuation and "Inc." do not count), id or code.
    EXACT = "exact"
    #: What begins so; the longest beginning wins. Exact rules come first.
    PREFIX = "prefix"
    #: Procedure codes from ``value`` to ``last``, both included and of one form.
    RANGE = "range"


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingRule:
    """One rule: what matches ``value`` is called ``target``."""

    subject: Subject
    match: Match
    #: A payer's name, its ``namespace:id`` such as ``PI:60054``, or a procedure code.
    value: str
    #: Last code of a range.
    last: str = ""
    target: str


class ClaimMapping:
    """The rules of one tenant, ready to use.

    Args:
        rules: In any order.

    Raises:
        MappingRefused: a rule makes no sense, two contradict each other, ranges overlap
            (``mapping_invalid``), or rules go in a circle (``mapping_circle``).

    >>> rule = MappingRule(subject=Subject.PAYER, match=Match.EXACT, value="BLM", target="Blue Lake")
    >>> ClaimMapping([rule]).payer("blm", "", "BLM")
    'Blue Lake'
    """

    def __init__(self, rules: Iterable[MappingRule] = ()) -> None:
        self.rules: tuple[MappingRule, ...] = tuple(rules)
        for one in self.rules:
            _check(one)
        payers = [one for one in self.rules if one.subject is Subject.PAYER]
        exact = [one for one in payers if one.match is Match.EXACT]
        self._names = _unique((fold_payer(one.value), one.target) for one in exact if not _id(one))
        self._ids = _unique((one.value, one.target) for one in exact if _id(one))
        prefixes = [one for one in payers if one.match is Match.PREFIX]
        self._prefixes = _longest_first(
            (fold_payer(one.value), one.target) for one in prefixes if not _id(one)
        )
        self._id_prefixes = _longest_first((one.value, one.target) for one in prefixes if _id(one))
        self._refuse_circles()
        self._codes, self._code_prefixes, self._ranges = _procedures(self.rules)

    def payer(self, name: str, payer_id: str, base: str) -> str:
        """Return what the tenant calls a payer.

        Args:
            name: As stated.
            payer_id: As stated, ``namespace:id``.
            base: Its name without any rule, which stays where no rule matches.
        """
        found = self._names.get(fold_payer(name)) or self._names.get(fold_payer(base))
        found = found or self._ids.get(payer_id)
        found = found or _first(self._prefixes, fold_payer(name) or fold_payer(base))
        found = found or _first(self._id_prefixes, payer_id)
        return self._end(found) if found else base

    def group(self, code: str, base: str) -> str:
        """Return the tenant's group of a procedure code; ``base`` where no rule matches.

        Claims without a group and inpatient stays, which are decided as a whole, keep theirs.
        """
        if base in ("", INPATIENT):
            return base
        found = self._codes.get(code) or _first(self._code_prefixes, code)
        if found or self._ranges is None:
            return found or base
        return self._ranges.of(code, "") if self._ranges.covers(code) else base

    def apply(self, claims: Iterable[Claim]) -> None:
        """Give claims the tenant's names, in place; doing it twice changes nothing more."""
        if not self.rules:
            return
        payers: dict[tuple[str, str, str], str] = {}
        groups: dict[tuple[str, str], str] = {}
        for claim in claims:
            base = claim.base_payer or claim.payer
            stated = (claim.payer_name, claim.payer_id, base)
            if stated not in payers:
                payers[stated] = self.payer(*stated)
            if payers[stated] != claim.payer:
                claim.base_payer, claim.payer = base, payers[stated]
            group = claim.base_group or claim.procedure_group
            billed = (claim.procedure_code, group)
            if billed not in groups:
                groups[billed] = self.group(*billed)
            if groups[billed] != claim.procedure_group:
                claim.base_group, claim.procedure_group = group, groups[billed]

    def apply_lone(self, lone: LoneClaims) -> None:
        """Do the same to claims that came as columns, by replacing columns."""
        if not self.rules:
            return
        payers = lone.claim("payer")
        bases = _told_first(lone.claim("base_payer"), payers)
        stated = list(zip(lone.claim("payer_name"), lone.claim("payer_id"), bases, strict=True))
        _rename(lone, "payer", stated, {one: self.payer(*one) for one in set(stated)}, bases)
        bases = _told_first(lone.claim("base_group"), lone.claim("procedure_group"))
        billed = list(zip(lone.claim("procedure_code"), bases, strict=True))
        groups = {one: self.group(*one) for one in set(billed)}
        _rename(lone, "procedure_group", billed, groups, bases)

    def renamed(self, events: Iterable[ClaimEvent]) -> list[ClaimEvent]:
        """Return those events that are called otherwise by these rules, under their new names."""
        found = []
        for one in events:
            payer = self.payer(one.payer_name, one.payer_id, one.base_payer)
            group = self.group(one.procedure_code, one.base_group)
            if (payer, group) != (one.payer, one.procedure_group):
                found.append(replace(one, payer=payer, procedure_group=group))
        return found

    def _end(self, target: str) -> str:
        """Follow rules that build on each other to the last name; there are no circles."""
        following = self._next(target)
        return target if following is None else self._end(following)

    def _next(self, target: str) -> str | None:
        """Return what a rule makes of another rule's target; None where it stays."""
        folded = fold_payer(target)
        found = self._names.get(folded) or _first(self._prefixes, folded)
        return None if not found or fold_payer(found) == folded else found

    def _refuse_circles(self) -> None:
        starts = [*self._names.values(), *self._ids.values()]
        starts += [target for _, target in (*self._prefixes, *self._id_prefixes)]
        for start in starts:
            seen, at = [start], self._next(start)
            while at is not None:
                if fold_payer(at) in map(fold_payer, seen):
                    raise MappingRefused(
                        f"the rules go in a circle: {' -> '.join([*seen, at])}",
                        remedy="Remove one of them, so that one name is the last",
                        code="mapping_circle",
                    )
                seen.append(at)
                at = self._next(at)


#: Attribute of a claim → where its value without rules is kept.
_BASES = {"payer": "base_payer", "procedure_group": "base_group"}


def _told_first(one: Sequence[str], other: Sequence[str]) -> list[str]:
    return [first or then for first, then in zip(one, other, strict=True)]


def _rename(
    lone: LoneClaims,
    name: str,
    stated: Sequence[tuple[str, ...]],
    names: Mapping[Any, str],
    bases: Sequence[str],
) -> None:
    """Give a column the tenant's names, and keep what was there where they differ."""
    old, new = lone.claim(name), list(map(names.__getitem__, stated))
    if new != old:
        lone.claims[_BASES[name]] = [
            base if then != now else kept
            for base, then, now, kept in zip(bases, old, new, lone.claim(_BASES[name]), strict=True)
        ]
        lone.claims[name] = new


def _id(rule: MappingRule) -> bool:
    return ":" in rule.value


def _check(rule: MappingRule) -> None:
    wrong = ""
    if not rule.value.strip() or not rule.target.strip():
        wrong = "a rule needs a value and a target"
    elif len(rule.target) > 200 or len(rule.value) > 200:
        wrong = "names have at most 200 characters"
    elif rule.match is Match.RANGE and rule.subject is Subject.PAYER:
        wrong = "payers have names and ids, no ranges"
    elif (rule.match is Match.RANGE) != bool(rule.last):
        wrong = "a range, and only a range, has a last code"
    elif rule.subject is Subject.PAYER and not _id(rule) and not fold_payer(rule.value):
        wrong = f"{rule.value!r} is not a name"
    if wrong:
        raise MappingRefused(wrong)


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for value, target in pairs:
        if found.setdefault(value, target) != target:
            raise MappingRefused(f"two rules disagree about {value!r}")
    return found


def _longest_first(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted(_unique(pairs).items(), key=lambda one: (-len(one[0]), one[0]))


def _first(prefixes: Sequence[tuple[str, str]], text: str) -> str:
    return next((target for prefix, target in prefixes if text and text.startswith(prefix)), "")


def _procedures(
    rules: Iterable[MappingRule],
) -> tuple[dict[str, str], list[tuple[str, str]], ProcedureGroups | None]:
    own = [one for one in rules if one.subject is Subject.PROCEDURE_GROUP]
    exact = _unique((one.value.upper(), one.target) for one in own if one.match is Match.EXACT)
    prefixes = _longest_first(
        (one.value.upper(), one.target) for one in own if one.match is Match.PREFIX
    )
    ranges = [
        (one.value.upper(), one.last.upper(), one.target) for one in own if one.match is Match.RANGE
    ]
    try:
        return exact, prefixes, ProcedureGroups(ranges) if ranges else None
    except ValueError as error:
        raise MappingRefused(str(error)) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A payer's name that looks like another one's; for people to decide on."""

    value: str
    #: Nearest first.
    targets: tuple[str, ...]
    #: Statements under the name.
    statements: int


#: Names that are compared with all others; beyond these the rare ones are left out.
_MAX_COMPARED = 300
_MAX_TARGETS = 3


def suggest_rules(
    payers: Mapping[str, int], directory: Iterable[DirectoryEntry] = (), *, limit: int = 20
) -> list[Suggestion]:
    """Return names that are probably another spelling of a better known one, most used first.

    Args:
        payers: Payer → statements under that name.
        directory: Payers that are known anyway, those of payer directories. Names of two of
            them are never suggested for each other.
        limit: Most suggestions to return.

    >>> suggest_rules({"BLUE LAKE MUTUAL": 900, "BLUE LAKE MUTAL": 3})[0].targets
    ('BLUE LAKE MUTUAL',)
    """
    ranked = sorted(payers, key=lambda name: (-payers[name], name))[:_MAX_COMPARED]
    known = KnownPayers(directory)
    found = []
    for name in ranked:
        better = [
            other
            for other in ranked
            if other != name
            and (payers[other], name) > (payers[name], other)
            and not known.are_apart(name, other)
        ]
        near = [one for one in suggest_payers(name, better) if one != fold_payer(name)]
        targets = tuple(dict.fromkeys([*known.suggest(name), *near]))[:_MAX_TARGETS]
        if targets:
            found.append(Suggestion(value=name, targets=targets, statements=payers[name]))
    return found[:limit]
