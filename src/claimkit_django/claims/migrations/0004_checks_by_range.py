"""Checks of codes by both ends of their range, which SQLite does at a fifth of the cost."""

from django.db import migrations, models
from django.db.models import Q

from claimkit_django.migrations_kit import AddConstraintSafely, RemoveConstraintSafely


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("claimkit_claims", "0003_tenant_rules")]

    operations = [
        RemoveConstraintSafely(model_name="claim", name="claims_claim_outcome"),
        AddConstraintSafely(
            model_name="claim",
            constraint=models.CheckConstraint(
                condition=Q(("outcome__range", (0, 6)), ("first_outcome__range", (0, 6))),
                name="claims_claim_outcome",
            ),
        ),
        RemoveConstraintSafely(model_name="claimevent", name="claims_event_words"),
        AddConstraintSafely(
            model_name="claimevent",
            constraint=models.CheckConstraint(
                condition=Q(
                    ("kind__range", (0, 4)),
                    ("source__range", (0, 5)),
                    ("outcome__range", (0, 6)),
                ),
                name="claims_event_words",
            ),
        ),
    ]
