"""Tables of the claims room."""

import django.db.models.deletion
from django.db import migrations, models

import claimkit_django.claims.files
import claimkit_django.uids


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("claimkit_tenants", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Upload",
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
                        default=claimkit_django.uids.new_upload_uid, editable=False, max_length=32
                    ),
                ),
                (
                    "file",
                    models.FileField(
                        blank=True,
                        max_length=255,
                        upload_to=claimkit_django.claims.files.upload_path,
                    ),
                ),
                ("name", models.CharField(max_length=255)),
                ("sha256", models.CharField(blank=True, max_length=64)),
                ("source", models.CharField(default="api", max_length=32)),
                ("actor", models.CharField(blank=True, max_length=150)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("processing", "Processing"),
                            ("success", "Success"),
                            ("partial", "Partial"),
                            ("failed", "Failed"),
                        ],
                        default="queued",
                        editable=False,
                        max_length=16,
                    ),
                ),
                ("reader", models.CharField(blank=True, max_length=64)),
                ("encoding", models.CharField(blank=True, max_length=32)),
                ("kinds", models.JSONField(blank=True, default=dict)),
                ("options", models.JSONField(blank=True, default=dict)),
                ("header", models.JSONField(blank=True, default=list)),
                ("bytes_total", models.BigIntegerField(default=0)),
                ("bytes_done", models.BigIntegerField(default=0)),
                ("claims_new", models.BigIntegerField(default=0)),
                ("claims_changed", models.BigIntegerField(default=0)),
                ("claims_same", models.BigIntegerField(default=0)),
                ("statements_same", models.BigIntegerField(default=0)),
                ("rows_rejected", models.BigIntegerField(default=0)),
                ("error_code", models.CharField(blank=True, max_length=64)),
                ("error_message", models.TextField(blank=True)),
                ("known_on", models.DateField()),
                ("attempts", models.IntegerField(default=0)),
                ("batches_done", models.IntegerField(default=0)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("heartbeat_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
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
                "ordering": ["-created_at", "-id"],
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="RejectedRow",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("ordinal", models.IntegerField()),
                ("position", models.BigIntegerField()),
                ("kind", models.CharField(max_length=8)),
                ("code", models.CharField(max_length=64)),
                ("message", models.TextField()),
                ("remedy", models.TextField(blank=True)),
                ("field_name", models.CharField(blank=True, max_length=200)),
                ("value", models.CharField(blank=True, max_length=64)),
                ("raw", models.JSONField(default=list)),
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
                (
                    "upload",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rejected",
                        to="claimkit_claims.upload",
                    ),
                ),
            ],
            options={
                "ordering": ["upload_id", "ordinal"],
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="Adjustment",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "claim_key",
                        "event_key",
                        "line",
                        "ordinal",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("claim_key", models.BigIntegerField()),
                ("event_key", models.BigIntegerField()),
                ("line", models.IntegerField()),
                ("ordinal", models.IntegerField()),
                ("group", models.TextField(default="")),
                ("reason", models.TextField(default="")),
                ("amount", models.BigIntegerField()),
                ("quantity", models.DecimalField(decimal_places=10, max_digits=32, null=True)),
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
                    models.CheckConstraint(
                        condition=models.Q(("line__gte", 0), ("ordinal__gte", 0)),
                        name="claims_adjustment_place",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Claim",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("claim_key", models.BigIntegerField()),
                ("patient_control_number", models.TextField()),
                ("payer_claim_control_number", models.TextField(blank=True, default="")),
                ("authorization_number", models.TextField(blank=True, default="")),
                ("patient_token", models.TextField(blank=True, default="")),
                ("frequency", models.TextField(blank=True, default="")),
                ("payer", models.IntegerField(default=0)),
                ("procedure_code", models.IntegerField(default=0)),
                ("procedure_group", models.IntegerField(default=0)),
                ("facility", models.IntegerField(default=0)),
                ("line_of_business", models.IntegerField(default=0)),
                ("provider", models.IntegerField(default=0)),
                ("category", models.IntegerField(default=0)),
                ("reason", models.IntegerField(default=0)),
                ("remark", models.IntegerField(default=0)),
                ("first_category", models.IntegerField(default=0)),
                ("first_reason", models.IntegerField(default=0)),
                ("upload", models.IntegerField(default=0)),
                ("outcome", models.SmallIntegerField(default=0)),
                ("first_outcome", models.SmallIntegerField(default=0)),
                ("service_from", models.DateField(blank=True, null=True)),
                ("submitted_on", models.DateField(blank=True, null=True)),
                ("first_decided_on", models.DateField(blank=True, null=True)),
                ("decided_on", models.DateField(blank=True, null=True)),
                ("paid_on", models.DateField(blank=True, null=True)),
                ("listed_on", models.DateField()),
                ("charge", models.BigIntegerField(default=0)),
                ("allowed", models.BigIntegerField(blank=True, null=True)),
                ("paid", models.BigIntegerField(default=0)),
                ("patient_responsibility", models.BigIntegerField(default=0)),
                ("lag_days", models.IntegerField(blank=True, null=True)),
                ("reversals", models.IntegerField(default=0)),
                ("has_submission", models.BooleanField(default=False)),
                ("has_decision", models.BooleanField(default=False)),
                ("first_pass", models.BooleanField(default=True)),
                ("position", models.BigIntegerField(default=0)),
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
                "ordering": ["-listed_on", "-id"],
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
                "indexes": [
                    models.Index(
                        fields=["tenant", "-listed_on", "-id"], name="claims_claim_recent"
                    ),
                    models.Index(
                        fields=["tenant", "payer", "-listed_on", "-id"],
                        name="claims_claim_payer_recent",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "claim_key"), name="claims_claim_key"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("first_outcome__in", [0, 1, 2, 3, 4, 5, 6]),
                            ("outcome__in", [0, 1, 2, 3, 4, 5, 6]),
                        ),
                        name="claims_claim_outcome",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("lag_days__isnull", True), ("lag_days__gte", 0), _connector="OR"
                        ),
                        name="claims_claim_lag",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("category__gte", 0),
                            ("facility__gte", 0),
                            ("first_category__gte", 0),
                            ("first_reason__gte", 0),
                            ("line_of_business__gte", 0),
                            ("payer__gte", 0),
                            ("procedure_code__gte", 0),
                            ("procedure_group__gte", 0),
                            ("provider__gte", 0),
                            ("reason__gte", 0),
                            ("remark__gte", 0),
                            ("upload__gte", 0),
                        ),
                        name="claims_claim_codes",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("position__gte", 0), ("reversals__gte", 0)),
                        name="claims_claim_counts",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ClaimEvent",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "claim_key",
                        "event_key",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("claim_key", models.BigIntegerField()),
                ("event_key", models.BigIntegerField()),
                ("content", models.BigIntegerField()),
                ("decision_key", models.BigIntegerField()),
                ("patient_control_number", models.TextField()),
                ("payer_claim_control_number", models.TextField(default="")),
                ("original_reference", models.TextField(default="")),
                ("authorization_number", models.TextField(default="")),
                ("patient_token", models.TextField(default="")),
                ("frequency", models.TextField(default="")),
                ("status", models.IntegerField(default=0)),
                ("payer", models.IntegerField(default=0)),
                ("procedure_code", models.IntegerField(default=0)),
                ("procedure_group", models.IntegerField(default=0)),
                ("facility", models.IntegerField(default=0)),
                ("line_of_business", models.IntegerField(default=0)),
                ("provider", models.IntegerField(default=0)),
                ("category", models.IntegerField(default=0)),
                ("reason", models.IntegerField(default=0)),
                ("remark", models.IntegerField(default=0)),
                ("upload", models.IntegerField(default=0)),
                ("kind", models.SmallIntegerField()),
                ("source", models.SmallIntegerField()),
                ("outcome", models.SmallIntegerField(default=0)),
                ("service_from", models.DateField(null=True)),
                ("submitted_on", models.DateField(null=True)),
                ("received_on", models.DateField(null=True)),
                ("decided_on", models.DateField(null=True)),
                ("paid_on", models.DateField(null=True)),
                ("known_on", models.DateField()),
                ("charge", models.BigIntegerField(default=0)),
                ("allowed", models.BigIntegerField(null=True)),
                ("paid", models.BigIntegerField(default=0)),
                ("patient_responsibility", models.BigIntegerField(default=0)),
                ("position", models.BigIntegerField(default=0)),
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
                    models.CheckConstraint(
                        condition=models.Q(
                            ("kind__in", [0, 1, 2, 3, 4]),
                            ("outcome__in", [0, 1, 2, 3, 4, 5, 6]),
                            ("source__in", [0, 1, 2, 3, 4, 5]),
                        ),
                        name="claims_event_words",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("category__gte", 0),
                            ("facility__gte", 0),
                            ("line_of_business__gte", 0),
                            ("payer__gte", 0),
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
                ],
            },
        ),
        migrations.CreateModel(
            name="Dimension",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "code",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("axis", models.CharField(max_length=24)),
                ("code", models.IntegerField()),
                ("name", models.TextField()),
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
                    models.UniqueConstraint(
                        fields=("tenant", "axis", "name"), name="claims_dimension_name"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("code__gt", 0)), name="claims_dimension_code"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True),
                        name="claims_dimension_name_given",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ServiceLine",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "claim_key",
                        "event_key",
                        "ordinal",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("claim_key", models.BigIntegerField()),
                ("event_key", models.BigIntegerField()),
                ("ordinal", models.IntegerField()),
                ("number", models.TextField(default="")),
                ("procedure_system", models.TextField(default="")),
                ("procedure_code", models.TextField(default="")),
                ("modifiers", models.TextField(default="")),
                ("revenue_code", models.TextField(default="")),
                ("billed_procedure", models.TextField(default="")),
                ("remarks", models.TextField(default="")),
                ("units", models.DecimalField(decimal_places=10, max_digits=32, null=True)),
                ("service_from", models.DateField(null=True)),
                ("service_to", models.DateField(null=True)),
                ("charge", models.BigIntegerField(default=0)),
                ("allowed", models.BigIntegerField(null=True)),
                ("paid", models.BigIntegerField(default=0)),
                ("position", models.BigIntegerField(default=0)),
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
                    models.CheckConstraint(
                        condition=models.Q(("ordinal__gte", 0)), name="claims_line_ordinal"
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="upload",
            index=models.Index(
                fields=["tenant", "-created_at", "-id"], name="claims_upload_recent"
            ),
        ),
        migrations.AddIndex(
            model_name="upload",
            index=models.Index(
                condition=models.Q(("status__in", ["queued", "processing"])),
                fields=["heartbeat_at"],
                name="claims_upload_unfinished",
            ),
        ),
        migrations.AddConstraint(
            model_name="upload",
            constraint=models.UniqueConstraint(fields=("tenant", "uid"), name="claims_upload_uid"),
        ),
        migrations.AddConstraint(
            model_name="upload",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status__in", ["queued", "processing", "success", "partial", "failed"])
                ),
                name="claims_upload_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="upload",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("bytes_done__gte", 0), ("bytes_total__gte", models.F("bytes_done"))
                ),
                name="claims_upload_bytes",
            ),
        ),
        migrations.AddConstraint(
            model_name="upload",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("attempts__gte", 0),
                    ("batches_done__gte", 0),
                    ("claims_changed__gte", 0),
                    ("claims_new__gte", 0),
                    ("claims_same__gte", 0),
                    ("rows_rejected__gte", 0),
                    ("statements_same__gte", 0),
                ),
                name="claims_upload_counts",
            ),
        ),
        migrations.AddConstraint(
            model_name="upload",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("finished_at__isnull", True), ("status__in", ["queued", "processing"])
                    ),
                    models.Q(
                        ("finished_at__gte", models.F("started_at")),
                        ("finished_at__isnull", False),
                        ("started_at__isnull", False),
                        ("status__in", ["success", "partial", "failed"]),
                    ),
                    _connector="OR",
                ),
                name="claims_upload_times",
            ),
        ),
        migrations.AddConstraint(
            model_name="upload",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "failed"), models.Q(("error_code", ""), _negated=True)),
                    models.Q(models.Q(("status", "failed"), _negated=True), ("error_code", "")),
                    _connector="OR",
                ),
                name="claims_upload_error",
            ),
        ),
        migrations.AddConstraint(
            model_name="upload",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "success"), _negated=True),
                    ("rows_rejected", 0),
                    _connector="OR",
                ),
                name="claims_upload_success_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="rejectedrow",
            constraint=models.UniqueConstraint(
                fields=("tenant", "upload", "ordinal"), name="claims_rejected_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="rejectedrow",
            constraint=models.CheckConstraint(
                condition=models.Q(("ordinal__gte", 0), ("position__gte", 0)),
                name="claims_rejected_place",
            ),
        ),
        migrations.AddConstraint(
            model_name="rejectedrow",
            constraint=models.CheckConstraint(
                condition=models.Q(("code", ""), _negated=True), name="claims_rejected_code_given"
            ),
        ),
    ]
