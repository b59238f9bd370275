"""Endpoints may ask for one webhook after the other, and have certificates of their own."""

from django.db import migrations, models

from claimkit_django.migrations_kit import AddConstraintSafely, AddIndexSafely


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("claimkit_webhooks", "0003_confirmed_endpoints")]

    operations = [
        migrations.AddField(
            model_name="endpoint",
            name="order",
            field=models.CharField(
                choices=[
                    ("any", "None: the fastest"),
                    ("subject", "Those about the same thing"),
                    ("all", "All"),
                ],
                db_default="any",
                default="any",
                max_length=8,
            ),
        ),
        AddConstraintSafely(
            model_name="endpoint",
            constraint=models.CheckConstraint(
                condition=models.Q(order__in=["any", "subject", "all"]),
                name="webhooks_endpoint_order",
            ),
        ),
        migrations.AddField(
            model_name="endpoint",
            name="sealed_tls",
            field=models.BinaryField(blank=True, db_default=b"", default=b""),
        ),
        migrations.AddField(
            model_name="message",
            name="subject",
            field=models.CharField(blank=True, db_default="", default="", max_length=100),
        ),
        migrations.AddField(
            model_name="delivery",
            name="queue",
            field=models.CharField(
                blank=True, db_default="", default="", editable=False, max_length=100
            ),
        ),
        AddIndexSafely(
            model_name="delivery",
            index=models.Index(
                fields=["lane", "queue", "id"],
                condition=models.Q(state__in=["due", "leased"]) & ~models.Q(queue=""),
                name="webhooks_delivery_queue",
            ),
        ),
    ]
