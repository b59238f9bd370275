"""The cube by payments, and by the measures that plugins and contracts add."""

import django.db.models.deletion
from django.db import migrations, models

import claimkit_django.tenants.keys
from claimkit_django.migrations_kit import AddTenantPolicy


class Migration(migrations.Migration):
    dependencies = [
        ("claimkit_drift", "0004_slices"),
        ("claimkit_tenants", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="CubePayment",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "decided_day",
                        "known_day",
                        "payer",
                        "procedure_group",
                        "wait_days",
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
                ("wait_days", models.SmallIntegerField()),
                ("claims", models.BigIntegerField()),
                ("paid", models.BigIntegerField()),
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
                        name="drift_payment_tenant",
                        to="claimkit_tenants.Tenant",
                        to_fields=("id",),
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("wait_days__gte", -1), ("wait_days__lte", 120)),
                        name="drift_payment_wait",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("payer__gte", 0), ("procedure_group__gte", 0)),
                        name="drift_payment_codes",
                    ),
                ],
            },
        ),
        AddTenantPolicy(model_name="cubepayment"),
        migrations.CreateModel(
            name="CubeMeasure",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "day",
                        "known_day",
                        "measure",
                        "payer",
                        "procedure_group",
                        "value_bin",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("day", models.IntegerField()),
                ("known_day", models.IntegerField()),
                ("measure", models.IntegerField()),
                ("payer", models.IntegerField()),
                ("procedure_group", models.IntegerField()),
                ("value_bin", models.SmallIntegerField()),
                ("claims", models.BigIntegerField()),
                ("value", models.BigIntegerField()),
                ("value_squared", models.BigIntegerField()),
                ("cents", models.BigIntegerField()),
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
                        name="drift_measure_tenant",
                        to="claimkit_tenants.Tenant",
                        to_fields=("id",),
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("measure__gte", 0), ("payer__gte", 0), ("procedure_group__gte", 0)
                        ),
                        name="drift_measure_codes",
                    ),
                ],
            },
        ),
        AddTenantPolicy(model_name="cubemeasure"),
    ]
