"""The last migrations of each app go down and up again, and take nothing along."""

from __future__ import annotations

import datetime as dt
import io

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from claimkit.types import TenantKey
from claimkit_django.claims.intake import run_import
from claimkit_django.claims.models import Upload
from claimkit_django.drift.runs import run_watch
from claimkit_django.migrations_kit import AddTenantPolicy
from claimkit_django.tenants.models import TenantModel
from claimkit_django.tenants.scope import enter
from tests.projects.database import ROW_LEVEL_SECURITY

pytestmark = pytest.mark.skipif(ROW_LEVEL_SECURITY, reason="the application's role owns no table")

#: How many migrations of each app must be reversible.
LAST = 5
APPS = sorted(
    config.label
    for config in apps.get_app_configs()
    if config.name.startswith("claimkit_django.") and list(config.get_models())
)


def names_of(app):
    """Return the names of an app's migrations, first to last."""
    graph = MigrationLoader(None).graph
    leaf = next(node for node in graph.leaf_nodes(app) if node[0] == app)
    return [name for label, name in graph.forwards_plan(leaf) if label == app]


def rows_of_everything():
    """Return the rows of every table of ours, in no order."""
    found = {}
    with connection.cursor() as cursor:
        for model in apps.get_models():
            if model._meta.app_label.startswith("claimkit_"):
                columns = ", ".join(
                    connection.ops.quote_name(field.column)
                    for field in sorted(model._meta.local_concrete_fields, key=lambda f: f.column)
                )
                cursor.execute(f"SELECT {columns} FROM {model._meta.db_table}")
                found[model._meta.label] = sorted(map(repr, cursor.fetchall()))
    return found


@pytest.fixture
def lived_in(transactional_db, northside, lakeview, make_member, settings):
    """Two tenants with claims, rejected rows, a cube and runs, and a member."""
    make_member("dora", (northside, "owner"), (lakeview, "viewer"))
    lines = io.StringIO()
    lines.write("Claim ID,Payer,CPT,DOS,Submitted,Decided,Status,Billed,Allowed,Paid\n")
    for number in range(60):
        day = dt.date(2026, 1, 5) + dt.timedelta(days=number)
        paid = "80.00" if number % 20 else "much"
        lines.write(f"A{number},Meridian,99213,{day},{day},{day},paid,120.00,100.00,{paid}\n")
    for tenant in (northside, lakeview):
        with enter(tenant):
            upload = Upload(name="export.csv", known_on=dt.date(2026, 4, 1))
            upload.file.save("export.csv", io.BytesIO(lines.getvalue().encode()))
            upload.save()
        run_import(TenantKey(tenant.key), upload.uid)
        run_watch(TenantKey(tenant.key))
    return rows_of_everything()


@pytest.mark.parametrize("app", APPS)
def test_migrations_go_down_and_up_again_with_data(lived_in, app):
    names = names_of(app)
    target = names[max(0, len(names) - 1 - LAST)]
    assert lived_in["claimkit_claims.RejectedRow"]
    assert lived_in["claimkit_claims.Adjustment"] or lived_in["claimkit_claims.ServiceLine"]

    try:
        call_command("migrate", app, target, verbosity=0)
        with connection.cursor() as cursor:
            tables = set(connection.introspection.table_names(cursor))
    finally:
        call_command("migrate", verbosity=0)

    # A table that was made on the way up comes back empty, and no other.
    kept = {model._meta.label for model in apps.get_models() if model._meta.db_table in tables}
    after = rows_of_everything()
    assert {name: rows for name, rows in after.items() if name in kept} == {
        name: rows for name, rows in lived_in.items() if name in kept
    }


def test_everything_goes_away_and_comes_back(lived_in):
    try:
        for app in reversed(APPS):
            call_command("migrate", app, "zero", verbosity=0)
        with connection.cursor() as cursor:
            left = [
                one
                for one in connection.introspection.table_names(cursor)
                if one.startswith("claimkit_")
            ]
    finally:
        call_command("migrate", verbosity=0)

    assert left == []
    assert {name for name, rows in rows_of_everything().items() if rows} == set()


def test_a_table_of_a_tenant_gets_its_policy():
    """Said on every database, because only PostgreSQL would miss it."""
    given = {
        (app, operation.model_name.lower())
        for (app, _), migration in MigrationLoader(None).disk_migrations.items()
        for operation in migration.operations
        if isinstance(operation, AddTenantPolicy)
    }
    tables = {
        (model._meta.app_label, model._meta.model_name)
        for model in apps.get_models()
        if issubclass(model, TenantModel)
    }

    assert tables - given == set()


@pytest.mark.django_db
def test_no_migration_is_missing():
    call_command("makemigrations", check_changes=True, dry_run=True, verbosity=0)
