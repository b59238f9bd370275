from decimal import Decimal

import django.db.models.deletion
from django.db import migrations, models

import claimkit_django.tenants.keys
import claimkit_django.uids


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("claimkit_tenants", "0003_idempotency_policy"),
    ]

    operations = [
        migrations.CreateModel(
            name="Authorization",
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
                        default=claimkit_django.uids.new_authorization_uid,
                        editable=False,
                        max_length=32,
                    ),
                ),
                ("number", models.CharField(max_length=64)),
                ("payer", models.CharField(max_length=200)),
                ("payer_folded", models.CharField(editable=False, max_length=200)),
                ("procedure", models.CharField(max_length=16)),
                ("patient_token", models.CharField(blank=True, editable=False, max_length=32)),
                ("valid_from", models.DateField()),
                ("valid_until", models.DateField()),
                ("units_authorized", models.DecimalField(decimal_places=3, max_digits=12)),
                ("units_stated", models.DecimalField(decimal_places=3, default=0, max_digits=12)),
                (
                    "units_linked",
                    models.DecimalField(decimal_places=3, default=0, editable=False, max_digits=12),
                ),
                ("units_per_day", models.FloatField(blank=True, editable=False, null=True)),
                ("runs_out", models.FloatField(blank=True, editable=False, null=True)),
                ("exhausted_earliest", models.DateField(blank=True, editable=False, null=True)),
                ("exhausted_likely", models.DateField(blank=True, editable=False, null=True)),
                ("exhausted_latest", models.DateField(blank=True, editable=False, null=True)),
                ("checked_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "renewal",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="renews",
                        to="claimkit_authorizations.authorization",
                    ),
                ),
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
                "ordering": ["valid_until", "id"],
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="AuthorizationClaim",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("claim_key", models.BigIntegerField()),
                ("service_on", models.DateField()),
                ("units", models.DecimalField(decimal_places=3, max_digits=12)),
                (
                    "authorization",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="claims",
                        to="claimkit_authorizations.authorization",
                    ),
                ),
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
                "ordering": ["service_on", "id"],
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="AuthorizationImport",
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
                        default=claimkit_django.uids.new_authorization_import_uid,
                        editable=False,
                        max_length=32,
                    ),
                ),
                ("name", models.CharField(blank=True, max_length=200)),
                ("actor", models.CharField(blank=True, max_length=200)),
                ("new", models.IntegerField(default=0)),
                ("changed", models.IntegerField(default=0)),
                ("same", models.IntegerField(default=0)),
                ("rejected", models.IntegerField(default=0)),
                ("imported_at", models.DateTimeField()),
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
                "ordering": ["-id"],
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="AuthorizationWarning",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("expiry", "Ends soon"), ("exhaustion", "Units run out")],
                        max_length=16,
                    ),
                ),
                ("step", models.IntegerField()),
                ("basis", models.CharField(max_length=32)),
                ("days_left", models.IntegerField()),
                ("ends_on", models.DateField()),
                ("told_at", models.DateTimeField()),
                (
                    "authorization",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="warnings",
                        to="claimkit_authorizations.authorization",
                    ),
                ),
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
                "ordering": ["id"],
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="ImportProblem",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("line", models.IntegerField()),
                ("code", models.CharField(max_length=32)),
                ("field_name", models.CharField(blank=True, max_length=32)),
                ("message", models.CharField(max_length=200)),
                ("remedy", models.CharField(max_length=200)),
                (
                    "of_import",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="problems",
                        to="claimkit_authorizations.authorizationimport",
                    ),
                ),
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
                "ordering": ["line", "id"],
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="LeadTime",
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
                        default=claimkit_django.uids.new_lead_time_uid,
                        editable=False,
                        max_length=32,
                    ),
                ),
                ("payer", models.CharField(max_length=200)),
                ("days", models.IntegerField()),
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
                "ordering": ["payer", "id"],
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
            },
        ),
        migrations.AddIndex(
            model_name="authorization",
            index=models.Index(fields=["tenant", "valid_until", "id"], name="authorizations_ends"),
        ),
        migrations.AddConstraint(
            model_name="authorization",
            constraint=models.UniqueConstraint(fields=("tenant", "uid"), name="authorizations_uid"),
        ),
        migrations.AddConstraint(
            model_name="authorization",
            constraint=models.UniqueConstraint(fields=("tenant", "id"), name="authorizations_id"),
        ),
        migrations.AddConstraint(
            model_name="authorization",
            constraint=models.UniqueConstraint(
                fields=("tenant", "number"), name="authorizations_number"
            ),
        ),
        migrations.AddConstraint(
            model_name="authorization",
            constraint=claimkit_django.tenants.keys.TenantForeignKey(
                fields=("tenant", "renewal"),
                name="authorizations_renewal",
                to="claimkit_authorizations.Authorization",
                to_fields=("tenant", "id"),
            ),
        ),
        migrations.AddConstraint(
            model_name="authorization",
            constraint=models.CheckConstraint(
                condition=models.Q(("valid_until__gte", models.F("valid_from"))),
                name="authorizations_period",
            ),
        ),
        migrations.AddConstraint(
            model_name="authorization",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("units_authorized__gt", 0),
                    ("units_authorized__lte", Decimal("100000")),
                    ("units_linked__gte", 0),
                    ("units_stated__gte", 0),
                ),
                name="authorizations_units",
            ),
        ),
        migrations.AddConstraint(
            model_name="authorization",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("number", ""), _negated=True),
                    models.Q(("payer", ""), _negated=True),
                    models.Q(("procedure", ""), _negated=True),
                ),
                name="authorizations_named",
            ),
        ),
        migrations.AddConstraint(
            model_name="authorization",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("renewal", None),
                    models.Q(("renewal", models.F("id")), _negated=True),
                    _connector="OR",
                ),
                name="authorizations_not_own",
            ),
        ),
        migrations.AddConstraint(
            model_name="authorizationclaim",
            constraint=models.UniqueConstraint(
                fields=("tenant", "authorization", "claim_key"), name="authorizations_claim_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="authorizationclaim",
            constraint=claimkit_django.tenants.keys.TenantForeignKey(
                fields=("tenant", "authorization"),
                name="authorizations_claim_of",
                to="claimkit_authorizations.Authorization",
                to_fields=("tenant", "id"),
            ),
        ),
        migrations.AddConstraint(
            model_name="authorizationclaim",
            constraint=models.CheckConstraint(
                condition=models.Q(("units__gte", 0)), name="authorizations_claim_units"
            ),
        ),
        migrations.AddConstraint(
            model_name="authorizationimport",
            constraint=models.UniqueConstraint(
                fields=("tenant", "uid"), name="authorizations_import_uid"
            ),
        ),
        migrations.AddConstraint(
            model_name="authorizationimport",
            constraint=models.UniqueConstraint(
                fields=("tenant", "id"), name="authorizations_import_id"
            ),
        ),
        migrations.AddConstraint(
            model_name="authorizationimport",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("changed__gte", 0), ("new__gte", 0), ("rejected__gte", 0), ("same__gte", 0)
                ),
                name="authorizations_import_counts",
            ),
        ),
        migrations.AddConstraint(
            model_name="authorizationwarning",
            constraint=models.UniqueConstraint(
                fields=("tenant", "authorization", "kind", "step", "basis"),
                name="authorizations_warned_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="authorizationwarning",
            constraint=claimkit_django.tenants.keys.TenantForeignKey(
                fields=("tenant", "authorization"),
                name="authorizations_warning_of",
                to="claimkit_authorizations.Authorization",
                to_fields=("tenant", "id"),
            ),
        ),
        migrations.AddConstraint(
            model_name="authorizationwarning",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("days_left__gte", 0), ("kind__in", ["expiry", "exhaustion"]), ("step__gte", 0)
                ),
                name="authorizations_warning_kind",
            ),
        ),
        migrations.AddConstraint(
            model_name="importproblem",
            constraint=models.UniqueConstraint(
                fields=("tenant", "of_import", "line"), name="authorizations_problem_line"
            ),
        ),
        migrations.AddConstraint(
            model_name="importproblem",
            constraint=claimkit_django.tenants.keys.TenantForeignKey(
                fields=("tenant", "of_import"),
                name="authorizations_problem_of",
                to="claimkit_authorizations.AuthorizationImport",
                to_fields=("tenant", "id"),
            ),
        ),
        migrations.AddConstraint(
            model_name="importproblem",
            constraint=models.CheckConstraint(
                condition=models.Q(("line__gte", 1)), name="authorizations_problem_place"
            ),
        ),
        migrations.AddConstraint(
            model_name="leadtime",
            constraint=models.UniqueConstraint(
                fields=("tenant", "uid"), name="authorizations_lead_uid"
            ),
        ),
        migrations.AddConstraint(
            model_name="leadtime",
            constraint=models.UniqueConstraint(
                fields=("tenant", "payer"), name="authorizations_lead_payer"
            ),
        ),
        migrations.AddConstraint(
            model_name="leadtime",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("days__gte", 1), ("days__lte", 180), models.Q(("payer", ""), _negated=True)
                ),
                name="authorizations_lead_days",
            ),
        ),
    ]
