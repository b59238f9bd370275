"""Rules of the demo: one acts alone, one asks first, one is only tried out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claimkit.automation.rules import Mode
from claimkit.events import ClaimsImported, DriftDetected
from claimkit_django.automation.models import Approval, Rule, Work
from claimkit_django.tenants.scope import enter

if TYPE_CHECKING:
    from claimkit_django.tenants.models import Tenant


def make(tenant: Tenant) -> None:
    """Make the tenant's rules, or leave them as they are."""
    severe = {"fact": "severity_rank", "operator": "at_least", "operand": 2}
    denials = {"fact": "kind_of_change", "operator": "equals", "operand": "denial_rate"}
    with enter(tenant):
        if Rule.objects.exists():
            return
        Rule.objects.create(
            name="Appeal when denials rise",
            topic=DriftDetected.topic,
            conditions=[denials],
            action="appeal_packet",
            settings={"grounds": "Our contract does not name this reason.", "due_days": 30},
            mode=Mode.APPROVAL,
            priority=10,
        )
        Rule.objects.create(
            name="Call the payer about severe changes",
            topic=DriftDetected.topic,
            conditions=[severe],
            action="create_task",
            settings={"text": "Call the payer's provider relations", "due_days": 3},
            mode=Mode.AUTOMATIC,
            priority=20,
        )
        Rule.objects.create(
            name="Look at files with many rejected rows",
            topic=ClaimsImported.topic,
            conditions=[{"fact": "rejected", "operator": "at_least", "operand": 1}],
            action="create_task",
            settings={"text": "Repair the rejected rows", "due_days": 1},
            mode=Mode.DRY_RUN,
            priority=30,
        )


def told(tenant: Tenant) -> str:
    """Say what the tenant's rules did, and what they ask."""
    with enter(tenant):
        asked = Approval.objects.filter(state=Approval.State.WAITING).count()
        left = Work.objects.filter(done_at=None).count()
    return f"{left} task{'' if left == 1 else 's'} left, {asked} to approve or reject"
