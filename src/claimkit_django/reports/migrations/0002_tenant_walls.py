"""The policies of row-level security."""

from django.db import migrations

from claimkit_django.migrations_kit import AddTenantPolicy


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("claimkit_reports", "0001_initial")]

    operations = [
        AddTenantPolicy(model_name="reportrun"),
        AddTenantPolicy(model_name="reportfile"),
        AddTenantPolicy(model_name="reportmail"),
        AddTenantPolicy(model_name="reportschedule"),
        AddTenantPolicy(model_name="exportrun"),
    ]
