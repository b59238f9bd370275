"""The policies of row-level security."""

from django.db import migrations

from claimkit_django.migrations_kit import AddTenantPolicy


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("claimkit_authorizations", "0001_initial")]

    operations = [
        AddTenantPolicy(model_name="authorization"),
        AddTenantPolicy(model_name="authorizationclaim"),
        AddTenantPolicy(model_name="authorizationwarning"),
        AddTenantPolicy(model_name="leadtime"),
        AddTenantPolicy(model_name="authorizationimport"),
        AddTenantPolicy(model_name="importproblem"),
    ]
