"""What holds the trail: the policies of row-level security, and triggers that refuse changes."""

from django.db import migrations

from claimkit_django.migrations_kit import AddTenantPolicy, AppendOnly


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("claimkit_audit", "0001_initial")]

    operations = [
        AddTenantPolicy(model_name="auditentry"),
        AddTenantPolicy(model_name="auditlink"),
        AddTenantPolicy(model_name="audithead"),
        AppendOnly(model_name="auditentry"),
        AppendOnly(model_name="auditlink"),
    ]
