"""Tables of the drift room."""

import django.db.models.deletion
from django.db import migrations, models

import claimkit_django.uids


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("claimkit_tenants", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="CubeDecision",
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
                        "reason",
                        "age_days",
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
                ("reason", models.IntegerField()),
                ("age_days", models.SmallIntegerField()),
                ("claims", models.BigIntegerField()),
                ("charge", models.BigIntegerField()),
                ("allowed", models.BigIntegerField()),
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
                    models.CheckConstraint(
                        condition=models.Q(("age_days__gte", -1), ("age_days__lte", 120)),
                        name="drift_decision_age",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("outcome__gte", 0),
                            ("payer__gte", 0),
                            ("procedure_group__gte", 0),
                            ("reason__gte", 0),
                        ),
                        name="drift_decision_codes",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="CubeInflow",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "submitted_day",
                        "known_day",
                        "payer",
                        "procedure_group",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("submitted_day", models.IntegerField()),
                ("known_day", models.IntegerField()),
                ("payer", models.IntegerField()),
                ("procedure_group", models.IntegerField()),
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
                    models.CheckConstraint(
                        condition=models.Q(("payer__gte", 0), ("procedure_group__gte", 0)),
                        name="drift_inflow_codes",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="CubeMoney",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "decided_day",
                        "known_day",
                        "payer",
                        "procedure_group",
                        "ratio_bin",
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
                ("ratio_bin", models.SmallIntegerField()),
                ("claims", models.BigIntegerField()),
                ("ratio", models.BigIntegerField()),
                ("ratio_squared", models.BigIntegerField()),
                ("allowed", models.BigIntegerField()),
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
                        condition=models.Q(("payer__gte", 0), ("procedure_group__gte", 0)),
                        name="drift_money_codes",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="DriftDimension",
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
                        fields=("tenant", "axis", "name"), name="drift_dimension_name"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("code__gt", 0)), name="drift_dimension_code"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True),
                        name="drift_dimension_name_given",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Finding",
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
                        default=claimkit_django.uids.new_finding_uid, editable=False, max_length=32
                    ),
                ),
                ("fingerprint", models.CharField(max_length=128)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("resolved", "Resolved"),
                            ("accepted", "Accepted"),
                        ],
                        default="open",
                        max_length=16,
                    ),
                ),
                ("signal", models.CharField(max_length=32)),
                ("detector", models.CharField(max_length=64)),
                ("tier", models.CharField(max_length=16)),
                ("severity", models.CharField(max_length=16)),
                (
                    "severity_rank",
                    models.SmallIntegerField(
                        choices=[(1, "Low"), (2, "Medium"), (3, "High"), (4, "Critical")]
                    ),
                ),
                ("payer", models.TextField()),
                ("procedure_groups", models.JSONField(blank=True, default=list)),
                ("category", models.TextField(blank=True, default="")),
                ("onset", models.DateField()),
                ("as_of", models.DateField()),
                ("unit", models.CharField(max_length=16)),
                ("baseline", models.FloatField()),
                ("current", models.FloatField()),
                ("effect", models.FloatField()),
                ("low", models.FloatField()),
                ("high", models.FloatField()),
                ("claims", models.BigIntegerField()),
                ("dollars_per_month", models.BigIntegerField()),
                ("score", models.FloatField()),
                ("threshold", models.FloatField()),
                ("summary", models.TextField()),
                ("preliminary", models.BooleanField(default=True)),
                ("why", models.JSONField(blank=True, default=list)),
                ("evidence", models.JSONField(blank=True, default=dict)),
                ("detected_on", models.DateField(blank=True, null=True)),
                ("ended_on", models.DateField(blank=True, null=True)),
                ("told_dollars", models.BigIntegerField(blank=True, null=True)),
                (
                    "told_severity_rank",
                    models.SmallIntegerField(
                        blank=True,
                        choices=[(1, "Low"), (2, "Medium"), (3, "High"), (4, "Critical")],
                        null=True,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
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
                "ordering": ["-dollars_per_month", "-id"],
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "open")),
                        fields=["tenant", "-dollars_per_month", "-id"],
                        name="drift_finding_open_money",
                    ),
                    models.Index(fields=["tenant", "-as_of", "-id"], name="drift_finding_recent"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("tenant", "uid"), name="drift_finding_uid"),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "open")),
                        fields=("tenant", "fingerprint"),
                        name="drift_finding_open_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "signal__in",
                                [
                                    "denial_rate",
                                    "denial_reason_mix",
                                    "decision_time",
                                    "allowed_amount",
                                    "volume",
                                ],
                            ),
                            ("state__in", ["open", "resolved", "accepted"]),
                            ("tier__in", ["alert", "watch"]),
                        ),
                        name="drift_finding_words",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("severity", "low"), ("severity_rank", 1)),
                            models.Q(("severity", "medium"), ("severity_rank", 2)),
                            models.Q(("severity", "high"), ("severity_rank", 3)),
                            models.Q(("severity", "critical"), ("severity_rank", 4)),
                            _connector="OR",
                        ),
                        name="drift_finding_severity",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("told_dollars__isnull", True), ("told_severity_rank__isnull", True)
                            ),
                            models.Q(
                                ("told_dollars__isnull", False),
                                ("told_severity_rank__gte", 1),
                                ("told_severity_rank__isnull", False),
                                ("told_severity_rank__lte", 4),
                            ),
                            _connector="OR",
                        ),
                        name="drift_finding_told",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("high__gte", models.F("low"))),
                        name="drift_finding_interval",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("claims__gte", 0), models.Q(("fingerprint", ""), _negated=True)
                        ),
                        name="drift_finding_given",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("ended_on__isnull", True), ("state", "open")),
                            models.Q(("ended_on__isnull", False), ("state", "resolved")),
                            ("state", "accepted"),
                            _connector="OR",
                        ),
                        name="drift_finding_life",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="WatchRun",
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
                        default=claimkit_django.uids.new_run_uid, editable=False, max_length=32
                    ),
                ),
                ("as_of", models.DateField(blank=True, null=True)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("running", "Running"),
                            ("success", "Success"),
                            ("failed", "Failed"),
                        ],
                        default="running",
                        max_length=16,
                    ),
                ),
                ("new", models.IntegerField(default=0)),
                ("worse", models.IntegerField(default=0)),
                ("same", models.IntegerField(default=0)),
                ("resolved", models.IntegerField(default=0)),
                ("cells", models.BigIntegerField(default=0)),
                ("details", models.JSONField(blank=True, default=dict)),
                ("actor", models.CharField(blank=True, max_length=150)),
                ("error_code", models.CharField(blank=True, max_length=64)),
                ("error_message", models.TextField(blank=True)),
                ("started_at", models.DateTimeField()),
                ("heartbeat_at", models.DateTimeField()),
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
                "ordering": ["-started_at", "-id"],
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
                "indexes": [
                    models.Index(fields=["tenant", "-started_at", "-id"], name="drift_run_recent"),
                    models.Index(
                        condition=models.Q(("status", "running")),
                        fields=["heartbeat_at"],
                        name="drift_run_unfinished",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("tenant", "uid"), name="drift_run_uid"),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["running", "success", "failed"])),
                        name="drift_run_status",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("cells__gte", 0),
                            ("new__gte", 0),
                            ("resolved__gte", 0),
                            ("same__gte", 0),
                            ("worse__gte", 0),
                        ),
                        name="drift_run_counts",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("finished_at__isnull", True), ("status", "running")),
                            models.Q(
                                ("finished_at__gte", models.F("started_at")),
                                ("finished_at__isnull", False),
                                ("status__in", ["success", "failed"]),
                            ),
                            _connector="OR",
                        ),
                        name="drift_run_times",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("status", "failed"), models.Q(("error_code", ""), _negated=True)
                            ),
                            models.Q(
                                models.Q(("status", "failed"), _negated=True), ("error_code", "")
                            ),
                            _connector="OR",
                        ),
                        name="drift_run_error",
                    ),
                ],
            },
        ),
    ]
