"""Tokens that may take what singles out a patient; none that was made before may."""

from django.db import migrations, models

from claimkit_django.migrations_kit import Patiently


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("claimkit_accounts", "0001_initial")]

    operations = [
        Patiently(
            migrations.AddField(
                model_name="apitoken",
                name="personal",
                field=models.BooleanField(db_default=False, default=False),
            )
        ),
    ]
