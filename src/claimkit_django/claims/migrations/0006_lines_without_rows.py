"""Statements that stand for their line, and no foreign keys checked for each row of an import."""

from django.db import migrations, models

from claimkit_django.migrations_kit import Patiently, RemoveConstraintSafely


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("claimkit_claims", "0005_pending_claims")]

    operations = [
        Patiently(
            migrations.AddField(
                model_name="claimevent",
                name="stands_for_line",
                field=models.BooleanField(db_default=False, default=False),
            )
        ),
        RemoveConstraintSafely(model_name="adjustment", name="claims_adjustment_line"),
        RemoveConstraintSafely(model_name="serviceline", name="claims_line_event"),
        RemoveConstraintSafely(model_name="claimevent", name="claims_event_claim"),
    ]
