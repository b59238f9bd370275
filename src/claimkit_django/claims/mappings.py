"""New rules for payers and procedure groups: tried, applied to all that is known, taken back.

The story: :func:`preview_rules` says what rules would rename, :func:`queue_rules` keeps them as a
version and starts :func:`apply_version`, which renames history in one transaction together with
the cube, and from which moment every import uses them. So drift never sees half of a change:
both sides of it, past and future, are called the same. :func:`restore_version` brings the rules
of an earlier version back, as a further version.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import Max
from django.utils import timezone

from claimkit.claims.mapping import (
    ClaimMapping,
    MappingRule,
    Match,
    Subject,
    Suggestion,
    suggest_rules,
)
from claimkit.claims.payers import fold_payer
from claimkit.errors import ClaimkitError
from claimkit.events import ClaimsChanged
from claimkit.tenants import current_tenant, use_tenant
from claimkit.types import SystemClock, day_of
from claimkit_django.claims.mapping_table import rule_row, rules_of
from claimkit_django.claims.models import MappingVersion
from claimkit_django.claims.store import OrmClaimStore
from claimkit_django.runtime import make_bus, open_store, plugins
from claimkit_django.tenants.turns import having_turn, take_turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from claimkit.claims.store import Merged
    from claimkit.types import Clock, Progress, TenantKey

__all__ = [
    "Renaming",
    "add_rule",
    "apply_version",
    "keep_rules",
    "payer_suggestions",
    "preview_rules",
    "restore_version",
    "rules_in_force",
]

logger = logging.getLogger(__name__)


class Renaming(NamedTuple):
    """What rules would call otherwise."""

    subject: Subject
    #: As stated: a payer's name or id, a procedure code.
    value: str
    before: str
    after: str
    statements: int


def rules_in_force(*, using: str = DEFAULT_DB_ALIAS) -> MappingVersion | None:
    """Return the version in force for the tenant in scope, None where there is none."""
    applied = MappingVersion.objects.using(using).filter(status=MappingVersion.Status.APPLIED)
    version: MappingVersion | None = applied.order_by("-number").first()
    return version


def preview_rules(
    tenant: TenantKey, rules: Iterable[MappingRule], *, using: str = DEFAULT_DB_ALIAS
) -> list[Renaming]:
    """Return what rules would change in all that is known, most statements first; writes nothing.

    Raises:
        MappingRefused: the rules cannot be used.
    """
    mapping = ClaimMapping(rules)
    store = OrmClaimStore(using)
    found = []
    for payer in store.stated_payers(tenant):
        after = mapping.payer(payer.name, payer.payer_id, payer.base)
        if after != payer.payer:
            value = payer.name or payer.payer_id
            found.append(Renaming(Subject.PAYER, value, payer.payer, after, payer.statements))
    for one in store.billed_procedures(tenant):
        after = mapping.group(one.code, one.base)
        if after != one.group:
            found.append(
                Renaming(Subject.PROCEDURE_GROUP, one.code, one.group, after, one.statements)
            )
    return sorted(found, key=lambda one: -one.statements)


def payer_suggestions(
    tenant: TenantKey, *, using: str = DEFAULT_DB_ALIAS, limit: int = 20
) -> list[Suggestion]:
    """Return payers that look like another spelling of one that is better known.

    Names that a rule in force is about are decided, and left out.
    """
    counts: dict[str, int] = {}
    for one in OrmClaimStore(using).stated_payers(tenant):
        counts[one.payer] = counts.get(one.payer, 0) + one.statements
    with use_tenant(tenant):
        version = rules_in_force(using=using)
    rules = rules_of(version.rules) if version is not None else []
    decided = {fold_payer(one.value) for one in rules if one.match is Match.EXACT}
    directory = [entry for one in plugins().payer_directories.values() for entry in one.entries()]
    found = suggest_rules(counts, directory, limit=limit + len(decided))
    return [one for one in found if fold_payer(one.value) not in decided][:limit]


def keep_rules(
    rules: Sequence[MappingRule],
    *,
    note: str = "",
    actor: str = "",
    restores: int | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> MappingVersion:
    """Keep rules as the next version of the tenant in scope, not yet in force.

    Raises:
        MappingRefused: the rules cannot be used; nothing is kept.
    """
    ClaimMapping(rules)
    with transaction.atomic(using=using):
        take_turn(current_tenant(), using)
        last = MappingVersion.objects.using(using).aggregate(last=Max("number"))["last"] or 0
        version = MappingVersion(
            number=last + 1,
            rules=[rule_row(one) for one in rules],
            note=note,
            actor=actor,
            restores=restores,
        )
        version.save(using=using)
    return version


def add_rule(
    rule: MappingRule, *, note: str = "", actor: str = "", using: str = DEFAULT_DB_ALIAS
) -> MappingVersion:
    """Keep the rules that were handed in last, and one more, as the next version.

    The new rule takes the place of one about the same value. A rule that calls a payer what it is
    called anyway says that the name is nobody else's: it is never suggested again.

    Raises:
        MappingRefused: the rules cannot be used; nothing is kept.
    """
    with transaction.atomic(using=using):
        take_turn(current_tenant(), using)
        kept = MappingVersion.objects.using(using).exclude(status=MappingVersion.Status.FAILED)
        rows = kept.order_by("-number").values_list("rules", flat=True).first() or []
        rules = [one for one in rules_of(rows) if _about(one) != _about(rule)]
        return keep_rules([*rules, rule], note=note, actor=actor, using=using)


def _about(rule: MappingRule) -> tuple[str, ...]:
    name = rule.value if ":" in rule.value else fold_payer(rule.value)
    value = name if rule.subject is Subject.PAYER else rule.value.upper()
    return rule.subject, rule.match, value, rule.last.upper()


def restore_version(
    number: int, *, actor: str = "", using: str = DEFAULT_DB_ALIAS
) -> MappingVersion:
    """Keep the rules of version ``number`` as the next version; 0 means no rules at all.

    Raises:
        MappingVersion.DoesNotExist: the tenant in scope has no such version that was applied.
    """
    rules: list[dict[str, Any]] = []
    if number:
        applied = MappingVersion.objects.using(using).filter(status=MappingVersion.Status.APPLIED)
        rules = applied.get(number=number).rules
    return keep_rules(rules_of(rules), actor=actor, restores=number, using=using)


def apply_version(
    tenant: TenantKey,
    uid: str,
    *,
    using: str = DEFAULT_DB_ALIAS,
    clock: Clock | None = None,
    progress: Progress | None = None,
) -> MappingVersion:
    """Put a kept version in force: rename history and re-derive the cube, in one transaction.

    A version that is applied already is returned unchanged, and so is one that a later applied
    version made void: it is marked as failed. Imports of the tenant wait meanwhile.

    Raises:
        MappingVersion.DoesNotExist: the tenant has no such version.
        Exception: whatever was not foreseen; nothing is renamed, and the version stays queued.
    """
    now = (clock or SystemClock()).now()
    with use_tenant(tenant):
        try:
            return _apply(tenant, uid, using, now, progress)
        except ClaimkitError as error:
            rows = MappingVersion.objects.using(using).filter(uid=uid)
            rows.exclude(status=MappingVersion.Status.APPLIED).update(
                status=MappingVersion.Status.FAILED,
                finished_at=timezone.now(),
                error_code=error.code,
                error_message=str(error),
            )
            refused: MappingVersion = rows.get()
            return refused


def _apply(
    tenant: TenantKey, uid: str, using: str, now: Any, progress: Progress | None
) -> MappingVersion:
    store = open_store(using)
    bus = make_bus(store)
    renamed_claims = statements = 0
    with bus.transaction(store.atomic()), having_turn(tenant, using):
        version: MappingVersion = MappingVersion.objects.using(using).get(uid=uid)
        if version.status != MappingVersion.Status.QUEUED:
            return version
        current = rules_in_force(using=using)
        if current is not None and current.number > version.number:
            version.status = MappingVersion.Status.FAILED
            version.error_code = "mapping_overtaken"
            version.error_message = "a later version is in force already"
            version.finished_at = timezone.now()
            version.save(using=using)
            return version
        for count, merged in OrmClaimStore(using).rename(
            tenant, ClaimMapping(rules_of(version.rules))
        ):
            _tell(bus, tenant, now, merged)
            statements += count
            renamed_claims += merged.added.changed
            if progress is not None:
                progress("renaming claims", renamed_claims, None)
        version.status = MappingVersion.Status.APPLIED
        version.statements_changed, version.claims_changed = statements, renamed_claims
        version.finished_at = timezone.now()
        version.save(using=using)
    logger.info("mapping applied", extra={"mapping": uid, "claims": renamed_claims})
    return version


def _tell(bus: Any, tenant: TenantKey, now: Any, merged: Merged) -> None:
    if merged.changes:
        bus.stage(
            ClaimsChanged(
                tenant=tenant, at=now, changes=merged.changes, known_day=day_of(now.date())
            )
        )
