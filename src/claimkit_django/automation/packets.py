"""Appeal packets: a letter with the claims, the reasons and the evidence, made when somebody asks for it.

A packet names claims, so it is made anew for whoever may see them, and kept nowhere. Any renderer of the
reports room makes a file of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import timezone

from claimkit.drift.wording import date_words, group_words, money_words, reason_words
from claimkit.reports.document import Column, Report, Section, Table, ValueKind
from claimkit_django.automation.models import Approval, Execution, Rule
from claimkit_django.runtime import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from claimkit.drift.findings import Finding
    from claimkit.types import TenantKey
    from claimkit_django.automation.models import Work
    from claimkit_django.runtime import DeniedClaim

__all__ = ["ACTION", "make_packet"]

#: The action whose work has a packet.
ACTION = "appeal_packet"
#: Claims that a packet lists, the dearest first.
_MOST_CLAIMS = 200


def make_packet(work: Work, *, tenant: TenantKey, name: str, using: str) -> Report | None:
    """Return the packet of a task, in the scope of its tenant; None where the task has none.

    Args:
        work: What the action left.
        tenant: Whose claims.
        name: What people call the tenant.
        using: Alias of the database.
    """
    lines = Execution.objects.using(using).filter(
        rule=work.rule, subject=work.subject, action=ACTION
    )
    store = open_store(using)
    if not lines.exists() or not store.has("findings"):
        return None
    found = [one for one, _ in store.findings.all(tenant) if one.fingerprint == work.subject]
    if not found:
        return None
    finding = found[-1]
    claims: Sequence[DeniedClaim] = ()
    if store.has("denials"):
        claims = store.denials.rows(
            payer=finding.segment.payer,
            groups=finding.segment.procedure_groups,
            since=finding.onset,
            limit=_MOST_CLAIMS,
        )
    return Report(
        title=f"Appeal to {finding.segment.payer}",
        tenant=name,
        as_of=finding.as_of,
        generated_at=timezone.now(),
        headline=f"We ask {finding.segment.payer} to reconsider {len(claims):,} denied claims.",
        sections=(
            _letter(finding, claims, _grounds(work, using)),
            _listed(claims),
            _evidence(finding),
        ),
    )


def _grounds(work: Work, using: str) -> str:
    """Return what the rule says why, as long as it or its approval is there."""
    for model, known in ((Rule, {"uid": work.rule}), (Approval, {"rule": work.rule})):
        row = model.objects.using(using).filter(action=ACTION, **known).order_by("-id").first()
        if row is not None:
            return str(row.settings.get("grounds", ""))
    return ""


def _letter(finding: Finding, claims: Sequence[DeniedClaim], grounds: str) -> Section:
    total = money_words(sum(one.charge for one in claims))
    why = reason_words(finding.evidence.reasons_since, finding.evidence.codes_since)
    asked = (
        f"Since {date_words(finding.onset)} you denied more of our"
        f" {group_words(finding.segment.procedure_groups)} than before"
        f"{f', {why}' if why else ''}. The claims below, charged at {total}, were among them."
    )
    closing = "Please reconsider them, and name the change of policy or contract on which the denials rest."
    return Section(
        anchor="letter",
        heading="Request for reconsideration",
        paragraphs=tuple(one for one in (asked, grounds, closing) if one),
    )


def _listed(claims: Sequence[DeniedClaim]) -> Section:
    table = Table(
        caption=f"{len(claims):,} denied claims, the dearest first",
        columns=(
            Column(label="Claim"),
            Column(label="Payer's number"),
            Column(label="Service", kind=ValueKind.DATE),
            Column(label="Decision", kind=ValueKind.DATE),
            Column(label="Reason"),
            Column(label="Charge", kind=ValueKind.MONEY),
        ),
        rows=tuple(
            (one.number, one.payer_number, one.service_on, one.decided_on, one.reason, one.charge)
            for one in claims
        ),
    )
    return Section(anchor="claims", heading="Claims", tables=(table,) if claims else ())


def _evidence(finding: Finding) -> Section:
    seen = finding.evidence
    table = Table(
        caption="Denied share of decisions, beside what came before",
        columns=(
            Column(label="From", kind=ValueKind.DATE),
            Column(label="Decisions", kind=ValueKind.COUNT),
            Column(label="Denied", kind=ValueKind.SHARE),
            Column(label="Expected", kind=ValueKind.SHARE),
        ),
        rows=tuple(zip(seen.days, seen.claims, seen.observed, seen.expected, strict=False)),
    )
    return Section(
        anchor="evidence",
        heading="What changed",
        paragraphs=(finding.summary,),
        tables=(table,) if seen.days and finding.unit == "share" else (),
        points=finding.why,
    )
