"""Mails that the server took and that came back."""

from django.db import migrations, models
from django.db.models import Q

from claimkit_django.migrations_kit import AddConstraintSafely, RemoveConstraintSafely


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("claimkit_reports", "0002_tenant_walls")]

    operations = [
        migrations.AlterField(
            model_name="reportmail",
            name="status",
            field=models.CharField(
                choices=[
                    ("pending", "Pending"),
                    ("sent", "Sent"),
                    ("refused", "Refused"),
                    ("failed", "Failed"),
                    ("bounced", "Bounced"),
                ],
                default="pending",
                max_length=16,
            ),
        ),
        RemoveConstraintSafely(model_name="reportmail", name="reports_mail_status"),
        AddConstraintSafely(
            model_name="reportmail",
            constraint=models.CheckConstraint(
                condition=Q(
                    ("attempts__gte", 0),
                    ("status__in", ["pending", "sent", "refused", "failed", "bounced"]),
                ),
                name="reports_mail_status",
            ),
        ),
        RemoveConstraintSafely(model_name="reportmail", name="reports_mail_sent"),
        AddConstraintSafely(
            model_name="reportmail",
            constraint=models.CheckConstraint(
                condition=Q(("sent_at__isnull", False), ("status__in", ["sent", "bounced"]))
                | (~Q(("status__in", ["sent", "bounced"])) & Q(("sent_at__isnull", True))),
                name="reports_mail_sent",
            ),
        ),
    ]
