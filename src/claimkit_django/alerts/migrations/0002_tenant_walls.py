"""The policies of row-level security."""

from django.db import migrations

from claimkit_django.migrations_kit import AddTenantPolicy


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("claimkit_alerts", "0001_initial")]

    operations = [
        AddTenantPolicy(model_name="alert"),
        AddTenantPolicy(model_name="alertentry"),
        AddTenantPolicy(model_name="judgment"),
        AddTenantPolicy(model_name="channel"),
        AddTenantPolicy(model_name="route"),
        AddTenantPolicy(model_name="rule"),
        AddTenantPolicy(model_name="silence"),
        AddTenantPolicy(model_name="notification"),
        AddTenantPolicy(model_name="notificationitem"),
    ]
