"""The policies of row-level security of tables that came later."""

from django.db import migrations

from claimkit_django.migrations_kit import AddTenantPolicy


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("claimkit_alerts", "0003_signals_and_digests")]

    operations = [
        AddTenantPolicy(model_name="digest"),
        AddTenantPolicy(model_name="heartbeat"),
        AddTenantPolicy(model_name="signal"),
    ]
