"""What waits for a hold, from which confidence rules act alone, and a log that nobody rewrites."""

from django.db import migrations, models

from claimkit_django.migrations_kit import AppendOnly, Patiently


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("claimkit_automation", "0003_topics_may_grow")]

    operations = [
        Patiently(
            migrations.AddField(
                model_name="rule",
                name="ask_below_confidence",
                field=models.FloatField(blank=True, null=True),
            )
        ),
        Patiently(
            migrations.AddField(
                model_name="approval",
                name="held",
                field=models.BooleanField(db_default=False, default=False),
            )
        ),
        AppendOnly(model_name="execution", removable=True),
    ]
