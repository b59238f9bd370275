"""Endpoints show that they want webhooks; those that are there already have."""

from django.db import migrations, models
from django.utils import timezone

import claimkit_django.uids
from claimkit_django.migrations_kit import AddIndexSafely


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("claimkit_webhooks", "0002_tenant_walls")]

    operations = [
        migrations.AddField(
            model_name="endpoint",
            name="challenge",
            field=models.CharField(default="", editable=False, max_length=32),
        ),
        migrations.AlterField(
            model_name="endpoint",
            name="challenge",
            field=models.CharField(
                default=claimkit_django.uids.new_challenge, editable=False, max_length=32
            ),
        ),
        migrations.AddField(
            model_name="endpoint",
            name="confirmed_at",
            field=models.DateTimeField(blank=True, default=timezone.now, editable=False, null=True),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="message",
            name="fan_out_after",
            field=models.BigIntegerField(blank=True, editable=False, null=True),
        ),
        AddIndexSafely(
            model_name="message",
            index=models.Index(
                fields=["id"],
                condition=models.Q(fan_out_after__isnull=False),
                name="webhooks_message_fan_out",
            ),
        ),
    ]
