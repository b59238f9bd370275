import django.db.models.deletion
from django.db import migrations, models

import claimkit_django.uids


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("claimkit_tenants", "0003_idempotency_policy"),
    ]

    operations = [
        migrations.CreateModel(
            name="Approval",
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
                        default=claimkit_django.uids.new_approval_uid, editable=False, max_length=32
                    ),
                ),
                ("rule", models.CharField(max_length=32)),
                ("rule_name", models.CharField(max_length=100)),
                ("action", models.CharField(max_length=64)),
                ("settings", models.JSONField(default=dict)),
                ("topic", models.CharField(max_length=64)),
                ("event_key", models.CharField(max_length=32)),
                ("subject", models.CharField(blank=True, max_length=64)),
                ("facts", models.JSONField(default=dict)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waits"),
                            ("approved", "Approved"),
                            ("rejected", "Rejected"),
                        ],
                        default="waiting",
                        max_length=16,
                    ),
                ),
                ("asked_at", models.DateTimeField()),
                ("actor", models.CharField(blank=True, max_length=200)),
                ("note", models.CharField(blank=True, max_length=500)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
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
                "ordering": ["-asked_at", "-id"],
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
                "indexes": [
                    models.Index(
                        fields=["tenant", "-asked_at", "-id"], name="automation_approval_newest"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "uid"), name="automation_approval_uid"
                    ),
                    models.UniqueConstraint(
                        fields=("tenant", "rule", "event_key"), name="automation_approval_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("actor", ""), ("decided_at", None), ("state", "waiting")),
                            models.Q(
                                ("decided_at__isnull", False),
                                ("state__in", ["approved", "rejected"]),
                                models.Q(("actor", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="automation_approval_decided",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Execution",
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
                        default=claimkit_django.uids.new_execution_uid,
                        editable=False,
                        max_length=32,
                    ),
                ),
                ("rule", models.CharField(max_length=32)),
                ("rule_name", models.CharField(max_length=100)),
                ("action", models.CharField(max_length=64)),
                ("topic", models.CharField(max_length=64)),
                ("event_key", models.CharField(max_length=32)),
                ("step", models.SmallIntegerField(default=0)),
                ("subject", models.CharField(blank=True, max_length=64)),
                (
                    "result",
                    models.CharField(
                        choices=[
                            ("dry_run", "Only tried out"),
                            ("waiting", "A person was asked"),
                            ("success", "Done"),
                            ("failed", "Failed"),
                            ("limited", "Too many in an hour"),
                            ("circuit_open", "The rule rests"),
                            ("rejected", "A person said no"),
                        ],
                        max_length=16,
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=64)),
                ("facts", models.JSONField(default=dict)),
                ("actor", models.CharField(blank=True, max_length=200)),
                ("duration_ms", models.IntegerField(default=0)),
                ("at", models.DateTimeField()),
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
                "indexes": [
                    models.Index(
                        fields=["tenant", "rule", "-at"], name="automation_execution_lately"
                    ),
                    models.Index(
                        fields=["tenant", "-at", "-id"], name="automation_execution_newest"
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "uid"), name="automation_execution_uid"
                    ),
                    models.UniqueConstraint(
                        fields=("tenant", "rule", "event_key", "step"),
                        name="automation_execution_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "result__in",
                                (
                                    "dry_run",
                                    "waiting",
                                    "success",
                                    "failed",
                                    "limited",
                                    "circuit_open",
                                    "rejected",
                                ),
                            )
                        ),
                        name="automation_execution_result",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("duration_ms__gte", 0), ("step__in", [0, 1])),
                        name="automation_execution_step",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Rule",
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
                        default=claimkit_django.uids.new_automation_rule_uid,
                        editable=False,
                        max_length=32,
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("topic", models.CharField(max_length=64)),
                ("conditions", models.JSONField(blank=True, default=list)),
                ("action", models.CharField(max_length=64)),
                ("settings", models.JSONField(blank=True, default=dict)),
                (
                    "mode",
                    models.CharField(
                        choices=[
                            ("off", "Off"),
                            ("dry_run", "Dry run"),
                            ("approval", "After approval"),
                            ("automatic", "Automatic"),
                        ],
                        default="off",
                        max_length=16,
                    ),
                ),
                ("priority", models.IntegerField(default=100)),
                ("goes_on", models.BooleanField(default=True)),
                ("max_per_hour", models.IntegerField(default=20)),
                (
                    "ask_from_dollars",
                    models.DecimalField(blank=True, decimal_places=2, max_digits=12, null=True),
                ),
                ("failures", models.IntegerField(default=0, editable=False)),
                ("rests_until", models.DateTimeField(blank=True, editable=False, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
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
                "ordering": ["priority", "id"],
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
                "constraints": [
                    models.UniqueConstraint(fields=("tenant", "uid"), name="automation_rule_uid"),
                    models.UniqueConstraint(fields=("tenant", "name"), name="automation_rule_name"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("mode__in", ["off", "dry_run", "approval", "automatic"])
                        ),
                        name="automation_rule_mode",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "topic__in",
                                [
                                    "alerts.opened",
                                    "alerts.resolved",
                                    "authorizations.exhausting",
                                    "authorizations.expiring",
                                    "authorizations.renewed",
                                    "claims.imported",
                                    "drift.accepted",
                                    "drift.detected",
                                    "drift.resolved",
                                    "drift.worsened",
                                    "webhooks.endpoint_disabled",
                                ],
                            )
                        ),
                        name="automation_rule_topic",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("failures__gte", 0),
                            ("max_per_hour__gte", 0),
                            models.Q(("name", ""), _negated=True),
                        ),
                        name="automation_rule_counts",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Work",
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
                        default=claimkit_django.uids.new_work_uid, editable=False, max_length=32
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("task", "Task"), ("tag", "Tag"), ("hold", "Held for review")],
                        max_length=8,
                    ),
                ),
                ("text", models.CharField(max_length=200)),
                ("topic", models.CharField(max_length=64)),
                ("subject", models.CharField(blank=True, max_length=64)),
                ("rule", models.CharField(max_length=32)),
                ("rule_name", models.CharField(max_length=100)),
                ("due_on", models.DateField(blank=True, null=True)),
                ("created_at", models.DateTimeField()),
                ("done_at", models.DateTimeField(blank=True, null=True)),
                ("actor", models.CharField(blank=True, max_length=200)),
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
                "indexes": [
                    models.Index(
                        fields=["tenant", "-created_at", "-id"], name="automation_work_newest"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("tenant", "uid"), name="automation_work_uid"),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["task", "tag", "hold"])),
                        name="automation_work_kind",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("actor", ""), ("done_at", None)),
                            models.Q(
                                ("done_at__isnull", False), models.Q(("actor", ""), _negated=True)
                            ),
                            _connector="OR",
                        ),
                        name="automation_work_done",
                    ),
                ],
            },
        ),
    ]
