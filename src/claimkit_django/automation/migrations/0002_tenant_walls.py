"""The policies of row-level security."""

from django.db import migrations

from claimkit_django.migrations_kit import AddTenantPolicy


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("claimkit_automation", "0001_initial")]

    operations = [
        AddTenantPolicy(model_name="rule"),
        AddTenantPolicy(model_name="execution"),
        AddTenantPolicy(model_name="approval"),
        AddTenantPolicy(model_name="work"),
    ]
