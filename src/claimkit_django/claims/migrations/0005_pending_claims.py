"""Claims of a file that wait for their payers, so that scoring them does not read all claims."""

from django.db import migrations, models

from claimkit_django.migrations_kit import AddIndexSafely


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("claimkit_claims", "0004_checks_by_range")]

    operations = [
        AddIndexSafely(
            model_name="claim",
            index=models.Index(
                condition=models.Q(("has_decision", False)),
                fields=["tenant", "upload", "id"],
                name="claims_claim_pending",
            ),
        ),
    ]
