"""The policies of row-level security."""

from django.db import migrations

from claimkit_django.migrations_kit import AddTenantPolicy


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("claimkit_webhooks", "0001_initial")]

    operations = [
        AddTenantPolicy(model_name="endpoint"),
        AddTenantPolicy(model_name="endpointkey"),
        AddTenantPolicy(model_name="message"),
        AddTenantPolicy(model_name="delivery"),
        AddTenantPolicy(model_name="attempt"),
    ]
