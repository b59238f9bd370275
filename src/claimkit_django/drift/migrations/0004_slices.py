"""The cube by further dimensions, and what a finding says of them."""

import django.db.models.deletion
from django.db import migrations, models

import claimkit_django.tenants.keys
from claimkit_django.migrations_kit import AddTenantPolicy


class Migration(migrations.Migration):
    dependencies = [
        ("claimkit_drift", "0003_tenant_walls"),
        ("claimkit_tenants", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="finding",
            name="places",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.CreateModel(
            name="CubeSlice",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "decided_day",
                        "known_day",
                        "payer",
                        "procedure_group",
                        "outcome",
                        "slice",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("decided_day", models.IntegerField()),
                ("known_day", models.IntegerField()),
                ("payer", models.IntegerField()),
                ("procedure_group", models.IntegerField()),
                ("outcome", models.IntegerField()),
                ("slice", models.IntegerField()),
                ("claims", models.BigIntegerField()),
                ("charge", models.BigIntegerField()),
                (
                    "tenant",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="claimkit_tenants.tenant",
                    ),
                ),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
                "constraints": [
                    claimkit_django.tenants.keys.TenantForeignKey(
                        fields=("tenant",),
                        name="drift_slice_tenant",
                        to="claimkit_tenants.Tenant",
                        to_fields=("id",),
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("outcome__gte", 0),
                            ("payer__gte", 0),
                            ("procedure_group__gte", 0),
                            ("slice__gte", 0),
                        ),
                        name="drift_slice_codes",
                    ),
                ],
            },
        ),
        AddTenantPolicy(model_name="cubeslice"),
    ]
