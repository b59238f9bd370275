"""A rule's topic is checked where it is saved: the list of triggers grows without a migration."""

from django.db import migrations, models

from claimkit_django.migrations_kit import AddConstraintSafely, RemoveConstraintSafely


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("claimkit_automation", "0002_tenant_walls")]

    operations = [
        RemoveConstraintSafely(model_name="rule", name="automation_rule_topic"),
        AddConstraintSafely(
            model_name="rule",
            constraint=models.CheckConstraint(
                condition=~models.Q(topic=""), name="automation_rule_topic_given"
            ),
        ),
    ]
