"""An index by which claims of a patient find their authorizations."""

from django.db import migrations, models

from claimkit_django.migrations_kit import AddIndexSafely


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("claimkit_authorizations", "0002_tenant_walls")]

    operations = [
        AddIndexSafely(
            model_name="authorization",
            index=models.Index(
                condition=models.Q(("patient_token", ""), _negated=True),
                fields=["tenant", "patient_token", "procedure"],
                name="authorizations_patient",
            ),
        ),
    ]
