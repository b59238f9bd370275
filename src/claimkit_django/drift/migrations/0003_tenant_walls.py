"""Foreign keys to the tenant, and the policies of row-level security."""

from django.db import migrations

from claimkit_django.migrations_kit import AddConstraintSafely, AddTenantPolicy
from claimkit_django.tenants.keys import TenantForeignKey


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("claimkit_drift", "0002_backtests_and_acceptance"),
        ("claimkit_tenants", "0001_initial"),
    ]

    operations = [
        AddConstraintSafely(
            model_name="cubedecision",
            constraint=TenantForeignKey(
                fields=("tenant",),
                name="drift_decision_tenant",
                to="claimkit_tenants.Tenant",
                to_fields=("id",),
            ),
        ),
        AddConstraintSafely(
            model_name="cubemoney",
            constraint=TenantForeignKey(
                fields=("tenant",),
                name="drift_money_tenant",
                to="claimkit_tenants.Tenant",
                to_fields=("id",),
            ),
        ),
        AddConstraintSafely(
            model_name="cubeinflow",
            constraint=TenantForeignKey(
                fields=("tenant",),
                name="drift_inflow_tenant",
                to="claimkit_tenants.Tenant",
                to_fields=("id",),
            ),
        ),
        AddTenantPolicy(model_name="driftdimension"),
        AddTenantPolicy(model_name="cubedecision"),
        AddTenantPolicy(model_name="cubemoney"),
        AddTenantPolicy(model_name="cubeinflow"),
        AddTenantPolicy(model_name="finding"),
        AddTenantPolicy(model_name="watchrun"),
        AddTenantPolicy(model_name="backtestrun"),
    ]
