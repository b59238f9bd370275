"""Foreign keys that stay with the tenant, and the policies of row-level security."""

import django.db.models.deletion
from django.db import migrations, models

from claimkit_django.migrations_kit import AddConstraintSafely, AddTenantPolicy, Patiently
from claimkit_django.tenants.keys import TenantForeignKey


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("claimkit_claims", "0001_initial"),
        ("claimkit_tenants", "0001_initial"),
    ]

    operations = [
        AddConstraintSafely(
            model_name="upload",
            constraint=models.UniqueConstraint(
                fields=("tenant", "id"), name="claims_upload_tenant_id"
            ),
        ),
        AddConstraintSafely(
            model_name="rejectedrow",
            constraint=TenantForeignKey(
                fields=("tenant", "upload"),
                name="claims_rejected_upload",
                to="claimkit_claims.Upload",
                to_fields=("tenant", "id"),
            ),
        ),
        Patiently(
            migrations.AlterField(
                model_name="rejectedrow",
                name="upload",
                field=models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=django.db.models.deletion.CASCADE,
                    related_name="rejected",
                    to="claimkit_claims.upload",
                ),
            )
        ),
        AddConstraintSafely(
            model_name="claim",
            constraint=TenantForeignKey(
                fields=("tenant",),
                name="claims_claim_tenant",
                to="claimkit_tenants.Tenant",
                to_fields=("id",),
            ),
        ),
        AddConstraintSafely(
            model_name="claimevent",
            constraint=TenantForeignKey(
                fields=("tenant", "claim_key"),
                name="claims_event_claim",
                to="claimkit_claims.Claim",
                to_fields=("tenant", "claim_key"),
            ),
        ),
        AddConstraintSafely(
            model_name="serviceline",
            constraint=TenantForeignKey(
                fields=("tenant", "claim_key", "event_key"),
                name="claims_line_event",
                to="claimkit_claims.ClaimEvent",
                to_fields=("tenant", "claim_key", "event_key"),
            ),
        ),
        AddConstraintSafely(
            model_name="adjustment",
            constraint=TenantForeignKey(
                fields=("tenant", "claim_key", "event_key", "line"),
                name="claims_adjustment_line",
                to="claimkit_claims.ServiceLine",
                to_fields=("tenant", "claim_key", "event_key", "ordinal"),
            ),
        ),
        AddTenantPolicy(model_name="upload"),
        AddTenantPolicy(model_name="rejectedrow"),
        AddTenantPolicy(model_name="dimension"),
        AddTenantPolicy(model_name="claim"),
        AddTenantPolicy(model_name="claimevent"),
        AddTenantPolicy(model_name="serviceline"),
        AddTenantPolicy(model_name="adjustment"),
    ]
