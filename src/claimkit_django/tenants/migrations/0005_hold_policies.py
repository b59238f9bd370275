"""The policies of row-level security on legal holds and marks of retention."""

from django.db import migrations

from claimkit_django.migrations_kit import AddTenantPolicy


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("claimkit_tenants", "0004_legal_holds")]

    operations = [
        AddTenantPolicy(model_name="legalhold"),
        AddTenantPolicy(model_name="retentionmark"),
    ]
