"""A tenant's names and templates, what files stated, and what is unusual about a file."""

import django.db.models.deletion
from django.db import migrations, models

import claimkit_django.uids
from claimkit_django.migrations_kit import (
    AddConstraintSafely,
    AddIndexSafely,
    AddTenantPolicy,
    Patiently,
    RemoveConstraintSafely,
)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("claimkit_claims", "0002_tenant_walls"),
        ("claimkit_tenants", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="CsvTemplate",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "uid",
                    models.CharField(
                        default=claimkit_django.uids.new_template_uid, editable=False, max_length=32
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("header", models.JSONField(default=list)),
                ("columns", models.JSONField(blank=True, default=dict)),
                (
                    "date_order",
                    models.CharField(
                        blank=True,
                        choices=[("mdy", "month/day/year"), ("dmy", "day/month/year")],
                        max_length=3,
                    ),
                ),
                ("nulls", models.JSONField(blank=True, default=list)),
                ("actor", models.CharField(blank=True, editable=False, max_length=150)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("changed_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "ordering": ["name"],
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="MappingVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "uid",
                    models.CharField(
                        default=claimkit_django.uids.new_mapping_uid, editable=False, max_length=32
                    ),
                ),
                ("number", models.IntegerField()),
                ("rules", models.JSONField(blank=True, default=list)),
                ("note", models.CharField(blank=True, max_length=200)),
                ("actor", models.CharField(blank=True, max_length=150)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("applied", "Applied"),
                            ("failed", "Failed"),
                        ],
                        default="queued",
                        editable=False,
                        max_length=16,
                    ),
                ),
                ("restores", models.IntegerField(blank=True, null=True)),
                ("statements_changed", models.BigIntegerField(default=0)),
                ("claims_changed", models.BigIntegerField(default=0)),
                ("error_code", models.CharField(blank=True, max_length=64)),
                ("error_message", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["-number"],
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
            },
        ),
        RemoveConstraintSafely(
            model_name="claimevent",
            name="claims_event_codes",
        ),
        Patiently(
            migrations.AddField(
                model_name="claimevent",
                name="base_group",
                field=models.IntegerField(default=0),
            )
        ),
        Patiently(
            migrations.AddField(
                model_name="claimevent",
                name="base_payer",
                field=models.IntegerField(default=0),
            )
        ),
        Patiently(
            migrations.AddField(
                model_name="claimevent",
                name="payer_id",
                field=models.IntegerField(default=0),
            )
        ),
        Patiently(
            migrations.AddField(
                model_name="claimevent",
                name="payer_name",
                field=models.IntegerField(default=0),
            )
        ),
        Patiently(
            migrations.AddField(
                model_name="upload",
                name="holds_alerts",
                field=models.BooleanField(default=False),
            )
        ),
        Patiently(
            migrations.AddField(
                model_name="upload",
                name="quality",
                field=models.JSONField(blank=True, default=dict),
            )
        ),
        AddIndexSafely(
            model_name="upload",
            index=models.Index(
                condition=models.Q(("holds_alerts", True)),
                fields=["tenant"],
                name="claims_upload_holding",
            ),
        ),
        AddConstraintSafely(
            model_name="claimevent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("base_group__gte", 0),
                    ("base_payer__gte", 0),
                    ("category__gte", 0),
                    ("facility__gte", 0),
                    ("line_of_business__gte", 0),
                    ("payer__gte", 0),
                    ("payer_id__gte", 0),
                    ("payer_name__gte", 0),
                    ("procedure_code__gte", 0),
                    ("procedure_group__gte", 0),
                    ("provider__gte", 0),
                    ("reason__gte", 0),
                    ("remark__gte", 0),
                    ("status__gte", 0),
                    ("upload__gte", 0),
                ),
                name="claims_event_codes",
            ),
        ),
        migrations.AddField(
            model_name="csvtemplate",
            name="tenant",
            field=models.ForeignKey(
                db_index=False,
                editable=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="claimkit_tenants.tenant",
            ),
        ),
        migrations.AddField(
            model_name="mappingversion",
            name="tenant",
            field=models.ForeignKey(
                db_index=False,
                editable=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="claimkit_tenants.tenant",
            ),
        ),
        migrations.AddConstraint(
            model_name="csvtemplate",
            constraint=models.UniqueConstraint(
                fields=("tenant", "uid"), name="claims_template_uid"
            ),
        ),
        migrations.AddConstraint(
            model_name="csvtemplate",
            constraint=models.UniqueConstraint(
                fields=("tenant", "name"), name="claims_template_name"
            ),
        ),
        migrations.AddConstraint(
            model_name="csvtemplate",
            constraint=models.CheckConstraint(
                condition=models.Q(("date_order__in", ["", "mdy", "dmy"])),
                name="claims_template_dates",
            ),
        ),
        migrations.AddConstraint(
            model_name="csvtemplate",
            constraint=models.CheckConstraint(
                condition=models.Q(("name", ""), _negated=True), name="claims_template_name_given"
            ),
        ),
        migrations.AddConstraint(
            model_name="mappingversion",
            constraint=models.UniqueConstraint(fields=("tenant", "uid"), name="claims_mapping_uid"),
        ),
        migrations.AddConstraint(
            model_name="mappingversion",
            constraint=models.UniqueConstraint(
                fields=("tenant", "number"), name="claims_mapping_number"
            ),
        ),
        migrations.AddConstraint(
            model_name="mappingversion",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["queued", "applied", "failed"])),
                name="claims_mapping_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="mappingversion",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("claims_changed__gte", 0), ("number__gte", 1), ("statements_changed__gte", 0)
                ),
                name="claims_mapping_counts",
            ),
        ),
        migrations.AddConstraint(
            model_name="mappingversion",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "failed"), models.Q(("error_code", ""), _negated=True)),
                    models.Q(models.Q(("status", "failed"), _negated=True), ("error_code", "")),
                    _connector="OR",
                ),
                name="claims_mapping_error",
            ),
        ),
        AddTenantPolicy(model_name="csvtemplate"),
        AddTenantPolicy(model_name="mappingversion"),
    ]
