"""Findings about payments, contracts and the measures of plugins."""

from django.db import migrations, models

from claimkit_django.migrations_kit import AddConstraintSafely


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("claimkit_drift", "0005_payments_and_measures"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="finding", name="drift_finding_words"),
        AddConstraintSafely(
            model_name="finding",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "signal__in",
                        [
                            "denial_rate",
                            "denial_reason_mix",
                            "decision_time",
                            "allowed_amount",
                            "volume",
                            "payment_time",
                            "underpayment",
                            "measure",
                        ],
                    ),
                    ("state__in", ["open", "resolved", "accepted"]),
                    ("tier__in", ["alert", "watch"]),
                ),
                name="drift_finding_words",
            ),
        ),
    ]
