"""Backtests, and findings that a person accepted or later data revised."""

import django.core.serializers.json
import django.db.models.deletion
from django.db import migrations, models

import claimkit_django.uids


class Migration(migrations.Migration):
    dependencies = [
        ("claimkit_drift", "0001_initial"),
        ("claimkit_tenants", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="BacktestRun",
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
                        default=claimkit_django.uids.new_backtest_uid, editable=False, max_length=32
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("running", "Running"),
                            ("success", "Success"),
                            ("failed", "Failed"),
                        ],
                        default="queued",
                        max_length=16,
                    ),
                ),
                ("start", models.DateField(blank=True, null=True)),
                ("end", models.DateField(blank=True, null=True)),
                (
                    "knowledge",
                    models.CharField(
                        choices=[("now", "What is known now"), ("then", "What was known then")],
                        default="now",
                        max_length=8,
                    ),
                ),
                ("every_days", models.SmallIntegerField(default=7)),
                ("percent", models.SmallIntegerField(default=0)),
                ("alerts", models.IntegerField(blank=True, null=True)),
                ("alerts_per_month", models.FloatField(blank=True, null=True)),
                (
                    "result",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        encoder=django.core.serializers.json.DjangoJSONEncoder,
                    ),
                ),
                ("actor", models.CharField(blank=True, max_length=150)),
                ("error_code", models.CharField(blank=True, max_length=64)),
                ("error_message", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("heartbeat_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["-created_at", "-id"],
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
            },
        ),
        migrations.AddField(
            model_name="finding",
            name="accepted_by",
            field=models.CharField(blank=True, default="", max_length=150),
        ),
        migrations.AddField(
            model_name="finding",
            name="accepted_on",
            field=models.DateField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="finding",
            name="revised",
            field=models.BooleanField(default=False),
        ),
        migrations.AddConstraint(
            model_name="finding",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("accepted_on__isnull", False), ("state", "accepted")),
                    models.Q(
                        models.Q(("state", "accepted"), _negated=True),
                        ("accepted_by", ""),
                        ("accepted_on__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="drift_finding_accepted",
            ),
        ),
        migrations.AddField(
            model_name="backtestrun",
            name="tenant",
            field=models.ForeignKey(
                db_index=False,
                editable=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="claimkit_tenants.tenant",
            ),
        ),
        migrations.AddIndex(
            model_name="backtestrun",
            index=models.Index(
                fields=["tenant", "-created_at", "-id"], name="drift_backtest_recent"
            ),
        ),
        migrations.AddConstraint(
            model_name="backtestrun",
            constraint=models.UniqueConstraint(fields=("tenant", "uid"), name="drift_backtest_uid"),
        ),
        migrations.AddConstraint(
            model_name="backtestrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("knowledge__in", ["now", "then"]),
                    ("status__in", ["queued", "running", "success", "failed"]),
                ),
                name="drift_backtest_words",
            ),
        ),
        migrations.AddConstraint(
            model_name="backtestrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("every_days__gte", 1), ("percent__gte", 0), ("percent__lte", 100)
                ),
                name="drift_backtest_counts",
            ),
        ),
        migrations.AddConstraint(
            model_name="backtestrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("start__isnull", True),
                    ("end__isnull", True),
                    ("end__gte", models.F("start")),
                    _connector="OR",
                ),
                name="drift_backtest_nights",
            ),
        ),
        migrations.AddConstraint(
            model_name="backtestrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("finished_at__isnull", True), ("status__in", ["queued", "running"])),
                    models.Q(("finished_at__isnull", False), ("status__in", ["success", "failed"])),
                    _connector="OR",
                ),
                name="drift_backtest_times",
            ),
        ),
        migrations.AddConstraint(
            model_name="backtestrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "failed"), models.Q(("error_code", ""), _negated=True)),
                    models.Q(models.Q(("status", "failed"), _negated=True), ("error_code", "")),
                    _connector="OR",
                ),
                name="drift_backtest_error",
            ),
        ),
    ]
