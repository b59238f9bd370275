"""Rates of contracts, and what tenants chose to watch."""

import django.db.models.deletion
from django.db import migrations, models

from claimkit_django.migrations_kit import AddTenantPolicy


class Migration(migrations.Migration):
    dependencies = [
        ("claimkit_drift", "0006_more_signals"),
        ("claimkit_tenants", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="ContractRate",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("payer", models.CharField(max_length=200)),
                ("procedure_code", models.CharField(max_length=200)),
                ("allowed", models.BigIntegerField(blank=True, null=True)),
                (
                    "percent_of_charge",
                    models.DecimalField(blank=True, decimal_places=4, max_digits=9, null=True),
                ),
                ("effective_from", models.DateField(blank=True, null=True)),
                ("effective_until", models.DateField(blank=True, null=True)),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="claimkit_tenants.tenant",
                    ),
                ),
            ],
            options={
                "ordering": ["payer", "procedure_code", "effective_from"],
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "payer", "procedure_code", "effective_from"),
                        name="drift_rate_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("allowed__gt", 0), ("percent_of_charge__isnull", True)),
                            models.Q(("allowed__isnull", True), ("percent_of_charge__gt", 0)),
                            _connector="OR",
                        ),
                        name="drift_rate_amount",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("effective_from__isnull", True),
                            ("effective_until__isnull", True),
                            ("effective_until__gte", models.F("effective_from")),
                            _connector="OR",
                        ),
                        name="drift_rate_days",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("payer", ""), _negated=True),
                            models.Q(("procedure_code", ""), _negated=True),
                        ),
                        name="drift_rate_given",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="DriftChoice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("detectors", models.JSONField(blank=True, null=True)),
                ("dimensions", models.JSONField(blank=True, null=True)),
                ("contracts", models.IntegerField(default=0, editable=False)),
                ("actor", models.CharField(blank=True, editable=False, max_length=150)),
                ("changed_at", models.DateTimeField(auto_now=True)),
                (
                    "tenant",
                    models.ForeignKey(
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
                    models.UniqueConstraint(fields=("tenant",), name="drift_choice_once")
                ],
            },
        ),
        AddTenantPolicy(model_name="contractrate"),
        AddTenantPolicy(model_name="driftchoice"),
    ]
