"""Tables of the tenants room."""

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import claimkit_django.tenants.timezones


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Tenant",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "key",
                    models.CharField(
                        help_text="Stable public name, such as northside. It never changes.",
                        max_length=63,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?\\Z",
                                "Use lower-case letters, digits, hyphens, underscores.",
                            )
                        ],
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                (
                    "timezone",
                    models.CharField(
                        default="UTC",
                        max_length=64,
                        validators=[claimkit_django.tenants.timezones.validate_timezone],
                    ),
                ),
                (
                    "active",
                    models.BooleanField(
                        default=True,
                        help_text="Nobody works in an inactive tenant; its data stays.",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "ordering": ["key"],
                "constraints": [
                    models.UniqueConstraint(fields=("key",), name="tenants_tenant_key"),
                    models.CheckConstraint(
                        condition=models.Q(("key", ""), _negated=True),
                        name="tenants_tenant_key_given",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True),
                        name="tenants_tenant_name_given",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("timezone", ""), _negated=True),
                        name="tenants_tenant_timezone_given",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("viewer", "Viewer"),
                            ("analyst", "Analyst"),
                            ("admin", "Admin"),
                            ("owner", "Owner"),
                        ],
                        default="viewer",
                        max_length=16,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="claimkit_memberships",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to="claimkit_tenants.tenant",
                    ),
                ),
            ],
            options={
                "ordering": ["tenant_id", "user_id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "user"), name="tenants_membership_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("role__in", ["viewer", "analyst", "admin", "owner"])),
                        name="tenants_membership_role",
                    ),
                ],
            },
        ),
    ]
