"""The policy of row-level security on remembered answers."""

from django.db import migrations

from claimkit_django.migrations_kit import AddTenantPolicy


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("claimkit_tenants", "0002_data_changes_and_idempotency")]

    operations = [AddTenantPolicy(model_name="idempotencykey")]
