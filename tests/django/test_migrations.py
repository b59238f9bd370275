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


def our_models():
    return [one for one in apps.get_models() if one._meta.app_label.startswith("claimkit_")]


def rows_of_everything():
    """Return the rows of every table of ours, each as column → value."""
    found = {}
    with connection.cursor() as cursor:
        for model in our_models():
            columns = sorted(one.column for one in model._meta.local_concrete_fields)
            quoted = ", ".join(map(connection.ops.quote_name, columns))
            cursor.execute(f"SELECT {quoted} FROM {model._meta.db_table}")
            rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
            found[model._meta.label] = rows
    return found


def only(rows, columns):
    """Return what ``columns`` hold, table by table, in no order."""
    return {
        name: sorted(repr([row[one] for one in named]) for row in rows[name])
        for name, named in columns.items()
    }


def columns_of_tables():
    """Return the columns of our models that are there now, of each table that is."""
    found = {}
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        for model in our_models():
            if model._meta.db_table not in tables:
                continue
            cursor.execute(f"SELECT * FROM {model._meta.db_table} LIMIT 0")
            there = {one[0] for one in cursor.description}
            fields = {one.column for one in model._meta.local_concrete_fields}
            found[model._meta.label] = sorted(fields & there)
    return found


@pytest.fixture
def lived_in(transactional_db, northside, lakeview, make_member, settings):
    """Two tenants with claims, rejected rows, a cube and runs, and a member."""
    make_member("dora", (northside, "owner"), (lakeview, "viewer"))
    lines = io.StringIO()
    # With units, so that lines say more than their statements and have rows.
    lines.write("Claim ID,Payer,CPT,Units,DOS,Submitted,Decided,Status,Billed,Allowed,Paid\n")
    for number in range(60):
        day = dt.date(2026, 1, 5) + dt.timedelta(days=number)
        paid = "80.00" if number % 20 else "much"
        lines.write(f"A{number},Meridian,99213,2,{day},{day},{day},paid,120.00,100.00,{paid}\n")
    for tenant in (northside, lakeview):
        with enter(tenant):
            upload = Upload(name="export.csv", known_on=dt.date(2026, 4, 1))
            upload.file.save("export.csv", io.BytesIO(lines.getvalue().encode()))
            upload.save()
        run_import(TenantKey(tenant.key), upload.uid)
        run_watch(TenantKey(tenant.key))


@pytest.mark.slow
@pytest.mark.parametrize("app", APPS)
def test_migrations_go_down_and_up_again_with_data(lived_in, app):
    names = names_of(app)
    target = names[max(0, len(names) - 1 - LAST)]
    before = rows_of_everything()
    assert before["claimkit_claims.RejectedRow"]
    assert before["claimkit_claims.Adjustment"] or before["claimkit_claims.ServiceLine"]

    try:
        call_command("migrate", app, target, verbosity=0)
        kept = columns_of_tables()
    finally:
        call_command("migrate", verbosity=0)

    # Tables and columns that were made on the way up come back empty, and no others.
    assert only(rows_of_everything(), kept) == only(before, kept)


@pytest.mark.slow
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
